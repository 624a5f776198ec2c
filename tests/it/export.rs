//! Exports from the simulated API, whole, disturbed and interrupted: what comes is always the same.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use taskloom::internals::config::RunConfig;
use taskloom::internals::error::{Error, ErrorKind, Result};
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::lake::Lake;
use taskloom::internals::pipeline::{self, Outcome};
use taskloom::internals::progress::Progress;
use taskloom::internals::report::Report;
use taskloom::internals::simulate::{Fault, Faults, RequestSeen, SimulateOptions, Simulator, Store};
use taskloom::internals::source::Source;
use taskloom::internals::source::api::query::{EXPANDABLE, OPTS, parameter};
use taskloom::internals::source::api::{ApiConfig, Key, Moving, Patience, Plan, Query, Selector};

use crate::lakes::{self, batches, files_of, restored, visible_files};

pub const KEY: &str = "test_canary_0123456789";
const NOW: i64 = 1_763_000_000_000_000;

/// The tasks of most tests: four projects, every shape, some without a batch.
static STORE: LazyLock<Arc<Store>> = LazyLock::new(|| {
    let tasks = lakes::by_id(&GENERATED).into_values().collect();
    Arc::new(Store::from_tasks(tasks))
});

static GENERATED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut generated = Vec::new();
    let options = GenerateOptions { tasks: 400, seed: 3, task_bytes: 4000, partitions: 24, ..Default::default() };
    generate(&options, &mut generated).unwrap();
    generated
});

fn simulator(faults: Faults, seed: u64) -> Simulator {
    let options = SimulateOptions { faults, seed, token: Some(KEY.to_owned()), ..SimulateOptions::default() };
    Simulator::start(Arc::clone(&STORE), options, "127.0.0.1:0".parse().unwrap()).unwrap()
}

pub fn query(of: Vec<Selector>) -> Query {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Query { of, expand: words(&EXPANDABLE), opts: words(&OPTS), ..Query::default() }
}

/// A way to the API whose clocks are tiny.
pub fn api(url: &str, query: Query, concurrency: usize) -> ApiConfig {
    ApiConfig {
        url: url.parse().unwrap(),
        key: Key::new(KEY).unwrap(),
        plan: Plan::new((query, Moving::default()), NOW, 6, concurrency),
        concurrency,
        patience: Patience { first_wait: Duration::from_millis(1), ..Patience::default() },
        max_requests_per_second: None,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_millis(500),
        is_compressed: concurrency > 1,
        is_restart: false,
        keeps_raw: false,
        allows_count_mismatch: false,
        allows_absent_tasks: false,
        job: None,
    }
}

pub fn config(api: ApiConfig, out: &Path) -> RunConfig {
    RunConfig { source: Source::Api(Box::new(api)), ..lakes::config(Path::new("unused"), out) }
}

pub fn export(api: ApiConfig, out: &Path) -> Result<Report> {
    lakes::run(config(api, out))
}

/// The tables beside the tasks, as sorted lines.
fn beside(lake: &Lake) -> BTreeMap<&'static str, Vec<String>> {
    let tables = ["projects", "batches", "deliveries", "delivery_tasks"];
    tables.into_iter().map(|table| (table, rows(lake, table))).collect()
}

fn rows(lake: &Lake, table: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for file in files_of(lake, table) {
        for batch in batches(&file) {
            let cell = |column: &arrow::array::ArrayRef, row| format!("{:?}", column.slice(row, 1));
            let line = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<String>();
            rows.extend((0..batch.num_rows()).map(line));
        }
    }
    rows.sort();
    rows
}

type Content = (BTreeMap<String, Value>, BTreeMap<&'static str, Vec<String>>);

fn content(out: &Path) -> Content {
    let lake = Lake::open(out).unwrap();
    (restored(&lake), beside(&lake))
}

/// What one undisturbed chain of pages brings.
static WALKED: LazyLock<Content> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let simulator = simulator(Faults::default(), 0);
    export(api(&simulator.url(), query(vec![Selector::AllProjects]), 1), folder.path()).unwrap();
    content(folder.path())
});

