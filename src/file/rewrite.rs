//! A file without some of its objects: what replacing a task takes.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;

use super::read::{conform, open};
use crate::error::{Error, Result};
use crate::parse::membership_id;
use crate::store::Store;
use crate::table::{Dataset, Table};

/// Reads a file without the rows of the objects that `is_dropped` names by their identity. A file whose identities can't be told is an
/// error: no row goes that was not asked to.
pub fn without(
    table: &'static Table,
    store: &dyn Store,
    path: &str,
    is_dropped: impl Fn(&[u8]) -> bool,
) -> Result<Vec<RecordBatch>> {
    let failed = |source| Error::Batch { table: table.name, source };
    let mut kept = Vec::new();
    for batch in open(store, path)? {
        let batch = batch.map_err(failed)?;
        let is_kept = identities(table, &batch, path)?.into_iter().map(|id| !is_dropped(&id)).collect::<Vec<_>>();
        let batch = filter_record_batch(&batch, &BooleanArray::from(is_kept)).map_err(failed)?;
        if batch.num_rows() > 0 {
            kept.push(conform(table, &batch).map_err(failed)?);
        }
    }
    Ok(kept)
}

/// The identity of each row's object, as the items have it: the first column, and for memberships the second behind it.
pub fn identities(table: &Table, batch: &RecordBatch, path: &str) -> Result<Vec<Vec<u8>>> {
    let first = ids(table, batch, 0, path)?;
    let text = |ids: &StringArray, row| ids.value(row).to_owned();
    let rows = 0..batch.num_rows();
    if table.dataset != Dataset::DeliveryTasks {
        return Ok(rows.map(|row| text(first, row).into_bytes()).collect());
    }
    let second = ids(table, batch, 1, path)?;
    Ok(rows.map(|row| membership_id(first.value(row), second.value(row)).into_bytes()).collect())
}

fn ids<'b>(table: &Table, batch: &'b RecordBatch, index: usize, path: &str) -> Result<&'b StringArray> {
    let column = batch.columns().get(index);
    let ids = column.and_then(|column| column.as_string_opt::<i32>()).filter(|ids| ids.null_count() == 0);
    ids.ok_or_else(|| {
        let found = column.map_or("no column".to_owned(), |column| {
            format!("{} with {} nulls", column.data_type(), column.null_count())
        });
        let table = table.name;
        let found = format!("expected ids in column {index} of {table}, found {found} in {path}");
        Error::Bug { place: "file::rewrite", found }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::store::MemoryStore;

    /// A file of the table `tasks` whose first column is this.
    fn file_of(ids: ArrayRef) -> MemoryStore {
        let field = Field::new("task_id", ids.data_type().clone(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![ids]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let store = MemoryStore::named("memory");
        store.put("file.parquet", &writer.into_inner().unwrap()).unwrap();
        store
    }

    #[test]
    fn a_file_of_an_earlier_schema_gets_the_columns_that_it_lacks() {
        let store = file_of(Arc::new(StringArray::from(vec!["a", "b"])));
        let table = Table::named("deliveries").unwrap();
        let renamed = |batch: RecordBatch| {
            let field = Field::new("delivery_id", DataType::Utf8, false);
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), batch.columns().to_vec()).unwrap()
        };
        let batch = renamed(open(&store, "file.parquet").unwrap().next().unwrap().unwrap());
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        store.put("file.parquet", &writer.into_inner().unwrap()).unwrap();
        let kept = without(table, &store, "file.parquet", |id| id == b"a").unwrap();
        assert_eq!((kept.len(), kept[0].num_rows(), kept[0].schema()), (1, 1, table.arrow_schema()));
        assert!(kept[0].columns()[1..].iter().all(|column| column.null_count() == 1));
    }

    #[test]
    fn ids_that_cannot_be_told_are_an_error_and_no_reason_to_drop_rows() {
        let table = Table::named("tasks").unwrap();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let nulls: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        assert_eq!(numbers.data_type(), &DataType::Int64);
        for ids in [numbers, nulls] {
            let error = without(table, &file_of(ids), "file.parquet", |_| true).unwrap_err();
            assert!(matches!(error, Error::Bug { .. }), "{error}");
        }
    }
}
