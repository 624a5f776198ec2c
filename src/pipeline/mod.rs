//! Puts the rooms together: a source in, a committed version out. Behind the source, the only place that knows of threads and queues.

mod commit;
mod coordinator;
mod gathered;
mod group;
mod rejects;
mod scratch;
mod sequence;
mod shard;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "api")]
use crate::attachment::FetchOptions;
use crate::attachment::{AttachmentReport, Attachments};
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::file::Encoding;
use crate::forgotten::Forgotten;
use crate::lake::{Counts, Ended, Lake, State, Transaction};
use crate::merge::hold_back;
use crate::parse::Memberships;
use crate::part::{PartEntry, PartWriter};
use crate::partition::Layout;
use crate::progress::{Progress, Stage};
use crate::report::{FailedRun, Report};
use crate::source::{Opening, Tail};
use crate::table::catalog::{delivery_tasks, tasks};

use commit::Brought;
use coordinator::{Coordinator, Produced, Tools};
pub use scratch::{Received, Scratch, drop_received};
pub use shard::{Lead, Shard, Ticket, write_shard};
pub use workers::Workers;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// What it made is a version of the lake.
    Committed(Box<Report>),
    /// The lake has all of it already: no version was made.
    NothingNew(Box<Report>),
    /// Another run committed this version meanwhile: nothing of this run is visible.
    Conflict {
        /// The version that both wanted.
        version: u64,
    },
}

impl Outcome {
    /// The report of a run that should have done its work: a conflict is an error then.
    pub fn report(self) -> Result<Report> {
        match self {
            Outcome::Committed(report) | Outcome::NothingNew(report) => Ok(*report),
            Outcome::Conflict { version } => Err(Error::Conflict { version }),
        }
    }
}

/// A run that has its lake.
struct Run<'r> {
    config: &'r RunConfig,
    transaction: &'r mut Transaction,
    progress: &'r Arc<Progress>,
}

/// Reads the source and commits its tables as one version. Asked to stop before its commit, it leaves nothing behind.
pub fn run(config: RunConfig, progress: &Arc<Progress>) -> Result<Outcome> {
    Begun::begin(config, progress)?.end(|run| run.execute())
}

/// A run that has begun and has to come to an end.
#[derive(Debug)]
struct Begun {
    config: RunConfig,
    transaction: Transaction,
    progress: Arc<Progress>,
    started: Instant,
}

impl Begun {
    fn begin(config: RunConfig, progress: &Arc<Progress>) -> Result<Begun> {
        let started = Instant::now();
        progress.expect(config.source.size());
        let lake = &config.lake;
        lake.check_place()?;
        let transaction = lake.begin_transaction(&config.author, |parent| check_parent(&config, parent))?;
        tracing::info!(run = transaction.name(), lake = %lake.place().display(), threads = config.threads, "starting");
        Ok(Begun { config, transaction, progress: Arc::clone(progress), started })
    }

    /// Does what the run is there for, and tells how it went.
    fn end(self, act: impl FnOnce(Run<'_>) -> Result<Outcome>) -> Result<Outcome> {
        let Begun { config, mut transaction, progress, started } = self;
        let (name, forgotten) = (transaction.name().to_owned(), transaction.parent().forgotten());
        let ended = act(Run { config: &config, transaction: &mut transaction, progress: &progress });
        transaction.end(ended.as_ref().err());
        if let Err(error) = &ended {
            note_failure(&config, &name, error, forgotten.as_ref());
        }
        let (lake, mut ended) = (&config.lake, ended?);
        let (Outcome::Committed(report) | Outcome::NothingNew(report)) = &mut ended else { return Ok(ended) };
        report.store_requests = lake.store().requests();
        report.seconds = started.elapsed().as_secs_f64();
        report.ended_at = now();
        let written = write_report(lake, &name, &report.to_json()?, forgotten.as_ref());
        written.map_err(|cause| Error::committed(report.version, cause))?;
        let Report { version, seconds, outcome, .. } = &**report;
        tracing::info!(run = name, version, seconds, ?outcome, "done");
        Ok(ended)
    }
}

/// Tells those who look after the lake of a failure that needs a person. Nobody is told where there is no lake yet, or it can't be written.
fn note_failure(config: &RunConfig, name: &str, error: &Error, forgotten: Option<&Forgotten>) {
    let needs_person =
        matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Refused | ErrorKind::Lake | ErrorKind::Damaged);
    let is_lake = || config.lake.state().is_ok_and(|state| state.version > 0);
    if name.is_empty() || !needs_person || !is_lake() {
        return;
    }
    let failed = FailedRun {
        run: name.to_owned(),
        operation: config.operation(),
        job: config.job.as_ref().map(|job| job.name.clone()),
        ended_at: now(),
        outcome: "failed",
        error: error.to_string(),
    };
    if let Ok(json) = serde_json::to_string_pretty(&failed) {
        let _ = write_report(&config.lake, name, &json, forgotten);
    }
}

