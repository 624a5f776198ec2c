//! Credentials of AWS as people have them: keys in the environment, profiles, SSO, a process, web identity, a container's or a machine's
//! role. They are fetched anew before they expire.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, ProcessCredentialProvider};
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Error, FileRead, HttpSend, OsEnv, ProvideCredential, Result,
    SigningCredential,
};
use tokio::sync::Mutex;

/// Off AWS nobody answers at the address of a machine's metadata: a run must not wait long to hear so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the program of AWS makes of a profile, roles of other profiles and all.
const OF_THE_PROGRAM: &str = "aws configure export-credentials --format process";

/// Finds credentials, and keeps them while they are good.
#[derive(Debug)]
pub(super) struct Credentials {
    context: Context,
    found: Mutex<Option<(Credential, Arc<AwsCredential>)>>,
}

impl Credentials {
    pub(super) fn new() -> Credentials {
        let context = Context::new()
            .with_env(OsEnv)
            .with_file_read(Files)
            .with_command_execute(Commands)
            .with_http_send(Requests::default());
        Credentials { context, found: Mutex::new(None) }
    }

    async fn find(&self) -> Result<Credential> {
        let usual = DefaultCredentialProvider::new().provide_credential(&self.context).await;
        let refused = match usual {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let profile = self.context.env_var("AWS_PROFILE");
        if profile.is_some() {
            let of_the_program = ProcessCredentialProvider::new().with_command(OF_THE_PROGRAM);
            if let Ok(Some(found)) = of_the_program.provide_credential(&self.context).await {
                return Ok(found);
            }
        }
        let words = profile.map_or("none are set".to_owned(), |name| format!("the profile `{name}` has none"));
        Err(refused.unwrap_or_else(|| Error::credential_invalid(words)))
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Held while new ones are fetched: all wait for the one who does it.
        let mut found = self.found.lock().await;
        if let Some((_, credential)) = found.as_ref().filter(|(known, _)| known.is_valid()) {
            return Ok(Arc::clone(credential));
        }
        let new = self.find().await.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: format!("no credentials of AWS: {error}").into(),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: new.access_key_id.clone(),
            secret_key: new.secret_access_key.clone(),
            token: new.session_token.clone(),
        });
        *found = Some((new, Arc::clone(&credential)));
        Ok(credential)
    }
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        std::fs::read(path).map_err(|error| Error::unexpected(format!("can't read {path}")).with_source(error))
    }
}

#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    /// Through a shell, so that quotes mean what they mean in the file that the command comes from.
    async fn command_execute<'a>(&'a self, program: &'a str, args: &'a [&'a str]) -> Result<CommandOutput> {
        let line = std::iter::once(program).chain(args.iter().copied()).collect::<Vec<_>>().join(" ");
        let failed = |words: String| Error::unexpected(format!("can't run `{program}`: {words}"));
        let run =
            move || std::process::Command::new("sh").arg("-c").arg(line).stdin(std::process::Stdio::null()).output();
        let output = tokio::task::spawn_blocking(run).await.map_err(|error| failed(error.to_string()))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        let status = output.status.code().unwrap_or(-1);
        Ok(CommandOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}

#[derive(Debug, Default)]
struct Requests {
    client: std::sync::OnceLock<reqwest::Client>,
}

impl HttpSend for Requests {
    async fn http_send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let failed = |error: reqwest::Error| {
            Error::unexpected("a request for credentials failed").with_source(error.without_url())
        };
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build();
                let client = client.map_err(failed)?;
                self.client.get_or_init(|| client)
            }
        };
        let request = request.try_into().map_err(failed)?;
        let mut response = client.execute(request).await.map_err(failed)?;
        let mut answer = Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        let body = response.bytes().await.map_err(failed)?;
        answer.body(body).map_err(|error| Error::unexpected("an answer without sense").with_source(error))
    }
}
