//! Pages from the Scale API. The only async part of the program: what leaves it are pages, in a bounded queue.
//!
//! ```text
//!           requests           arrivals             pages
//!  frontier ───────▶ client ─────────────▶ spool ─────────▶ the pipeline
//!      ▲               │      bounded: 16                 2
//!      └──── facts ────┘
//! ```
//!
//! `frontier` says what to ask: it keeps the `chain`s of pages, each of an `endpoint` and perhaps of a `slice` of time. `client` asks until
//! it is answered, `glance` finds in a page what the frontier must know, `pace` slows all down together, `fetch` keeps requests in the
//! air, `spool` writes pages to disk before they go on.

mod chain;
mod client;
mod endpoint;
mod fetch;
pub mod frontier;
mod glance;
mod pace;
pub mod query;
mod slice;
mod spool;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::pages::{Page, Spares};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::time::write_instant;
use client::Client;
use fetch::{Arrival, Fetcher};
use spool::{Event, Spool};

pub use client::Key;
pub use endpoint::Endpoint;
pub use frontier::{Frontier, Request};
pub use glance::Glance;
pub use query::{Query, Selector};
pub use spool::{Plan, is_unfinished};

/// How the API is reached, and what is asked of it.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Its address, without `/v2`.
    pub url: Url,
    /// The key.
    pub key: Key,
    /// What is asked, if no earlier run has begun it.
    pub plan: Plan,
    /// Requests at a time.
    pub concurrency: usize,
    /// How long failures are borne.
    pub patience: Patience,
    /// A limit of the user's.
    pub max_requests_per_second: Option<NonZeroU32>,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// Without a byte.
    pub read_timeout: Duration,
    /// Have answers compressed: not from this machine, where it costs more than it saves.
    pub is_compressed: bool,
    /// Drop what an earlier run received.
    pub is_restart: bool,
    /// Keep what was received, in `_taskloom/raw`.
    pub keeps_raw: bool,
    /// Commit although a delivery brought another number of tasks than it says.
    pub allows_count_mismatch: bool,
}

/// How long failures are borne.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts behind the first one.
    pub retries: u32,
    /// Time for all attempts of one request.
    pub retry_for: Duration,
    /// The wait before the second attempt, about; each further one is twice as long.
    pub first_wait: Duration,
}

impl Default for Patience {
    /// Bears an outage of five minutes.
    fn default() -> Patience {
        let retry_for = Duration::from_secs(600);
        Patience { retries: 60, retry_for, first_wait: Duration::from_millis(500) }
    }
}

/// Pages that wait for the pipeline: one to take while the next is written down.
const QUEUED_PAGES: usize = 2;

/// Pages that come in from the API. They end with `None`: without it the fetch has died.
pub type Incoming = Receiver<Option<Result<Page>>>;

/// A fetch under way. It is stopped when this value goes; who takes the pages must be gone before.
#[derive(Debug)]
pub struct Fetched {
    /// The spool and the frontier come here when all pages are handed out.
    end: oneshot::Receiver<Ended>,
    stop: Option<oneshot::Sender<()>>,
    outlet: Option<JoinHandle<()>>,
}

impl Drop for Fetched {
    /// Waits until the spool is let go, so that who comes next can have it.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(outlet) = self.outlet.take() {
            let _ = outlet.join();
        }
    }
}

/// A fetch at its end.
#[derive(Debug)]
pub struct Ended {
    spool: Spool,
    /// How many tasks the delivery says that it has.
    pub task_count: Option<u64>,
}

impl Ended {
    /// The spool's name.
    pub fn spool_id(&self) -> &str {
        &self.spool.plan().id
    }

    /// When the export began for the first time.
    pub fn began_at(&self) -> Option<String> {
        write_instant(self.spool.plan().began_at)
    }

    /// Puts away what was received: after the commit. Gives the file, if it was to be kept.
    pub fn finish(self, keep_as: Option<PathBuf>) -> Result<Option<PathBuf>> {
        self.spool.finish(keep_as.as_deref())?;
        Ok(keep_as)
    }
}

impl Fetched {
    /// What is left when the pages are at their end.
    pub fn end(mut self) -> Result<Ended> {
        self.end.try_recv().map_err(|_| Error::Reader)
    }
}

