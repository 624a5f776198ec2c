//! Files that no version needs any more, removed. Only here are files removed that once were data.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::commit::Change;
use super::lives::{Kept, Lives};
use super::running::{self, Abandoned, Neighbours};
use super::state::State;
use super::{Author, Lake, delta, snapshot};
use crate::attachment::{Sha256, hashes_in};
use crate::error::{Error, Result};
use crate::part::PartEntry;
use crate::store::Listed;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct VacuumOptions {
    /// Every version that was the newest at this instant, or came later.
    pub kept_since: DateTime<Utc>,
    /// Tell what would go, and change nothing.
    pub is_dry_run: bool,
}

impl VacuumOptions {
    /// Keeps every version that was the newest at any time within so long.
    pub fn retaining(retain: Duration) -> VacuumOptions {
        let since = TimeDelta::from_std(retain).ok().and_then(|retain| Utc::now().checked_sub_signed(retain));
        // Who asks for more than there was keeps all.
        VacuumOptions { kept_since: since.unwrap_or(DateTime::<Utc>::MIN_UTC), is_dry_run: false }
    }
}

/// What a vacuum removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vacuumed {
    /// Whether nothing was removed in truth.
    pub is_dry_run: bool,
    /// The oldest version that is whole now, beside those with a name.
    pub oldest_version: u64,
    /// Data files of versions that are not kept.
    pub files: u64,
    /// Files that a run left which could not commit any more.
    pub left_files: u64,
    /// Contents of attachments that no version which is kept needs.
    pub attachments: u64,
    /// Logs, checkpoints and snapshots that no version which is kept needs.
    pub logs: u64,
    /// Bytes of all of these.
    pub bytes: u64,
    /// Uploads that were begun and never ended, which a store keeps until they are aborted.
    pub aborted_uploads: u64,
    /// Dead runs that were ended.
    pub swept_runs: u64,
    /// The paths of all of these files.
    pub paths: Vec<String>,
}

/// Why a file can go.
enum Going {
    Gone,
    Left,
    Log,
    Attachment,
}

impl Lake {
    /// Removes the files of versions that are older than is asked to keep, and what runs left that can't commit any more. First a version is
    /// committed that says which versions are kept: nobody builds on, or gives a name to, one that is not.
    pub fn vacuum(&self, options: &VacuumOptions, author: &Author) -> Result<Vacuumed> {
        let mut done = Vacuumed { is_dry_run: options.is_dry_run, ..Vacuumed::default() };
        if options.is_dry_run {
            let state = self.state()?;
            let oldest = self.oldest_to_keep(&state, options.kept_since)?;
            self.remove_what_is_not_kept(options, state.oldest_version, Some(oldest), &mut done)?;
            return Ok(done);
        }
        self.finish()?;
        let erased = self.finish_erasing(&self.state()?)?;
        (done.files, done.bytes) = (erased.files, erased.bytes);
        let abandoned = Abandoned::find(self)?;
        let kept_from = self.state()?.oldest_version;
        self.commit_words(|parent| {
            let (oldest, ended) = (self.oldest_to_keep(parent, options.kept_since)?, abandoned.to_end(self)?);
            if oldest == parent.oldest_version && ended.is_empty() {
                return Ok(None);
            }
            let change = Change {
                operation: "vacuum",
                author: author.clone(),
                layout: parent.layout,
                oldest_version: Some(oldest).filter(|oldest| *oldest != parent.oldest_version),
                ..Change::default()
            };
            Ok(Some((change, ended)))
        })?;
        done.swept_runs = abandoned.sweep(self)?;
        self.remove_what_is_not_kept(options, kept_from, None, &mut done)?;
        self.remove_drafts()?;
        Ok(done)
    }

    /// The version that was the newest at an instant, if that frees any file; else the oldest that is kept already.
    fn oldest_to_keep(&self, state: &State, kept_since: DateTime<Utc>) -> Result<u64> {
        let mut lives = Lives::of(&self.state_up_to(state.oldest_version)?);
        let mut oldest = state.oldest_version;
        for version in self.versions_behind(oldest)?.range(..=state.version) {
            let (record, _) = self.record(*version)?;
            if DateTime::parse_from_rfc3339(&record.created_at).is_ok_and(|created_at| created_at <= kept_since) {
                oldest = oldest.max(record.version);
            }
            lives.apply(&record);
        }
        let kept = Kept::of(state);
        let less = Kept::of(&State { oldest_version: oldest, ..state.clone() });
        let frees = lives.kept(&kept).any(|life| !less.needs(life));
        Ok(if frees { oldest } else { state.oldest_version })
    }

