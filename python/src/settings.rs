//! Settings as they come from Python, and what they mean to the core. Their names are those of the parameters that people give.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use parquet::basic::ZstdLevel;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use taskloom::api::{
    ApiConfig, Every, Key, Moving, Patience, Plan, Query, Schedule, Selector, Sync, UpkeepOptions, job_name,
};
use taskloom::{
    Author, DateBy, DateGrain, Lake, Limit, Memory, Reconcile, Result, RunConfig, Source, StoreOptions, Wanted,
};

use crate::failure::usage;

/// Reads settings; a name or a value that is none of theirs is an error.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| usage("a parameter", "one that fits", error.to_string()))
}

/// How a store is talked to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSettings {
    options: BTreeMap<String, String>,
    lease_seconds: Option<f64>,
    retry_seconds: Option<f64>,
}

impl StoreSettings {
    pub(crate) fn options(&self) -> Result<StoreOptions> {
        let default = StoreOptions::default();
        Ok(StoreOptions {
            settings: self.options.clone().into_iter().collect(),
            lease: seconds("lease", self.lease_seconds)?.unwrap_or(default.lease),
            retry_for: seconds("retry", self.retry_seconds)?.unwrap_or(default.retry_for),
            ..default
        })
    }
}

/// A span that can be one.
fn seconds(setting: &'static str, seconds: Option<f64>) -> Result<Option<Duration>> {
    let span = |seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|_| usage(setting, "a span of time", seconds.to_string()))
    };
    seconds.map(span).transpose()
}

/// As many as the program takes.
pub(crate) const MOST_THREADS: usize = 1024;

/// A run into a lake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunSettings {
    lake: PathBuf,
    store: StoreSettings,
    work_dir: Option<PathBuf>,
    overwrite: bool,
    rewrite_unchanged: bool,
    conflict_retries: u32,
    threads: Option<usize>,
    memory_limit: Option<usize>,
    compression_level: i32,
    date_by: Option<DateBy>,
    date_grain: Option<DateGrain>,
    max_rejects: Option<String>,
    /// What it is called in the lake's history.
    command: String,
}

impl RunSettings {
    pub(crate) fn config(&self, source: Source) -> Result<RunConfig> {
        let store = StoreOptions { held_bytes: self.memory()?.upload_bytes(), ..self.store.options()? };
        self.config_on(source, Lake::with(&self.lake, &store)?)
    }

    /// The same, into a lake that is at hand.
    pub(crate) fn config_on(&self, source: Source, lake: Lake) -> Result<RunConfig> {
        let level = self.compression_level;
        let compression_level = ZstdLevel::try_new(level).ok().filter(|_| level > 0);
        let no_level = || usage("compression_level", "a level of zstd, 1 to 22", level.to_string());
        let compression_level = compression_level.ok_or_else(no_level)?;
        let config = RunConfig::new(source, lake);
        if let Some(threads) = self.threads.filter(|threads| !(1..=MOST_THREADS).contains(threads)) {
            return Err(usage("threads", format!("1 to {MOST_THREADS}"), threads.to_string()));
        }
        Ok(RunConfig {
            work_dir: self.work_dir.clone(),
            is_overwrite: self.overwrite,
            rewrites_unchanged: self.rewrite_unchanged,
            conflict_retries: self.conflict_retries,
            layout: Wanted { date_by: self.date_by, date_grain: self.date_grain },
            threads: self.threads.unwrap_or(config.threads),
            memory: self.memory()?,
            compression_level,
            max_rejects: limit("max_rejects", self.max_rejects.as_deref())?,
            author: Author { command: Some(self.command.clone()), ..Author::here() },
            ..config
        })
    }

    pub(crate) fn store_options(&self) -> Result<StoreOptions> {
        self.store.options()
    }

