//! From an address and settings to a client of its store.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use super::credentials::Credentials;
use super::http::Observed;
use super::unfinished::Unfinished;
use crate::error::{Error, Result};
use crate::store::address::{self, StoreOptions};
use crate::store::{FailureKind, StoreFailure};

/// A client of a store.
pub(super) struct Connected {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) unfinished: Option<Unfinished>,
    /// Where the lake is in its bucket.
    pub(super) root: Path,
}

/// A request, with its body and all, may take so long: 16 MiB at 140 kB/s.
const TIMEOUT: &str = "120s";
/// A connection that is not made within this won't be.
const CONNECT_TIMEOUT: &str = "10s";

/// A store that is too busy says so for seconds, one that fails over for a minute or two. Beyond that a run ends, with nothing visible.
fn retry(retry_for: Duration) -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries: 100, retry_timeout: retry_for }
}

/// Makes the client; sends nothing.
pub(super) fn connect(address: &str, options: &StoreOptions, observed: &Observed) -> Result<Connected> {
    let place = || address::without_secrets(address);
    let usage = |found: String| Error::Usage {
        setting: "the address",
        expected: "a bucket and a path, such as s3://bucket/path, without names, passwords or a query".to_owned(),
        found,
    };
    let url = Url::parse(address).map_err(|_| usage(place()))?;
    let is_container = matches!(url.scheme(), "abfs" | "abfss");
    let has_name = !url.username().is_empty() && !is_container || url.password().is_some();
    if has_name || url.query().is_some() || url.fragment().is_some() {
        return Err(usage(place()));
    }
    let (scheme, root) = ObjectStoreScheme::parse(&url).map_err(|_| usage(place()))?;
    let failed = |error: object_store::Error| Error::Store {
        action: "connect to",
        path: place().into(),
        source: StoreFailure::of(&error),
    };
    let settings = Settings(&options.settings);
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::from_env().with_url(address).with_retry(retry(options.retry_for));
            for (key, value) in settings.parsed("S3", ["aws_", ""])? {
                builder = builder.with_config(key, value);
            }
            let client = |key| AmazonS3ConfigKey::Client(key);
            for (key, value) in DEFAULTS {
                if builder.get_config_value(&client(key)).is_none() {
                    builder = builder.with_config(client(key), value);
                }
            }
            let is_plain =
                builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|at| at.starts_with("http://"));
            check_plain(is_plain, builder.get_config_value(&client(ClientConfigKey::AllowHttp)), &place())?;
            let has_keys = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some();
            if !has_keys
                && builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).is_none_or(|skips| skips != "true")
            {
                builder = builder.with_credentials(Arc::new(Credentials::new()));
            }
            let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            let bucket = Arc::clone(&store);
            let unfinished = Some(Unfinished { bucket, region, observed: observed.clone() });
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished, root }
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder =
                GoogleCloudStorageBuilder::from_env().with_url(address).with_retry(retry(options.retry_for));
            for (key, value) in settings.parsed("Google Cloud Storage", ["google_", ""])? {
                builder = builder.with_config(key, value);
            }
            for (key, value) in DEFAULTS {
                if builder.get_config_value(&GoogleConfigKey::Client(key)).is_none() {
                    builder = builder.with_config(GoogleConfigKey::Client(key), value);
                }
            }
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished: None, root }
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(address).with_retry(retry(options.retry_for));
            for (key, value) in settings.parsed("Azure", ["azure_", "azure_storage_"])? {
                builder = builder.with_config(key, value);
            }
            let client = |key| AzureConfigKey::Client(key);
            for (key, value) in DEFAULTS {
                if builder.get_config_value(&client(key)).is_none() {
                    builder = builder.with_config(client(key), value);
                }
            }
            let is_plain =
                builder.get_config_value(&AzureConfigKey::Endpoint).is_some_and(|at| at.starts_with("http://"));
            check_plain(is_plain, builder.get_config_value(&client(ClientConfigKey::AllowHttp)), &place())?;
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished: None, root }
        }
        _ => return Err(usage(place())),
    })
}

const DEFAULTS: [(ClientConfigKey, &str); 2] =
    [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)];

fn check_plain(is_plain: bool, allowed: Option<String>, place: &str) -> Result<()> {
    if !is_plain || allowed.is_some_and(|allowed| allowed == "true") {
        return Ok(());
    }
    let source = StoreFailure::new(
        FailureKind::PlainHttp,
        "its endpoint is plain http, which sends what is stored in the clear",
    );
    Err(Error::Store { action: "connect to", path: place.into(), source })
}

/// What people set of a store.
struct Settings<'s>(&'s [(String, String)]);

impl Settings<'_> {
    /// By the keys of one store; a key may leave out what all keys of the store begin with.
    fn parsed<K: FromStr>(&self, store: &str, prefixes: [&str; 2]) -> Result<Vec<(K, String)>> {
        let parse = |(key, value): &(String, String)| {
            let key = key.to_ascii_lowercase();
            let found =
                prefixes.iter().find_map(|prefix| format!("{prefix}{key}").parse().ok()).or_else(|| key.parse().ok());
            let expected =
                || format!("a setting of {store} as object_store names it, such as {}", prefixes[0].to_owned() + "…");
            let found = found.ok_or_else(|| Error::Usage {
                setting: "--store-option",
                expected: expected(),
                found: key.clone(),
            });
            Ok((found?, value.clone()))
        };
        self.0.iter().map(parse).collect()
    }
}
