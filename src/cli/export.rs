//! `taskloom export`.

use std::io::{self, Write};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use serde_json::json;
use url::Url;

use super::api::{ApiArgs, text_of};
use super::lake::LakeArgs;
use super::printable;
use super::times::instant;
use super::usage;
use super::voice::Voice;
use super::wanted::{DetailArgs, MAX_REMOVED, ScopeArgs};
use crate::config::{Limit, Reconcile, RunConfig};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::source::Source;
use crate::source::api::query::parameter;
use crate::source::api::{ApiConfig, Frontier, Moving, Plan, Query, Selector};

/// Export tasks from the Scale API into a lake of Parquet tables.
///
/// Many chains of pages are fetched side by side, and written down as they come: a run that ends early, by Ctrl-C or by a fault, goes on
/// from there when the same command is given again. Nothing is visible before the end.
///
/// The key is read from SCALE_API_KEY or from --api-key-file.
#[derive(Debug, Args)]
#[command(override_usage = "taskloom export --out <DIR> <WHICH TASKS> [OPTIONS]")]
#[command(group = ArgGroup::new("source").required(true).multiple(true))]
#[command(after_help = "\
Examples:
  taskloom export --all-projects --out lake
  taskloom export --all-projects --completed-after '2 days ago' --out lake
  taskloom export --project-name 'Chat 7' --status completed --out chat_7
  taskloom export --delivery-id d1 --api-key-file key.txt --out delivery
  taskloom export --task-id t1 --task-id t2 --out lake --dry-run

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but tasks were rejected
or ids unknown, 4 the API was out of reach or another run was faster, 130 and 143 stopped by
Ctrl-C or SIGTERM with nothing visible. After 4, 130 and 143 the same command
goes on from there.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    lake: LakeArgs,
    /// Take away the tasks that the lake holds and the API has no more, of those that are asked for
    #[arg(long, conflicts_with_all = ["overwrite", "completed_after", "completed_before", "delivery_id", "delivery_name", "task_id", "task_ids_from"])]
    reconcile: bool,
    /// Fail and change nothing where more of the lake's tasks would be taken away than this
    #[arg(long, value_name = "N|N%", default_value = MAX_REMOVED, requires = "reconcile")]
    max_removed: Limit,
    /// Keep the JSON as it was received, in _taskloom/raw
    #[arg(long)]
    keep_raw: bool,
    /// Drop the pages of an unfinished export and begin anew
    #[arg(long)]
    restart: bool,
    /// Commit although a delivery brought another number of tasks than it says
    #[arg(long)]
    allow_count_mismatch: bool,
    /// End with status 0 although ids of tasks are unknown to the API
    #[arg(long)]
    allow_missing: bool,
    /// Print the requests that the export would begin with, and send none
    #[arg(long)]
    dry_run: bool,
}

/// Which tasks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
struct WantedArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Tasks of this delivery
    #[arg(long, value_name = "ID", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name", "batch_id", "batch_name", "task_id", "task_ids_from"])]
    delivery_id: Option<String>,
    /// Tasks of the delivery of this name, of the one project given
    #[arg(long, value_name = "NAME", group = "source", conflicts_with_all = ["all_projects", "delivery_id", "batch_id", "batch_name", "task_id", "task_ids_from"])]
    delivery_name: Option<String>,
    /// This task; may be given more than once
    #[arg(long, value_name = "ID", group = "source")]
    task_id: Vec<String>,
    /// The tasks whose ids stand in this file, one a line
    #[arg(long, value_name = "FILE", group = "source")]
    task_ids_from: Option<PathBuf>,
    /// Only tasks completed after this: an ISO 8601 time, a date, or `2 days ago`
    #[arg(long, value_name = "TIME")]
    completed_after: Option<String>,
    /// Only tasks completed before this [with --completed-after: now]
    #[arg(long, value_name = "TIME")]
    completed_before: Option<String>,
    #[command(flatten)]
    details: DetailArgs,
}

pub(super) fn run(args: ExportArgs, voice: Voice) -> Result<u8> {
    let url = args.api.address()?;
    let now = Utc::now();
    let plan = args.api.plan(args.wanted.query(now)?, now);
    if args.dry_run {
        let config = args.lake.fixed(Source::Files(Vec::new()))?;
        return rehearse(&config, args.lake.is_json(), &plan, &url);
    }
    let config = ApiConfig {
        is_restart: args.restart,
        keeps_raw: args.keep_raw,
        allows_count_mismatch: args.allow_count_mismatch,
        allows_absent_tasks: args.allow_missing,
        ..args.api.config(plan, url)?
    };
    let reconcile = config.plan.query.extent().filter(|_| args.reconcile).map(|extent| Reconcile {
        extent,
        statuses: config.plan.query.statuses.clone(),
        max_removed: args.max_removed,
    });
    let ended = args.lake.make(Source::Api(Box::new(config)), reconcile, args.allow_missing, voice);
    if let Err(Error::Interrupted { .. }) = ended {
        voice.warn("what was received is kept: the same command goes on from there");
    }
    ended
}

