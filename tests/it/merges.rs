//! A lake that is fed run after run holds what a single run over the final state would hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use serde_json::{Value, json};
use taskloom::internals::config::RunConfig;
use taskloom::internals::error::{Error, Result};
use taskloom::internals::lake::{Lake, State};
use taskloom::internals::pipeline::{self, Outcome};
use taskloom::internals::progress::{Progress, Stage};
use taskloom::internals::report::{Ended, Report};
use taskloom::internals::restore::restore_state;
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::upkeep::{CompactOptions, compact, surplus_parts};

use crate::crashes::{Disturbance, check_whole, cut_the_power, disturbed, is_tried};
use crate::lakes::{by_id, config, findings, run};
use crate::restore::canonical_task;
use crate::stores::{copy, lake_in};

/// A run into what is there.
fn merge(lake: &Lake, text: &str) -> Result<Report> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, text).unwrap();
    run(RunConfig { lake: lake.clone(), work_dir: None, ..config(&input, folder.path()) })
}

fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values.into_iter().map(|value| format!("{value}\n")).collect()
}

/// A task of so many threads, as one of its versions has it.
pub fn task(id: u8, home: u8, content: u8) -> Value {
    let message = json!({"role": "user", "content": {"text": format!("text {content}")}, "annotations": [
        {"key": "quality", "type": "integer", "value": content}
    ]});
    let thread =
        |number: u8| json!({"id": format!("thread {number}"), "turns": [{"id": "turn", "messages": [message]}]});
    json!({
        "task_id": format!("task-{id}"),
        "project": format!("p/{}", home % 2),
        "batch": format!("batch {}", home % 3),
        "status": "completed",
        "created_at": "2025-01-01T00:00:00Z",
        "completed_at": format!("2025-01-0{}T00:00:00Z", 1 + home % 4),
        "threads": (0..content % 3).map(thread).collect::<Vec<_>>(),
    })
}

fn at(lake: &Lake, state: &State) -> BTreeMap<String, Value> {
    let mut out = Vec::new();
    restore_state(lake, state, &mut out).unwrap();
    by_id(&out).into_iter().map(|(id, task)| (id, canonical_task(&task))).collect()
}

/// What stands in a column of a table, with how often.
fn values(lake: &Lake, state: &State, table: &str, column: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for part in state.parts.values().filter(|part| part.rows(table) > 0) {
        for batch in taskloom::internals::file::open(&**lake.store(), &part.path(table)).unwrap() {
            let batch = batch.unwrap();
            for value in batch.column_by_name(column).unwrap().as_string::<i32>().iter().flatten() {
                *found.entry(value.to_owned()).or_default() += 1;
            }
        }
    }
    found
}

/// What a lake says that its versions did to tasks.
pub fn changes(lake: &Lake, state: &State) -> BTreeMap<u64, BTreeMap<String, String>> {
    let mut changes = BTreeMap::<u64, BTreeMap<String, String>>::new();
    for part in state.parts.values().filter(|part| part.rows("task_changes") > 0) {
        for batch in taskloom::internals::file::open(&**lake.store(), &part.path("task_changes")).unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let versions = batch.column_by_name("version").unwrap().as_primitive::<Int64Type>().clone();
            for row in 0..batch.num_rows() {
                let (id, word) = (text("task_id").value(row).to_owned(), text("change").value(row).to_owned());
                let known = changes.entry(versions.value(row) as u64).or_default().insert(id, word);
                assert_eq!(known, None, "a task is told of once a version");
            }
        }
    }
    changes
}

