//! `taskloom sync`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use chrono::Utc;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::api::ApiArgs;
use super::export::rehearse;
use super::lake::{LakeArgs, measure, print, warn_of_left_out};
use super::printable;
use super::summary::grouped;
use super::vacuum::since;
use super::voice::Voice;
use super::wanted::{DetailArgs, MAX_REMOVED, ScopeArgs};
use crate::config::{Limit, Reconcile, RunConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Lake, VacuumOptions};
use crate::pipeline::{self, Outcome};
use crate::progress::Progress;
use crate::report::{Ended, Report};
use crate::source::Source;
use crate::source::api::{ApiConfig, Moving, earliest};
use crate::store::address::is_address;
use crate::store::{StoreOptions, open};
use crate::sync::{Backfill, Due, Every, Schedule};
use crate::time::write_instant;
use crate::upkeep::{CompactOptions, Compacted, MANY_PARTS, compact, surplus_parts};

/// Keep a lake up to date with the Scale API: the command for every night.
///
/// The first run exports everything. Later ones ask for what was completed since the last, less an overlap for what shows late, and for every
/// task that is not completed; every seven days, for everything again, since no time tells of a task that is corrected later. How far
/// it has come stands in the lake itself. Runs may overlap, be killed or fail: the next one makes it good.
///
/// The key is read from SCALE_API_KEY or from --api-key-file.
#[derive(Debug, Args)]
#[command(override_usage = "taskloom sync --out <LAKE> <WHICH TASKS> [OPTIONS]")]
#[command(group = ArgGroup::new("source").required(true).multiple(true))]
#[command(after_help = "\
Examples:
  taskloom sync --all-projects --out lake
  taskloom sync --project-id 65f0c2 --out s3://our-bucket/scale --json
  taskloom sync --project-name 'Chat 7' --status completed --job chat --out lake
  taskloom sync --all-projects --out lake --reconcile   everything again, now
  taskloom sync --job nightly                           a job of taskloom.toml

Exit status: 0 done, or nothing new, also where a few tasks were rejected;
1 failed, 2 wrong usage, 4 worth another attempt: the API was out of reach, or
another run was faster; 130 and 143 stopped by Ctrl-C or SIGTERM with nothing
visible. The same command goes on from there.")]
pub(super) struct SyncArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    details: DetailArgs,
    #[command(flatten)]
    schedule: ScheduleArgs,
    #[command(flatten)]
    upkeep: UpkeepArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    lake: LakeArgs,
    /// Keep the JSON as it was received, in _taskloom/raw
    #[arg(long)]
    keep_raw: bool,
    /// Drop the pages of an unfinished run and begin anew
    #[arg(long)]
    restart: bool,
    /// Print the requests that the run would begin with, and send none
    #[arg(long)]
    dry_run: bool,
}

/// What is done behind a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Behind the run")]
struct UpkeepArgs {
    /// Leave small files as they are, however many
    #[arg(long)]
    no_compact: bool,
    /// Leave the files of old versions
    #[arg(long)]
    no_vacuum: bool,
    /// How long what was replaced can still be read
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = humantime::parse_duration)]
    retain: Duration,
    /// Keep a plain folder of the newest version here, for tools that know nothing but folders of Parquet files
    #[arg(long, value_name = "DIR")]
    checkout: Option<PathBuf>,
}

/// What was done behind a run.
#[derive(Debug, Default, Serialize)]
struct Upkeep {
    /// Files that were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted: Option<Compacted>,
    /// Files that were removed, and their bytes.
    removed_files: u64,
    removed_bytes: u64,
    /// The version of the plain folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_out_version: Option<u64>,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Synced<'r> {
    #[serde(flatten)]
    report: &'r Report,
    upkeep: &'r Upkeep,
}

