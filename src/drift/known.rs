//! What the catalog knows of each object of the API.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::table::catalog::{batches, deliveries, delivery_tasks, projects};
use crate::table::{Shape, TABLES, Table};

/// A field of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A column holds it.
    Column(Shape),
    /// An object whose fields are columns.
    Object,
    /// An id, or an object that has a table of its own.
    Reference,
    /// The API is known to send it, and no column holds it.
    Loose,
    /// Nothing is known of it.
    Unknown,
}

impl Field {
    /// What it should be, in plain words.
    pub(super) fn expected(self) -> String {
        match self {
            Field::Column(Shape::Text) => "text",
            Field::Column(Shape::Json) | Field::Loose | Field::Unknown => "JSON",
            Field::Column(Shape::Int32 | Shape::Int64) => "integer of 64 bits",
            Field::Column(Shape::Float64) => "number that a double holds exactly",
            Field::Column(Shape::Boolean) => "boolean",
            Field::Column(Shape::Timestamp) => "ISO 8601 time",
            Field::Column(Shape::TextList) => "list of text",
            Field::Column(Shape::TextGroups) => "list of lists of text",
            Field::Object => "object",
            Field::Reference => "id or object",
        }
        .to_owned()
    }
}

/// The fields of one table's object, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    fields: HashMap<&'static str, Field>,
}

impl Known {
    pub(super) fn field(&self, path: &str) -> Field {
        self.fields.get(path).copied().unwrap_or(Field::Unknown)
    }

    fn of(table: &Table) -> Known {
        let mut fields = HashMap::new();
        for column in table.columns {
            let Some(path) = column.path_in(table.object) else { continue };
            fields.insert(path, Field::Column(column.shape));
            for (end, _) in path.match_indices('.') {
                let (above, _) = path.split_at(end);
                fields.entry(above).or_insert(Field::Object);
            }
        }
        for (name, field) in &mut fields {
            if REFERENCES.iter().any(|table| table.object.eq_ignore_ascii_case(name)) {
                *field = Field::Reference;
            }
        }
        if table.name == delivery_tasks::TABLE.name {
            fields.extend(LOOSE_OF_DELIVERY_TASKS.map(|field| (field, Field::Loose)));
        }
        Known { fields }
    }
}

/// What the listing of delivered tasks tells that no column holds.
const LOOSE_OF_DELIVERY_TASKS: [&str; 2] = ["created_at", "response"];

/// The tables of objects that others may name by id alone.
static REFERENCES: [&Table; 3] = [&projects::TABLE, &batches::TABLE, &deliveries::TABLE];

/// What rows of a version of the table schemas may hold.
pub(super) fn known_of(table: &Table, schema_version: u32) -> Cow<'static, Known> {
    let mut known = Cow::Borrowed(newest_of(table));
    for column in table.columns.iter().filter(|column| column.since > schema_version) {
        if let Some(path) = column.path_in(table.object) {
            known.to_mut().fields.insert(path, Field::Loose);
        }
    }
    known
}

fn newest_of(table: &Table) -> &'static Known {
    static NONE: LazyLock<Known> = LazyLock::new(Known::default);
    static KNOWN: LazyLock<HashMap<&'static str, Known>> =
        LazyLock::new(|| TABLES.iter().map(|table| (table.name, Known::of(table))).collect());
    KNOWN.get(table.name).unwrap_or(&NONE)
}

/// The columns of an annotation's value and what stands in them, the most exact first.
pub(super) const VALUES: [(&str, &str); 7] = [
    ("value_json", "object, mixed list or inexact number"),
    ("value_text", "text"),
    ("value_boolean", "boolean"),
    ("value_integer", "integer"),
    ("value_number", "number"),
    ("value_list", "list of text"),
    ("value_groups", "list of lists of text"),
];

pub(super) fn value_word(column: &str) -> &'static str {
    VALUES.iter().find(|(name, _)| *name == column).map_or("value", |(_, word)| word)
}

/// The column that values of a known annotation type stand in.
pub(super) fn value_column_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "integer" => "value_integer",
        "boolean" => "value_boolean",
        "text" | "category" => "value_text",
        "category_multiple" | "ranked_choices" => "value_list",
        "ranked_groups" => "value_groups",
        "file" | "labeled_text" | "rubric_criteria" | "rubric_rating" | "workspace_container" => "value_json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::{annotations, messages, tasks};

    #[test]
    fn fields_are_known_by_their_path_in_the_object() {
        let known = newest_of(&messages::TABLE);
        assert_eq!(known.field("role"), Field::Column(Shape::Text));
        assert_eq!(known.field("content"), Field::Object);
        assert_eq!(known.field("content.text"), Field::Column(Shape::Text));
        assert_eq!(known.field("text"), Field::Unknown);
        // A thread's id is repeated in the rows of its messages, which have none.
        assert_eq!(known.field("id"), Field::Unknown);
        assert_eq!(newest_of(&tasks::TABLE).field("project"), Field::Reference);
    }

    #[test]
    fn every_known_type_of_an_annotation_has_a_column_for_its_values() {
        let kind = annotations::TABLE.columns.iter().find(|column| column.name == "type").unwrap();
        for word in kind.words {
            let column = value_column_of(word).unwrap();
            assert!(annotations::TABLE.columns.iter().any(|known| known.name == column), "{word}");
            assert!(VALUES.iter().any(|(known, _)| *known == column), "{word}");
        }
    }
}
