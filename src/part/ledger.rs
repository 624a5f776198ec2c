//! What a run has written, so that all of it can be taken back.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::store::Store;

/// Every path that the run has begun to write to. A clone is the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when a write has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    paths: Vec<String>,
    under_way: usize,
    is_closed: bool,
}

impl Ledger {
    /// Does the write of a path, after noting it. A closed ledger refuses.
    pub(super) fn write<T>(&self, path: &str, write: impl FnOnce() -> Result<T>) -> Result<T> {
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(Error::Bug { place: "part::ledger", found: format!("{path} after the end of its run") });
            }
            state.paths.push(path.to_owned());
            state.under_way += 1;
        }
        let under_way = UnderWay(self);
        let written = write();
        drop(under_way);
        written
    }

    /// Removes all that was written and is no data, once no write is under way any more, and lets nothing more be written.
    pub fn take_back(&self, store: &dyn Store) -> Result<()> {
        let mut state = self.state();
        state.is_closed = true;
        while state.under_way > 0 {
            state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let paths = std::mem::take(&mut state.paths);
        drop(state);
        store.delete_each(&paths)
    }

    /// These have become data: they can't be taken back any more.
    pub fn keep(&self, data: &HashSet<String>) {
        self.state().paths.retain(|path| !data.contains(path));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that ends when this goes, by a panic too.
struct UnderWay<'l>(&'l Ledger);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.0.ended.notify_all();
    }
}
