//! The table reference, as `docs/columns.md` has it.

use super::text::{kind, partitions};
use crate::table::Table;

pub(super) fn schema(table: &'static Table) -> String {
    let mut text = format!("#### `{}`\n\n{} {}\n\n", table.name, table.about, partitions(table));
    text.push_str("| column | type | null | source | meaning |\n| --- | --- | --- | --- | --- |\n");
    for column in table.columns {
        let null = if column.nullable { "yes" } else { "" };
        let (name, source) = (column.name, column.source);
        text.push_str(&format!("| `{name}` | {} | {null} | {source} | {} |\n", kind(column.shape), column.doc));
    }
    text
}
