//! A run as it goes: counters for whoever looks on, and the wish to stop.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, Result};

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the inputs; parts that are full are built meanwhile.
    Reading,
    /// All is read: the rest is being built.
    Building,
    /// Looking for what the lake has of it, and writing anew the parts that it changes.
    Merging,
    /// Bringing the files onto the disk and into place.
    Committing,
}

/// Counters of one run. The run writes, others look on.
#[derive(Debug)]
pub struct Progress {
    stage: AtomicU8,
    total_bytes: AtomicU64,
    read_bytes: AtomicU64,
    buffered_bytes: AtomicU64,
    built_bytes: AtomicU64,
    tasks: AtomicU64,
    parts: AtomicU64,
    done_parts: AtomicU64,
    api: Arc<ApiCounts>,
    /// The signal that asked to stop; 0 for none.
    signal: AtomicI32,
    wake: Sender<()>,
    woken: Receiver<()>,
}

/// Counters of what comes from the API.
#[derive(Debug, Default)]
pub struct ApiCounts {
    /// Requests sent, each attempt counted.
    pub requests: AtomicU64,
    /// Attempts behind the first ones.
    pub retries: AtomicU64,
    /// Pages received.
    pub pages: AtomicU64,
    /// Pages that an earlier run received.
    pub spooled_pages: AtomicU64,
    /// Chains of pages that are not at their end.
    pub chains: AtomicU64,
    /// Milliseconds for which requests waited because the API had too much, added up.
    pub waited_ms: AtomicU64,
    /// How many tasks there will be; 0 where it is not known.
    pub expected_tasks: AtomicU64,
}

impl ApiCounts {
    /// The pages that came, those of an earlier run with them.
    pub fn all_pages(&self) -> u64 {
        self.pages.load(Relaxed) + self.spooled_pages.load(Relaxed)
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// What the run is doing.
    pub stage: Stage,
    /// Bytes of all inputs as they lie on the disk; `None` where one has no size, such as a pipe.
    pub total_bytes: Option<u64>,
    /// How many of them are read.
    pub read_bytes: u64,
    /// Bytes of JSON, decompressed, that wait in buffers or have left them.
    pub buffered_bytes: u64,
    /// How many of them are staged as files.
    pub built_bytes: u64,
    /// Tasks read.
    pub tasks: u64,
    /// Parts that a merge looks into or writes, as far as they are known.
    pub parts: u64,
    /// How many of them are done.
    pub done_parts: u64,
    /// Requests to the API.
    pub requests: u64,
    /// Pages that came of them.
    pub pages: u64,
    /// Chains of pages that are not at their end.
    pub chains: u64,
    /// Attempts behind the first ones.
    pub retries: u64,
    /// True if requests have waited because the API had too much.
    pub is_slowed: bool,
    /// How many tasks there will be, where it is known.
    pub expected_tasks: Option<u64>,
}

impl Default for Progress {
    fn default() -> Progress {
        let (wake, woken) = bounded(1);
        let zero = || AtomicU64::new(0);
        Progress {
            stage: AtomicU8::new(Stage::Reading as u8),
            total_bytes: zero(),
            read_bytes: zero(),
            buffered_bytes: zero(),
            built_bytes: zero(),
            tasks: zero(),
            parts: zero(),
            done_parts: zero(),
            api: Arc::default(),
            signal: AtomicI32::new(0),
            wake,
            woken,
        }
    }
}

impl Progress {
    /// The counters now.
    pub fn counts(&self) -> Counts {
        let stage = match self.stage.load(Relaxed) {
            0 => Stage::Reading,
            1 => Stage::Building,
            2 => Stage::Merging,
            _ => Stage::Committing,
        };
        Counts {
            stage,
            total_bytes: Some(self.total_bytes.load(Relaxed)).filter(|bytes| *bytes > 0),
            read_bytes: self.read_bytes.load(Relaxed),
            buffered_bytes: self.buffered_bytes.load(Relaxed),
            built_bytes: self.built_bytes.load(Relaxed),
            tasks: self.tasks.load(Relaxed),
            parts: self.parts.load(Relaxed),
            done_parts: self.done_parts.load(Relaxed),
            requests: self.api.requests.load(Relaxed),
            pages: self.api.all_pages(),
            chains: self.api.chains.load(Relaxed),
            retries: self.api.retries.load(Relaxed),
            is_slowed: self.api.waited_ms.load(Relaxed) > 0,
            expected_tasks: Some(self.api.expected_tasks.load(Relaxed)).filter(|tasks| *tasks > 0),
        }
    }

    /// The counters of what comes from the API.
    pub fn api(&self) -> Arc<ApiCounts> {
        Arc::clone(&self.api)
    }

    /// Asks the run to stop, as a signal would. A run whose commit has begun goes on to its end.
    pub fn stop(&self, signal: i32) {
        self.signal.store(signal, Relaxed);
        let _ = self.wake.try_send(());
    }

    /// An error if the run was asked to stop.
    pub fn check(&self) -> Result<()> {
        match self.signal.load(Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Interrupted { signal }),
        }
    }

    /// Hears of the wish to stop, for one that waits for other things too.
    pub(crate) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    pub(crate) fn expect(&self, total_bytes: Option<u64>) {
        self.total_bytes.store(total_bytes.unwrap_or(0), Relaxed);
    }

    pub(crate) fn buffered(&self, bytes: u64, tasks: u64) {
        self.buffered_bytes.fetch_add(bytes, Relaxed);
        self.tasks.fetch_add(tasks, Relaxed);
    }

    /// A merge has these parts before it, too.
    pub(crate) fn expect_parts(&self, parts: usize) {
        self.parts.fetch_add(parts as u64, Relaxed);
    }

    /// Does something with a part of a merge, unless the run was asked to stop.
    pub(crate) fn part<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check()?;
        let done = act()?;
        self.done_parts.fetch_add(1, Relaxed);
        Ok(done)
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn built(&self, bytes: u64) {
        self.built_bytes.fetch_add(bytes, Relaxed);
    }
}

/// A stream whose bytes are counted as read.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    pub stream: R,
    pub progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.progress.read(bytes as u64);
        Ok(bytes)
    }
}
