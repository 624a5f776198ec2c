//! A change of a lake from its beginning to its end: whatever is to become a version goes through here.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::commit::{Change, CommitOutcome};
use super::record::Record;
use super::running::Running;
use super::state::State;
use super::{Author, Lake};
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::part::{Ledger, Noted, PartWriter};
use crate::progress::Progress;
use crate::time::read_instant;

/// A writer's stay in a lake.
#[derive(Debug)]
pub struct Transaction {
    lake: Lake,
    parent: Arc<State>,
    running: Running,
    ledger: Ledger,
    /// The parts of its name that became data, of one for which others write too.
    shared: Option<HashSet<String>>,
}

/// How a transaction ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is this version.
    Committed(u64),
    /// There was nothing to commit on top of this version.
    Nothing(u64),
    /// Another run committed the version that it would have been, and it may not follow.
    Conflict(u64),
}

impl Ended {
    /// The version that has what was wanted; that another run was faster is an error.
    pub fn version(self) -> Result<u64> {
        match self {
            Ended::Committed(version) | Ended::Nothing(version) => Ok(version),
            Ended::Conflict(version) => Err(Error::Conflict { version }),
        }
    }
}

impl Lake {
    /// Begins on the newest version, if `check` has nothing against that one, and does what is asked. Whatever was written and did not
    /// become data is gone when this returns, unless nobody can tell whether it did.
    pub fn transact<T>(
        &self,
        author: &Author,
        check: impl FnOnce(&State) -> Result<()>,
        act: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let mut transaction = self.begin_transaction(author, check)?;
        let ended = act(&mut transaction);
        transaction.end(ended.as_ref().err());
        ended
    }

    /// Begins on the newest version, if `check` has nothing against that one. Whoever does so ends it, by [`Transaction::end`].
    pub(crate) fn begin_transaction(
        &self,
        author: &Author,
        check: impl FnOnce(&State) -> Result<()>,
    ) -> Result<Transaction> {
        let finished_versions = self.finish_publishing()?;
        if finished_versions > 0 {
            tracing::info!(finished_versions, "finished what an earlier run left");
        }
        let parent = Arc::new(self.state()?);
        check(&parent)?;
        self.finish_erasing(&parent)?;
        let running = self.begin(&parent, author)?;
        Ok(Transaction { lake: self.clone(), parent, running, ledger: Ledger::default(), shared: None })
    }
}

impl Transaction {
    /// Removes whatever was written and did not become data, unless nobody can tell, by the error that it ended with, whether it did.
    pub fn end(self, error: Option<&Error>) {
        let Transaction { lake, running, ledger, shared, .. } = self;
        if matches!(error, Some(Error::Unknown { .. } | Error::Committed { .. })) {
            return;
        }
        let sweep = || shared.as_ref().map_or(Ok(()), |data| running.sweep_own(&lake, data));
        // An entry that can't be removed, or has to stay because a file can't, is looked after by the next run.
        let is_over = ledger.take_back(&**lake.store()).and_then(|()| sweep()).and_then(|()| running.end(&lake));
        if is_over.is_ok() {
            // Who wrote meanwhile has either ended before the entry went, or sees that it is gone and takes back what it wrote.
            let _ = sweep();
        }
    }

    /// From now on others write for it too, files whose names begin with its prefix: what of them does not become data goes at its end.
    pub fn share(&mut self) {
        self.shared = Some(HashSet::new());
    }

    /// What the names of its files begin with.
    pub fn prefix(&self) -> String {
        self.running.prefix()
    }

    /// The version that it began on.
    pub fn parent(&self) -> &Arc<State> {
        &self.parent
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        self.running.name()
    }

    /// Another run that began earlier and is writing, in words.
    pub fn behind(&self) -> Option<&str> {
        self.running.behind()
    }

    /// Writes its parts, with the threads of this pool.
    pub fn writer(&self, encoding: Encoding, pool: &Arc<rayon::ThreadPool>) -> PartWriter {
        PartWriter::new(self.lake.store(), self.running.prefix(), encoding, pool, &self.ledger)
    }

