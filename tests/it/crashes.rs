//! A run that is killed shows all or nothing.

use std::path::Path;

use taskloom::internals::commit::{Change, CommitOutcome, Lake};
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::part::FileEntry;

use crate::lakes::{restored, taskloom, visible_files};

const TASKS: u64 = 12;

fn input(folder: &Path, seed: u64) -> std::path::PathBuf {
    let input = folder.join(format!("input{seed}.ndjson"));
    let mut file = std::fs::File::create(&input).unwrap();
    generate(&GenerateOptions { tasks: TASKS, seed, partitions: 2, ..Default::default() }, &mut file).unwrap();
    input
}

/// Runs the program until it is killed at a point of the commit.
fn killed(input: &Path, lake: &Path, at: &str, flags: &[&str]) {
    let mut command = taskloom();
    command.arg("flatten").arg(input).arg("--out").arg(lake).args(flags).env("TASKLOOM_CRASH_AT", at);
    let output = command.assert().failure();
    assert_eq!(output.get_output().status.code(), None, "killed by a signal");
}

#[test]
fn killed_while_publishing_the_next_command_finishes_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1);
    let undisturbed = folder.path().join("undisturbed");
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&undisturbed).assert().success();
    let expected = visible_files(&undisturbed);
    for at in ["committed", "publishing:1", "publishing:17", "published"] {
        let lake = folder.path().join(at);
        killed(&input, &lake, at, &[]);
        assert_eq!(Lake::open(&lake).unwrap().snapshot().unwrap().version, 0, "not readable before its marker");
        taskloom().arg("recover").arg(&lake).assert().success();
        assert!(visible_files(&lake) == expected, "{at}");
        assert_eq!(restored(&Lake::open(&lake).unwrap()).len() as u64, TASKS);
        // Once more changes nothing.
        let recovered = Lake::open(&lake).unwrap().recover().unwrap();
        assert_eq!(recovered, Default::default());
    }
}

#[test]
fn killed_before_the_record_nothing_is_visible_and_the_next_run_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 2);
    let lake = folder.path().join("lake");
    killed(&input, &lake, "staged", &[]);
    assert_eq!(visible_files(&lake).len(), 0);
    let staging = lake.join("_taskloom/staging");
    assert_ne!(std::fs::read_dir(&staging).unwrap().count(), 0);
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    assert_eq!(restored(&Lake::open(&lake).unwrap()).len() as u64, TASKS);
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
}

#[test]
fn killed_while_overwriting_the_old_or_the_new_lake_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 3), input(folder.path(), 4));
    let lake = folder.path().join("lake");
    taskloom().arg("flatten").arg(&first).arg("--out").arg(&lake).assert().success();
    let before = restored(&Lake::open(&lake).unwrap());
    killed(&second, &lake, "staged", &["--overwrite"]);
    assert_eq!(restored(&Lake::open(&lake).unwrap()), before);
    killed(&second, &lake, "removing:3", &["--overwrite"]);
    Lake::open(&lake).unwrap().recover().unwrap();
    let after = restored(&Lake::open(&lake).unwrap());
    assert_eq!(after.len() as u64, TASKS);
    assert!(after.keys().all(|id| !before.contains_key(id)));
    let snapshot = Lake::open(&lake).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.version, 2);
    assert_eq!(visible_files(&lake).len(), snapshot.files.len(), "nothing else is left");
}

#[test]
fn a_damaged_record_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 5);
    let lake = folder.path().join("lake");
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    let record = lake.join("_taskloom/commits/00000000000000000001.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replacen("\"rows\":1", "\"rows\":2", 1)).unwrap();
    let error = Lake::open(&lake).unwrap().snapshot().unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn of_two_runs_on_the_same_version_one_is_in_and_the_other_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(&folder.path().join("lake")).unwrap();
    let parent = lake.snapshot().unwrap();
    let commit = |run: &str| {
        let staging = lake.stage(run).unwrap();
        let key = taskloom::internals::partition::Key::task(Some(run), None, None);
        let table = taskloom::internals::table::Table::named("tasks").unwrap();
        let name = "part-0.parquet";
        std::fs::write(taskloom::internals::part::file_path(staging.folder(), table.name, name), run).unwrap();
        let file = FileEntry {
            table: table.name.to_owned(),
            path: format!("{}/{}/{name}", table.name, key.path()),
            rows: 1,
            bytes: run.len() as u64,
            checksum: taskloom::internals::part::checksum(run.as_bytes()),
        };
        lake.commit(
            &parent,
            &staging,
            Change { run, spool: None, layout: Default::default(), add: vec![file], remove: Vec::new() },
            || Ok(()),
        )
    };
    assert_eq!(commit("first").unwrap(), CommitOutcome::Committed(1));
    assert_eq!(commit("second").unwrap(), CommitOutcome::Conflict(1));
    let files = visible_files(lake.root());
    assert_eq!(files.into_values().collect::<Vec<_>>(), [b"first"]);
    assert_eq!(std::fs::read_dir(lake.own("staging")).unwrap().count(), 0);
}

#[test]
fn a_living_run_is_not_swept_and_a_dead_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(&folder.path().join("lake")).unwrap();
    let staging = lake.stage("living").unwrap();
    assert_eq!(lake.recover().unwrap().swept_runs, 0);
    assert!(staging.folder().is_dir());
    drop(staging);
    std::fs::create_dir(lake.own("staging").join("dead")).unwrap();
    assert_eq!(lake.recover().unwrap().swept_runs, 1);
}
