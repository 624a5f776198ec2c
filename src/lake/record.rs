//! The commit record: the truth about which files are in.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::part::{PartEntry, checksum, is_zero};
use crate::partition::Layout;
use crate::table::SCHEMA_VERSION;

/// The version of this file's shape.
pub const FORMAT: u32 = 2;

/// What a record of an export says that it did.
pub const EXPORT: &str = "export";

/// What that of an export says that is a run of a scheduled job.
pub const SYNC: &str = "sync";

/// What a record says that changes no row: the rows of the parts that come are those of the parts that go.
pub const COMPACT: &str = "compact";

/// What a record says that brings parts of older table schemas to the newest: tasks stay what they are.
pub const UPGRADE: &str = "upgrade";

/// What a record says that brings attachments: tasks stay what they are.
pub const ATTACHMENTS: &str = "attachments";

/// What a record says behind which history begins anew.
pub const FORGET: &str = "forget";

/// What stands in the place of a record that was erased.
const ERASED: &str = "erased";

/// Whether what was done is an export of either kind.
pub fn is_export(operation: &str) -> bool {
    [EXPORT, SYNC].contains(&operation)
}

/// What a record may require of who reads it: nothing yet.
const FEATURES: [&str; 0] = [];

/// What one commit did to the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the record's shape.
    pub format: u32,
    /// Features without which what stands here is misread. Who doesn't know one of them must not go on.
    pub requires: Vec<String>,
    /// The lake's own id: the same in all its records.
    pub lake_id: String,
    /// Its place in the history, from 1.
    pub version: u64,
    /// Checksum of the record before it; empty for the first.
    pub parent: String,
    /// When it was made, RFC 3339 in UTC, to the millisecond; later than its parent.
    pub created_at: String,
    /// What was done: `flatten`, `export`, `sync`, `compact`, `upgrade`, `attachments`, `forget`, `recover`, `rollback`, `tag` or
    /// `vacuum`; of a record that a later one took out of history, `erased`.
    pub operation: String,
    /// The run that made it: the names of the files that it added begin with its last part.
    pub run: String,
    /// Who did it.
    pub author: Author,
    /// What it was made from, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Version of the program.
    pub taskloom_version: String,
    /// Which of the ways in which Delta's logs are written from a record this one asks for.
    pub renderer: u32,
    /// Version of the table schemas.
    pub schema_version: u32,
    /// Set where that is newer than the lake's was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub widens: Option<Widening>,
    /// How tasks become partitions in this lake.
    pub layout: Layout,
    /// The API's options that its tasks were asked for with. Absent where they came from files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opts: Option<Vec<String>>,
    /// What was counted.
    pub counts: Counts,
    /// Parts that go.
    pub remove: Vec<RemovedPart>,
    /// Parts that come. One that went before may come again.
    pub add: Vec<PartEntry>,
    /// When its fetch began for the first time; of an export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fetch_began_at: Option<String>,
    /// The spool whose pages are in it; of an export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spool: Option<String>,
    /// How far scheduled jobs have come, by job; only those that changed. Null for one that is there no more.
    pub checkpoints: BTreeMap<String, serde_json::Value>,
    /// Runs that can't commit any more: whatever they wrote may be removed.
    pub ended: Vec<String>,
    /// The oldest version whose files are kept, if this record changed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest_version: Option<u64>,
    /// Names of versions that this record gave, or took away.
    pub tags: BTreeMap<String, Option<u64>>,
    /// Set where history begins anew: all that counts stands in this record, and what stood in those before it is gone, or goes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub begins: Option<Beginning>,
    /// What ids are hashed with that are to be forgotten; of a record in which history begins anew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forget_key: Option<String>,
    /// Hashes of the ids of tasks that must not come again: see [`super::Forgotten`].
    pub tombstones: Vec<String>,
    /// Hashes of the ids of contributors that must not come again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub forgotten_contributors: Vec<String>,
}

