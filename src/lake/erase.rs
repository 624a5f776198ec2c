//! History that begins anew: what came before goes from everywhere in the lake.
//!
//! The record in which it begins lists all that there is. Behind it goes what no version from there on needs: files, logs, snapshots, what
//! runs left beside their data, and last the records, of which stubs stay: a record's name is never free again. That of the version in which
//! history began before is the very last: as long as it is whole, there is something left to do, and whoever comes next does it.

use std::collections::{BTreeMap, HashSet};
use std::time::SystemTime;

use chrono::DateTime;
use rayon::prelude::*;
use serde::Serialize;

use super::record::{Beginning, Record, seal};
use super::running::{self, Neighbours};
use super::state::State;
use super::{Lake, delta, recover, snapshot};
use crate::attachment::{self, Attachments, Sha256, hashes_in_those_there};
use crate::error::{Error, Result};
use crate::part::PartEntry;
use crate::store::{Listed, with_readers};

/// What went because history begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Versions of which nothing is told any more.
    pub versions: u64,
    /// Files of all kinds.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The folders of what runs leave beside their data: as it came, or in words.
const BESIDE: [&str; 3] = ["raw", "rejects", "runs"];

/// What exports of version 0.1.0 had received.
const OLD_SPOOL: &str = "_taskloom/spool.ndjson.zst";

const DRAFTS: &str = "_taskloom/drafts/";

impl Lake {
    /// Removes what came before the version in which history begins, if anything of it is left.
    pub(super) fn finish_erasing(&self, state: &State) -> Result<Erased> {
        self.erase_what_is_left(state, None)
    }

    fn erase_what_is_left(&self, state: &State, own: Option<&str>) -> Result<Erased> {
        let Some(beginning) = &state.begins else { return Ok(Erased::default()) };
        // One that can't be read is not in anybody's way: `verify` tells of it.
        let is_left = matches!(self.record(beginning.after), Ok((record, _)) if !record.is_erased());
        if !is_left && own.is_none() {
            return Ok(Erased::default());
        }
        // Whoever reads by the logs finds that version before those of earlier ones go.
        self.publish_up_to(beginning.version)?;
        if !self.snapshots()?.contains(&beginning.version) {
            self.write_snapshot(beginning.version)?;
        }
        self.erase(beginning, own)
    }

    /// Whether something is left of what came before the version in which history begins.
    pub(super) fn is_being_erased(&self, state: &State) -> Result<bool> {
        let after = state.begins.as_ref().map(|beginning| beginning.after);
        Ok(after.is_some_and(|after| matches!(self.record(after), Ok((record, _)) if !record.is_erased())))
    }

    /// Removes what came before the newest version in which history begins, for the run of this name that made it so.
    pub fn erase_for(&self, run: &str) -> Result<Erased> {
        self.erase_what_is_left(&self.state()?, Some(run))
    }

    fn erase(&self, beginning: &Beginning, own: Option<&str>) -> Result<Erased> {
        // In this order: a file that is listed has a writer by then, or a record behind that.
        let listed = self.store().list("")?;
        let neighbours = Neighbours::of(self)?;
        let needed = self.paths_since(beginning)?;
        let began_at = self.record(beginning.version)?.0.created_at;
        let attachments = self.attachments_since(beginning)?;
        // Whoever writes has a draft for moments.
        let is_alone = neighbours.alive().iter().all(|run| Some(run.as_str()) == own);
        let is_draft = |listed: &Listed| listed.path.starts_with(DRAFTS) && (is_alone || recover::is_abandoned(listed));
        // One that came since is of a run that began behind it, or of one that takes it back.
        let instant = instant(&began_at);
        let is_old_attachment = |listed: &Listed| {
            let hash = Sha256::of_path(&listed.path);
            hash.is_some_and(|hash| !attachments.contains_key(&hash)) && (is_alone || listed.modified < instant)
        };
        let goes = |listed: &Listed| {
            let path = listed.path.as_str();
            let is_left =
                || running::is_data_of_a_run(path) && !needed.contains(path) && !neighbours.knows_writer_of(path);
            path == OLD_SPOOL
                || is_old_attachment(listed)
                || is_told_by_logs_before(path, beginning.version)
                || is_beside_of_before(path, &began_at)
                || is_draft(listed)
                || is_left()
        };
        let going = listed.into_iter().filter(goes).collect::<Vec<_>>();
        let paths = going.iter().map(|listed| listed.path.clone()).collect::<Vec<_>>();
        self.store().delete_each(&paths)?;
        self.store().abort_uploads(&mut |path| Ok(neighbours.is_about(path)))?;
        let versions = self.erase_records(beginning)?;
        self.store().flush()?;
        Ok(Erased { versions, files: paths.len() as u64, bytes: going.iter().map(|listed| listed.bytes).sum() })
    }

