//! From files that lie in place to a version of all tables: one record, put only if nobody was faster.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::record::{Author, Beginning, Counts, FORMAT, Record, RemovedPart, Widening, is_export, seal, without_names};
use super::running::{self, Running};
use super::state::State;
use super::{Lake, delta, now_after};
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::part::PartEntry;
use crate::partition::Layout;
use crate::store::Put;
use crate::table::SCHEMA_VERSION;

/// What is to be committed on top of a version.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What is done: see [`Record::operation`].
    pub operation: &'static str,
    /// Who does it.
    pub author: Author,
    /// What it was made from, in words.
    pub source: Option<String>,
    /// How tasks became partitions.
    pub layout: Layout,
    /// The API's options.
    pub opts: Option<Vec<String>>,
    /// What was counted.
    pub counts: Counts,
    /// Parts that go.
    pub remove: Vec<RemovedPart>,
    /// Parts that come. Their files lie in place.
    pub add: Vec<PartEntry>,
    /// When its fetch began for the first time.
    pub fetch_began_at: Option<String>,
    /// The spool whose pages are in it.
    pub spool: Option<String>,
    /// The oldest version whose files are kept, if that changes.
    pub oldest_version: Option<u64>,
    /// Names of versions that are given, or taken away.
    pub tags: BTreeMap<String, Option<u64>>,
    /// How far scheduled jobs have come: those that change. Null for one that is there no more.
    pub checkpoints: BTreeMap<String, serde_json::Value>,
    /// What must not come again from now on: then history begins anew.
    pub forgets: Option<Forgotten>,
}

/// How a commit ended.
#[derive(Debug)]
pub enum CommitOutcome {
    /// It is this version.
    Committed(u64),
    /// Another run committed the version that it would have been. Nothing of this one is data.
    Conflict(u64),
    /// Nobody can tell. Its files must stay where they are: the next run finds out.
    Unknown {
        /// The version that it may have become.
        version: u64,
        /// Why the record could not be put.
        cause: Error,
    },
}

/// How often a record is put whose fate is not known.
const ATTEMPTS: usize = 3;

impl Lake {
    /// Commits what a run wrote on top of a version, and publishes it. `note` writes what the version does to tasks, of which the record
    /// tells what it will be; it may become another one. `last_word` is asked when all is on the disk: its error is the
    /// last that can prevent the commit. Versions that others commit meanwhile and that change no part are no conflict. An error behind
    /// the commit is an [`Error::Committed`].
    pub fn commit(
        &self,
        parent: &State,
        running: &mut Running,
        change: Change,
        note: &dyn Fn(&Record, u32) -> Result<Vec<PartEntry>>,
        last_word: impl FnOnce() -> Result<()>,
    ) -> Result<CommitOutcome> {
        // Behind the parent a record in the way tells; up to it, only a look does.
        if running.is_ended(self)? {
            return Ok(CommitOutcome::Conflict(parent.version + 1));
        }
        let mut record = self.record_of(parent, running.name(), change);
        record.ended = running.to_end();
        let added = record.add.len();
        record.add.extend(note(&record, 0)?);
        self.store().flush()?;
        last_word()?;
        let mut outcome = self.put_record(&record)?;
        for attempt in 1.. {
            if !matches!(outcome, CommitOutcome::Conflict(_)) || !self.go_behind_words(&mut record)? {
                break;
            }
            // What was noted tells of another version.
            record.add.truncate(added);
            record.add.extend(note(&record, attempt)?);
            self.store().flush()?;
            outcome = self.put_record(&record)?;
        }
        if let CommitOutcome::Committed(version) = outcome {
            let mut behind = || -> Result<()> {
                self.publish_up_to(version)?;
                running.sweep(self).map(drop)
            };
            behind().map_err(|cause| Error::committed(version, cause))?;
        }
        Ok(outcome)
    }

    /// The names of the parts that a version brought.
    #[cfg(feature = "api")]
    pub fn parts_of(&self, version: u64) -> Result<HashSet<String>> {
        Ok(self.record(version)?.0.add.into_iter().map(|part| part.part).collect())
    }

    /// The parts that exports committed after a version, each with when its fetch began.
    pub fn exported_since(&self, version: u64) -> Result<HashMap<String, Option<String>>> {
        let mut exported = HashMap::new();
        for version in self.versions_behind(version)? {
            let (record, _) = self.record(version)?;
            let began_at = match is_export(&record.operation) {
                true => Some(record.fetch_began_at.clone()),
                // The rows of the parts that come are those of the parts that go.
                false if record.keeps_tasks() => {
                    record.remove.iter().filter_map(|part| exported.get(&part.part)).max().cloned()
                }
                false => None,
            };
            if let Some(began_at) = began_at {
                exported.extend(record.add.into_iter().map(|part| (part.part, began_at.clone())));
            }
        }
        Ok(exported)
    }

    /// Commits what needs no file: there is nothing to take back. Tried again on top of whatever another run commits meanwhile.
    pub(super) fn commit_words(
        &self,
        mut change: impl FnMut(&State) -> Result<Option<(Change, Vec<String>)>>,
    ) -> Result<u64> {
        self.finish()?;
        self.finish_erasing(&self.state()?)?;
        loop {
            let parent = self.state()?;
            let Some((change, ended)) = change(&parent)? else { return Ok(parent.version) };
            let mut record = self.record_of(&parent, &running::new_name(), change);
            record.ended = ended;
            match self.put_record(&record)? {
                CommitOutcome::Committed(version) => {
                    self.publish_up_to(version).map_err(|cause| Error::committed(version, cause))?;
                    return Ok(version);
                }
                CommitOutcome::Conflict(_) => {}
                CommitOutcome::Unknown { version, cause } => return Err(Error::unknown(version, cause)),
            }
        }
    }

