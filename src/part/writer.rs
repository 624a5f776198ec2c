//! Writes parts, and takes objects out of them again.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::entry::{FileEntry, PartEntry, checksum, path_of};
use super::ledger::Ledger;
use super::rows::{Rows, flatten_frames};
use super::statistics::{Ids, bounds, instants};
use crate::attachment::{Attachments, Kept, Unordered};
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::file::{Encoding, encode, joined, without};
use crate::parse::Reject;
use crate::partition::Key;
use crate::progress::Progress;
use crate::shuffle::{Part, Position, identity};
use crate::store::Store;
use crate::table::{Dataset, SCHEMA_VERSION, Table, catalog, lake_tables};

/// Writes the parts of one run, each file under its final name: what is not named by a commit record is no data.
#[derive(Clone, Debug)]
pub struct PartWriter {
    store: Arc<dyn Store>,
    /// What the names of the run's files begin with, and no other's.
    prefix: String,
    encoding: Encoding,
    pool: Arc<rayon::ThreadPool>,
    ledger: Ledger,
    /// Where rows of attachments hear of their bytes.
    attachments: Option<Arc<Attachments>>,
}

/// A part whose files are written.
#[derive(Debug)]
pub struct Written {
    /// Position among all parts of the run, from 0.
    pub number: u32,
    /// Its files.
    pub entry: PartEntry,
    /// The objects in it.
    pub identities: Vec<(u128, Position)>,
    /// The tasks that brought bytes of attachments which the lake had not.
    pub renewed: Vec<u128>,
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
    /// Will write into this store, with the threads of this pool, and note it here.
    pub fn new(
        store: &Arc<dyn Store>,
        prefix: String,
        encoding: Encoding,
        pool: &Arc<rayon::ThreadPool>,
        ledger: &Ledger,
    ) -> PartWriter {
        let (store, pool, ledger) = (Arc::clone(store), Arc::clone(pool), ledger.clone());
        PartWriter { store, prefix, encoding, pool, ledger, attachments: None }
    }

    /// The same, whose rows of attachments hear of their bytes here.
    #[must_use]
    pub fn with_attachments(self, attachments: Option<Arc<Attachments>>) -> PartWriter {
        PartWriter { attachments, ..self }
    }

