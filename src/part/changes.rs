//! What a version does to tasks, from the parts that go and those that come: so every version tells it, whatever it is of.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::entry::PartEntry;
use super::writer::PartWriter;
use crate::error::{Error, Result};
use crate::file::Objects;
use crate::forgotten::Forgotten;
use crate::partition::Key;
use crate::shuffle::identity;
use crate::store::{Store, with_readers};
use crate::table::changes::task_changes;
use crate::table::{Dataset, TableBuilder, catalog};

/// The version that is told of.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// Its number.
    pub version: u64,
    /// When it is committed, in microseconds.
    pub committed_at: i64,
    /// Names tell apart what is noted again, because the version became another one.
    pub attempt: &'a str,
    /// The parts that go.
    pub removed: &'a [&'a PartEntry],
    /// The parts that come.
    pub added: &'a [&'a PartEntry],
    /// Tasks of which nothing is to be told but that they are forgotten, by the hashes of their ids.
    pub forgotten: Option<&'a Forgotten>,
}

/// Tasks whose old copies are held at a time, some 100 bytes each; with more of them the new ones are read several times.
const HELD_TASKS: u64 = 1 << 19;

const FORGOTTEN: &str = "forgotten";

/// Rows of a file.
const ROWS: usize = 1 << 18;

/// An old copy.
struct Old {
    content: u128,
    id: String,
    part: usize,
}

/// A change of one task.
struct Change {
    id: String,
    batch: Option<Box<str>>,
    word: &'static str,
}

impl PartWriter {
    /// Writes which tasks a version adds, replaces and removes, as parts of it.
    pub fn note(&self, noted: &Noted<'_>) -> Result<Vec<PartEntry>> {
        self.install(|| Notes::of(self, noted).write())
    }
}

/// The rows on their way into parts.
struct Notes<'n> {
    writer: &'n PartWriter,
    noted: &'n Noted<'n>,
    rows: BTreeMap<Option<Box<str>>, Vec<Change>>,
    held: usize,
    parts: Vec<PartEntry>,
    /// Hashes of the forgotten that are told of.
    told: HashSet<&'n str>,
}

