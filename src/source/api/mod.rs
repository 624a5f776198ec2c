//! Pages from the Scale API. The only async part of the program: what leaves it are pages, in a bounded queue.
//!
//! ```text
//!           requests           arrivals                     pages
//!  frontier ───────▶ client ─────────────▶ press ──▶ spool ─────────▶ the pipeline
//!      ▲               │      bounded: 16                         2
//!      └──── facts ────┘
//! ```
//!
//! `frontier` says what to ask: it keeps the `chain`s of pages, each of an `endpoint` and perhaps of a `slice` of time. `client` asks until
//! it is answered, `glance` finds in a page what the frontier must know, `pace` slows all down together, `fetch` keeps requests in the
//! air and pages in the press, which takes their secrets and compresses them on all cores, `spool` writes pages to disk before they go on.

mod address;
mod began;
mod chain;
mod client;
mod confirm;
mod endpoint;
mod fetch;
pub mod frontier;
mod glance;
mod pace;
pub mod query;
mod slice;
mod spool;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::blocks::{Block, Spares};
use super::feed::{Accounted, Feed, Opening, Tail};
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::progress::{ApiCounts, Progress};
use crate::report::{FetchReport, LeftOut};
use crate::store::Store;
use crate::time::write_instant;
use client::Client;
use fetch::{Arrival, Fetcher};
use spool::{Earlier, Event, Spool};

pub use address::{address, is_loopback};
pub use began::earliest;
pub use client::{Key, chain, retry_after, waits};
pub use frontier::{Absences, Frontier};
pub use query::{Query, Selector};
pub use spool::{Moving, Plan};

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
    pub max_requests_per_second: Option<f64>,
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
    /// Commit although the API has none of the tasks that are asked for by id.
    pub allows_absent_tasks: bool,
    /// The scheduled job that it is a run of, by a name that a file can have. What an earlier run of it received, and did not commit, gives
    /// way where this one asks for something else.
    pub job: Option<String>,
}

impl ApiConfig {
    /// The way to the API at an address, for this plan, as patient and as careful as can be.
    pub fn new(url: Url, key: Key, plan: Plan) -> ApiConfig {
        ApiConfig {
            key,
            concurrency: plan.concurrency,
            plan,
            patience: Patience::default(),
            max_requests_per_second: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            is_compressed: !is_loopback(&url),
            is_restart: false,
            keeps_raw: false,
            allows_count_mismatch: false,
            allows_absent_tasks: false,
            job: None,
            url,
        }
    }

    /// Whose tasks these are: a job that begins to ask another account begins anew. A port of this machine is anybody's.
    pub fn origin(&self) -> String {
        match self.is_local() {
            true => format!("this machine with a {} key", self.key.kind()),
            false => self.account(),
        }
    }

    /// Whose pages come: what test data brought is not gone on with for live data.
    fn account(&self) -> String {
        format!("{}{} with a {} key", self.url.origin().ascii_serialization(), self.url.path(), self.key.kind())
    }

    /// True where the API is on this machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }
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

/// Pages on their way to the pipeline.
type Incoming = Receiver<Option<Result<Block>>>;

/// An export under way. It is stopped when this value goes; who takes the pages must be gone before.
#[derive(Debug)]
struct Export {
    /// The spool and the frontier come here when all pages are handed out.
    end: oneshot::Receiver<Ended>,
    ended: Option<Ended>,
    stop: Option<oneshot::Sender<()>>,
    outlet: Option<JoinHandle<()>>,
    config: Box<ApiConfig>,
}

/// An export whose pages are handed out.
#[derive(Debug)]
struct Ended {
    spool: Spool,
    /// How many tasks the delivery says that it has.
    task_count: Option<u64>,
    /// The deliveries of which every task was asked for.
    accounted: Accounted,
    absences: Absences,
}

impl Drop for Export {
    /// Waits until the spool is let go, so that who comes next can have it.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(outlet) = self.outlet.take() {
            let _ = outlet.join();
        }
    }
}

impl Tail for Export {
    fn close(&mut self) -> Result<()> {
        self.ended = Some(self.end.try_recv().map_err(|_| Error::Reader)?);
        Ok(())
    }

