//! From a run's parts to a version: merged into what the lake holds, and anew behind whatever other runs commit meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Run, check_parent, counts};
use crate::config::{Reconcile, RunConfig};
use crate::error::{Error, Result};
use crate::lake::{Change, Checkpoint, Ended, Lake, RemovedPart, SmallFiles, State, is_export};
use crate::merge::{self, Absent, Anew, Contest, Walk};
use crate::part::{PartEntry, PartWriter};
use crate::partition::Layout;
use crate::progress::{Progress, Stage};
use crate::report::{self, Report};
use crate::source::Tail;
use crate::table::catalog::tasks;
use crate::time::read_instant;

/// The column of tasks that a watermark follows.
const COMPLETED_AT: &str = "completed_at";

/// What a run brought.
#[derive(Clone, Copy)]
pub(super) struct Brought<'r> {
    /// All that came.
    pub came: &'r [PartEntry],
    /// What of that is to be committed.
    pub parts: &'r [PartEntry],
    /// The tasks that brought bytes of attachments which the lake had not: what it has of these is replaced although they are the same.
    pub renewed: &'r HashSet<u128>,
    /// The rest has to be asked for again from this instant on, in microseconds.
    pub held_since: Option<i64>,
    /// What the source keeps.
    pub tail: Option<&'r dyn Tail>,
    /// Tasks that came and could not be read; `None` where one of them may be any task.
    pub rejected: Option<&'r HashSet<u128>>,
}

impl Run<'_> {
    /// Commits what the run's parts make of the lake.
    pub(super) fn put(&mut self, brought: Brought<'_>, report: &mut Report, writer: &PartWriter) -> Result<Ended> {
        let (config, progress, lake) = (self.config, self.progress, &self.transaction.lake().clone());
        let began_on = Arc::clone(self.transaction.parent());
        // Who replaces all would only throw away what another committed.
        let retries = if config.is_overwrite { 0 } else { config.conflict_retries };
        let layout = self.layout();
        let may_follow = |newer: &State| newer.layout == layout && check_parent(config, newer).is_ok();
        let making = Making { config, layout, progress, lake, began_on: &began_on, writer, brought };
        let ended = self.transaction.commit(writer, retries, progress, may_follow, |parent, attempt| {
            let (remove, add) = making.made(parent, attempt, report)?;
            let checkpoints = making.checkpoints(parent)?;
            // That there is nothing in a slice is not worth a version: the next one tells of it too.
            let is_slice = config.job.as_ref().is_some_and(|job| job.reaches.is_some());
            let is_nothing = add.is_empty() && remove.is_empty() && (checkpoints.is_empty() || is_slice);
            Ok((!is_nothing).then(|| Change { checkpoints, ..making.change(parent, remove, add, report) }))
        })?;
        match ended {
            Ended::Committed(version) => report.version = version,
            Ended::Nothing(version) => {
                (report.outcome, report.version) = (report::Ended::NothingNew, version);
                // Whoever reads the report finds every table, with nothing written.
                report.count_files(&[]);
            }
            Ended::Conflict(_) => {}
        }
        Ok(ended)
    }
}

/// What a run has to make versions of.
struct Making<'r> {
    config: &'r RunConfig,
    layout: Layout,
    progress: &'r Arc<Progress>,
    lake: &'r Lake,
    /// What the lake was when the run began.
    began_on: &'r State,
    writer: &'r PartWriter,
    brought: Brought<'r>,
}

