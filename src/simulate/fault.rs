//! What goes wrong: which request fails, how, and what it gets.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::parameters::BAD_TOKEN;
use super::server::Ending;
use super::{Fault, Faults};

/// How often the same request fails in a row at most, and how many tokens a query loses at most.
const MOST_IN_A_ROW: u32 = 3;

/// Which requests fail.
#[derive(Debug)]
pub(super) struct Plan {
    faults: Faults,
    seed: u64,
    past: Mutex<Past>,
    too_many: AtomicUsize,
    server_errors: AtomicUsize,
}

/// What went wrong so far.
#[derive(Debug, Default)]
struct Past {
    /// Requests, by hash, that failed the last time, with how often in a row.
    failed: HashMap<u64, u32>,
    /// Queries, by hash, with how many tokens they lost.
    lost: HashMap<u64, u32>,
    /// Tokens, by hash, that work no more.
    expired: HashSet<u64>,
}

/// What the plan needs to know of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// How many requests came before it.
    pub(super) number: u64,
    /// Hash of the path and the query.
    pub(super) request: u64,
    /// Hash of the same without paging.
    pub(super) query: u64,
    /// Hash of the token.
    pub(super) token: Option<u64>,
}

impl Plan {
    pub(super) fn new(faults: Faults, seed: u64) -> Plan {
        Plan { faults, seed, past: Mutex::default(), too_many: AtomicUsize::new(0), server_errors: AtomicUsize::new(0) }
    }

    /// How this request fails, if it does.
    pub(super) fn draw(&self, asked: Asked) -> Option<Fault> {
        let mut past = held(&self.past);
        if asked.token.is_some_and(|token| past.expired.contains(&token)) {
            return Some(Fault::ExpiredToken);
        }
        let Some(fault) = self.drawn(asked, &past) else {
            past.failed.remove(&asked.request);
            return None;
        };
        *past.failed.entry(asked.request).or_insert(0) += 1;
        if let (Fault::ExpiredToken, Some(token)) = (fault, asked.token) {
            past.expired.insert(token);
            *past.lost.entry(asked.query).or_insert(0) += 1;
        }
        Some(fault)
    }

    fn drawn(&self, asked: Asked, past: &Past) -> Option<Fault> {
        let draw = xxh3_64_with_seed(&asked.number.to_be_bytes(), self.seed);
        // 53 bits, as many as a double holds.
        let share = (draw >> 11) as f64 / (1u64 << 53) as f64;
        let is_spared =
            |counts: &HashMap<u64, u32>, of: u64| counts.get(&of).is_some_and(|count| *count >= MOST_IN_A_ROW);
        if share >= self.faults.rate || is_spared(&past.failed, asked.request) {
            return None;
        }
        let can_expire = asked.token.is_some() && !is_spared(&past.lost, asked.query);
        let is_possible = |kind: &Fault| *kind != Fault::ExpiredToken || can_expire;
        let kinds: Vec<Fault> = self.faults.kinds.iter().copied().filter(is_possible).collect();
        let which = xxh3_64_with_seed(&draw.to_be_bytes(), self.seed) % kinds.len().max(1) as u64;
        kinds.get(which as usize).copied()
    }

    /// Answers a request so.
    pub(super) async fn fail(&self, fault: Fault, request: Request, next: Next) -> Response {
        match fault {
            Fault::TooManyRequests => self.too_many_requests(),
            Fault::RequestTimeout => json_error(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
            Fault::ServerError => self.server_error(),
            Fault::Reset => (Extension(Ending::NoAnswer), ()).into_response(),
            Fault::Truncated => {
                let mut response = next.run(request).await;
                response.extensions_mut().insert(Ending::Cut);
                response
            }
            Fault::NotJson => html(StatusCode::OK),
            Fault::Empty => StatusCode::OK.into_response(),
            Fault::Stall => {
                tokio::time::sleep(self.faults.stall).await;
                next.run(request).await
            }
            Fault::ExpiredToken => json_error(StatusCode::BAD_REQUEST, BAD_TOKEN),
        }
    }

    fn too_many_requests(&self) -> Response {
        let seconds = self.faults.retry_after_seconds;
        let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
        let wait = match self.too_many.fetch_add(1, Relaxed) % 3 {
            0 => "0".to_owned(),
            1 => seconds.to_string(),
            _ => date(),
        };
        too_many(&wait)
    }

    fn server_error(&self) -> Response {
        match self.server_errors.fetch_add(1, Relaxed) % 4 {
            0 => json_error(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
            1 => html(StatusCode::BAD_GATEWAY),
            2 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => html(StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

/// 429.
pub(super) fn too_many(retry_after: &str) -> Response {
    let mut response = json_error(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    if let Ok(value) = HeaderValue::from_str(retry_after) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// An error as Scale's client models it.
pub(super) fn json_error(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "status_code": status.as_u16(), "error": message });
    (status, axum::Json(body)).into_response()
}

fn html(status: StatusCode) -> Response {
    let body = "<!DOCTYPE html>\n<html><head><title>One moment</title></head><body>One moment, please.</body></html>\n";
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}

/// What a mutex guards. One that panicked while it held it did not leave it half changed.
pub(super) fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