/// A version from which on tables have columns that they did not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widening {
    /// The version of the table schemas before.
    pub from: u32,
    /// When the lake's first record was made.
    pub began_at: String,
}

/// A version in which history begins anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The version.
    pub version: u64,
    /// The one in which it began before: records from there on are erased, that of this version last.
    pub after: u64,
    /// When the lake's first record was made.
    pub began_at: String,
}

impl Record {
    /// What stays in the place of an erased record: that there was one, whose it was, and which runs it ended.
    pub(super) fn erased(self) -> Record {
        Record {
            operation: ERASED.to_owned(),
            author: Author::default(),
            source: None,
            opts: None,
            counts: Counts::default(),
            remove: Vec::new(),
            add: Vec::new(),
            fetch_began_at: None,
            spool: None,
            checkpoints: BTreeMap::new(),
            oldest_version: None,
            tags: BTreeMap::new(),
            begins: None,
            forget_key: None,
            tombstones: Vec::new(),
            forgotten_contributors: Vec::new(),
            ..self
        }
    }

    /// Whether what it does changes no task, whatever becomes of its rows.
    pub(super) fn keeps_tasks(&self) -> bool {
        [COMPACT, UPGRADE, ATTACHMENTS].contains(&self.operation.as_str())
    }

    /// Whether it was erased.
    pub(super) fn is_erased(&self) -> bool {
        self.operation == ERASED
    }

    /// Whether it can be the next one behind a record of this checksum.
    pub(super) fn follows(&self, checksum: &str) -> bool {
        self.parent == checksum || self.begins.is_some() || self.is_erased()
    }
}

/// Who made a commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// The user's name on that machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<String>,
    /// The command line, without secrets.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
}

impl Author {
    /// This process, without its command line.
    pub fn here() -> Author {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        let user = user.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Author { user: Some(user), host: Some(host), command: None }
    }
}

impl Author {
    /// Without the ids of what is forgotten.
    pub(super) fn without(self, forgotten: Option<&Forgotten>) -> Author {
        Author { command: self.command.map(|command| without_names(command, forgotten)), ..self }
    }
}

/// A text without the ids of what is forgotten.
pub(super) fn without_names(text: String, forgotten: Option<&Forgotten>) -> String {
    forgotten.map_or_else(|| text.clone(), |forgotten| forgotten.without_names(&text))
}

/// What a run counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks that were read.
    pub tasks_read: u64,
    /// Tasks in the parts that come.
    pub tasks: u64,
    /// Tasks that could not be read.
    pub rejected: u64,
    /// Tasks that a later copy in the same run replaced.
    pub superseded: u64,
    /// Tasks that the lake did not have.
    #[serde(default)]
    pub added: u64,
    /// Tasks that took the place of an older copy.
    #[serde(default)]
    pub replaced: u64,
    /// Tasks that the lake had with the same content.
    #[serde(default)]
    pub unchanged: u64,
    /// Tasks that went because their source has them no more.
    #[serde(default)]
    pub removed: u64,
    /// Contents of attachments that came.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub attachments: u64,
}

/// A part that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPart {
    /// Its name.
    pub part: String,
    /// The path of its partition.
    pub folder: String,
    /// The bytes of its files, by table.
    pub files: BTreeMap<String, u64>,
}

