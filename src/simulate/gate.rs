//! What every request passes first: the key, the limit on their rate, and the plan of what goes wrong.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use xxhash_rust::xxh3::xxh3_64;

use super::attachments::Attachments;
use super::fault::{Asked, Plan, held, json_error, too_many};
use super::parameters::{decode, query_hash};
use super::server::Ending;
use super::store::Store;
use super::{RequestSeen, SimulateOptions};

/// Requests that are remembered: some 30 MB.
const REMEMBERED: usize = 1 << 16;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    options: SimulateOptions,
    limiter: Option<DefaultDirectRateLimiter>,
    plan: Plan,
    requests: AtomicU64,
    serials: AtomicU64,
    log: Mutex<VecDeque<RequestSeen>>,
}

impl Shared {
    pub(super) fn new(store: Arc<Store>, options: SimulateOptions) -> Shared {
        let quota = options.rate_limit.and_then(NonZeroU32::new).map(Quota::per_second);
        Shared {
            store,
            limiter: quota.map(RateLimiter::direct),
            plan: Plan::new(options.faults.clone(), options.seed),
            options,
            requests: AtomicU64::new(0),
            serials: AtomicU64::new(0),
            log: Mutex::default(),
        }
    }

    /// How attachments are served, if they are.
    pub(super) fn attachments(&self) -> Option<&Attachments> {
        self.options.attachments.as_ref()
    }

    /// Takes the time that each request takes at least.
    pub(super) async fn take_time(&self) {
        if !self.options.latency.is_zero() {
            tokio::time::sleep(self.options.latency).await;
        }
    }

    /// A number that was not given before.
    pub(super) fn serial(&self) -> u64 {
        self.serials.fetch_add(1, Relaxed)
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// The latest requests, in the order of their answers.
    pub(super) fn log(&self) -> Vec<RequestSeen> {
        held(&self.log).iter().cloned().collect()
    }

    fn remember(&self, seen: RequestSeen) {
        let mut log = held(&self.log);
        if log.len() >= REMEMBERED {
            log.pop_front();
        }
        log.push_back(seen);
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let key = headers.get(AUTHORIZATION).and_then(|value| key(value.to_str().ok()?));
        key.is_some_and(|key| self.options.token.as_ref().is_none_or(|accepted| *accepted == key))
    }

    /// The seconds to wait where the rate is too high.
    fn wait(&self) -> Option<u64> {
        let refused = self.limiter.as_ref()?.check().err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
    }

    async fn answer(&self, asked: Asked, request: Request, next: Next) -> Response {
        if !self.has_key(request.headers()) {
            return json_error(StatusCode::UNAUTHORIZED, "the API key is missing or wrong");
        }
        if let Some(seconds) = self.wait() {
            return too_many(&seconds.to_string());
        }
        match self.plan.draw(asked) {
            Some(fault) => self.plan.fail(fault, request, next).await,
            None => next.run(request).await,
        }
    }
}

/// Lets a request through, or not.
pub(super) async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let number = shared.requests.fetch_add(1, Relaxed);
    let path = request.uri().path().to_owned();
    let raw_query = request.uri().query().unwrap_or_default();
    let query = decode(raw_query);
    let token = query.iter().find(|(key, _)| key == "next_token").map(|(_, token)| xxh3_64(token.as_bytes()));
    let whole = xxh3_64(format!("{path}?{raw_query}").as_bytes());
    let asked = Asked { number, request: whole, query: query_hash(&path, &query), token };
    shared.take_time().await;
    let response = shared.answer(asked, request, next).await;
    let status = match response.extensions().get() {
        Some(Ending::NoAnswer) => 0,
        _ => response.status().as_u16(),
    };
    shared.remember(RequestSeen { path, query, status });
    response
}

/// The key in `Bearer KEY`, or in `Basic` as the user.
fn key(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        pair.split_once(':').map_or(pair.as_str(), |(user, _)| user).to_owned()
    } else {
        return None;
    };
    (!key.is_empty()).then_some(key)
}