#[test]
fn one_chain_brings_every_task_as_it_is() {
    let (tasks, beside) = &*WALKED;
    let folder = tempfile::tempdir().unwrap();
    let (_, lake) = lakes::flatten_text(&*GENERATED, folder.path());
    let generated = restored(&lake);
    assert_eq!(tasks.keys().collect::<Vec<_>>(), generated.keys().collect::<Vec<_>>());
    for (id, task) in tasks {
        // Projects and batches come expanded.
        for field in ["threads", "status", "created_at", "completed_at", "metadata", "errors"] {
            assert!(task.get(field) == generated[id].get(field), "{id} {field}");
        }
    }
    let listed = |table: &str| beside[table].len();
    assert_eq!((listed("projects"), listed("batches")), (STORE.project_ids().len(), STORE.batch_ids().len()));
    assert!(listed("deliveries") > 0 && listed("delivery_tasks") > 100, "{beside:?}");
}

#[test]
fn many_chains_bring_what_one_chain_brings() {
    let simulator = simulator(Faults::default(), 0);
    for concurrency in [2, 8, 20] {
        let folder = tempfile::tempdir().unwrap();
        let report =
            export(api(&simulator.url(), query(vec![Selector::AllProjects]), concurrency), folder.path()).unwrap();
        assert!(content(folder.path()) == *WALKED, "{concurrency}");
        assert_eq!(report.rejected, 0);
    }
}

/// Exports with faults of some kinds, and compares with the undisturbed walk. Gives the further attempts, and what the API saw.
fn is_undisturbed_by(kinds: &[Fault], rate: f64, seed: u64) -> (u64, Vec<RequestSeen>) {
    let stall = Duration::from_millis(700);
    let faults = Faults { rate, kinds: kinds.to_vec(), stall, retry_after_seconds: 0 };
    let simulator = simulator(faults, seed);
    let folder = tempfile::tempdir().unwrap();
    let report = export(api(&simulator.url(), query(vec![Selector::AllProjects]), 8), folder.path()).unwrap();
    assert!(content(folder.path()) == *WALKED, "{kinds:?} {rate} {seed}");
    (report.fetch.unwrap().retries, simulator.log())
}

#[test]
fn each_kind_of_fault_is_borne() {
    for kind in Fault::ALL {
        // A stalled request takes its time.
        let rate = if kind == Fault::Stall { 0.03 } else { 0.3 };
        let (retries, seen) = is_undisturbed_by(&[kind], rate, 1);
        if kind == Fault::ExpiredToken {
            assert!(seen.iter().any(|request| request.status == 400));
        } else {
            assert!(retries > 0, "{kind:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn any_schedule_of_faults_gives_the_same_lake(seed: u64, rate in 0.05..0.6f64) {
        let kinds: Vec<_> = Fault::ALL.into_iter().filter(|kind| *kind != Fault::Stall).collect();
        is_undisturbed_by(&kinds, rate, seed);
    }
}

#[test]
fn an_export_without_tasks_replaces_nothing_and_is_not_gone_on_with() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    export(api(&simulator.url(), query(vec![Selector::AllProjects]), 8), folder.path()).unwrap();
    let mut nothing = query(vec![Selector::AllProjects]);
    nothing.completed_after = Some(NOW + 1);
    let overwriting = |query: Query| {
        let config = config(api(&simulator.url(), query, 8), folder.path());
        lakes::run(RunConfig { is_overwrite: true, ..config })
    };
    let refused = overwriting(nothing).unwrap_err();
    assert!(matches!(refused, Error::NothingToOverwriteWith { rejected: 0, .. }), "{refused}");
    assert!(content(folder.path()) == *WALKED);
    // Another query finds no spool in its way.
    let fetch = overwriting(query(vec![Selector::AllProjects])).unwrap().fetch.unwrap();
    assert_eq!((fetch.spooled_pages, fetch.began_at), (0, taskloom::internals::time::write_instant(NOW)));
}

/// Stops a run when it has so many pages.
pub fn interrupted(api: ApiConfig, out: &Path, pages: u64) -> Result<Report> {
    let progress = Arc::new(Progress::default());
    let run = std::thread::spawn({
        let (config, progress) = (config(api, out), Arc::clone(&progress));
        move || pipeline::run(config, &progress).and_then(Outcome::report)
    });
    while progress.counts().pages < pages && !run.is_finished() {
        std::thread::yield_now();
    }
    progress.stop(2);
    run.join().unwrap()
}

#[test]
fn an_interrupted_run_goes_on_and_ends_as_if_undisturbed() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    let api = || api(&simulator.url(), query(vec![Selector::AllProjects]), 8);
    for pages in [1, 20, 50] {
        let stopped = interrupted(api(), folder.path(), pages);
        assert!(matches!(stopped, Err(Error::Interrupted { signal: 2 })), "{stopped:?}");
        assert!(visible_files(folder.path()).is_empty());
    }
    let mut later = api();
    later.plan.began_at += 3_600_000_000;
    let report = export(later, folder.path()).unwrap();
    assert!(content(folder.path()) == *WALKED);
    let fetch = report.fetch.unwrap();
    assert_eq!(fetch.began_at, taskloom::internals::time::write_instant(NOW));
    // What the last of the three had written down was not asked for again.
    assert!(fetch.spooled_pages >= 20 && fetch.pages == fetch.requests + fetch.spooled_pages, "{fetch:?}");
    assert!(!folder.path().join("_taskloom/work").read_dir().unwrap().any(|_| true), "nothing is left in work");
}

