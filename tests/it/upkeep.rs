//! A lake over the years: small files become few, and nothing that can be read changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::Value;
use taskloom::internals::error::Error;
use taskloom::internals::lake::{Lake, VacuumOptions};
use taskloom::internals::partition::{DateGrain, Wanted};
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::table::TABLES;
use taskloom::internals::upkeep::{CompactOptions, Compacted, compact, rollback, surplus_parts};

use crate::crashes::{Disturbance, disturbed};
use crate::lakes::{config, findings, restored, run, shallow, taskloom};
use crate::merges::task;
use crate::stores::{copy, lake_in};

fn merge(lake: &Lake, tasks: impl IntoIterator<Item = Value>, layout: Wanted) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, tasks.into_iter().map(|task| format!("{task}\n")).collect::<String>()).unwrap();
    let config = config(&input, folder.path());
    run(taskloom::internals::config::RunConfig { lake: lake.clone(), layout, work_dir: None, ..config }).map(drop)
}

/// A lake of many small files: a run a task.
fn many(runs: u8) -> MemoryStore {
    let store = MemoryStore::named("memory");
    for id in 0..runs {
        merge(&lake_in(&store), [task(id, id % 4, 1 + id % 2)], Wanted::default()).unwrap();
    }
    store
}

fn joined(lake: &Lake) -> Compacted {
    compact(lake, &CompactOptions::default(), &Default::default()).unwrap()
}

fn month() -> CompactOptions {
    CompactOptions { date_grain: Some(DateGrain::Month), ..CompactOptions::default() }
}

/// Rows of every table of a version, by table.
fn rows(lake: &Lake) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for part in lake.state().unwrap().parts.values() {
        for (table, file) in &part.files {
            *rows.entry(table.clone()).or_default() += file.rows;
        }
    }
    rows
}

#[test]
fn small_files_of_a_partition_become_one_and_nothing_else_changes() {
    let store = many(24);
    let lake = lake_in(&store);
    let (before, tasks, rows_before) = (lake.state().unwrap(), restored(&lake), rows(&lake));
    // 24 parts of tasks lie in 4 partitions, and 24 of what happened to them in 2.
    assert_eq!(surplus_parts(&before), 20 + 22);
    let done = joined(&lake);
    let after = lake.state().unwrap();
    assert_eq!((done.version, after.version), (before.version + 1, before.version + 1));
    assert_eq!(after.parts.values().filter(|part| part.has_rows()).count(), 4 + 2);
    assert!(done.files_after * 3 < done.files_before && done.bytes_after < done.bytes_before, "{done:?}");
    assert_eq!((restored(&lake), rows(&lake), findings(&lake)), (tasks.clone(), rows_before, vec![]));
    // Once more there is nothing to do.
    assert_eq!(joined(&lake), Compacted { version: after.version, ..Compacted::default() });
    // It is merged into as any other.
    merge(&lake, [task(3, 3, 4)], Wanted::default()).unwrap();
    assert_eq!(restored(&lake).len(), tasks.len());
    assert_eq!(findings(&lake), []);
    let old = lake.state_at(before.version).unwrap();
    assert_eq!(old, before);
}

#[test]
fn days_become_months_in_one_version_and_not_the_other_way_round() {
    let store = many(24);
    let lake = lake_in(&store);
    let tasks = restored(&lake);
    compact(&lake, &month(), &Default::default()).unwrap();
    let state = lake.state().unwrap();
    let with_rows = state.brought().filter(|part| part.has_rows());
    let folders = with_rows.map(|part| part.folder.clone()).collect::<BTreeSet<_>>();
    assert!(folders.iter().all(|folder| folder.ends_with("date=2025-01-01")), "{folders:?}");
    assert_eq!((restored(&lake), findings(&lake)), (tasks.clone(), vec![]));
    // Who says nothing of it goes on.
    merge(&lake, [task(99, 3, 1)], Wanted::default()).unwrap();
    assert_eq!(restored(&lake).len(), tasks.len() + 1);
    assert_eq!(findings(&lake), []);
    let day = Wanted { date_grain: Some(DateGrain::Day), ..Wanted::default() };
    assert!(matches!(merge(&lake, [task(98, 3, 1)], day), Err(Error::Layout { .. })));
    let options = CompactOptions { date_grain: Some(DateGrain::Day), ..CompactOptions::default() };
    assert!(matches!(compact(&lake, &options, &Default::default()), Err(Error::Layout { .. })));
    // Back to days is a rollback.
    rollback(&lake, 24, &Default::default()).unwrap();
    assert_eq!((restored(&lake), findings(&lake)), (tasks, vec![]));
    merge(&lake, [task(98, 3, 1)], day).unwrap();
    assert_eq!(findings(&lake), []);
}

#[test]
fn a_compaction_that_is_disturbed_at_any_operation_changes_nothing_or_all_and_is_made_good() {
    let before = many(6);
    let tasks = restored(&lake_in(&before));
    let options = CompactOptions { threads: 1, ..CompactOptions::default() };
    let (counted, operations) = disturbed(&copy(&before), None);
    compact(&Lake::on(Arc::new(counted)), &options, &Default::default()).unwrap();
    let operations = operations.load(SeqCst);
    assert!(operations > 50, "{operations}");
    for at in 0..operations {
        let fault = [Fault::Failed, Fault::Unheard, Fault::Late][at % 3];
        for is_end in [false, true] {
            let disturbance = Disturbance { at, fault, is_end };
            let store = copy(&before);
            let (faulty, _) = disturbed(&store, Some(disturbance));
            let _ = compact(&Lake::on(Arc::new(faulty.clone())), &options, &Default::default());
            faulty.land();
            let lake = lake_in(&store);
            assert_eq!(restored(&lake), tasks, "{at}");
            joined(&lake);
            lake.recover(&Default::default()).unwrap();
            assert_eq!((restored(&lake), shallow(&lake)), (tasks.clone(), vec![]), "{at}");
            assert_eq!(surplus_parts(&lake.state().unwrap()), 0, "{at}");
        }
    }
}

