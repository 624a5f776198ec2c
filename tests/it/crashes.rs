//! A run that ends in the middle shows all or nothing, and the next one leaves no trace of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use serde_json::Value;
use taskloom::internals::error::Error;
use taskloom::internals::lake::{Author, Lake};
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::table::TABLES;

use crate::lakes::{restored, restored_or_none, shallow, taskloom};
use crate::stores::{copy, input, lake_in, run_on};

const TASKS: u64 = 5;

/// The files of a table at its newest version, as a reader of Delta's logs finds them; with that version.
fn by_log(store: &MemoryStore, table: &str, newest: u64) -> Option<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let is_whole = store.get(&format!("{table}/_delta_log/{:020}.json", 0)).unwrap().is_some();
    let first = if is_whole { 0 } else { beginning(store, table, newest) };
    for version in first..=newest {
        let log = store.get(&format!("{table}/_delta_log/{version:020}.json")).unwrap()?;
        for line in String::from_utf8(log).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            let path =
                |kind: &str| Some(format!("{table}/{}", action.get(kind)?["path"].as_str()?.replace("%25", "%")));
            files.extend(path("add"));
            if let Some(removed) = path("remove") {
                assert!(files.remove(&removed) || version == first, "{removed} was there");
            }
        }
    }
    Some(files)
}

/// The newest version whose log lists all files, and which a reader can begin with.
fn beginning(store: &MemoryStore, table: &str, newest: u64) -> u64 {
    let version = |path: &str| path.rsplit('/').next()?.strip_suffix(".checkpoint.parquet")?.parse::<u64>().ok();
    let logs = store.list(&format!("{table}/_delta_log")).unwrap();
    let checkpoints = logs.iter().filter_map(|log| version(&log.path)).filter(|version| *version <= newest);
    let begins = |version: &u64| {
        let record = store.get(&format!("_taskloom/commits/{version:020}.json")).unwrap().unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["record"]["begins"].is_object()
    };
    checkpoints.filter(begins).max().unwrap_or(0)
}

/// The newest version that the log of `tasks` shows, where there is any; every table must have it, and all of its files.
fn published(store: &MemoryStore) -> u64 {
    let logs = store.list("tasks/_delta_log").unwrap();
    let version = |path: &str| path.rsplit('/').next()?.strip_suffix(".json")?.parse::<u64>().ok();
    let newest = logs.iter().filter_map(|log| version(&log.path)).max().unwrap_or(0);
    if newest == 0 {
        return 0;
    }
    let there: BTreeSet<String> = store.list("").unwrap().into_iter().map(|listed| listed.path).collect();
    for table in TABLES {
        let files =
            by_log(store, table.name, newest).unwrap_or_else(|| panic!("{} lacks version {newest}", table.name));
        assert!(!files.is_empty() && files.is_subset(&there), "{} at version {newest}", table.name);
    }
    newest
}

/// What must hold of a lake behind whatever happened: its newest version is whole and published, and nothing else is there.
pub fn check_whole(store: &MemoryStore) -> u64 {
    let lake = lake_in(store);
    let state = lake.state().unwrap();
    assert_eq!(published(store), state.version);
    let mut known = BTreeSet::new();
    for part in state.parts.values() {
        for (table, file) in &part.files {
            let bytes = store.get(&part.path(table)).unwrap().unwrap();
            assert_eq!(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes)), file.checksum);
            known.insert(part.path(table));
        }
    }
    for table in TABLES {
        let of_table = |path: &&String| path.starts_with(&format!("{}/", table.name));
        let by_record = known.iter().filter(of_table).cloned().collect::<BTreeSet<_>>();
        assert_eq!(by_log(store, table.name, state.version).unwrap(), by_record);
    }
    let removed = (1..=state.version).flat_map(|version| removed_by(store, version)).collect::<BTreeSet<_>>();
    let is_data = |path: &str| path.ends_with(".parquet") && !path.contains("_delta_log");
    for listed in store.list("").unwrap().into_iter().filter(|listed| is_data(&listed.path)) {
        assert!(known.contains(&listed.path) || removed.contains(&listed.path), "{} is nobody's", listed.path);
    }
    assert_eq!(store.list("_taskloom/running").unwrap(), []);
    state.version
}

fn removed_by(store: &MemoryStore, version: u64) -> Vec<String> {
    let record = store.get(&format!("_taskloom/commits/{version:020}.json")).unwrap().unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let parts = record["record"]["remove"].as_array().unwrap().iter();
    let path = |part: &Value, table: &String| {
        format!("{table}/{}/{}", part["folder"].as_str().unwrap(), part["part"].as_str().unwrap())
    };
    parts.flat_map(|part| part["files"].as_object().unwrap().keys().map(move |table| path(part, table))).collect()
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// At which of its operations, from 0.
    pub at: usize,
    pub fault: Fault,
    /// Whether nothing works any more from then on.
    pub is_end: bool,
}