    /// Where it writes.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The same, to share.
    pub fn shared_store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Does something with the threads that write.
    pub fn install<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.pool.install(act)
    }

    /// Flattens a part and writes its files. Ends early, with [`Error::Interrupted`], once `progress` was asked to stop.
    pub fn write(&self, part: Part, progress: &Progress) -> Result<Written> {
        let name = format!("{:06}", part.number);
        self.write_as(part, name, progress)
    }

    /// The same, under a name of this run.
    pub fn write_as(&self, part: Part, name: String, progress: &Progress) -> Result<Written> {
        self.pool.install(|| self.write_here(part, name, progress))
    }

    fn write_here(&self, part: Part, name: String, progress: &Progress) -> Result<Written> {
        progress.check()?;
        let (number, key) = (part.number, part.key.clone());
        tracing::debug!(part = number, partition = key.path(), bytes = part.bytes, "writing");
        let rows = {
            let loaded = tracing::info_span!("load").in_scope(|| part.load())?;
            flatten_frames(&key, &loaded)?
        };
        progress.check()?;
        let mut written = Written {
            number,
            entry: self.entry(name, key),
            identities: Vec::new(),
            renewed: Vec::new(),
            rejects: Vec::new(),
            superseded: 0,
            replaced_surrogates: 0,
            drift: Drift::default(),
        };
        let dataset = written.entry.key.dataset;
        let mut batches: Vec<(&'static Table, Vec<RecordBatch>)> =
            dataset.tables().map(|table| (table, Vec::new())).collect();
        for rows in rows {
            let Rows { batches: of_run, identities, rejects, superseded, replaced_surrogates, drift } = rows;
            written.identities.extend(identities);
            written.rejects.extend(rejects);
            written.superseded += superseded;
            written.replaced_surrogates += replaced_surrogates;
            written.drift.merge(drift);
            for (table, batch) in of_run {
                let batch = match &self.attachments {
                    Some(attachments) if table.name == catalog::attachments::TABLE.name => {
                        let filled = attachments.fill(&batch, Unordered::Fetched)?;
                        written.renewed.extend(filled.renewed);
                        filled.batch
                    }
                    _ => batch,
                };
                match batches.iter_mut().find(|(known, _)| known.name == table.name) {
                    Some((_, of_table)) => of_table.push(batch),
                    None => return Err(bug(format!("rows of {} in a part of {dataset:?}", table.name))),
                }
            }
        }
        batches.retain(|(_, batches)| !batches.is_empty());
        // The first table has every id.
        let (least_id, greatest_id) = batches.first().map_or((None, None), |(_, batches)| bounds(batches));
        let entry = &written.entry;
        let files = batches.into_par_iter().map(|(table, batches)| {
            progress.check()?;
            let file = self.put(table, entry, &batches)?;
            Ok((table.name.to_owned(), file))
        });
        let files = files.collect::<Result<_>>()?;
        (written.entry.least_id, written.entry.greatest_id) = (least_id, greatest_id);
        written.entry.files = files;
        Ok(written)
    }

    /// Writes a part of this run anew without some of its objects, because later ones replace them; `None` where none is left.
    pub fn rewrite(&self, part: &PartEntry, identities: &HashSet<u128>) -> Result<Option<PartEntry>> {
        let stem = part.part.strip_prefix(&self.prefix).and_then(|name| name.strip_suffix(SUFFIX));
        let stem = stem.ok_or_else(|| bug(format!("a part called {} in a run of {}", part.part, self.prefix)))?;
        let rest = self.without(part, &*self.store, &format!("{stem}-rest"), identities)?;
        self.store.delete_each(&part.files.keys().map(|table| part.path(table)).collect::<Vec<_>>())?;
        Ok(rest)
    }

    /// Writes any part, read from there, anew under a name of this run, without some of its objects; `None` where none is left. The old
    /// one stays where it is.
    pub fn without(
        &self,
        part: &PartEntry,
        from: &dyn Store,
        name: &str,
        identities: &HashSet<u128>,
    ) -> Result<Option<PartEntry>> {
        let mut entry = self.entry(name.to_owned(), part.key.clone());
        entry.schema_version = part.needed_schema();
        let is_dropped = |id: &[u8]| identities.contains(&identity(id));
        let rewrite = |name: &String| {
            let table = Table::named(name).ok_or_else(|| bug(format!("a file of the table {name}")))?;
            let kept = without(table, from, &part.path(name), is_dropped)?;
            let file = if kept.is_empty() { None } else { Some(self.put(table, &entry, &kept)?) };
            let mut ids = Ids::default();
            ids.observe(&kept);
            Ok(file.map(|file| (name.clone(), file, ids)))
        };
        let names = part.files.keys().collect::<Vec<_>>();
        let kept = self.pool.install(|| names.into_par_iter().map(rewrite).collect::<Result<Vec<_>>>())?;
        let (mut files, mut all) = (BTreeMap::new(), Ids::default());
        for (name, file, ids) in kept.into_iter().flatten() {
            files.insert(name, file);
            all.merge(ids);
        }
        (entry.least_id, entry.greatest_id) = all.bounds();
        entry.files = files;
        Ok(Some(entry).filter(|entry| !entry.files.is_empty()))
    }

    /// Writes the rows of many parts, read from there, as one part of a partition under a name of this run. The old ones stay where they
    /// are. They hold different objects, or the rows would contradict each other.
    pub fn join(&self, parts: &[&PartEntry], from: &dyn Store, name: &str, key: Key) -> Result<PartEntry> {
        let mut entry = self.entry(name.to_owned(), key);
        entry.schema_version = parts.iter().map(|part| part.needed_schema()).min().unwrap_or(SCHEMA_VERSION);
        let join = |table: &'static Table| {
            let own = parts.iter().filter(|part| part.rows(table.name) > 0).map(|part| part.path(table.name));
            let rows = joined(table, from, &own.collect::<Vec<_>>())?;
            let Some(rows) = rows.map(|rows| [rows]) else { return Ok(None) };
            let mut ids = Ids::default();
            ids.observe(&rows);
            Ok(Some((table.name.to_owned(), self.put(table, &entry, &rows)?, ids)))
        };
        let tables = entry.key.dataset.tables().collect::<Vec<_>>();
        let written = self.pool.install(|| tables.into_par_iter().map(join).collect::<Result<Vec<_>>>())?;
        let (mut files, mut all) = (BTreeMap::new(), Ids::default());
        for (name, file, ids) in written.into_iter().flatten() {
            files.insert(name, file);
            all.merge(ids);
        }
        (entry.least_id, entry.greatest_id) = all.bounds();
        entry.files = files;
        Ok(entry)
    }

    /// Writes a part, read from there, anew under a name of this run with other rows of one table; the files of the others are copied. The
    /// rows are of the same objects, in the same order.
    pub fn replace_rows(
        &self,
        part: &PartEntry,
        from: &dyn Store,
        table: &Table,
        rows: &[RecordBatch],
        name: &str,
    ) -> Result<PartEntry> {
        let mut entry = self.entry(name.to_owned(), part.key.clone());
        entry.schema_version = part.schema_version;
        (entry.least_id, entry.greatest_id) = (part.least_id.clone(), part.greatest_id.clone());
        let copy = |(name, file): (&String, &FileEntry)| {
            if name == table.name {
                return Ok((name.clone(), self.put(table, &entry, rows)?));
            }
            let (old, new) = (part.path(name), entry.path(name));
            let bytes = from.get(&old)?.ok_or_else(|| Error::NoFile { path: from.place().join(&old) })?;
            self.ledger.write(&new, || self.store.put(&new, &bytes))?;
            Ok((name.clone(), file.clone()))
        };
        entry.files = self.pool.install(|| part.files.par_iter().map(copy).collect::<Result<_>>())?;
        Ok(entry)
    }

    /// Writes rows of a table as a part of its own.
    pub(super) fn write_rows(&self, table: &Table, name: String, key: Key, rows: &[RecordBatch]) -> Result<PartEntry> {
        let mut entry = self.entry(name, key);
        (entry.least_id, entry.greatest_id) = bounds(rows);
        entry.files = BTreeMap::from([(table.name.to_owned(), self.put(table, &entry, rows)?)]);
        Ok(entry)
    }

    /// Writes a file without rows for every table, so that no reader fails on a table that has none.
    pub fn write_empty(&self) -> Result<Vec<PartEntry>> {
        let mut datasets = lake_tables().map(|table| table.dataset).collect::<Vec<_>>();
        datasets.dedup();
        let write = |dataset: &Dataset| self.write_empty_of(*dataset, format!("empty-{}", dataset.word()));
        self.pool.install(|| datasets.par_iter().map(write).collect())
    }

    /// The same for the tables of a dataset, under a name of this run.
    pub fn write_empty_of(&self, dataset: Dataset, name: String) -> Result<PartEntry> {
        let mut entry = self.entry(name, Key::null(dataset));
        for table in dataset.tables() {
            entry.files.insert(table.name.to_owned(), self.put(table, &entry, &[])?);
        }
        Ok(entry)
    }

    fn entry(&self, name: String, key: Key) -> PartEntry {
        let (least_id, greatest_id, files) = (None, None, BTreeMap::new());
        PartEntry {
            part: format!("{}{name}{SUFFIX}", self.prefix),
            folder: key.path(),
            key,
            least_id,
            greatest_id,
            schema_version: SCHEMA_VERSION,
            files,
        }
    }

    fn put(&self, table: &Table, part: &PartEntry, batches: &[RecordBatch]) -> Result<FileEntry> {
        let path = path_of(table.name, &part.folder, &part.part);
        let instants = instants(table, batches);
        let is_of_attachments = table.name == catalog::attachments::TABLE.name;
        let kept = if is_of_attachments { Kept::of(batches) } else { Kept::default() };
        let encoded = encode(table, batches, self.encoding, Path::new(&path))?;
        let (rows, bytes) = (encoded.rows, encoded.bytes.len() as u64);
        let checksum = checksum(&encoded.bytes);
        tracing::info_span!("write").in_scope(|| self.ledger.write(&path, || self.store.put(&path, &encoded.bytes)))?;
        Ok(FileEntry { rows, bytes, checksum, instants, kept: kept.rows, moved_bytes: kept.moved_bytes })
    }
}

/// What the names of all data files end with.
const SUFFIX: &str = ".parquet";

fn bug(found: String) -> Error {
    Error::Bug { place: "part::writer", found }
}