/// What leads from the tasks of one version to those of the next.
pub fn difference(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let mut difference = BTreeMap::new();
    for (id, task) in new {
        match old.get(id) {
            None => drop(difference.insert(id.clone(), "added".to_owned())),
            Some(old) if old != task => drop(difference.insert(id.clone(), "replaced".to_owned())),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|id| !new.contains_key(*id));
    difference.extend(gone.map(|id| (id.clone(), "removed".to_owned())));
    difference
}

/// What a run brings.
#[derive(Clone, Debug)]
enum Brought {
    Task(u8, u8, u8),
    /// A copy that can't be read: the task keeps what it has.
    Broken(u8),
    /// With its delivery and its project as objects.
    Delivered(u8, u8, u8, u8),
}

fn brought() -> impl Strategy<Value = Brought> {
    let of_task = (0..12u8, 0..6u8, 0..5u8);
    prop_oneof![
        8 => of_task.clone().prop_map(|(id, home, content)| Brought::Task(id, home, content)),
        1 => (0..12u8).prop_map(Brought::Broken),
        2 => (of_task, 0..3u8).prop_map(|((id, home, content), name)| Brought::Delivered(id, home, content, name)),
    ]
}

impl Brought {
    fn line(&self) -> Value {
        match *self {
            Brought::Task(id, home, content) => task(id, home, content),
            Brought::Broken(id) => json!({"task_id": format!("task-{id}"), "threads": "none"}),
            Brought::Delivered(id, home, content, name) => {
                let mut task = task(id, home, content);
                task["project"] = json!({"id": format!("p/{}", home % 2), "name": format!("project {name}")});
                json!({"delivery": {"id": format!("d{}", id % 2), "name": format!("delivery {name}")}, "tasks": [task]})
            }
        }
    }
}

/// What must be in the lake: tasks, deliveries' names by their ids, and which task came with which delivery.
#[derive(Clone, Debug, Default)]
struct Model {
    tasks: BTreeMap<String, Value>,
    deliveries: BTreeMap<String, String>,
    memberships: BTreeSet<String>,
}

impl Model {
    fn take(&mut self, brought: &Brought) {
        let line = brought.line();
        let task = match line.get("tasks") {
            Some(tasks) => {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                self.deliveries.insert(text(&line["delivery"]["id"]), text(&line["delivery"]["name"]));
                self.memberships.insert(text(&tasks[0]["task_id"]));
                &tasks[0]
            }
            None => &line,
        };
        if task["threads"].is_array() {
            self.tasks.insert(task["task_id"].as_str().unwrap().to_owned(), canonical_task(task));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_runs_holds_what_one_run_over_the_final_state_holds(
        runs in prop::collection::vec((prop::collection::vec(brought(), 0..12), any::<bool>()), 1..6)
    ) {
        let store = MemoryStore::named("memory");
        let lake = lake_in(&store);
        let mut model = Model::default();
        let mut versions = vec![Model::default()];
        for (brought, is_compacted) in &runs {
            let before = lake.state().unwrap();
            let report = merge(&lake, &lines(brought.iter().map(Brought::line))).unwrap();
            brought.iter().for_each(|brought| model.take(brought));
            let state = lake.state().unwrap();
            prop_assert_eq!(findings(&lake), []);
            prop_assert_eq!(&at(&lake, &state), &model.tasks);
            let names = values(&lake, &state, "deliveries", "name").into_keys().collect::<BTreeSet<_>>();
            prop_assert_eq!(names, model.deliveries.values().cloned().collect());
            // Each task comes with one delivery here: each membership is there once.
            let members = values(&lake, &state, "delivery_tasks", "task_id");
            prop_assert_eq!(members, model.memberships.iter().map(|id| (id.clone(), 1)).collect());
            let ids = values(&lake, &state, "deliveries", "delivery_id");
            prop_assert_eq!(ids, model.deliveries.keys().map(|id| (id.clone(), 1)).collect());
            match report.outcome {
                Ended::Committed => versions.push(model.clone()),
                Ended::NothingNew => prop_assert_eq!(&state, &before),
            }
            prop_assert_eq!(report.version, state.version);
            // Once more, and nothing is new.
            let again = merge(&lake, &lines(brought.iter().map(Brought::line))).unwrap();
            prop_assert_eq!(again.outcome, Ended::NothingNew);
            prop_assert_eq!(&lake.state().unwrap(), &state);
            if *is_compacted {
                let done = compact(&lake, &CompactOptions::default(), &Progress::default()).unwrap();
                let compacted = lake.state().unwrap();
                let folders = compacted.parts.values().filter(|part| part.has_rows()).map(|part| &part.folder);
                let (parts, distinct) = (folders.clone().count(), folders.collect::<BTreeSet<_>>().len());
                prop_assert_eq!(findings(&lake), []);
                prop_assert_eq!((&at(&lake, &compacted), surplus_parts(&compacted)), (&model.tasks, 0));
                prop_assert!(parts >= distinct && done.files_after <= done.files_before);
                if compacted.version > state.version {
                    versions.push(model.clone());
                }
            }
        }
        for (version, model) in versions.iter().enumerate().skip(1) {
            prop_assert_eq!(&at(&lake, &lake.state_at(version as u64).unwrap()), &model.tasks);
        }
        let told = changes(&lake, &lake.state().unwrap());
        for (version, [old, new]) in versions.windows(2).map(|two| [&two[0], &two[1]]).enumerate() {
            let told = told.get(&(version as u64 + 1)).cloned().unwrap_or_default();
            prop_assert_eq!(told, difference(&old.tasks, &new.tasks));
        }
    }
}

/// As many as `PROPTEST_CASES` says, for a longer search.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}

#[test]
fn only_the_parts_that_hold_a_changed_task_are_written_anew() {
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    let all = (0..40).map(|id| task(id, id, 1)).collect::<Vec<_>>();
    merge(&lake, &lines(all.clone())).unwrap();
    let before = lake.state().unwrap();
    let mut changed = task(7, 7, 2);
    changed["metadata"] = json!({"changed": true});
    let report = merge(&lake, &lines([all[3].clone(), changed, task(99, 1, 1)])).unwrap();
    let merged = report.merged.unwrap();
    assert_eq!((merged.tasks_added, merged.tasks_replaced, merged.tasks_unchanged), (1, 1, 1));
    assert_eq!(merged.parts_replaced, 1);
    let after = lake.state().unwrap();
    let gone = before.parts.keys().filter(|part| !after.parts.contains_key(*part)).collect::<Vec<_>>();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(findings(&lake), []);
    // Where it lay and where it came to, in the record too.
    let history = lake.history().unwrap();
    let counts = history.last().unwrap().counts;
    assert_eq!((counts.added, counts.replaced, counts.unchanged), (1, 1, 1));
}

#[test]
fn what_is_unchanged_is_written_anew_if_asked_to() {
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    let text = lines([task(1, 1, 1), task(2, 1, 1)]);
    merge(&lake, &text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines([task(1, 1, 1)])).unwrap();
    let config = RunConfig { lake: lake.clone(), work_dir: None, ..config(&input, folder.path()) };
    let report = run(RunConfig { rewrites_unchanged: true, ..config }).unwrap();
    assert_eq!((report.outcome, report.merged.unwrap().tasks_replaced), (Ended::Committed, 1));
    assert_eq!(findings(&lake), []);
    assert_eq!(at(&lake, &lake.state().unwrap()).len(), 2);
}

#[test]
fn a_run_of_another_layout_is_refused() {
    use taskloom::internals::partition::{DateGrain, Wanted};
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    merge(&lake, &lines([task(1, 1, 1)])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines([task(2, 1, 1)])).unwrap();
    let layout = Wanted { date_grain: Some(DateGrain::Month), ..Wanted::default() };
    let config = RunConfig { lake: lake.clone(), layout, work_dir: None, ..config(&input, folder.path()) };
    assert!(matches!(run(config), Err(Error::Layout { .. })));
}

#[test]
fn a_run_that_finds_another_committed_merges_anew_behind_it() {
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    merge(&lake, &lines([task(1, 1, 1), task(2, 1, 1), task(3, 2, 1)])).unwrap();
    // At the moment when the one is about to put its record, the other commits.
    let (other, has_come) = (store.clone(), std::sync::atomic::AtomicBool::new(false));
    let hook = move |name: &'static str, path: &str| {
        let is_record = name == "put_if_absent" && path.contains("_taskloom/commits");
        if is_record && !has_come.swap(true, std::sync::atomic::Ordering::SeqCst) {
            merge(&lake_in(&other), &lines([task(2, 1, 3), task(4, 1, 1)])).unwrap();
        }
        Fault::None
    };
    let disturbed: Arc<dyn Store> = Arc::new(Faulty::new(&store, hook));
    let report = merge(&Lake::on(disturbed), &lines([task(2, 1, 2), task(3, 3, 2), task(5, 1, 1)])).unwrap();
    assert_eq!(report.version, 3);
    let expected = [task(1, 1, 1), task(2, 1, 2), task(3, 3, 2), task(4, 1, 1), task(5, 1, 1)];
    let found = at(&lake, &lake.state().unwrap()).into_values().collect::<Vec<_>>();
    assert_eq!(found, expected.iter().map(canonical_task).collect::<Vec<_>>());
    assert_eq!(findings(&lake), []);
}

#[test]
fn the_program_says_that_nothing_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("tasks.ndjson"), folder.path().join("lake"));
    let flatten = |tasks: Vec<Value>, flags: &[&str]| {
        std::fs::write(&input, lines(tasks)).unwrap();
        let mut command = crate::lakes::taskloom();
        command.arg("flatten").arg(&input).arg("--out").arg(&lake).args(flags);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    flatten(vec![task(1, 1, 1), task(2, 1, 1)], &[]);
    let told = flatten(vec![task(1, 1, 1)], &[]);
    assert!(told.contains("nothing new") && told.contains("1 unchanged"), "{told}");
    let report: Value = serde_json::from_str(&flatten(vec![task(1, 1, 1)], &["--json"])).unwrap();
    assert_eq!((&report["outcome"], &report["version"]), (&"nothing_new".into(), &1.into()));
    let told = flatten(vec![task(1, 1, 2)], &[]);
    assert!(told.contains("1 replaced") && told.contains("checkout"), "{told}");
    let told = flatten(vec![task(1, 1, 3)], &[]);
    assert!(told.contains("1 replaced") && !told.contains("checkout"), "only the first time: {told}");
    assert_eq!(files(&lake), []);
}

fn files(lake: &Path) -> Vec<taskloom::internals::lake::Finding> {
    findings(&Lake::open(lake).unwrap())
}

#[test]
fn of_two_exports_that_meet_the_copy_counts_that_was_completed_later() {
    use taskloom::internals::simulate::{SimulateOptions, Simulator, Store as Served};
    use taskloom::internals::source::api::{Moving, Plan, Selector};

    use crate::export::{KEY, api, config, query};
    let served = |who: &str, completed: [Option<&str>; 4]| {
        let task = |(number, at): (usize, Option<&str>)| {
            json!({
                "task_id": format!("t{number}"), "project": "p", "created_at": "2025-01-01T00:00:00Z",
                "status": if at.is_some() { "completed" } else { "pending" }, "completed_at": at, "metadata": {"of": who}
            })
        };
        let tasks = completed.into_iter().enumerate().map(task).collect();
        let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
        Simulator::start(Arc::new(Served::from_tasks(tasks)), options, "127.0.0.1:0".parse().unwrap()).unwrap()
    };
    let day = |day: u8| format!("2025-01-0{day}T00:00:00Z");
    let [second, third, fourth, fifth] = [2, 3, 4, 5].map(day);
    let one = served("one", [Some(&second), Some(&fifth), None, Some(&second)]);
    let other = served("other", [Some(&third), Some(&fourth), None, Some(&second)]);
    // Later, earlier, and the same: when the fetch of the one began before or behind that of the other.
    for (one_began, other_began, expected) in
        [(1, 2, ["other", "one", "other", "other"]), (2, 1, ["other", "one", "one", "one"])]
    {
        let folder = tempfile::tempdir().unwrap();
        let export = |simulator: &Simulator, lake: Lake, began_at: i64| {
            let query = query(vec![Selector::AllProjects]);
            let mut api = api(&simulator.url(), query.clone(), 1);
            api.plan = Plan::new((query, Moving::default()), began_at * 1_000_000, 6, 1);
            run(RunConfig { lake, work_dir: None, ..config(api, folder.path()) }).unwrap()
        };
        let store = MemoryStore::named("memory");
        merge(&lake_in(&store), &lines([json!({"task_id": "t0", "project": "elsewhere"})])).unwrap();
        let has_come = std::sync::atomic::AtomicBool::new(false);
        let (url, behind) = (other.url(), store.clone());
        let hook = move |name: &'static str, path: &str| {
            let is_record = name == "put_if_absent" && path.contains("_taskloom/commits");
            if is_record && !has_come.swap(true, std::sync::atomic::Ordering::SeqCst) {
                let query = query(vec![Selector::AllProjects]);
                let mut api = api(&url, query.clone(), 1);
                api.plan = Plan::new((query, Moving::default()), other_began * 1_000_000, 6, 1);
                let folder = tempfile::tempdir().unwrap();
                run(RunConfig { lake: lake_in(&behind), work_dir: None, ..config(api, folder.path()) }).unwrap();
            }
            Fault::None
        };
        let disturbed: Arc<dyn Store> = Arc::new(Faulty::new(&store, hook));
        let report = export(&one, Lake::on(disturbed), one_began);
        let lake = lake_in(&store);
        assert_eq!(findings(&lake), []);
        let found = at(&lake, &lake.state().unwrap());
        let found = found.values().map(|task| task["metadata"]["of"].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(found, expected);
        let outdated = expected.iter().filter(|who| **who == "other").count() as u64;
        assert_eq!(report.merged.unwrap().tasks_outdated, outdated);
    }
}

/// Merges by one thread, so that its operations come in the same order each time.
fn merge_in_order(store: Arc<dyn Store>, input: &Path) -> Result<Report> {
    crate::stores::run_on(&store, input, false)
}

#[test]
fn a_merge_that_is_disturbed_at_any_operation_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, tasks: &[Value]| {
        let input = folder.path().join(name);
        std::fs::write(&input, lines(tasks.to_vec())).unwrap();
        input
    };
    let old = written("old.ndjson", &[task(1, 1, 1), task(2, 1, 1), task(3, 2, 1), task(4, 2, 2)]);
    // It changes one, moves one, adds one, and brings one as it is.
    let first = written("first.ndjson", &[task(1, 1, 2), task(2, 2, 1), task(5, 1, 1), task(4, 2, 2)]);
    let second = written("second.ndjson", &[task(3, 3, 2), task(5, 1, 2), task(6, 1, 1)]);
    let held = |runs: &[&Path]| {
        let store = MemoryStore::named("undisturbed");
        runs.iter().for_each(|input| drop(merge_in_order(Arc::new(store.clone()), input).unwrap()));
        at(&lake_in(&store), &lake_in(&store).state().unwrap())
    };
    let now = |store: &MemoryStore| at(&lake_in(store), &lake_in(store).state().unwrap());
    let (as_old, with_first) = (held(&[&old]), held(&[&old, &first]));
    let (without_first, with_both) = (held(&[&old, &second]), held(&[&old, &first, &second]));
    let before = MemoryStore::named("before");
    merge_in_order(Arc::new(before.clone()), &old).unwrap();
    let (faulty, operations) = disturbed(&copy(&before), None);
    merge_in_order(Arc::new(faulty), &first).unwrap();
    let operations = operations.load(SeqCst);
    assert!(operations > 80, "{operations}");
    for at in 0..operations {
        let faults = [Fault::Failed, Fault::Unheard, Fault::Late];
        let ways = faults.into_iter().flat_map(|fault| [(fault, true), (fault, false)]).enumerate();
        for (_, (fault, is_end)) in ways.filter(|(way, _)| is_tried(at, *way)) {
            let disturbance = Disturbance { at, fault, is_end };
            let store = copy(&before);
            let (faulty, _) = disturbed(&store, Some(disturbance));
            let ended = merge_in_order(Arc::new(faulty.clone()), &first);
            if is_end {
                cut_the_power(&faulty, at as u64);
            }
            let found = now(&store);
            assert!(found == as_old || found == with_first, "{disturbance:?}");
            assert!(ended.is_err() || found == with_first, "{disturbance:?}");
            // What was late comes to be while the next run is about to commit.
            let late = faulty.clone();
            let next = Faulty::new(&store, move |name, path| {
                if name == "put_if_absent" && path.contains("commits") {
                    late.land();
                }
                Fault::None
            });
            merge_in_order(Arc::new(next), &second).unwrap();
            faulty.land();
            check_whole(&store);
            assert_eq!(findings(&lake_in(&store)), [], "{disturbance:?}");
            let found = now(&store);
            assert!(found == with_both || ended.is_err() && found == without_first, "{disturbance:?}");
        }
    }
}

