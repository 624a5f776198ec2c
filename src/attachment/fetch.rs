//! One attachment from where it lies: bounded in time, in bytes and in how often it is sent on, and asked for again where that may help.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Response, StatusCode, redirect};
use tokio::time::{Instant, timeout};
use url::{Origin, Url};

use super::body::Body;
use super::host::{AllowedHost, Inside, Resolver, Rules, proxies, shown};
use super::{Failure, OfTasks};
use crate::error::{Error, Result};
use crate::source::api::{Key, chain, is_loopback, retry_after, waits};

/// How attachments are fetched.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Requests at a time.
    pub concurrency: usize,
    /// Larger ones are left.
    pub max_bytes: u64,
    /// Hosts that may be asked although they are on this machine or in its network.
    pub hosts: Vec<AllowedHost>,
    /// Also ask without encryption.
    pub allows_http: bool,
    /// Further attempts of a request that fails.
    pub retries: u32,
    /// Time that an attempt may take whatever comes; it gets a second more for each 100 KB.
    pub patience: Duration,
    /// What becomes of contents that stand in tasks.
    pub of_tasks: OfTasks,
    /// Where the API is, and its key: that goes nowhere else.
    pub api: Option<(Url, Key)>,
}

impl Default for FetchOptions {
    /// Sixteen at a time, up to 64 MiB each, from the internet alone.
    fn default() -> FetchOptions {
        FetchOptions {
            concurrency: 16,
            max_bytes: 64 << 20,
            hosts: Vec::new(),
            allows_http: false,
            retries: 3,
            patience: Duration::from_secs(20),
            of_tasks: OfTasks::Copy,
            api: None,
        }
    }
}

/// Bytes a second that are not slow.
const LEAST_BYTES_A_SECOND: u64 = 100_000;

/// So many requests in a row without an answer, for twice the time that one may take, and a host is left alone for the rest of the run.
const MOST_SILENT: u32 = 20;

/// How often one may be sent on.
const MOST_REDIRECTS: usize = 5;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// No server is waited for longer, whatever it asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Asks for attachments.
#[derive(Debug)]
pub(super) struct Getter {
    http: reqwest::Client,
    /// For this machine, which is not behind a proxy.
    http_here: reqwest::Client,
    rules: Arc<Rules>,
    options: FetchOptions,
    api: Option<(Origin, HeaderValue)>,
    scratch: PathBuf,
    silent: Mutex<HashMap<String, Silence>>,
}

/// Requests to a host that had no answer, since the last one that had.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    requests: u32,
}

/// Why there are no bytes.
#[derive(Debug)]
pub(super) struct Refusal {
    pub failure: Failure,
    /// Where, as it may be told.
    pub address: String,
    pub reason: String,
}

/// Why an attempt failed.
enum Failed {
    /// This run can't go on.
    Run(Error),
    /// Another attempt won't help.
    For(Failure, String),
    /// It may help, at the earliest after this time.
    Now(String, Option<Duration>),
    /// There was no answer at all; another attempt may help.
    Silent(String),
}

impl From<(Failure, String)> for Failed {
    fn from((failure, reason): (Failure, String)) -> Failed {
        Failed::For(failure, reason)
    }
}

impl Getter {
    /// Sets up the connections. Bodies that are not small lie in `scratch` on their way.
    pub(super) fn new(options: &FetchOptions, scratch: PathBuf) -> Result<Getter> {
        // One provider for the process; another part of it may have chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules =
            Arc::new(Rules { allowed: options.hosts.clone(), allows_http: options.allows_http, proxies: proxies() });
        let resolver = Arc::new(Resolver(Arc::clone(&rules)));
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("taskloom/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(redirect::Policy::none())
                .referer(false)
                // The bytes as they are stored there.
                .gzip(false)
                .dns_resolver(Arc::clone(&resolver))
        };
        let failed = |error: reqwest::Error| Error::Client { reason: chain(&error) };
        let (http, http_here) = (client().build().map_err(failed)?, client().no_proxy().build().map_err(failed)?);
        let api = options.api.as_ref().map(|(url, key)| (url.origin(), key.header()));
        Ok(Getter { http, http_here, rules, options: options.clone(), api, scratch, silent: Mutex::default() })
    }

    /// The bytes at the first of these addresses that has them.
    pub(super) async fn get(&self, addresses: &[String]) -> Result<std::result::Result<Body, Refusal>> {
        let mut refused: Option<Refusal> = None;
        for address in addresses {
            match self.get_one(address).await? {
                Ok(body) => return Ok(Ok(body)),
                // That one of two addresses is none says less than why the other one did not answer.
                Err(refusal) if refusal.failure == Failure::Unsupported && refused.is_some() => {}
                Err(refusal) => refused = Some(refusal),
            }
        }
        let none =
            || Refusal { failure: Failure::Unsupported, address: String::new(), reason: "no address".to_owned() };
        Ok(Err(refused.unwrap_or_else(none)))
    }

