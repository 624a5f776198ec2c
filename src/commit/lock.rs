//! One run at a time writes to a lake.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Held by the run that writes to a lake, until it is dropped or its process dies. Of two runs the later one would lose what it did: so
/// it is refused before it begins.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock that lies at this path, of the lake at `root`.
    pub(super) fn take(path: &Path, root: &Path) -> Result<WriterLock> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(Error::file("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).ok().filter(|holder| !holder.is_empty());
                return Err(Error::LakeBusy { path: root.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
        }
        let since = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let named = file.set_len(0).and_then(|()| write!(file, "process {} since {since}", std::process::id()));
        named.map_err(Error::file("write", path))?;
        Ok(WriterLock { _file: file })
    }
}
