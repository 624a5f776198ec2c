//! Files on their way into a bucket: they go while others are being encoded, within bounds.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Files that go side by side: of small ones so many hide a latency of some 20 ms behind the encoding.
const MOST_UPLOADS: usize = 64;

/// What is on its way. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Uploads {
    shared: Arc<Shared>,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever one has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: HashMap<String, usize>,
    bytes: usize,
    failed: Option<Error>,
    /// Those that failed: they may come to be even so, and late.
    uncertain: HashSet<String>,
}

/// A file on its way; off it when this goes.
#[derive(Debug)]
pub(super) struct Upload {
    shared: Arc<Shared>,
    path: String,
    has_ended: bool,
}

impl Uploads {
    pub(super) fn within(most_bytes: usize) -> Uploads {
        Uploads { shared: Arc::default(), most_bytes }
    }

    /// Waits until there is room for a file. Fails if one that went before it did.
    pub(super) fn begin(&self, path: &str, bytes: usize) -> Result<Upload> {
        let is_full = |state: &mut State| {
            let has_room = state.bytes + bytes <= self.most_bytes && state.under_way.len() < MOST_UPLOADS;
            state.under_way.contains_key(path) || !has_room && !state.under_way.is_empty()
        };
        let mut state = self.shared.wait_while(is_full);
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        state.under_way.insert(path.to_owned(), bytes);
        state.bytes += bytes;
        Ok(Upload { shared: Arc::clone(&self.shared), path: path.to_owned(), has_ended: false })
    }

    /// Waits until nothing is on its way. Fails if something went wrong with any since this was asked last.
    pub(super) fn finish(&self) -> Result<()> {
        let failed = self.shared.wait_while(|state| !state.under_way.is_empty()).failed.take();
        failed.map_or(Ok(()), Err)
    }

    /// Waits until a file is not on its way.
    pub(super) fn wait_for(&self, path: &str) {
        drop(self.shared.wait_while(|state| state.under_way.contains_key(path)));
    }

    /// Whether a file that failed may come to be all the same.
    pub(super) fn is_uncertain(&self, path: &str) -> bool {
        self.shared.state().uncertain.contains(path)
    }
}

impl Upload {
    /// What became of it.
    pub(super) fn end(mut self, result: Result<()>) {
        self.has_ended = true;
        let Err(error) = result else { return };
        self.fail(error);
    }

    fn fail(&self, error: Error) {
        let mut state = self.shared.state();
        state.uncertain.insert(self.path.clone());
        state.failed.get_or_insert(error);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.has_ended {
            let found = format!("the upload of {} went without an end", self.path);
            self.fail(Error::Bug { place: "store::bucket", found });
        }
        let mut state = self.shared.state();
        state.bytes -= state.under_way.remove(&self.path).unwrap_or_default();
        drop(state);
        self.shared.ended.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        self.ended.wait_while(self.state(), condition).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_is_told_once_and_one_that_vanishes_went_wrong() {
        let uploads = Uploads::within(10);
        uploads.begin("good", 5).unwrap().end(Ok(()));
        uploads.finish().unwrap();
        // One that is too large for all of the room goes alone.
        drop(uploads.begin("vanished", 20).unwrap());
        assert!(matches!(uploads.begin("next", 1), Err(Error::Bug { .. })));
        uploads.finish().unwrap();
        assert!(uploads.is_uncertain("vanished") && !uploads.is_uncertain("good"));
    }
}
