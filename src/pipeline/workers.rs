//! The threads that work.

use crate::error::{Error, Result};

/// A pool of threads; with one thread, jobs are done at once and the caller waits.
#[derive(Debug)]
pub(super) struct Workers {
    pool: rayon::ThreadPool,
    is_alone: bool,
}

/// A thread may have as many parts on its stack as are built at a time, and one takes less than 64 KiB: enough for 128 threads at
/// the very worst. Untouched stack costs no memory.
const STACK_BYTES: usize = 16 * 1024 * 1024;

impl Workers {
    pub(super) fn start(threads: usize) -> Result<Workers> {
        let named = |index| format!("taskloom-{index}");
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).stack_size(STACK_BYTES).build();
        let pool = pool.map_err(|source| Error::Threads { threads, source })?;
        Ok(Workers { pool, is_alone: threads == 1 })
    }

    /// True where one thread does all work, reading included.
    pub(super) fn are_alone(&self) -> bool {
        self.is_alone
    }

    /// Has a job done, now or soon.
    pub(super) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        if self.is_alone { self.pool.install(job) } else { self.pool.spawn_fifo(job) }
    }

    /// Does a job and waits for it; what it does in parallel is done by the pool.
    pub(super) fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        self.pool.install(job)
    }
}
