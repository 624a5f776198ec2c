//! The threads that work.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::{Error, Result};

/// A pool of threads; with one thread, jobs are done at once and the caller waits.
#[derive(Debug)]
pub struct Workers {
    pool: Arc<rayon::ThreadPool>,
    is_alone: bool,
}

/// A thread may have as many parts on its stack as are built at a time, and one takes less than 64 KiB: enough for 128 threads at
/// the very worst. Untouched stack costs no memory.
const STACK_BYTES: usize = 16 * 1024 * 1024;

impl Workers {
    /// Starts so many.
    pub fn start(threads: usize) -> Result<Workers> {
        let named = |index| format!("taskloom-{index}");
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).stack_size(STACK_BYTES).build();
        let pool = pool.map_err(|source| Error::Threads { threads, source })?;
        Ok(Workers { pool: Arc::new(pool), is_alone: threads == 1 })
    }

    /// The threads.
    pub fn pool(&self) -> &Arc<rayon::ThreadPool> {
        &self.pool
    }

    /// Has a job done, now or soon, and `done` called with what came of it. A job that panics came to an error: in a pool of threads
    /// the panic would end the process.
    pub(super) fn spawn<T>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        let job = || done(caught(job));
        if self.is_alone { self.pool.install(job) } else { self.pool.spawn_fifo(job) }
    }

    /// Does a job and waits for it. A panic is an error here too.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.pool.install(|| caught(job))
    }
}

/// What a job comes to. What it leaves half done is the run's alone, and the run ends.
fn caught<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| {
        Err(Error::Bug { place: "a worker", found: format!("a panic: {}", words_of(panic.as_ref())) })
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic)]
    fn a_panic_in_a_job_comes_to_an_error() {
        for threads in [1, 2] {
            let workers = Workers::start(threads).unwrap();
            let (sender, receiver) = crossbeam_channel::bounded(2);
            for number in 0..2 {
                let sender = sender.clone();
                let job = move || if number == 0 { panic!("number {number}") } else { Ok(number) };
                workers.spawn(job, move |result| sender.send(result.map_err(|error| error.to_string())).unwrap());
            }
            let mut results = [receiver.recv().unwrap(), receiver.recv().unwrap()];
            results.sort_by_key(Result::is_ok);
            let [failed, done] = results;
            assert!(failed.is_err_and(|error| error.contains("number 0")) && done == Ok(1));
            let ran: Result<()> = workers.run(|| panic!("again"));
            assert!(matches!(ran, Err(Error::Bug { .. })));
        }
    }
}
