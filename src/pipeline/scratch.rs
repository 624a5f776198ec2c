//! Where a run puts what is not for the lake: spilled bytes, and what an export has received until it is committed.

use std::fs::{self, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::store::address::{absolute, check_path};

/// The folder of one lake among what is in work; only its owner may look into it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Goes with the run, where nobody said where to work.
    temporary: Option<TempDir>,
}

/// Who may look in: the owner.
const MODE: u32 = 0o700;

impl Scratch {
    /// Makes the folder for the lake at `lake`.
    pub fn of(work_dir: Option<&Path>, lake: &Path) -> Result<Scratch> {
        let Some(work_dir) = work_dir else { return Scratch::temporary(None) };
        check_path(work_dir)?;
        let path = work_dir.join(name_of(lake)?);
        let made = fs::DirBuilder::new().recursive(true).mode(MODE).create(&path);
        // One that was there before is as it was left.
        let made = made.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(MODE)));
        made.map_err(Error::file("create", &path))?;
        Ok(Scratch { path, temporary: None })
    }

    /// Makes a folder that nobody else uses, and that goes with the run.
    pub fn temporary(work_dir: Option<&Path>) -> Result<Scratch> {
        let folder = work_dir.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        let made = tempfile::Builder::new().prefix("taskloom-").tempdir_in(&folder);
        let temporary = made.map_err(Error::file("create a folder in", folder))?;
        Ok(Scratch { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    /// Leaves nothing behind but what an unfinished export needs.
    fn drop(&mut self) {
        if self.temporary.is_none() {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// What exports had received when it was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Files that went.
    pub files: u64,
    /// Files of runs that are at work: these drop them, or go on with them and leave out what is forgotten.
    pub busy: u64,
}

/// Drops what exports into a lake have received on this machine and not committed.
pub fn drop_received(work_dir: Option<&Path>, lake: &Path) -> Result<Received> {
    let mut received = Received::default();
    let Some(folder) = work_dir else { return Ok(received) };
    let folder = folder.join(name_of(lake)?);
    let failed = |path: &Path| Error::file("remove", path.to_owned());
    let files = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(received),
        files => files.map_err(failed(&folder))?,
    };
    for file in files {
        let path = file.map_err(failed(&folder))?.path();
        // Whoever writes to one holds a lock on it.
        match fs::File::open(&path).map(|file| (file.try_lock(), file)) {
            Ok((Err(TryLockError::WouldBlock), _)) => received.busy += 1,
            _ => {
                fs::remove_file(&path).map_err(failed(&path))?;
                received.files += 1;
            }
        }
    }
    let _ = fs::remove_dir(&folder);
    Ok(received)
}

/// A name that no other lake has: for people its own, for the rest a hash of where it lies.
fn name_of(lake: &Path) -> Result<String> {
    let place = absolute(lake).map_err(Error::file("find", lake))?;
    let own: String = place.file_name().unwrap_or_default().to_string_lossy().chars().take(40).collect();
    Ok(format!("{own}-{:016x}", xxh3_64(place.as_os_str().as_encoded_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lake_has_a_folder_that_only_its_owner_sees() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a/lake"), folder.path().join("b/lake"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(&other).unwrap();
        let work = folder.path().join("not/there/yet");
        let [one, other] = [&one, &other].map(|lake| Scratch::of(Some(&work), lake).unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(one.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(one.path().join("kept"), "").unwrap();
        let (kept, gone) = (one.path().to_owned(), other.path().to_owned());
        drop((one, other));
        assert!(kept.join("kept").exists() && !gone.exists());
        assert_eq!(drop_received(Some(&work), &folder.path().join("b/lake")).unwrap(), Received::default());
        let file = fs::File::open(kept.join("kept")).unwrap();
        file.lock().unwrap();
        let received = drop_received(Some(&work), &folder.path().join("a/lake")).unwrap();
        assert_eq!(received, Received { files: 0, busy: 1 });
        drop(file);
        let received = drop_received(Some(&work), &folder.path().join("a/lake")).unwrap();
        assert_eq!((received, kept.exists()), (Received { files: 1, busy: 0 }, false));
        let temporary = Scratch::of(None, folder.path()).unwrap();
        let path = temporary.path().to_owned();
        fs::write(path.join("x"), "").unwrap();
        drop(temporary);
        assert!(!path.exists());
    }
}
