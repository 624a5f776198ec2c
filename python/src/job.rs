//! Work that takes a while: done by a thread of its own, while the one that asked hears signals and tells how far it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use taskloom::{Counts, Error, Progress, Result, Stage};

use crate::failure::exception;
use crate::lines::Records;
use crate::log;

/// How often signals are heard.
const BEAT: Duration = Duration::from_millis(50);

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// SIGINT.
const INTERRUPT: i32 = 2;

/// Does the work without the interpreter's lock, hands out its records, and calls `on_progress` with what has been done. Ctrl-C, and an
/// exception in either, stop the work before it shows.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    on_progress: Option<&Bound<'_, PyAny>>,
    records: Option<Records<'_>>,
    work: impl FnOnce(&Arc<Progress>) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let progress = Arc::new(Progress::default());
    // What can't be called is told of before anything is done.
    on_progress.map_or(Ok(()), |on_progress| tell(py, on_progress, &progress.counts()))?;
    let ended = start(Arc::clone(&progress), work);
    let (mut records, mut piece) = (records, None);
    let (mut stopped, mut told) = (None, Instant::now());
    let result = loop {
        let mut look = py.check_signals();
        if look.is_ok() && stopped.is_none() && piece.is_none() {
            look = records.as_mut().map_or(Ok(None), Records::take).map(|taken| piece = taken);
            if look.is_ok() && piece.is_none() {
                // The lines are at their end.
                records = None;
            }
        }
        let on_progress = on_progress.filter(|_| stopped.is_none() && told.elapsed() >= TOLD_EVERY);
        if let (Ok(()), Some(on_progress)) = (&look, on_progress) {
            told = Instant::now();
            look = tell(py, on_progress, &progress.counts());
        }
        if let Err(error) = look {
            stopped.get_or_insert(error);
            progress.stop(INTERRUPT);
        }
        let to = records.as_ref().map(|records| &records.to).filter(|_| stopped.is_none());
        if let Some(result) = py.detach(|| wait(&ended, to, &mut piece)) {
            break result;
        }
        log::pass_on(py);
    };
    log::pass_on(py);
    match result {
        // It was done before anybody could stop it, and shows: that comes first.
        Ok(value) => {
            if let Some(on_progress) = on_progress.filter(|_| stopped.is_none()) {
                stopped = tell(py, on_progress, &progress.counts()).err();
            }
            if let Some(error) = stopped {
                raise_later(py, error);
            }
            Ok(value)
        }
        Err(error) => Err(stopped.unwrap_or_else(|| exception(py, &error))),
    }
}

/// Lets an exception be heard that came too late to stop anything: Ctrl-C by what the caller does next, another one as one that nobody can
/// take.
fn raise_later(py: Python<'_>, error: PyErr) {
    let is_interrupt = error.is_instance_of::<PyKeyboardInterrupt>(py);
    let raised = is_interrupt.then(|| py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main")));
    if !matches!(raised, Some(Ok(_))) {
        error.write_unraisable(py, None);
    }
}

/// Does the work in a thread of its own; a panic is an error.
fn start<T: Send + 'static>(
    progress: Arc<Progress>,
    work: impl FnOnce(&Arc<Progress>) -> Result<T> + Send + 'static,
) -> Receiver<Result<T>> {
    let (done, ended) = bounded(1);
    std::thread::spawn(move || {
        // Threads of its own: those that all of a process share are gone where it was forked.
        let work = || ThreadPoolBuilder::new().build().map_err(no_threads)?.install(|| work(&progress));
        let panicked = |_| Err(Error::Bug { place: "a job", found: "a panic".to_owned() });
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked));
    });
    ended
}

fn no_threads(source: ThreadPoolBuildError) -> Error {
    Error::Threads { threads: 0, source }
}

/// Waits for the end of the work, until lines are taken, or for a beat.
fn wait<T>(
    ended: &Receiver<Result<T>>,
    to: Option<&Sender<Vec<u8>>>,
    piece: &mut Option<Vec<u8>>,
) -> Option<Result<T>> {
    let no_result = || Err(Error::Bug { place: "a job", found: "no result".to_owned() });
    let Some(to) = to.filter(|_| piece.is_some()) else {
        return match ended.recv_timeout(BEAT) {
            Err(RecvTimeoutError::Timeout) => None,
            result => Some(result.unwrap_or_else(|_| no_result())),
        };
    };
    select! {
        recv(ended) -> result => Some(result.unwrap_or_else(|_| no_result())),
        // Nobody takes them any more where the work has ended.
        send(to, piece.take().unwrap_or_default()) -> _ => None,
        default(BEAT) => None,
    }
}

fn tell(py: Python<'_>, on_progress: &Bound<'_, PyAny>, counts: &Counts) -> PyResult<()> {
    let told = PyDict::new(py);
    let stage = match counts.stage {
        Stage::Reading => "reading",
        Stage::Building => "building",
        Stage::Merging => "merging",
        Stage::Committing => "committing",
    };
    told.set_item("stage", stage)?;
    for (name, count) in [
        ("total_bytes", counts.total_bytes),
        ("read_bytes", Some(counts.read_bytes)),
        ("buffered_bytes", Some(counts.buffered_bytes)),
        ("built_bytes", Some(counts.built_bytes)),
        ("tasks", Some(counts.tasks)),
        ("expected_tasks", counts.expected_tasks),
        ("parts", Some(counts.parts)),
        ("done_parts", Some(counts.done_parts)),
        ("requests", Some(counts.requests)),
        ("pages", Some(counts.pages)),
        ("retries", Some(counts.retries)),
    ] {
        told.set_item(name, count)?;
    }
    on_progress.call1((told,)).map(drop)
}