#[test]
fn a_run_that_gives_up_goes_on_when_the_api_is_back_and_its_tokens_are_not() {
    let first = simulator(Faults::default(), 0);
    let address = first.url().strip_prefix("http://").unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut api = api(&first.url(), query(vec![Selector::AllProjects]), 8);
    assert!(interrupted(api.clone(), folder.path(), 30).is_err());
    first.stop();
    api.patience.retries = 1;
    let error = export(api.clone(), folder.path()).unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 2, .. }) && error.kind() == ErrorKind::Unavailable, "{error}");
    assert!(visible_files(folder.path()).is_empty());
    let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
    let _second = Simulator::start(Arc::clone(&STORE), options, address).unwrap();
    export(api, folder.path()).unwrap();
    assert!(content(folder.path()) == *WALKED);
}

#[test]
fn an_unfinished_export_of_another_query_is_not_gone_on_with() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    let project = STORE.project_ids()[0].clone();
    assert!(interrupted(api(&simulator.url(), query(vec![Selector::AllProjects]), 8), folder.path(), 10).is_err());
    let mut other = api(&simulator.url(), query(vec![Selector::ProjectId(project.clone())]), 8);
    let refused = export(other.clone(), folder.path()).unwrap_err();
    assert!(matches!(refused, Error::SpoolOfOther { .. }), "{refused}");
    other.is_restart = true;
    export(other, folder.path()).unwrap();
    let (tasks, _) = content(folder.path());
    let is_of_project = |task: &&Value| task["project"]["id"] == json!(project);
    assert_eq!(tasks.len(), WALKED.0.values().filter(is_of_project).count());
}

#[test]
fn what_was_received_can_be_kept_and_flattened_again() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    let mut api = api(&simulator.url(), query(vec![Selector::AllProjects]), 8);
    api.keeps_raw = true;
    let report = export(api, &folder.path().join("one")).unwrap();
    let raw = report.raw_file.unwrap();
    let text = zstd::decode_all(std::fs::File::open(&raw).unwrap()).unwrap();
    assert!(!String::from_utf8(text).unwrap().contains("\"workspace_token\":\"ws"));
    lakes::run(lakes::config(&raw, &folder.path().join("two"))).unwrap();
    assert!(content(&folder.path().join("two")) == *WALKED);
}

