//! The commit record: the truth about which files are in.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::part::{FileEntry, checksum};
use crate::partition::Layout;

/// The version of this file's shape.
pub const FORMAT: u32 = 1;

/// What one commit did to the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the record's shape.
    pub format: u32,
    /// Its place in the history, from 1.
    pub version: u64,
    /// Checksum of the record before it; empty for the first.
    pub parent: String,
    /// The run that made it; its staging folder has the same name.
    pub run: String,
    /// The spool whose pages are in it; of an export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spool: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// Version of the program.
    pub taskloom_version: String,
    /// Version of the table schemas.
    pub schema_version: u32,
    /// How tasks become partitions in this lake.
    pub layout: Layout,
    /// Files that come.
    pub add: Vec<FileEntry>,
    /// Files that go, by path.
    pub remove: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    checksum: String,
    record: Box<RawValue>,
}

impl Record {
    /// The record as a file, with its checksum; and the checksum.
    pub fn seal(&self) -> Result<(Vec<u8>, String)> {
        let failed = |source| Error::Json { action: "write a commit record", source };
        let record = serde_json::value::to_raw_value(self).map_err(failed)?;
        let checksum = checksum(record.get().as_bytes());
        let sealed = serde_json::to_vec(&Sealed { checksum: checksum.clone(), record }).map_err(failed)?;
        Ok((sealed, checksum))
    }

    /// Reads a record back; one that was changed in any way is an error.
    pub fn unseal(bytes: &[u8], path: &Path) -> Result<(Record, String)> {
        let damaged = |reason: String| Error::Record { path: path.to_owned(), reason };
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        let found = checksum(sealed.record.get().as_bytes());
        if found != sealed.checksum {
            return Err(damaged(format!("expected the checksum {}, found {found}", sealed.checksum)));
        }
        let record: Record = serde_json::from_str(sealed.record.get()).map_err(|error| damaged(error.to_string()))?;
        if record.format > FORMAT {
            let reason = format!("expected format {FORMAT} or older, found {}: use a newer taskloom", record.format);
            return Err(damaged(reason));
        }
        Ok((record, sealed.checksum))
    }
}
