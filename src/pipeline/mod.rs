//! Puts the rooms together: a source in, a committed version out. Behind the source, the only place that knows of threads and queues.

mod coordinator;
mod gathered;
mod group;
mod rejects;
mod scratch;
mod sequence;
mod workers;

use std::sync::Arc;
use std::time::Instant;

use crate::commit::{Change, CommitOutcome, Lake, Recovered, Snapshot, Staging};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::part::{FileEntry, PartWriter};
use crate::progress::{Progress, Stage};
use crate::report::Report;
use crate::source::{Opening, Tail};
use crate::table::catalog::{delivery_tasks, tasks};

use coordinator::{Coordinator, Produced, Tools};
use scratch::Scratch;
use workers::Workers;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// What it made is a version of the lake.
    Committed(Box<Report>),
    /// Another run committed this version meanwhile: nothing of this run is visible.
    Conflict {
        /// The version that both wanted.
        version: u64,
    },
}

impl Outcome {
    /// The report of a run that should have been committed: a conflict is an error then.
    pub fn committed(self) -> Result<Report> {
        match self {
            Outcome::Committed(report) => Ok(*report),
            Outcome::Conflict { version } => Err(Error::Conflict { version }),
        }
    }
}

/// A run that has its lake.
struct Run<'r> {
    name: &'r str,
    config: &'r RunConfig,
    lake: &'r Lake,
    parent: &'r Snapshot,
    staging: &'r Staging,
    progress: &'r Arc<Progress>,
}

/// Reads the source and commits its tables as one version. Asked to stop before its commit, it leaves nothing that is visible.
pub fn run(config: RunConfig, progress: &Arc<Progress>) -> Result<Outcome> {
    let started = Instant::now();
    progress.expect(config.source.size());
    let lake = Lake::create(&config.out)?;
    let _lock = lake.lock()?;
    recover(&lake)?;
    let parent = lake.snapshot()?;
    check_parent(&config, &parent)?;
    let name = run_name();
    tracing::info!(run = name, lake = %config.out.display(), threads = config.threads, "starting");
    let staging = lake.stage(&name)?;
    let run = Run { name: &name, config: &config, lake: &lake, parent: &parent, staging: &staging, progress };
    let ended = run.to_commit();
    // Jobs of a failed run may still write.
    staging.clear();
    let mut report = match ended? {
        Outcome::Committed(report) => report,
        conflict => return Ok(conflict),
    };
    report.seconds = started.elapsed().as_secs_f64();
    let written = report.write(&lake.own("runs").join(format!("{name}.json")));
    written.map_err(|cause| Error::committed(report.version, cause))?;
    tracing::info!(run = name, version = report.version, seconds = report.seconds, "committed");
    Ok(Outcome::Committed(report))
}

/// An error unless `run` could begin on the lake: what a rehearsal can tell. Changes nothing.
pub fn check(config: &RunConfig) -> Result<()> {
    match Lake::open(&config.out) {
        Ok(lake) => check_parent(config, &lake.snapshot()?),
        Err(Error::NoLake { .. }) => Lake::check_place(&config.out),
        Err(error) => Err(error),
    }
}

fn check_parent(config: &RunConfig, parent: &Snapshot) -> Result<()> {
    if parent.version == 0 {
        return Ok(());
    }
    if !config.is_overwrite {
        return Err(Error::LakeExists { path: config.out.clone(), version: parent.version });
    }
    if parent.layout != config.layout {
        let (has, wanted) = (parent.layout, config.layout);
        return Err(Error::Layout {
            path: config.out.clone(),
            has_by: has.date_by.word(),
            has_grain: has.date_grain.word(),
            by: wanted.date_by.word(),
            grain: wanted.date_grain.word(),
        });
    }
    Ok(())
}

fn recover(lake: &Lake) -> Result<()> {
    let Recovered { published_versions, moved_files, swept_runs } = lake.recover()?;
    if published_versions + swept_runs > 0 {
        tracing::info!(published_versions, moved_files, swept_runs, "finished what an earlier run left");
    }
    Ok(())
}

