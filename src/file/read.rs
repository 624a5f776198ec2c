//! Parquet files back to record batches.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};
use crate::store::{Blob, Store};
use crate::table::Table;

/// Rows of a batch when a file is read back.
const BATCH_ROWS: usize = 1024;

/// Opens a file for reading batch by batch.
pub fn open(store: &dyn Store, path: &str) -> Result<ParquetRecordBatchReader> {
    let builder = builder(store, path)?;
    builder.with_batch_size(BATCH_ROWS).build().map_err(failed(store, path))
}

/// Opens a file for reading some of its columns batch by batch. Columns that it doesn't have are left out.
pub fn open_columns(store: &dyn Store, path: &str, columns: &[&str]) -> Result<ParquetRecordBatchReader> {
    open_batches(store, path, columns, BATCH_ROWS)
}

/// The same, in batches of at most so many rows.
pub fn open_batches(store: &dyn Store, path: &str, columns: &[&str], rows: usize) -> Result<ParquetRecordBatchReader> {
    let builder = project(builder(store, path)?, columns);
    builder.with_batch_size(rows).build().map_err(failed(store, path))
}

fn project(builder: ParquetRecordBatchReaderBuilder<Blob>, columns: &[&str]) -> ParquetRecordBatchReaderBuilder<Blob> {
    let roots = builder.schema().fields().iter().enumerate();
    let wanted = roots.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    builder.with_projection(mask)
}

/// The columns of a table, in its order, of a file that any version of the schema wrote: those that it does not have are null.
pub fn conform(table: &Table, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = table.arrow_schema();
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => Ok(Arc::clone(column)),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        None => Err(ArrowError::SchemaError(format!("no column `{}`", field.name()))),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// A file whose footer is read.
#[derive(Debug)]
pub(super) struct Opened {
    place: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<Blob>,
}

impl Opened {
    pub(super) fn open(store: &dyn Store, path: &str) -> Result<Opened> {
        Ok(Opened { place: store.place().join(path), builder: builder(store, path)? })
    }

    /// Whether the first column may hold one of these values; true where there is nothing that could tell.
    pub(super) fn may_hold<'i>(&self, values: impl Iterator<Item = &'i str>) -> Result<bool> {
        let groups = 0..self.builder.metadata().num_row_groups();
        let filters = groups.map(|group| self.builder.get_row_group_column_bloom_filter(group, 0));
        let filters = filters.collect::<Result<Option<Vec<_>>, _>>().map_err(failed_at(self.place.clone()))?;
        let Some(filters) = filters else { return Ok(true) };
        let mut values = values;
        Ok(values.any(|value| filters.iter().any(|filter| filter.check(value))))
    }

    /// Reads these columns, or all if none is named.
    pub(super) fn read(self, columns: &[&str]) -> Result<ParquetRecordBatchReader> {
        let Opened { place, builder } = self;
        let builder = if columns.is_empty() { builder } else { project(builder, columns) };
        builder.with_batch_size(BATCH_ROWS).build().map_err(failed_at(place))
    }
}

/// What the footer of an open file says.
pub fn footer_of(blob: Blob, path: &str) -> Result<Arc<ParquetMetaData>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(blob).map_err(failed_at(path.into()))?;
    Ok(Arc::clone(builder.metadata()))
}

fn builder(store: &dyn Store, path: &str) -> Result<ParquetRecordBatchReaderBuilder<Blob>> {
    let Some(blob) = store.open(path)? else { return Err(Error::NoFile { path: store.place().join(path) }) };
    ParquetRecordBatchReaderBuilder::try_new(blob).map_err(failed(store, path))
}

fn failed(store: &dyn Store, path: &str) -> impl FnOnce(ParquetError) -> Error {
    failed_at(store.place().join(path))
}

fn failed_at(path: PathBuf) -> impl FnOnce(ParquetError) -> Error {
    move |source| Error::Parquet { action: "read", path, source }
}
