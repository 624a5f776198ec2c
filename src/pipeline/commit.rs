//! From a run's parts to a version: merged into what the lake holds, and anew behind whatever other runs commit meanwhile.

use std::sync::Arc;

use super::{Run, check_parent, counts};
use crate::config::RunConfig;
use crate::error::Result;
use crate::lake::{Change, EXPORT, Ended, Lake, RemovedPart, State};
use crate::merge::{self, Contest};
use crate::part::{PartEntry, PartWriter};
use crate::progress::{Progress, Stage};
use crate::report::{self, Report};
use crate::source::Tail;
use crate::time::read_instant;

impl Run<'_, '_> {
    /// Commits what the run's parts make of the lake.
    pub(super) fn put(
        &mut self,
        parts: &[PartEntry],
        report: &mut Report,
        writer: &PartWriter,
        tail: Option<&dyn Tail>,
    ) -> Result<Ended> {
        let (config, progress, lake) = (self.config, self.progress, self.transaction.lake());
        let began_on = self.transaction.parent().version;
        // Who replaces all would only throw away what another committed.
        let retries = if config.is_overwrite { 0 } else { config.conflict_retries };
        let may_follow = |newer: &State| check_parent(config, newer).is_ok();
        let making = Making { config, progress, lake, began_on, parts, writer, tail };
        let ended = self.transaction.commit(retries, progress, may_follow, |parent, attempt| {
            let (remove, add) = making.made(parent, attempt, report)?;
            let is_nothing = add.is_empty() && remove.is_empty();
            Ok((!is_nothing).then(|| making.change(parent, remove, add, report)))
        })?;
        match ended {
            Ended::Committed(version) => report.version = version,
            Ended::Nothing(version) => (report.outcome, report.version) = (report::Ended::NothingNew, version),
            Ended::Conflict(_) => {}
        }
        Ok(ended)
    }
}

/// What a run has to make versions of.
struct Making<'r> {
    config: &'r RunConfig,
    progress: &'r Arc<Progress>,
    lake: &'r Lake,
    /// The lake's version when the run began.
    began_on: u64,
    parts: &'r [PartEntry],
    writer: &'r PartWriter,
    tail: Option<&'r dyn Tail>,
}

impl Making<'_> {
    /// What the run's parts make of a version: all of it, or what they merge to.
    fn made(&self, parent: &State, attempt: u32, report: &mut Report) -> Result<(Vec<RemovedPart>, Vec<PartEntry>)> {
        if self.config.is_overwrite || parent.parts.is_empty() {
            return Ok((parent.parts.values().map(RemovedPart::of).collect(), self.parts.to_vec()));
        }
        // The lake has files without rows already.
        let own = self.parts.iter().filter(|part| part.has_rows()).cloned().collect::<Vec<_>>();
        let (progress, writer) = (self.progress, self.writer);
        progress.enter(Stage::Merging);
        let (store, contest) = (&**self.lake.store(), self.contest()?);
        let rewrites_unchanged = self.config.rewrites_unchanged;
        let plan = writer.install(|| merge::plan(store, parent, &own, &contest, rewrites_unchanged, progress))?;
        report.merged = Some(plan.merged());
        let made = writer.install(|| plan.carry_out(parent, &own, writer, attempt, progress))?;
        progress.enter(Stage::Committing);
        Ok(made)
    }

    fn change(&self, parent: &State, remove: Vec<RemovedPart>, add: Vec<PartEntry>, report: &mut Report) -> Change {
        let config = self.config;
        report.count_files(&add);
        report.is_first_replacement = !remove.is_empty() && !parent.has_replaced;
        Change {
            operation: config.source.operation(),
            author: config.author.clone(),
            source: Some(config.source.words()),
            layout: config.layout,
            opts: config.source.opts(),
            counts: counts(report, self.parts),
            remove,
            add,
            fetch_began_at: self.fetch_began_at(),
            spool: self.tail.and_then(Tail::receipt),
            ..Change::default()
        }
    }

    fn fetch_began_at(&self) -> Option<String> {
        self.tail.and_then(|tail| tail.report(self.progress).began_at)
    }

    /// What other exports committed since this run began, if it is one too.
    fn contest(&self) -> Result<Contest> {
        if self.config.source.operation() != EXPORT {
            return Ok(Contest::default());
        }
        let instant = |at: Option<String>| at.as_deref().and_then(read_instant);
        let others = self.lake.exported_since(self.began_on)?;
        let others = others.into_iter().map(|(part, began_at)| (part, instant(began_at))).collect();
        Ok(Contest { began_at: instant(self.fetch_began_at()), others })
    }
}