    /// The spool's name.
    fn receipt(&self) -> Option<String> {
        self.ended.as_ref().map(|ended| ended.spool.plan().id.clone())
    }

    fn expected_tasks(&self) -> Option<u64> {
        self.ended.as_ref().filter(|_| !self.config.allows_count_mismatch).and_then(|ended| ended.task_count)
    }

    fn accounted(&self) -> Accounted {
        let ended = self.ended.as_ref().filter(|_| !self.config.allows_count_mismatch);
        ended.map_or(Accounted::None, |ended| ended.accounted.clone())
    }

    fn are_gone(&self, ids: &[String], progress: &Progress) -> Result<Vec<bool>> {
        let query = self.ended.as_ref().map_or(&self.config.plan.query, |ended| &ended.spool.plan().query);
        confirm::are_gone(&self.config, query, ids, progress)
    }

    fn report(&self, progress: &Progress) -> FetchReport {
        let began_at = self.ended.as_ref().and_then(|ended| write_instant(ended.spool.plan().began_at));
        let Absences { task_ids, listings } =
            self.ended.as_ref().map(|ended| ended.absences.clone()).unwrap_or_default();
        let left_out = listings.into_iter().map(|(endpoint, status)| LeftOut { path: endpoint.path(), status });
        FetchReport {
            missing_task_ids: task_ids,
            left_out: left_out.collect(),
            ..FetchReport::of(&progress.api(), began_at)
        }
    }

    fn put_away(
        mut self: Box<Self>,
        store: &dyn Store,
        path: &str,
        forgotten: Option<&Forgotten>,
    ) -> Result<Option<PathBuf>> {
        let ended = self.ended.take().ok_or(Error::Reader)?;
        let keep_as = self.config.keeps_raw.then(|| format!("{path}.ndjson.zst"));
        ended.spool.finish(keep_as.as_deref().map(|path| (store, path)), forgotten)?;
        Ok(keep_as.map(|path| store.place().join(path)))
    }
}

/// Where an export writes down what it receives, in the folder for what is in work; version 0.1.0 had it in the lake's own folder.
const SPOOL: &str = "spool.ndjson.zst";

/// The same for a job, beside those of others.
fn spool_of(job: Option<&str>) -> String {
    job.map_or_else(|| SPOOL.to_owned(), |job| format!("spool-{job}.ndjson.zst"))
}

/// Where version 0.1.0 had it.
fn spool_in(lake: Option<&Path>) -> Option<PathBuf> {
    Some(lake?.join("_taskloom").join(SPOOL))
}

/// Says so where an export has left pages that are not committed: who reads from elsewhere might not think of it.
pub(super) fn warn_of_unfinished(opening: Opening<'_>) {
    for spool in [Some(opening.work_dir.join(SPOOL)), spool_in(opening.lake)].into_iter().flatten() {
        if spool::is_unfinished(&spool, opening.committed) {
            let spool = spool.display();
            tracing::warn!(%spool, "an export into this lake was begun and has not ended: its command goes on with it after this run");
        }
    }
}

/// Begins to fetch, or goes on where an earlier run ended: first come the pages in the spool, then those of the API.
/// A spool whose pages are committed already is dropped.
pub(super) fn open(config: &ApiConfig, opening: Opening<'_>, progress: &Arc<Progress>) -> Result<Feed> {
    let place = opening.work_dir.join(spool_of(config.job.as_deref()));
    if let Some(earlier) = spool_in(opening.lake).filter(|_| config.job.is_none()) {
        spool::adopt(&earlier, &place)?;
    }
    let plan = config.plan.clone().of_account(config.account());
    let other = match (config.is_restart, &config.job) {
        (true, _) => Earlier::Dropped,
        (false, Some(_)) => Earlier::DroppedIfOther,
        (false, None) => Earlier::Kept,
    };
    let spool = Spool::open(&place, plan, other, opening.committed)?;
    let press = Arc::new(spool.press(config.keeps_raw));
    let (spares, counts) = (Spares::default(), progress.api());
    let frontier = replay(&spool, config, &counts)?;
    let client = Arc::new(Client::new(config, &counts, spares.clone())?);
    let fetcher = Fetcher {
        client,
        frontier,
        press,
        // Who calls the library may say 0, which rayon takes for all cores and tokio does not take.
        presses: opening.threads.max(1),
        concurrency: config.concurrency,
        held_bytes: opening.held_bytes,
        counts,
        allows_absent_tasks: config.allows_absent_tasks,
        refusal: None,
    };
    let (pages, export) = start(fetcher, spool, config);
    Ok(Feed::of_thread(pages, spares, Box::new(export)))
}

