//! What a lake is at one version: the records up to it, replayed in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Beginning, FORMAT, Record};
use crate::forgotten::Forgotten;
use crate::part::PartEntry;
use crate::partition::{DateGrain, Layout};
use crate::table::{Dataset, first_schema};

/// A lake at one version. As a file it is a snapshot, so that nobody has to begin with the first record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version of this shape.
    pub format: u32,
    /// Features without which what stands here is misread.
    pub requires: Vec<String>,
    /// The lake's own id; empty before the first commit.
    pub lake_id: String,
    /// The version; 0 before the first commit.
    pub version: u64,
    /// Checksum of its record; empty before the first commit.
    pub checksum: String,
    /// When its record was made.
    pub created_at: String,
    /// When the lake's first record was made.
    pub began_at: String,
    /// The newest version of the table schemas that one of its records was made by: its tables have the columns of that one.
    #[serde(default = "first_schema")]
    pub schema_version: u32,
    /// How its tasks became partitions.
    pub layout: Layout,
    /// The API's options that its tasks were asked for with, as the newest record has them that has any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opts: Option<Vec<String>>,
    /// The spool that was committed last, in this version or an earlier one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spool: Option<String>,
    /// How far scheduled jobs have come, by job.
    pub checkpoints: BTreeMap<String, serde_json::Value>,
    /// Names of versions.
    pub tags: BTreeMap<String, u64>,
    /// The oldest version whose files are kept.
    pub oldest_version: u64,
    /// The version in which history begins; `None` where that is the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub begins: Option<Beginning>,
    /// What ids are hashed with that are forgotten.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forget_key: Option<String>,
    /// Hashes of the ids of tasks that must not come again.
    pub tombstones: Vec<String>,
    /// Hashes of the ids of contributors that must not come again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub forgotten_contributors: Vec<String>,
    /// Whether any version took parts away: then folders hold more than the newest one.
    #[serde(default)]
    pub has_replaced: bool,
    /// Its parts by name.
    #[serde(with = "as_list")]
    pub parts: BTreeMap<String, PartEntry>,
}

impl State {
    /// A lake before its first commit.
    pub fn empty() -> State {
        State { format: FORMAT, oldest_version: 1, ..State::default() }
    }

    /// The version that the next record makes of it. `checksum` is that record's.
    pub fn apply(&mut self, record: Record, checksum: String) {
        if let Some(beginning) = &record.begins {
            self.begin_anew(beginning.clone());
        }
        // Where history begins anew, what went is gone from the folders too.
        self.has_replaced |= record.begins.is_none() && !record.remove.is_empty();
        for removed in &record.remove {
            self.parts.remove(&removed.part);
        }
        self.parts.extend(record.add.into_iter().map(|part| (part.part.clone(), part)));
        for (name, version) in record.tags {
            match version {
                Some(version) => self.tags.insert(name, version),
                None => self.tags.remove(&name),
            };
        }
        for (job, checkpoint) in record.checkpoints {
            match checkpoint {
                serde_json::Value::Null => self.checkpoints.remove(&job),
                checkpoint => self.checkpoints.insert(job, checkpoint),
            };
        }
        self.tombstones.extend(record.tombstones);
        self.forgotten_contributors.extend(record.forgotten_contributors);
        self.forget_key = record.forget_key.or(self.forget_key.take());
        self.oldest_version = record.oldest_version.unwrap_or(self.oldest_version);
        // A version that is no export leaves a spool that is committed as committed as it was.
        self.spool = record.spool.or(self.spool.take());
        self.opts = record.opts.or(self.opts.take());
        (self.lake_id, self.version, self.checksum) = (record.lake_id, record.version, checksum);
        if self.began_at.is_empty() {
            self.began_at = record.created_at.clone();
        }
        (self.created_at, self.layout) = (record.created_at, record.layout);
        self.schema_version = self.schema_version.max(record.schema_version);
    }

    /// Whatever was before, the record that comes tells all.
    fn begin_anew(&mut self, beginning: Beginning) {
        *self = State { began_at: beginning.began_at.clone(), begins: Some(beginning), ..State::empty() };
    }

    /// The version in which history begins.
    pub fn begins_at(&self) -> u64 {
        self.begins.as_ref().map_or(1, |beginning| beginning.version)
    }

