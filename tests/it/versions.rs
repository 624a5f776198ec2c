//! Many versions of a lake: which are kept, what they are called, and reading one while others come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use chrono::{DateTime, Utc};
use serde_json::Value;
use taskloom::internals::error::{Error, Result};
use taskloom::internals::inspect::drift_of_state;
use taskloom::internals::lake::{Author, Lake, State, VacuumOptions, Vacuumed};
use taskloom::internals::part::PartEntry;
use taskloom::internals::restore::restore_state;
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::table::TABLES;
use taskloom::internals::verify::{VerifyOptions, verify};

use taskloom::internals::upkeep::rollback;

use crate::lakes::{by_id, findings, restored, shallow, taskloom};
use crate::stores::{copy, input, lake_in, run_on};

/// A lake of so many versions, each of other tasks.
fn lake_of(versions: u64) -> MemoryStore {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::named("memory");
    for version in 1..=versions {
        run_on(lake_in(&store).store(), &input(folder.path(), version, 2), version > 1).unwrap();
    }
    store
}

fn vacuum(lake: &Lake, kept_since: DateTime<Utc>) -> Result<Vacuumed> {
    lake.vacuum(&VacuumOptions { kept_since, is_dry_run: false }, &Author::default())
}

fn restored_at(lake: &Lake, version: u64) -> Result<BTreeMap<String, Value>> {
    let mut out = Vec::new();
    restore_state(lake, &lake.state_at(version)?, &mut out)?;
    Ok(by_id(&out))
}

fn committed_at(lake: &Lake, version: u64) -> DateTime<Utc> {
    let history = lake.history().unwrap();
    let version = history.iter().find(|one| one.version == version).unwrap();
    DateTime::parse_from_rfc3339(&version.created_at).unwrap().to_utc()
}