    fn memory(&self) -> Result<Memory> {
        let Some(limit_bytes) = self.memory_limit else { return Ok(Memory::default()) };
        if limit_bytes < Memory::LEAST_BYTES {
            let expected = format!("at least {} bytes", Memory::LEAST_BYTES);
            return Err(usage("memory_limit", expected, limit_bytes.to_string()));
        }
        Ok(Memory { limit_bytes })
    }
}

fn limit(setting: &'static str, text: Option<&str>) -> Result<Option<Limit>> {
    let read = |text: &str| text.parse().map_err(|expected: String| usage(setting, expected, text));
    text.map(read).transpose()
}

/// How the API is reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiSettings {
    url: String,
    allow_http: bool,
    page_size: u8,
    concurrency: u8,
    retries: Option<u32>,
    retry_seconds: Option<f64>,
    max_requests_per_second: Option<f64>,
    connect_seconds: Option<f64>,
    read_seconds: Option<f64>,
    restart: bool,
    keep_raw: bool,
    allow_count_mismatch: bool,
    allow_missing: bool,
}

impl ApiSettings {
    /// The way to the API for a query, of whose times these move with the moment.
    pub(crate) fn config(&self, key: &str, query: Query, moving: Moving) -> Result<ApiConfig> {
        if !(1..=100).contains(&self.page_size) {
            return Err(usage("page_size", "1 to 100", self.page_size.to_string()));
        }
        if !(1..=64).contains(&self.concurrency) {
            return Err(usage("concurrency", "1 to 64", self.concurrency.to_string()));
        }
        if self.max_requests_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err(usage("max_requests_per_second", "a number above 0", "another one"));
        }
        // Never what was found.
        let key = Key::new(key).ok_or_else(|| usage("api_key", "an API key, here or in SCALE_API_KEY", "none"))?;
        let url = taskloom::api::address("api_url", &self.url, self.allow_http)?;
        let now = Utc::now().timestamp_micros();
        let plan = Plan::new((query, moving), now, self.page_size, usize::from(self.concurrency));
        let config = ApiConfig::new(url, key, plan);
        let patience = Patience::default();
        Ok(ApiConfig {
            patience: Patience {
                retries: self.retries.unwrap_or(patience.retries),
                retry_for: seconds("retry_for", self.retry_seconds)?.unwrap_or(patience.retry_for),
                ..patience
            },
            max_requests_per_second: self.max_requests_per_second,
            connect_timeout: seconds("connect_timeout", self.connect_seconds)?.unwrap_or(config.connect_timeout),
            read_timeout: seconds("read_timeout", self.read_seconds)?.unwrap_or(config.read_timeout),
            is_restart: self.restart,
            keeps_raw: self.keep_raw,
            allows_count_mismatch: self.allow_count_mismatch,
            allows_absent_tasks: self.allow_missing,
            ..config
        })
    }
}

/// Which tasks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuerySettings {
    all_projects: bool,
    project_id: Vec<String>,
    project_name: Vec<String>,
    batch_id: Vec<String>,
    batch_name: Vec<String>,
    delivery_id: Option<String>,
    delivery_name: Option<String>,
    task_id: Vec<String>,
    status: Vec<String>,
    /// Microseconds since 1970.
    completed_after: Option<i64>,
    completed_before: Option<i64>,
    skip_delivery_tasks: bool,
    expand: Vec<String>,
    opts: Vec<String>,
}

impl QuerySettings {
    pub(crate) fn query(&self) -> Query {
        Query {
            of: self.selectors(),
            statuses: self.status.clone(),
            completed_after: self.completed_after,
            completed_before: self.completed_before,
            skips_delivery_tasks: self.skip_delivery_tasks,
            expand: self.expand.clone(),
            opts: self.opts.clone(),
            ..Query::default()
        }
    }

