//! What is told of files that were written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::partition::Key;

/// A file of a lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its table.
    pub table: String,
    /// Its path below the lake's folder, with `/`.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// XXH3-128 of its bytes, in hex.
    pub checksum: String,
}

/// The files of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Position among all parts of the run, from 0.
    pub number: u32,
    /// Its partition.
    pub key: Key,
    /// Position among the parts of its partition, from 0.
    pub ordinal: u32,
    /// A file for each table that has rows.
    pub files: Vec<FileEntry>,
}

/// XXH3-128 in hex.
pub fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// The file name of a part: the same for the same part on the same version, and never again after that.
pub fn part_name(parent: &str, key: &Key, ordinal: u32) -> String {
    let identity = format!("{parent}\n{:?}\n{}\n{ordinal}", key.dataset, key.path());
    format!("part-{:032x}.parquet", xxh3_128(identity.as_bytes()))
}

/// Where a table's file of a part lies in the folder that parts are written to.
pub fn file_path(folder: &Path, table: &str, part_name: &str) -> PathBuf {
    folder.join(format!("{table}.{part_name}"))
}
