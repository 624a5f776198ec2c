//! Whether what lies in a lake is what its records say: the records themselves, snapshots, logs, and which files are there. What is in
//! the files is for others to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;
use serde::Serialize;

use super::lives::{Kept, Lives};
use super::publish::{is_same, logs_of};
use super::record::Record;
use super::running::{self, Neighbours};
use super::state::State;
use super::{Lake, OWN, delta, erase, recover, snapshot};
use crate::attachment::Sha256;
use crate::error::{Error, Result};
use crate::part::PartEntry;
use crate::store::{Listed, read_each, with_readers};
use crate::table::catalog::tasks;
use crate::table::{TABLES, Table, changes};

/// Which kind of thing is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A commit record is gone or damaged, or not on top of the one before it.
    Record,
    /// A snapshot, or a checkpoint of a log, is gone, damaged, or says something else than the records.
    Snapshot,
    /// A log of a table is gone, torn, or says something else than its record.
    Log,
    /// A version is committed, and not all readers can see it yet.
    Unpublished,
    /// A data file is gone.
    Missing,
    /// A data file has another number of bytes.
    Size,
    /// A data file has other columns or another number of rows, or is no Parquet file.
    Footer,
    /// A data file has other bytes.
    Checksum,
    /// Rows contradict each other, their partition, or what the records tell of them.
    Rows,
    /// Something is left of a history that was erased.
    Erased,
    /// Something names what was forgotten.
    Forgotten,
    /// A run died, and what it wrote is still there.
    DeadRun,
    /// A file that is nobody's.
    Stranger,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Its kind.
    pub fault: Fault,
    /// The file, below the lake.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Finding {
    pub(crate) fn new(fault: Fault, path: impl Into<String>, expected: impl Display, found: impl Display) -> Finding {
        Finding { fault, path: path.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: expected {}, found {}", self.path, self.expected, self.found)
    }
}

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    /// This version and what led to it; without it, all versions that are kept.
    pub at: Option<u64>,
    /// Only what came after this version.
    pub since: Option<u64>,
    /// Don't list the lake: what is nobody's is not found then.
    pub skips_strangers: bool,
}

impl Scope {
    fn is_all(self) -> bool {
        self.at.is_none() && self.since.is_none()
    }
}

/// What a look at everything but the insides of data files gave.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// The newest version that was looked at; `None` where a record is in the way.
    pub state: Option<State>,
    /// The parts of the versions that are kept.
    pub parts: Vec<PartEntry>,
    /// Their files that are not there, or not whole.
    pub unfit: BTreeSet<String>,
    pub records: u64,
    pub logs: u64,
    pub findings: Vec<Finding>,
    /// What is not there, by version: old versions may be without it.
    absent: Vec<(u64, Finding)>,
    /// What may stand in the file that points to a table's newest checkpoint.
    pointers: BTreeMap<String, Vec<Vec<u8>>>,
    /// A record could not be read, and a snapshot stood in for it.
    has_gap: bool,
    /// The tables that the lake has.
    tables: Vec<&'static Table>,
    /// By which it is told later whether a file is still needed.
    lives: Option<(Lives, u64)>,
}

impl Audit {
    fn push(&mut self, fault: Fault, path: impl Into<String>, expected: impl Display, found: impl Display) {
        self.findings.push(Finding::new(fault, path, expected, found));
    }

    fn absent(&mut self, fault: Fault, version: u64, path: impl Into<String>, expected: &str) {
        self.absent.push((version, Finding::new(fault, path, expected, "none")));
    }
}

