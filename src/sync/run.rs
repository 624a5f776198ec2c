//! A run of a scheduled job: what is due is asked for and committed, slice by slice where that is wanted.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::upkeep::{Upkeep, UpkeepOptions};
use super::{Backfill, Due, Schedule};
use crate::attachment::{FetchOptions, Retry};
use crate::config::{Limit, Reconcile, RunConfig};
use crate::error::Result;
use crate::merge::whole_deliveries;
use crate::pipeline::{self, Outcome};
use crate::progress::Progress;
use crate::report::{Ended, Report};
use crate::source::Source;
use crate::source::api::{ApiConfig, Moving, Plan, Query, earliest};
use crate::time::write_instant;
use crate::upkeep::{CompactOptions, Fetched, FetchingOptions, fetch_attachments};

/// A scheduled job, and all that a run of it needs.
#[derive(Clone, Debug)]
pub struct Sync {
    /// What it holds, and how far back a run looks.
    pub schedule: Schedule,
    /// How the API is reached; what its plan asks for is of no account, but how many tasks come on a page and how many requests are sent
    /// at a time.
    pub api: ApiConfig,
    /// Where tasks go; its source is of no account.
    pub config: RunConfig,
    /// How many of the lake's tasks may go at a time.
    pub max_removed: Limit,
    /// What is done behind a run.
    pub upkeep: UpkeepOptions,
}

/// Attachments a run that were refused before, and that it tries all the same: an address that has expired will not get better.
const DOUBTFUL: u64 = 1_000;

/// How a run went.
#[derive(Debug)]
pub struct Ran {
    /// Its report, or that of the last slice of a back-fill.
    pub report: Result<Report>,
    /// Slices that were committed before that.
    pub slices: u64,
}

impl Sync {
    /// What a run asks for that begins now.
    pub fn due(&self, now: DateTime<Utc>) -> Result<Due> {
        self.schedule.due(&self.config.lake.state()?, now.timestamp_micros())
    }

    /// How a query is walked.
    pub fn plan(&self, query: Query, now: DateTime<Utc>) -> Plan {
        Plan::new(
            (query, Moving::default()),
            now.timestamp_micros(),
            self.api.plan.page_size,
            self.api.plan.concurrency,
        )
    }

    /// Asks for what is due, and commits it.
    pub fn run(&self, due: Due, now: DateTime<Utc>, progress: &Arc<Progress>) -> Ran {
        let backfill = self.config.lake.state().and_then(|state| self.schedule.backfill(&state));
        let mut slices = 0;
        let report = match backfill {
            Ok(None) => self.run_once(due, now, progress),
            Ok(Some(backfill)) => self.fill(backfill, &mut slices, now, progress),
            Err(error) => Err(error),
        };
        Ran { report, slices }
    }

    /// Does what is to be done behind a run that is committed: what goes wrong takes nothing back.
    pub fn look_after(&self, report: &Report, progress: &Arc<Progress>) -> Result<Upkeep> {
        let config = &self.config;
        let options = CompactOptions {
            date_grain: None,
            threads: config.threads,
            compression_level: config.compression_level,
            author: config.author.clone(),
        };
        // What keeps attachments away is no reason to leave the rest undone.
        let fetched = self.fetch_attachments(report, progress);
        let done = self.upkeep.run(&config.lake, &options, progress)?;
        Ok(Upkeep { attachments: fetched?, ..done })
    }

    /// Fetches what earlier runs could not, if attachments are fetched at all.
    fn fetch_attachments(&self, report: &Report, progress: &Arc<Progress>) -> Result<Option<Fetched>> {
        let Some(fetch) = &self.config.attachments else { return Ok(None) };
        let config = &self.config;
        // What this run could not fetch just now is for the next one.
        let is_committed = report.outcome == Ended::Committed;
        let just_tried = if is_committed { config.lake.parts_of(report.version)? } else { HashSet::new() };
        let options = FetchingOptions {
            fetch: FetchOptions { api: Some((self.api.url.clone(), self.api.key.clone())), ..fetch.clone() },
            retry: Retry { doubtful: DOUBTFUL },
            leaves: just_tried,
            threads: config.threads,
            compression_level: config.compression_level,
            work_dir: config.work_dir.clone(),
            author: config.author.clone(),
        };
        let fetched = fetch_attachments(&config.lake, &options, progress)?;
        Ok(Some(fetched).filter(|fetched| fetched.report.kept() + fetched.report.not_kept() > 0))
    }

    fn run_once(&self, due: Due, now: DateTime<Utc>, progress: &Arc<Progress>) -> Result<Report> {
        let (statuses, max_removed) = (self.schedule.query.statuses.clone(), self.max_removed);
        let extent = due.query.extent().filter(|_| due.job.is_whole);
        let reconcile = extent.map(|extent| Reconcile { extent, statuses, max_removed });
        let lake = &self.config.lake;
        let since = due.query.completed_after.filter(|_| due.query.walks_deliveries && !due.query.skips_delivery_tasks);
        let known = since.map(|since| whole_deliveries(&**lake.store(), &lake.state()?, since)).transpose()?;
        let plan = self.plan(due.query, now).knowing(known.unwrap_or_default());
        let source = Source::Api(Box::new(ApiConfig { plan, ..self.api.clone() }));
        let config = RunConfig { source, reconcile, job: Some(due.job), ..self.config.clone() };
        pipeline::run(config, progress).and_then(Outcome::report)
    }

    /// Runs slice by slice, and the rest; gives the last report.
    fn fill(
        &self,
        mut backfill: Backfill,
        slices: &mut u64,
        now: DateTime<Utc>,
        progress: &Arc<Progress>,
    ) -> Result<Report> {
        let until = Utc::now().timestamp_micros();
        // Nothing need be younger than its project: so the first slice has an end alone.
        let mut begin = match backfill.from {
            Some(from) => from,
            None => earliest(&self.api, progress)?.unwrap_or(until),
        };
        while let Some(to) = backfill.end(begin, until) {
            let report = self.run_once(self.schedule.slice(backfill.from, Some(to))?, now, progress)?;
            let (version, tasks) = (report.version, report.tasks_read);
            tracing::info!(to = write_instant(to), version, tasks, "a slice of the back-fill is in");
            *slices += u64::from(report.outcome == Ended::Committed);
            backfill.go_on(to, tasks);
            begin = to;
        }
        self.run_once(self.schedule.slice(backfill.from, None)?, now, progress)
    }
}
