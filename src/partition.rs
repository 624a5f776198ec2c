//! Where a row lies: the key of its partition and the key's Hive path.
//!
//! Example: project `writing`, batch `a/b`, 2 January 2025 lie in `project=writing/batch=a%2Fb/date=2025-01-02`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::table::Dataset;

/// What Hive writes for a null.
pub const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Which instant of a task names its date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum DateBy {
    /// `completed_at`, or `created_at` where it is absent.
    #[default]
    Completed,
    /// `created_at`.
    Created,
}

impl DateBy {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            DateBy::Completed => "completed",
            DateBy::Created => "created",
        }
    }
}

/// How long a partition's date lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum DateGrain {
    /// A UTC day.
    #[default]
    Day,
    /// A UTC month, named by its first day.
    Month,
}

impl DateGrain {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            DateGrain::Day => "day",
            DateGrain::Month => "month",
        }
    }

    /// The day that names the partition of a day.
    pub fn first_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            DateGrain::Day => day,
            DateGrain::Month => day.with_day(1).unwrap_or(day),
        }
    }
}

/// How tasks become partitions: fixed by the first commit of a lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Which instant names the date.
    pub date_by: DateBy,
    /// How long a date lasts.
    pub date_grain: DateGrain,
}

/// What a run wants of a lake's layout: what it does not say is as the lake has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which instant names the date.
    pub date_by: Option<DateBy>,
    /// How long a date lasts.
    pub date_grain: Option<DateGrain>,
}

impl Wanted {
    /// What comes of it where this is so already.
    pub fn on(self, lake: Layout) -> Layout {
        Layout { date_by: self.date_by.unwrap_or(lake.date_by), date_grain: self.date_grain.unwrap_or(lake.date_grain) }
    }
}

impl Layout {
    /// The date of a task, from its instants in microseconds.
    pub fn date(self, created_at: Option<i64>, completed_at: Option<i64>) -> Option<NaiveDate> {
        let instant = match self.date_by {
            DateBy::Completed => completed_at.or(created_at),
            DateBy::Created => created_at,
        };
        let day = chrono::DateTime::from_timestamp_micros(instant?)?.date_naive();
        Some(self.date_grain.first_day(day))
    }
}

/// The partition columns of a dataset's tables, in the order of their folders. Their values are in no file, only in its path.
pub fn columns(dataset: Dataset) -> &'static [&'static str] {
    match dataset {
        Dataset::Tasks => &["project", "batch", DATE],
        _ => &["project"],
    }
}

/// The partition column that is a day; the others are text.
pub const DATE: &str = "date";

/// Whose tasks are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every project's.
    All,
    /// Those of these projects.
    Projects(BTreeSet<String>),
    /// Those of these batches.
    Batches(BTreeSet<String>),
}

impl Extent {
    /// Whether the tasks of a partition are meant.
    pub fn holds(&self, key: &Key) -> bool {
        match self {
            Extent::All => true,
            Extent::Projects(projects) => key.project.as_deref().is_some_and(|project| projects.contains(project)),
            Extent::Batches(batches) => key.batch.as_deref().is_some_and(|batch| batches.contains(batch)),
        }
    }
}

/// The partition of a row. Only tasks have a batch and a date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The stream of objects.
    pub dataset: Dataset,
    /// Id of the project.
    pub project: Option<Box<str>>,
    /// Id of the batch.
    pub batch: Option<Box<str>>,
    /// First day of the partition.
    pub date: Option<NaiveDate>,
}

impl Key {
    /// The partition of a task. An empty id, or one that is literally Hive's word for null, is null.
    pub fn task(project: Option<&str>, batch: Option<&str>, date: Option<NaiveDate>) -> Key {
        Key { dataset: Dataset::Tasks, project: value(project), batch: value(batch), date }
    }

    /// The partition of an object that is partitioned by project alone.
    pub fn project(dataset: Dataset, project: Option<&str>) -> Key {
        Key { dataset, project: value(project), batch: None, date: None }
    }

