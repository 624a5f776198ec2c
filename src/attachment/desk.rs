//! Who asks on behalf of all: a thread of its own, so that those who work wait for the network only when they must.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use xxhash_rust::xxh3::xxh3_64;

use super::address::Addresses;
use super::fetch::{FetchOptions, Getter, Refusal};
use super::host::{is_of_web, shown};
use super::journal::Journal;
use super::report::AttachmentReport;
use super::{Content, Failure, Outcome, Sha256};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::store::Store;

/// Takes orders, and tells what came of them.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    /// `None` once it has ended.
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

/// A content that is wanted.
#[derive(Debug)]
struct Order {
    key: u128,
    addresses: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    /// Told when something has come.
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What was ordered: some 120 bytes each.
    ordered: HashMap<u128, Ordered>,
    journal: Option<Journal>,
    /// What an earlier run has fetched, and nobody has ordered yet.
    resumed: HashMap<u128, Content>,
    /// What this run made files of.
    put: HashSet<Sha256>,
    report: AttachmentReport,
    failed: Option<Arc<Error>>,
}

/// A content that was ordered.
#[derive(Debug)]
struct Ordered {
    /// By which spelling of its addresses: a fresh one may bring what an expired one did not.
    spelling: u64,
    /// `None` while it is on its way.
    outcome: Option<Outcome>,
}

/// Orders that wait; who brings more waits himself.
const WAITING_ORDERS: usize = 4096;

/// How long nobody looks whether the run was asked to stop.
const GLANCE: Duration = Duration::from_millis(200);

/// How long the end waits for files that are being written.
const ENDING: Duration = Duration::from_secs(30);

impl Desk {
    /// Opens it. What is fetched goes into the store; on its way it lies in `scratch`, where what an earlier run fetched is told, too.
    pub(super) fn open(options: &FetchOptions, store: &Arc<dyn Store>, scratch: &Path) -> Result<Desk> {
        let mut state = State::default();
        if let Some((journal, found)) = Journal::open(scratch, &**store)? {
            (state.journal, state.resumed) = (Some(journal), found);
        }
        let shared = Arc::new(Shared { store: Arc::clone(store), state: Mutex::new(state), came: Condvar::new() });
        let getter = Arc::new(Getter::new(options, scratch.to_owned())?);
        let concurrency = options.concurrency.max(1);
        let (orders, waiting) = mpsc::channel(WAITING_ORDERS);
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let work = move || {
            let serve = || serve(&of_thread, getter, concurrency, waiting, stopped);
            let panicked = |_| Err(Error::Bug { place: "attachment::desk", found: "a panic".to_owned() });
            if let Err(error) = catch_unwind(AssertUnwindSafe(serve)).unwrap_or_else(panicked) {
                of_thread.state().failed = Some(Arc::new(error));
                of_thread.came.notify_all();
            }
        };
        let thread = std::thread::Builder::new().name("taskloom-attachments".to_owned()).spawn(work);
        let thread = thread.map_err(Error::file("start a thread for", scratch))?;
        Ok(Desk { shared, orders, thread: Mutex::new(Some((stop, thread))) })
    }

