//! Schemas for people, within 80 columns.

use crate::partition;
#[cfg(feature = "cli")]
use crate::table::{SCHEMA_VERSION, TABLES};
use crate::table::{Shape, Table};

#[cfg(feature = "cli")]
const WIDTH: usize = 80;

/// A kind of value in plain words.
pub(super) fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "text",
        Shape::Json => "JSON",
        Shape::Int32 => "int32",
        Shape::Int64 => "int64",
        Shape::Float64 => "double",
        Shape::Boolean => "boolean",
        Shape::Timestamp => "timestamp",
        Shape::TextList => "list of text",
        Shape::TextGroups => "list of lists of text",
    }
}

/// How a table is partitioned, as a sentence.
pub(super) fn partitions(table: &Table) -> String {
    match partition::columns(table.dataset) {
        [one] => format!("Partitioned by {one}."),
        [before @ .., last] => format!("Partitioned by {} and {last}.", before.join(", ")),
        [] => String::new(),
    }
}

#[cfg(feature = "cli")]
pub(super) fn schema(table: &'static Table) -> String {
    let mut text = textwrap::fill(&format!("{}: {} {}", table.name, table.about, partitions(table)), WIDTH);
    text.push_str("\n\n");
    for column in table.columns {
        let null = if column.nullable { ", may be null" } else { "" };
        text.push_str(&format!("  {}: {}{null}\n", column.name, kind(column.shape)));
        let doc = format!("{} ({})", column.doc, column.source);
        text.push_str(&textwrap::fill(
            &doc,
            textwrap::Options::new(WIDTH).initial_indent(INDENT).subsequent_indent(INDENT),
        ));
        text.push('\n');
    }
    text
}

#[cfg(feature = "cli")]
const INDENT: &str = "      ";

/// One line a table.
#[cfg(feature = "cli")]
pub fn overview() -> String {
    let mut text = format!("{:<27}{:>7}  one row is\n", "table", "columns");
    for table in TABLES {
        let about = table.about.trim_start_matches("One row ").trim_end_matches('.');
        let indent = " ".repeat(36);
        let options = textwrap::Options::new(WIDTH).subsequent_indent(&indent);
        let line = format!("{:<27}{:>7}  {about}", table.name, table.columns.len());
        text.push_str(&textwrap::fill(&line, options));
        text.push('\n');
    }
    text.push_str(&format!(
        "\nSchema version {SCHEMA_VERSION}. `taskloom schema TABLE` explains the columns of a table.\n"
    ));
    text
}
