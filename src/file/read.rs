//! Parquet files back to record batches.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Error, Result};

/// Rows of a batch when a file is read back.
const BATCH_ROWS: usize = 1024;

/// Opens a file for reading batch by batch.
pub fn open(path: &Path) -> Result<ParquetRecordBatchReader> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let failed = |source| Error::Parquet { action: "read", path: path.to_owned(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    builder.with_batch_size(BATCH_ROWS).build().map_err(failed)
}

/// Opens a file for reading some of its columns batch by batch. Columns that it doesn't have are left out.
pub fn open_columns(path: &Path, columns: &[&str]) -> Result<ParquetRecordBatchReader> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let failed = |source| Error::Parquet { action: "read", path: path.to_owned(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let roots = builder.schema().fields().iter().enumerate();
    let wanted = roots.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed)
}

/// All batches of a file.
pub fn read_all(path: &Path) -> Result<Vec<RecordBatch>> {
    let failed = |source| Error::Parquet { action: "read", path: path.to_owned(), source };
    open(path)?.collect::<Result<_, _>>().map_err(|error: arrow::error::ArrowError| failed(error.into()))
}