#[test]
fn an_old_version_is_read_until_it_is_vacuumed_and_one_with_a_name_after_that_too() {
    let store = lake_of(5);
    let lake = lake_in(&store);
    let all = (1..=5).map(|version| restored_at(&lake, version).unwrap()).collect::<Vec<_>>();
    assert_eq!(all.iter().map(|tasks| tasks.keys().next()).collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(lake.tag("paper", Some(2), &Author::default()).unwrap(), 2);
    // A name twice changes nothing.
    lake.tag("paper", Some(2), &Author::default()).unwrap();
    assert_eq!(lake.state().unwrap().version, 6);
    let refused = lake.tag("paper", Some(3), &Author::default()).unwrap_err().to_string();
    assert!(refused.contains("version 2"), "{refused}");
    // Version 4 was the newest when version 5 came a moment later.
    let kept_since = committed_at(&lake, 4);
    let dry = VacuumOptions { kept_since, is_dry_run: true };
    let before = store.list("").unwrap();
    let planned = lake.vacuum(&dry, &Author::default()).unwrap();
    assert_eq!(store.list("").unwrap(), before);
    let done = vacuum(&lake, kept_since).unwrap();
    assert_eq!((done.oldest_version, done.files > 0, done.left_files), (4, true, 0));
    assert_eq!(planned, Vacuumed { is_dry_run: true, ..done });
    for version in [1, 3] {
        let gone = restored_at(&lake, version).unwrap_err();
        assert!(matches!(gone, Error::VersionGone { oldest: 4, .. }), "{gone}");
        assert!(matches!(lake.tag("late", Some(version), &Author::default()), Err(Error::VersionGone { .. })));
    }
    for version in [2, 4, 5] {
        assert_eq!(restored_at(&lake, version).unwrap(), all[version as usize - 1], "{version}");
    }
    assert_eq!(findings(&lake), []);
    assert_eq!(lake.state_of(Some("paper")).unwrap().version, 2);
    // There is nothing more to do, and no version tells so.
    let newest = lake.state().unwrap().version;
    assert_eq!(vacuum(&lake, kept_since).unwrap().files, 0);
    assert_eq!(lake.state().unwrap().version, newest);
    lake.untag("paper", &Author::default()).unwrap();
    vacuum(&lake, kept_since).unwrap();
    assert!(matches!(restored_at(&lake, 2), Err(Error::VersionGone { .. })));
    assert_eq!(findings(&lake), []);
    // The history is that of all versions.
    let operations = lake.history().unwrap().into_iter().map(|version| version.operation).collect::<Vec<_>>();
    assert_eq!(operations, ["flatten", "flatten", "flatten", "flatten", "flatten", "tag", "vacuum", "tag"]);
}

#[test]
fn what_readers_of_logs_need_for_a_version_that_is_kept_stays() {
    let store = lake_of(120);
    let lake = lake_in(&store);
    lake.tag("old", Some(60), &Author::default()).unwrap();
    vacuum(&lake, Utc::now()).unwrap();
    assert_eq!(findings(&lake), []);
    let logs = |table: &str| {
        let listed = store.list(&format!("{table}/_delta_log")).unwrap().into_iter();
        listed.map(|log| log.path.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    for table in TABLES {
        let logs = logs(table.name);
        assert_eq!(logs[..2], ["00000000000000000050.checkpoint.parquet", "00000000000000000050.json"]);
        assert_eq!(logs.last().unwrap(), "_last_checkpoint");
    }
    lake.untag("old", &Author::default()).unwrap();
    vacuum(&lake, Utc::now()).unwrap();
    assert_eq!(findings(&lake), []);
    assert!(TABLES.iter().all(|table| logs(table.name)[1] == "00000000000000000100.json"));
    // A table that an older release did not know gets what is kept, and no more.
    let whole = copy(&store);
    for log in store.list("rubrics/_delta_log").unwrap() {
        store.delete(&log.path).unwrap();
    }
    lake.recover(&Author::default()).unwrap();
    for log in whole.list("rubrics/_delta_log").unwrap() {
        assert_eq!(store.get(&log.path).unwrap(), whole.get(&log.path).unwrap(), "{}", log.path);
    }
    assert_eq!(findings(&lake), []);
}

#[test]
fn a_vacuum_that_fails_at_any_operation_harms_nothing_and_the_next_one_ends_it() {
    let before = lake_of(3);
    let newest = restored(&lake_in(&before));
    let left = "messages/project=p/batch=b/date=2025-01-01/part-0123456789abcdef-000001.parquet";
    before.put(left, b"what a run left that had no entry any more").unwrap();
    before.put("messages/notes.txt", b"a user's").unwrap();
    let operations = Arc::new(AtomicUsize::new(0));
    let failing = |store: &MemoryStore, fails: usize| {
        let counted = Arc::clone(&operations);
        counted.store(0, SeqCst);
        Faulty::new(store, move |_, _| if counted.fetch_add(1, SeqCst) >= fails { Fault::Failed } else { Fault::None })
    };
    vacuum(&Lake::on(Arc::new(failing(&copy(&before), usize::MAX))), Utc::now()).unwrap();
    let all = operations.load(SeqCst);
    assert!(all > 100, "{all}");
    for fails in 0..all {
        let store = copy(&before);
        vacuum(&Lake::on(Arc::new(failing(&store, fails))), Utc::now()).unwrap_err();
        let lake = lake_in(&store);
        assert_eq!(restored(&lake), newest, "{fails}");
        vacuum(&lake, Utc::now()).unwrap();
        let found = shallow(&lake);
        assert!(found.len() == 1 && found[0].path == "messages/notes.txt", "{fails}: {found:?}");
        let files = store.list("tasks").unwrap().into_iter().filter(|file| file.path.ends_with(".parquet"));
        let of_newest = lake.state().unwrap().parts.into_values().filter(|part| part.files.contains_key("tasks"));
        assert_eq!(files.count(), of_newest.count(), "{fails}");
    }
}

/// Reads the newest version while at its `at`-th operation another run replaces it, and all old versions are vacuumed if asked.
fn disturbed_reader<T>(
    before: &MemoryStore,
    next: &Path,
    at: usize,
    is_vacuumed: bool,
    read: impl Fn(&Lake, &State) -> Result<T>,
) -> (Result<T>, bool) {
    let operations = AtomicUsize::new(0);
    let (store, next) = (copy(before), next.to_owned());
    let has_come = Arc::new(AtomicUsize::new(0));
    let (other, come) = (store.clone(), Arc::clone(&has_come));
    let disturbed = Faulty::new(&store, move |_, _| {
        if operations.fetch_add(1, SeqCst) == at {
            run_on(lake_in(&other).store(), &next, true).unwrap();
            if is_vacuumed {
                vacuum(&lake_in(&other), Utc::now()).unwrap();
            }
            come.store(1, SeqCst);
        }
        Fault::None
    });
    let lake = Lake::on(Arc::new(disturbed));
    let read = lake.readable_state().and_then(|state| read(&lake, &state));
    (read, has_come.load(SeqCst) == 1)
}

/// At each of its operations in turn; what it gives must be of one version.
fn reads_one_version<T: PartialEq + std::fmt::Debug>(read: impl Fn(&Lake, &State) -> Result<T>) {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|seed| input(folder.path(), seed, 2));
    let versions = [&first, &second].map(|input| {
        let store = MemoryStore::named("memory");
        run_on(lake_in(&store).store(), input, false).unwrap();
        store
    });
    let expected = [0, 1].map(|version: usize| {
        let lake = lake_in(&versions[version]);
        read(&lake, &lake.state().unwrap()).unwrap()
    });
    assert_ne!(expected[0], expected[1]);
    for is_vacuumed in [false, true] {
        let mut of_version = [0, 0];
        for at in 0.. {
            let (found, has_come) = disturbed_reader(&versions[0], &second, at, is_vacuumed, &read);
            match found {
                Ok(found) => {
                    let version = expected.iter().position(|expected| *expected == found);
                    of_version[version.unwrap_or_else(|| panic!("at {at}: {found:?}"))] += 1;
                }
                // What it reads is of a version that is not kept any more: it says so, and makes nothing up.
                Err(error) => assert!(is_vacuumed && matches!(error, Error::NoFile { .. }), "{at}: {error}"),
            }
            if !has_come {
                break;
            }
        }
        assert!(of_version[0] > 1 || is_vacuumed, "{of_version:?}");
    }
}

#[test]
fn restore_reads_one_version_from_beginning_to_end() {
    reads_one_version(|lake, state| {
        let mut out = Vec::new();
        restore_state(lake, state, &mut out)?;
        Ok(by_id(&out))
    });
}

#[test]
fn an_older_version_is_the_newest_again_and_that_can_be_taken_back_too() {
    let store = lake_of(4);
    let lake = lake_in(&store);
    let all = (1..=4).map(|version| restored_at(&lake, version).unwrap()).collect::<Vec<_>>();
    let back = rollback(&lake, 2, &Author::default()).unwrap();
    assert_eq!((back.to, back.version, back.files_added > 0, back.files_removed > 0), (2, 5, true, true));
    assert_eq!((restored(&lake), findings(&lake)), (all[1].clone(), vec![]));
    // Once more changes nothing.
    assert_eq!(rollback(&lake, 2, &Author::default()).unwrap().version, 5);
    assert_eq!(rollback(&lake, 5, &Author::default()).unwrap().version, 5);
    assert_eq!(rollback(&lake, 4, &Author::default()).unwrap().version, 6);
    assert_eq!(restored(&lake), all[3]);
    // What came again is not what went, for a vacuum as for who merges.
    rollback(&lake, 1, &Author::default()).unwrap();
    vacuum(&lake, Utc::now()).unwrap();
    assert_eq!((restored(&lake), findings(&lake)), (all[0].clone(), vec![]));
    let gone = rollback(&lake, 4, &Author::default()).unwrap_err();
    assert!(matches!(gone, Error::VersionGone { at: 4, .. }), "{gone}");
    let folder = tempfile::tempdir().unwrap();
    run_on(lake_in(&store).store(), &input(folder.path(), 4, 2), false).unwrap();
    assert_eq!(restored(&lake), all[0].clone().into_iter().chain(all[3].clone()).collect());
}

#[test]
fn drift_reads_one_version_from_beginning_to_end() {
    reads_one_version(|lake, state| {
        drift_of_state(lake, state)?;
        // What drifts is the same in all generated tasks; what was read is told by the parts.
        let name = |part: &PartEntry| part.part.split('-').next_back().unwrap().to_owned() + &state.lake_id;
        Ok(state.brought().map(name).collect::<Vec<_>>())
    });
}

#[test]
fn a_checkout_is_one_version_from_beginning_to_end() {
    reads_one_version(|lake, state| {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("checkout");
        lake.checkout(state, &to, &Default::default())?;
        Ok(tasks_of(&to))
    });
}

/// The ids of the tasks in a folder of Parquet files.
fn tasks_of(folder: &Path) -> BTreeSet<String> {
    use arrow::array::AsArray;
    let files = walkdir::WalkDir::new(folder.join("tasks")).into_iter().map(|file| file.unwrap().into_path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    let batches = files.flat_map(|path| crate::lakes::batches(&path));
    let ids = |batch: arrow::array::RecordBatch| batch.column_by_name("task_id").unwrap().as_string::<i32>().clone();
    batches.flat_map(|batch| ids(batch).iter().map(|id| id.unwrap().to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn a_lake_that_others_write_to_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|seed| input(folder.path(), seed, 2));
    let before = MemoryStore::named("memory");
    run_on(lake_in(&before).store(), &first, false).unwrap();
    for is_vacuumed in [false, true] {
        for is_deep in [false, true] {
            for at in 0.. {
                let verified = |lake: &Lake, _: &State| verify(lake, &VerifyOptions { is_deep, ..Default::default() });
                let (found, has_come) = disturbed_reader(&before, &second, at, is_vacuumed, verified);
                assert_eq!(found.unwrap().findings, [], "at {at}, {is_deep}, {is_vacuumed}");
                if !has_come {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_checkout_holds_the_files_of_its_version_and_takes_the_place_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let mut ids = Vec::new();
    for seed in 1..=2 {
        let input = input(folder.path(), seed, 3);
        taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).arg("--overwrite").assert().success();
        ids.push(by_id(&std::fs::read(&input).unwrap()).into_keys().collect::<BTreeSet<_>>());
    }
    let checkout = |flags: &[&str]| {
        let made = taskloom().arg("checkout").arg(&lake).arg(&out).args(flags).assert();
        String::from_utf8(made.success().get_output().stdout.clone()).unwrap()
    };
    assert!(checkout(&["--at", "1"]).starts_with("version 1: "));
    assert_eq!(tasks_of(&out), ids[0]);
    // Every table is there, and nothing but what the version holds.
    let state = Lake::open(&lake).unwrap().state_at(1).unwrap();
    let named = state.parts.values().flat_map(|part| part.files.keys().map(|table| part.path(table)));
    let files = walkdir::WalkDir::new(&out).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file());
    let files = files.map(|file| file.path().strip_prefix(&out).unwrap().to_str().unwrap().to_owned());
    let note = std::iter::once("_checkout.json".to_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), named.chain(note).collect());
    assert!(checkout(&[]).starts_with("version 2: "));
    assert_eq!(tasks_of(&out), ids[1]);
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("checkout")));
    // The lake's own files can go, and the checkout stays.
    std::fs::remove_dir_all(&lake).unwrap();
    assert_eq!(tasks_of(&out), ids[1]);
}

#[test]
fn a_checkout_never_takes_the_place_of_what_is_no_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let input = input(folder.path(), 1, 1);
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    let mine = folder.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("thesis.txt"), "years of work").unwrap();
    let inside = lake.join("out");
    let file = mine.join("thesis.txt");
    for (to, status) in [(&mine, 1), (&inside, 2), (&lake, 2), (&file, 1), (&folder.path().to_owned(), 1)] {
        let refused = taskloom().arg("checkout").arg(&lake).arg(to).assert().code(status);
        let told = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(told.contains("expected"), "{told}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "years of work");
    assert_eq!(shallow(&Lake::open(&lake).unwrap()), []);
}

#[test]
fn the_history_tells_who_did_what_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let input = input(folder.path(), 1, 3);
    let mut flatten = taskloom();
    flatten.arg("flatten").arg(&input).arg("--out").arg(&lake).env("USER", "ada").assert().success();
    taskloom().arg("tag").arg(&lake).arg("first").assert().success();
    let told = taskloom().arg("history").arg(&lake).arg("--json").assert().success();
    let versions: Value = serde_json::from_slice(&told.get_output().stdout).unwrap();
    let [tag, first] = versions.as_array().unwrap().as_slice() else { panic!("{versions}") };
    assert_eq!((&first["version"], &first["operation"]), (&1.into(), &"flatten".into()));
    assert_eq!((&first["author"]["user"], &first["counts"]["tasks"]), (&"ada".into(), &3.into()));
    assert_eq!(first["tags"], serde_json::json!(["first"]));
    assert!(first["author"]["command"].as_str().unwrap().starts_with("taskloom flatten"));
    assert!(first["files_added"].as_u64().unwrap() > 20 && first["bytes_added"].as_u64().unwrap() > 20_000);
    assert_eq!((&tag["operation"], &tag["files_added"]), (&"tag".into(), &0.into()));
    let told = taskloom().arg("history").arg(&lake).args(["--limit", "1"]).assert().success();
    let told = String::from_utf8(told.get_output().stdout.clone()).unwrap();
    assert!(told.contains("tag by") && !told.contains("flatten"), "{told}");
}

#[test]
fn a_version_is_asked_for_by_its_number_or_its_name_wherever_a_lake_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    for seed in 1..=2 {
        let input = input(folder.path(), seed, seed);
        taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).arg("--overwrite").assert().success();
    }
    taskloom().arg("tag").arg(&lake).args(["first", "--at", "1"]).assert().success();
    let lines = |command: &[&str]| {
        let told = taskloom().arg(command[0]).arg(&lake).args(&command[1..]).assert().success();
        String::from_utf8(told.get_output().stdout.clone()).unwrap()
    };
    for at in ["1", "first"] {
        assert_eq!(lines(&["restore", "--at", at]).lines().count(), 1);
        lines(&["drift", "--at", at]);
        assert!(lines(&["verify", "--deep", "--at", at]).starts_with("version 1: 1 records"));
        assert!(lines(&["sql", "--engine", "duckdb", "--at", at]).contains("lake_version = 1"));
    }
    assert_eq!(lines(&["restore"]).lines().count(), 2);
    for at in ["0", "4", "nobody", "-1", ""] {
        let at = format!("--at={at}");
        let refused = taskloom().arg("restore").arg(&lake).arg(&at).assert().code(2);
        let told = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(told.contains("expected one from 1 to 3") && told.contains("history"), "{told}");
    }
}