impl RemovedPart {
    /// What removing a part says of it.
    pub fn of(part: &PartEntry) -> RemovedPart {
        let files = part.files.iter().map(|(table, file)| (table.clone(), file.bytes)).collect();
        RemovedPart { part: part.part.clone(), folder: part.folder.clone(), files }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    checksum: String,
    record: Box<RawValue>,
}

/// What is told of every record, whatever its format.
#[derive(Deserialize)]
struct Shape {
    format: u32,
    #[serde(default)]
    requires: Vec<String>,
    version: u64,
    #[serde(default)]
    schema_version: u32,
}

impl Shape {
    /// What it needs that this release does not know.
    fn unknown(&self) -> Option<String> {
        let feature = self.requires.iter().find(|feature| !FEATURES.contains(&feature.as_str()));
        let newer = |what: &str, number: u32, known: u32| (number > known).then(|| format!("{what} {number}"));
        newer("format", self.format, FORMAT).or(feature.map(|feature| format!("`{feature}`"))).or(newer(
            "version",
            self.schema_version,
            SCHEMA_VERSION,
        )
        .map(|version| format!("{version} of the tables")))
    }
}

/// Something of this format as a file, with its checksum; and the checksum.
pub(super) fn seal(value: &impl Serialize) -> Result<(Vec<u8>, String)> {
    let failed = |source| Error::Json { action: "write a commit record", source };
    let record = serde_json::value::to_raw_value(value).map_err(failed)?;
    let checksum = checksum(record.get().as_bytes());
    let sealed = serde_json::to_vec(&Sealed { checksum: checksum.clone(), record }).map_err(failed)?;
    Ok((sealed, checksum))
}

/// Reads back what was sealed as this version; anything that was changed in any way is an error. Gives the checksum too.
pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8], version: u64, path: &Path) -> Result<(T, String)> {
    let damaged = |reason: String| Error::Record { path: path.to_owned(), reason };
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    let found = checksum(sealed.record.get().as_bytes());
    if found != sealed.checksum {
        return Err(damaged(format!("expected the checksum {}, found {found}", sealed.checksum)));
    }
    if sealed_bytes(&sealed) != bytes.len() {
        return Err(damaged("expected a record and nothing else".to_owned()));
    }
    let shape: Shape = serde_json::from_str(sealed.record.get()).map_err(|error| damaged(error.to_string()))?;
    if shape.format < FORMAT {
        return Err(Error::OldLake { path: path.to_owned() });
    }
    if let Some(needs) = shape.unknown() {
        return Err(Error::NewLake { path: path.to_owned(), needs });
    }
    if shape.version != version {
        return Err(damaged(format!("expected version {version}, found {}", shape.version)));
    }
    let value = serde_json::from_str(sealed.record.get()).map_err(|error| damaged(error.to_string()))?;
    Ok((value, sealed.checksum))
}

/// The length of what [`seal`] writes: anything between its pieces was put there by somebody else.
fn sealed_bytes(sealed: &Sealed) -> usize {
    r#"{"checksum":"","record":}"#.len() + sealed.checksum.len() + sealed.record.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_is_noticed() {
        let state = serde_json::json!({"format": FORMAT, "version": 7, "text": "é"});
        let (sealed, checksum) = seal(&state).unwrap();
        let path = Path::new("record");
        let (again, found): (serde_json::Value, _) = unseal(&sealed, 7, path).unwrap();
        assert_eq!((again, found), (state, checksum));
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(unseal::<serde_json::Value>(&changed, 7, path).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(unseal::<serde_json::Value>(&sealed, 8, path).is_err());
    }

    #[test]
    fn what_is_newer_is_refused_and_what_is_older_is_named() {
        let read = |value: serde_json::Value| {
            unseal::<serde_json::Value>(&seal(&value).unwrap().0, 1, Path::new("record")).unwrap_err()
        };
        assert!(matches!(read(serde_json::json!({"format": 1, "version": 1})), Error::OldLake { .. }));
        assert!(matches!(read(serde_json::json!({"format": 3, "version": 1})), Error::NewLake { .. }));
        let needy = read(serde_json::json!({"format": 2, "version": 1, "requires": ["time travel"]}));
        assert!(needy.to_string().contains("`time travel`"), "{needy}");
        let newer = SCHEMA_VERSION + 1;
        let wide = read(serde_json::json!({"format": 2, "version": 1, "schema_version": newer}));
        assert!(wide.to_string().contains(&format!("version {newer} of the tables")), "{wide}");
    }
}