#[test]
fn a_merge_that_is_asked_to_stop_at_any_operation_is_in_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines((2..8).map(|id| task(id, id + 1, 2)))).unwrap();
    let before = MemoryStore::named("before");
    merge(&lake_in(&before), &lines((0..6).map(|id| task(id, id, 1)))).unwrap();
    let [mut stopped, mut merging] = [0; 2];
    for stop_at in 0.. {
        let (store, progress) = (copy(&before), Arc::new(Progress::default()));
        let (counted, asked) = (AtomicUsize::new(0), Arc::clone(&progress));
        let hook = move |_: &'static str, _: &str| {
            if counted.fetch_add(1, SeqCst) == stop_at {
                asked.stop(2);
            }
            Fault::None
        };
        let lake = Lake::on(Arc::new(Faulty::new(&store, hook)));
        let config = RunConfig { lake, threads: 1, work_dir: None, ..config(&input, folder.path()) };
        let ended = pipeline::run(config, &progress).and_then(Outcome::report);
        let stage = progress.counts().stage;
        let tasks = at(&lake_in(&store), &lake_in(&store).state().unwrap()).len();
        match ended {
            Ok(report) => assert_eq!((report.version, tasks), (2, 8), "{stop_at}"),
            Err(Error::Interrupted { signal: 2 }) => assert_eq!(tasks, 6, "{stop_at}"),
            Err(error) => panic!("{stop_at}: {error}"),
        }
        check_whole(&store);
        stopped += u32::from(tasks == 6);
        merging += u32::from(stage == Stage::Merging);
        if progress.check().is_ok() {
            break;
        }
    }
    assert!(stopped > 30 && merging > 10, "{stopped} {merging}");
}