/// The frontier behind what stands in the spool.
fn replay(spool: &Spool, config: &ApiConfig, counts: &ApiCounts) -> Result<Frontier> {
    let plan = spool.plan();
    let frontier = Frontier::new(plan.query.clone(), plan.began_at, plan.page_size, plan.concurrency);
    let mut frontier = frontier.knowing(plan.known_deliveries.clone());
    let mut pages = 0;
    for entry in spool.entries() {
        match &entry.event {
            Event::Page { glance, .. } => {
                frontier.received(entry.chain, glance)?;
                pages += 1;
            }
            Event::Expired => frontier.expired(entry.chain)?,
            Event::Absent { status } => frontier.absent(entry.chain, *status)?,
        }
    }
    counts.spooled_pages.store(pages, Relaxed);
    if pages > 0 {
        let began_at = write_instant(plan.began_at);
        tracing::warn!(
            pages,
            began_at,
            "going on with an unfinished export, as of when it began: what changed later may be missing"
        );
    }
    if plan.concurrency < config.concurrency {
        let (begun, now) = (plan.concurrency, config.concurrency);
        tracing::warn!(begun, now, "an unfinished export goes on with as many requests at a time as it began with");
    }
    Ok(frontier)
}

fn start(fetcher: Fetcher, spool: Spool, config: &ApiConfig) -> (Incoming, Export) {
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
            Ok((frontier.task_count(), frontier.accounted(), frontier.absences().clone()))
        });
        let last = match outcome {
            Ok((task_count, accounted, absences)) => {
                let _ = ended.send(Ended { spool: outlet.spool, task_count, accounted, absences });
                None
            }
            Err(error) => Some(Err(error)),
        };
        // Without a receiver the run is over.
        let _ = outlet.to.send(last);
    });
    let (stop, outlet) = (Some(stop), Some(outlet));
    (pages, Export { end, ended: None, stop, outlet, config: Box::new(config.clone()) })
}

fn walk(fetcher: Fetcher, arrivals: mpsc::Sender<Arrival>, stopped: oneshot::Receiver<()>) -> Result<Frontier> {
    let runtime = runtime(fetcher.presses)?;
    let walked = runtime.block_on(async {
        tokio::select! {
            walked = fetcher.run(arrivals) => walked,
            _ = stopped => Err(Error::Reader),
        }
    });
    // Requests that are in the air are of no use any more, nor are pages in the press.
    runtime.shutdown_background();
    walked
}

/// What requests are sent by: the thread that waits for them, and so many for what would keep it from that.
fn runtime(aside: usize) -> Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(aside).build();
    runtime.map_err(|error| Error::Client { reason: error.to_string() })
}

/// From arrivals to the spool and on to the pipeline.
struct Outlet {
    spool: Spool,
    to: Sender<Option<Result<Block>>>,
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
                Arrival::Page(chain, glance, page) => {
                    self.spool.append(chain, glance, &page)?;
                    self.hand_out(page.line)?;
                }
                Arrival::Note(chain, event) => self.spool.note(chain, event)?,
            }
        }
        Ok(())
    }

    /// A page of the API is one line of the spool: so places in it are also places in the kept file.
    fn hand_out(&mut self, bytes: Vec<u8>) -> Result<()> {
        let (sequence, byte, input_bytes) = (self.sequence, self.byte, bytes.len() as u64);
        self.sequence += 1;
        self.byte += input_bytes;
        let page =
            Block { sequence, input: 0, byte, line: sequence + 1, input_bytes, bytes, values: None, is_kept: false };
        self.to.send(Some(Ok(page))).map_err(|_| Error::Reader)
    }
}
