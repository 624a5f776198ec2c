//! Runs of a scheduled job against an API whose tasks change from night to night.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use taskloom::internals::lake::Lake;
use taskloom::internals::simulate::{SimulateOptions, Simulator, Store};
use tempfile::TempDir;

use taskloom::internals::upkeep::{CompactOptions, compact, rollback};

use crate::lakes::{findings, restored, taskloom};
use crate::merges::changes;
use crate::restore::canonical_task;
use crate::stand_in::{Options, StandIn};

mod attachments;
mod deliveries;

const KEY: &str = "test_canary_0123456789";

/// An API whose tasks change, and a lake that follows it.
struct Night {
    folder: TempDir,
    tasks: BTreeMap<String, Value>,
    /// Flags of each run.
    flags: Vec<String>,
    /// Where the lake lies, if not in a folder.
    bucket: Option<StandIn>,
    /// By how many tasks the newest delivery of a project tells too many.
    missing: BTreeMap<String, u64>,
}

/// What a run did.
struct Ran {
    status: Option<i32>,
    report: Value,
    stderr: String,
    /// The queries of its requests for lists of tasks.
    asked: Vec<String>,
    /// Those for the tasks of one delivery.
    deliveries: Vec<String>,
    requests: u64,
}

fn ago(days: f64) -> String {
    let ago = TimeDelta::milliseconds((days * 86_400_000.0) as i64);
    (Utc::now() - ago).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A task of a status, completed so many days ago if it is.
fn task(id: &str, project: &str, status: &str, days: f64) -> Value {
    let thread = json!({"id": "thread", "turns": [{"id": "turn", "annotations": [], "messages": [
        {"role": "user", "content": {"text": format!("{id} {days}")}, "source_id": "s", "annotations": []}
    ]}], "annotations": []});
    let mut task = json!({
        "task_id": id, "project": project, "batch": format!("batch-{project}"), "status": status, "created_at": ago(days + 1.0),
    });
    if status == "completed" {
        (task["completed_at"], task["threads"]) = (json!(ago(days)), json!([thread]));
    }
    task
}

impl Night {
    fn new(flags: &[&str]) -> Night {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Night {
            folder: tempfile::tempdir().unwrap(),
            tasks: BTreeMap::new(),
            flags,
            bucket: None,
            missing: BTreeMap::new(),
        }
    }

    fn all() -> Night {
        Night::new(&["--all-projects"])
    }

    fn has(&mut self, id: &str, status: &str, days: f64) -> &mut Night {
        self.tasks.insert(id.to_owned(), task(id, "p", status, days));
        self
    }

    fn without(&mut self, id: &str) -> &mut Night {
        self.tasks.remove(id).unwrap();
        self
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn run(&self, command: &str, flags: &[&str]) -> Ran {
        let mut store = Store::from_tasks(self.tasks.values().cloned().collect());
        for (project, missing) in &self.missing {
            let of_project = store.deliveries().iter().filter(|delivery| delivery.project_id == *project);
            let newest = of_project.max_by_key(|delivery| delivery.delivered_at).unwrap().clone();
            store.claim(&newest.id, newest.task_count + missing);
        }
        let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
        let simulator = Simulator::start(Arc::new(store), options, "127.0.0.1:0".parse().unwrap()).unwrap();
        let mut program = taskloom();
        program.env("SCALE_API_KEY", KEY).env("SCALE_API_URL", simulator.url());
        program.env("XDG_CACHE_HOME", self.folder.path());
        program.args([command, "--json", "--out"]).arg(self.place()).args(self.settings());
        let output = program.args(&self.flags).args(flags).output().unwrap();
        let log = simulator.log();
        let listed = log.iter().filter(|seen| seen.path == "/v2/tasks");
        let delivered = log.iter().filter(|seen| seen.path == "/v2/delivery/tasks");
        let delivered = delivered.map(|seen| format!("{:?}", seen.query));
        Ran {
            deliveries: delivered.filter(|query| query.contains("delivery_id")).collect(),
            status: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            asked: listed.map(|seen| format!("{:?}", seen.query)).collect(),
            requests: simulator.requests(),
        }
    }

    fn sync(&self, flags: &[&str]) -> Ran {
        let ran = self.run("sync", flags);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran
    }

    /// What a command calls the lake.
    fn place(&self) -> PathBuf {
        self.bucket.as_ref().map_or_else(|| self.out(), |_| PathBuf::from("s3://bucket/some/lake"))
    }

    fn settings(&self) -> Vec<String> {
        let settings = self.bucket.iter().flat_map(StandIn::settings);
        settings.map(|(key, value)| format!("--store-option={key}={value}")).collect()
    }

    fn lake(&self) -> Lake {
        match &self.bucket {
            Some(server) => Lake::on(crate::buckets::store(server)),
            None => Lake::open(&self.out()).unwrap(),
        }
    }

    /// A command on the lake.
    fn command(&self, command: &str, flags: &[&str]) -> String {
        let mut program = taskloom();
        program.arg(command).arg(self.place()).args(self.settings()).args(flags);
        String::from_utf8(program.assert().success().get_output().stdout.clone()).unwrap()
    }

    fn held(&self) -> BTreeMap<String, Value> {
        let canonical = |(id, mut task): (String, Value)| {
            // They come as objects.
            for field in ["project", "batch"] {
                task[field] = task[field]["id"].take();
            }
            (id, canonical_task(&task))
        };
        restored(&self.lake()).into_iter().map(canonical).collect()
    }

    /// The lake holds what the API has.
    fn check(&self) {
        let has = self.tasks.iter().map(|(id, task)| (id.clone(), canonical_task(task))).collect::<BTreeMap<_, _>>();
        assert_eq!(self.held(), has);
        assert_eq!(findings(&self.lake()), []);
    }

    fn checkpoint(&self, job: &str) -> Value {
        self.lake().state().unwrap().checkpoints.get(job).cloned().unwrap_or_default()
    }
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_first_run_brings_all_and_a_later_one_what_is_new() {
    let mut night = Night::all();
    for (number, status) in ["completed", "pending", "error", "canceled", "deleted"].iter().enumerate() {
        night.has(&format!("t{number}"), status, 30.0);
    }
    night.has("last", "completed", 3.0);
    let first = night.sync(&[]);
    assert!(first.asked.iter().all(|query| !query.contains("completed_after")), "{:?}", first.asked);
    night.check();
    let reached = instant(&night.checkpoint("default")["watermark"]);
    assert_eq!(reached, instant(&night.tasks["last"]["completed_at"]));
    // One is completed, one fails, one is new, one shows late.
    night.has("t1", "completed", 0.5).has("t2", "pending", 30.0).has("new", "error", 0.1).has("late", "completed", 3.9);
    let second = night.sync(&[]);
    assert!(second.asked.iter().any(|query| query.contains("completed_after")), "{:?}", second.asked);
    night.check();
    assert_eq!(second.report["merged"]["tasks_added"], 2);
    assert_eq!(second.report["merged"]["tasks_replaced"], 2);
    // There is nothing new, and no version tells so.
    let version = second.report["version"].clone();
    let third = night.sync(&[]);
    assert_eq!((&third.report["outcome"], &third.report["version"]), (&json!("nothing_new"), &version));
    let operations = night.lake().history().unwrap().into_iter().map(|version| version.operation).collect::<Vec<_>>();
    assert_eq!(operations, ["sync", "sync"]);
}

#[test]
fn what_was_completed_at_the_watermark_itself_comes_without_any_overlap() {
    let mut night = Night::all();
    night.has("one", "completed", 3.0);
    night.sync(&["--overlap", "0s"]);
    let same = night.tasks["one"]["completed_at"].clone();
    night.has("two", "completed", 3.0);
    night.tasks.get_mut("two").unwrap()["completed_at"] = same;
    night.sync(&["--overlap", "0s"]);
    night.check();
}

#[test]
fn a_watermark_follows_the_data_and_no_clock() {
    let mut night = Night::all();
    night.has("old", "completed", 20.0).has("to come", "completed", -300.0);
    let before = Utc::now();
    night.sync(&[]);
    // A task that says that it is of next year moves it no further than this run.
    let watermark = instant(&night.checkpoint("default")["watermark"]);
    assert!((before..=Utc::now()).contains(&watermark), "{watermark}");
    let mut night = Night::all();
    night.has("old", "completed", 20.0);
    night.sync(&[]);
    let reached = instant(&night.checkpoint("default")["watermark"]);
    assert_eq!(reached, instant(&night.tasks["old"]["completed_at"]));
    // An empty answer moves nothing and removes nothing.
    let held = night.held();
    let tasks = std::mem::take(&mut night.tasks);
    night.sync(&[]);
    assert_eq!((night.held(), instant(&night.checkpoint("default")["watermark"])), (held, reached));
    night.tasks = tasks;
    // What is completed between the watermark and now, by whatever clock, comes.
    night.has("between", "completed", 19.5).has("ahead", "completed", -0.5);
    night.sync(&[]);
    night.check();
}

#[test]
fn a_reconcile_makes_the_lake_what_the_api_has() {
    let mut night = Night::all();
    for number in 0..40 {
        night.has(&format!("t{number}"), "completed", 40.0 + f64::from(number));
    }
    night.sync(&[]);
    // Old ones are corrected, missed, gone, or not completed any more: no time tells of that.
    night.has("t5", "completed", 44.0).has("missed", "completed", 60.0).has("t6", "pending", 46.0).without("t7");
    night.sync(&[]);
    assert!(night.held().contains_key("t7") && !night.held().contains_key("missed"));
    let done = night.sync(&["--reconcile"]);
    night.check();
    let merged = &done.report["merged"];
    assert_eq!((&merged["tasks_removed"], &merged["tasks_added"]), (&json!(1), &json!(1)), "{merged}");
    let walked_at = night.checkpoint("default")["walked_at"].clone();
    // One that finds nothing is a version too: that it was done is worth to know.
    let again = night.sync(&["--reconcile"]);
    assert_ne!(night.checkpoint("default")["walked_at"], walked_at);
    assert_eq!(again.report["outcome"], "committed");
    night.check();
    // It goes back with the rest.
    let lake = night.lake();
    rollback(&lake, 1, &Default::default()).unwrap();
    assert!(restored(&lake).contains_key("t7"));
    let first = lake.state_at(1).unwrap().checkpoints;
    assert_eq!(lake.state().unwrap().checkpoints, first);
}

#[test]
fn no_answer_empties_a_lake() {
    let mut night = Night::all();
    for number in 0..40 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.sync(&[]);
    let (held, version) = (night.held(), night.lake().state().unwrap().version);
    let tasks = std::mem::take(&mut night.tasks);
    for flags in [&["--reconcile"][..], &["--reconcile", "--max-removed", "39"]] {
        let refused = night.run("sync", flags);
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("40 of 40") && refused.stderr.contains("--max-removed"), "{}", refused.stderr);
        assert_eq!((night.held(), night.lake().state().unwrap().version), (held.clone(), version));
    }
    // What was received then is not gone on with.
    night.tasks = tasks;
    night.without("t3");
    night.sync(&["--reconcile"]);
    night.check();
    night.tasks.clear();
    night.sync(&["--reconcile", "--max-removed", "100%"]);
    assert_eq!(night.held().len(), 0);
    // An empty lake is followed as any other.
    night.has("new", "completed", 1.0);
    night.sync(&[]);
    night.check();
}

#[test]
fn everything_is_asked_for_again_in_time_or_by_another_query() {
    let mut night = Night::new(&[]);
    night.tasks.insert("a".to_owned(), task("a", "p", "completed", 50.0));
    night.tasks.insert("b".to_owned(), task("b", "q", "completed", 60.0));
    night.sync(&["--project-id", "p"]);
    // Another project: its old tasks lie before the watermark.
    let changed = night.sync(&["--project-id", "p", "--project-id", "q"]);
    assert!(changed.stderr.contains("asked for something else"), "{}", changed.stderr);
    night.check();
    let flags = ["--project-id", "q", "--project-id", "p", "--reconcile-every", "0"];
    assert!(
        night.sync(&flags).asked.iter().any(|query| query.contains("completed_after")),
        "the same in another order"
    );
    let flags = ["--project-id", "q", "--project-id", "p", "--reconcile-every", "1ms"];
    assert!(night.sync(&flags).asked.iter().all(|query| !query.contains("completed_after")));
    // Jobs have checkpoints of their own.
    let other = night.sync(&["--project-id", "q", "--job", "other"]);
    assert!(!other.stderr.contains("something else"), "{}", other.stderr);
    assert_eq!(night.lake().state().unwrap().checkpoints.len(), 2);
    night.check();
}

#[test]
fn a_job_reconciles_its_own_tasks_and_no_others() {
    let mut night = Night::new(&[]);
    for number in 0..4 {
        night.has(&format!("t{number}"), "completed", 5.0);
        night.tasks.insert(format!("u{number}"), task(&format!("u{number}"), "q", "completed", 5.0));
    }
    night.has("open", "pending", 5.0);
    night.sync(&["--all-projects"]);
    let all = night.tasks.clone();
    for id in ["t1", "u1", "open"] {
        night.without(id);
    }
    let flags = ["--job", "p", "--project-id", "p", "--status", "completed", "--reconcile", "--max-removed", "50%"];
    night.sync(&flags);
    let held = night.held().into_keys().collect::<Vec<_>>();
    assert_eq!(held, ["open", "t0", "t2", "t3", "u0", "u1", "u2", "u3"]);
    // One that went back is gone for a job that wants completed ones.
    night.tasks = all;
    night.without("t1").has("t2", "pending", 5.0);
    night.sync(&flags);
    assert!(!night.held().contains_key("t2"));
    // By the name of a batch, which is its id here.
    night.without("u2");
    let export = night.run("export", &["--batch-id", "batch-q", "--reconcile", "--max-removed", "1"]);
    assert_eq!(export.status, Some(0), "{}", export.stderr);
    assert!(!night.held().contains_key("u2") && night.held().contains_key("t0"));
}

#[test]
fn a_task_that_the_walk_missed_and_that_is_there_stays() {
    let mut night = Night::all();
    for number in 0..40 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.sync(&[]);
    // The API lists it no more and still has it.
    let hidden = night.tasks.get_mut("t9").unwrap();
    hidden["project"] = Value::Null;
    let done = night.sync(&["--reconcile"]);
    assert_eq!(done.report["merged"]["tasks_removed"], 0, "{}", done.report);
    assert!(night.held().contains_key("t9"));
    assert!(done.requests > 0);
}

#[test]
fn rejects_are_told_and_few_of_them_wake_nobody() {
    let mut night = Night::all();
    for number in 0..200 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.sync(&[]);
    night.tasks.get_mut("t7").unwrap()["threads"] = json!("none");
    let ran = night.sync(&["--reconcile"]);
    assert!(ran.stderr.contains("could not be read") && ran.stderr.contains("rejects/"), "{}", ran.stderr);
    assert!(ran.report["rejected"].as_u64().unwrap() > 0);
    assert_eq!(ran.report["merged"]["tasks_removed"], 0);
    assert!(night.held().contains_key("t7"), "its older copy stays");
    for number in 0..9 {
        night.tasks.get_mut(&format!("t{number}")).unwrap()["threads"] = json!("none");
    }
    let refused = night.run("sync", &["--reconcile"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("--max-rejects"), "{}", refused.stderr);
    // Mended, it goes on by itself.
    for number in 0..9 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.sync(&["--reconcile"]);
    night.check();
}

/// What happens to a task between two nights.
#[derive(Clone, Copy, Debug)]
enum Event {
    Completed(u8, u8),
    Open(u8, u8),
    Gone(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..30u8, 0..20u8).prop_map(|(id, hours)| Event::Completed(id, hours)),
        2 => (0..30u8, 0..4u8).prop_map(|(id, status)| Event::Open(id, status)),
        1 => (0..30u8).prop_map(Event::Gone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// What is completed within the overlap and what is open comes each night; a reconcile makes the rest good.
    #[test]
    fn after_any_nights_a_reconcile_leaves_nothing_to_wish(nights in prop::collection::vec(prop::collection::vec(event(), 0..10), 1..4)) {
        let mut night = Night::all();
        for events in nights {
            for event in events {
                match event {
                    Event::Completed(id, hours) => drop(night.has(&format!("t{id}"), "completed", f64::from(hours) / 24.0)),
                    Event::Open(id, status) => {
                        let status = ["pending", "error", "canceled", "deleted"][usize::from(status)];
                        night.has(&format!("t{id}"), status, 9.0);
                    }
                    Event::Gone(id) => drop(night.tasks.remove(&format!("t{id}"))),
                }
            }
            night.sync(&["--max-removed", "100%"]);
            let held = night.held();
            for (id, task) in &night.tasks {
                prop_assert_eq!(&held[id], &canonical_task(task));
            }
        }
        night.sync(&["--reconcile", "--max-removed", "100%"]);
        night.check();
    }
}

#[test]
fn a_job_that_is_named_badly_is_refused() {
    for name in ["", "a/b", "..\u{e9}", &"x".repeat(65)] {
        let ran = taskloom().args(["sync", "--all-projects", "--out", "lake", "--job", name]).output().unwrap();
        assert_eq!(ran.status.code(), Some(2));
    }
}

#[test]
fn whoever_follows_the_changes_has_what_the_lake_has() {
    let mut night = Night::all();
    for number in 0..6 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    let mut copy = BTreeMap::<String, Value>::new();
    let mut seen = 0;
    let mut follow = |night: &Night| {
        let mut program = taskloom();
        program.arg("changes").arg(night.out()).args(["--since", &seen.to_string()]);
        let output = program.assert().success().get_output().stdout.clone();
        let held = night.held();
        for line in String::from_utf8(output).unwrap().lines() {
            let change: Value = serde_json::from_str(line).unwrap();
            let (id, version) = (change["task_id"].as_str().unwrap().to_owned(), change["version"].as_u64().unwrap());
            assert!(version >= seen && change["project_id"] == "p" && change["batch_id"] == "batch-p", "{change}");
            seen = version;
            let is_new = match change["change"].as_str().unwrap() {
                "added" => copy.insert(id.clone(), held[&id].clone()).is_none(),
                "replaced" => copy.insert(id.clone(), held[&id].clone()).is_some(),
                "removed" => copy.remove(&id).is_some(),
                other => panic!("{other}"),
            };
            assert!(is_new, "{change}");
        }
        assert_eq!(copy, held);
    };
    night.sync(&[]);
    follow(&night);
    night.has("t1", "pending", 1.0).has("new", "completed", 0.1).without("t2");
    night.sync(&["--reconcile", "--max-removed", "50%"]);
    follow(&night);
    // What a compaction joins tells the same.
    compact(&night.lake(), &CompactOptions::default(), &Default::default()).unwrap();
    follow(&night);
    let all = taskloom().arg("changes").arg(night.out()).assert().success().get_output().stdout.clone();
    assert_eq!(String::from_utf8(all).unwrap().lines().count(), 6 + 3);
    let none = taskloom().arg("changes").arg(night.out()).args(["--since", "0s ago"]).assert().success();
    assert!(none.get_output().stdout.is_empty());
    taskloom().arg("changes").arg(night.out()).args(["--since", "99"]).assert().code(2);
}

#[test]
fn the_status_tells_how_a_lake_stands_and_what_needs_a_person() {
    let mut night = Night::all();
    night.has("one", "completed", 3.0).has("two", "pending", 1.0);
    night.sync(&["--job", "nightly"]);
    let out = night.out();
    let status = |flags: &[&str]| {
        let output = taskloom().arg("status").arg(&out).args(flags).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, json) = status(&["--json", "--max-age", "36h"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["needs_attention"], &json["tasks"], &json["version"]),
        (Some(0), &json!(false), &json!(2), &json!(1))
    );
    let job = &json["jobs"][0];
    assert_eq!((&job["job"], &job["last_run"]["outcome"]), (&json!("nightly"), &json!("committed")), "{json}");
    assert_eq!(instant(&job["watermark"]), instant(&night.tasks["one"]["completed_at"]));
    let (code, told) = status(&["--max-age", "0s"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("job      nightly") && told.contains("has not ended well since"), "{told}");
    // A run that failed and will fail again, until one ends well.
    let tasks = std::mem::take(&mut night.tasks);
    assert_eq!(night.run("sync", &["--job", "nightly", "--reconcile"]).status, Some(1));
    let (code, told) = status(&[]);
    assert!(code == Some(1) && told.contains("the job nightly failed: 2 of 2 tasks"), "{told}");
    night.tasks = tasks;
    night.sync(&["--job", "nightly"]);
    assert_eq!(status(&[]).0, Some(0));
    // A version that readers of logs can't see.
    std::fs::remove_file(night.out().join("tasks/_delta_log/00000000000000000001.json")).unwrap();
    let (code, told) = status(&[]);
    assert!(code == Some(1) && told.contains("taskloom recover"), "{told}");
}

#[test]
fn metrics_are_whole_and_a_failure_leaves_those_of_the_last_good_run() {
    let mut night = Night::all();
    for number in 0..9 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    let path = night.folder.path().join("taskloom.prom");
    let flags = ["--job", "nightly", "--metrics-file", path.to_str().unwrap()];
    night.sync(&flags);
    let metric = |name: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect::<Vec<_>>();
        assert!(lines.len() == 1 && lines[0].contains("job=\"nightly\""), "{name}: {text}");
        lines[0].rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert_eq!(
        (metric("taskloom_run_success"), metric("taskloom_tasks_added"), metric("taskloom_lake_version")),
        (1.0, 9.0, 1.0)
    );
    let succeeded = metric("taskloom_last_success_timestamp_seconds");
    night.tasks.clear();
    let refused = night.run("sync", &[&flags[..], &["--reconcile"]].concat());
    assert_eq!(refused.status, Some(1));
    assert_eq!((metric("taskloom_run_success"), metric("taskloom_tasks_added")), (0.0, 9.0));
    assert_eq!(metric("taskloom_last_success_timestamp_seconds"), succeeded);
    assert!(metric("taskloom_run_ended_timestamp_seconds") >= succeeded);
}

#[test]
fn a_job_stands_in_a_file() {
    let mut night = Night::new(&[]);
    night.has("one", "completed", 1.0);
    let file = night.folder.path().join("taskloom.toml");
    std::fs::write(
        &file,
        "[job.nightly]\nall-projects = true\nreconcile-every = \"2d\"\n[job.other]\nall-projects = true\n",
    )
    .unwrap();
    night.sync(&["--config", file.to_str().unwrap(), "--job", "nightly"]);
    night.check();
    assert!(night.checkpoint("nightly").is_object() && night.checkpoint("default").is_null());
    let refused = night.run("sync", &["--config", file.to_str().unwrap()]);
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("taskloom.toml:1:1") && refused.stderr.contains("`nightly`"), "{}", refused.stderr);
}

#[test]
fn what_is_kept_as_it_came_makes_the_lake_anew() {
    let mut night = Night::all();
    for (number, status) in ["completed", "pending", "error", "completed"].iter().enumerate() {
        night.has(&format!("t{number}"), status, 4.0);
    }
    night.sync(&["--keep-raw"]);
    night.has("t1", "completed", 0.5).has("new", "pending", 0.1);
    night.sync(&["--keep-raw"]);
    let again = night.folder.path().join("again");
    let mut raw = std::fs::read_dir(night.out().join("_taskloom/raw"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect::<Vec<_>>();
    raw.sort();
    assert_eq!(raw.len(), 2);
    // In the order in which they came.
    taskloom().arg("flatten").args(&raw).arg("--out").arg(&again).assert().success();
    assert_eq!(restored(&Lake::open(&again).unwrap()), restored(&night.lake()));
}

#[test]
fn a_backfill_is_committed_slice_by_slice_and_goes_on_behind_the_last_one() {
    let mut night = Night::all();
    for number in 0..30 {
        night.has(&format!("t{number}"), "completed", 3.0 * f64::from(number));
    }
    // One is older than anything else tells, its project too.
    night.has("open", "pending", 40.0).has("ancient", "completed", 900.0);
    // One of a late slice can't be read: too many of its few.
    night.tasks.get_mut("t8").unwrap()["threads"] = json!("none");
    let flags = ["--commit-every", "7d"];
    let stopped = night.run("sync", &flags);
    assert_eq!(stopped.status, Some(1), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("slices are committed"), "{}", stopped.stderr);
    let (held, version) = (night.held(), night.lake().state().unwrap().version);
    assert!((10..29).contains(&held.len()) && version > 5, "{} tasks, version {version}", held.len());
    let watermark = instant(&night.checkpoint("default")["watermark"]);
    night.has("t8", "completed", 24.0);
    let rest = night.sync(&flags);
    night.check();
    let asked = rest
        .asked
        .iter()
        .filter_map(|query| query.split_once("completed_after\", \"")?.1.get(..20))
        .map(|at| at.parse().unwrap());
    let asked = asked.collect::<Vec<DateTime<Utc>>>();
    assert!(asked.iter().all(|after| *after >= watermark - TimeDelta::seconds(2)), "{asked:?} {watermark}");
    // It is over: the next night is as any other.
    assert!(night.checkpoint("default")["walked_at"].is_string());
    night.has("new", "completed", 0.1);
    assert!(night.sync(&flags).asked.len() < 10);
    night.check();
    // By tasks too, and to the same lake.
    let mut other = Night::all();
    other.tasks = night.tasks.clone();
    other.sync(&["--commit-every", "5"]);
    other.check();
    assert!(other.lake().state().unwrap().version > 3);
}

#[test]
fn a_lake_in_a_bucket_is_kept_up_to_date_in_the_same_way() {
    let mut night = Night::all();
    night.bucket = Some(StandIn::start(Options::default()));
    for number in 0..8 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.has("open", "pending", 3.0);
    let plain = night.folder.path().join("plain");
    let keeping = ["--checkout", plain.to_str().unwrap(), "--retain", "0s"];
    night.sync(&keeping);
    night.check();
    night.has("open", "completed", 0.1).has("t3", "pending", 1.0).without("t5");
    let reconciled = night.sync(&[&keeping[..], &["--reconcile", "--max-removed", "20%"]].concat());
    night.check();
    assert_eq!(reconciled.report["merged"]["tasks_removed"], 1);
    assert_eq!(reconciled.report["upkeep"]["checked_out_version"], reconciled.report["version"].as_u64().unwrap() + 1);
    assert!(reconciled.report["upkeep"]["removed_files"].as_u64().unwrap() > 0);
    let note: Value = serde_json::from_slice(&std::fs::read(plain.join("_checkout.json")).unwrap()).unwrap();
    assert_eq!(note["version"], reconciled.report["upkeep"]["checked_out_version"]);
    let removed = night.command("changes", &["--since", "1"]);
    assert!(removed.contains(r#""task_id":"t5","change":"removed""#), "{removed}");
    assert!(night.command("compact", &[]).contains("became"));
    night.check();
    let status: Value = serde_json::from_str(&night.command("status", &["--json", "--max-age", "1h"])).unwrap();
    assert_eq!((&status["tasks"], &status["jobs"][0]["last_run"]["outcome"]), (&json!(8), &json!("committed")));
    let compacted = night.lake().state().unwrap().version;
    night.has("late", "completed", 0.2);
    night.sync(&["--no-vacuum"]);
    night.check();
    night.command("rollback", &["--to", &compacted.to_string()]);
    assert!(!night.held().contains_key("late"));
    // Its watermark went back too: the next night brings it again.
    night.sync(&[]);
    night.check();
}

#[test]
fn a_run_that_is_killed_at_any_time_is_made_good_by_the_next_one() {
    let mut night = Night::all();
    for number in 0..40 {
        night.has(&format!("t{number}"), "completed", f64::from(number));
    }
    night.sync(&[]);
    for kill in 0..12_u64 {
        let changed = format!("t{kill}");
        night.has(&changed, "completed", 0.01 * kill as f64).has(&format!("new{kill}"), "pending", 0.1);
        let store = Store::from_tasks(night.tasks.values().cloned().collect());
        let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
        let simulator = Simulator::start(Arc::new(store), options, "127.0.0.1:0".parse().unwrap()).unwrap();
        let mut program = std::process::Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
        program
            .env("SCALE_API_KEY", KEY)
            .env("SCALE_API_URL", simulator.url())
            .env("XDG_CACHE_HOME", night.folder.path());
        program.args(["sync", "--quiet", "--all-projects", "--out"]).arg(night.out());
        let mut child = program.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(kill * 25));
        let _ = child.kill();
        child.wait().unwrap();
    }
    night.sync(&[]);
    night.check();
}

#[test]
fn runs_that_overlap_on_several_machines_lose_and_double_nothing() {
    let mut night = Night::all();
    for number in 0..60 {
        night.has(&format!("t{number}"), "completed", f64::from(number) / 4.0);
    }
    for round in 0..3 {
        let store = Store::from_tasks(night.tasks.values().cloned().collect());
        let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
        let simulator = Simulator::start(Arc::new(store), options, "127.0.0.1:0".parse().unwrap()).unwrap();
        let runs = [0, 1, 2].map(|machine| {
            let mut program = std::process::Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
            program.env("SCALE_API_KEY", KEY).env("SCALE_API_URL", simulator.url());
            program.env("XDG_CACHE_HOME", night.folder.path().join(format!("machine{machine}")));
            program.args(["sync", "--quiet", "--all-projects", "--out"]).arg(night.out()).spawn().unwrap()
        });
        for mut run in runs {
            assert!(matches!(run.wait().unwrap().code(), Some(0 | 4)), "round {round}");
        }
        night.check();
        night.has(&format!("t{round}"), "completed", 0.01).has(&format!("new{round}"), "completed", 0.01);
    }
    let told = changes(&night.lake(), &night.lake().state().unwrap()).into_values().flatten();
    let added = told.filter(|(_, change)| change == "added").count();
    assert_eq!(added, night.held().len());
}
