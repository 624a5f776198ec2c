//! Where a lake lies: whole files by their paths, on a local disk, in a bucket or in memory. Knows nothing of what is in them.
//!
//! Everything that the lake promises rests on [`Store::put_if_absent`]: of all who put a file of one name, one does it, and all see the
//! same file ever after. What this module's tests ask of one store they ask of each.

pub(crate) mod address;
mod blob;
#[cfg(feature = "buckets")]
mod bucket;
pub(crate) mod draft;
mod failure;
#[cfg(any(test, feature = "internals"))]
mod faulty;
mod local;
mod memory;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt::Debug;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use rayon::prelude::*;

pub use address::{StoreOptions, open};
pub use blob::{Blob, ReadAt};
pub use failure::{FailureKind, StoreFailure};
#[cfg(any(test, feature = "internals"))]
pub use faulty::{Fault, Faulty};
pub use local::LocalStore;
pub use memory::MemoryStore;

use crate::error::{Error, Result};

/// Files by path. A path has `/` between its names, none at its ends, and only names that a Hive partition or the lake itself gives.
pub trait Store: Debug + Send + Sync {
    /// What messages call it.
    fn place(&self) -> &Path;

    /// Writes a file that nobody reads yet. It may be lost, be on its way or be in part there, until [`Store::flush`].
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Writes a file that may be there already: who reads it sees the whole old or the whole new one. Lasting when this returns.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Writes a file from what is read, for nobody but its owner's eyes where the store has owners. Lasting when this returns.
    fn put_private(&self, path: &str, from: &mut dyn Read) -> Result<()>;

    /// Writes a file whose name tells what is in it, so that others may write the same one at the same time: whoever sees it sees it whole.
    /// It may be lost until [`Store::flush`].
    fn put_named(&self, path: &str, from: &mut dyn Read) -> Result<()>;

    /// Writes a file unless one of this name is there. Whole or not at all, and lasting when this returns. An error means that it was
    /// not written and never will be.
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put>;

    /// The same for each of many, which need no order among themselves.
    fn put_each_if_absent(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<Put>> {
        files.iter().map(|(path, bytes)| self.put_if_absent(path, bytes)).collect()
    }

    /// A whole file; `None` where there is none.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// A file for reading in pieces; `None` where there is none.
    fn open(&self, path: &str) -> Result<Option<Blob>>;

    /// Every file in a folder and in the folders below it, in the order of their paths; all files for an empty path. A folder that is not
    /// there holds nothing.
    fn list(&self, folder: &str) -> Result<Vec<Listed>>;

    /// The paths alone of what [`Store::list`] lists: where there are many files, that is quicker.
    fn paths(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.list(folder)?.into_iter().map(|listed| listed.path).collect())
    }

    /// Those of the paths in a folder that come behind one in their order: few of many, where the store can begin there.
    fn paths_behind(&self, folder: &str, path: &str) -> Result<Vec<String>> {
        let mut paths = self.paths(folder)?;
        paths.retain(|other| other.as_str() > path);
        Ok(paths)
    }

    /// Whether there is any file in a folder.
    fn has_any(&self, folder: &str) -> Result<bool> {
        Ok(!self.paths(folder)?.is_empty())
    }

    /// The names of files and folders at the top.
    fn top(&self) -> Result<Vec<String>>;

    /// Removes a file. One that is not there is removed already.
    fn delete(&self, path: &str) -> Result<()>;

    /// Removes each of many; one that can't be removed is no reason to leave the others.
    fn delete_each(&self, paths: &[String]) -> Result<()> {
        paths.iter().map(|path| self.delete(path)).fold(Ok(()), Result::and)
    }

    /// Aborts uploads in several requests that were begun and never ended, but for those of whom it is said that somebody is writing them;
    /// gives how many.
    fn abort_uploads(&self, _is_writing: &mut dyn FnMut(&str) -> Result<bool>) -> Result<u64> {
        Ok(0)
    }

    /// How many files are best read at a time, however many cores there are.
    fn readers(&self) -> usize {
        1
    }

    /// Makes lasting what was put.
    fn flush(&self) -> Result<()>;

    /// Writes a file that is held from its first moment on, until the hold is dropped or its process dies. Lasting when this returns.
    fn hold(&self, path: &str, bytes: &[u8]) -> Result<Hold>;

    /// Takes the hold of a file whose holder lives no more. `None` where it is held, or not there.
    fn take_hold(&self, path: &str) -> Result<Option<Hold>>;

    /// Requests that were made of a store beyond this machine, each attempt counted.
    fn requests(&self) -> Option<u64> {
        None
    }

    /// The folder that it is, if it is one.
    fn folder(&self) -> Option<&Path> {
        None
    }
}

/// Reads with as many threads as the store is best read with, and no fewer than there are cores.
pub(crate) fn with_readers<T: Send>(store: &dyn Store, read: impl FnOnce() -> T + Send) -> Result<T> {
    if store.readers() <= rayon::current_num_threads() {
        return Ok(read());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(store.readers()).build();
    let failed = |error| Error::file("start threads that read", store.place())(std::io::Error::other(error));
    Ok(pool.map_err(failed)?.install(read))
}

/// Reads for each of many: one by one on this machine, side by side where an answer takes a while to come.
pub(crate) fn read_each<I: Sync, T: Send>(
    store: &dyn Store,
    items: &[I],
    read: impl Fn(&I) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    if store.readers() <= 1 {
        return items.iter().map(read).collect();
    }
    with_readers(store, || items.par_iter().map(read).collect())?
}

/// How putting a file that must not be there ended.
#[derive(Debug)]
pub enum Put {
    /// It is there now.
    Done,
    /// One was there, or came first.
    Exists,
    /// Nobody knows: it may be there, or may come to be there even later.
    Unknown(Error),
}

/// A file as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was written last, by the store's clock.
    pub modified: SystemTime,
}

/// A file that is held: see [`Store::hold`].
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held by being there")] Box<dyn Any + Send + Sync>);

impl Hold {
    /// One that keeps nobody out.
    pub fn nominal() -> Hold {
        Hold(Box::new(()))
    }
}
