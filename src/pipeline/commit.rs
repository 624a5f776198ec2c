//! From a run's parts to a version: merged into what the lake holds, and anew behind whatever other runs commit meanwhile.

use super::{Run, check_parent, counts};
use crate::error::{Error, Result};
use crate::lake::{Change, CommitOutcome, EXPORT, RemovedPart, State};
use crate::merge::{self, Contest};
use crate::part::{PartEntry, PartWriter};
use crate::progress::Stage;
use crate::report::{Ended, Report};
use crate::source::Tail;
use crate::time::read_instant;

/// How putting what a run made ended.
pub(super) enum Put {
    Committed,
    Nothing,
    Conflict(u64),
}

/// What a run makes of a version.
struct Made {
    remove: Vec<RemovedPart>,
    add: Vec<PartEntry>,
}

impl Run<'_> {
    /// Commits what the run's parts make of the lake.
    pub(super) fn put(
        &mut self,
        parts: &[PartEntry],
        report: &mut Report,
        writer: &PartWriter,
        tail: Option<&dyn Tail>,
    ) -> Result<Put> {
        let mut parent = self.parent.clone();
        for attempt in 0.. {
            let conflict = match self.made(&parent, (parts, writer, attempt), report, tail) {
                Ok(made) if made.add.is_empty() && made.remove.is_empty() => {
                    (report.outcome, report.version) = (Ended::NothingNew, parent.version);
                    return Ok(Put::Nothing);
                }
                Ok(made) => match self.put_made(&parent, made, parts, report, tail)? {
                    CommitOutcome::Committed(_) => return Ok(Put::Committed),
                    CommitOutcome::Unknown { version, cause } => return Err(Error::unknown(version, cause)),
                    CommitOutcome::Conflict(version) => version,
                },
                // Gone behind another's commit: the version that needed it is not the newest any more, or this run was ended.
                Err(Error::NoFile { .. }) if self.is_overtaken(&parent)? => parent.version + 1,
                Err(error) => return Err(error),
            };
            match self.next_parent(attempt)? {
                Some(newer) => parent = newer,
                None => return Ok(Put::Conflict(conflict)),
            }
        }
        Err(Error::Bug { place: "pipeline::commit", found: "no attempt to commit".to_owned() })
    }

    fn is_overtaken(&self, parent: &State) -> Result<bool> {
        Ok(self.lake.state()?.version > parent.version || self.running.is_ended(self.lake)?)
    }

    /// The version to go behind after a conflict; `None` where this run can't.
    fn next_parent(&self, attempt: u32) -> Result<Option<State>> {
        let config = self.config;
        if config.is_overwrite || attempt >= config.conflict_retries || self.running.is_ended(self.lake)? {
            return Ok(None);
        }
        match self.lake.state() {
            Ok(newer) => Ok(Some(newer).filter(|newer| check_parent(config, newer).is_ok())),
            // A newer release has made it its own meanwhile.
            Err(Error::NewLake { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the run's parts make of a version: all of it, or what they merge to.
    fn made(
        &self,
        parent: &State,
        (parts, writer, attempt): (&[PartEntry], &PartWriter, u32),
        report: &mut Report,
        tail: Option<&dyn Tail>,
    ) -> Result<Made> {
        if self.config.is_overwrite || parent.parts.is_empty() {
            return Ok(Made { remove: parent.parts.values().map(RemovedPart::of).collect(), add: parts.to_vec() });
        }
        // The lake has files without rows already.
        let own = parts.iter().filter(|part| part.has_rows()).cloned().collect::<Vec<_>>();
        self.progress.enter(Stage::Merging);
        let (store, contest, progress) = (&**self.lake.store(), self.contest(tail)?, self.progress);
        let rewrites_unchanged = self.config.rewrites_unchanged;
        let plan = writer.install(|| merge::plan(store, parent, &own, &contest, rewrites_unchanged, progress))?;
        report.merged = Some(plan.merged());
        let (remove, add) = writer.install(|| plan.carry_out(parent, &own, writer, attempt, progress))?;
        progress.enter(Stage::Committing);
        Ok(Made { remove, add })
    }

    fn put_made(
        &mut self,
        parent: &State,
        Made { remove, add }: Made,
        parts: &[PartEntry],
        report: &mut Report,
        tail: Option<&dyn Tail>,
    ) -> Result<CommitOutcome> {
        let config = self.config;
        let kept = add.iter().flat_map(|part| part.files.keys().map(|table| part.path(table))).collect();
        report.count_files(&add);
        report.is_first_replacement = !remove.is_empty() && !parent.has_replaced;
        let change = Change {
            operation: config.source.operation(),
            author: config.author.clone(),
            source: Some(config.source.words()),
            layout: config.layout,
            opts: config.source.opts(),
            counts: counts(report, parts),
            remove,
            add,
            fetch_began_at: tail.and_then(|tail| tail.report(self.progress).began_at),
            spool: tail.and_then(Tail::receipt),
            ..Change::default()
        };
        let outcome = self.lake.commit(parent, self.running, change, || self.progress.check())?;
        if let CommitOutcome::Committed(version) = outcome {
            report.version = version;
            self.ledger.keep(&kept);
        }
        Ok(outcome)
    }

    /// What other exports committed since this run began, if it is one too.
    fn contest(&self, tail: Option<&dyn Tail>) -> Result<Contest> {
        if self.config.source.operation() != EXPORT {
            return Ok(Contest::default());
        }
        let began_at = tail.and_then(|tail| tail.report(self.progress).began_at);
        let instant = |at: Option<String>| at.as_deref().and_then(read_instant);
        let others = self.lake.exported_since(self.parent.version)?;
        let others = others.into_iter().map(|(part, began_at)| (part, instant(began_at))).collect();
        Ok(Contest { began_at: instant(began_at), others })
    }
}
