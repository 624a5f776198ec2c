//! What the catalog does not know: new fields, new words, values of another kind than before.
//!
//! Nothing of it is lost; but who reads the tables should hear of it the night it appears. It is found in the tables themselves: what
//! no column could hold stands in `extra`, and words stand in their columns. So a run and a look at a lake find the same.

mod known;
mod place;

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::table::catalog::annotations;
use crate::table::{Column, SCHEMA_VERSION, Table};
use known::{Known, known_of, value_column_of};
use place::Places;

/// What is unknown about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A field that no column is made from.
    UnknownField,
    /// A field whose value its column can't hold: of another kind, out of range, or no time. For an annotation's `value`: of another kind
    /// than its `type` says.
    UnexpectedKind,
    /// A word that is not among those that the API is known to send.
    UnknownWord,
}

/// The name of a table of the catalog.
type TableName = &'static str;

/// One thing that the catalog does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The table of the rows.
    #[serde(deserialize_with = "table_of")]
    pub table: TableName,
    /// The field in the object that a row is, such as `content.text`.
    pub path: String,
    /// What is unknown about it.
    pub what: What,
    /// What was found: the word, or the kind of the JSON value.
    pub found: String,
    /// What the column holds, or what the annotation's type stands for; of a known field.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<String>,
    /// Rows where it was found.
    pub count: u64,
    /// The task of one of them; of projects, batches and deliveries their own id.
    pub example_id: String,
    /// Where it stands in that task.
    pub example_path: String,
}

fn table_of<'d, D: Deserializer<'d>>(from: D) -> Result<&'static str, D::Error> {
    let name = String::deserialize(from)?;
    let table = Table::named(&name).map(|table| table.name);
    table.ok_or_else(|| D::Error::custom(format!("expected the name of a table, found `{name}`")))
}

/// Findings with their counts.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    findings: HashMap<Id, Finding>,
    others: u64,
}

/// A row that is looked at.
struct Spot<'a> {
    table: &'static Table,
    places: &'a Places<'a>,
    row: usize,
}