    /// What must not come again.
    pub fn forgotten(&self) -> Option<Forgotten> {
        let (tasks, contributors) = (self.tombstones.clone(), self.forgotten_contributors.clone());
        self.forget_key.as_ref().map(|key| Forgotten::new(key.clone(), tasks, contributors))
    }

    /// Whether the files of a version are kept.
    pub fn keeps(&self, version: u64) -> bool {
        let is_recent = (self.oldest_version.max(1)..=self.version).contains(&version);
        is_recent || self.tags.values().any(|tagged| *tagged == version)
    }

    /// True where no part has a row of what a source brings.
    pub fn is_bare(&self) -> bool {
        !self.parts.values().any(|part| part.has_rows() && part.key.dataset != Dataset::TaskChanges)
    }

    /// The parts of what sources bring: what the lake tells of itself stays, whatever becomes of these.
    pub fn brought(&self) -> impl Iterator<Item = &PartEntry> {
        self.parts.values().filter(|part| part.key.dataset != Dataset::TaskChanges)
    }

    /// The parts by partition and least id: an order that doesn't depend on what they are called.
    pub fn in_order(&self) -> Vec<&PartEntry> {
        let mut parts = self.parts.values().collect::<Vec<_>>();
        parts.sort_by(|one, other| {
            (&one.key, &one.least_id, &one.part).cmp(&(&other.key, &other.least_id, &other.part))
        });
        parts
    }
}

/// Files that are small because few tasks lie in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SmallFiles {
    /// How many files there are in all.
    pub files: u64,
    /// Bytes of one, on average.
    pub mean_bytes: u64,
}

/// From so many files on, reading a lake takes as long as opening them.
const MANY_FILES: u64 = 1_000;
/// A file that has less is read no quicker than one that has so much.
const SMALL_BYTES: u64 = 64 << 10;

impl SmallFiles {
    /// Those of these parts, if there are many, and months would make them fewer.
    pub fn of<'p>(parts: impl Iterator<Item = &'p PartEntry>, layout: Layout) -> Option<SmallFiles> {
        let (files, bytes) = parts
            .flat_map(|part| part.files.values())
            .fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.bytes));
        let mean_bytes = bytes / u64::max(files, 1);
        let is_small = layout.date_grain == DateGrain::Day && files >= MANY_FILES && mean_bytes < SMALL_BYTES;
        is_small.then_some(SmallFiles { files, mean_bytes })
    }
}

/// Parts as a list: their names stand in them.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::part::PartEntry;

    pub(super) fn serialize<S: Serializer>(parts: &BTreeMap<String, PartEntry>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(parts.values())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<BTreeMap<String, PartEntry>, D::Error> {
        let parts = Vec::<PartEntry>::deserialize(from)?;
        Ok(parts.into_iter().map(|part| (part.part.clone(), part)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::FileEntry;
    use crate::partition::Key;
    use crate::table::Dataset;

    #[test]
    fn many_small_files_of_days_are_told_of() {
        let part = |bytes| {
            let file = FileEntry {
                rows: 1,
                bytes,
                checksum: String::new(),
                instants: BTreeMap::new(),
                kept: 0,
                moved_bytes: 0,
            };
            let files = ["tasks", "threads"].map(|table| (table.to_owned(), file.clone())).into();
            let (key, folder, part) = (Key::null(Dataset::Tasks), String::new(), String::new());
            PartEntry { part, key, folder, least_id: None, greatest_id: None, schema_version: 1, files }
        };
        let of = |parts: usize, bytes, date_grain| {
            let parts = vec![part(bytes); parts];
            SmallFiles::of(parts.iter(), Layout { date_grain, ..Layout::default() })
        };
        let small = SmallFiles { files: 1_000, mean_bytes: 9_000 };
        assert_eq!(of(500, 9_000, DateGrain::Day), Some(small));
        assert_eq!(of(499, 9_000, DateGrain::Day), None, "few");
        assert_eq!(of(500, 64 << 10, DateGrain::Day), None, "large enough");
        assert_eq!(of(500, 9_000, DateGrain::Month), None, "nothing more to do");
        assert_eq!(of(0, 0, DateGrain::Day), None);
    }
}