impl<'n> Notes<'n> {
    fn of(writer: &'n PartWriter, noted: &'n Noted<'n>) -> Notes<'n> {
        Notes { writer, noted, rows: BTreeMap::new(), held: 0, parts: Vec::new(), told: HashSet::new() }
    }

    fn write(mut self) -> Result<Vec<PartEntry>> {
        let tasks =
            |part: &&&PartEntry| part.rows(catalog::tasks::TABLE.name) > 0 && part.key.dataset == Dataset::Tasks;
        let removed = self.noted.removed.iter().filter(tasks).copied().collect::<Vec<_>>();
        let added = self.noted.added.iter().filter(tasks).copied().collect::<Vec<_>>();
        let rows = removed.iter().map(|part| part.rows(catalog::tasks::TABLE.name)).sum::<u64>();
        let passes = u128::from(rows.div_ceil(HELD_TASKS).max(1));
        for pass in 0..passes {
            let is_own = |own: u128| own % passes == pass;
            let mut old = HashMap::new();
            for (part, found) in read(self.writer.store(), &removed, &is_own)?.into_iter().enumerate() {
                old.extend(found.into_iter().map(|(own, content, id)| (own, Old { content, id, part })));
            }
            // Some parts at a time: what is read of them is held.
            for some in added.chunk_by(within(ROWS)) {
                for (part, found) in some.iter().zip(read(self.writer.store(), some, &is_own)?) {
                    for (own, content, id) in found {
                        let word = match old.remove(&own) {
                            None => "added",
                            Some(old) if old.content == content => continue,
                            Some(_) => "replaced",
                        };
                        self.push(&part.key, id, word)?;
                    }
                }
            }
            let mut gone = old.into_values().collect::<Vec<_>>();
            gone.sort_unstable_by(|one, other| one.id.cmp(&other.id));
            for Old { id, part, .. } in gone {
                let part =
                    removed.get(part).ok_or_else(|| bug(format!("a task of part {part} of {}", removed.len())))?;
                match self.noted.forgotten.and_then(|forgotten| forgotten.hash_of_task(&id)) {
                    Some(hash) => {
                        self.told.insert(hash);
                        self.push(&part.key, hash.to_owned(), FORGOTTEN)?;
                    }
                    None => self.push(&part.key, id, "removed")?,
                }
            }
        }
        // Those that the lake does not hold, or not any more: somebody's copy may.
        for hash in self.noted.forgotten.into_iter().flat_map(Forgotten::tasks) {
            if !self.told.contains(hash.as_str()) {
                self.push(&Key::null(Dataset::Tasks), hash.clone(), FORGOTTEN)?;
            }
        }
        self.flush()?;
        Ok(self.parts)
    }

    fn push(&mut self, of: &Key, id: String, word: &'static str) -> Result<()> {
        self.rows.entry(of.project.clone()).or_default().push(Change { id, batch: of.batch.clone(), word });
        self.held += 1;
        if self.held >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.held = 0;
        let first = self.parts.len();
        let rows = std::mem::take(&mut self.rows).into_iter().enumerate().collect::<Vec<_>>();
        let write = |(number, (project, changes)): (usize, (Option<Box<str>>, Vec<Change>))| {
            let name = format!("changes{}-{:06}", self.noted.attempt, first + number);
            let batch = self.batch(project.as_deref(), changes)?;
            let key = Key::project(Dataset::TaskChanges, project.as_deref());
            self.writer.write_rows(&task_changes::TABLE, name, key, &[batch])
        };
        let parts = rows.into_par_iter().map(write).collect::<Result<Vec<_>>>()?;
        self.parts.extend(parts);
        Ok(())
    }

    fn batch(&self, project: Option<&str>, mut changes: Vec<Change>) -> Result<RecordBatch> {
        changes.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let version = i64::try_from(self.noted.version).map_err(|_| bug(format!("version {}", self.noted.version)))?;
        let mut builder = task_changes::Builder::default();
        for Change { id, batch, word } in &changes {
            let row = task_changes::Row {
                task_id: id,
                version,
                committed_at: self.noted.committed_at,
                project_id: project,
                batch_id: batch.as_deref(),
                change: word,
            };
            builder.push(row).map_err(|_| bug(format!("{} changes in one file", changes.len())))?;
        }
        builder.finish().map_err(|source| Error::Batch { table: task_changes::TABLE.name, source })
    }
}

/// Identity, content and id of the tasks of each part that are meant.
fn read(
    store: &dyn Store,
    parts: &[&PartEntry],
    is_own: &(dyn Fn(u128) -> bool + Sync),
) -> Result<Vec<Vec<(u128, u128, String)>>> {
    let table = &catalog::tasks::TABLE;
    let read = |part: &&PartEntry| {
        let mut found = Vec::new();
        Objects::open(table, store, &part.path(table.name))?.read(|object| {
            let own = identity(object.identity);
            if is_own(own) {
                found.push((own, object.fingerprint, object.id.to_owned()));
            }
            Ok(())
        })?;
        Ok(found)
    };
    with_readers(store, || parts.par_iter().map(read).collect::<Result<Vec<_>>>())?
}

/// Tells for neighbours whether they are still of one group, of so many tasks or a part.
fn within(rows: usize) -> impl FnMut(&&PartEntry, &&PartEntry) -> bool {
    let mut seen = 0;
    move |part, _| {
        seen += part.rows(catalog::tasks::TABLE.name) as usize;
        let is_within = seen < rows;
        if !is_within {
            seen = 0;
        }
        is_within
    }
}

fn bug(found: String) -> Error {
    Error::Bug { place: "part::changes", found }
}
