//! What is told of files that were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::partition::Key;
use crate::table::catalog::attachments;
use crate::table::{SCHEMA_VERSION, Table, first_schema, is_first_schema};

/// A part: whole objects of one partition, as a file in each table that has rows of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its name, which is that of its files: no two parts of a lake ever have the same.
    pub part: String,
    /// Its partition.
    #[serde(flatten)]
    pub key: Key,
    /// The path of its partition, below the folder of each table.
    pub folder: String,
    /// No value of the tables' first column, which is an id, is less. Absent where there is no row, or none can be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub least_id: Option<String>,
    /// None is greater.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub greatest_id: Option<String>,
    /// The version of the table schemas that its rows were made by. Its files may have columns of newer ones, which are null then.
    #[serde(skip_serializing_if = "is_first_schema", default = "first_schema")]
    pub schema_version: u32,
    /// Its files by table.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// XXH3-128 of its bytes, in hex.
    pub checksum: String,
    /// What its columns of instants hold, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub instants: BTreeMap<String, Instants>,
    /// How many of its rows tell of bytes that the lake keeps; of attachments.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub kept: u64,
    /// The bytes of contents that were moved out of it.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub moved_bytes: u64,
}

/// The values of a column of instants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instants {
    /// The least, in UTC to the microsecond, always written with six digits. Absent where all are null.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub least: Option<String>,
    /// The greatest, in the same way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub greatest: Option<String>,
    /// How many are null.
    pub nulls: u64,
}

impl PartEntry {
    /// Where the file of a table lies.
    pub fn path(&self, table: &str) -> String {
        path_of(table, &self.folder, &self.part)
    }

    /// Where its files lie.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.files.keys().map(|table| self.path(table))
    }

    /// Whether any of its files has a row.
    pub fn has_rows(&self) -> bool {
        self.files.values().any(|file| file.rows > 0)
    }

    /// Whether newer schemas have something for its rows that they were made without: a column, or a table.
    pub fn is_outdated(&self) -> bool {
        let lacks = |table: &Table| match self.files.contains_key(table.name) {
            true => table.grew_since(self.schema_version),
            false => table.since() > self.schema_version,
        };
        self.schema_version < SCHEMA_VERSION && self.key.dataset.tables().any(lacks)
    }

    /// The version of the table schemas that its rows may be said to be made by: the newest, where that has nothing more for them.
    pub fn needed_schema(&self) -> u32 {
        if self.is_outdated() { self.schema_version } else { SCHEMA_VERSION }
    }

    /// The file whose rows tell of bytes that the lake keeps, if there is one.
    pub fn keeping(&self) -> Option<String> {
        let table = attachments::TABLE.name;
        self.files.get(table).filter(|file| file.kept > 0).map(|_| self.path(table))
    }

    /// Rows in a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.files.get(table).map_or(0, |file| file.rows)
    }
}

/// What need not be written.
pub fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Where the file of a part lies in a lake.
pub fn path_of(table: &str, folder: &str, part: &str) -> String {
    format!("{table}/{folder}/{part}")
}

/// XXH3-128 in hex.
pub fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}
