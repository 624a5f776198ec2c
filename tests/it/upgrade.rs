//! A lake of the first schema, which lies in `tests/schema_1` with what it was made from and how: releases go on with it as it is, and
//! `upgrade` brings it to the newest one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use taskloom::internals::error::Error;
use taskloom::internals::file::open;
use taskloom::internals::lake::Lake;
use taskloom::internals::partition::DateGrain;
use taskloom::internals::restore::restore_state;
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::table::SCHEMA_VERSION;
use taskloom::internals::upkeep::{
    CompactOptions, ForgetOptions, UpgradeOptions, Upgraded, compact, forget, outdated_parts, rollback, upgrade,
};

use crate::crashes::{Disturbance, disturbed, is_tried};
use crate::lakes::{by_id, config, findings, restored, run, shallow, taskloom};
use crate::restore::canonical_task;
use crate::stores::{copy, lake_in};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema_1")
}

fn of_schema_1() -> MemoryStore {
    let store = MemoryStore::named("memory");
    let lake = home().join("lake");
    for file in walkdir::WalkDir::new(&lake).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file()) {
        let path = file.path().strip_prefix(&lake).unwrap().to_str().unwrap();
        store.put(path, &std::fs::read(file.path()).unwrap()).unwrap();
    }
    store
}

fn upgraded(lake: &Lake) -> Upgraded {
    upgrade(lake, &UpgradeOptions::default(), &Default::default()).unwrap()
}

/// Flattens lines into a lake.
fn flattened(lake: &Lake, lines: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines).unwrap();
    let config = config(&input, folder.path());
    run(taskloom::internals::config::RunConfig { lake: lake.clone(), work_dir: None, ..config }).unwrap().version
}

/// The tasks that its inputs, one after the other, leave in the lake.
fn expected() -> BTreeMap<String, Value> {
    let inputs = ["first.ndjson", "second.ndjson"].map(|name| std::fs::read_to_string(home().join(name)).unwrap());
    let tasks = inputs.iter().flat_map(|input| input.lines()).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let tasks = tasks.filter_map(|task| Some((task.get("task_id")?.as_str()?.to_owned(), canonical_task(&task))));
    tasks.collect()
}

fn tasks(lake: &Lake) -> BTreeMap<String, Value> {
    restored(lake).into_iter().map(|(id, task)| (id, canonical_task(&task))).collect()
}

/// The values of a column of text, or of integers, over all files of a table, by the text of another.
fn values(lake: &Lake, table: &str, key: &str, column: &str) -> Vec<(String, Option<String>)> {
    let mut values = Vec::new();
    let state = lake.state().unwrap();
    for part in state.in_order().into_iter().filter(|part| part.rows(table) > 0) {
        for batch in open(&**lake.store(), &part.path(table)).unwrap().map(Result::unwrap) {
            let keys = batch.column_by_name(key).unwrap().as_string::<i32>().clone();
            let texts = batch.column_by_name(column).map(|column| match column.as_primitive_opt::<Int64Type>() {
                Some(numbers) => numbers.iter().map(|number| number.map(|number| number.to_string())).collect(),
                None => column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>(),
            });
            for (row, key) in keys.iter().enumerate() {
                let value = texts.as_ref().and_then(|texts| texts[row].clone());
                values.push((key.unwrap().to_owned(), value));
            }
        }
    }
    values.sort();
    values
}

/// Whether the record of a version says that tables got columns.
fn widens(lake: &Lake, version: u64) -> bool {
    let record = lake.store().get(&format!("_taskloom/commits/{version:020}.json")).unwrap().unwrap();
    serde_json::from_slice::<Value>(&record).unwrap()["record"].get("widens").is_some()
}

