//! Where a row stands in its task.

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use crate::table::{TABLES, Table};

/// The ids and positions of a batch's rows.
pub(super) struct Places<'a> {
    ids: Option<&'a StringArray>,
    positions: Vec<(&'static str, &'a Int32Array)>,
}

impl<'a> Places<'a> {
    pub(super) fn of(table: &'static Table, batch: &'a RecordBatch) -> Places<'a> {
        let mut keys = table.sort_columns();
        let ids = keys.next().and_then(|column| batch.column_by_name(column.name)?.as_string_opt::<i32>());
        let positions = keys.filter_map(|column| {
            let column_of_batch = batch.column_by_name(column.name)?.as_primitive_opt::<Int32Type>()?;
            Some((array_of(column.name)?, column_of_batch))
        });
        Places { ids, positions: positions.collect() }
    }

    /// The id of a row, and the path of a field of it, such as `threads[0].turns[1].content.text`.
    pub(super) fn at(&self, row: usize, field: &str) -> (String, String) {
        let id = self.ids.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row).to_owned());
        let positions = self.positions.iter().filter(|(_, positions)| positions.is_valid(row));
        let steps = positions.map(|(array, positions)| format!("{array}[{}].", positions.value(row)));
        (id.unwrap_or_default(), steps.chain([field.to_owned()]).collect())
    }
}

/// The array that a position counts in: the one whose length its parent's `_count` column has.
fn array_of(index_column: &str) -> Option<&'static str> {
    let count_column = index_column.strip_suffix("_index")?.to_owned() + "_count";
    let counted = |table: &&'static Table| {
        let column = table.columns.iter().find(|column| column.name == count_column)?;
        column.path_in(table.object)
    };
    TABLES.iter().find_map(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_has_its_array() {
        for table in TABLES {
            for column in table.sort_columns().filter(|column| column.name.ends_with("_index")) {
                assert!(array_of(column.name).is_some(), "{}.{}", table.name, column.name);
            }
        }
        assert_eq!(array_of("chunk_index"), Some("content.chunks"));
        assert_eq!(array_of("rubric_criterion_index"), Some("criteria_definitions"));
    }
}
