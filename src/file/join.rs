//! Many files of a table as one.

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;

use super::read::{conform, open};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::table::Table;

/// The rows of these files in the order that files have; `None` where there is none.
pub fn joined(table: &'static Table, store: &dyn Store, paths: &[String]) -> Result<Option<RecordBatch>> {
    let failed = |source| Error::Batch { table: table.name, source };
    let mut batches = Vec::new();
    for path in paths {
        for batch in open(store, path)? {
            batches.push(batch.and_then(|batch| conform(table, &batch)).map_err(failed)?);
        }
    }
    let rows = concat_batches(&table.arrow_schema(), &batches).map_err(failed)?;
    drop(batches);
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    sorted(table, &rows).map(Some).map_err(failed)
}

fn sorted(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let column = |name| {
        let values = rows.column_by_name(name).cloned();
        let values = values.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?;
        Ok(SortColumn { values, options })
    };
    let columns =
        table.sort_columns().map(|column_of| column(column_of.name)).collect::<Result<Vec<_>, ArrowError>>()?;
    take_record_batch(rows, &lexsort_to_indices(&columns, None)?)
}