    /// Commits what `make` makes of the newest version, which is told how often that was tried before, and notes what that does to tasks.
    /// Where others commit meanwhile it is made anew on top of that, at most `retries` times and only where `may_follow` allows it.
    pub fn commit(
        &mut self,
        writer: &PartWriter,
        retries: u32,
        progress: &Progress,
        may_follow: impl Fn(&State) -> bool,
        mut make: impl FnMut(&State, u32) -> Result<Option<Change>>,
    ) -> Result<Ended> {
        let mut parent = Arc::clone(&self.parent);
        for attempt in 0.. {
            let made = make(&parent, attempt).and_then(|change| match change {
                Some(change) => self.put(&parent, change, writer, attempt, progress).map(Some),
                None => Ok(None),
            });
            let conflict = match made {
                // What it leaves beside its data may tell of what is forgotten since.
                Ok(None) if self.history_began_behind(&parent)? => return Ok(Ended::Conflict(parent.version + 1)),
                Ok(None) => return Ok(Ended::Nothing(parent.version)),
                Ok(Some(CommitOutcome::Committed(version))) => return Ok(Ended::Committed(version)),
                Ok(Some(CommitOutcome::Unknown { version, cause })) => return Err(Error::unknown(version, cause)),
                Ok(Some(CommitOutcome::Conflict(version))) => version,
                // Gone behind another's commit: the version that needed it is not the newest any more, or this run was ended.
                Err(Error::NoFile { .. }) if self.is_overtaken(&parent)? => parent.version + 1,
                Err(error) => return Err(error),
            };
            if self.running.is_ended(&self.lake)? {
                return Err(Error::TakenForDead { path: self.lake.place().to_owned() });
            }
            if attempt >= retries {
                return Ok(Ended::Conflict(conflict));
            }
            parent = match self.lake.state() {
                // What others did meanwhile can't be told any more.
                Ok(newer) if newer.begins_at() > self.parent.version.max(1) => return Ok(Ended::Conflict(conflict)),
                Ok(newer) if may_follow(&newer) => Arc::new(newer),
                // A newer release may have made it its own meanwhile.
                Ok(_) | Err(Error::NewLake { .. }) => return Ok(Ended::Conflict(conflict)),
                Err(error) => return Err(error),
            };
        }
        Err(Error::Bug { place: "lake::transaction", found: "no attempt to commit".to_owned() })
    }

    fn put(
        &mut self,
        parent: &State,
        change: Change,
        writer: &PartWriter,
        attempt: u32,
        progress: &Progress,
    ) -> Result<CommitOutcome> {
        let added = change.add.clone();
        let forgets = change.forgets.clone();
        let added = added.iter().collect::<Vec<_>>();
        let removed = change.remove.iter().filter_map(|part| parent.parts.get(&part.part)).collect::<Vec<_>>();
        let notes = RefCell::new(Vec::new());
        let note = |record: &Record, again: u32| {
            if record.keeps_tasks() {
                return Ok(Vec::new());
            }
            let committed_at = read_instant(&record.created_at).unwrap_or_default();
            let version = record.version;
            let attempt = format!("{attempt}-{again}");
            let forgotten = forgets.as_ref();
            let noted = Noted { version, committed_at, attempt: &attempt, removed: &removed, added: &added, forgotten };
            let parts = writer.note(&noted)?;
            notes.replace(parts.clone());
            Ok(parts)
        };
        let outcome = self.lake.commit(parent, &mut self.running, change, &note, || progress.check())?;
        if let CommitOutcome::Committed(_) = outcome {
            let notes = notes.into_inner();
            let data = || added.iter().copied().chain(&notes);
            let paths = data().flat_map(|part| part.files.keys().map(|table| part.path(table)));
            self.ledger.keep(&paths.collect());
            if let Some(shared) = &mut self.shared {
                shared.extend(data().map(|part| part.part.clone()));
            }
        }
        Ok(outcome)
    }

    fn history_began_behind(&self, parent: &State) -> Result<bool> {
        let is_newest = self.lake.versions_behind(parent.version)?.is_empty();
        Ok(!is_newest && self.lake.state()?.begins_at() > self.parent.version.max(1))
    }

    fn is_overtaken(&self, parent: &State) -> Result<bool> {
        Ok(self.lake.state()?.version > parent.version || self.running.is_ended(&self.lake)?)
    }
}
