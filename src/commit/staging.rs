//! A run's own folder: what lies here no reader sees.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::xxh3_128;

use super::record::{FileEntry, checksum};
use crate::error::{Error, Result};
use crate::partition::Key;
use crate::table::Table;

/// The folder of a run that is under way. It goes when this value does, unless a record may name what is in it.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    /// Held while the run lives, so that no other run sweeps the folder. Lies beside the folder and is made before it.
    _lock: File,
    is_kept: AtomicBool,
}

impl Staging {
    pub(super) fn create(folder: PathBuf) -> Result<Staging> {
        let path = lock_path(&folder);
        let lock = File::create(&path).map_err(Error::file("create", &path))?;
        lock.lock().map_err(Error::file("lock", &path))?;
        fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        Ok(Staging { folder, _lock: lock, is_kept: AtomicBool::new(false) })
    }

    /// Removes the folder of a run that lives no more, unless a record waits for what is in it; true if it did. A run that lives
    /// holds its lock, and without it no record of that run can come any more: so the records are asked under the lock.
    pub(super) fn sweep(folder: &Path, is_awaited: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let path = lock_path(folder);
        let lock = match File::open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        match lock.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => return Ok(false),
            Some(Err(TryLockError::Error(error))) => return Err(Error::file("lock", path)(error)),
            Some(Ok(())) | None => {}
        }
        if is_awaited()? {
            return Ok(false);
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("remove", folder)(error)),
            _ => {}
        }
        let _ = fs::remove_file(&path);
        Ok(true)
    }

    /// From now on the folder outlives this value.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// From now on the folder goes with this value again.
    pub(super) fn release(&self) {
        self.is_kept.store(false, Ordering::Relaxed);
    }

    /// Removes the folder, unless it is to be kept. A job that still writes there fails, and nobody waits for it.
    pub fn clear(&self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            // What can't be removed now is swept by the next run.
            let _ = fs::remove_dir_all(&self.folder);
            let _ = fs::remove_file(lock_path(&self.folder));
        }
    }

    /// The folder, for files that the run needs on its way.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file waits.
    pub fn path(&self, table: &str, part_name: &str) -> PathBuf {
        staged_path(&self.folder, table, part_name)
    }

    /// Writes a file, and tells how a record names it.
    pub fn write(&self, table: &Table, key: &Key, part_name: &str, bytes: &[u8], rows: u64) -> Result<FileEntry> {
        let path = self.path(table.name, part_name);
        let written = File::create(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(Error::file("write", &path))?;
        Ok(FileEntry {
            table: table.name.to_owned(),
            path: format!("{}/{}/{part_name}", table.name, key.path()),
            rows,
            bytes: bytes.len() as u64,
            checksum: checksum(bytes),
        })
    }

    /// Brings everything in the folder onto the disk.
    pub(super) fn sync(&self) -> Result<()> {
        sync_file_system(&self.folder)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.clear();
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// Where a file of a run waits.
pub(super) fn staged_path(folder: &Path, table: &str, part_name: &str) -> PathBuf {
    folder.join(format!("{table}.{part_name}"))
}

/// The file name of a part: the same for the same part on the same version, and never again after that.
pub fn part_name(parent: &str, key: &Key, ordinal: u32) -> String {
    let identity = format!("{parent}\n{:?}\n{}\n{ordinal}", key.dataset, key.path());
    format!("part-{:032x}.parquet", xxh3_128(identity.as_bytes()))
}

/// Brings everything written to the file system of a folder onto the disk: with thousands of files, one call for all of them
/// is far cheaper than one a file.
#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(Error::file("open", folder))?;
    rustix::fs::syncfs(&opened).map_err(|error| Error::file("sync", folder)(error.into()))
}

/// The same where the system has no such call: file by file.
#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(folder: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(|error| Error::file("sync", folder)(error.into()))?;
        let synced = File::open(entry.path()).and_then(|file| file.sync_all());
        synced.map_err(Error::file("sync", entry.path()))?;
    }
    Ok(())
}

/// Brings the names in a folder onto the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(Error::file("sync", folder))
}
