//! What taskloom produces: the tables, each column declared once in [`catalog`].
//!
//! From the one line that declares a column come its place in the row type, its builder, its reader, its Arrow and Parquet
//! types and its entry in the golden files under `schemas/`.

pub mod catalog;
pub mod changes;
mod define;
pub mod kind;
mod parquet_schema;
mod scope;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use serde::Serialize;

pub use catalog::TABLES;
pub use kind::{Overflow, Room, Shape};
pub use scope::Scope;

/// The version of all table schemas together. It grows when a column is added.
pub const SCHEMA_VERSION: u32 = 2;

/// The first one.
pub const FIRST_SCHEMA: u32 = 1;

/// What is meant where no schema version is written.
pub fn first_schema() -> u32 {
    FIRST_SCHEMA
}

/// Whether a schema version need not be written.
pub fn is_first_schema(version: &u32) -> bool {
    *version == FIRST_SCHEMA
}

/// Which stream of objects a table is made from. Tables of one dataset share their partitions and part names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Tasks with everything inside them: partitioned by project, batch and date.
    Tasks,
    /// Projects, one row an id: partitioned by project.
    Projects,
    /// Batches, one row an id: partitioned by project.
    Batches,
    /// Deliveries, one row an id: partitioned by project.
    Deliveries,
    /// Which task came with which delivery: partitioned by project.
    DeliveryTasks,
    /// What the lake's versions did to tasks: partitioned by project.
    TaskChanges,
}

/// Every table of a lake, parents before children: those that tasks become, and what the lake tells of itself.
pub fn lake_tables() -> impl DoubleEndedIterator<Item = &'static Table> + Clone {
    TABLES.iter().chain(changes::TABLES).copied()
}

impl Dataset {
    /// Its word in paths and records.
    pub fn word(self) -> &'static str {
        match self {
            Dataset::Tasks => "tasks",
            Dataset::Projects => "projects",
            Dataset::Batches => "batches",
            Dataset::Deliveries => "deliveries",
            Dataset::DeliveryTasks => "delivery_tasks",
            Dataset::TaskChanges => "task_changes",
        }
    }

    /// The tables of this dataset, parents before children.
    pub fn tables(self) -> impl Iterator<Item = &'static Table> {
        lake_tables().filter(move |table| table.dataset == self)
    }
}

/// A table as data.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Its name, also its folder.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// The stream of objects that it is made from.
    pub dataset: Dataset,
    /// The API's object that a row is.
    pub object: &'static str,
    /// The columns, in file order.
    pub columns: &'static [Column],
    /// The Arrow schema, once it was made.
    #[serde(skip)]
    arrow_schema: OnceLock<SchemaRef>,
}

/// A column as data.
#[derive(Debug, Serialize)]
pub struct Column {
    /// Parquet's field id: unique in its table and never used again.
    pub id: i32,
    /// The schema version that brought it.
    #[serde(skip_serializing_if = "is_first_schema")]
    pub since: u32,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub shape: Shape,
    /// Whether a row may be null.
    pub nullable: bool,
    /// Where the API has it.
    pub source: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// The words that the API is known to send, where they are enumerated.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub words: &'static [&'static str],
}

/// The version that a column's declaration names, or the first.
const fn version_of(since: &[u32]) -> u32 {
    match since {
        [since, ..] => *since,
        [] => FIRST_SCHEMA,
    }
}

/// Arrow's name for a Parquet field id.
const FIELD_ID: &str = "PARQUET:field_id";

impl Column {
    /// Where the value stands in the API's object of this kind, such as `content.text`; `None` if it is from elsewhere.
    pub fn path_in(&self, object: &str) -> Option<&'static str> {
        let source = self.source.split_once(',').map_or(self.source, |(path, _)| path);
        source.strip_prefix(object)?.strip_prefix('.').filter(|path| !path.contains("[]"))
    }
}

impl Table {
    /// The table of this name.
    pub fn named(name: &str) -> Option<&'static Table> {
        lake_tables().find(|table| table.name == name)
    }

    /// The schema version that brought it.
    pub fn since(&self) -> u32 {
        self.columns.iter().map(|column| column.since).min().unwrap_or(FIRST_SCHEMA)
    }

    /// The columns that it had in a version of the schemas, or had first.
    pub fn columns_at(&self, version: u32) -> impl Iterator<Item = &'static Column> {
        let version = version.max(self.since());
        self.columns.iter().filter(move |column| column.since <= version)
    }

    /// Whether it is wider in this release than in that version of the schemas.
    pub fn grew_since(&self, version: u32) -> bool {
        self.grew_between(version, SCHEMA_VERSION)
    }

    /// Whether it got a column behind one version of the schemas, up to another.
    pub fn grew_between(&self, version: u32, newer: u32) -> bool {
        self.columns.iter().any(|column| column.since > version && column.since <= newer)
    }

    /// Whether its files may differ in their columns.
    pub fn has_grown(&self) -> bool {
        self.grew_since(self.since())
    }

    /// The Arrow schema, with Parquet field ids in the fields' metadata.
    pub fn arrow_schema(&self) -> SchemaRef {
        let field = |column: &Column| {
            let id = HashMap::from([(FIELD_ID.to_owned(), column.id.to_string())]);
            Field::new(column.name, column.shape.data_type(), column.nullable).with_metadata(id)
        };
        let make = || Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()));
        self.arrow_schema.get_or_init(make).clone()
    }

    /// The columns that the rows of a file are ordered by, ascending, nulls first: the first column and the positions after it.
    pub fn sort_columns(&self) -> impl Iterator<Item = &'static Column> {
        let is_key = |(index, column): &(usize, &Column)| {
            *index == 0 || ["task_id", "version"].contains(&column.name) || column.name.ends_with("_index")
        };
        self.columns.iter().enumerate().take_while(is_key).map(|(_, column)| column)
    }
}

/// What the macro's builders have in common.
pub trait TableBuilder: Default {
    /// Rows held.
    fn rows(&self) -> usize;
    /// Forgets every row from `rows` on.
    fn truncate(&mut self, rows: usize);
    /// Tells how much room the columns take, one after the other.
    fn tell_room(&self, to: &mut Vec<Room>);
    /// Makes as much, in the same order.
    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>);
    /// The finished columns.
    fn finish(self) -> Result<RecordBatch, ArrowError>;
}

/// What the macro's readers have in common.
pub trait TableReader: Sized {
    /// One row.
    type Row<'a>
    where
        Self: 'a;
    /// Binds the columns of a batch by name. A column that is missing or of another type is an error.
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError>;
    /// The row at a position; lists are laid out in the arena.
    fn row<'a>(&'a self, row: usize, arena: &'a bumpalo::Bump) -> Self::Row<'a>;
}

/// A column of a batch. One that may be null and that an older file doesn't have is null throughout.
fn column_of<K: kind::Kind>(batch: &RecordBatch, name: &str) -> Result<K::Array, ArrowError> {
    let missing = || arrow::array::new_null_array(&K::SHAPE.data_type(), batch.num_rows());
    let column = match batch.column_by_name(name).cloned() {
        None if K::NULLABLE => missing(),
        column => column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?,
    };
    let array = column.as_any().downcast_ref::<K::Array>();
    array.cloned().ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is {}", column.data_type())))
}

/// A doc comment's text without the space that follows its slashes.
const fn without_space(doc: &'static str) -> &'static str {
    match doc.as_bytes() {
        [b' ', ..] => doc.split_at(1).1,
        _ => doc,
    }
}

/// The name of a column whose Rust identifier is a raw one, such as `r#type`.
const fn plain(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}
