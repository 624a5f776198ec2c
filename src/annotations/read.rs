//! The annotations of a part, unit by unit: what stands on one thread, one message, and so on.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use bumpalo::Bump;

use crate::error::{Error, Result};
use crate::file::open_columns;
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::annotations::{Reader, Row, TABLE};
use crate::table::{Table, TableReader};

/// All but the long words of the question.
const COLUMNS: [&str; 31] = [
    "task_id",
    "thread_index",
    "turn_index",
    "message_index",
    "chunk_index",
    "rubric_index",
    "rubric_criterion_index",
    "rubric_evaluation_index",
    "criterion_evaluation_index",
    "annotation_index",
    "scope",
    "annotation_id",
    "key",
    "type",
    "title",
    "not_applicable",
    "cannot_assess",
    "justification",
    "criteria",
    "value_text",
    "value_boolean",
    "value_number",
    "value_integer",
    "value_list",
    "value_groups",
    "value_json",
    "value_score",
    "value_weight",
    "possible_values",
    "value_label",
    "value_labels",
];

/// The annotations of one part.
pub(crate) struct Annotations {
    reader: Reader,
    rows: usize,
}

impl Annotations {
    pub(crate) fn read(store: &dyn Store, part: &PartEntry) -> Result<Annotations> {
        let (reader, rows) = open_rows(store, part, &TABLE, &COLUMNS)?;
        Ok(Annotations { reader, rows })
    }

    /// Hands out the annotations of each unit, in their order. Their lists are laid out in the arena.
    pub(crate) fn each_unit<'a>(&'a self, arena: &'a Bump, mut each: impl FnMut(&[Row<'a>])) {
        let rows = (0..self.rows).map(|row| self.reader.row(row, arena));
        let mut unit: Vec<Row<'a>> = Vec::new();
        for row in rows {
            if unit.first().is_some_and(|first| place(first) != place(&row)) {
                each(&unit);
                unit.clear();
            }
            unit.push(row);
        }
        if !unit.is_empty() {
            each(&unit);
        }
    }
}

/// What a unit is told by: the rows of one follow each other.
fn place<'a>(row: &Row<'a>) -> (&'a str, &'a str, i32, [Option<i32>; 7]) {
    let positions = [
        row.turn_index,
        row.message_index,
        row.chunk_index,
        row.rubric_index,
        row.rubric_criterion_index,
        row.rubric_evaluation_index,
        row.criterion_evaluation_index,
    ];
    (row.task_id, row.scope, row.thread_index, positions)
}

/// Some columns of a part's file, to be read row by row, and how many rows there are. What is never null comes anyway; other columns that
/// are left out are null.
pub(crate) fn open_rows<R: TableReader>(
    store: &dyn Store,
    part: &PartEntry,
    table: &Table,
    columns: &[&str],
) -> Result<(R, usize)> {
    let is_read = |name: &str, is_nullable: bool| !is_nullable || columns.contains(&name);
    let columns = table.columns.iter().filter(|column| is_read(column.name, column.nullable));
    let batch = rows(store, part, table, &columns.map(|column| column.name).collect::<Vec<_>>())?;
    let reader = R::new(&batch).map_err(|source| Error::Batch { table: table.name, source })?;
    Ok((reader, batch.num_rows()))
}

/// Some columns of a part's file as one batch.
pub(super) fn rows(store: &dyn Store, part: &PartEntry, table: &Table, columns: &[&str]) -> Result<RecordBatch> {
    let failed = |source| Error::Batch { table: table.name, source };
    let reader = open_columns(store, &part.path(table.name), columns)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    concat_batches(&schema, &batches).map_err(failed)
}

/// The texts of a column, nulls too.
pub(super) fn texts<'b>(
    batch: &'b RecordBatch,
    table: &Table,
    name: &str,
) -> Result<impl Iterator<Item = Option<&'b str>>> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let missing = || ArrowError::SchemaError(format!("no text in the column `{name}`"));
    let column = column.ok_or_else(|| Error::Batch { table: table.name, source: missing() })?;
    Ok((0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row))))
}
