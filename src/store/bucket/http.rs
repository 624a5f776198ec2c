//! The connections to a store, watched: how many requests were made, and what time it is over there.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use crate::store::StoreFailure;

/// Failures are borne in silence for so long.
const QUIET: Duration = Duration::from_secs(5);

/// What is seen of a store's answers. A clone sees the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    /// The date that the store gave last, and when that was here.
    date: Mutex<Option<(SystemTime, Instant)>>,
    /// Since when nothing but failures came, and whether that was told.
    failing: Mutex<Option<(Instant, bool)>>,
    /// How far a test is ahead of it.
    #[cfg(test)]
    ahead: Mutex<Duration>,
}

impl Observed {
    /// Requests so far, each attempt counted.
    pub(super) fn requests(&self) -> u64 {
        self.0.requests.load(Relaxed)
    }

    /// What time the store says it is; this machine's time before it has said anything.
    pub(super) fn now(&self) -> SystemTime {
        let date = *self.0.date.lock().unwrap_or_else(PoisonError::into_inner);
        let now = date.map_or_else(SystemTime::now, |(date, seen)| date + seen.elapsed());
        #[cfg(test)]
        let now = now + *self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        now
    }

    /// Whoever waits for a store that fails is told so.
    fn failed(&self, words: &str) {
        let mut failing = self.0.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, is_told) = failing.get_or_insert_with(|| (Instant::now(), false));
        if since.elapsed() > QUIET && !*is_told {
            *is_told = true;
            tracing::warn!("the store fails: {words}; requests are repeated");
        }
    }

    fn saw(&self, response: &HttpResponse) {
        if response.status().is_server_error() {
            self.failed(response.status().as_str());
            return;
        }
        *self.0.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            *self.0.date.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
        }
    }

    /// Some time passes over there.
    #[cfg(test)]
    pub(super) fn pass(&self, time: Duration) {
        *self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl HttpConnector for Observed {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // One provider for the process; another part of it may have chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { client, observed: self.clone() }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    observed: Observed,
}

#[async_trait::async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.observed.0.requests.fetch_add(1, Relaxed);
        let response = self.client.execute(request).await.inspect_err(|error| {
            self.observed.failed(&StoreFailure::of(error).words);
        })?;
        self.observed.saw(&response);
        Ok(response)
    }
}