impl Making<'_> {
    /// What the run's parts make of a version: all of it, or what they merge to.
    fn made(&self, parent: &State, attempt: u32, report: &mut Report) -> Result<(Vec<RemovedPart>, Vec<PartEntry>)> {
        if self.config.is_overwrite || parent.parts.is_empty() {
            return Ok((parent.brought().map(RemovedPart::of).collect(), self.brought.parts.to_vec()));
        }
        // The lake has files without rows already.
        let own = self.brought.parts.iter().filter(|part| part.has_rows()).cloned().collect::<Vec<_>>();
        let (progress, writer) = (self.progress, self.writer);
        progress.enter(Stage::Merging);
        let (store, contest) = (&**self.lake.store(), self.contest()?);
        let anew = if self.config.rewrites_unchanged { Anew::All } else { Anew::These(self.brought.renewed) };
        let mut plan = writer.install(|| {
            tracing::info_span!("look").in_scope(|| merge::plan(store, parent, &own, &contest, anew, progress))
        })?;
        let gone = self.gone(parent)?;
        writer.install(|| plan.remove(store, parent, &own, &gone))?;
        report.merged = Some(plan.merged());
        let made = writer.install(|| plan.carry_out(parent, &own, writer, attempt, progress))?;
        progress.enter(Stage::Committing);
        Ok(made)
    }

    /// The tasks of a version that the source, which was walked whole, has no more.
    fn gone(&self, parent: &State) -> Result<Vec<Absent>> {
        let Some((reconcile, tail)) = self.config.reconcile.as_ref().zip(self.brought.tail) else {
            return Ok(Vec::new());
        };
        let Some(rejected) = self.brought.rejected else {
            tracing::warn!("a record that can't be read may be any task: no task is taken away, whatever did not come");
            return Ok(Vec::new());
        };
        let Reconcile { extent, statuses, max_removed } = reconcile;
        let walk = Walk { extent, statuses, own: self.brought.came, rejected, held: &self.began_on.parts };
        let store = &**self.lake.store();
        let (absent, of) = self.writer.install(|| walk.absent(store, parent, self.progress))?;
        let removed = absent.len() as u64;
        if !max_removed.allows(removed, of) {
            let (path, allowed) = (self.lake.place().to_owned(), max_removed.to_string());
            return Err(Error::TooManyRemoved { path, removed, of, allowed });
        }
        let ids = absent.iter().map(|task| task.id.clone()).collect::<Vec<_>>();
        let are_gone = tail.are_gone(&ids, self.progress)?;
        let mut gone = absent;
        let mut still = are_gone.into_iter();
        gone.retain(|_| still.next().unwrap_or(false));
        let (left_out, removed) = (ids.len() - gone.len(), gone.len());
        tracing::info!(removed, left_out, "compared what the lake holds with what came");
        Ok(gone)
    }

    fn change(&self, parent: &State, remove: Vec<RemovedPart>, add: Vec<PartEntry>, report: &mut Report) -> Change {
        let config = self.config;
        report.count_files(&add);
        report.is_first_replacement = !remove.is_empty() && !parent.has_replaced;
        let gone = remove.iter().map(|part| part.part.as_str()).collect::<HashSet<_>>();
        let left = parent.parts.values().filter(|part| !gone.contains(part.part.as_str()));
        report.small_files = SmallFiles::of(left.chain(&add), self.layout);
        Change {
            operation: config.operation(),
            author: config.author.clone(),
            source: Some(config.source.words()),
            layout: self.layout,
            opts: config.source.opts(),
            counts: counts(report, self.brought.parts),
            remove,
            add,
            fetch_began_at: self.fetch_began_at(),
            spool: self.brought.tail.and_then(Tail::receipt),
            ..Change::default()
        }
    }

    /// How far the job has come, if that is further than before.
    fn checkpoints(&self, parent: &State) -> Result<BTreeMap<String, Value>> {
        let began_at = self.fetch_began_at().as_deref().and_then(read_instant);
        let Some((job, began_at)) = self.config.job.as_ref().zip(began_at) else { return Ok(BTreeMap::new()) };
        let completed =
            |part: &PartEntry| part.files.get(tasks::TABLE.name)?.instants.get(COMPLETED_AT)?.greatest.clone();
        let completed = self.brought.came.iter().filter_map(completed);
        let latest = completed.filter_map(|instant| read_instant(&instant)).max().max(job.reaches);
        let fresh = || Checkpoint { asked: job.asked.clone(), ..Checkpoint::default() };
        let earlier = parent.checkpoint(&job.name, &job.asked).unwrap_or_else(fresh);
        // What is held back has to be asked for again: where only a walk of everything finds it, it is not walked yet.
        let held_since = self.brought.held_since;
        let latest = latest.map(|latest| held_since.map_or(latest, |since| latest.min(since)));
        let is_found = held_since.zip(earlier.watermark()).is_none_or(|(since, watermark)| watermark <= since);
        let checkpoint = earlier.moved(began_at, latest, job.is_whole && is_found).to_json()?;
        let is_same = parent.checkpoints.get(&job.name) == Some(&checkpoint);
        Ok((!is_same).then(|| (job.name.clone(), checkpoint)).into_iter().collect())
    }

    fn fetch_began_at(&self) -> Option<String> {
        self.brought.tail.and_then(|tail| tail.report(self.progress).began_at)
    }

    /// What other exports committed since this run began, if it is one too.
    fn contest(&self) -> Result<Contest> {
        if !is_export(self.config.operation()) {
            return Ok(Contest::default());
        }
        let instant = |at: Option<String>| at.as_deref().and_then(read_instant);
        let others = self.lake.exported_since(self.began_on.version)?;
        let others = others.into_iter().map(|(part, began_at)| (part, instant(began_at))).collect();
        Ok(Contest { began_at: instant(self.fetch_began_at()), others })
    }
}
