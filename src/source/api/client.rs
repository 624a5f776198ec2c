//! Requests, sent again until they are answered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url, redirect};
use tokio::time::Instant;

use super::frontier::Request;
use super::glance::Glance;
use super::pace::Pace;
use super::words;
use super::{ApiConfig, Patience};
use crate::error::{Error, Result};
use crate::progress::ApiCounts;
use crate::source::Spares;

/// Speaks to the API.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Key,
    patience: Patience,
    pace: Pace,
    counts: Arc<ApiCounts>,
    spares: Spares,
    outage: Outage,
}

/// When it was last said that nothing comes: it is said now and then, for all requests together.
#[derive(Debug, Default)]
struct Outage {
    told: Mutex<Option<Instant>>,
}

impl Outage {
    /// Whether it is to be said of a request that has waited for so long.
    fn is_to_be_told(&self, waited: Duration) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = waited >= QUIET && told.is_none_or(|told| told.elapsed() >= QUIET);
        if is_due {
            *told = Some(Instant::now());
        }
        is_due
    }
}

/// An API key, which is never shown.
#[derive(Clone)]
pub struct Key(HeaderValue);

impl Key {
    /// A key as the user has it; `None` where it holds what no key has. A byte order mark before it is none of it.
    pub fn new(key: &str) -> Option<Key> {
        let key = key.trim_start_matches('\u{feff}').trim();
        let mut value = HeaderValue::try_from(format!("{BEARER}{key}")).ok()?;
        value.set_sensitive(true);
        (!key.is_empty()).then_some(Key(value))
    }

    /// The key itself, to look for it in what is to be shown.
    pub(super) fn secret(&self) -> &str {
        self.0.to_str().ok().and_then(|value| value.strip_prefix(BEARER)).unwrap_or(BEARER)
    }

