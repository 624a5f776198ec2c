//! A table of a lake as record batches, as engines see it: with the columns that its partitions stand for.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, RecordBatch, RecordBatchOptions, RecordBatchReader, StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono::{Months, NaiveDate};
use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use crate::config::all_cores;
use crate::error::{Error, Result};
use crate::file::open_batches;
use crate::lake::{Lake, State};
use crate::part::{Near, PartEntry, groups};
use crate::partition::{self, DATE, DateGrain, Key};
use crate::pipeline::Workers;
use crate::store::Store;
use crate::table::{Table, lake_tables};

/// Which rows and columns of a table are wanted.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Its columns, in this order, those of its partitions among them; `None` for all.
    pub columns: Option<Vec<String>>,
    /// Only rows of these projects, `None` among them for rows without one.
    pub projects: Option<Vec<Option<String>>>,
    /// Only rows of these batches, in the same way.
    pub batches: Option<Vec<Option<String>>>,
    /// Only rows of partitions that have any of these days: one of a month has all of its days.
    pub days: Option<Days>,
    /// Threads that read.
    pub threads: usize,
}

/// Days that partitions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// From one to another, both with it; `None` is an open end.
    Between(Option<NaiveDate>, Option<NaiveDate>),
    /// None: of tasks without a time.
    Unknown,
}

impl Default for ScanOptions {
    /// All of it, with all cores.
    fn default() -> ScanOptions {
        ScanOptions { columns: None, projects: None, batches: None, days: None, threads: all_cores() }
    }
}

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Batches that wait to be taken.
const QUEUED_BATCHES: usize = 8;

/// The rows of a table, batch by batch, in the order of its partitions and of their tasks. Files are read ahead by threads of its own.
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    /// They end with `None`: without it the thread that reads has died, and what came is not all.
    batches: Receiver<Option<Result<RecordBatch>>>,
    is_over: bool,
}

/// The columns of a table with those of its partitions, as a scan of all of them gives them.
fn schema_of(table: &Table) -> SchemaRef {
    let own = table.arrow_schema();
    let partitions = partition::columns(table.dataset)
        .iter()
        .map(|name| Arc::new(Field::new(*name, if *name == DATE { DataType::Date32 } else { DataType::Utf8 }, true)));
    let fields = own.fields().iter().cloned().chain(partitions).collect::<Vec<_>>();
    Arc::new(Schema::new_with_metadata(fields, own.metadata().clone()))
}

/// Reads a table of a lake at one version.
pub fn scan(lake: &Lake, state: &State, table: &str, options: &ScanOptions) -> Result<Scan> {
    let schema = scan_schema_of(table, options)?;
    let table = named(table)?;
    let grain = state.layout.date_grain;
    let is_meant = |part: &&PartEntry| part.rows(table.name) > 0 && options.holds(&part.key, grain);
    let parts = state.in_order().into_iter().filter(is_meant).cloned().collect::<Vec<_>>();
    let (sender, batches) = bounded(QUEUED_BATCHES);
    let workers = Workers::start(options.threads.max(1))?;
    let reader = Reader { store: Arc::clone(lake.store()), table, schema: Arc::clone(&schema), parts };
    std::thread::spawn(move || {
        let last = workers.run(|| reader.read(&sender)).err().map(Err);
        // Nobody may want to hear of it any more.
        let _ = sender.send(last);
    });
    Ok(Scan { schema, batches, is_over: false })
}

/// The columns that a scan would give.
pub fn scan_schema_of(table: &str, options: &ScanOptions) -> Result<SchemaRef> {
    let table = named(table)?;
    check_partitions(table, options)?;
    projected(table, options.columns.as_deref())
}

/// How many rows a scan would give: records tell it.
pub fn scan_rows(state: &State, table: &str, options: &ScanOptions) -> Result<u64> {
    let table = named(table)?;
    check_partitions(table, options)?;
    let grain = state.layout.date_grain;
    let is_meant = |part: &&PartEntry| part.key.dataset == table.dataset && options.holds(&part.key, grain);
    let parts = state.parts.values().filter(is_meant);
    Ok(parts.map(|part| part.rows(table.name)).sum())
}

fn named(name: &str) -> Result<&'static Table> {
    lake_tables().find(|table| table.name == name).ok_or_else(|| {
        let names = lake_tables().map(|table| table.name).collect::<Vec<_>>();
        Error::Usage { setting: "table", expected: format!("one of {}", names.join(", ")), found: name.to_owned() }
    })
}