/// printf hello | sha256sum
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// printf '' | sha256sum
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn an_older_lake_gets_its_columns_in_one_version_and_no_task_changes() {
    let store = of_schema_1();
    let lake = lake_in(&store);
    let before = lake.state().unwrap();
    assert_eq!((before.schema_version, findings(&lake)), (1, vec![]));
    assert_eq!(tasks(&lake), expected());
    assert!(outdated_parts(&before) > 3);
    let hashes = values(&lake, "tasks", "task_id", "content_hash");
    let changes = values(&lake, "task_changes", "task_id", "change");

    let done = upgraded(&lake);
    let after = lake.state().unwrap();
    assert_eq!(
        (done.version, done.schema_version_before, done.schema_version),
        (before.version + 1, 1, SCHEMA_VERSION)
    );
    assert_eq!((done.parts, outdated_parts(&after)), (outdated_parts(&before) as u64, 0));
    assert_eq!((after.version, after.schema_version, findings(&lake)), (done.version, SCHEMA_VERSION, vec![]));
    assert_eq!(tasks(&lake), expected());
    assert_eq!(values(&lake, "tasks", "task_id", "content_hash"), hashes);
    assert_eq!(values(&lake, "task_changes", "task_id", "change"), changes);
    // Parts for which there is nothing new stay as they are.
    let kept = before.parts.values().filter(|part| after.parts.contains_key(&part.part)).collect::<Vec<_>>();
    assert!(kept.iter().all(|part| part.rows("attachments") == 0 && part.rows("delivery_tasks") == 0));
    assert!(kept.iter().any(|part| part.rows("tasks") > 0));

    let own = |id: &str, value: Option<&str>| (id.to_owned(), value.map(str::to_owned));
    let sha256 = [
        own("task-1", None),
        own("task-1", Some(HELLO)),
        own("task-2", Some(HELLO)),
        own("task-3", None),
        own("task-4", Some(HELLO)),
        own("task-4", Some(NOTHING)),
        own("task-6", Some(HELLO)),
    ];
    assert_eq!(values(&lake, "attachments", "task_id", "content_sha256"), sha256);
    let bytes = values(&lake, "attachments", "task_id", "content_bytes");
    assert_eq!(bytes.iter().filter_map(|(_, bytes)| bytes.as_deref()).collect::<Vec<_>>(), ["5", "5", "0", "5", "5"]);
    // What is computed takes no field's place that a task has.
    let extra = values(&lake, "attachments", "task_id", "extra");
    assert!(extra.iter().flat_map(|(_, extra)| extra).any(|extra| extra.contains("said by whoever sent it")));
    let schema_ids = [own("task-1", Some("schema_p")), own("task-2", None), own("task-4", None)];
    assert_eq!(values(&lake, "delivery_tasks", "task_id", "response_schema_id"), schema_ids);
    let rest = values(&lake, "delivery_tasks", "task_id", "extra").into_iter().map(|(_, extra)| extra.unwrap());
    let rest = rest.map(|extra| serde_json::from_str::<Value>(&extra).unwrap()).collect::<Vec<_>>();
    let created_at = "2024-12-31T23:59:59Z";
    let expected_rest = [
        serde_json::json!({"created_at": created_at, "note": "as sent"}),
        // What no column can hold stays.
        serde_json::json!({"created_at": created_at, "delivered_at": "yesterday", "response_schema_id": {"id": 5}}),
        serde_json::json!({"created_at": created_at}),
    ];
    assert_eq!(rest, expected_rest);

    assert_eq!(
        upgraded(&lake),
        Upgraded { schema_version_before: 2, parts: 0, files: 0, bytes_before: 0, bytes_after: 0, ..done }
    );
    assert_eq!(lake.state().unwrap().version, done.version);
    // A version of before is what it was, and can be had again, and upgraded again.
    let at = |version: &str| {
        let mut out = Vec::new();
        restore_state(&lake, &lake.state_of(Some(version)).unwrap(), &mut out).unwrap();
        by_id(&out).len()
    };
    assert_eq!((at("before"), at("4"), at(&done.version.to_string())), (5, 6, 6));
    rollback(&lake, 4, &Default::default()).unwrap();
    assert_eq!(outdated_parts(&lake.state().unwrap()), outdated_parts(&before));
    assert_eq!(upgraded(&lake).parts, done.parts);
    assert_eq!((tasks(&lake), findings(&lake)), (expected(), vec![]));
}

/// The input once more, with a task that is new and one that changed.
fn more() -> String {
    let first = std::fs::read_to_string(home().join("first.ndjson")).unwrap();
    let task = |id: &str, from: &str| {
        first
            .lines()
            .find(|line| line.contains(&format!("{from:?}")))
            .unwrap()
            .replace(from, id)
            .replace("Answer", "Other")
            + "\n"
    };
    task("task-1", "task-1") + &task("task-7", "task-1")
}