    /// The value of the header in which it goes.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// What may be told of it: whether it is for live or for test data.
    pub fn kind(&self) -> &'static str {
        let key = self.secret();
        match (key.starts_with("live_"), key.starts_with("test_")) {
            (true, _) => "live",
            (_, true) => "test",
            _ => "other",
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

/// What stands before a key in the header.
const BEARER: &str = "Bearer ";

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    /// A page.
    Page(Vec<u8>, Glance),
    /// The token is not known any more: the chain must begin anew.
    Expired,
    /// There is no such thing, and the export can go on without it: the status, and the refusal in the API's words.
    Absent(u16, Error),
}

/// Why an attempt failed.
enum Failure {
    /// No attempt will help.
    Final(Error),
    /// The token of the request is refused.
    Token,
    /// What is asked for is not there, or not for this account.
    Absent(u16, Error),
    /// Another attempt may help, at the earliest after this time.
    Again { reason: String, after: Option<Duration>, is_complaint: bool },
}

/// A shorter body gets a buffer of its own.
const SMALL_BYTES: u64 = 64 << 10;

/// Longer bodies get buffers of a multiple of this.
const ROUND_BYTES: usize = 1 << 20;

/// What a response says of its length is believed up to here.
const MOST_RESERVED_BYTES: u64 = 64 << 20;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// Failures and stalls are borne in silence for so long.
const QUIET: Duration = Duration::from_secs(15);

/// The longest wait between two attempts, unless the API asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Client {
    /// Sets up the connections; sends nothing yet.
    pub fn new(config: &ApiConfig, counts: &Arc<ApiCounts>, spares: Spares) -> Result<Client> {
        let failed = |error: reqwest::Error| Error::Client { reason: chain(&error) };
        // One provider for the process; another part of it may have chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder();
        if config.is_local() {
            // What runs on this machine is not behind a proxy.
            http = http.no_proxy();
        }
        let http = http
            .user_agent(concat!("taskloom/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.read_timeout)
            .redirect(redirect::Policy::custom(same_host))
            .gzip(config.is_compressed)
            .build()
            .map_err(failed)?;
        Ok(Client {
            http,
            base: config.url.clone(),
            key: config.key.clone(),
            patience: config.patience,
            pace: Pace::new(config.max_requests_per_second),
            counts: Arc::clone(counts),
            spares,
            outage: Outage::default(),
        })
    }

    /// Sends a request until it is answered, or patience ends.
    pub async fn get(&self, request: &Request) -> Result<Answer> {
        self.turn().await;
        let started = Instant::now();
        let mut waits = waits(self.patience.first_wait);
        let mut attempts = 0;
        loop {
            if attempts > 0 {
                self.turn().await;
            }
            attempts += 1;
            let (reason, after, is_complaint) = match self.watched_attempt(request, started).await {
                Ok(page) => return Ok(page),
                Err(Failure::Token) => return Ok(Answer::Expired),
                Err(Failure::Absent(status, refusal)) => return Ok(Answer::Absent(status, refusal)),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { reason, after, is_complaint }) => (reason, after, is_complaint),
            };
            let wait = waits.next().unwrap_or(LONGEST_WAIT).max(after.unwrap_or_default());
            if attempts > self.patience.retries || started.elapsed().saturating_add(wait) > self.patience.retry_for {
                let seconds = started.elapsed().as_secs();
                return Err(Error::GaveUp { request: name(request), attempts, seconds, reason });
            }
            let request_name = name(request);
            tracing::info!(request = request_name, attempts, wait_ms = wait.as_millis() as u64, reason, "trying again");
            self.complain(&request_name, started.elapsed(), &reason);
            self.counts.retries.fetch_add(1, Relaxed);
            if is_complaint {
                self.pace.brake(wait);
            } else {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// An attempt, of which it is said now and then that nothing comes, for as long as nothing does.
    async fn watched_attempt(&self, request: &Request, started: Instant) -> std::result::Result<Answer, Failure> {
        let attempt = self.attempt(request);
        tokio::pin!(attempt);
        loop {
            tokio::select! {
                answer = &mut attempt => return answer,
                () = tokio::time::sleep(QUIET) => self.complain(&name(request), started.elapsed(), "the request hangs"),
            }
        }
    }

    /// Waits until this request may leave: that is nobody's failure.
    async fn turn(&self) {
        let waited = self.pace.turn().await;
        add(&self.counts.waited_ms, waited.as_millis() as u64);
    }

    /// Says now and then that nothing comes: who waits for the end of a long outage should know why.
    fn complain(&self, request: &str, since: Duration, reason: &str) {
        if self.outage.is_to_be_told(since) {
            let (seconds, longest) = (since.as_secs(), humantime::format_duration(self.patience.retry_for));
            tracing::warn!(request, reason, "no answer for {seconds} s; trying on for up to {longest}");
        }
    }

    async fn attempt(&self, request: &Request) -> std::result::Result<Answer, Failure> {
        add(&self.counts.requests, 1);
        let asked = self.http.get(request.url(&self.base)).header(AUTHORIZATION, self.key.0.clone());
        let response = asked.send().await.map_err(again)?;
        let status = response.status();
        let after = retry_after(response.headers());
        let body = self.body(response).await.map_err(again)?;
        if !status.is_success() {
            return Err(self.refused(request, status, after, &body));
        }
        // What was found instead is the server's.
        let torn = |reason: String| Failure::Again {
            reason: words::shown(&reason, &self.key),
            after: None,
            is_complaint: false,
        };
        let glance = Glance::of(&body, request.endpoint).map_err(torn)?;
        self.pace.ease();
        Ok(Answer::Page(request.endpoint.as_page(request.project.as_deref(), body), glance))
    }

    fn refused(&self, request: &Request, status: StatusCode, after: Option<Duration>, body: &[u8]) -> Failure {
        let code = status.as_u16();
        let is_passing = matches!(code, 408 | 429) || status.is_server_error();
        if is_passing {
            let reason = format!("the API answered with {status}");
            return Failure::Again { reason, after, is_complaint: code == 429 };
        }
        if request.has_token && matches!(code, 400 | 404 | 410) {
            return Failure::Token;
        }
        let message = words::shown(&message(status, body), &self.key);
        let refusal = Error::Api { request: name(request), status: code, message };
        if request.may_be_absent(code) { Failure::Absent(code, refusal) } else { Failure::Final(refusal) }
    }

    async fn body(&self, mut response: Response) -> reqwest::Result<Vec<u8>> {
        let length = response.content_length().unwrap_or(0).min(MOST_RESERVED_BYTES);
        // A small body needs no buffer of a page.
        let is_small = (1..SMALL_BYTES).contains(&length);
        let mut body = if is_small { Vec::new() } else { self.spares.take() };
        // Room for the line break at its end, and rounded up, so that the buffer also fits the next page, which is about as large.
        let room = length as usize + 1;
        body.reserve(if is_small { room } else { room.next_multiple_of(ROUND_BYTES) });
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Growing waits without end.
pub fn waits(first: Duration) -> impl Iterator<Item = Duration> {
    let longest = LONGEST_WAIT.max(first);
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

fn again(error: reqwest::Error) -> Failure {
    if let Some(reason) = broken_tls(&error) {
        return Failure::Final(Error::Client { reason });
    }
    let is_final = error.is_redirect() || error.is_builder();
    // The address holds the query, which is nobody's business.
    let reason = chain(&error.without_url());
    if is_final {
        return Failure::Final(Error::Client { reason });
    }
    Failure::Again { reason, after: None, is_complaint: false }
}

/// What is wrong with an encrypted connection that will not get better: nobody there speaks TLS, or who does is not who he should be.
fn broken_tls(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return match error {
            rustls::Error::InvalidMessage(_) => {
                Some("expected TLS, as https:// has it, found a port that speaks something else".to_owned())
            }
            rustls::Error::InvalidCertificate(reason) => {
                Some(format!("the server's certificate can't be trusted: {reason}"))
            }
            _ => None,
        };
    }
    // What an I/O error wraps is not its source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.and_then(|inner| broken_tls(inner)).or_else(|| broken_tls(error.source()?))
}

/// An error with its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// What an error body says.
fn message(status: StatusCode, body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = value.as_ref().and_then(|value| {
        let said = ["message", "error"].into_iter().find_map(|key| value.get(key));
        said.map(|said| said.as_str().map_or_else(|| said.to_string(), str::to_owned))
    });
    said.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned())
}

/// How long the server wants to be left alone: seconds, or until a date, which is meant by the server's own clock.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => date(RETRY_AFTER)?.duration_since(date(DATE).unwrap_or_else(SystemTime::now)).ok(),
    }
}

/// Follows redirects on the same host and port alone: the key must not go elsewhere.
fn same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin = attempt.previous().first().map(Url::origin);
    if origin != Some(attempt.url().origin()) {
        return attempt.error("it points to another host, where the key must not go");
    }
    if attempt.previous().len() > MOST_REDIRECTS { attempt.error("too many redirects") } else { attempt.follow() }
}

/// A request as messages name it: without tokens, which may be anything.
pub fn name(request: &Request) -> String {
    let shown = request
        .parameters
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "next_token" | "expand" | "opts" | "limit"));
    let shown = shown.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    let path = request.endpoint.path();
    if shown.is_empty() { path.to_owned() } else { format!("{path}?{}", shown.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_of_the_servers_clock() {
        let wait = |after: &str, date: Option<SystemTime>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
            let date = date.map(|date| HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap());
            headers.extend(date.map(|date| (DATE, date)));
            retry_after(&headers)
        };
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        let two_hours = Duration::from_secs(7200);
        for clock in [SystemTime::now() + two_hours, SystemTime::now() - two_hours, SystemTime::UNIX_EPOCH + two_hours]
        {
            let date = httpdate::fmt_http_date(clock + Duration::from_secs(60));
            assert_eq!(wait(&date, Some(clock)), Some(Duration::from_secs(60)));
            assert_eq!(wait(&httpdate::fmt_http_date(clock - two_hours), Some(clock)), None, "it is past");
        }
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(wait(&date, None).is_some_and(|wait| (50..=60).contains(&wait.as_secs())));
        assert_eq!(wait("soon", Some(SystemTime::now())), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_of_after_a_while_and_then_now_and_then() {
        let outage = Outage::default();
        let mut told = Vec::new();
        for second in 0..100 {
            // Two requests that wait side by side.
            for _ in 0..2 {
                if outage.is_to_be_told(Duration::from_secs(second)) {
                    told.push(second);
                }
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [15, 30, 45, 60, 75, 90]);
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = Key::new("live_canary\n").unwrap();
        assert!(!format!("{key:?}").contains("canary"));
        assert_eq!(Key::new("\u{feff}live_canary\r\n").unwrap().secret(), "live_canary");
        assert!(Key::new("  ").is_none() && Key::new("a\u{1}b").is_none());
    }
}