    async fn get_one(&self, address: &str) -> Result<std::result::Result<Body, Refusal>> {
        let told = |failure, reason| Ok(Err(Refusal { failure, address: shown(address), reason }));
        let Ok(url) = Url::parse(address) else { return told(Failure::Unsupported, "it is no address".to_owned()) };
        let (mut waits, mut left, mut last) = (waits(FIRST_WAIT), self.options.retries, None);
        loop {
            if self.is_silent(&url) {
                let silent = || "its host has not answered for a while".to_owned();
                return told(Failure::Unreachable, last.unwrap_or_else(silent));
            }
            let started = Instant::now();
            let attempt = self.attempt(url.clone()).await;
            self.note_silence(&url, matches!(attempt, Err(Failed::Silent(_))));
            let (reason, after) = match attempt {
                Ok(body) => return Ok(Ok(body)),
                Err(Failed::Silent(reason)) => (reason, None),
                Err(Failed::Run(error)) => return Err(error),
                Err(Failed::For(failure, reason)) => return told(failure, reason),
                Err(Failed::Now(reason, after)) => (reason, after),
            };
            // What has taken its whole time once will hardly be quicker.
            left = if started.elapsed() >= self.options.patience { left.min(1) } else { left };
            let wait = waits.next().unwrap_or(LONGEST_WAIT).max(after.unwrap_or_default());
            if left == 0 || wait > LONGEST_WAIT {
                return told(Failure::Unreachable, reason);
            }
            tracing::debug!(address = shown(address), reason, wait_ms = wait.as_millis() as u64, "trying again");
            tokio::time::sleep(wait).await;
            (left, last) = (left - 1, Some(reason));
        }
    }

    /// Whether a host has left so many requests in a row without an answer that no more are worth while: each takes a while.
    fn is_silent(&self, url: &Url) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = silent.get(&url.origin().ascii_serialization());
        silence.is_some_and(|it| it.requests >= MOST_SILENT && it.since.elapsed() >= self.options.patience * 2)
    }

    fn note_silence(&self, url: &Url, is_silent: bool) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = url.origin().ascii_serialization();
        match is_silent {
            true => {
                silent.entry(origin).or_insert_with(|| Silence { since: Instant::now(), requests: 0 }).requests += 1
            }
            false => drop(silent.remove(&origin)),
        }
    }

    async fn attempt(&self, url: Url) -> std::result::Result<Body, Failed> {
        let started = Instant::now();
        let mut url = url;
        for hop in 0..=MOST_REDIRECTS {
            self.rules.check(&url).map_err(|(failure, reason)| match hop {
                0 => (failure, reason),
                _ => (failure, format!("it is sent on to {}: {reason}", shown(url.as_str()))),
            })?;
            let response = self.in_time(started, 0, self.ask(&url).send()).await?;
            let status = response.status();
            if !status.is_redirection() {
                // The others that tell of a success have no content, or not all of it.
                return match status {
                    StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => self.body(response, started).await,
                    _ => Err(refused(&response)),
                };
            }
            let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok());
            let next = next.and_then(|next| url.join(next).ok());
            url = next.ok_or((Failure::Denied, format!("{status} without a place to go on to")))?;
        }
        Err((Failure::Denied, "it is sent on too often".to_owned()).into())
    }

    fn ask(&self, url: &Url) -> reqwest::RequestBuilder {
        let http = if is_loopback(url) { &self.http_here } else { &self.http };
        let asked = http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        match &self.api {
            Some((origin, key)) if *origin == url.origin() => asked.header(AUTHORIZATION, key.clone()),
            _ => asked,
        }
    }

    async fn body(&self, mut response: Response, started: Instant) -> std::result::Result<Body, Failed> {
        let too_large = || (Failure::TooLarge, format!("it has more than {} bytes", self.options.max_bytes));
        if response.content_length().is_some_and(|length| length > self.options.max_bytes) {
            return Err(too_large().into());
        }
        let mut body = Body::new(&self.scratch);
        while let Some(chunk) = self.in_time(started, body.bytes(), response.chunk()).await? {
            if body.bytes() + chunk.len() as u64 > self.options.max_bytes {
                return Err(too_large().into());
            }
            body.push(&chunk).map_err(Failed::Run)?;
        }
        Ok(body)
    }

    /// What comes next, unless it has all taken too long for what came.
    async fn in_time<T>(
        &self,
        started: Instant,
        bytes: u64,
        next: impl Future<Output = reqwest::Result<T>>,
    ) -> std::result::Result<T, Failed> {
        let allowed = self.options.patience + Duration::from_secs(bytes / LEAST_BYTES_A_SECOND);
        match timeout(allowed.saturating_sub(started.elapsed()), next).await {
            Ok(came) => came.map_err(failed),
            Err(_) if bytes == 0 => Err(Failed::Silent(format!("nothing came in {} s", started.elapsed().as_secs()))),
            Err(_) => Err(Failed::Now(format!("{bytes} bytes came in {} s", started.elapsed().as_secs()), None)),
        }
    }
}

/// Why a request failed without an answer.
fn failed(error: reqwest::Error) -> Failed {
    // The address holds a signature.
    let error = error.without_url();
    if is_inside(&error) {
        return Failed::For(Failure::Refused, Inside.to_string());
    }
    let is_silent = error.is_connect() || error.is_timeout();
    if is_silent { Failed::Silent(chain(&error)) } else { Failed::Now(chain(&error), None) }
}

fn is_inside(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Inside>() || error.source().is_some_and(is_inside)
}

/// Why an answer is none.
fn refused(response: &Response) -> Failed {
    let status = response.status();
    let reason = format!("the server answered with {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failed::For(Failure::Missing, reason),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Failed::Now(reason, retry_after(response.headers()))
        }
        status if status.is_server_error() || status.is_success() => {
            Failed::Now(reason, retry_after(response.headers()))
        }
        _ => Failed::For(Failure::Denied, reason),
    }
}