impl Lake {
    /// Looks at everything but the insides of data files.
    pub(crate) fn audit(&self, scope: Scope) -> Result<Audit> {
        let mut audit = Audit { tables: TABLES.to_vec(), ..Audit::default() };
        for table in changes::TABLES {
            // Earlier lakes don't have it until the next run.
            audit.tables.extend(self.store().has_any(&format!("{}/_delta_log", table.name))?.then_some(*table));
        }
        // Before anything else: who writes now may have committed by then, and be gone.
        let neighbours = Neighbours::of(self)?;
        let Some((mut lives, state)) = self.audit_history(scope, &neighbours, &mut audit)? else { return Ok(audit) };
        let newest = if scope.at.is_some() { self.state()? } else { state.clone() };
        let kept_from = snapshot::kept_from(&newest);
        let absent = std::mem::take(&mut audit.absent).into_iter();
        audit.findings.extend(absent.filter(|(version, _)| *version >= kept_from).map(|(_, finding)| finding));
        let listed = if scope.skips_strangers { None } else { Some(self.store().list("")?) };
        let missing = audit_files(scope, &lives, &newest, listed.as_deref(), &mut audit);
        let mut known = state.version;
        if scope.is_all() && !audit.has_gap {
            self.audit_pointers(&mut audit)?;
            self.audit_beginning(&state, &mut audit)?;
            if let Some(listed) = listed {
                known = self.audit_strangers(&mut lives, &state, &listed, neighbours, &mut audit)?;
            }
        }
        audit.lives = Some((lives, known));
        let missing = self.missing(scope, &audit, missing)?;
        audit.findings.extend(missing);
        let published = self.published()?;
        let is_behind = |finding: &Finding| {
            finding.fault == Fault::Unpublished && delta::version_of(&finding.path).is_some_and(|it| it <= published)
        };
        audit.findings.retain(|finding| !is_behind(finding));
        audit.state = Some(state);
        Ok(audit)
    }