    fn selectors(&self) -> Vec<Selector> {
        let parameter = |name: &str, value: &String| (name.to_owned(), value.clone());
        if let Some(id) = &self.delivery_id {
            return vec![Selector::Delivery(vec![parameter("delivery_id", id)])];
        }
        if let Some(name) = &self.delivery_name {
            let project = self.project_id.first().map(|id| parameter("project_id", id));
            let project = project.or_else(|| self.project_name.first().map(|name| parameter("project_name", name)));
            return vec![Selector::Delivery([parameter("delivery_name", name)].into_iter().chain(project).collect())];
        }
        let all = self.all_projects.then_some(Selector::AllProjects);
        let each = |values: &[String], selector: fn(String) -> Selector| {
            values.iter().cloned().map(selector).collect::<Vec<_>>()
        };
        let selectors = all.into_iter().chain(each(&self.project_id, Selector::ProjectId));
        let selectors = selectors.chain(each(&self.project_name, Selector::ProjectName));
        let selectors = selectors.chain(each(&self.batch_id, Selector::BatchId));
        let selectors = selectors.chain(each(&self.batch_name, Selector::BatchName));
        selectors.chain(each(&self.task_id, Selector::TaskId)).collect()
    }
}

/// A run of `export`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportSettings {
    run: RunSettings,
    api: ApiSettings,
    query: QuerySettings,
    /// Whether the end of `query` is the moment at which the run begins.
    is_until_now: bool,
    reconcile: bool,
    max_removed: String,
}

impl ExportSettings {
    pub(crate) fn config(&self, key: &str) -> Result<RunConfig> {
        let query = self.query.query();
        let max_removed: Limit =
            self.max_removed.parse().map_err(|expected: String| usage("max_removed", expected, &self.max_removed))?;
        let reconcile = query.extent().filter(|_| self.reconcile);
        let reconcile = reconcile.map(|extent| Reconcile { extent, statuses: query.statuses.clone(), max_removed });
        let moving = Moving { after: false, before: self.is_until_now };
        let source = Source::Api(Box::new(self.api.config(key, query, moving)?));
        Ok(RunConfig { reconcile, ..self.run.config(source)? })
    }
}

/// A run of `sync`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncSettings {
    run: RunSettings,
    api: ApiSettings,
    query: QuerySettings,
    job: String,
    overlap_seconds: f64,
    reconcile_every_seconds: f64,
    reconcile: bool,
    commit_every_seconds: Option<f64>,
    commit_every_tasks: Option<u64>,
    max_removed: String,
    compact: bool,
    retain_seconds: Option<f64>,
    checkout: Option<PathBuf>,
}

impl SyncSettings {
    pub(crate) fn sync(&self, key: &str) -> Result<Sync> {
        let expected = |_| usage("job", "up to 64 letters, digits, `.`, `_` and `-`", &self.job);
        let (job, query) = (job_name(&self.job).map_err(expected)?, self.query.query());
        let api = self.api.config(key, query.clone(), Moving::default())?;
        let walk_every =
            seconds("reconcile_every", Some(self.reconcile_every_seconds))?.filter(|every| !every.is_zero());
        let by_time = seconds("commit_every", self.commit_every_seconds)?.map(Every::Span);
        let schedule = Schedule {
            job: job.clone(),
            query,
            account: api.origin(),
            overlap: seconds("overlap", Some(self.overlap_seconds))?.unwrap_or_default(),
            walk_every,
            is_whole: self.reconcile,
            commit_every: by_time.or(self.commit_every_tasks.map(Every::Tasks)),
        };
        let max_removed =
            self.max_removed.parse().map_err(|expected: String| usage("max_removed", expected, &self.max_removed))?;
        let config = self.run.config(Source::Files(Vec::new()))?;
        let upkeep = UpkeepOptions {
            compacts: self.compact,
            retain: seconds("retain", self.retain_seconds)?,
            checkout: self.checkout.clone(),
            store: self.run.store_options()?,
        };
        Ok(Sync { schedule, api: ApiConfig { job: Some(job), ..api }, config, max_removed, upkeep })
    }
}