    /// The contents of attachments that these parts need; `None` where nobody can tell what is needed, because a run is at work: it may take up
    /// again what no version needs.
    fn attachments_to_keep(
        &self,
        listed: &[Listed],
        parts: &[PartEntry],
        neighbours: &Neighbours,
    ) -> Result<Option<BTreeMap<Sha256, Option<u64>>>> {
        if !neighbours.alive().is_empty() || !listed.iter().any(|listed| Sha256::of_path(&listed.path).is_some()) {
            return Ok(None);
        }
        match hashes_in(&**self.store(), parts.iter().filter_map(PartEntry::keeping)) {
            // It may come back, from a backup.
            Err(Error::NoFile { .. }) => Ok(None),
            hashes => hashes.map(Some),
        }
    }

    /// Files that went before version `from` are gone, or nobody's. `oldest` stands in for what the newest version says.
    fn remove_what_is_not_kept(
        &self,
        options: &VacuumOptions,
        from: u64,
        oldest: Option<u64>,
        done: &mut Vacuumed,
    ) -> Result<()> {
        // In this order: a file that is listed has a writer by then, or a record behind that.
        let listed = self.store().list("")?;
        let neighbours = Neighbours::of(self)?;
        let mut lives = Lives::of(&self.state_up_to(from)?);
        let mut state = self.state()?;
        for version in self.versions_behind(from)?.range(..=state.version) {
            lives.apply(&self.record(*version)?.0);
        }
        state.oldest_version = oldest.unwrap_or(state.oldest_version);
        done.oldest_version = state.oldest_version;
        if done.is_dry_run {
            done.swept_runs = neighbours.dead().len() as u64;
        }
        let mut kept = lives.kept(&Kept::of(&state)).map(|life| life.part.clone()).collect::<Vec<_>>();
        for tagged in state.tags.values().filter(|tagged| **tagged < from) {
            let lives = Lives::of(&self.state_up_to(*tagged)?);
            kept.extend(lives.kept(&Kept::One(*tagged)).map(|life| life.part.clone()));
        }
        let attachments = self.attachments_to_keep(&listed, &kept, &neighbours)?;
        let kept = kept.iter().flat_map(PartEntry::paths).collect::<HashSet<_>>();
        let mut attachment_bytes = 0;
        for Listed { path, bytes, modified } in listed {
            let going = if let Some(version) = delta::version_of(&path).or(snapshot::version_of(&path)) {
                (version < snapshot::kept_from(&state)).then_some(Going::Log)
            } else if let Some(hash) = Sha256::of_path(&path) {
                // A run that ended early may go on with what is new.
                let is_old = modified <= SystemTime::from(options.kept_since);
                let is_needed = || attachments.as_ref().is_none_or(|kept| kept.contains_key(&hash));
                (is_old && !is_needed()).then_some(Going::Attachment)
            } else if kept.contains(&path) {
                None
            } else if lives.has_named(&path) {
                Some(Going::Gone)
            } else {
                let is_of_a_run = running::is_data_of_a_run(&path) || running::is_rejects_of_a_shard(&path);
                (is_of_a_run && !neighbours.knows_writer_of(&path)).then_some(Going::Left)
            };
            match going {
                Some(Going::Gone) => done.files += 1,
                Some(Going::Left) => done.left_files += 1,
                Some(Going::Log) => done.logs += 1,
                Some(Going::Attachment) => {
                    done.attachments += 1;
                    attachment_bytes += bytes;
                }
                None => continue,
            }
            done.bytes += bytes;
            done.paths.push(path);
        }
        if done.is_dry_run {
            return Ok(());
        }
        let is_alone =
            || Ok::<_, Error>(Neighbours::of(self)?.alive().is_empty() && self.newest_version()? == state.version);
        if done.attachments > 0 && !is_alone()? {
            // One that began meanwhile may have taken one up again.
            done.paths.retain(|path| Sha256::of_path(path).is_none());
            done.bytes -= attachment_bytes;
            done.attachments = 0;
        }
        self.store().delete_each(&done.paths)?;
        // Looked at behind the list of uploads: one that is listed has a writer by then.
        let mut neighbours = None;
        done.aborted_uploads = self.store().abort_uploads(&mut |path| {
            let known = match neighbours.take() {
                Some(known) => known,
                None => Neighbours::of(self)?,
            };
            Ok(neighbours.insert(known).is_about(path))
        })?;
        Ok(())
    }
}