    /// Replays the records and compares with what was made from them. `None` where nobody can do without a record that can't be read.
    fn audit_history(
        &self,
        scope: Scope,
        neighbours: &Neighbours,
        audit: &mut Audit,
    ) -> Result<Option<(Lives, State)>> {
        let mut state = scope.since.map_or_else(|| Ok(self.beginning()), |since| self.state_up_to(since))?;
        let mut lives = Lives::of(&state);
        let last = scope.at.map_or_else(|| self.newest_version(), Ok)?;
        let mut published = self.published()?;
        while state.version < last {
            let version = state.version + 1;
            let (record, checksum) = match self.record(version) {
                Ok(read) => read,
                Err(error @ (Error::Record { .. } | Error::NoFile { .. })) => {
                    audit.push(Fault::Record, Lake::record_path(version), "a whole record", of_record(&error));
                    let later = self.snapshot_up_to(last)?.filter(|later| later.version >= version);
                    let Some(later) = later else { return Ok(None) };
                    (lives, state, audit.has_gap) = (Lives::of(&later), later, true);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if version > published {
                published = self.published()?;
            }
            // One of a run that lives, or seems to, is being published right now: that takes moments.
            let is_under_way = neighbours.are_alive(&record.run) && is_recent(&record);
            if version > published && !is_under_way {
                let path = delta::log_path(&tasks::TABLE, version);
                audit.push(Fault::Unpublished, path, "the log of a version that is committed", "none yet");
            }
            audit.records += 1;
            if !record.follows(&state.checksum) {
                let found = format!("one on `{}`", record.parent);
                audit.push(
                    Fault::Record,
                    Lake::record_path(version),
                    format!("a record on `{}`", state.checksum),
                    found,
                );
            }
            if record.is_erased() {
                // Behind a version that begins history there is none, and before it there is nothing else to look at.
                state.apply(record, checksum);
                continue;
            }
            self.audit_logs(&record, version <= published, audit)?;
            lives.apply(&record);
            let (release, is_beginning) = (record.taskloom_version.clone(), record.begins.is_some());
            state.apply(record, checksum);
            if snapshot::is_due(version) || is_beginning {
                self.audit_snapshot(&state, &release, audit)?;
            }
        }
        Ok(Some((lives, state)))
    }

    /// What an audit of all begins with: nothing, just before the version in which history begins.
    fn beginning(&self) -> State {
        let empty = State::empty();
        // Where the newest version can't be told, it is the records that tell why.
        let Ok(Some(beginning)) = self.state().map(|newest| newest.begins) else { return empty };
        State { version: beginning.version - 1, ..empty }
    }

    fn audit_logs(&self, record: &Record, is_published: bool, audit: &mut Audit) -> Result<()> {
        let logs = audit.tables.iter().map(|table| logs_of(table, record)).collect::<Result<Vec<_>>>()?;
        let logs = logs.into_iter().flatten().collect::<Vec<_>>();
        let found = read_each(&**self.store(), &logs, |(path, _)| self.store().get(path))?;
        for ((path, expected), found) in logs.into_iter().zip(found) {
            match found {
                Some(found) if is_same(&found, &expected, record) => audit.logs += 1,
                Some(_) => audit.push(Fault::Log, path, "what its record says", "something else"),
                None if is_published => audit.absent(Fault::Log, record.version, path, "the log of its record"),
                None => {}
            }
        }
        Ok(())
    }

    fn audit_snapshot(&self, state: &State, release: &str, audit: &mut Audit) -> Result<()> {
        let version = state.version;
        let path = snapshot::path_of(version);
        match self.snapshot(version) {
            Ok(found) if found == *state || self.is_told_by_other(state, release)? => {}
            Ok(_) => audit.push(Fault::Snapshot, path, "what the records say", "something else"),
            Err(Error::NoFile { .. }) => audit.absent(Fault::Snapshot, version, path, "a snapshot"),
            Err(error) => audit.push(Fault::Snapshot, path, "a whole snapshot", of_record(&error)),
        }
        for table in audit.tables.clone() {
            let checkpoint = delta::checkpoint(table, state)?;
            match self.store().get(&checkpoint.path)? {
                Some(found) if checkpoint.is_told_by(&found, release) => {}
                Some(_) => audit.push(Fault::Snapshot, checkpoint.path, "what the records say", "something else"),
                None => audit.absent(Fault::Snapshot, version, checkpoint.path, "a checkpoint"),
            }
            audit.pointers.entry(checkpoint.last_path).or_default().push(checkpoint.last);
        }
        Ok(())
    }

    /// Records before the version in which history begins that are not erased.
    pub(crate) fn whole_records(&self, state: &State) -> Result<Vec<Finding>> {
        let Some(beginning) = &state.begins else { return Ok(Vec::new()) };
        let versions = (1..beginning.version).collect::<Vec<_>>();
        let store = &**self.store();
        let is_whole = |version: &u64| match self.record(*version) {
            Ok((record, _)) => Ok(!record.is_erased()),
            // What can't be read tells nothing.
            Err(Error::Record { .. } | Error::NoFile { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        let whole = with_readers(store, || versions.par_iter().map(is_whole).collect::<Result<Vec<_>>>())??;
        let whole = versions.into_iter().zip(whole).filter(|(_, is_whole)| *is_whole);
        let finding = |(version, _)| {
            Finding::new(Fault::Erased, Lake::record_path(version), "what is left of an erased record", "the record")
        };
        Ok(whole.map(finding).collect())
    }

    /// Whether the record that is erased last is.
    fn audit_beginning(&self, state: &State, audit: &mut Audit) -> Result<()> {
        let Some(beginning) = &state.begins else { return Ok(()) };
        let path = Lake::record_path(beginning.after);
        match self.record(beginning.after) {
            Ok((record, _)) if record.is_erased() => {}
            Ok(_) => audit.push(Fault::Erased, path, "what is left of an erased record", "the record"),
            Err(error @ (Error::Record { .. } | Error::NoFile { .. })) => {
                audit.push(Fault::Record, path, "what is left of an erased record", of_record(&error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn audit_pointers(&self, audit: &mut Audit) -> Result<()> {
        for (path, pointers) in std::mem::take(&mut audit.pointers) {
            // A slow writer may have left it at an older one.
            let found = self.store().get(&path)?;
            if !found.as_ref().is_some_and(|found| pointers.contains(found)) {
                let found = found.map_or("none", |_| "something else");
                audit.push(Fault::Snapshot, path, "the way to a checkpoint", found);
            }
        }
        Ok(())
    }

    /// Which of the files that an audit did not find are not just removed meanwhile, with the versions that needed them.
    pub(crate) fn missing(&self, scope: Scope, audit: &Audit, paths: Vec<String>) -> Result<Vec<Finding>> {
        let Some((lives, newest)) = audit.lives.as_ref().filter(|_| !paths.is_empty()) else { return Ok(Vec::new()) };
        let kept = match scope.at {
            Some(version) => Kept::One(self.state_at(version)?.version),
            None => Kept::of(&self.state()?),
        };
        let mut now = lives.clone();
        for version in self.versions_behind(*newest)? {
            now.apply(&self.record(version)?.0);
        }
        let needed: BTreeSet<String> = now.kept(&kept).flat_map(|life| life.part.paths()).collect();
        let missing = paths.into_iter().filter(|path| needed.contains(path));
        Ok(missing.map(|path| Finding::new(Fault::Missing, path, "a file of a version that is kept", "none")).collect())
    }

    /// What lies there and is nobody's. Lives are taken up to the version that is the newest by then, which is given.
    fn audit_strangers(
        &self,
        lives: &mut Lives,
        known: &State,
        listed: &[Listed],
        mut neighbours: Neighbours,
        audit: &mut Audit,
    ) -> Result<u64> {
        neighbours.look_again(self)?;
        let begins = known.begins.as_ref().map(|beginning| beginning.version);
        let known = known.version;
        let versions = self.versions_behind(known)?;
        for version in &versions {
            lives.apply(&self.record(*version)?.0);
        }
        let newest = versions.last().copied().unwrap_or(known);
        let mut left_by = BTreeMap::<String, u64>::new();
        for listed in listed {
            if lives.has_named(&listed.path) || is_own(listed, begins, newest) || neighbours.writes(&listed.path) {
                continue;
            }
            if begins.is_some_and(|begins| erase::is_told_by_logs_before(&listed.path, begins)) {
                audit.push(Fault::Erased, &listed.path, "nothing of an erased history", "a file");
                continue;
            }
            if let Some(dead) = neighbours.dead_writer_of(&listed.path) {
                *left_by.entry(dead).or_default() += 1;
            } else if self.store().open(&listed.path)?.is_some() {
                audit.push(Fault::Stranger, &listed.path, "what a record names", "a file that none does");
            }
        }
        for dead in neighbours.dead() {
            let files = left_by.get(dead).copied().unwrap_or(0);
            audit.push(Fault::DeadRun, running::path_of(dead), "no run that died", format!("one, with {files} files"));
        }
        Ok(newest)
    }
}

/// Takes in the parts that are to be there; gives the files that are not listed.
fn audit_files(
    scope: Scope,
    lives: &Lives,
    newest: &State,
    listed: Option<&[Listed]>,
    audit: &mut Audit,
) -> Vec<String> {
    let there = listed.map(|listed| listed.iter().map(|listed| (listed.path.as_str(), listed.bytes)));
    let there = there.map(Iterator::collect::<BTreeMap<&str, u64>>);
    let kept = scope.at.map_or_else(|| Kept::of(newest), Kept::One);
    let mut missing = Vec::new();
    for life in lives.kept(&kept).filter(|life| life.from > scope.since.unwrap_or(0)) {
        for (table, file) in &life.part.files {
            let path = life.part.path(table);
            match there.as_ref().map(|there| there.get(path.as_str())) {
                None => continue,
                Some(Some(bytes)) if *bytes == file.bytes => continue,
                Some(Some(bytes)) => audit.push(Fault::Size, &path, bytes_of(file.bytes), bytes_of(*bytes)),
                Some(None) => missing.push(path.clone()),
            }
            audit.unfit.insert(path);
        }
        audit.parts.push(life.part.clone());
    }
    missing
}

/// A file that the lake keeps beside its data.
fn is_own(listed: &Listed, begins: Option<u64>, newest: u64) -> bool {
    let path = listed.path.as_str();
    let is_version = |version: Option<u64>| version.is_some_and(|version| version <= newest);
    let is_kept =
        |version: Option<u64>| is_version(version.filter(|version| begins.is_none_or(|begins| *version >= begins)));
    if let Some(own) = path.strip_prefix(OWN).and_then(|own| own.strip_prefix('/')) {
        let is_in = |folder: &str| own.split_once('/').is_some_and(|(first, _)| first == folder);
        return ["rejects", "runs", "raw", "running"].into_iter().any(is_in)
            || Sha256::of_path(path).is_some()
            || is_in("drafts") && !recover::is_abandoned(listed)
            || is_version(Lake::version_of_record(path))
            || is_kept(
                snapshot::version_of(path).filter(|version| snapshot::is_due(*version) || begins == Some(*version)),
            );
    }
    is_kept(delta::version_of(path)) || delta::is_pointer(path)
}

/// Publishing a version takes no longer.
const PUBLISHING: TimeDelta = TimeDelta::minutes(15);

/// Whether a record was made just now, as far as the clocks of two machines tell.
fn is_recent(record: &Record) -> bool {
    let created_at = DateTime::parse_from_rfc3339(&record.created_at);
    created_at.is_ok_and(|created_at| Utc::now().signed_duration_since(created_at) < PUBLISHING)
}

fn of_record(error: &Error) -> String {
    match error {
        Error::Record { reason, .. } => format!("a damaged one: {reason}"),
        Error::NoFile { .. } => "none".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn bytes_of(bytes: u64) -> String {
    format!("{bytes} bytes")
}