    /// Orders a content, unless it is here, or on its way, or was ordered by the same addresses in vain. Waits where too many are ordered,
    /// but not once `progress` was asked to stop.
    pub(super) fn order(&self, key: u128, addresses: Addresses<'_>, progress: &Progress) {
        if !self.shared.state().is_to_be_asked(key, addresses) {
            return;
        }
        let addresses = addresses.each().filter(|address| is_of_web(address)).map(str::to_owned);
        let mut order = Order { key, addresses: addresses.collect() };
        // Without a thread that serves, or when all is to end, whoever waits for it hears why.
        while progress.check().is_ok() {
            match self.orders.try_send(order) {
                Err(mpsc::error::TrySendError::Full(refused)) => order = refused,
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
            let state = self.shared.state();
            drop(self.shared.came.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether a content was ordered.
    pub(super) fn is_ordered(&self, key: u128) -> bool {
        self.shared.state().ordered.contains_key(&key)
    }

    /// What came of an order: waits for it. Where it was ordered by other addresses in vain, these are tried too.
    pub(super) fn outcome(&self, key: u128, addresses: Addresses<'_>, progress: &Progress) -> Result<Outcome> {
        let outcome = self.wait(key, progress)?;
        if matches!(outcome, Outcome::Kept(_)) {
            return Ok(outcome);
        }
        self.order(key, addresses, progress);
        self.wait(key, progress)
    }

    fn wait(&self, key: u128, progress: &Progress) -> Result<Outcome> {
        let mut state = self.shared.state();
        loop {
            if let Some(outcome) = state.ordered.get(&key).and_then(|ordered| ordered.outcome.as_ref()) {
                return Ok(outcome.clone());
            }
            if let Some(error) = &state.failed {
                return Err(Error::Attachments(Arc::clone(error)));
            }
            progress.check()?;
            state = self.shared.came.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn report(&self) -> AttachmentReport {
        self.shared.state().report.clone()
    }

    /// What was ordered is in a version now: no run has to go on with it.
    pub(super) fn committed(&self) -> Result<()> {
        let mut state = self.shared.state();
        let left = std::mem::take(&mut state.resumed);
        state.journal.take().map_or(Ok(()), |journal| journal.leave(&left))
    }

    /// Ends it; gives what it made files of.
    pub(super) fn end(&self) -> HashSet<Sha256> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = thread {
            // What is being asked for is of no use any more.
            let _ = stop.send(());
            let _ = thread.join();
        }
        std::mem::take(&mut self.shared.state().put)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    /// Notes an order; false where nobody has to be asked.
    fn is_to_be_asked(&mut self, key: u128, addresses: Addresses<'_>) -> bool {
        let spelling = xxh3_64(addresses.each().collect::<Vec<_>>().join("\n").as_bytes());
        if let Some(earlier) = self.ordered.get(&key) {
            let has_failed = matches!(earlier.outcome, Some(Outcome::Failed(_)));
            if !has_failed || earlier.spelling == spelling {
                return false;
            }
            self.report.forget(&earlier.outcome);
        }
        let outcome = if let Some(content) = self.resumed.remove(&key) {
            self.report.resumed += 1;
            Some(Outcome::Kept(content))
        } else if addresses.each().any(is_of_web) {
            None
        } else {
            let address = addresses.each().next().map(shown).unwrap_or_default();
            self.report.note(Failure::Unsupported, address, "it is no address of the web".to_owned());
            Some(Outcome::Failed(Failure::Unsupported))
        };
        let is_settled = outcome.is_some();
        self.ordered.insert(key, Ordered { spelling, outcome });
        !is_settled
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, key: u128, came: std::result::Result<Content, Refusal>) -> Result<()> {
        let mut state = self.state();
        let outcome = match came {
            Ok(content) => {
                state.report.fetched += 1;
                state.report.fetched_bytes += content.bytes;
                if let Some(journal) = &mut state.journal {
                    journal.note(key, &content)?;
                }
                Outcome::Kept(content)
            }
            Err(Refusal { failure, address, reason }) => {
                tracing::info!(address, reason, "no attachment");
                state.report.note(failure, address, reason);
                Outcome::Failed(failure)
            }
        };
        if let Some(ordered) = state.ordered.get_mut(&key) {
            ordered.outcome = Some(outcome);
        }
        drop(state);
        self.came.notify_all();
        Ok(())
    }

    /// Makes a body a file of the lake.
    fn keep(&self, body: super::body::Body) -> Result<Content> {
        let content = body.keep(&*self.store)?;
        self.state().put.insert(content.sha256);
        Ok(content)
    }
}

type Served = (u128, Result<std::result::Result<Content, Refusal>>);

fn serve(
    shared: &Arc<Shared>,
    getter: Arc<Getter>,
    concurrency: usize,
    mut orders: mpsc::Receiver<Order>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(concurrency).build();
    let runtime = runtime.map_err(|error| Error::Client { reason: error.to_string() })?;
    let served = runtime.block_on(async {
        let mut asked: JoinSet<Served> = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => return Ok(()),
                Some(Order { key, addresses }) = orders.recv(), if asked.len() < concurrency => {
                    let (getter, shared) = (Arc::clone(&getter), Arc::clone(shared));
                    asked.spawn(async move { (key, fetch(&getter, shared, &addresses).await) });
                }
                Some(served) = asked.join_next() => {
                    let (key, came) = served.map_err(panicked)?;
                    shared.settle(key, came?)?;
                }
            }
        }
    });
    // A file that is being written is whole before anybody looks for it.
    runtime.shutdown_timeout(ENDING);
    served
}

/// Fetches a content and makes it a file of the lake.
async fn fetch(
    getter: &Getter,
    shared: Arc<Shared>,
    addresses: &[String],
) -> Result<std::result::Result<Content, Refusal>> {
    match getter.get(addresses).await? {
        Err(refusal) => Ok(Err(refusal)),
        Ok(body) => tokio::task::spawn_blocking(move || shared.keep(body)).await.map_err(panicked)?.map(Ok),
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::Bug { place: "attachment::desk", found: error.to_string() }
}