/// Every operation in every way: in `make soak`. Else each operation in some ways, and each way at some operations.
pub fn is_tried(at: usize, way: usize) -> bool {
    let every = std::env::var("TASKLOOM_EVERY").map_or(3, |every| every.parse().unwrap());
    (at + way).is_multiple_of(every)
}

/// A store in which the operation is disturbed; and how many operations there were. At each step that readers could see something
/// of, one looks.
pub fn disturbed(store: &MemoryStore, disturbance: Option<Disturbance>) -> (Faulty, Arc<AtomicUsize>) {
    let operations = Arc::new(AtomicUsize::new(0));
    let (counted, seen) = (Arc::clone(&operations), store.clone());
    let faulty = Faulty::new(store, move |_, path| {
        let at = counted.fetch_add(1, SeqCst);
        if path.contains("_delta_log") || path.contains("commits") {
            published(&seen);
        }
        match disturbance {
            Some(disturbance) if at == disturbance.at => disturbance.fault,
            Some(disturbance) if at > disturbance.at && disturbance.is_end => Fault::Failed,
            _ => Fault::None,
        }
    });
    (faulty, operations)
}

/// Loses some of what was not flushed.
pub fn cut_the_power(faulty: &Faulty, seed: u64) {
    let mut bits = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    faulty.lose(|| {
        bits = bits.rotate_left(7).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits >> 63 == 1
    });
}

/// Disturbs a run at each of its operations in each way; then the next run must make good whatever is left.
fn disturb_everywhere(before: &MemoryStore, first: &Path, is_overwrite: bool, second: &Path) {
    let (faulty, operations) = disturbed(&copy(before), None);
    run_on(&(Arc::new(faulty) as Arc<dyn Store>), first, is_overwrite).unwrap();
    let operations = operations.load(SeqCst);
    assert!(operations > 60, "{operations}");
    let old = restored_or_none(&lake_in(before));
    let expected = [first, second].map(|input| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::named("undisturbed"));
        run_on(&store, input, false).unwrap();
        restored(&Lake::on(store))
    });
    let both: BTreeMap<_, _> = expected.iter().flatten().map(|(id, task)| (id.clone(), task.clone())).collect();
    for at in 0..operations {
        let ways = [(Fault::Failed, false), (Fault::Unheard, false), (Fault::Late, false), (Fault::Late, true)];
        for (way, (fault, lands_early)) in ways.into_iter().enumerate() {
            for is_end in [true, false] {
                if !is_tried(at, 2 * way + usize::from(is_end)) {
                    continue;
                }
                let disturbance = Disturbance { at, fault, is_end };
                let store = copy(before);
                let (faulty, _) = disturbed(&store, Some(disturbance));
                let ended = run_on(&(Arc::new(faulty.clone()) as Arc<dyn Store>), first, is_overwrite);
                if is_end {
                    cut_the_power(&faulty, at as u64);
                }
                if lands_early {
                    faulty.land();
                }
                let now = restored_or_none(&lake_in(&store));
                assert!(now == old || now.as_ref() == Some(&expected[0]), "{disturbance:?}");
                if ended.is_ok() || matches!(ended, Err(Error::Committed { .. })) {
                    assert_eq!(now.as_ref(), Some(&expected[0]), "{disturbance:?}");
                }
                // What was late comes to be while the next run is about to commit.
                let late = faulty.clone();
                let next = Faulty::new(&store, move |name, path| {
                    if name == "put_if_absent" && path.contains("commits") {
                        late.land();
                    }
                    Fault::None
                });
                let overwrites = is_overwrite || now.is_some();
                let wanted = match run_on(&(Arc::new(next) as Arc<dyn Store>), second, overwrites) {
                    // The late record was the first, and the run merged behind it.
                    Ok(report) if !overwrites && report.version == 2 => {
                        assert_eq!(fault, Fault::Late, "{disturbance:?}");
                        &both
                    }
                    Ok(_) => &expected[1],
                    Err(Error::Conflict { .. } | Error::TakenForDead { .. }) => {
                        assert_eq!(fault, Fault::Late, "{disturbance:?}");
                        run_on(&(Arc::new(store.clone()) as Arc<dyn Store>), second, true).unwrap();
                        &expected[1]
                    }
                    Err(error) => panic!("{disturbance:?}: {error}"),
                };
                faulty.land();
                check_whole(&store);
                assert_eq!(restored(&lake_in(&store)), *wanted, "{disturbance:?}");
            }
        }
    }
}

#[test]
fn a_first_run_that_is_disturbed_at_any_operation_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 1, TASKS), input(folder.path(), 2, TASKS));
    disturb_everywhere(&MemoryStore::named("empty"), &first, false, &second);
}

#[test]
fn an_overwriting_run_that_is_disturbed_at_any_operation_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let [zeroth, first, second] = [3, 4, 5].map(|seed| input(folder.path(), seed, TASKS));
    let before = MemoryStore::named("before");
    run_on(&(Arc::new(before.clone()) as Arc<dyn Store>), &zeroth, false).unwrap();
    disturb_everywhere(&before, &first, true, &second);
}

