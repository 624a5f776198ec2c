//! Files that are read a second time instead of being held, or put on disk once more, until their tasks are written.
//!
//! A plain file holds the JSON of a task as it came, so a frame can name the place in it, and its text is read when its part is built: by
//! then it lies in the system's file cache. On 400 MB that spares a copy into memory, another to disk and another back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::input::Input;
use crate::error::{Error, Result};

/// Files that are kept open: far below what a process may open.
const MOST_FILES: usize = 64;

/// The inputs of a run that can be read again, by their positions.
#[derive(Clone, Debug, Default)]
pub struct Originals {
    files: Arc<Mutex<BTreeMap<u32, Arc<Original>>>>,
    /// How large they may be together, so that the system keeps them in its cache.
    cache_bytes: u64,
}

/// One of them.
#[derive(Debug)]
struct Original {
    file: File,
    name: String,
}

impl Originals {
    /// Will keep files as long as all inputs fit into half of the memory that is free: what has to come from a disk again is read faster in
    /// the order in which it was put there.
    pub(crate) fn of(inputs: &[Input]) -> Originals {
        let bytes = inputs.iter().map(Input::size).sum::<Option<u64>>();
        let is_cached = bytes.zip(free_memory()).is_some_and(|(bytes, free)| bytes <= free / 2);
        Originals { cache_bytes: if is_cached { bytes.unwrap_or(0) } else { 0 }, ..Originals::default() }
    }

    /// Keeps a file whose bytes are its text; tells whether it did.
    pub(crate) fn keep(&self, position: u32, file: File, name: String) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = self.cache_bytes > 0 && files.len() < MOST_FILES;
        if is_kept {
            files.insert(position, Arc::new(Original { file, name }));
        }
        is_kept
    }

    /// Reads what stands there in the input of that position.
    pub fn read_at(&self, position: u32, byte: u64, to: &mut [u8]) -> Result<()> {
        let original = self.original(position)?;
        original.file.read_exact_at(to, byte).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::InputChanged { input: original.name.clone(), byte },
            _ => Error::Input { input: original.name.clone(), source },
        })
    }

    /// What to say where other bytes stand there than at first.
    pub fn changed(&self, position: u32, byte: u64) -> Error {
        self.original(position)
            .map_or_else(|error| error, |original| Error::InputChanged { input: original.name.clone(), byte })
    }

    fn original(&self, position: u32) -> Result<Arc<Original>> {
        let original = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(&position).cloned();
        original.ok_or_else(|| Error::Bug {
            place: "source::originals",
            found: format!("a text that was left in input {position}, which is not open"),
        })
    }
}

/// Bytes of memory that programs and the file cache can take; `None` where the system does not tell.
fn free_memory() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = available.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
    // A container counts what it has in the cache as its own.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(available, |limit: u64| available.min(limit)))
}