impl Run<'_> {
    fn to_commit(&self) -> Result<Outcome> {
        let config = self.config;
        let workers = Workers::start(config.threads)?;
        let scratch = Scratch::of(config.work_dir.as_deref(), self.lake.root())?;
        let encoding = Encoding { compression_level: config.compression_level };
        let writer = PartWriter::new(self.staging.folder(), &self.parent.checksum, encoding, workers.pool());
        let opening = Opening {
            work_dir: scratch.path(),
            lake_dir: &self.lake.own(""),
            committed: self.parent.spool.as_deref(),
            held_bytes: config.memory.block_bytes(),
            is_alone: workers.are_alone(),
        };
        let feed = config.source.open(opening, self.progress)?;
        let progress = self.progress;
        let tools = Tools { config, workers: &workers, writer: writer.clone(), scratch: scratch.path(), progress };
        let produced = Coordinator::new(tools, feed).run()?;
        self.commit(produced, &writer)
    }

    fn commit(&self, produced: Produced, writer: &PartWriter) -> Result<Outcome> {
        let Produced { mut files, mut report, rejects, tail } = produced;
        report.run = self.name.to_owned();
        report.rejects_file = rejects.publish(&self.lake.own("rejects").join(format!("{}.ndjson", self.name)))?;
        check_rejects(self.config, &report)?;
        check_count(&report, &files, tail.as_deref())?;
        if would_empty(self.parent, &files) {
            if let Some(tail) = tail {
                // Who went on with it would only come here again.
                self.put_away(tail)?;
            }
            return Err(Error::NothingToOverwriteWith { path: self.lake.root().to_owned(), rejected: report.rejected });
        }
        files.extend(writer.write_empty()?);
        report.count_files(&files);
        self.progress.enter(Stage::Committing);
        let change = Change {
            run: self.name,
            spool: tail.as_ref().and_then(|tail| tail.receipt()),
            layout: self.config.layout,
            add: files,
            remove: self.parent.files.keys().cloned().collect(),
        };
        let last_word = || self.progress.check();
        match self.lake.commit(self.parent, self.staging, change, last_word)? {
            CommitOutcome::Committed(version) => report.version = version,
            CommitOutcome::Conflict(version) => return Ok(Outcome::Conflict { version }),
        }
        if let Some(tail) = tail {
            report.fetch = Some(tail.report(self.progress));
            report.raw_file = self.put_away(tail).map_err(|cause| Error::committed(report.version, cause))?;
        }
        Ok(Outcome::Committed(Box::new(report)))
    }

    /// What was received is of no use any more, unless it is to be kept.
    fn put_away(&self, tail: Box<dyn Tail>) -> Result<Option<std::path::PathBuf>> {
        tail.put_away(&self.lake.own("raw"), self.name)
    }
}

/// True where a lake that holds tasks, or anything at all, would hold none, or nothing, after the commit.
fn would_empty(parent: &Snapshot, files: &[FileEntry]) -> bool {
    let is_of_tasks = |file: &FileEntry| file.table == tasks::TABLE.name && file.rows > 0;
    let holds_tasks = parent.files.values().any(is_of_tasks);
    parent.version > 0 && files.is_empty() || holds_tasks && !files.iter().any(is_of_tasks)
}

/// A delivery says how many tasks it has: other numbers are an error.
fn check_count(report: &Report, files: &[FileEntry], tail: Option<&dyn Tail>) -> Result<()> {
    let Some(expected) = tail.and_then(Tail::expected_tasks) else { return Ok(()) };
    let memberships = files.iter().filter(|file| file.table == delivery_tasks::TABLE.name);
    let found = memberships.map(|file| file.rows).sum::<u64>() + report.rejected;
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

/// A name that no other run has: when it started, and which process it is.
fn run_name() -> String {
    let now = chrono::Utc::now();
    format!("{}-{:x}", now.format("%Y%m%dT%H%M%S%3fZ"), std::process::id())
}
