//! Lakes that releases made: each later one reads, verifies and goes on with them. They lie in `tests/golden`, a folder a release, with
//! what they were made from and how, and never change.

use std::fs;
use std::path::{Path, PathBuf};

use taskloom::internals::error::Error;
use taskloom::internals::lake::{Author, Lake};
use taskloom::internals::restore::restore_state;

use crate::lakes::{by_id, findings, restored, taskloom};
use crate::restore::canonical_task;

/// A copy of each golden lake, with its folder in the repository.
fn copies() -> Vec<(tempfile::TempDir, PathBuf)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let releases = fs::read_dir(golden).unwrap().map(|release| release.unwrap().path());
    let copies = releases.map(|release| {
        let folder = tempfile::tempdir().unwrap();
        for entry in walkdir::WalkDir::new(release.join("lake")) {
            let entry = entry.unwrap();
            let to = folder.path().join(entry.path().strip_prefix(&release).unwrap());
            if entry.file_type().is_dir() {
                fs::create_dir(to).unwrap();
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
        (folder, release)
    });
    let copies = copies.collect::<Vec<_>>();
    assert!(!copies.is_empty());
    copies
}

/// The tasks in a file, as far as they come back; those in pages too.
fn expected(file: &Path) -> Vec<(String, serde_json::Value)> {
    let text = fs::read_to_string(file).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let tasks = records.flat_map(|record| match record.get("tasks") {
        Some(tasks) => tasks.as_array().unwrap().clone(),
        None => vec![record],
    });
    let mut tasks =
        tasks.map(|task| (task["task_id"].as_str().unwrap().to_owned(), canonical_task(&task))).collect::<Vec<_>>();
    tasks.sort_by(|one, other| one.0.cmp(&other.0));
    tasks
}

fn at(lake: &Lake, version: &str) -> Vec<(String, serde_json::Value)> {
    let mut out = Vec::new();
    restore_state(lake, &lake.state_of(Some(version)).unwrap(), &mut out).unwrap();
    by_id(&out).into_iter().map(|(id, task)| (id, canonical_task(&task))).collect()
}

#[test]
fn a_lake_of_each_release_is_read_verified_and_gone_on_with() {
    for (folder, release) in copies() {
        let lake = Lake::open(&folder.path().join("lake")).unwrap();
        assert_eq!(findings(&lake), [], "{}", release.display());
        let [first, second] = ["first.ndjson", "second.ndjson"].map(|name| release.join(name));
        assert_eq!(at(&lake, "53"), expected(&second));
        for version in ["golden", "50", "51", "52"] {
            assert_eq!(at(&lake, version), expected(&first), "{version}");
        }
        assert!(matches!(lake.state_at(49), Err(Error::VersionGone { oldest: 51, .. })));
        assert_eq!(lake.recover(&Author::default()).unwrap(), Default::default(), "nothing is to be mended");
        taskloom().arg("flatten").arg(&first).arg("--overwrite").arg("--out").arg(lake.place()).assert().success();
        assert_eq!(findings(&lake), []);
        assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["task-1", "task-2"]);
        assert_eq!(at(&lake, "53"), expected(&second));
        taskloom().arg("vacuum").arg(lake.place()).args(["--retain", "0s"]).assert().success();
        assert_eq!(findings(&lake), []);
        assert_eq!(at(&lake, "golden"), expected(&first));
    }
}