/// Writes what is told of a run, but for the ids of what is forgotten.
fn write_report(lake: &Lake, name: &str, json: &str, forgotten: Option<&Forgotten>) -> Result<()> {
    let told = forgotten.map_or_else(|| json.to_owned(), |forgotten| forgotten.without_names(json));
    lake.store().replace(&format!("_taskloom/runs/{name}.json"), told.as_bytes())
}

fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// An error unless `run` could begin on the lake: what a rehearsal can tell. Changes nothing.
pub fn check(config: &RunConfig) -> Result<()> {
    config.lake.check_place()?;
    check_parent(config, &config.lake.state()?)
}

fn check_parent(config: &RunConfig, parent: &State) -> Result<()> {
    if parent.parts.is_empty() {
        return Ok(());
    }
    let path = || config.lake.place().to_owned();
    let (has, wanted) = (parent.layout, config.layout.on(parent.layout));
    if has != wanted {
        return Err(Error::Layout {
            path: path(),
            has_by: has.date_by.word(),
            has_grain: has.date_grain.word(),
            by: wanted.date_by.word(),
            grain: wanted.date_grain.word(),
        });
    }
    match (&parent.opts, config.source.opts()) {
        // Tasks that tell less must not take the place of those that tell more.
        (Some(has), Some(found)) if !config.is_overwrite && sorted(has) != sorted(&found) => {
            Err(Error::Opts { path: path(), has: in_words(has), found: in_words(&found) })
        }
        _ => Ok(()),
    }
}

fn sorted(words: &[String]) -> Vec<&String> {
    let mut words = words.iter().collect::<Vec<_>>();
    words.sort_unstable();
    words
}

fn in_words(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { format!("`{}`", words.join("`, `")) }
}

/// How tasks become partitions: a lake that holds none can still have another layout.
fn layout(config: &RunConfig, transaction: &Transaction) -> Layout {
    let parent = transaction.parent();
    config.layout.on(if parent.parts.is_empty() { Layout::default() } else { parent.layout })
}

/// Who merges goes on behind whatever another commits; who replaces all would only throw it away.
fn check_alone(config: &RunConfig, transaction: &Transaction) -> Result<()> {
    let Some(earlier) = transaction.behind().filter(|_| config.is_overwrite) else { return Ok(()) };
    let path = transaction.lake().place().to_owned();
    Err(Error::LakeBusy { path, holder: Some(earlier.to_owned()) })
}

