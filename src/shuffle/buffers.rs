//! The buffers of all partitions, and the file that they overflow into.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::partition::Key;
use crate::source::Originals;

use super::frame::Loaded;

/// Frames of one partition.
#[derive(Debug)]
pub struct Bundle {
    /// The partition.
    pub key: Key,
    /// The frames.
    pub frames: Vec<u8>,
    /// Their bytes, with the texts that were left in the inputs.
    pub bytes: usize,
}

/// Whole items of one partition that become one file a table.
#[derive(Debug)]
pub struct Part {
    /// Position among all parts of the run, from 0.
    pub number: u32,
    /// Its partition.
    pub key: Key,
    /// Bytes of its frames, with the texts that were left in the inputs.
    pub bytes: usize,
    held: Vec<Vec<u8>>,
    spilled: Vec<Segment>,
    spill: Option<Arc<Spill>>,
    originals: Originals,
}

/// A nameless file, so that nothing of it stays when the process dies, and the folder that it was made in.
#[derive(Debug)]
struct Spill {
    file: File,
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    bytes: usize,
}

impl Part {
    /// One whose frames are at hand.
    pub fn of(number: u32, key: Key, frames: Vec<u8>) -> Part {
        let (bytes, originals) = (frames.len(), Originals::default());
        Part { number, key, bytes, held: vec![frames], spilled: Vec::new(), spill: None, originals }
    }

    /// The frames, read back from disk where they were put there.
    pub fn load(self) -> Result<Loaded> {
        let mut pieces = Vec::with_capacity(self.spilled.len() + self.held.len());
        for segment in &self.spilled {
            let Spill { file, folder } = self.spill.as_deref().ok_or_else(|| Error::Bug {
                place: "shuffle::buffers",
                found: "a part that was put on disk, without its file".to_owned(),
            })?;
            let mut piece = vec![0; segment.bytes];
            let read = file.read_exact_at(&mut piece, segment.offset);
            read.map_err(Error::file("read back what was spilled to", folder))?;
            pieces.push(piece);
        }
        pieces.extend(self.held);
        Loaded::of(pieces, &self.originals)
    }
}

#[derive(Debug, Default)]
struct Partition {
    held: Vec<Vec<u8>>,
    spilled: Vec<Segment>,
    bytes: usize,
}

/// The buffers of all partitions.
#[derive(Debug)]
pub struct Buffers {
    partitions: BTreeMap<Key, Partition>,
    part_bytes: usize,
    spill_bytes: usize,
    held_bytes: usize,
    cut_parts: u32,
    spill_folder: PathBuf,
    spill: Option<Arc<Spill>>,
    file_bytes: u64,
    originals: Originals,
}

impl Buffers {
    /// Buffers that cut parts of at most `part_bytes`, unless one item alone has more, and go to disk when they hold more than
    /// `spill_bytes`. What frames left in the inputs can be read there again.
    pub fn new(part_bytes: usize, spill_bytes: usize, spill_folder: &Path, originals: Originals) -> Buffers {
        Buffers {
            partitions: BTreeMap::new(),
            part_bytes,
            spill_bytes,
            held_bytes: 0,
            cut_parts: 0,
            spill_folder: spill_folder.to_owned(),
            spill: None,
            file_bytes: 0,
            originals,
        }
    }

    /// Bytes that went to disk.
    pub fn spilled_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Adds frames to a partition; gives a part where that makes one full.
    pub fn add(&mut self, bundle: Bundle) -> Result<Option<Part>> {
        let Bundle { key, frames, bytes } = bundle;
        let partition = self.partitions.entry(key.clone()).or_default();
        let is_full = partition.bytes > 0 && partition.bytes + bytes > self.part_bytes;
        let part = is_full.then(|| self.cut(&key)).flatten();
        self.held_bytes += frames.len();
        let partition = self.partitions.entry(key).or_default();
        partition.bytes += bytes;
        partition.held.push(frames);
        if self.held_bytes > self.spill_bytes {
            self.spill()?;
        }
        Ok(part)
    }

    /// Cuts off what the next partition still holds, in the order of the keys; `None` when all are empty.
    pub fn drain(&mut self) -> Option<Part> {
        loop {
            let key = self.partitions.keys().next()?.clone();
            let part = self.cut(&key);
            self.partitions.remove(&key);
            if part.is_some() {
                return part;
            }
        }
    }

    fn cut(&mut self, key: &Key) -> Option<Part> {
        let partition = self.partitions.get_mut(key).filter(|partition| partition.bytes > 0)?;
        let held = std::mem::take(&mut partition.held);
        self.held_bytes -= held.iter().map(Vec::len).sum::<usize>();
        let part = Part {
            number: self.cut_parts,
            key: key.clone(),
            bytes: std::mem::take(&mut partition.bytes),
            held,
            spilled: std::mem::take(&mut partition.spilled),
            spill: self.spill.clone(),
            originals: self.originals.clone(),
        };
        self.cut_parts += 1;
        Some(part)
    }

    /// Appends everything held to the file.
    fn spill(&mut self) -> Result<()> {
        let failed = || Error::file("spill to", &self.spill_folder);
        let spill = match &self.spill {
            Some(spill) => Arc::clone(spill),
            None => {
                let file = tempfile::tempfile_in(&self.spill_folder).map_err(failed())?;
                let spill = Arc::new(Spill { file, folder: self.spill_folder.clone() });
                Arc::clone(self.spill.insert(spill))
            }
        };
        for partition in self.partitions.values_mut().filter(|partition| !partition.held.is_empty()) {
            let offset = self.file_bytes;
            for frames in partition.held.drain(..) {
                spill.file.write_all_at(&frames, self.file_bytes).map_err(failed())?;
                self.file_bytes += frames.len() as u64;
            }
            partition.spilled.push(Segment { offset, bytes: (self.file_bytes - offset) as usize });
        }
        self.held_bytes = 0;
        Ok(())
    }
}