impl WantedArgs {
    /// The query, and which of its times move with the moment at which it begins.
    fn query(&self, now: DateTime<Utc>) -> Result<(Query, Moving)> {
        let after = instant("--completed-after", self.completed_after.as_deref(), now)?;
        let before = instant("--completed-before", self.completed_before.as_deref(), now)?;
        // An open end would let a later attempt of this run see more than this one.
        let before = before.or(after.map(|_| (now.timestamp_micros(), true)));
        let is_moving = |time: Option<(i64, bool)>| time.is_some_and(|(_, is_moving)| is_moving);
        let moving = Moving { after: is_moving(after), before: is_moving(before) };
        let [completed_after, completed_before] = [after, before].map(|time| time.map(|(time, _)| time));
        if let (Some(after), Some(before)) = (completed_after, completed_before)
            && after >= before
        {
            let found = format!("{} and {}", self.completed_after.as_deref().unwrap_or_default(), shown(before));
            return Err(usage("--completed-after", "a time before --completed-before", found));
        }
        let of = self.selectors()?;
        let is_named = |selector: &Selector| matches!(selector, Selector::Delivery(_) | Selector::TaskId(_));
        if of.iter().any(is_named) && (!self.details.status.is_empty() || completed_before.is_some()) {
            let found = "them beside a delivery or a task";
            return Err(usage(
                "--status, --completed-after, --completed-before",
                "filters beside projects or batches",
                found,
            ));
        }
        let query = Query { completed_after, completed_before, ..self.details.query(of) };
        Ok((query, moving))
    }

    fn selectors(&self) -> Result<Vec<Selector>> {
        if let Some(delivery) = self.delivery()? {
            return Ok(vec![delivery]);
        }
        let mut selectors = self.scope.selectors();
        selectors.extend(self.task_id.iter().cloned().map(Selector::TaskId));
        if let Some(path) = &self.task_ids_from {
            let text = text_of(path)?;
            let ids = text.lines().map(str::trim).filter(|line| !line.is_empty());
            selectors.extend(ids.map(|id| Selector::TaskId(id.to_owned())));
        }
        if selectors.is_empty() {
            return Err(usage("--task-ids-from", "a file with an id a line", "no id"));
        }
        Ok(selectors)
    }

    fn delivery(&self) -> Result<Option<Selector>> {
        if let Some(id) = &self.delivery_id {
            return Ok(Some(Selector::Delivery(vec![parameter("delivery_id", id)])));
        }
        let Some(delivery) = &self.delivery_name else { return Ok(None) };
        let project = match (self.scope.project_id.as_slice(), self.scope.project_name.as_slice()) {
            ([id], []) => parameter("project_id", id),
            ([], [name]) => parameter("project_name", name),
            (ids, names) => {
                let found = format!("{} projects", ids.len() + names.len());
                return Err(usage("--delivery-name", "one --project-id or --project-name beside it", found));
            }
        };
        Ok(Some(Selector::Delivery(vec![parameter("delivery_name", delivery), project])))
    }
}

/// An instant as it is told.
fn shown(micros: i64) -> String {
    crate::time::write_instant(micros).unwrap_or_default()
}

/// Prints the requests that an export would begin with, and whether the lake would have it.
pub(super) fn rehearse(config: &RunConfig, is_json: bool, plan: &Plan, url: &Url) -> Result<u8> {
    let frontier = Frontier::new(plan.query.clone(), plan.began_at, plan.page_size, plan.concurrency);
    let requests = frontier.requests().into_iter().map(|request| request.url(url).to_string());
    let requests = requests.collect::<Vec<_>>();
    let refusal = pipeline::check(config).err();
    let mut out = io::stdout().lock();
    if is_json {
        let requests = requests.iter().map(|url| json!({"method": "GET", "url": url})).collect::<Vec<_>>();
        let refusal = refusal.as_ref().map(ToString::to_string);
        let text = json!({"requests": requests, "refusal": refusal}).to_string();
        writeln!(out, "{}", printable::json(&text)).map_err(Error::Output)?;
    } else {
        requests.iter().try_for_each(|url| writeln!(out, "GET {url}")).map_err(Error::Output)?;
    }
    // Without the rehearsal it would end so too.
    refusal.map_or(Ok(0), Err)
}