impl Run<'_> {
    fn layout(&self) -> Layout {
        layout(self.config, self.transaction)
    }

    fn writer(&self, workers: &Workers) -> PartWriter {
        let encoding = Encoding { compression_level: self.config.compression_level };
        self.transaction.writer(encoding, workers.pool())
    }

    fn execute(self) -> Result<Outcome> {
        check_alone(self.config, self.transaction)?;
        let workers = &Workers::start(self.config.threads)?;
        let (config, lake) = (self.config, self.transaction.lake());
        let scratch = Scratch::of(config.work_dir.as_deref(), lake.place())?;
        let attachments = self.attachments(scratch.path())?;
        let writer = self.writer(workers).with_attachments(attachments.clone());
        let opening = Opening {
            work_dir: scratch.path(),
            lake: lake.store().folder(),
            committed: self.transaction.parent().spool.as_deref(),
            held_bytes: config.memory.block_bytes(),
            threads: config.threads,
        };
        let feed = config.source.open(opening, self.progress)?;
        let progress = self.progress;
        let layout = self.layout();
        let forgotten = self.transaction.parent().forgotten().map(Arc::new);
        let (writer_of, scratch) = (writer.clone(), scratch.path());
        let fetching = attachments.clone();
        let tools = Tools { config, layout, workers, writer: writer_of, scratch, progress, forgotten, attachments };
        let (lake, began_at) = (self.transaction.lake().clone(), self.transaction.parent().begins_at());
        let outcome = Coordinator::new(tools, feed).run().and_then(|produced| self.commit(produced, &writer));
        let Some(attachments) = fetching else { return outcome };
        match &outcome {
            Ok(Outcome::Committed(report) | Outcome::NothingNew(report)) => {
                // What is held back is fetched with the next run: that goes on with it.
                let settled = if report.held_tasks == 0 { attachments.committed() } else { Ok(()) };
                settled.map_err(|cause| Error::committed(report.version, cause))?;
            }
            Ok(Outcome::Conflict { .. }) => lake.take_back_attachments(&attachments, began_at)?,
            // Why the run ended says more than that this could not be done either.
            Err(_) => drop(lake.take_back_attachments(&attachments, began_at)),
        }
        outcome
    }

    /// Where rows hear of the bytes of their attachments; what is fetched lies in `scratch` on its way.
    fn attachments(&self, scratch: &Path) -> Result<Option<Arc<Attachments>>> {
        let parent = self.transaction.parent();
        let files = parent.parts.values().filter_map(PartEntry::keeping);
        let store = self.transaction.lake().store();
        #[cfg(feature = "api")]
        if let Some(options) = &self.config.attachments {
            let options = FetchOptions { api: self.config.source.api(), ..options.clone() };
            return Attachments::fetching(&options, store, files, !parent.parts.is_empty(), scratch, self.progress)
                .map(Some);
        }
        let _ = scratch;
        Attachments::known(store, files)
    }

    fn commit(mut self, produced: Produced, writer: &PartWriter) -> Result<Outcome> {
        let Produced { parts, mut report, rejects, renewed, left_out_memberships: left_out, tail } = produced;
        let (lake, name) = (self.transaction.lake().clone(), self.transaction.name().to_owned());
        let store = &**lake.store();
        report.run = name.clone();
        report.operation = self.config.operation();
        report.job = self.config.job.as_ref().map(|job| job.name.clone());
        let rejected = rejects.tasks().cloned();
        report.rejects_file = rejects.publish(store, &format!("_taskloom/rejects/{name}.ndjson"))?;
        if let Err(error) = check_rejects(self.config, &report) {
            return Err(self.give_up(tail.filter(|_| self.config.job.is_some()), error)?);
        }
        check_count(&report, &left_out, &parts, tail.as_deref())?;
        let came = parts;
        let (mut parts, held_since) = self.hold_back(&came, &left_out, tail.as_deref(), writer, &mut report)?;
        let parent = self.transaction.parent();
        let replaces_all = self.config.is_overwrite || parent.parts.is_empty();
        if replaces_all && would_empty(parent, &parts) {
            let (path, rejected) = (lake.place().to_owned(), report.rejected);
            return Err(self.give_up(tail, Error::NothingToOverwriteWith { path, rejected })?);
        }
        self.progress.enter(Stage::Committing);
        if replaces_all {
            parts.extend(writer.write_empty()?);
        }
        let brought = Brought {
            came: &came,
            parts: &parts,
            renewed: &renewed,
            held_since,
            tail: tail.as_deref(),
            rejected: rejected.as_ref(),
        };
        let ended = match self.put(brought, &mut report, writer) {
            Err(error @ Error::TooManyRemoved { .. }) => return Err(self.give_up(tail, error)?),
            ended => ended?,
        };
        if let Ended::Conflict(version) = ended {
            if lake.state()?.begins_at() > self.transaction.parent().begins_at() {
                // They may hold what is forgotten since this run began.
                store.delete(&format!("_taskloom/rejects/{name}.ndjson"))?;
            }
            return Ok(Outcome::Conflict { version });
        }
        if let Some(tail) = tail {
            report.fetch = Some(tail.report(self.progress));
            report.raw_file = self.put_away(tail, &name).map_err(|cause| Error::committed(report.version, cause))?;
        }
        let report = Box::new(report);
        Ok(if let Ended::Nothing(_) = ended { Outcome::NothingNew(report) } else { Outcome::Committed(report) })
    }
}

