//! `taskloom simulate`: Scale's v2 API on this machine, with tasks that are known, for whoever writes or tests a client.
//!
//! It answers the GET endpoints that an exporter needs, checks parameters and keys as Scale does, pages by tokens that must be
//! encoded and belong to one query, and lists tasks in an order that nothing can be made of. On demand it is slow, limits the rate
//! of requests, and fails in every way that a network has, by a plan that the seed and the order of requests decide.
//!
//! ```text
//!   store  ◀── load, entities      what there is
//!     ▲
//!  endpoints ── parameters, token, view      what is asked for, and how it is written
//!     ▲
//!    gate ── fault      who may ask, how often, and what goes wrong
//!     ▲
//!   server      connections
//! ```
//!
//! # Choices where Scale's documents are silent
//!
//! - `…_after` includes its instant and `…_before` excludes it, so that slices that meet have every task once.
//! - A page has 100 entities unless `limit` says less.
//! - A `next_token` belongs to its endpoint and all other parameters but `limit`.
//! - An id or a name that nothing has is 404, a parameter that is missing or can't be read is 400.
//! - An expanded batch or delivery names its project by id, but in listings of batches and deliveries `expand=project` expands
//!   that. A project or batch is the same object in every task: the first that the tasks hold, or one made up.
//! - A task is given as it was stored. Only `threads` is put right: empty unless the task is completed, and absent when the task
//!   was reported.

mod attachments;
mod endpoints;
mod entities;
mod fault;
mod gate;
mod load;
mod parameters;
mod server;
mod store;
mod token;
mod view;

use std::time::Duration;

pub use attachments::Attachments;
pub use entities::Delivery;
pub use server::Simulator;
pub use store::Store;

/// How the simulated API behaves. The default answers at once, always, and to any key.
#[derive(Clone, Debug, Default)]
pub struct SimulateOptions {
    /// How long each request takes at least.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// Requests a second, with a burst of as many; those beyond are answered 429 with `Retry-After`.
    pub rate_limit: Option<u32>,
    /// Decides which requests fail, and how.
    pub seed: u64,
    /// Serve what generated attachments are, too: the addresses in answers are such as can be asked.
    pub attachments: Option<Attachments>,
    /// The only API key that is accepted; without one every key is, but there must be one.
    pub token: Option<String>,
}

/// What goes wrong, and how often.
///
/// The same request (path and query) fails at most three times in a row, and a query loses at most three tokens, so a patient client
/// always gets through. Requests over the rate limit and with a wrong key don't count.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The share of requests that fail, 0 to 1.
    pub rate: f64,
    /// The ways to fail, each as likely as the others.
    pub kinds: Vec<Fault>,
    /// How long [`Fault::Stall`] takes.
    pub stall: Duration,
    /// What [`Fault::TooManyRequests`] asks to wait.
    pub retry_after_seconds: u64,
}

impl Default for Faults {
    /// No faults; once the rate is set, all kinds and stalls of a minute.
    fn default() -> Faults {
        Faults { rate: 0.0, kinds: Fault::ALL.to_vec(), stall: Duration::from_secs(60), retry_after_seconds: 1 }
    }
}

/// A way for a request to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 429 with `Retry-After`: 0, the seconds, and the same as a date in turn.
    TooManyRequests,
    /// 408.
    RequestTimeout,
    /// 500, 502, 503 and 504 in turn: with the API's error as JSON, a page of HTML, nothing, and HTML.
    ServerError,
    /// The connection ends without an answer.
    Reset,
    /// 200, but the connection ends in the middle of the body.
    Truncated,
    /// 200 with a page of HTML.
    NotJson,
    /// 200 with nothing.
    Empty,
    /// The right answer, late.
    Stall,
    /// 400 for a request with a `next_token`, which never works again: the query must be begun anew.
    ExpiredToken,
}

impl Fault {
    /// Every way to fail.
    pub const ALL: [Fault; 9] = [
        Fault::TooManyRequests,
        Fault::RequestTimeout,
        Fault::ServerError,
        Fault::Reset,
        Fault::Truncated,
        Fault::NotJson,
        Fault::Empty,
        Fault::Stall,
        Fault::ExpiredToken,
    ];
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// The path.
    pub path: String,
    /// The parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The status of the answer; 0 where the connection ended without one.
    pub status: u16,
}
