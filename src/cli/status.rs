//! `taskloom status`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use super::place::PlaceArgs;
use super::printable;
use super::summary::{advice_on, grouped};
use crate::error::Result;
use crate::lake::{Checkpoint, SmallFiles, Standing};
use crate::table::catalog::tasks;
use crate::upkeep::{MANY_PARTS, outdated_parts, surplus_parts};

/// Tell how a lake stands: its newest version, its jobs, its size, what is under way, and what to do next.
///
/// The exit status is 1 where something needs a person.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom status lake
  taskloom status lake --max-age 36h     a job that has not ended well for so long needs a person
  taskloom status lake --json | jq .advice")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// A job whose last good run is older than this needs a person
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How a lake stands.
#[derive(Debug, Serialize)]
struct Status {
    /// Whether something needs a person.
    needs_attention: bool,
    /// Whether the lake was made to forget.
    #[serde(skip)]
    has_begun_anew: bool,
    /// The newest version, and when it was committed.
    version: u64,
    committed_at: Option<String>,
    /// The newest version that all readers can see.
    published_version: u64,
    /// The oldest version that can be read, beside those with a name.
    oldest_version: u64,
    tags: BTreeMap<String, u64>,
    tasks: u64,
    files: u64,
    bytes: u64,
    /// Files of each table that a compaction would save.
    surplus_parts: usize,
    /// Parts for whose rows newer schemas have something that they were made without.
    outdated_parts: usize,
    /// Files that are small because few tasks lie in a day, if there are many.
    small_files: Option<SmallFiles>,
    jobs: Vec<JobStatus>,
    last_run: Option<RunStatus>,
    /// Whether something is left of a history that was erased.
    is_being_erased: bool,
    /// Runs that write, or seem to.
    running: Vec<String>,
    /// Runs that died and left something.
    dead_runs: Vec<String>,
    /// What to do next.
    advice: Vec<String>,
}

/// How far a job has come.
#[derive(Debug, Serialize)]
struct JobStatus {
    job: String,
    watermark: Option<String>,
    /// When everything was walked the last time.
    walked_at: Option<String>,
    /// The last that ended well.
    last_run: Option<RunStatus>,
    /// The one behind that, which failed.
    failure: Option<RunStatus>,
}

/// A run that ended.
#[derive(Clone, Debug, Serialize)]
struct RunStatus {
    run: String,
    operation: String,
    ended_at: Option<String>,
    outcome: String,
    rejected: u64,
    /// Deliveries whose tasks it held back.
    held_deliveries: u64,
    /// Why, of one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(args: &StatusArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let status = Status::of(lake.standing()?, &lake.place().display().to_string(), args.max_age);
    super::print(&if args.json { super::as_json(&status)? } else { status.told() })?;
    Ok(u8::from(status.needs_attention))
}

impl RunStatus {
    fn of(report: &serde_json::Value) -> Option<RunStatus> {
        let text = |field: &str| report.get(field).and_then(|value| value.as_str()).map(str::to_owned);
        let run = text("run")?;
        Some(RunStatus {
            ended_at: text("ended_at"),
            error: text("error"),
            run,
            operation: text("operation").unwrap_or_default(),
            outcome: text("outcome").unwrap_or_default(),
            held_deliveries: report
                .get("held_deliveries")
                .and_then(serde_json::Value::as_array)
                .map_or(0, |held| held.len() as u64),
            rejected: report.get("rejected").and_then(serde_json::Value::as_u64).unwrap_or_default(),
        })
    }

    fn told(&self) -> String {
        let outcome = self.outcome.replace('_', " ");
        let rejected = if self.rejected > 0 { format!(", {} rejected", grouped(self.rejected)) } else { String::new() };
        let held = match self.held_deliveries {
            0 => String::new(),
            held => format!(", {} deliveries held back, since not all of their tasks came", grouped(held)),
        };
        format!("{} {outcome}{rejected}{held}", self.ended_at.as_deref().unwrap_or("at some time"))
    }
}

impl Status {
    fn of(standing: Standing, place: &str, max_age: Option<Duration>) -> Status {
        let Standing { state, published_version, is_being_erased, running, dead, reports } = standing;
        let runs = reports.iter().map(|report| (report.get("job").and_then(|job| job.as_str()), RunStatus::of(report)));
        let runs = runs.filter_map(|(job, run)| Some((job.map(str::to_owned), run?))).collect::<Vec<_>>();
        let of_job = |job: &str| {
            runs.iter().filter(|(of, _)| of.as_deref() == Some(job)).map(|(_, run)| run.clone()).collect::<Vec<_>>()
        };
        let jobs = state.checkpoints.iter().map(|(job, checkpoint)| {
            let checkpoint = serde_json::from_value::<Checkpoint>(checkpoint.clone()).unwrap_or_default();
            let Checkpoint { watermark, walked_at, .. } = checkpoint;
            let runs = of_job(job);
            let failure = runs.first().filter(|run| run.error.is_some()).cloned();
            let last_run = runs.into_iter().find(|run| run.error.is_none());
            JobStatus { job: job.clone(), watermark, walked_at, last_run, failure }
        });
        let files = || state.parts.values().flat_map(|part| part.files.values());
        let mut status = Status {
            needs_attention: false,
            has_begun_anew: state.begins.is_some(),
            version: state.version,
            committed_at: Some(state.created_at.clone()).filter(|at| !at.is_empty()),
            published_version,
            oldest_version: state.oldest_version,
            tags: state.tags.clone(),
            tasks: state.parts.values().map(|part| part.rows(tasks::TABLE.name)).sum(),
            files: files().count() as u64,
            bytes: files().map(|file| file.bytes).sum(),
            surplus_parts: surplus_parts(&state),
            outdated_parts: outdated_parts(&state),
            small_files: SmallFiles::of(state.parts.values(), state.layout),
            jobs: jobs.collect(),
            last_run: runs.first().map(|(_, run)| run.clone()),
            is_being_erased,
            running,
            dead_runs: dead,
            advice: Vec::new(),
        };
        status.advise(place, max_age);
        status
    }

