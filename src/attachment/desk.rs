//! Who asks on behalf of all: a thread of its own, so that those who work wait for the network only when they must.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::address::Addresses;
use super::fetch::{FetchOptions, Getter, Refusal};
use super::journal::Journal;
use super::report::AttachmentReport;
use super::{Content, Outcome};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::store::Store;

/// Takes orders, and tells what came of them.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    orders: Option<mpsc::Sender<Order>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
    /// What was ordered: some 100 bytes each. `None` while it is on its way.
    outcomes: HashMap<u128, Option<Outcome>>,
    journal: Option<Journal>,
    report: AttachmentReport,
    failed: Option<Arc<Error>>,
}

/// Orders that wait; who brings more waits himself.
const WAITING_ORDERS: usize = 4096;

/// How long nobody looks whether the run was asked to stop.
const GLANCE: Duration = Duration::from_millis(200);

impl Desk {
    /// Opens it. What is fetched goes into the store; on its way it lies in `scratch`, where what an earlier run fetched is told, too.
    pub(super) fn open(options: &FetchOptions, store: &Arc<dyn Store>, scratch: &Path) -> Result<Desk> {
        let mut state = State::default();
        if let Some((journal, found)) = Journal::open(scratch, &**store)? {
            state.report.resumed = found.len() as u64;
            state.journal = Some(journal);
            state.outcomes = found.into_iter().map(|(key, content)| (key, Some(Outcome::Kept(content)))).collect();
        }
        let shared = Arc::new(Shared { store: Arc::clone(store), state: Mutex::new(state), came: Condvar::new() });
        let getter = Arc::new(Getter::new(options, scratch.to_owned())?);
        let concurrency = options.concurrency.max(1);
        let (orders, waiting) = mpsc::channel(WAITING_ORDERS);
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let work = move || {
            let served = serve(&of_thread, getter, concurrency, waiting, stopped);
            if let Err(error) = served {
                of_thread.state().failed = Some(Arc::new(error));
                of_thread.came.notify_all();
            }
        };
        let thread = std::thread::Builder::new().name("taskloom-attachments".to_owned()).spawn(work);
        let thread = thread.map_err(Error::file("start a thread for", scratch))?;
        Ok(Desk { shared, orders: Some(orders), stop: Some(stop), thread: Some(thread) })
    }

    /// Orders a content, unless it was ordered before. Waits where too many are.
    pub(super) fn order(&self, key: u128, addresses: Addresses<'_>) {
        {
            let mut state = self.shared.state();
            if state.outcomes.contains_key(&key) {
                return;
            }
            state.outcomes.insert(key, None);
        }
        let order = Order { key, addresses: addresses.each().map(str::to_owned).collect() };
        // Without a thread that serves, whoever waits hears why.
        let _ = self.orders.as_ref().map(|orders| orders.blocking_send(order));
    }

    /// Whether a content was ordered.
    pub(super) fn is_ordered(&self, key: u128) -> bool {
        self.shared.state().outcomes.contains_key(&key)
    }

    /// What came of an order: waits for it.
    pub(super) fn outcome(&self, key: u128, progress: &Progress) -> Result<Outcome> {
        let mut state = self.shared.state();
        loop {
            if let Some(Some(outcome)) = state.outcomes.get(&key) {
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

    /// What was fetched is in a version now: no run has to go on with it.
    pub(super) fn forget(&self) {
        if let Some(journal) = self.shared.state().journal.take() {
            journal.remove();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.orders.take();
        // One that is asked for is of no use any more.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
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
        state.outcomes.insert(key, Some(outcome));
        drop(state);
        self.came.notify_all();
        Ok(())
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
        let mut is_open = true;
        while is_open || !asked.is_empty() {
            tokio::select! {
                _ = &mut stopped => break,
                order = orders.recv(), if is_open && asked.len() < concurrency => match order {
                    Some(Order { key, addresses }) => {
                        let (getter, store) = (Arc::clone(&getter), Arc::clone(&shared.store));
                        asked.spawn(async move { (key, fetch(&getter, store, &addresses).await) });
                    }
                    None => is_open = false,
                },
                Some(served) = asked.join_next() => {
                    let (key, came) = served.map_err(panicked)?;
                    shared.settle(key, came?)?;
                }
            }
        }
        Ok(())
    });
    runtime.shutdown_background();
    served
}

/// Fetches a content and makes it a file of the lake.
async fn fetch(
    getter: &Getter,
    store: Arc<dyn Store>,
    addresses: &[String],
) -> Result<std::result::Result<Content, Refusal>> {
    match getter.get(addresses).await? {
        Err(refusal) => Ok(Err(refusal)),
        Ok(body) => tokio::task::spawn_blocking(move || body.keep(&*store)).await.map_err(panicked)?.map(Ok),
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::Bug { place: "attachment::desk", found: error.to_string() }
}
