//! A store that does what a test says: for runs that end in the middle, and for those that meet another.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Blob, Hold, Listed, MemoryStore, Put, Store};
use crate::error::{Error, Result};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes place.
    None,
    /// It fails, and nothing has happened.
    Failed,
    /// It takes place, and its answer is lost.
    Unheard,
    /// It is heard of no more, and takes place when [`Faulty::land`] is called; one that puts nothing fails.
    Late,
}

type Hook = dyn Fn(&'static str, &str) -> Fault + Send + Sync;

/// A store that asks before each operation.
#[derive(Clone)]
pub struct Faulty {
    files: Arc<dyn Store>,
    hook: Arc<Hook>,
    own: Arc<Mutex<Own>>,
    holds_are_trusted: bool,
}

#[derive(Default)]
struct Own {
    /// Put since the last flush.
    unflushed: BTreeSet<String>,
    late: Vec<(String, Vec<u8>)>,
}

impl Faulty {
    /// Asks `hook`, with the operation's name and path, before each operation on these files in memory. The hook may wait.
    pub fn new(files: &MemoryStore, hook: impl Fn(&'static str, &str) -> Fault + Send + Sync + 'static) -> Faulty {
        Faulty::on(Arc::new(files.clone()), hook)
    }

    /// The same for the files of any store.
    pub fn on(files: Arc<dyn Store>, hook: impl Fn(&'static str, &str) -> Fault + Send + Sync + 'static) -> Faulty {
        Faulty { files, hook: Arc::new(hook), own: Arc::default(), holds_are_trusted: true }
    }

    /// The same, where nobody can tell who lives: every holder looks dead, as if its time had run out while it was paused.
    #[must_use]
    pub fn without_holds(mut self) -> Faulty {
        self.holds_are_trusted = false;
        self
    }

    /// What was late takes place, where the name is free.
    pub fn land(&self) {
        for (path, bytes) in std::mem::take(&mut self.own().late) {
            let _ = self.files.put_if_absent(&path, &bytes);
        }
    }

    /// What a power cut does: of the files that were put and not flushed, those that `is_lost` names are gone, or are there in part.
    pub fn lose(&self, mut is_lost: impl FnMut() -> bool) {
        for path in std::mem::take(&mut self.own().unflushed) {
            if !is_lost() {
                continue;
            }
            let whole = self.files.get(&path).ok().flatten().unwrap_or_default();
            let _ = match is_lost() {
                true => self.files.delete(&path),
                false => self.files.put(&path, whole.get(..whole.len() / 2).unwrap_or_default()),
            };
        }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act<T>(&self, name: &'static str, path: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
        match (self.hook)(name, path) {
            Fault::None => act(),
            Fault::Unheard => act().and_then(|_| Err(broken(name, path))),
            Fault::Failed | Fault::Late => Err(broken(name, path)),
        }
    }
}

fn broken(name: &'static str, path: &str) -> Error {
    Error::file(name, path)(io::Error::other("a fault of the test's"))
}

impl Debug for Faulty {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Faulty").field(&self.files).finish()
    }
}

impl Store for Faulty {
    fn place(&self) -> &Path {
        self.files.place()
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.act("put", path, || {
            self.own().unflushed.insert(path.to_owned());
            self.files.put(path, bytes)
        })
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.act("replace", path, || self.files.replace(path, bytes))
    }

    fn put_private(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        self.act("put_private", path, || self.files.put_private(path, from))
    }

    fn put_named(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        self.act("put_named", path, || {
            self.own().unflushed.insert(path.to_owned());
            self.files.put_named(path, from)
        })
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put> {
        match (self.hook)("put_if_absent", path) {
            Fault::None => self.files.put_if_absent(path, bytes),
            Fault::Failed => Ok(Put::Unknown(broken("put_if_absent", path))),
            Fault::Unheard => {
                self.files.put_if_absent(path, bytes).map(|_| Put::Unknown(broken("put_if_absent", path)))
            }
            Fault::Late => {
                self.own().late.push((path.to_owned(), bytes.to_vec()));
                Ok(Put::Unknown(broken("put_if_absent", path)))
            }
        }
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.act("get", path, || self.files.get(path))
    }

    fn open(&self, path: &str) -> Result<Option<Blob>> {
        self.act("open", path, || self.files.open(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        self.act("list", folder, || self.files.list(folder))
    }

    fn paths(&self, folder: &str) -> Result<Vec<String>> {
        self.act("list", folder, || self.files.paths(folder))
    }

    fn paths_behind(&self, folder: &str, path: &str) -> Result<Vec<String>> {
        self.act("list", folder, || self.files.paths_behind(folder, path))
    }

    fn has_any(&self, folder: &str) -> Result<bool> {
        self.act("list", folder, || self.files.has_any(folder))
    }

    fn top(&self) -> Result<Vec<String>> {
        self.act("top", "", || self.files.top())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.act("delete", path, || self.files.delete(path))
    }

    fn flush(&self) -> Result<()> {
        self.act("flush", "", || {
            self.own().unflushed.clear();
            self.files.flush()
        })
    }

    fn hold(&self, path: &str, bytes: &[u8]) -> Result<Hold> {
        self.act("hold", path, || self.files.hold(path, bytes))
    }

    fn take_hold(&self, path: &str) -> Result<Option<Hold>> {
        self.act("take_hold", path, || match self.holds_are_trusted {
            true => self.files.take_hold(path),
            false => Ok(self.files.get(path)?.map(|_| Hold::nominal())),
        })
    }
}