#[test]
fn the_program_compacts_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.ndjson"), folder.path().join("lake"));
    for id in 0..3 {
        std::fs::write(&input, task(id, 1, 1).to_string()).unwrap();
        taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    }
    let told = |flags: &[&str]| {
        let output = taskloom().arg("compact").arg(&lake).args(flags).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    assert!(told(&[]).contains("as version 4"));
    assert!(told(&[]).starts_with("nothing to join"));
    let json: Value = serde_json::from_str(&told(&["--json", "--date-grain", "month"])).unwrap();
    assert_eq!(json["version"], 5);
    let lake = Lake::open(&lake).unwrap();
    lake.vacuum(&VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false }, &Default::default()).unwrap();
    assert_eq!((restored(&lake).len(), findings(&lake)), (3, vec![]));
}

/// How many hours are simulated: a year of them is 8,760.
fn hours() -> usize {
    std::env::var("TASKLOOM_HOURS").map_or(150, |hours| hours.parse().unwrap())
}

/// What a lake of hourly runs had come to.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    /// Operations on the store of this hour's run and what is done behind it.
    operations: usize,
    seconds: f64,
    data_files: usize,
    /// Logs, checkpoints and snapshots.
    logs: usize,
}

/// Each hour a task is new and one of the last days has changed; old versions are kept for a day.
#[test]
fn a_run_of_the_last_hour_costs_what_one_of_the_first_days_did() {
    const RETAINED: usize = 24;
    let store = MemoryStore::named("memory");
    let operations = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&operations);
    let lake = Lake::on(Arc::new(Faulty::new(&store, move |_, _| {
        counted.fetch_add(1, SeqCst);
        Fault::None
    })));
    let first = chrono::DateTime::from_timestamp(1_735_689_600, 0).unwrap();
    let task_of = |hour: usize, content: usize| {
        let at = first + chrono::TimeDelta::hours(hour as i64);
        let mut task = task((content % 3) as u8, 0, 1);
        task["task_id"] = format!("task-{hour:06}").into();
        (task["created_at"], task["completed_at"]) = (at.to_rfc3339().into(), at.to_rfc3339().into());
        task["metadata"] = serde_json::json!({"content": content});
        task
    };
    let (mut committed_at, mut curve) = (Vec::new(), Vec::<Hour>::new());
    for hour in 0..hours() {
        let (started, before) = (std::time::Instant::now(), operations.load(SeqCst));
        let changed = hour.saturating_sub(1 + hour * 7 % 60);
        merge(&lake, [task_of(hour, 0), task_of(changed, hour + 1)], Wanted::default()).unwrap();
        if surplus_parts(&lake.state().unwrap()) >= 16 {
            joined(&lake);
        }
        committed_at.push(chrono::Utc::now());
        if let Some(kept_since) = hour.checked_sub(RETAINED).map(|hour| committed_at[hour]) {
            lake.vacuum(&VacuumOptions { kept_since, is_dry_run: false }, &Default::default()).unwrap();
        }
        let (operations, seconds) = (operations.load(SeqCst) - before, started.elapsed().as_secs_f64());
        let paths = store.paths("").unwrap();
        let is_log = |path: &&String| path.contains("_delta_log/") || path.contains("snapshots/");
        let logs = paths.iter().filter(is_log).count();
        let is_data = |path: &&String| path.ends_with(".parquet") && !path.contains("_delta_log/");
        curve.push(Hour { operations, seconds, data_files: paths.iter().filter(is_data).count(), logs });
    }
    let sum = |hours: &[Hour], of: fn(&Hour) -> f64| hours.iter().map(of).sum::<f64>() / hours.len() as f64;
    let stretches = curve.chunks(curve.len().div_ceil(12)).collect::<Vec<_>>();
    for (number, hours) in stretches.iter().enumerate() {
        let [operations, milliseconds, files, logs] = [
            sum(hours, |hour| hour.operations as f64),
            sum(hours, |hour| hour.seconds * 1_000.0),
            sum(hours, |hour| hour.data_files as f64),
            sum(hours, |hour| hour.logs as f64),
        ];
        println!("{number:>4} {operations:>8.0} operations {milliseconds:>8.0} ms {files:>8.0} files {logs:>8.0} logs");
    }
    assert_eq!(restored(&lake).len(), hours());
    assert_eq!(shallow(&lake), []);
    let [middle, end] =
        [stretches.len() / 2, stretches.len() - 1].map(|at| sum(stretches[at], |hour| hour.operations as f64));
    assert!(end < middle * 1.25, "{middle} operations became {end}");
    // Behind the first days, files are a few for each day, beside those of the versions that are kept.
    let per_day = 12;
    let last = curve.last().unwrap();
    assert!(last.logs < TABLES.len() * (3 * RETAINED + 150), "{last:?}");
    assert!(last.data_files < per_day * hours() / 24 + per_day * 3 * RETAINED, "{last:?}");
}
