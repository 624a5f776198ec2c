//! The rejects of a run on their way to its reject file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use parquet::file::reader::ChunkReader;

use crate::error::{Error, Result};
use crate::parse::Reject;
use crate::shuffle::identity;
use crate::store::Store;

/// First those of blocks in the order of the blocks, then those of parts in the order of the parts, so that the file doesn't depend on
/// threads. Until then both wait in nameless files.
#[derive(Debug)]
pub(super) struct Rejects {
    scratch: PathBuf,
    /// What the inputs are called.
    names: Vec<String>,
    blocks: Option<BufWriter<File>>,
    parts: Option<BufWriter<File>>,
    count: u64,
    tasks: HashSet<u128>,
    is_anonymous: bool,
}

impl Rejects {
    pub(super) fn new(scratch: &Path, names: Vec<String>) -> Rejects {
        Rejects {
            scratch: scratch.to_owned(),
            names,
            blocks: None,
            parts: None,
            count: 0,
            tasks: HashSet::new(),
            is_anonymous: false,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The tasks that are told by their ids; `None` where one of them may be any task.
    pub(super) fn tasks(&self) -> Option<&HashSet<u128>> {
        Some(&self.tasks).filter(|_| !self.is_anonymous)
    }

    fn note(&mut self, rejects: &[Reject]) {
        self.tasks.extend(rejects.iter().filter_map(|reject| Some(identity(reject.task_id.as_deref()?.as_bytes()))));
    }

    pub(super) fn of_block(&mut self, rejects: &[Reject]) -> Result<()> {
        self.note(rejects);
        self.is_anonymous |= rejects.iter().any(|reject| reject.task_id.is_none());
        self.count += rejects.len() as u64;
        append(&mut self.blocks, rejects, &self.names, &self.scratch)
    }

    pub(super) fn of_part(&mut self, rejects: &[Reject]) -> Result<()> {
        self.note(rejects);
        self.count += rejects.len() as u64;
        append(&mut self.parts, rejects, &self.names, &self.scratch)
    }

    /// Takes in the reject file of a shard: any task may be among them.
    pub(super) fn of_shard(&mut self, store: &dyn Store, path: &str, count: u64) -> Result<()> {
        let missing = || Error::NoFile { path: store.place().join(path) };
        let file = store.open(path)?.ok_or_else(missing)?;
        let failed = || Error::file("write rejects to", &self.scratch);
        let mut file = file.get_read(0).map_err(|source| failed()(source.into()))?;
        let spool = spool(&mut self.blocks, &self.scratch).map_err(failed())?;
        io::copy(&mut file, spool).map_err(failed())?;
        self.count += count;
        self.is_anonymous = true;
        Ok(())
    }

    /// Writes the reject file of the run; `None` where there are no rejects.
    pub(super) fn publish(self, store: &dyn Store, path: &str) -> Result<Option<PathBuf>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut all: Box<dyn Read> = Box::new(io::empty());
        for spool in [self.blocks, self.parts].into_iter().flatten() {
            let file = spool.into_inner().map_err(io::Error::from).and_then(|mut file| file.rewind().map(|()| file));
            all = Box::new(all.chain(file.map_err(Error::file("read back rejects from", &self.scratch))?));
        }
        // Rejects are the customer's data as it came.
        store.put_private(path, &mut all)?;
        Ok(Some(store.place().join(path)))
    }
}

fn spool<'s>(to: &'s mut Option<BufWriter<File>>, scratch: &Path) -> io::Result<&'s mut BufWriter<File>> {
    Ok(match to {
        Some(spool) => spool,
        None => to.insert(BufWriter::new(tempfile::tempfile_in(scratch)?)),
    })
}

fn append(to: &mut Option<BufWriter<File>>, rejects: &[Reject], names: &[String], scratch: &Path) -> Result<()> {
    let failed = || Error::file("write rejects to", scratch);
    if rejects.is_empty() {
        return Ok(());
    }
    let spool = spool(to, scratch).map_err(failed())?;
    for reject in rejects {
        let input = reject.origin.input;
        let name = names.get(input as usize).ok_or_else(|| Error::Bug {
            place: "pipeline::rejects",
            found: format!("a reject of input {input} of {}", names.len()),
        })?;
        let line = reject.to_line(name).map_err(|source| Error::Json { action: "write a reject", source })?;
        writeln!(spool, "{line}").map_err(failed())?;
    }
    Ok(())
}