impl UpkeepArgs {
    /// Does it, for a lake that is committed: what goes wrong takes nothing back.
    fn run(&self, lake: &Lake, options: &CompactOptions, store: &StoreOptions, progress: &Progress) -> Result<Upkeep> {
        let mut done = Upkeep::default();
        if !self.no_compact && surplus_parts(&lake.state()?) >= MANY_PARTS {
            done.compacted = Some(compact(lake, options, progress)?);
        }
        if !self.no_vacuum {
            let kept_since = since(self.retain);
            let vacuumed = lake.vacuum(&VacuumOptions { kept_since, is_dry_run: false }, &options.author)?;
            (done.removed_files, done.removed_bytes) = (vacuumed.paths.len() as u64, vacuumed.bytes);
        }
        if let Some(folder) = &self.checkout {
            let state = lake.readable_state()?;
            let made = match is_address(folder) {
                true => lake.checkout_into(&state, &*open(folder, store)?, progress)?,
                false => lake.checkout(&state, folder, progress)?,
            };
            done.checked_out_version = Some(made.version);
        }
        Ok(done)
    }

    /// What was done, as lines.
    fn told(&self, done: &Upkeep) -> String {
        let mut told =
            done.compacted.iter().map(|compacted| super::compact::told(compacted) + "\n").collect::<String>();
        if done.removed_files > 0 {
            let (files, bytes) = (grouped(done.removed_files), ByteSize(done.removed_bytes));
            told += &format!("{files} old files with {bytes} removed\n");
        }
        if let (Some(folder), Some(version)) = (&self.checkout, done.checked_out_version) {
            told += &format!("{} holds version {version}\n", printable::line(&folder.display().to_string()));
        }
        told
    }
}

/// How far back a run looks.
#[derive(Debug, Args)]
#[command(next_help_heading = "The job")]
struct ScheduleArgs {
    /// File with the flags of jobs, by their names, in tables `[job.NAME]` [default: taskloom.toml, where it is there and --out is not given]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its name: letters, digits, `.`, `_` and `-`. Jobs of one lake that ask for different tasks have different names
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = job)]
    job: String,
    /// How long before what is known to be in a run begins to ask, for what shows late
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    overlap: Duration,
    /// How often everything is asked for again, and what the API has no more is taken away; 0 for never
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    reconcile_every: Duration,
    /// Do that now
    #[arg(long)]
    reconcile: bool,
    /// Commit a first walk slice by slice, of so long a time or of about so many tasks; one that is stopped goes on behind the last slice
    #[arg(long, value_name = "SPAN|N", value_parser = every)]
    commit_every: Option<Every>,
    /// Fail and change nothing where more of the lake's tasks would be taken away than this
    #[arg(long, value_name = "N|N%", default_value = MAX_REMOVED)]
    max_removed: Limit,
}

/// No name is longer.
const LONGEST_NAME: usize = 64;

fn job(text: &str) -> std::result::Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_fit = is_plain && !text.is_empty() && text.len() <= LONGEST_NAME;
    let expected = || format!("expected up to {LONGEST_NAME} letters, digits, `.`, `_` and `-`");
    is_fit.then(|| text.to_owned()).ok_or_else(expected)
}

/// A duration, or a bare 0.
fn span(text: &str) -> std::result::Result<Duration, humantime::DurationError> {
    if text == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text) }
}

/// How many rejects a run bears that nobody watches.
const MAX_REJECTS: Limit = Limit::Percent(1.0);

