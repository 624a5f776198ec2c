//! `taskloom demo`.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::Args;

use super::lake;
use super::voice::Voice;
use crate::attachment::{AllowedHost, FetchOptions};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::lake::{Lake, VacuumOptions};
use crate::partition::{DateGrain, Wanted};
use crate::simulate::{Attachments, Fault, Faults, SimulateOptions, Simulator, Store};
use crate::source::Source;
use crate::source::api::query::{EXPANDABLE, OPTS};
use crate::source::api::{ApiConfig, Key, Moving, Patience, Plan, Query, Selector};
use crate::store::address::check_path;

/// Show it all: export from a simulated API, then ask.
///
/// Serves generated tasks and their attachments as the Scale API would, with some latency and some faults, exports them over HTTP into a
/// lake, and prints three questions to ask of it. Needs no key and no network.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom demo
  taskloom demo --tasks 10000 --out /tmp/demo")]
pub(super) struct DemoArgs {
    /// How many tasks
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    tasks: u64,
    /// Folder of the lake; a lake that is there is replaced
    #[arg(long, value_name = "DIR", default_value = "taskloom-demo")]
    out: PathBuf,
}

const KEY: &str = "test_demo";

pub(super) fn run(args: DemoArgs, voice: Voice) -> Result<u8> {
    check_path(&args.out)?;
    let store = Store::generated(args.tasks, 0)?;
    let projects = store.project_ids().len();
    let simulator = Simulator::start(Arc::new(store), options(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    say(voice, &format!("{} serves {} tasks of {projects} projects\n\n", simulator.url(), args.tasks))?;
    let source = Source::Api(Box::new(api(&simulator)?));
    let config = RunConfig {
        is_overwrite: true,
        conflict_retries: 0,
        layout: Wanted { date_grain: Some(DateGrain::Month), ..Wanted::default() },
        attachments: Some(FetchOptions { hosts: vec![here()?], ..FetchOptions::default() }),
        author: lake::author(),
        ..RunConfig::new(source, Lake::at(&args.out)?)
    };
    let made = config.lake.clone();
    lake::make(config, false, &Default::default(), voice)?;
    simulator.stop();
    // Whoever shows it again wants no more than the newest.
    made.vacuum(&VacuumOptions { kept_since: Utc::now(), is_dry_run: false }, &lake::author())?;
    say(voice, &questions(&args.out.display().to_string()))?;
    Ok(0)
}

/// A usual day: 20 milliseconds away, and one request of twenty fails.
fn options() -> SimulateOptions {
    let kinds = Fault::ALL.into_iter().filter(|kind| *kind != Fault::Stall).collect();
    let faults = Faults { rate: 0.05, kinds, retry_after_seconds: 0, ..Faults::default() };
    SimulateOptions {
        faults,
        latency: Duration::from_millis(20),
        attachments: Some(Attachments::default()),
        token: Some(KEY.to_owned()),
        ..SimulateOptions::default()
    }
}

/// Whose attachments are fetched although it is this machine.
fn here() -> Result<AllowedHost> {
    let invalid = |reason| Error::Client { reason };
    Ipv4Addr::LOCALHOST.to_string().parse().map_err(invalid)
}

fn api(simulator: &Simulator) -> Result<ApiConfig> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let query =
        Query { of: vec![Selector::AllProjects], expand: words(&EXPANDABLE), opts: words(&OPTS), ..Query::default() };
    let url = simulator.url();
    let invalid = || Error::Client { reason: format!("expected an address, found {url}") };
    let concurrency = 8;
    Ok(ApiConfig {
        url: url.parse().map_err(|_| invalid())?,
        key: Key::new(KEY).ok_or_else(invalid)?,
        plan: Plan::new((query, Moving::default()), Utc::now().timestamp_micros(), 100, concurrency),
        is_compressed: false,
        is_restart: true,
        concurrency,
        patience: Patience { first_wait: Duration::from_millis(20), ..Patience::default() },
        max_requests_per_second: None,
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(60),
        keeps_raw: false,
        allows_count_mismatch: false,
        allows_absent_tasks: false,
        job: None,
    })
}

fn say(voice: Voice, text: &str) -> Result<()> {
    if voice.is_quiet() {
        return Ok(());
    }
    io::stdout().write_all(text.as_bytes()).map_err(Error::Output)
}

/// Three questions, ready to paste into a shell.
fn questions(lake: &str) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "taskloom".to_owned());
    let (program, lake) = (quoted(&program), quoted(lake));
    QUESTIONS.replace("{program}", &program).replace("{lake}", &lake)
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

const QUESTIONS: &str = r#"
The lake is in {lake}. Three questions, to paste:

# DuckDB: which models follow instructions best?
({program} sql --engine duckdb {lake} --via records && echo "
  SELECT source_id, count(*) AS ratings, round(avg(value_number), 2) AS mean
  FROM message_annotations
  JOIN messages USING (task_id, thread_index, turn_index, message_index)
  WHERE key = 'instruction_following' AND value_number IS NOT NULL
  GROUP BY ALL ORDER BY mean DESC, source_id LIMIT 5;") | duckdb

# Polars: how long are answers?
({program} sql --engine polars {lake} --via records && echo '
print(messages.group_by("role").agg(
    pl.len(), pl.col("text").str.len_chars().mean().alias("mean_characters")
).sort("role").collect())') | python3 -

# Spark: how many tasks are in which state?
({program} sql --engine spark {lake} --via records && echo '
spark.sql("SELECT project, status, count(*) AS tasks FROM tasks "
          "GROUP BY ALL ORDER BY ALL").show()') | python3 -
"#;
