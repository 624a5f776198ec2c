//! Every byte and every row.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::SortOptions;
use arrow::datatypes::{Int32Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use bumpalo::Bump;
use rayon::prelude::*;

use super::look;
use crate::error::{Error, Result};
use crate::file::{identities, open, open_columns};
use crate::flatten::content_hash;
use crate::json::Value;
use crate::lake::{Fault, Finding, State, bytes_of};
use crate::parse::tree_of;
use crate::part::{Near, PartEntry, bounds, checksum, instants};
use crate::partition::{DateGrain, Key, Layout};
use crate::restore::restore_part;
use crate::shuffle::identity;
use crate::store::{MemoryStore, Store, with_readers};
use crate::table::{Dataset, Table, catalog};

/// The rows of a part's file.
struct Rows {
    table: &'static Table,
    path: String,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// Looks at every byte and every row of a part. Its files are read once, and kept in memory while they are looked at.
pub(super) fn look_deep(
    store: &dyn Store,
    part: &PartEntry,
    unfit: &BTreeSet<String>,
    layout: Layout,
) -> Result<Vec<Finding>> {
    let (mut findings, mut unfit) = (Vec::new(), unfit.clone());
    let read = MemoryStore::named("what was read");
    let got = part.files.par_iter().map(|(table, entry)| {
        let path = part.path(table);
        Ok((store.get(&path)?, path, entry))
    });
    for (bytes, path, entry) in got.collect::<Result<Vec<_>>>()? {
        let Some(bytes) = bytes else {
            findings.push(Finding::new(Fault::Missing, &path, "a file", "none"));
            return Ok(findings);
        };
        if bytes.len() as u64 != entry.bytes && !unfit.contains(&path) {
            findings.push(Finding::new(Fault::Size, &path, bytes_of(entry.bytes), bytes_of(bytes.len() as u64)));
            unfit.insert(path.clone());
        }
        let found = checksum(&bytes);
        if found != entry.checksum && !unfit.contains(&path) {
            findings.push(Finding::new(Fault::Checksum, &path, format!("the checksum {}", entry.checksum), found));
            unfit.insert(path.clone());
        }
        read.put(&path, &bytes)?;
    }
    findings.extend(look(&read, part, &unfit)?);
    if !findings.is_empty() || part.files.keys().any(|table| unfit.contains(&part.path(table))) {
        // Whatever else there is to say follows from that.
        return Ok(findings);
    }
    let mut all = Vec::new();
    for table in part.key.dataset.tables().filter(|table| part.files.contains_key(table.name)) {
        let path = part.path(table.name);
        let reader = open(&read, &path)?;
        let schema = reader.schema();
        match reader.collect::<Result<Vec<_>, _>>() {
            Ok(batches) => all.push(Rows { table, path, schema, batches }),
            Err(error) => findings.push(Finding::new(Fault::Footer, &path, "pages that can be read", error)),
        }
    }
    for rows in &all {
        findings.extend(rows.in_order()?);
        findings.extend(rows.as_told(part));
        findings.extend(rows.in_their_partition(part, layout));
    }
    if part.key.dataset == Dataset::Tasks && findings.is_empty() {
        findings.extend(totals(&all));
        findings.extend(contents(&Near::Here(read, store), part, &all)?);
    }
    Ok(findings)
}

impl Rows {
    fn wrong(&self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Finding {
        Finding::new(Fault::Rows, &self.path, expected, found)
    }

    /// Rows come in the order of their keys, and no key twice.
    fn in_order(&self) -> Result<Option<Finding>> {
        let failed = |source: ArrowError| Error::Batch { table: self.table.name, source };
        let order = SortOptions { descending: false, nulls_first: true };
        let fields =
            self.table.sort_columns().map(|column| SortField::new_with_options(column.shape.data_type(), order));
        let converter = RowConverter::new(fields.collect()).map_err(failed)?;
        let names = self.table.sort_columns().map(|column| column.name).collect::<Vec<_>>();
        let mut last: Option<OwnedRow> = None;
        for batch in &self.batches {
            let keys = names.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect::<Vec<_>>();
            let keys = converter.convert_columns(&keys).map_err(failed)?;
            let rises = (1..keys.num_rows()).all(|row| keys.row(row - 1) < keys.row(row));
            let goes_on = keys.num_rows() == 0 || last.as_ref().is_none_or(|last| last.row() < keys.row(0));
            if !rises || !goes_on {
                return Ok(Some(self.wrong(format!("rows by {}, each once", names.join(", ")), "others")));
            }
            last = keys.num_rows().checked_sub(1).map(|row| keys.row(row).owned()).or(last);
        }
        Ok(None)
    }

    /// Bounds of ids and instants are as the record tells them.
    fn as_told(&self, part: &PartEntry) -> Vec<Finding> {
        let mut findings = Vec::new();
        let told = part.files.get(self.table.name).map(|file| &file.instants);
        let mut found = instants(self.table, &self.batches);
        // Nothing was told of columns that came later.
        found.retain(|column, _| self.schema.column_with_name(column).is_some());
        if told.is_some_and(|told| *told != found) {
            findings.push(self.wrong("instants within the bounds that its record tells", "other bounds"));
        }
        // The first table has every id.
        let is_first = part.key.dataset.tables().next().is_some_and(|first| first.name == self.table.name);
        if is_first && bounds(&self.batches) != (part.least_id.clone(), part.greatest_id.clone()) {
            findings.push(self.wrong("ids within the bounds that its record tells", "other bounds"));
        }
        findings
    }

    /// Each row's own ids and instants name the partition that it lies in.
    fn in_their_partition(&self, part: &PartEntry, layout: Layout) -> Option<Finding> {
        let dataset = part.key.dataset;
        let is_objects = dataset.tables().next().is_some_and(|first| first.name == self.table.name);
        // A membership does not tell its project.
        if !is_objects || dataset == Dataset::DeliveryTasks {
            return None;
        }
        for batch in &self.batches {
            let text = |name, row| {
                Some(batch.column_by_name(name)?.as_string_opt::<i32>()?)
                    .filter(|ids| ids.is_valid(row))
                    .map(|ids| ids.value(row))
            };
            let instant = |name, row| {
                let instants = batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
                instants.is_valid(row).then(|| instants.value(row))
            };
            for row in 0..batch.num_rows() {
                let project = text("project_id", row);
                let own = match dataset {
                    Dataset::Tasks => {
                        let (created_at, completed_at) = (instant("created_at", row), instant("completed_at", row));
                        // The grain of a version may have been another one than the newest has.
                        let mut dates = [DateGrain::Day, DateGrain::Month]
                            .map(|date_grain| Layout { date_grain, ..layout }.date(created_at, completed_at))
                            .into_iter();
                        let date = dates.clone().find(|date| *date == part.key.date).or_else(|| dates.next()).flatten();
                        Key::task(project, text("batch_id", row), date)
                    }
                    // One that does not tell its project lies in that of the object that it stood in.
                    _ if project.is_none() => continue,
                    dataset => Key::project(dataset, project),
                };
                if own != part.key {
                    return Some(self.wrong(format!("rows of {}", part.key.path()), format!("one of {}", own.path())));
                }
            }
        }
        None
    }

    /// The values of a column that is never null.
    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let columns = self.batches.iter().filter_map(move |batch| batch.column_by_name(name)?.as_string_opt::<i32>());
        columns.flat_map(|column| column.iter().flatten())
    }

    fn counts(&self, name: &str) -> impl Iterator<Item = i32> {
        let columns =
            self.batches.iter().filter_map(move |batch| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>());
        columns.flat_map(|column| column.iter().flatten())
    }
}

const TASK_ID: &str = "task_id";

/// A task's totals are the numbers of its rows.
fn totals(all: &[Rows]) -> Vec<Finding> {
    let of = |table: &Table| all.iter().find(|rows| rows.table.name == table.name);
    let Some(tasks) = of(&catalog::tasks::TABLE) else { return Vec::new() };
    let totals = [
        ("turn_count", &catalog::turns::TABLE),
        ("message_count", &catalog::messages::TABLE),
        ("annotation_count", &catalog::annotations::TABLE),
    ];
    let mut findings = Vec::new();
    for (column, table) in totals {
        let mut rows: HashMap<&str, i32> = HashMap::new();
        of(table).into_iter().flat_map(|rows| rows.texts(TASK_ID)).for_each(|id| *rows.entry(id).or_default() += 1);
        let wrong =
            tasks.texts(TASK_ID).zip(tasks.counts(column)).find(|(id, count)| rows.get(id).unwrap_or(&0) != count);
        if let Some((id, count)) = wrong {
            let found = format!("{} of {id}", rows.get(id).unwrap_or(&0));
            findings.push(tasks.wrong(format!("{count} rows in {} by {column}", table.name), found));
        }
    }
    findings
}

/// Every row has its owner, and each task that is put together again has the content that its hash was made of.
fn contents(near: &Near<'_>, part: &PartEntry, all: &[Rows]) -> Result<Option<Finding>> {
    let Some(tasks) = all.iter().find(|rows| rows.table.name == catalog::tasks::TABLE.name) else {
        let found = Finding::new(Fault::Rows, part.path("tasks"), "the tasks of these rows", "none");
        return Ok(Some(found).filter(|_| part.files.values().any(|file| file.rows > 0)));
    };
    let mut told = tasks.texts(TASK_ID).zip(tasks.texts("content_hash"));
    let (mut arena, mut changed) = (Bump::new(), None);
    let restored = restore_part(near, part, |task| {
        arena.reset();
        let hash = match tree_of(task.as_bytes(), &arena).map(|document| document.root) {
            Ok(Value::Object(members)) => format!("{:032x}", content_hash(members)),
            _ => "none".to_owned(),
        };
        if let Some((id, told)) = told.next().filter(|(_, told)| *told != hash) {
            changed.get_or_insert_with(|| tasks.wrong(format!("content of {id} with the hash {told}"), hash));
        }
        Ok(())
    });
    match restored {
        Ok(_) => Ok(changed),
        // A content that was moved out of the table is gone or damaged, which is told of itself; of tasks behind it nothing can be told.
        Err(Error::NoFile { .. } | Error::OtherBytes { .. }) => Ok(None),
        Err(error @ Error::Unfit { table, .. }) => {
            Ok(Some(Finding::new(Fault::Rows, part.path(table), "rows that each have their owner", error)))
        }
        Err(error) => Err(error),
    }
}

/// Objects that lie in more than one part of a version, one for each such file.
pub(super) fn repeated(
    store: &dyn Store,
    state: &State,
    parts: &[PartEntry],
    found: &[Finding],
) -> Result<Vec<Finding>> {
    let known = found.iter().map(|finding| finding.path.as_str()).collect::<BTreeSet<_>>();
    let asked = parts.iter().enumerate().filter_map(|(index, part)| {
        let table = part.key.dataset.tables().next().filter(|table| part.rows(table.name) > 0)?;
        let path = part.path(table.name);
        // What happened to a task is told as often as something did.
        let is_of_objects = part.key.dataset != Dataset::TaskChanges;
        let is_asked = is_of_objects && state.parts.contains_key(&part.part) && !known.contains(path.as_str());
        is_asked.then_some((index, part.key.dataset, table, path))
    });
    let mut seen: HashMap<(Dataset, u128), usize> = HashMap::new();
    let mut findings = Vec::new();
    for some in asked.collect::<Vec<_>>().chunks(PARTS_AT_A_TIME) {
        let read = |(_, _, table, path): &(usize, Dataset, &'static Table, String)| ids_of(store, table, path);
        let read = with_readers(store, || some.par_iter().map(read).collect::<Result<Vec<_>>>())??;
        for ((index, dataset, table, path), ids) in some.iter().zip(read) {
            let mut repeated = None;
            for id in ids {
                let other = seen.insert((*dataset, identity(&id)), *index).filter(|other| other != index);
                if let Some(other) = other.and_then(|other| parts.get(other)) {
                    let id = String::from_utf8_lossy(&id).into_owned();
                    repeated.get_or_insert(format!("`{id}`, which {} holds too", other.path(table.name)));
                }
            }
            let wrong = |found| Finding::new(Fault::Rows, path, "objects that lie nowhere else", found);
            findings.extend(repeated.map(wrong));
        }
    }
    Ok(findings)
}

/// Parts whose ids are in memory at a time.
const PARTS_AT_A_TIME: usize = 64;

/// What tells the objects of a file from others; nothing of one that is gone, with the version that needed it.
fn ids_of(store: &dyn Store, table: &'static Table, path: &str) -> Result<Vec<Vec<u8>>> {
    let columns = table.columns.iter().take(2).map(|column| column.name).collect::<Vec<_>>();
    let read = match open_columns(store, path, &columns) {
        Err(Error::NoFile { .. }) => return Ok(Vec::new()),
        read => read?,
    };
    let mut ids = Vec::new();
    for batch in read {
        let batch = batch.map_err(|source| Error::Batch { table: table.name, source })?;
        ids.extend(identities(table, &batch, path)?);
    }
    Ok(ids)
}
