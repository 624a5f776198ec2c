//! The tables in the words of those who read them: schemas, and code that reads a lake. Text from the catalog; no file is
//! touched.
//!
//! The code reads a lake through its logs of Delta Lake or through its commit records, one version of all tables, and it pins what
//! engines would guess: the types of partition columns, and the time zone.

mod duckdb;
mod markdown;
mod polars;
mod pyarrow;
mod python;
mod spark;
mod text;
mod warehouse;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::partition;
use crate::table::{SCHEMA_VERSION, Scope, Shape, Table, catalog, lake_tables};

#[cfg(feature = "cli")]
pub use text::overview;

/// Who reads a lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Engine {
    /// DuckDB: SQL.
    Duckdb,
    /// Polars: Python.
    Polars,
    /// Spark: Python.
    Spark,
    /// pyarrow: Python.
    Pyarrow,
    /// Trino: statements that register the tables of a lake in a bucket.
    Trino,
    /// Amazon Athena: the same.
    Athena,
    /// Databricks: the same.
    Databricks,
    /// Snowflake: the same.
    Snowflake,
    /// BigQuery: the same.
    Bigquery,
}

impl Engine {
    /// What an engine reads a lake by unless it is told.
    pub fn via(self) -> Via {
        match self {
            // Its packages for Delta Lake don't come with it.
            Engine::Spark => Via::Records,
            _ => Via::Delta,
        }
    }

    /// Whether it reads from buckets alone, and through Delta Lake alone.
    pub fn is_warehouse(self) -> bool {
        !matches!(self, Engine::Duckdb | Engine::Polars | Engine::Spark | Engine::Pyarrow)
    }

    /// Whether it can be asked for a version.
    pub fn knows_versions(self) -> bool {
        !self.is_warehouse() || warehouse::knows_versions(self)
    }
}

/// By what an engine finds the files of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Via {
    /// By the logs of Delta Lake: short code, for which the engine needs what reads these.
    Delta,
    /// By the lake's own commit records: longer code, for which the engine needs nothing.
    Records,
}

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// The path of the lake.
    pub lake: &'a str,
    /// Its tables.
    pub tables: &'a [&'static Table],
    /// The version; `None` for the one that is the newest when the code runs.
    pub at: Option<u64>,
}

/// Code that gives every one of the tables in a lake a name: a view in DuckDB and Spark, a lazy frame in Polars, a dataset in pyarrow,
/// an external table in a warehouse.
/// With `annotations` come its views by scope. All tables are of one version.
pub fn reading_code(engine: Engine, via: Via, reading: &Reading<'_>) -> String {
    match engine {
        Engine::Duckdb => duckdb::reading_code(via, reading),
        Engine::Polars => polars::reading_code(via, reading),
        Engine::Spark => spark::reading_code(via, reading),
        Engine::Pyarrow => pyarrow::reading_code(via, reading),
        Engine::Trino | Engine::Athena | Engine::Databricks | Engine::Snowflake | Engine::Bigquery => {
            warehouse::statements(engine, reading)
        }
    }
}

/// How a schema is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(Default, clap::ValueEnum))]
pub enum Format {
    /// For people.
    #[cfg(feature = "cli")]
    #[default]
    Text,
    /// As in the golden files.
    Json,
    /// As in docs/columns.md.
    Markdown,
    /// `CREATE TABLE` for DuckDB.
    Duckdb,
    /// The string that Spark's `schema` takes.
    Spark,
    /// `pl.Schema` in Python.
    Polars,
}

/// The columns of every table of a lake with those of its partitions, as Spark's `schema` takes them, by table.
pub fn spark_columns() -> BTreeMap<&'static str, String> {
    lake_tables().map(|table| (table.name, spark::declared(table))).collect()
}

/// The schemas of tables.
pub fn schema(format: Format, tables: &[&'static Table]) -> Result<String> {
    let one = |table: &&'static Table| match format {
        #[cfg(feature = "cli")]
        Format::Text => Ok(text::schema(table)),
        Format::Json => golden(table),
        Format::Markdown => Ok(markdown::schema(table)),
        Format::Duckdb => Ok(duckdb::schema(table)),
        Format::Spark => Ok(spark::schema(table)),
        Format::Polars => Ok(polars::schema(table)),
    };
    let mut parts = tables.iter().map(one).collect::<Result<Vec<_>>>()?;
    if format == Format::Json && parts.len() != 1 {
        parts = vec![format!("[\n{}\n]\n", parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join(",\n"))];
    }
    let prologue = if format == Format::Polars { "import polars as pl\n\n" } else { "" };
    Ok(prologue.to_owned() + &parts.join("\n"))
}

/// A table as the golden file in `schemas` has it.
fn golden(table: &Table) -> Result<String> {
    let failed = |source| Error::Json { action: "write a schema", source };
    let mut value = serde_json::to_value(table).map_err(failed)?;
    if let serde_json::Value::Object(members) = &mut value {
        members.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    }
    Ok(serde_json::to_string_pretty(&value).map_err(failed)? + "\n")
}

/// Every column that a reader sees: those of the files with their shapes, then those of the path.
fn columns(table: &'static Table, shape: fn(Shape) -> &'static str, path: Path) -> Vec<(&'static str, &'static str)> {
    let of_files = table.columns.iter().map(|column| (column.name, shape(column.shape)));
    of_files.chain(path.columns(table)).collect()
}

/// The types of partition columns in an engine's words.
#[derive(Clone, Copy)]
struct Path {
    text: &'static str,
    date: &'static str,
}

impl Path {
    fn columns(self, table: &Table) -> impl Iterator<Item = (&'static str, &'static str)> {
        let kind = move |name: &str| if name == partition::DATE { self.date } else { self.text };
        partition::columns(table.dataset).iter().map(move |name| (*name, kind(name)))
    }
}

/// A view of the annotations of one scope: its name, the scope's word, and the columns to leave out.
struct ScopeView {
    name: String,
    word: &'static str,
    idle: Vec<&'static str>,
}

/// The views that come with `annotations`.
fn scope_views(tables: &[&'static Table]) -> Vec<ScopeView> {
    if !tables.iter().any(|table| table.name == catalog::annotations::TABLE.name) {
        return Vec::new();
    }
    let view = |scope: Scope| ScopeView {
        name: format!("{}_annotations", scope.word()),
        word: scope.word(),
        idle: scope.idle_columns().collect(),
    };
    Scope::ALL.into_iter().map(view).collect()
}

/// Pieces with a comma between, on as many lines as it takes to stay within 100 characters.
fn wrap(pieces: &[String], indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for (index, piece) in pieces.iter().enumerate() {
        let comma = if index + 1 < pieces.len() { "," } else { "" };
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > indent.len() && line + piece.chars().count() + 2 > 100 {
            lines.push(indent.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(piece);
            line.push_str(comma);
        }
    }
    lines.join("\n")
}