#[test]
fn projects_batches_names_statuses_times_and_ids_select_tasks() {
    let simulator = simulator(Faults::default(), 0);
    let (tasks, _) = &*WALKED;
    let ids_where = |wanted: &dyn Fn(&Value) -> bool| {
        tasks.iter().filter(|(_, task)| wanted(task)).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    let selected = |query: Query| {
        let folder = tempfile::tempdir().unwrap();
        export(api(&simulator.url(), query, 8), folder.path()).unwrap();
        content(folder.path()).0.into_keys().collect::<Vec<_>>()
    };
    let project = STORE.project_ids()[1].clone();
    let batch = STORE.batch_ids()[0].clone();
    let name = tasks.values().find(|task| task["project"]["id"] == json!(project)).unwrap()["project"]["name"].clone();
    let of_project = ids_where(&|task| task["project"]["id"] == json!(project));
    assert_eq!(selected(query(vec![Selector::ProjectId(project.clone())])), of_project);
    assert_eq!(selected(query(vec![Selector::ProjectName(name.as_str().unwrap().to_owned())])), of_project);
    assert_eq!(
        selected(query(vec![Selector::BatchId(batch.clone())])),
        ids_where(&|task| task["batch"]["id"] == json!(batch))
    );
    let mut by_status = query(vec![Selector::AllProjects]);
    by_status.statuses = vec!["pending".to_owned(), "error".to_owned()];
    assert_eq!(
        selected(by_status),
        ids_where(&|task| ["pending", "error"].contains(&task["status"].as_str().unwrap()))
    );
    let mut times: Vec<_> = tasks.values().filter_map(|task| task["completed_at"].as_str()).collect();
    times.sort_unstable();
    let (after, before) = (times[times.len() / 3], times[times.len() / 3 * 2]);
    let mut by_time = query(vec![Selector::AllProjects]);
    by_time.completed_after = taskloom::internals::time::read_instant(after);
    by_time.completed_before = taskloom::internals::time::read_instant(before);
    let is_between = |task: &Value| task["completed_at"].as_str().is_some_and(|at| after <= at && at < before);
    assert_eq!(selected(by_time), ids_where(&is_between));
    let some = tasks.keys().step_by(100).cloned().collect::<Vec<_>>();
    assert_eq!(selected(query(some.iter().cloned().map(Selector::TaskId).collect())), some);
}

#[test]
fn a_delivery_brings_its_tasks_and_who_belongs_to_it() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    let delivery = &STORE.deliveries()[0];
    let wanted = query(vec![Selector::Delivery(vec![parameter("delivery_id", &delivery.id)])]);
    let report = export(api(&simulator.url(), wanted, 8), folder.path()).unwrap();
    let (tasks, beside) = content(folder.path());
    assert_eq!(tasks.len() as u64, delivery.task_count);
    assert_eq!(report.tables["delivery_tasks"].rows, delivery.task_count);
    assert_eq!(beside["deliveries"].len(), 1);
}

/// A server that answers each request by a function of its path and query, which it counts.
pub struct Scripted {
    pub url: String,
    pub requests: Arc<AtomicU64>,
}

pub fn scripted(answer: impl Fn(&str) -> (u16, String, String) + Send + 'static) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> = lines.map_while(std::result::Result::ok).take_while(|line| !line.is_empty()).collect();
            let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { continue };
            counter.fetch_add(1, Ordering::Relaxed);
            let (status, headers, body) = answer(path);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            );
        }
    });
    Scripted { url, requests }
}

fn one_task(url: &str) -> ApiConfig {
    api(url, query(vec![Selector::TaskId("t".to_owned())]), 8)
}

