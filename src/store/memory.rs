//! A store that goes with its process.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::{Blob, Hold, Listed, Put, ReadAt, Store};
use crate::error::{Error, Result};

/// Files in memory. A clone is the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    place: PathBuf,
    files: Arc<Mutex<Files>>,
}

#[derive(Debug, Default)]
struct Files {
    by_path: BTreeMap<String, (Bytes, SystemTime)>,
    held: BTreeSet<String>,
}

impl MemoryStore {
    /// An empty store; messages call it so.
    pub fn named(name: &str) -> MemoryStore {
        MemoryStore { place: PathBuf::from(name), files: Arc::default() }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // Whoever panicked while holding it had changed a file wholly or not at all.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, path: &str, bytes: Bytes) {
        self.files().by_path.insert(path.to_owned(), (bytes, SystemTime::now()));
    }
}

impl Store for MemoryStore {
    fn place(&self) -> &Path {
        &self.place
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.insert(path, Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.put(path, bytes)
    }

    fn put_private(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map_err(Error::file("write", path))?;
        self.insert(path, bytes.into());
        Ok(())
    }

    fn put_named(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        self.put_private(path, from)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put> {
        let mut files = self.files();
        if files.by_path.contains_key(path) {
            return Ok(Put::Exists);
        }
        files.by_path.insert(path.to_owned(), (Bytes::copy_from_slice(bytes), SystemTime::now()));
        Ok(Put::Done)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files().by_path.get(path).map(|(bytes, _)| bytes.to_vec()))
    }

    fn open(&self, path: &str) -> Result<Option<Blob>> {
        let bytes = self.files().by_path.get(path).map(|(bytes, _)| bytes.clone());
        Ok(bytes.map(|bytes| {
            let length = bytes.len() as u64;
            Blob::new(bytes, length)
        }))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.files();
        let inside = files.by_path.range(before.clone()..).take_while(|(path, _)| path.starts_with(&before));
        let listed = inside.map(|(path, (bytes, modified))| Listed {
            path: path.clone(),
            bytes: bytes.len() as u64,
            modified: *modified,
        });
        Ok(listed.collect())
    }

    fn paths_behind(&self, folder: &str, path: &str) -> Result<Vec<String>> {
        let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.files();
        let from = Bound::Excluded(path.max(before.as_str()));
        let behind = files.by_path.range::<str, _>((from, Bound::Unbounded)).map(|(path, _)| path);
        Ok(behind.take_while(|path| path.starts_with(&before)).cloned().collect())
    }

    fn has_any(&self, folder: &str) -> Result<bool> {
        let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.files();
        let first = files.by_path.range(before.clone()..).next();
        Ok(first.is_some_and(|(path, _)| path.starts_with(&before)))
    }

    fn top(&self) -> Result<Vec<String>> {
        let files = self.files();
        let names = files.by_path.keys().filter_map(|path| path.split('/').next());
        Ok(names.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.files().by_path.remove(path);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn hold(&self, path: &str, bytes: &[u8]) -> Result<Hold> {
        self.insert(path, Bytes::copy_from_slice(bytes));
        self.files().held.insert(path.to_owned());
        Ok(Hold(Box::new(Held { store: self.clone(), path: path.to_owned() })))
    }

    fn take_hold(&self, path: &str) -> Result<Option<Hold>> {
        let mut files = self.files();
        if !files.by_path.contains_key(path) || !files.held.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Hold(Box::new(Held { store: self.clone(), path: path.to_owned() }))))
    }
}

/// Lets go of a path when it is dropped.
#[derive(Debug)]
struct Held {
    store: MemoryStore,
    path: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.files().held.remove(&self.path);
    }
}

impl ReadAt for Bytes {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let piece = usize::try_from(offset).ok().and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