    fn advise(&mut self, place: &str, max_age: Option<Duration>) {
        if self.version == 0 {
            self.advice.push("no run has committed anything yet".to_owned());
        }
        if self.published_version < self.version && self.running.is_empty() {
            self.needs_attention = true;
            let version = self.version;
            self.advice.push(format!(
                "version {version} is committed, and not all readers can see it: `taskloom recover {place}` finishes it"
            ));
        }
        if self.is_being_erased && self.running.is_empty() {
            self.needs_attention = true;
            self.advice
                .push(format!("what was to be forgotten is not all removed: `taskloom recover {place}` finishes it"));
        }
        let oldest =
            max_age.and_then(|age| TimeDelta::from_std(age).ok()).and_then(|age| Utc::now().checked_sub_signed(age));
        if let Some(oldest) = oldest {
            // Who forgets drops the reports of runs.
            let begins_anew = self.committed_at.as_deref().filter(|_| self.has_begun_anew);
            let is_late = |run: &Option<RunStatus>| {
                let ended_at = run.as_ref().map_or(begins_anew, |run| run.ended_at.as_deref());
                ended_at.and_then(|at| DateTime::parse_from_rfc3339(at).ok()).is_none_or(|at| at < oldest)
            };
            let since = oldest.to_rfc3339_opts(SecondsFormat::Secs, true);
            let late = self.jobs.iter().filter(|job| is_late(&job.last_run)).map(|job| job.job.clone());
            let late = late.collect::<Vec<_>>();
            if self.jobs.is_empty() && is_late(&self.last_run) {
                self.needs_attention = true;
                self.advice.push(format!("no run has ended well since {since}"));
            }
            for job in late {
                self.needs_attention = true;
                self.advice.push(format!("the job {job} has not ended well since {since}: look at its log"));
            }
        }
        let failures = self.jobs.iter().filter_map(|job| Some((&job.job, job.failure.as_ref()?.error.as_ref()?)));
        let failures = failures.map(|(job, error)| format!("the job {job} failed: {error}")).collect::<Vec<_>>();
        self.needs_attention |= !failures.is_empty();
        self.advice.extend(failures);
        if !self.dead_runs.is_empty() {
            let dead = grouped(self.dead_runs.len() as u64);
            self.advice
                .push(format!("{dead} runs died: the next run, or `taskloom recover {place}`, removes what they left"));
        }
        if self.surplus_parts >= MANY_PARTS {
            let surplus = grouped(self.surplus_parts as u64);
            self.advice.push(format!("{surplus} parts could be fewer: `taskloom compact {place}`"));
        }
        if self.outdated_parts > 0 {
            let outdated = grouped(self.outdated_parts as u64);
            self.advice
                .push(format!("parts that lack columns that came since: {outdated}; `taskloom upgrade {place}`"));
        }
        self.advice.extend(self.small_files.as_ref().map(|small| advice_on(small, place)));
    }

    fn told(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<9}{}", printable::line(value));
        };
        let committed = self.committed_at.as_deref().map(|at| format!(" of {at}")).unwrap_or_default();
        line("version", &format!("{}{committed}", self.version));
        let [tasks, files] = [self.tasks, self.files].map(grouped);
        line("holds", &format!("{tasks} tasks in {files} files with {}", ByteSize(self.bytes)));
        line("kept", &format!("versions since {}", self.oldest_version));
        self.tags.iter().for_each(|(tag, version)| line("named", &format!("{tag}, version {version}")));
        for JobStatus { job, watermark, walked_at, last_run, .. } in &self.jobs {
            line("job", job);
            line("  came", &format!("to {}", watermark.as_deref().unwrap_or("nothing that is completed")));
            walked_at.iter().for_each(|at| line("  walked", &format!("everything at {at}")));
            last_run.iter().for_each(|run| line("  ran", &run.told()));
        }
        if let Some(run) = self.last_run.as_ref().filter(|_| self.jobs.is_empty()) {
            line("ran", &format!("{}, {}", run.operation, run.told()));
        }
        self.running.iter().for_each(|run| line("running", run));
        self.advice.iter().for_each(|advice| line("next", advice));
        text
    }
}