#[test]
fn refusals_fail_at_once_with_the_apis_word() {
    for status in [400, 401, 402, 403, 404] {
        let server =
            scripted(move |_| (status, String::new(), r#"{"status_code": 1, "error": "so it is"}"#.to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let error = export(one_task(&server.url), folder.path()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("so it is") && text.contains("/v2/task?task_id=t"), "{text}");
        assert_eq!((error.kind(), server.requests.load(Ordering::Relaxed)), (ErrorKind::Refused, 1), "{text}");
    }
}

#[test]
fn the_program_says_what_to_do_about_a_refusal() {
    for (status, hint) in
        [(400, "parameter"), (401, "SCALE_API_KEY"), (402, "account"), (403, "account"), (404, "right")]
    {
        let server = scripted(move |_| (status, String::new(), r#"{"message": "so it is"}"#.to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let mut command = lakes::taskloom();
        command.args(["export", "--task-id", "t", "--api-url", &server.url, "--out"]).arg(folder.path());
        let assert = command.env("SCALE_API_KEY", KEY).assert().code(1);
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(text.contains("so it is") && text.contains(hint) && !text.contains(KEY), "{text}");
    }
}

#[test]
fn the_key_is_not_carried_to_another_host() {
    let other = scripted(|_| (200, String::new(), r#"{"task_id": "t"}"#.to_owned()));
    let to = other.url.clone();
    let server = scripted(move |path| (302, format!("location: {to}{path}\r\n"), String::new()));
    let folder = tempfile::tempdir().unwrap();
    let error = export(one_task(&server.url), folder.path()).unwrap_err();
    assert!(error.to_string().contains("another host"), "{error}");
    assert_eq!(other.requests.load(Ordering::Relaxed), 0);
}

#[test]
fn a_bad_task_is_a_reject_and_not_a_failed_page() {
    let page = r#"{"tasks": [{"task_id": "a"}, {"task_id": 7}, {"task_id": "b", "x": nul}, {"task_id": "c"}]}"#;
    let server = scripted(move |path| {
        let body = if path.starts_with("/v2/tasks") { page } else { r#"{"id": "b"}"# };
        (200, String::new(), body.to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let wanted = query(vec![Selector::BatchId("b".to_owned())]);
    let report = export(api(&server.url, wanted, 8), folder.path()).unwrap();
    assert_eq!((report.tables["tasks"].rows, report.rejected), (2, 2), "{:?}", lakes::rejects(&report));
}

#[test]
fn another_number_of_tasks_than_the_delivery_says_commits_nothing_unless_allowed() {
    let page = r#"{"delivery": {"id": "d", "task_count": 3}, "tasks": [{"task_id": "a"}, {"task_id": "b"}]}"#;
    let server = scripted(move |_| (200, String::new(), page.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let mut api = api(&server.url, query(vec![Selector::Delivery(vec![parameter("delivery_id", "d")])]), 8);
    let error = export(api.clone(), folder.path()).unwrap_err();
    assert!(matches!(error, Error::CountMismatch { expected: 3, found: 2, rejected: 0 }), "{error}");
    assert!(visible_files(folder.path()).is_empty());
    api.allows_count_mismatch = true;
    assert_eq!(export(api, folder.path()).unwrap().tables["tasks"].rows, 2);
    // What the first run received was enough.
    assert_eq!(server.requests.load(Ordering::Relaxed), 1);
}

#[test]
fn pages_in_a_circle_end_in_an_error() {
    let page = |path: &str| format!(r#"{{"tasks": [{{"task_id": "{}"}}], "next_token": "again"}}"#, path.len());
    let server = scripted(move |path| (200, String::new(), page(path)));
    let folder = tempfile::tempdir().unwrap();
    let error = export(
        api(&server.url, query(vec![Selector::Delivery(vec![parameter("delivery_id", "d")])]), 8),
        folder.path(),
    );
    assert!(matches!(error, Err(Error::Circle { .. })), "{error:?}");
}

#[test]
fn the_program_shows_no_secret_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let signed = "https://files.test/a.png?X-Amz-Signature=canary_signature";
    let task = json!({
        "task_id": "t", "project": "p", "batch": "b", "status": "completed", "completed_at": "2025-01-01T00:00:00Z", "new": signed,
        "threads": [{"turns": [{"messages": [{
            "role": "user", "content": {"attachments": [{"url": signed, "mime_type": "image/png"}]}, "annotations": [
                {"key": "w", "type": "workspace_container", "value": {"workspace_config": {"workspace_token": "canary_token"}}}
            ]
        }]}]}]
    });
    let faults = Faults { rate: 0.5, stall: Duration::ZERO, retry_after_seconds: 0, ..Faults::default() };
    let options = SimulateOptions { faults, token: Some(KEY.to_owned()), ..SimulateOptions::default() };
    let store = Arc::new(Store::from_tasks(vec![task]));
    let simulator = Simulator::start(store, options, "127.0.0.1:0".parse().unwrap()).unwrap();
    let lake = folder.path().join("lake");
    let mut said = Vec::new();
    let wrong = "test_canary_wrong";
    for (key, flags, status) in [
        (KEY, ["-vv", "--json", "--restart"], 0),
        (wrong, ["-vv", "--restart", "--overwrite"], 1),
        (KEY, ["-q", "--keep-raw", "--overwrite"], 0),
    ] {
        let run = lakes::taskloom()
            .args(["export", "--project-id", "p", "--log-format", "json", "--out", lake.to_str().unwrap()])
            .args(flags)
            .envs([("SCALE_API_KEY", key), ("SCALE_API_URL", simulator.url().as_str()), ("RUST_LOG", "trace")])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(status), "{}", String::from_utf8_lossy(&run.stderr));
        said.extend([run.stdout, run.stderr]);
    }
    // What is kept of the tasks themselves holds addresses as they came, for its owner alone; but no token.
    let raw = walkdir::WalkDir::new(lake.join("_taskloom/raw")).into_iter().map(std::result::Result::unwrap);
    let raw = raw.filter(|entry| entry.file_type().is_file()).last().unwrap();
    assert_eq!(raw.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept = String::from_utf8(zstd::decode_all(std::fs::File::open(raw.path()).unwrap()).unwrap()).unwrap();
    assert!(kept.contains("canary_signature") && !kept.contains("canary_token"));
    std::fs::remove_file(raw.path()).unwrap();
    let own = walkdir::WalkDir::new(lake.join("_taskloom")).into_iter().map(std::result::Result::unwrap);
    let own = own.filter(|entry| entry.file_type().is_file());
    said.extend(own.map(|entry| std::fs::read(entry.path()).unwrap()));
    assert!(said.iter().map(Vec::len).sum::<usize>() > 10_000);
    for text in said {
        let text = String::from_utf8_lossy(&text).into_owned();
        let at = text.find("canary");
        assert!(at.is_none(), "{}", &text[at.unwrap().saturating_sub(300)..(at.unwrap() + 100).min(text.len())]);
    }
}

#[test]
fn a_dry_run_names_its_requests_and_sends_none() {
    let arguments = ["export", "--project-id", "p q", "--status", "completed", "--out", "unused", "--dry-run"];
    let assert = lakes::taskloom().args(arguments).env_remove("SCALE_API_URL").assert().success();
    let printed = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(
        printed.contains("GET https://api.scale.com/v2/tasks?project_id=p+q&status=completed&expand=project&"),
        "{printed}"
    );
    assert!(!Path::new("unused").exists());
}

#[test]
fn a_key_must_be_given_and_not_as_a_flag() {
    let export = |key: &str| {
        let arguments = ["export", "--all-projects", "--out", "unused"];
        let assert = lakes::taskloom().args(arguments).env("SCALE_API_KEY", key).assert().code(2);
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    assert!(export("").contains("SCALE_API_KEY"));
    assert!(!export("live_\u{1}canary").contains("canary"));
    lakes::taskloom().args(["export", "--all-projects", "--out", "unused", "--api-key", "k"]).assert().code(2);
    assert!(!Path::new("unused").exists());
}

#[test]
fn filters_that_would_do_nothing_are_refused() {
    for which in [["--task-id", "t"], ["--delivery-id", "d"]] {
        for filter in [["--status", "error"], ["--completed-after", "2025-01-01"], ["--completed-before", "2025-01-01"]]
        {
            let command = [&["export", "--out", "unused", "--dry-run"][..], &which, &filter].concat();
            lakes::taskloom().args(command).assert().code(2);
        }
    }
    let both = ["export", "--out", "unused", "--dry-run", "--all-projects", "--project-id", "p"];
    lakes::taskloom().args(both).assert().code(2);
}

#[test]
fn a_committed_spool_is_not_gone_on_with_even_after_another_version() {
    let simulator = simulator(Faults::default(), 0);
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let project = STORE.project_ids()[0].clone();
    let mut first = api(&simulator.url(), query(vec![Selector::ProjectId(project)]), 8);
    first.keeps_raw = true;
    let raw = export(first.clone(), &lake).unwrap().raw_file.unwrap();
    let other = folder.path().join("other.ndjson");
    std::fs::write(&other, r#"{"task_id": "other"}"#).unwrap();
    let overwrite = |config: RunConfig| RunConfig { is_overwrite: true, ..config };
    lakes::run(overwrite(lakes::config(&other, &lake))).unwrap();
    // As if the run that committed it had been killed before it put the spool away.
    std::fs::copy(&raw, lake.join("_taskloom/spool.ndjson.zst")).unwrap();
    let report = lakes::run(overwrite(config(first, &lake))).unwrap();
    let fetch = report.fetch.unwrap();
    assert!(fetch.spooled_pages == 0 && fetch.requests > 5, "{fetch:?}");
}

#[test]
fn an_answer_without_what_was_asked_for_is_asked_again() {
    let count = Arc::new(AtomicU64::new(0));
    let server = scripted(move |_| {
        let bodies = [r#"{"message": "busy"}"#, r#"{"task_id": "t"}"#];
        let body = bodies[(count.fetch_add(1, Ordering::Relaxed) as usize).min(1)];
        (200, String::new(), body.to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let report = export(one_task(&server.url), folder.path()).unwrap();
    assert_eq!((report.tables["tasks"].rows, report.rejected, report.fetch.unwrap().retries), (1, 0, 1));
}

#[test]
fn a_wait_without_end_is_given_up_and_not_waited_for() {
    let server = scripted(|_| (429, format!("retry-after: {}\r\n", u64::MAX), String::new()));
    let folder = tempfile::tempdir().unwrap();
    let error = export(one_task(&server.url), folder.path()).unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 1, .. }), "{error}");
}
