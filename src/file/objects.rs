//! Which objects a file holds, and what tells whether one of them is still the same.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_128;

use super::read::{Opened, conform};
use super::rewrite::identities;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::table::{Table, catalog};

/// An object of a file.
#[derive(Debug)]
pub struct Object<'a> {
    /// What tells it from others.
    pub identity: &'a [u8],
    /// The value of the first column, which bounds are told of.
    pub id: &'a str,
    /// Equal for equal content.
    pub fingerprint: u128,
    /// When it was completed, in microseconds, where it tells.
    pub completed_at: Option<i64>,
}

/// A file of the first table of a dataset, which has a row an object.
#[derive(Debug)]
pub struct Objects {
    table: &'static Table,
    path: String,
    opened: Opened,
}

impl Objects {
    /// Opens a file; reads its footer.
    pub fn open(table: &'static Table, store: &dyn Store, path: &str) -> Result<Objects> {
        Ok(Objects { table, path: path.to_owned(), opened: Opened::open(store, path)? })
    }

    /// False where none of these ids is in the file, as far as its bloom filters tell.
    pub fn may_hold<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Result<bool> {
        self.opened.may_hold(ids)
    }

    /// Hands out every object, in the order of the rows.
    pub fn read(self, mut each: impl FnMut(Object<'_>) -> Result<()>) -> Result<()> {
        let Objects { table, path, opened } = self;
        let failed = |source| Error::Batch { table: table.name, source };
        let is_hashed = table.name == catalog::tasks::TABLE.name;
        let columns = if is_hashed { &["task_id", COMPLETED_AT, HASH][..] } else { &[] };
        for batch in opened.read(columns)? {
            let batch = batch.map_err(failed)?;
            let fingerprints = match is_hashed {
                true => hashes(&batch).map_err(failed)?,
                false => of_rows(table, &batch).map_err(failed)?,
            };
            let ids = identities(table, &batch, &path)?;
            let firsts = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
            let firsts = firsts.ok_or_else(|| failed(ArrowError::SchemaError("no column of ids".to_owned())))?;
            let completed = batch.column_by_name(COMPLETED_AT);
            let completed = completed.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            let rows = ids.iter().zip(firsts.iter().flatten()).zip(fingerprints).enumerate();
            for (row, ((identity, id), fingerprint)) in rows {
                let completed_at = completed.filter(|column| column.is_valid(row)).map(|column| column.value(row));
                each(Object { identity, id, fingerprint, completed_at })?;
            }
        }
        Ok(())
    }
}

/// The column of tasks that tells whether one is the same.
const HASH: &str = "content_hash";
const COMPLETED_AT: &str = "completed_at";

fn hashes(batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
    let column = batch.column_by_name(HASH).and_then(|column| column.as_string_opt::<i32>());
    let column: &StringArray = column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{HASH}`")))?;
    let number = |hash: Option<&str>| {
        let number = hash.and_then(|hash| u128::from_str_radix(hash, 16).ok());
        number.ok_or_else(|| ArrowError::ParseError(format!("{hash:?} is no content hash")))
    };
    column.iter().map(number).collect()
}

/// Over all columns of each row; those that a file of an earlier version does not have are null.
fn of_rows(table: &Table, batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
    let batch = conform(table, batch)?;
    let fields = batch.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(batch.columns())?;
    Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
}