#[test]
fn what_goes_on_with_an_older_lake_leaves_a_mixed_one_that_is_right_before_the_upgrade_and_after() {
    for kind in 0..4 {
        let store = of_schema_1();
        let lake = lake_in(&store);
        let mut expected = expected();
        match kind {
            0 => drop(lake.tag("named", None, &Default::default()).unwrap()),
            1 => {
                flattened(&lake, &more());
                let brought =
                    more().lines().map(|line| canonical_task(&serde_json::from_str(line).unwrap())).collect::<Vec<_>>();
                expected.extend(brought.into_iter().map(|task| (task["task_id"].as_str().unwrap().to_owned(), task)));
            }
            2 => {
                // Two parts of one partition, of either schema, become one.
                let line = more().lines().last().unwrap().to_owned();
                flattened(&lake, &line);
                let task = canonical_task(&serde_json::from_str(&line).unwrap());
                expected.insert("task-7".to_owned(), task);
                compact(&lake, &Default::default(), &Default::default()).unwrap();
                let state = lake.state().unwrap();
                let joined = state.parts.values().filter(|part| part.rows("tasks") > 3).collect::<Vec<_>>();
                assert!(joined.iter().all(|part| part.schema_version == 1) && joined.len() == 1, "{state:?}");
            }
            _ => {
                let options = ForgetOptions { tasks: vec!["task-4".to_owned()], ..ForgetOptions::default() };
                forget(&lake, &options, &Default::default()).unwrap();
                expected.remove("task-4");
            }
        }
        let mixed = lake.state().unwrap();
        assert_eq!((tasks(&lake), findings(&lake)), (expected.clone(), vec![]), "{kind}");
        assert_eq!(mixed.schema_version, SCHEMA_VERSION);
        assert!(outdated_parts(&mixed) > 0);
        // One version said that the tables are wider, and no other does.
        assert_eq!((mixed.begins_at()..=mixed.version).filter(|version| widens(&lake, *version)).count(), 1);
        upgraded(&lake);
        assert_eq!((tasks(&lake), findings(&lake)), (expected, vec![]), "{kind}");
        assert_eq!(outdated_parts(&lake.state().unwrap()), 0);
        let hello = values(&lake, "attachments", "task_id", "content_sha256");
        assert!(hello.contains(&("task-6".to_owned(), Some(HELLO.to_owned()))), "{kind}: {hello:?}");
    }
}

#[test]
fn an_upgrade_that_is_disturbed_at_any_operation_changes_nothing_or_all_and_is_made_good() {
    let before = of_schema_1();
    let tasks = restored(&lake_in(&before));
    let options = UpgradeOptions { threads: 1, ..UpgradeOptions::default() };
    let (counted, operations) = disturbed(&copy(&before), None);
    upgrade(&Lake::on(Arc::new(counted)), &options, &Default::default()).unwrap();
    let operations = operations.load(SeqCst);
    assert!(operations > 50, "{operations}");
    for at in 0..operations {
        let is_end = at / 3 % 2 == 0;
        let faults = [Fault::Failed, Fault::Unheard, Fault::Late].into_iter().enumerate();
        for (_, fault) in faults.filter(|(way, _)| is_tried(at, *way)) {
            let store = copy(&before);
            let (faulty, _) = disturbed(&store, Some(Disturbance { at, fault, is_end }));
            let _ = upgrade(&Lake::on(Arc::new(faulty.clone())), &options, &Default::default());
            faulty.land();
            let lake = lake_in(&store);
            let (state, outdated) = (lake.state().unwrap(), outdated_parts(&lake.state().unwrap()));
            assert_eq!((restored(&lake), state.version > 4), (tasks.clone(), outdated == 0), "{at}");
            upgraded(&lake);
            lake.recover(&Default::default()).unwrap();
            assert_eq!((restored(&lake), shallow(&lake)), (tasks.clone(), vec![]), "{at}");
            assert_eq!(outdated_parts(&lake.state().unwrap()), 0, "{at}");
        }
    }
}

