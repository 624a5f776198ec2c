//! A run's own folder: what lies here no reader sees.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

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

    /// The folder, for the files of parts.
    pub fn folder(&self) -> &Path {
        &self.folder
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