fn projected(table: &Table, columns: Option<&[String]>) -> Result<SchemaRef> {
    let schema = schema_of(table);
    let Some(columns) = columns else { return Ok(schema) };
    let field = |name: &String| match schema.field_with_name(name) {
        Ok(field) => Ok(field.clone()),
        Err(_) => {
            let known = schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            let expected = format!("columns of {}: {known}", table.name);
            Err(Error::Usage { setting: "columns", expected, found: name.clone() })
        }
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// What a table has no partitions of can't narrow it.
fn check_partitions(table: &Table, options: &ScanOptions) -> Result<()> {
    let has = |column: &str| partition::columns(table.dataset).contains(&column);
    let is_narrowed =
        [("project", options.projects.is_some()), ("batch", options.batches.is_some()), (DATE, options.days.is_some())];
    match is_narrowed.into_iter().find(|(column, is_narrowed)| *is_narrowed && !has(column)) {
        None => Ok(()),
        Some((column, _)) => {
            let expected = format!("one of {}", partition::columns(table.dataset).join(", "));
            let found = format!("{column}, by which {} is not partitioned", table.name);
            Err(Error::Usage { setting: "partitions", expected, found })
        }
    }
}

impl ScanOptions {
    fn holds(&self, key: &Key, grain: DateGrain) -> bool {
        let is_one_of = |wanted: &Option<Vec<Option<String>>>, value: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted.as_deref() == value))
        };
        let is_of_days = match (self.days, key.date) {
            (None, _) => true,
            (Some(Days::Between(from, to)), Some(date)) => {
                let last = match grain {
                    DateGrain::Day => date,
                    DateGrain::Month => {
                        date.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(date)
                    }
                };
                from.is_none_or(|from| from <= last) && to.is_none_or(|to| date <= to)
            }
            (Some(days), date) => days == Days::Unknown && date.is_none(),
        };
        is_one_of(&self.projects, key.project.as_deref())
            && is_one_of(&self.batches, key.batch.as_deref())
            && is_of_days
    }
}

/// What reads ahead.
struct Reader {
    store: Arc<dyn Store>,
    table: &'static Table,
    schema: SchemaRef,
    parts: Vec<PartEntry>,
}

impl Reader {
    /// Hands on all batches, until nobody wants more of them.
    fn read(&self, to: &Sender<Option<Result<RecordBatch>>>) -> Result<()> {
        // Only this table of them is wanted.
        let own = |part: &PartEntry| {
            let mut part = part.clone();
            part.files.retain(|table, _| table == self.table.name);
            part
        };
        let parts = self.parts.iter().map(own).collect::<Vec<_>>();
        for group in groups(&*self.store, &parts.iter().collect::<Vec<_>>()) {
            let near = Near::bring(&*self.store, group)?;
            for some in group.chunks(rayon::current_num_threads()) {
                let read = some.par_iter().map(|part| self.batches_of(near.store(), part));
                for batch in read.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
                    if to.send(Some(Ok(batch))).is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn batches_of(&self, store: &dyn Store, part: &PartEntry) -> Result<Vec<RecordBatch>> {
        let failed = |source| Error::Batch { table: self.table.name, source };
        let columns = self.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
        let batches = open_batches(store, &part.path(self.table.name), &columns, BATCH_ROWS)?;
        batches.map(|batch| batch.and_then(|batch| self.whole(&batch, &part.key)).map_err(failed)).collect()
    }

    /// A batch with the columns that its file has, those that its partition stands for, and those that came with a later schema.
    fn whole(&self, batch: &RecordBatch, key: &Key) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let text = |value: Option<&str>| Arc::new(StringArray::from_iter(std::iter::repeat_n(value, rows))) as ArrayRef;
        let column = |field: &Arc<Field>| match (batch.column_by_name(field.name()), field.name().as_str()) {
            (Some(column), _) => Arc::clone(column),
            (None, "project") => text(key.project.as_deref()),
            (None, "batch") => text(key.batch.as_deref()),
            (None, DATE) => {
                let day = key.date.map(Date32Type::from_naive_date);
                Arc::new(Date32Array::from_iter(std::iter::repeat_n(day, rows)))
            }
            (None, _) => new_null_array(field.data_type(), rows),
        };
        let columns = self.schema.fields().iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

impl Scan {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        if self.is_over {
            return None;
        }
        let next = self.batches.recv().unwrap_or(Some(Err(Error::Reader)));
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The same for who takes Arrow's errors.
#[derive(Debug)]
pub struct ScanReader(pub Scan);

impl Iterator for ScanReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        Some(self.0.next()?.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl RecordBatchReader for ScanReader {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}
