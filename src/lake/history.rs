//! What was done to a lake, version by version.

use serde::Serialize;

use super::record::{Author, Counts, Record};
use super::{Lake, State};
use crate::error::Result;
use crate::part::PartEntry;

/// A version as the history tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When it was committed: RFC 3339 in UTC, to the millisecond.
    pub created_at: String,
    /// What was done: `flatten`, `export`, `sync`, `compact`, `upgrade`, `attachments`, `forget`, `recover`, `rollback`, `tag` or `vacuum`.
    pub operation: String,
    /// What it was made from, in words. `None` where it was made from nothing but the lake.
    pub source: Option<String>,
    /// The run that made it.
    pub run: String,
    /// Who did it.
    pub author: Author,
    /// Version of the program.
    pub taskloom_version: String,
    /// What was counted.
    pub counts: Counts,
    /// Files that came.
    pub files_added: u64,
    /// Their bytes.
    pub bytes_added: u64,
    /// Files that went.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Names that it has now.
    pub tags: Vec<String>,
    /// Whether its files are kept.
    pub is_kept: bool,
}

impl Lake {
    /// Every version, the oldest first.
    pub fn history(&self) -> Result<Vec<Version>> {
        let newest = self.state()?;
        let versions = self.versions_behind(newest.begins_at() - 1)?;
        let versions = versions.into_iter().filter(|version| *version <= newest.version);
        versions.map(|version| Ok(Version::of(self.record(version)?.0, &newest))).collect()
    }
}

impl Version {
    fn of(record: Record, newest: &State) -> Version {
        let added = || record.add.iter().flat_map(|part: &PartEntry| part.files.values());
        let removed = || record.remove.iter().flat_map(|part| part.files.values());
        let tags = newest.tags.iter().filter(|(_, version)| **version == record.version);
        Version {
            version: record.version,
            files_added: added().count() as u64,
            bytes_added: added().map(|file| file.bytes).sum(),
            files_removed: removed().count() as u64,
            bytes_removed: removed().sum(),
            tags: tags.map(|(name, _)| name.clone()).collect(),
            is_kept: newest.keeps(record.version),
            created_at: record.created_at,
            operation: record.operation,
            source: record.source,
            run: record.run,
            author: record.author,
            taskloom_version: record.taskloom_version,
            counts: record.counts,
        }
    }
}