    fn record_of(&self, parent: &State, run: &str, change: Change) -> Record {
        let is_first = parent.version == 0;
        let forgotten = parent.forgotten();
        let record = Record {
            format: FORMAT,
            requires: Vec::new(),
            lake_id: if is_first { uuid::Uuid::new_v4().to_string() } else { parent.lake_id.clone() },
            version: parent.version + 1,
            parent: parent.checksum.clone(),
            created_at: now_after(&parent.created_at),
            operation: change.operation.to_owned(),
            run: run.to_owned(),
            author: change.author.without(forgotten.as_ref()),
            source: change.source.map(|source| without_names(source, forgotten.as_ref())),
            taskloom_version: env!("CARGO_PKG_VERSION").to_owned(),
            renderer: delta::RENDERER,
            schema_version: SCHEMA_VERSION,
            widens: (!is_first && parent.schema_version < SCHEMA_VERSION)
                .then(|| Widening { from: parent.schema_version, began_at: parent.began_at.clone() }),
            layout: change.layout,
            opts: change.opts,
            counts: change.counts,
            remove: change.remove,
            add: change.add,
            fetch_began_at: change.fetch_began_at,
            spool: change.spool,
            checkpoints: change.checkpoints,
            ended: Vec::new(),
            oldest_version: change.oldest_version,
            tags: change.tags,
            begins: None,
            forget_key: None,
            tombstones: Vec::new(),
            forgotten_contributors: Vec::new(),
        };
        match &change.forgets {
            Some(forgets) => beginning(record, parent, forgets),
            None => record,
        }
    }

    /// Puts a record that met others behind them, if these changed no part and did not end its run; false if they did.
    fn go_behind_words(&self, record: &mut Record) -> Result<bool> {
        if record.begins.is_some() {
            // What it tells of the lake, it tells of another version.
            return Ok(false);
        }
        for version in self.versions_behind(record.version - 1)? {
            let (other, checksum) = self.record(version)?;
            let is_of_parts = !other.add.is_empty() || !other.remove.is_empty() || other.layout != record.layout;
            let is_of_job = record.checkpoints.keys().any(|job| other.checkpoints.contains_key(job));
            if is_of_parts || is_of_job || other.ended.contains(&record.run) {
                return Ok(false);
            }
            if other.schema_version >= record.schema_version {
                record.widens = None;
            }
            (record.version, record.parent, record.lake_id) = (version + 1, checksum, other.lake_id);
            record.created_at = now_after(&other.created_at);
        }
        Ok(true)
    }

    /// Puts a record. Whatever goes wrong with that, what then stands in its place decides.
    fn put_record(&self, record: &Record) -> Result<CommitOutcome> {
        let (bytes, _) = seal(record)?;
        let (version, path) = (record.version, Lake::record_path(record.version));
        let mut cause = None;
        for _ in 0..ATTEMPTS {
            match self.store().put_if_absent(&path, &bytes) {
                Ok(Put::Done) => return Ok(CommitOutcome::Committed(version)),
                // A store may say so although its own earlier attempt is what is there, or although nothing is.
                Ok(Put::Exists) => {}
                Ok(Put::Unknown(error)) => cause = Some(error),
                // Only the first attempt can be the only one: one that failed before may still come to be.
                Err(error) if cause.is_none() => return Err(error),
                Err(error) => cause = Some(error),
            }
            match self.store().get(&path) {
                Ok(Some(found)) if found == bytes => return Ok(CommitOutcome::Committed(version)),
                // It was committed, and erased since: what it brought stands in a later record.
                Ok(Some(_)) if self.was_erased(version, &record.run).unwrap_or(false) => {
                    return Ok(CommitOutcome::Committed(version));
                }
                Ok(Some(_)) => return Ok(CommitOutcome::Conflict(version)),
                Ok(None) => {}
                Err(error) => cause = Some(error),
            }
        }
        let cause = cause.unwrap_or_else(|| Error::NoFile { path: self.place().join(&path) });
        Ok(CommitOutcome::Unknown { version, cause })
    }
}

/// A record of a change as one in which history begins anew: it tells of all that there is.
fn beginning(record: Record, parent: &State, forgets: &Forgotten) -> Record {
    let gone = record.remove.iter().map(|part| part.part.as_str()).collect::<HashSet<_>>();
    let left = parent.parts.values().filter(|part| !gone.contains(part.part.as_str())).cloned();
    let mut checkpoints = parent.checkpoints.clone();
    checkpoints.extend(record.checkpoints);
    Record {
        add: left.chain(record.add).collect(),
        opts: parent.opts.clone(),
        spool: parent.spool.clone(),
        checkpoints,
        oldest_version: Some(record.version),
        begins: Some(Beginning {
            version: record.version,
            after: parent.begins_at(),
            began_at: parent.began_at.clone(),
        }),
        forget_key: Some(forgets.key().to_owned()),
        tombstones: joined(&parent.tombstones, forgets.tasks()),
        forgotten_contributors: joined(&parent.forgotten_contributors, forgets.contributors()),
        ..record
    }
}

fn joined(known: &[String], new: &BTreeSet<String>) -> Vec<String> {
    new.iter().chain(known).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}