impl Run<'_> {
    /// What of a scheduled job's parts is to be committed, and since when its tasks are to be asked for again, if any are held back.
    fn hold_back(
        &self,
        came: &[PartEntry],
        left_out: &Memberships,
        tail: Option<&dyn Tail>,
        writer: &PartWriter,
        report: &mut Report,
    ) -> Result<(Vec<PartEntry>, Option<i64>)> {
        let Some(tail) = tail.filter(|_| self.config.job.is_some()) else { return Ok((came.to_vec(), None)) };
        let (parts, held) = {
            let accounted = tail.accounted();
            writer.install(|| hold_back(came, &accounted, left_out, writer))?
        };
        (report.held_deliveries, report.held_tasks) = (held.deliveries, held.tasks);
        Ok((parts, held.since.filter(|_| !report.held_deliveries.is_empty())))
    }

    /// Ends with an error that whoever went on with what was received would only come to again: that goes.
    fn give_up(&self, tail: Option<Box<dyn Tail>>, error: Error) -> Result<Error> {
        tail.map(|tail| self.put_away(tail, self.transaction.name())).transpose()?;
        Ok(error)
    }

    /// What was received is of no use any more, unless it is to be kept.
    fn put_away(&self, tail: Box<dyn Tail>, name: &str) -> Result<Option<PathBuf>> {
        let store = &**self.transaction.lake().store();
        tail.put_away(store, &format!("_taskloom/raw/{name}"), self.transaction.parent().forgotten().as_ref())
    }
}

fn counts(report: &Report, parts: &[PartEntry]) -> Counts {
    let tasks = parts.iter().map(|part| part.rows(tasks::TABLE.name)).sum();
    Counts {
        tasks_read: report.tasks_read,
        tasks,
        rejected: report.rejected,
        superseded: report.superseded,
        added: report.merged.map_or(tasks, |merged| merged.tasks_added),
        replaced: report.merged.map_or(0, |merged| merged.tasks_replaced),
        unchanged: report.merged.map_or(0, |merged| merged.tasks_unchanged),
        removed: report.merged.map_or(0, |merged| merged.tasks_removed),
        attachments: report.attachments.as_ref().map_or(0, AttachmentReport::kept),
    }
}

/// True where a lake that holds tasks, or anything at all, would hold none, or nothing, after the commit.
fn would_empty(parent: &State, parts: &[PartEntry]) -> bool {
    let has_tasks = |part: &PartEntry| part.rows(tasks::TABLE.name) > 0;
    let held_tasks = parent.parts.values().any(has_tasks);
    !parent.is_bare() && parts.is_empty() || held_tasks && !parts.iter().any(has_tasks)
}

/// A delivery says how many tasks it has: other numbers are an error. Of some that came nothing is kept, because they are forgotten.
fn check_count(report: &Report, left_out: &Memberships, parts: &[PartEntry], tail: Option<&dyn Tail>) -> Result<()> {
    let Some(expected) = tail.and_then(Tail::expected_tasks) else { return Ok(()) };
    let memberships = parts.iter().map(|part| part.rows(delivery_tasks::TABLE.name));
    let left_out = left_out.values().map(|own| own.len() as u64);
    let found = memberships.sum::<u64>() + report.rejected + left_out.sum::<u64>();
    if found == expected {
        return Ok(());
    }
    Err(Error::CountMismatch { expected, found, rejected: report.rejected })
}

fn check_rejects(config: &RunConfig, report: &Report) -> Result<()> {
    let read = report.tasks_read;
    match (config.max_rejects, &report.rejects_file) {
        (Some(max_rejects), Some(path)) if !max_rejects.allows(report.rejected, read) => Err(Error::TooManyRejects {
            rejected: report.rejected,
            read,
            allowed: max_rejects.to_string(),
            path: path.clone(),
        }),
        _ => Ok(()),
    }
}
