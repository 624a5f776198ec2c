//! `taskloom sync`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use chrono::Utc;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::api::ApiArgs;
use super::attachments::{self, warn_of_failures};
use super::export::rehearse;
use super::hint::exit_status;
use super::lake::{LakeArgs, STATUS_NOT_ALL, measure, print, warn_of_left_out};
use super::summary::grouped;
use super::voice::Voice;
use super::wanted::{DetailArgs, MAX_REMOVED, ScopeArgs};
use super::{compact, printable};
use crate::config::{Limit, RunConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::merge::Incomplete;
use crate::progress::Progress;
use crate::report::Report;
use crate::source::Source;
use crate::source::api::{ApiConfig, Moving};
use crate::store::StoreOptions;
use crate::sync::{Every, Ran, Schedule, Sync, Upkeep, UpkeepOptions, job_name};

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
1 failed, 2 wrong usage, 3 done but for the tasks of deliveries of which not
all came, 4 worth another attempt: the API was out of reach, or another run was
faster; 130 and 143 stopped by Ctrl-C or SIGTERM with nothing visible. The same
command goes on from there.")]
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
    /// Commit the tasks of deliveries too that say that they have another number of tasks than came
    #[arg(long)]
    allow_count_mismatch: bool,
    /// Drop the pages of an unfinished run and begin anew
    #[arg(long)]
    restart: bool,
    /// Print the requests that the run would begin with, and send none
    #[arg(long)]
    dry_run: bool,
}

/// How far back a run looks.
#[derive(Debug, Args)]
#[command(next_help_heading = "The job")]
struct ScheduleArgs {
    /// File with the flags of jobs, by their names, in tables `[job.NAME]` [default: taskloom.toml, where it is there and --out is not given]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its name: letters, digits, `.`, `_` and `-`. Jobs of one lake that ask for different tasks have different names
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = job_name)]
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

impl UpkeepArgs {
    fn options(&self, store: StoreOptions) -> UpkeepOptions {
        let retain = Some(self.retain).filter(|_| !self.no_vacuum);
        UpkeepOptions { compacts: !self.no_compact, retain, checkout: self.checkout.clone(), store }
    }

    /// What was done, as lines.
    fn told(&self, done: &Upkeep) -> String {
        let mut told = done
            .attachments
            .iter()
            .map(|fetched| format!("of earlier runs: {}\n", attachments::told(fetched)))
            .collect::<String>();
        told += &done.compacted.iter().map(|compacted| compact::told(compacted) + "\n").collect::<String>();
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

/// A span of time, or a number of tasks.
fn every(text: &str) -> std::result::Result<Every, String> {
    let expected = || format!("expected a span such as 7d, or a number of tasks such as 50000, found `{text}`");
    let tasks = text.parse().ok().filter(|tasks| *tasks > 0).map(Every::Tasks);
    let span = || humantime::parse_duration(text).ok().filter(|span| !span.is_zero()).map(Every::Span);
    tasks.or_else(span).ok_or_else(expected)
}

/// A duration, or a bare 0.
fn span(text: &str) -> std::result::Result<Duration, humantime::DurationError> {
    if text == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text) }
}

/// How many rejects a run bears that nobody watches.
const MAX_REJECTS: Limit = Limit::Percent(1.0);

pub(super) fn run(args: SyncArgs, voice: Voice) -> Result<u8> {
    let (now, sync) = (Utc::now(), args.sync()?);
    let due = sync.due(now)?;
    if due.is_changed {
        let job = &sync.schedule.job;
        voice.warn(&format!("the job `{job}` asked for something else before: everything is asked for"));
    }
    if args.dry_run {
        return rehearse(&sync.config, args.lake.is_json(), &sync.plan(due.query, now), &sync.api.url);
    }
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let shown = voice.show(&progress);
    let Ran { report, slices } = sync.run(due, now, &progress);
    let upkeep = report.as_ref().ok().map(|report| sync.look_after(report, &progress));
    drop(shown);
    measure(&args.lake.metrics(), sync.config.lake.place(), Some(&sync.schedule.job), &report, voice);
    if slices > 0 && report.is_err() {
        voice.warn(&format!("{slices} slices are committed: the same command goes on behind them"));
    }
    args.end(&report?, upkeep.unwrap_or_else(|| Ok(Upkeep::default())), voice)
}