#[test]
fn an_export_with_other_options_is_refused_before_it_and_while_it_runs() {
    use taskloom::internals::simulate::{SimulateOptions, Simulator, Store as Served};
    use taskloom::internals::source::api::{Query, Selector};

    use crate::export::{KEY, api, config, query};
    let served = Served::from_tasks(vec![json!({"task_id": "t", "project": "p", "status": "pending"})]);
    let options = SimulateOptions { token: Some(KEY.to_owned()), ..SimulateOptions::default() };
    let simulator = Simulator::start(Arc::new(served), options, "127.0.0.1:0".parse().unwrap()).unwrap();
    let url = simulator.url();
    let export = move |store: Arc<dyn Store>, opts: &[&str], is_overwrite: bool| {
        let folder = tempfile::tempdir().unwrap();
        let opts = opts.iter().map(|word| (*word).to_owned()).collect();
        let query = Query { opts, ..query(vec![Selector::AllProjects]) };
        let config = config(api(&url, query, 1), folder.path());
        run(RunConfig { lake: Lake::on(store), work_dir: None, is_overwrite, ..config })
    };
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    export(Arc::new(store.clone()), &["annotation_details"], false).unwrap();
    let before = lake.state().unwrap();
    let refused = export(Arc::new(store.clone()), &[], false).unwrap_err();
    assert!(matches!(refused, Error::Opts { .. }), "{refused}");
    assert_eq!(lake.state().unwrap(), before);
    // Files tell nothing of options, and may come to it.
    merge(&lake, &lines([task(1, 1, 1)])).unwrap();
    // One that was begun with the lake's options, and finds others when it is about to commit.
    merge(&lake, &lines([json!({"task_id": "t", "project": "p", "status": "other"})])).unwrap();
    let (other, has_come, exports) = (store.clone(), std::sync::atomic::AtomicBool::new(false), export.clone());
    let hook = move |name: &'static str, path: &str| {
        let is_record = name == "put_if_absent" && path.contains("_taskloom/commits");
        if is_record && !has_come.swap(true, std::sync::atomic::Ordering::SeqCst) {
            // Who replaces all would see that another is there.
            other.list("_taskloom/running").unwrap().iter().for_each(|entry| other.delete(&entry.path).unwrap());
            exports(Arc::new(other.clone()), &[], true).unwrap();
        }
        Fault::None
    };
    let conflict = export(Arc::new(Faulty::new(&store, hook)), &["annotation_details"], false).unwrap_err();
    assert!(matches!(conflict, Error::Conflict { .. }), "{conflict}");
    assert_eq!(findings(&lake), []);
    assert_eq!(lake.state().unwrap().opts, Some(Vec::new()));
}