#[test]
fn an_upgrade_that_meets_another_run_goes_on_behind_it_with_what_it_has_made() {
    let store = of_schema_1();
    let lake = lake_in(&store);
    let (other, has_come) = (store.clone(), AtomicBool::new(false));
    let hook = move |name: &'static str, path: &str| {
        if name == "put_if_absent" && path.contains("_taskloom/commits") && !has_come.swap(true, SeqCst) {
            flattened(&lake_in(&other), &more());
        }
        Fault::None
    };
    let disturbed: Arc<dyn Store> = Arc::new(Faulty::new(&store, hook));
    let done = upgraded(&Lake::on(disturbed));
    let state = lake.state().unwrap();
    assert_eq!((done.version, outdated_parts(&state), findings(&lake)), (6, 0, vec![]));
    assert_eq!(tasks(&lake).len(), 7);
    // Of the parts that the other one left, none was made twice.
    let made = state.parts.values().filter(|part| part.part.contains("-upgrade")).map(|part| &part.part);
    let (first, second): (Vec<_>, Vec<_>) = made.partition(|part| part.contains("upgrade0-"));
    assert!(!first.is_empty() && !second.is_empty() && second.len() < 3, "{first:?} {second:?}");
    assert!(widens(&lake, 5) && !widens(&lake, 6));
}

/// Two tasks of a partition with members that are not in the order of their names, one with an attachment; and deliveries of ids that
/// are not of one length.
const ODD: &str = r#"{"task_id":"a","project":"p","metadata":{"source":"x","app":{"z":1,"a":2}},"unknown":{"z":1,"a":2}}
{"task_id":"b","project":"p","metadata":{"source":"x","app":{"z":1,"a":2}},"unknown":{"z":1,"a":2},"threads":[{"id":"t","turns":[{"id":"u","messages":[{"role":"user","content":{"attachments":[{"content":"aGVsbG8="}]},"odd":{"y":[{"z":1,"a":2}],"b":1}}]}]}]}
{"docs":[{"task_id":"a","delivery_id":"d9","z":1,"a":2},{"task_id":"b","delivery_id":"d10","z":1,"a":2},{"task_id":"b","delivery_id":"d"}],"total":3}
"#;

