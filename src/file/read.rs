//! Parquet files back to record batches.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};
use crate::store::{Blob, Store};

/// Rows of a batch when a file is read back.
const BATCH_ROWS: usize = 1024;

/// Opens a file for reading batch by batch.
pub fn open(store: &dyn Store, path: &str) -> Result<ParquetRecordBatchReader> {
    let builder = builder(store, path)?;
    builder.with_batch_size(BATCH_ROWS).build().map_err(failed(store, path))
}

/// Opens a file for reading some of its columns batch by batch. Columns that it doesn't have are left out.
pub fn open_columns(store: &dyn Store, path: &str, columns: &[&str]) -> Result<ParquetRecordBatchReader> {
    let builder = builder(store, path)?;
    let roots = builder.schema().fields().iter().enumerate();
    let wanted = roots.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed(store, path))
}

/// What a file's footer says.
pub fn footer(store: &dyn Store, path: &str) -> Result<Arc<ParquetMetaData>> {
    Ok(Arc::clone(builder(store, path)?.metadata()))
}

fn builder(store: &dyn Store, path: &str) -> Result<ParquetRecordBatchReaderBuilder<Blob>> {
    let Some(blob) = store.open(path)? else { return Err(Error::NoFile { path: store.place().join(path) }) };
    ParquetRecordBatchReaderBuilder::try_new(blob).map_err(failed(store, path))
}

fn failed(store: &dyn Store, path: &str) -> impl FnOnce(ParquetError) -> Error {
    let path: PathBuf = store.place().join(path);
    move |source| Error::Parquet { action: "read", path, source }
}