/// What tells a finding from others.
type Id = (&'static str, String, What, String);

fn key(table: &'static str, path: String, what: What, found: &str, expected: Option<&str>) -> Id {
    (table, path, what, format!("{found}\n{}", expected.unwrap_or_default()))
}

/// Findings that are kept apart; what comes beyond is only counted. An object whose keys are ids would be endless.
const MOST_FINDINGS: usize = 500;

/// Characters of a word that are kept.
const LONGEST_WORD: usize = 80;

impl Drift {
    /// Looks through rows of a table. Columns that the batch doesn't have are not looked at.
    pub fn observe(&mut self, table: &'static Table, batch: &RecordBatch) {
        self.observe_at(SCHEMA_VERSION, table, batch);
    }

    /// The same of rows that were made by a version of the table schemas: what has a column since then was right to have none.
    pub fn observe_at(&mut self, schema_version: u32, table: &'static Table, batch: &RecordBatch) {
        let places = Places::of(table, batch);
        if let Some(extra) = text(batch, "extra").filter(|extra| extra.null_count() < extra.len()) {
            let known = known_of(table, schema_version);
            let known = known.as_ref();
            for row in (0..extra.len()).filter(|row| extra.is_valid(*row)) {
                if let Ok(Value::Object(members)) = serde_json::from_str(extra.value(row)) {
                    self.walk(&Spot { table, places: &places, row }, known, &members, "");
                }
            }
        }
        for column in table.columns.iter().filter(|column| !column.words.is_empty()) {
            self.observe_words(table, column, batch, &places);
        }
        if table.name == annotations::TABLE.name {
            self.observe_values(table, batch, &places);
        }
    }

    fn walk(&mut self, spot: &Spot<'_>, known: &Known, members: &serde_json::Map<String, Value>, prefix: &str) {
        for (key, value) in members {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match (known.field(&path), value) {
                (known::Field::Object, Value::Object(inner)) => self.walk(spot, known, inner, &path),
                // Its fields are rows of a table of their own.
                (known::Field::Reference, Value::Object(_)) | (known::Field::Loose, _) => {}
                (known::Field::Unknown, value) => self.add(spot, path, What::UnknownField, kind(value), None),
                (field, value) => {
                    self.add(spot, path, What::UnexpectedKind, kind(value), Some(field.expected()));
                }
            }
        }
    }

    fn observe_words(&mut self, table: &'static Table, column: &Column, batch: &RecordBatch, places: &Places<'_>) {
        let Some(words) = text(batch, column.name) else { return };
        let path = column.path_in(table.object).unwrap_or(column.name);
        let mut last_known = None;
        for (row, word) in words.iter().enumerate() {
            let Some(word) = word.filter(|word| last_known != Some(*word)) else { continue };
            if let Some(known) = column.words.iter().find(|known| **known == word) {
                last_known = Some(*known);
            } else {
                let found = word.chars().take(LONGEST_WORD).collect();
                self.add(&Spot { table, places, row }, path.to_owned(), What::UnknownWord, found, None);
            }
        }
    }

    /// Whether an annotation's value stands in the column that its type speaks of.
    fn observe_values(&mut self, table: &'static Table, batch: &RecordBatch, places: &Places<'_>) {
        let Some(kinds) = text(batch, "type") else { return };
        let values = known::VALUES.map(|(name, found)| (name, found, batch.column_by_name(name)));
        let mut last = ("", None);
        for row in 0..batch.num_rows() {
            let Some(kind) = kinds.is_valid(row).then(|| kinds.value(row)) else { continue };
            if kind != last.0 {
                last = (kind, value_column_of(kind).and_then(|name| Some((name, batch.column_by_name(name)?))));
            }
            let Some((expected, column)) = last.1 else { continue };
            if column.is_valid(row) {
                continue;
            }
            let is_filled =
                |values: &Option<&arrow::array::ArrayRef>| values.is_some_and(|values| values.is_valid(row));
            let Some((_, found, column)) = values.iter().find(|(_, _, values)| is_filled(values)) else { continue };
            let is_empty_list =
                column.and_then(|list| list.as_list_opt::<i32>()).is_some_and(|list| list.value_length(row) == 0);
            if !is_empty_list {
                let expected = Some(format!("{} of type `{kind}`", known::value_word(expected)));
                let spot = Spot { table, places, row };
                self.add(&spot, "value".to_owned(), What::UnexpectedKind, (*found).to_owned(), expected);
            }
        }
    }

    fn add(&mut self, spot: &Spot<'_>, path: String, what: What, found: String, expected: Option<String>) {
        let table = spot.table.name;
        let key = key(table, path, what, &found, expected.as_deref());
        if let Some(finding) = self.findings.get_mut(&key) {
            finding.count += 1;
        } else if self.findings.len() >= MOST_FINDINGS {
            self.others += 1;
        } else {
            let (example_id, example_path) = spot.places.at(spot.row, &key.1);
            let path = key.1.clone();
            let finding = Finding { table, path, what, found, expected, count: 1, example_id, example_path };
            self.findings.insert(key, finding);
        }
    }

    /// From what another one came to.
    pub fn of(findings: Vec<Finding>, others: u64) -> Drift {
        let keyed = |finding: Finding| {
            let Finding { table, path, what, found, expected, .. } = &finding;
            (key(table, path.clone(), *what, found, expected.as_deref()), finding)
        };
        Drift { findings: findings.into_iter().map(keyed).collect(), others }
    }

    /// Adds what was found in later rows.
    pub fn merge(&mut self, later: Drift) {
        self.others += later.others;
        let mut findings: Vec<_> = later.findings.into_iter().collect();
        // What is kept at the limit must not depend on the order of a hash map.
        findings.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, finding) in findings {
            if let Some(known) = self.findings.get_mut(&key) {
                known.count += finding.count;
            } else if self.findings.len() >= MOST_FINDINGS {
                self.others += finding.count;
            } else {
                self.findings.insert(key, finding);
            }
        }
    }

    /// The findings, by table and path, and how many rows had others beyond the limit.
    pub fn finish(self) -> (Vec<Finding>, u64) {
        let mut findings: Vec<_> = self.findings.into_iter().collect();
        let rank = |table: &str| crate::table::TABLES.iter().position(|known| known.name == table);
        findings.sort_unstable_by(|(one, _), (other, _)| (rank(one.0), one).cmp(&(rank(other.0), other)));
        (findings.into_iter().map(|(_, finding)| finding).collect(), self.others)
    }
}

/// The columns of a table that are looked at.
pub fn columns(table: &'static Table) -> Vec<&'static str> {
    let keys = table.sort_columns().map(|column| column.name);
    let words = table.columns.iter().filter(|column| !column.words.is_empty()).map(|column| column.name);
    let is_of_annotations = table.name == annotations::TABLE.name;
    let values = known::VALUES.iter().filter(|_| is_of_annotations).map(|(name, _)| *name);
    keys.chain(words).chain(values).chain(["extra"]).collect()
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

/// A JSON value's kind in plain words, of a list with the kinds of its elements.
fn kind(value: &Value) -> String {
    let word = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            let kinds = elements.iter().map(word).collect::<BTreeSet<_>>();
            format!("list of {}", kinds.into_iter().collect::<Vec<_>>().join(" and "))
        }
        other => word(other).to_owned(),
    }
}