pub(super) fn run(args: SyncArgs, voice: Voice) -> Result<u8> {
    let now = Utc::now();
    let asked = |query| args.api.plan((query, Moving::default()), now);
    let query = args.details.query(args.scope.selectors());
    let mut api = args.api.config(asked(query.clone()), args.api.address()?)?;
    let schedule = Schedule {
        job: args.schedule.job.clone(),
        query,
        account: api.origin(),
        overlap: args.schedule.overlap,
        walk_every: Some(args.schedule.reconcile_every).filter(|every| !every.is_zero()),
        is_whole: args.schedule.reconcile,
        commit_every: args.schedule.commit_every,
    };
    let lake = args.lake.place()?;
    let state = lake.state()?;
    let due = schedule.due(&state, now.timestamp_micros())?;
    if due.is_changed {
        voice.warn(&format!("the job `{}` asked for something else before: everything is asked for", schedule.job));
    }
    if args.dry_run {
        return rehearse(args.lake, &asked(due.query), &api.url);
    }
    (api.is_restart, api.keeps_raw, api.job) = (args.restart, args.keep_raw, Some(schedule.job.clone()));
    let (is_json, store, metrics) = (args.lake.is_json(), args.lake.store_options(), args.lake.metrics());
    let (statuses, max_removed) = (args.details.status.clone(), args.schedule.max_removed);
    let mut config = args.lake.config(Source::Files(Vec::new()))?;
    config.max_rejects = config.max_rejects.or(Some(MAX_REJECTS));
    let options = CompactOptions {
        threads: config.threads,
        compression_level: config.compression_level,
        author: config.author.clone(),
        ..CompactOptions::default()
    };
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let shown = voice.show(&progress);
    let run = |due: Due| {
        let extent = due.query.extent().filter(|_| due.job.is_whole);
        let reconcile = extent.map(|extent| Reconcile { extent, statuses: statuses.clone(), max_removed });
        let source = Source::Api(Box::new(ApiConfig { plan: asked(due.query), ..api.clone() }));
        let config = RunConfig { source, reconcile, job: Some(due.job), ..config.clone() };
        pipeline::run(config, &progress).and_then(Outcome::report)
    };
    let (report, slices) = match schedule.backfill(&state)? {
        None => (run(due), 0),
        Some(backfill) => fill(&schedule, backfill, &api, &progress, run),
    };
    let upkeep = report.as_ref().ok().map(|_| args.upkeep.run(&lake, &options, &store, &progress));
    drop(shown);
    measure(&metrics, lake.place(), Some(&args.schedule.job), &report, voice);
    if slices > 0 && report.is_err() {
        voice.warn(&format!("{slices} slices are committed: the same command goes on behind them"));
    }
    let report = report?;
    let (done, failed) = match upkeep {
        Some(Err(error)) => (Upkeep::default(), Some(error)),
        done => (done.transpose()?.unwrap_or_default(), None),
    };
    // The run is committed: whether anybody hears of it doesn't change how it ended.
    if let Err(error) = tell(&report, &done, &args.upkeep, is_json, voice) {
        voice.warn(&format!("version {} is committed, but the report can't be written: {error}", report.version));
    }
    warn_of_left_out(&report, voice);
    if let Some(path) = &report.rejects_file {
        let (rejected, path) = (grouped(report.rejected), path.display());
        voice.warn(&format!(
            "{rejected} records could not be read; what the lake has of these tasks stays as it was: see {path}"
        ));
    }
    match failed {
        // Another run is faster, and does it as well.
        Some(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Busy) => {
            voice.warn(&format!(
                "version {} is committed; the lake is tidied up by another run: {error}",
                report.version
            ));
            Ok(0)
        }
        failed => failed.map_or(Ok(0), Err),
    }
}

/// Runs slice by slice, and the rest; gives the last report, and how many slices came before it.
fn fill(
    schedule: &Schedule,
    mut backfill: Backfill,
    api: &ApiConfig,
    progress: &Progress,
    run: impl Fn(Due) -> Result<Report>,
) -> (Result<Report>, u64) {
    let mut slices = 0;
    let mut fill = || -> Result<Report> {
        let now = Utc::now().timestamp_micros();
        let mut from = match backfill.from {
            Some(from) => from,
            None => earliest(api, progress)?.unwrap_or(now),
        };
        while let Some(to) = backfill.end(from, now) {
            let report = run(schedule.slice(from, Some(to))?)?;
            let (version, tasks) = (report.version, report.tasks_read);
            tracing::info!(to = write_instant(to), version, tasks, "a slice of the back-fill is in");
            slices += u64::from(report.outcome == Ended::Committed);
            backfill.go_on(to, tasks);
            from = to;
        }
        run(schedule.slice(from, None)?)
    };
    let report = fill();
    (report, slices)
}

/// A span of time, or a number of tasks.
fn every(text: &str) -> std::result::Result<Every, String> {
    let expected = || format!("expected a span such as 7d, or a number of tasks such as 50000, found `{text}`");
    let tasks = text.parse().ok().filter(|tasks| *tasks > 0).map(Every::Tasks);
    let span = || humantime::parse_duration(text).ok().filter(|span| !span.is_zero()).map(Every::Span);
    tasks.or_else(span).ok_or_else(expected)
}

fn tell(report: &Report, done: &Upkeep, args: &UpkeepArgs, is_json: bool, voice: Voice) -> Result<()> {
    if is_json {
        return super::print(&super::as_json(&Synced { report, upkeep: done })?);
    }
    print(report, false, voice).map_err(Error::Output)?;
    if voice.is_quiet() { Ok(()) } else { super::print(&args.told(done)) }
}
