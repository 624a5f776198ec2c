//! Puts the rooms together: pages in, a committed version out. Behind the source, the only place that knows of threads and queues.

mod coordinator;
mod part;
mod route;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::commit::{Change, FileEntry, Lake, Recovered, Snapshot, Staging, part_name};
use crate::config::{RunConfig, Source};
use crate::error::{Error, Result};
use crate::file::{Encoding, encode};
use crate::partition::{Key, Layout};
use crate::progress::{Progress, Stage};
use crate::report::{FetchReport, Report};
use crate::source::api::{self, Ended};
use crate::table::TABLES;
use crate::table::catalog::{delivery_tasks, tasks};

use coordinator::Coordinator;
use workers::Workers;

/// What every job of a run may look at.
#[derive(Debug)]
struct Context {
    config: RunConfig,
    staging: Staging,
    encoding: Encoding,
    /// Checksum of the record that this run builds on.
    parent: String,
    /// Where an export writes down what it receives, and the spool that is committed already.
    spool: PathBuf,
    committed_spool: Option<String>,
    /// Names of the inputs, for rejects.
    input_names: Vec<String>,
    progress: Arc<Progress>,
}

/// Reads the source and commits its tables as one version. Asked to stop before its commit, it leaves nothing that is visible.
pub fn run(config: RunConfig, progress: &Arc<Progress>) -> Result<Report> {
    let started = Instant::now();
    progress.expect(config.source.size());
    let lake = Lake::create(&config.out)?;
    recover(&lake)?;
    let parent = lake.snapshot()?;
    if parent.version > 0 && !config.is_overwrite {
        return Err(Error::LakeExists { path: config.out, version: parent.version });
    }
    if parent.version > 0 && parent.layout != config.layout {
        let words = |layout: Layout| (layout.date_by.word(), layout.date_grain.word());
        let ((has_by, has_grain), (by, grain)) = (words(parent.layout), words(config.layout));
        return Err(Error::Layout { path: config.out, has_by, has_grain, by, grain });
    }
    let spool = lake.own("spool.ndjson.zst");
    if matches!(config.source, Source::Files(_)) && api::is_unfinished(&spool, parent.spool.as_deref()) {
        let spool = spool.display();
        tracing::warn!(%spool, "an unfinished export lies here: its command, with --overwrite, goes on with it after this run");
    }
    let run = run_id();
    tracing::info!(run, lake = %config.out.display(), threads = config.threads, "starting");
    let context = Arc::new(Context {
        staging: lake.stage(&run)?,
        encoding: Encoding { compression_level: config.compression_level },
        parent: parent.checksum.clone(),
        spool,
        committed_spool: parent.spool.clone(),
        input_names: config.source.names(),
        progress: Arc::clone(progress),
        config,
    });
    let woven = weave(&lake, &parent, &run, &context);
    // Jobs of a failed run may still hold the context.
    context.staging.clear();
    let mut report = woven?;
    report.seconds = started.elapsed().as_secs_f64();
    let written = report.write(&lake.own("runs").join(format!("{run}.json")));
    written.map_err(|cause| Error::committed(report.version, cause))?;
    tracing::info!(run, version = report.version, seconds = report.seconds, "committed");
    Ok(report)
}

fn recover(lake: &Lake) -> Result<()> {
    let Recovered { published_versions, moved_files, swept_runs } = lake.recover()?;
    if published_versions + swept_runs > 0 {
        tracing::info!(published_versions, moved_files, swept_runs, "finished what an earlier run left");
    }
    Ok(())
}

fn weave(lake: &Lake, parent: &Snapshot, run: &str, context: &Arc<Context>) -> Result<Report> {
    let workers = Workers::start(context.config.threads)?;
    let outcome = Coordinator::new(context, &workers)?.run()?;
    let mut report = outcome.report;
    report.run = run.to_owned();
    report.rejects_file = outcome.rejects.publish(&lake.own("rejects").join(format!("{run}.ndjson")))?;
    check_rejects(&context.config, &report)?;
    check_delivery(&context.config, &report, outcome.files.iter(), outcome.fetched.as_ref())?;
    let mut files = outcome.files;
    if would_empty(parent, &files) {
        if let Some(fetched) = outcome.fetched {
            // Who went on with it would only come here again.
            put_away(fetched, lake, context, &mut report)?;
        }
        return Err(Error::NothingToOverwriteWith { path: lake.root().to_owned(), rejected: report.rejected });
    }
    files.extend(zero_row_files(context)?);
    report.count_files(&files);
    let remove = parent.files.keys().cloned().collect();
    context.progress.enter(Stage::Committing);
    let spool = outcome.fetched.as_ref().map(|fetched| fetched.spool_id().to_owned());
    let change = Change { run, spool, layout: context.config.layout, add: files, remove };
    let last_word = || context.progress.check();
    report.version = lake.commit(parent, &context.staging, change, last_word)?;
    if let Some(fetched) = outcome.fetched {
        report.fetch = Some(FetchReport::of(&context.progress.fetch(), fetched.began_at()));
        put_away(fetched, lake, context, &mut report).map_err(|cause| Error::committed(report.version, cause))?;
    }
    Ok(report)
}

/// True where a lake that holds tasks, or anything at all, would hold none, or nothing, after the commit.
fn would_empty(parent: &Snapshot, files: &[FileEntry]) -> bool {
    let is_of_tasks = |file: &FileEntry| file.table == tasks::TABLE.name && file.rows > 0;
    let holds_tasks = parent.files.values().any(is_of_tasks);
    parent.version > 0 && files.is_empty() || holds_tasks && !files.iter().any(is_of_tasks)
}

/// The spool is of no use behind the commit, unless what was received is to be kept.
fn put_away(fetched: Ended, lake: &Lake, context: &Context, report: &mut Report) -> Result<()> {
    let keeps_raw = matches!(&context.config.source, Source::Api(api) if api.keeps_raw);
    let folder = lake.own("raw");
    if keeps_raw {
        std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    }
    report.raw_file = fetched.finish(keeps_raw.then(|| folder.join(format!("{}.ndjson.zst", report.run))))?;
    Ok(())
}

/// A delivery says how many tasks it has: other numbers are an error.
fn check_delivery<'a>(
    config: &RunConfig,
    report: &Report,
    files: impl Iterator<Item = &'a FileEntry>,
    fetched: Option<&Ended>,
) -> Result<()> {
    let is_allowed = matches!(&config.source, Source::Api(api) if api.allows_count_mismatch);
    let Some(expected) = fetched.and_then(|fetched| fetched.task_count).filter(|_| !is_allowed) else { return Ok(()) };
    let rows = files.filter(|file| file.table == delivery_tasks::TABLE.name).map(|file| file.rows).sum::<u64>();
    let found = rows + report.rejected;
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

/// Every table always has a file, so that no reader fails on a table without rows.
fn zero_row_files(context: &Context) -> Result<Vec<FileEntry>> {
    let write = |table: &&'static crate::table::Table| {
        let key = Key::null(table.dataset);
        // Parts count from 0, so this ordinal is never one of theirs.
        let name = part_name(&context.parent, &key, u32::MAX);
        let encoded = encode(table, &[], context.encoding, &context.staging.path(table.name, &name))?;
        context.staging.write(table, &key, &name, &encoded.bytes, encoded.rows)
    };
    TABLES.iter().map(write).collect()
}

/// A name that no other run has: when it started, and which process it is.
fn run_id() -> String {
    let now = chrono::Utc::now();
    format!("{}-{:x}", now.format("%Y%m%dT%H%M%S%3fZ"), std::process::id())
}