/// Begins to fetch, or goes on where an earlier run ended: first come the pages in the spool, then those of the API.
/// A spool whose pages are committed already is dropped.
pub fn fetch(
    config: &ApiConfig,
    (spool, committed): (&Path, Option<&str>),
    held_bytes: usize,
    spares: &Spares,
    progress: &Arc<Progress>,
) -> Result<(Incoming, Fetched)> {
    let mut spool = Spool::open(spool, config.plan.clone(), config.is_restart, committed)?;
    if config.keeps_raw {
        spool.keep()?;
    }
    let counts = progress.fetch();
    let plan = spool.plan();
    let mut frontier = Frontier::new(plan.query.clone(), plan.began_at, plan.page_size, plan.concurrency);
    let mut pages = 0;
    for entry in spool.entries() {
        match &entry.event {
            Event::Page { glance, .. } => {
                frontier.received(entry.chain, glance)?;
                pages += 1;
            }
            Event::Expired => frontier.expired(entry.chain)?,
        }
    }
    counts.spooled_pages.store(pages, Relaxed);
    if pages > 0 {
        let began_at = write_instant(plan.began_at);
        tracing::warn!(
            pages,
            began_at,
            "going on with an unfinished export, as of when it began: what changed later may be missing; --restart begins anew"
        );
    }
    if plan.concurrency < config.concurrency {
        let (begun, now) = (plan.concurrency, config.concurrency);
        tracing::warn!(
            begun,
            now,
            "an unfinished export goes on with the --concurrency that it began with; --restart begins anew"
        );
    }
    let client = Arc::new(Client::new(config, &counts, spares.clone())?);
    let fetcher = Fetcher { client, frontier, concurrency: config.concurrency, held_bytes, counts };
    Ok(start(fetcher, spool))
}

fn start(fetcher: Fetcher, spool: Spool) -> (Incoming, Fetched) {
    let (arrivals, arrived) = mpsc::channel(1);
    let (sender, pages) = bounded(QUEUED_PAGES);
    let (stop, stopped) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    let (walked, frontier) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = walked.send(walk(fetcher, arrivals, stopped));
    });
    let outlet = std::thread::spawn(move || {
        let mut outlet = Outlet { spool, to: sender, sequence: 0, byte: 0 };
        let outcome = outlet.pass_on(arrived).and_then(|()| {
            let frontier = frontier.blocking_recv().map_err(|_| Error::Reader)??;
            Ok(frontier.task_count())
        });
        let last = match outcome {
            Ok(task_count) => {
                let _ = ended.send(Ended { spool: outlet.spool, task_count });
                None
            }
            Err(error) => Some(Err(error)),
        };
        // Without a receiver the run is over.
        let _ = outlet.to.send(last);
    });
    (pages, Fetched { end, stop: Some(stop), outlet: Some(outlet) })
}

fn walk(fetcher: Fetcher, arrivals: mpsc::Sender<Arrival>, stopped: oneshot::Receiver<()>) -> Result<Frontier> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Client { reason: error.to_string() })?;
    let walked = runtime.block_on(async {
        tokio::select! {
            walked = fetcher.run(arrivals) => walked,
            _ = stopped => Err(Error::Reader),
        }
    });
    // Requests that are in the air are of no use any more.
    runtime.shutdown_background();
    walked
}

/// From arrivals to the spool and on to the pipeline.
struct Outlet {
    spool: Spool,
    to: Sender<Option<Result<Page>>>,
    sequence: u64,
    byte: u64,
}

impl Outlet {
    fn pass_on(&mut self, mut arrived: mpsc::Receiver<Arrival>) -> Result<()> {
        for line in self.spool.lines()? {
            self.hand_out(line?)?;
        }
        while let Some(arrival) = arrived.blocking_recv() {
            match arrival {
                Arrival::Page(chain, glance, body) => {
                    let line = self.spool.append(chain, glance, body)?;
                    self.hand_out(line)?;
                }
                Arrival::Expired(chain) => self.spool.note_expired(chain)?,
            }
        }
        Ok(())
    }

    /// A page of the API is one line of the spool: so places in it are also places in the kept file.
    fn hand_out(&mut self, bytes: Vec<u8>) -> Result<()> {
        let (sequence, byte, input_bytes) = (self.sequence, self.byte, bytes.len() as u64);
        self.sequence += 1;
        self.byte += input_bytes;
        let page = Page { sequence, input: 0, byte, line: sequence + 1, input_bytes, bytes, values: None };
        self.to.send(Some(Ok(page))).map_err(|_| Error::Reader)
    }
}