impl SyncArgs {
    /// The job, as these words mean it.
    fn sync(&self) -> Result<Sync> {
        let (job, is_restart, keeps_raw) = (self.schedule.job.clone(), self.restart, self.keep_raw);
        let query = self.details.query(self.scope.selectors());
        let plan = self.api.plan((query.clone(), Moving::default()), Utc::now());
        let api = self.api.config(plan, self.api.address()?)?;
        let allows_count_mismatch = self.allow_count_mismatch;
        let api = ApiConfig { is_restart, keeps_raw, allows_count_mismatch, job: Some(job.clone()), ..api };
        let schedule = Schedule {
            job,
            query,
            account: api.origin(),
            overlap: self.schedule.overlap,
            walk_every: Some(self.schedule.reconcile_every).filter(|every| !every.is_zero()),
            is_whole: self.schedule.reconcile,
            commit_every: self.schedule.commit_every,
        };
        let config = self.lake.config(Source::Files(Vec::new()))?;
        let config = RunConfig { max_rejects: config.max_rejects.or(Some(MAX_REJECTS)), ..config };
        let upkeep = self.upkeep.options(self.lake.store_options());
        Ok(Sync { schedule, api, config, max_removed: self.schedule.max_removed, upkeep })
    }

    /// Tells what a run did that is committed, and what was done behind it.
    fn end(&self, report: &Report, upkeep: Result<Upkeep>, voice: Voice) -> Result<u8> {
        let (upkeep, failed) = match upkeep {
            Ok(upkeep) => (upkeep, None),
            Err(error) => (Upkeep::default(), Some(error)),
        };
        let version = report.version;
        // The run is committed: whether anybody hears of it doesn't change how it ended.
        if let Err(error) = self.tell(report, &upkeep, voice) {
            voice.warn(&format!("version {version} is committed, but the report can't be written: {error}"));
        }
        warn_of_left_out(report, voice);
        let later = upkeep.attachments.as_ref().map(|fetched| &fetched.report);
        report.attachments.iter().chain(later).for_each(|attachments| warn_of_failures(attachments, voice));
        if let Some(path) = &report.rejects_file {
            let (rejected, path) = (grouped(report.rejected), path.display());
            voice.warn(&format!(
                "{rejected} records could not be read; what the lake has of these tasks stays as it was: see {path}"
            ));
        }
        for Incomplete { delivery_id, task_count, found } in &report.held_deliveries {
            voice.warn(&format!(
                "the delivery {} says that it has {task_count} tasks, and {found} came: its tasks are held back until all do, or with \
                 --allow-count-mismatch",
                printable::line(delivery_id)
            ));
        }
        let done = if report.held_deliveries.is_empty() { 0 } else { STATUS_NOT_ALL };
        match failed {
            // Another run is faster, and does it as well.
            Some(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Busy) => {
                voice.warn(&format!("version {version} is committed; another run looks after the lake: {error}"));
                Ok(done)
            }
            Some(error @ Error::Interrupted { .. }) => {
                voice.warn(&format!("version {version} is committed; what is done behind a run was stopped"));
                Ok(exit_status(&error))
            }
            failed => failed.map_or(Ok(done), Err),
        }
    }

    fn tell(&self, report: &Report, upkeep: &Upkeep, voice: Voice) -> Result<()> {
        if self.lake.is_json() {
            return super::print(&super::as_json(&Synced { report, upkeep })?);
        }
        print(report, false, voice).map_err(Error::Output)?;
        if voice.is_quiet() { Ok(()) } else { super::print(&self.upkeep.told(upkeep)) }
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Synced<'r> {
    #[serde(flatten)]
    report: &'r Report,
    upkeep: &'r Upkeep,
}