#[test]
fn columns_of_json_stay_as_they_are_written_and_rows_in_their_order() {
    let (old, new) = (of_schema_1(), MemoryStore::named("memory"));
    flattened(&lake_in(&new), ODD);
    flattened(&lake_in(&old), ODD);
    assert_eq!((findings(&lake_in(&new)), findings(&lake_in(&old))), (vec![], vec![]));
    // Whatever is put together from rows, and becomes rows again.
    let gone =
        ForgetOptions { contributors: vec!["nobody".to_owned()], allows_unknown: true, ..ForgetOptions::default() };
    forget(&lake_in(&new), &gone, &Default::default()).unwrap();
    for table in ["tasks", "messages", "delivery_tasks"] {
        for column in ["extra", "metadata"] {
            let found = values(&lake_in(&new), table, "task_id", column);
            let words = found.iter().flat_map(|(_, json)| json).cloned().collect::<BTreeSet<_>>();
            assert!(words.iter().all(|json| ODD.contains(json.trim_matches(['{', '}']))), "{words:?}");
        }
    }
    let json = restored_lines(&lake_in(&new));
    assert!(json.contains(r#""metadata":{"source":"x","app":{"z":1,"a":2}}"#), "{json}");
    assert!(json.contains(r#""odd":{"y":[{"z":1,"a":2}],"b":1}"#), "{json}");
}

fn restored_lines(lake: &Lake) -> String {
    let mut out = Vec::new();
    restore_state(lake, &lake.readable_state().unwrap(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_an_upgrade_left_because_nothing_is_new_for_it_is_not_asked_for_again() {
    let store = of_schema_1();
    let lake = lake_in(&store);
    upgraded(&lake);
    // A part that stayed, and a new one with an attachment in its partition.
    let line = more()
        .lines()
        .last()
        .unwrap()
        .replace("\"b\"", "null")
        .replace("\"p\"", "null")
        .replace("2025-01-01T04", "2025-01-03T04");
    flattened(&lake, &line);
    let before = lake.state().unwrap();
    let month = CompactOptions { date_grain: Some(DateGrain::Month), ..CompactOptions::default() };
    compact(&lake, &month, &Default::default()).unwrap();
    assert!(before.parts.values().any(|part| part.schema_version == 1 && part.has_rows()));
    assert_eq!((outdated_parts(&before), outdated_parts(&lake.state().unwrap()), findings(&lake)), (0, 0, vec![]));
}

#[test]
fn rows_of_an_older_schema_drift_by_what_was_known_then() {
    let lake = lake_in(&of_schema_1());
    let fields = |lake: &Lake| {
        let (found, _) = taskloom::internals::inspect::drift_of(lake).unwrap().finish();
        let own = found.into_iter().filter(|finding| finding.table == "delivery_tasks");
        own.map(|finding| finding.path).collect::<BTreeSet<_>>()
    };
    assert_eq!(fields(&lake), ["note".to_owned()].into());
    upgraded(&lake);
    // Now what the columns can't hold is told.
    assert_eq!(fields(&lake), ["delivered_at", "note", "response_schema_id"].map(str::to_owned).into());
}

#[test]
fn a_version_of_words_that_comes_before_it_widens_the_lake_alone() {
    let store = of_schema_1();
    let (other, has_come) = (store.clone(), AtomicBool::new(false));
    let hook = move |name: &'static str, path: &str| {
        if name == "put_if_absent" && path.contains("_taskloom/commits") && !has_come.swap(true, SeqCst) {
            lake_in(&other).tag("named", None, &Default::default()).unwrap();
        }
        Fault::None
    };
    let disturbed: Arc<dyn Store> = Arc::new(Faulty::new(&store, hook));
    assert_eq!(upgraded(&Lake::on(disturbed)).version, 6);
    let lake = lake_in(&store);
    assert!(widens(&lake, 5) && !widens(&lake, 6));
    assert_eq!(findings(&lake), []);
}

#[test]
fn rows_that_were_damaged_unseen_are_told_and_not_made_good_in_their_hash() {
    let store = of_schema_1();
    let lake = lake_in(&store);
    let state = lake.state().unwrap();
    let part = state.parts.values().find(|part| part.rows("messages") > 0 && part.rows("attachments") > 0).unwrap();
    let path = part.path("messages");
    let batches = open(&store, &path).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), None).unwrap();
    for batch in &batches {
        let (at, _) = batch.schema().column_with_name("text").unwrap();
        let mut columns = batch.columns().to_vec();
        columns[at] = Arc::new(columns[at].as_string::<i32>().iter().map(|_| Some("Changed.")).collect::<StringArray>())
            as ArrayRef;
        writer.write(&RecordBatch::try_new(batch.schema(), columns).unwrap()).unwrap();
    }
    store.put(&path, &writer.into_inner().unwrap()).unwrap();
    let error = upgrade(&lake, &UpgradeOptions::default(), &Default::default()).unwrap_err();
    assert!(matches!(&error, Error::OtherContent { task_id, .. } if task_id.starts_with("task-")), "{error}");
    assert_eq!(lake.state().unwrap().version, state.version);
    assert!(
        store.paths("attachments").unwrap().iter().all(|path| !path.contains("upgrade")),
        "it took back what it wrote"
    );
}

#[test]
fn the_program_upgrades_and_says_what_it_did_and_what_is_to_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    for file in walkdir::WalkDir::new(home().join("lake")).into_iter().map(Result::unwrap) {
        let to = lake.join(file.path().strip_prefix(home().join("lake")).unwrap());
        match file.file_type().is_dir() {
            true => std::fs::create_dir_all(to).unwrap(),
            false => drop(std::fs::copy(file.path(), to).unwrap()),
        }
    }
    let told = |words: &[&str]| {
        let output = taskloom().args(words).arg(&lake).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    assert!(told(&["status"]).contains("parts that lack columns that came since: 6; `taskloom upgrade"));
    let done = told(&["upgrade"]);
    assert!(done.contains("parts in") && done.contains("came to schema 2") && done.contains("as version 5"), "{done}");
    assert!(!told(&["status"]).contains("lack columns"));
    assert_eq!(told(&["upgrade"]), "nothing to upgrade: version 5 has the newest schema, 2\n");
    let json: Value = serde_json::from_str(&told(&["upgrade", "--json"])).unwrap();
    assert_eq!((&json["version"], &json["parts"]), (&5.into(), &0.into()));
    let history = told(&["history"]);
    assert!(history.contains("upgrade"), "{history}");
}