#[test]
fn a_damaged_record_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 8, TASKS);
    let lake = folder.path().join("lake");
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    let record = lake.join("_taskloom/commits/00000000000000000001.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replacen("\"rows\":1", "\"rows\":2", 1)).unwrap();
    let error = Lake::open(&lake).unwrap().state().unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn a_living_run_is_not_swept_and_keeps_others_out_and_a_dead_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 9, TASKS);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    let living = lake.begin(&lake.state().unwrap(), &Author::default()).unwrap();
    let file = format!("tasks/project=p/batch=b/date=2025-01-01/{}000000.parquet", living.prefix());
    store.put(&file, b"half a file").unwrap();
    let refused = run_on(lake.store(), &input, true).unwrap_err();
    assert!(matches!(refused, Error::LakeBusy { .. }), "{refused}");
    assert_eq!(lake.recover(&Author::default()).unwrap(), Default::default());
    assert!(store.get(&file).unwrap().is_some());
    // Its process is gone, and its entry stays.
    drop(living);
    run_on(lake.store(), &input, false).unwrap();
    assert!(store.get(&file).unwrap().is_none());
    assert_eq!(check_whole(&store), 1);
}

#[test]
fn logs_that_are_torn_gone_or_of_a_new_table_are_mended() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 10, TASKS);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    run_on(lake.store(), &input, false).unwrap();
    run_on(lake.store(), &input, true).unwrap();
    let whole = copy(&store);
    let log = |table: &str, version: u64| format!("{table}/_delta_log/{version:020}.json");
    let text = store.get(&log("messages", 1)).unwrap().unwrap();
    store.replace(&log("messages", 1), &text[..text.len() / 2]).unwrap();
    store.replace(&log("tasks", 2), b"").unwrap();
    store.delete(&log("annotations", 0)).unwrap();
    assert_eq!(lake.recover(&Author::default()).unwrap().mended_logs, 2);
    // A table that an older release did not know.
    for listed in store.list("rubrics/_delta_log").unwrap() {
        store.delete(&listed.path).unwrap();
    }
    run_on(lake.store(), &input, true).unwrap();
    for table in TABLES {
        for version in 0..=2 {
            let path = log(table.name, version);
            assert_eq!(store.get(&path).unwrap(), whole.get(&path).unwrap(), "{path}");
        }
    }
    assert_eq!(check_whole(&store), 3);
}

#[test]
fn a_start_takes_the_newest_snapshot_and_spares_the_records_before_it() {
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 11, 1);
    for version in 1..=101 {
        assert_eq!(run_on(lake.store(), &input, version > 1).unwrap().version, version);
    }
    let is_read = Arc::new(AtomicBool::new(false));
    let old = Arc::clone(&is_read);
    let faulty = Faulty::new(&store, move |name, path| {
        let is_old = name == "get" && path.contains("commits/000000000000000000") && !path.contains("101");
        old.fetch_or(is_old, SeqCst);
        Fault::None
    });
    let state = Lake::on(Arc::new(faulty)).state().unwrap();
    assert!(state.version == 101 && !is_read.load(SeqCst));
    // Without the snapshots, or with broken ones, it is the same.
    for listed in store.list("_taskloom/snapshots").unwrap() {
        store.replace(&listed.path, b"broken").unwrap();
    }
    assert_eq!(lake.state().unwrap(), state);
    let begun = store.get("tasks/_delta_log/_last_checkpoint").unwrap().unwrap();
    assert!(String::from_utf8(begun).unwrap().contains("\"version\":100"));
}

#[test]
fn a_run_that_dies_while_it_writes_a_snapshot_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 12, 1);
    let before = MemoryStore::named("before");
    for version in 1..=49 {
        run_on(lake_in(&before).store(), &input, version > 1).unwrap();
    }
    let is_of_snapshot = |path: &str| path.contains("checkpoint") || path.contains("snapshots");
    for (is_end, step) in [(true, 3), (false, 9)] {
        for at in (0..).step_by(step) {
            let store = copy(&before);
            let seen = AtomicUsize::new(0);
            let has_failed = Arc::new(AtomicBool::new(false));
            let failed = Arc::clone(&has_failed);
            let faulty = Faulty::new(&store, move |name, path| {
                let is_meant = name != "list" && is_of_snapshot(path) && seen.fetch_add(1, SeqCst) == at;
                let fails = is_meant || is_end && failed.load(SeqCst);
                failed.fetch_or(fails, SeqCst);
                if fails { Fault::Failed } else { Fault::None }
            });
            let ended = run_on(&(Arc::new(faulty) as Arc<dyn Store>), &input, true);
            if !has_failed.load(SeqCst) {
                assert!(at > 40 && ended.is_ok());
                break;
            }
            assert!(matches!(ended, Err(Error::Committed { version: 50, .. })), "{at}");
            assert_eq!(published(&store), 50);
            run_on(lake_in(&store).store(), &input, true).unwrap();
            check_whole(&store);
            assert_eq!(shallow(&lake_in(&store)), [], "{at}");
        }
    }
}
