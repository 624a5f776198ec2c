//! Writes parts, and takes objects out of them again.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::entry::{FileEntry, PartEntry, checksum, file_path, part_name};
use super::rows::{Rows, flatten_frames};
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::file::{Encoding, encode, without};
use crate::parse::Reject;
use crate::partition::Key;
use crate::progress::Progress;
use crate::shuffle::{Part, Position, identity};
use crate::table::{TABLES, Table};

/// Writes the parts of one run into a folder.
#[derive(Clone, Debug)]
pub struct PartWriter {
    folder: PathBuf,
    /// Checksum of the record that the run builds on: file names come from it.
    parent: String,
    encoding: Encoding,
    pool: Arc<rayon::ThreadPool>,
}

/// A part whose files are written.
#[derive(Debug)]
pub struct Written {
    /// Its files.
    pub entry: PartEntry,
    /// The objects in it.
    pub identities: Vec<(u128, Position)>,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// Tasks that a later task of the same part replaced.
    pub superseded: u64,
    /// Lone surrogates that became U+FFFD.
    pub replaced_surrogates: u64,
    /// What the schema does not know.
    pub drift: Drift,
}

impl PartWriter {
    /// Will write into this folder, with the threads of this pool.
    pub fn new(folder: &Path, parent: &str, encoding: Encoding, pool: &Arc<rayon::ThreadPool>) -> PartWriter {
        PartWriter { folder: folder.to_owned(), parent: parent.to_owned(), encoding, pool: Arc::clone(pool) }
    }

    /// Flattens a part and writes its files. Ends early, with [`Error::Interrupted`], once `progress` was asked to stop.
    pub fn write(&self, part: Part, progress: &Progress) -> Result<Written> {
        self.pool.install(|| self.write_here(part, progress))
    }

    fn write_here(&self, part: Part, progress: &Progress) -> Result<Written> {
        progress.check()?;
        let (number, ordinal, key) = (part.number, part.ordinal, part.key.clone());
        tracing::debug!(part = number, partition = key.path(), bytes = part.bytes, "writing");
        let rows = {
            let pieces = part.load()?;
            flatten_frames(&key, &pieces)?
        };
        progress.check()?;
        let mut written = Written {
            entry: PartEntry { number, key, ordinal, files: Vec::new() },
            identities: Vec::new(),
            rejects: Vec::new(),
            superseded: 0,
            replaced_surrogates: 0,
            drift: Drift::default(),
        };
        let key = &written.entry.key;
        let name = part_name(&self.parent, key, ordinal);
        let mut batches: Vec<(&'static Table, Vec<RecordBatch>)> =
            key.dataset.tables().map(|table| (table, Vec::new())).collect();
        for rows in rows {
            let Rows { batches: of_run, identities, rejects, superseded, replaced_surrogates, drift } = rows;
            written.identities.extend(identities);
            written.rejects.extend(rejects);
            written.superseded += superseded;
            written.replaced_surrogates += replaced_surrogates;
            written.drift.merge(drift);
            for (table, batch) in of_run {
                match batches.iter_mut().find(|(known, _)| known.name == table.name) {
                    Some((_, of_table)) => of_table.push(batch),
                    None => return Err(bug(format!("rows of {} in a part of {:?}", table.name, key.dataset))),
                }
            }
        }
        let filled = batches.into_par_iter().filter(|(_, batches)| !batches.is_empty());
        let files = filled.map(|(table, batches)| {
            progress.check()?;
            let encoded = encode(table, &batches, self.encoding, &file_path(&self.folder, table.name, &name))?;
            drop(batches);
            self.put(table, key, &name, &encoded.bytes, encoded.rows)
        });
        written.entry.files = files.collect::<Result<_>>()?;
        Ok(written)
    }

    /// Takes objects out of a written part, because later ones replace them. A file of which no row is left goes.
    pub fn remove(&self, part: &mut PartEntry, identities: &HashSet<u128>) -> Result<()> {
        let name = part_name(&self.parent, &part.key, part.ordinal);
        let is_dropped = |id: &[u8]| identities.contains(&identity(id));
        let rewrite = |file: &FileEntry| {
            let unknown = || bug(format!("a file of the table {}", file.table));
            let table = Table::named(&file.table).ok_or_else(unknown)?;
            let path = file_path(&self.folder, table.name, &name);
            match without(table, &path, is_dropped, self.encoding)? {
                Some(encoded) => self.put(table, &part.key, &name, &encoded.bytes, encoded.rows).map(Some),
                None => std::fs::remove_file(&path).map(|()| None).map_err(Error::file("remove", &path)),
            }
        };
        let kept = self.pool.install(|| part.files.par_iter().map(rewrite).collect::<Result<Vec<_>>>())?;
        part.files = kept.into_iter().flatten().collect();
        Ok(())
    }

    /// Writes a file without rows for every table, so that no reader fails on a table that has none.
    pub fn write_empty(&self) -> Result<Vec<FileEntry>> {
        let write = |table: &&'static Table| {
            let key = Key::null(table.dataset);
            // Parts count from 0, so this ordinal is never one of theirs.
            let name = part_name(&self.parent, &key, u32::MAX);
            let encoded = encode(table, &[], self.encoding, &file_path(&self.folder, table.name, &name))?;
            self.put(table, &key, &name, &encoded.bytes, encoded.rows)
        };
        self.pool.install(|| TABLES.iter().map(write).collect())
    }

    fn put(&self, table: &Table, key: &Key, name: &str, bytes: &[u8], rows: u64) -> Result<FileEntry> {
        let path = file_path(&self.folder, table.name, name);
        let written = File::create(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(Error::file("write", &path))?;
        Ok(FileEntry {
            table: table.name.to_owned(),
            path: format!("{}/{}/{name}", table.name, key.path()),
            rows,
            bytes: bytes.len() as u64,
            checksum: checksum(bytes),
        })
    }
}

fn bug(found: String) -> Error {
    Error::Bug { place: "part::writer", found }
}