    /// Puts stubs in the place of the records; that of the version in which history began before is the last.
    fn erase_records(&self, beginning: &Beginning) -> Result<u64> {
        let store = &**self.store();
        let versions = (beginning.after + 1..beginning.version).collect::<Vec<_>>();
        with_readers(store, || versions.par_iter().try_for_each(|version| self.erase_record(*version, beginning)))??;
        self.erase_record(beginning.after, beginning)?;
        Ok(versions.len() as u64 + 1)
    }

    fn erase_record(&self, version: u64, beginning: &Beginning) -> Result<()> {
        let record = match self.record(version) {
            Ok((record, _)) => record,
            // Whatever it said: it goes as well.
            Err(Error::Record { .. } | Error::NoFile { .. }) => {
                let (record, _) = self.record(beginning.version)?;
                Record { version, run: String::new(), parent: String::new(), ended: Vec::new(), ..record }
            }
            Err(error) => return Err(error),
        };
        let (stub, _) = seal(&record.erased())?;
        self.store().replace(&Lake::record_path(version), &stub)
    }

    /// The data files of all versions from one in which history begins on.
    pub(super) fn paths_since(&self, beginning: &Beginning) -> Result<HashSet<String>> {
        let mut paths = HashSet::new();
        for version in self.versions_behind(beginning.version - 1)? {
            let (record, _) = self.record(version)?;
            paths.extend(record.add.iter().flat_map(PartEntry::paths));
        }
        Ok(paths)
    }

    /// The contents of attachments that a version needs from one in which history begins on.
    pub(crate) fn attachments_since(&self, beginning: &Beginning) -> Result<BTreeMap<Sha256, Option<u64>>> {
        let mut files = Vec::new();
        for version in self.versions_behind(beginning.version - 1)? {
            files.extend(self.record(version)?.0.add.iter().filter_map(PartEntry::keeping));
        }
        hashes_in_those_there(&**self.store(), files.into_iter())
    }

    /// Removes what a run fetched that could not commit because history began anew meanwhile: it may be of what is forgotten.
    pub fn take_back_attachments(&self, attachments: &Attachments, began_at: u64) -> Result<()> {
        let state = self.state()?;
        match &state.begins {
            Some(beginning) if beginning.version > began_at => {
                let needed = self.attachments_since(beginning)?;
                attachments.take_back(|sha256| needed.contains_key(&sha256))
            }
            _ => Ok(()),
        }
    }

    /// The contents of attachments that no version needs from the one on in which history begins anew; while a run is at work, which may be
    /// about to need some, those that were there before.
    pub(crate) fn attachments_left(&self, state: &State) -> Result<Vec<String>> {
        let Some(beginning) = &state.begins else { return Ok(Vec::new()) };
        let needed = self.attachments_since(beginning)?;
        let began_at = instant(&self.record(beginning.version)?.0.created_at);
        let is_alone = Neighbours::of(self)?.alive().is_empty();
        let is_left = |listed: &Listed| {
            let is_needed = Sha256::of_path(&listed.path).is_some_and(|hash| needed.contains_key(&hash));
            !is_needed && (is_alone || listed.modified < began_at)
        };
        Ok(self.store().list(attachment::FOLDER)?.into_iter().filter(is_left).map(|listed| listed.path).collect())
    }

    /// The records from the version on in which history begins, and those who are at work.
    pub(crate) fn paths_of_history(&self) -> Result<Vec<String>> {
        let versions = self.versions_behind(self.state()?.begins_at() - 1)?;
        let records = versions.into_iter().map(Lake::record_path);
        Ok(records.chain(self.store().paths("_taskloom/running")?).collect())
    }

    /// Whether the record of a version, which a run made, was erased since.
    pub(super) fn was_erased(&self, version: u64, run: &str) -> Result<bool> {
        let (record, _) = self.record(version)?;
        Ok(record.is_erased() && record.run == run)
    }
}

/// An instant of a record; one before all others where it can't be told.
fn instant(text: &str) -> SystemTime {
    DateTime::parse_from_rfc3339(text).map(SystemTime::from).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether a path is that of a log, a checkpoint or a snapshot of an earlier version.
pub(super) fn is_told_by_logs_before(path: &str, version: u64) -> bool {
    delta::version_of(path).or(snapshot::version_of(path)).is_some_and(|own| own < version)
}

/// Whether a path is of what a run left beside its data that began before an instant.
pub(super) fn is_beside_of_before(path: &str, instant: &str) -> bool {
    let own = path.strip_prefix("_taskloom/").and_then(|own| own.split_once('/'));
    own.is_some_and(|(folder, name)| BESIDE.contains(&folder) && !running::began_behind(name, instant))
}