    /// The partition whose every value is null.
    pub fn null(dataset: Dataset) -> Key {
        Key { dataset, project: None, batch: None, date: None }
    }

    /// The values of the partition columns, in the order of their folders.
    pub fn values(&self) -> Vec<(&'static str, Option<Cow<'_, str>>)> {
        let date = self.date.map(|date| Cow::Owned(date.format("%Y-%m-%d").to_string()));
        let values = [self.project.as_deref().map(Cow::Borrowed), self.batch.as_deref().map(Cow::Borrowed), date];
        columns(self.dataset).iter().copied().zip(values).collect()
    }

    /// The path below a table's folder, with `/` between its parts.
    pub fn path(&self) -> String {
        let part = |(name, value): (&str, Option<Cow<'_, str>>)| format!("{name}={}", path_value(value.as_deref()));
        self.values().into_iter().map(part).collect::<Vec<_>>().join("/")
    }
}

fn value(id: Option<&str>) -> Option<Box<str>> {
    id.filter(|id| !id.is_empty() && *id != NULL).map(Into::into)
}

/// An escaped value of more bytes than this is cut and hashed; with `project=` before it, a path part stays far below the 255
/// bytes that file systems allow.
const LONGEST: usize = 200;
/// What is kept of such a value: the prefix, `~` and 32 hex digits are again at most `LONGEST`.
const KEPT: usize = LONGEST - 1 - 32;

fn path_value(id: Option<&str>) -> String {
    let Some(id) = id else { return NULL.to_owned() };
    let escaped: String = id.chars().map(escape).collect();
    if escaped.len() <= LONGEST {
        return escaped;
    }
    let mut prefix = String::with_capacity(LONGEST);
    for piece in id.chars().map(escape) {
        if prefix.len() + piece.len() > KEPT {
            break;
        }
        prefix.push_str(&piece);
    }
    let _ = write!(prefix, "~{:032x}", xxhash_rust::xxh3::xxh3_128(id.as_bytes()));
    prefix
}

/// Spark's and Hive's escapes, and beside them a space and what is beyond ASCII, byte by byte: some readers of stores in the cloud fail on
/// these. `~` is escaped too, so that an id can't look like a hashed one.
fn escape(character: char) -> String {
    let is_plain = character.is_ascii_graphic() && !r##""#%'*/:=?\{}[]^~"##.contains(character);
    if is_plain {
        return character.to_string();
    }
    character.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(project: &str) -> String {
        Key::project(Dataset::Projects, Some(project)).path()
    }

    #[test]
    fn ids_are_escaped_as_hive_does_it() {
        for (id, expected) in [
            ("writing", "project=writing"),
            ("..", "project=.."),
            ("a/b", "project=a%2Fb"),
            ("p=q", "project=p%3Dq"),
            ("100%", "project=100%25"),
            ("a b é 😀", "project=a%20b%20%C3%A9%20%F0%9F%98%80"),
            ("a\u{0}\n", "project=a%00%0A"),
            ("~", "project=%7E"),
            ("", "project=__HIVE_DEFAULT_PARTITION__"),
            (NULL, "project=__HIVE_DEFAULT_PARTITION__"),
        ] {
            assert_eq!(path(id), expected);
        }
    }

    #[test]
    fn long_ids_fit_into_a_file_name_and_stay_apart() {
        for id in ["x".repeat(300), "é".repeat(300), "/".repeat(300), "😀/".repeat(100)] {
            let (one, other) = (path(&format!("{id}1")), path(&format!("{id}2")));
            assert!(one.len() <= 208 && one != other, "{one}");
            let (_, hash) = one.rsplit_once('~').unwrap();
            assert_eq!(hash.len(), 32);
        }
        assert_eq!(path(&"x".repeat(200)), format!("project={}", "x".repeat(200)));
    }

    #[test]
    fn no_id_looks_like_a_hashed_one() {
        let hashed = path(&"x".repeat(300));
        let imitation = hashed.strip_prefix("project=").unwrap();
        assert_ne!(path(imitation), hashed);
    }
}
