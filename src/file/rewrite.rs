//! A file without some of its objects: what replacing a task takes.

use std::path::Path;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::encode::{Encoded, Encoding, encode};
use super::read::read_all;
use crate::error::{Error, Result};
use crate::parse::membership_id;
use crate::table::{Dataset, Table};

/// Reads a file and encodes it again without the rows of the objects that `is_dropped` names by their identity. `None` where
/// no row is left.
pub fn without(
    table: &'static Table,
    path: &Path,
    is_dropped: impl Fn(&[u8]) -> bool,
    encoding: Encoding,
) -> Result<Option<Encoded>> {
    let failed = |source| Error::Batch { table: table.name, source };
    let mut kept = Vec::new();
    for batch in read_all(path)? {
        let is_kept = identities(table, &batch).into_iter().map(|id| !is_dropped(&id)).collect::<Vec<_>>();
        let batch = filter_record_batch(&batch, &BooleanArray::from(is_kept)).map_err(failed)?;
        if batch.num_rows() > 0 {
            kept.push(batch.with_schema(table.arrow_schema()).map_err(failed)?);
        }
    }
    if kept.is_empty() { Ok(None) } else { encode(table, &kept, encoding, path).map(Some) }
}

/// The identity of each row's object, as the items have it: the first column, and for memberships the second behind it.
fn identities(table: &Table, batch: &RecordBatch) -> Vec<Vec<u8>> {
    let column = |index: usize| batch.columns().get(index).and_then(|column| column.as_string_opt::<i32>());
    let first = column(0).into_iter().flatten().map(|id| id.unwrap_or_default());
    match (table.dataset, column(1)) {
        (Dataset::DeliveryTasks, Some(second)) => {
            first.zip(second).map(|(id, with)| membership_id(id, with.unwrap_or_default()).into_bytes()).collect()
        }
        _ => first.map(|id| id.as_bytes().to_vec()).collect(),
    }
}
