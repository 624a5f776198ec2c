//! A lake's logs of Delta Lake, read by Delta's own kernel and held against the lake's records, which are read here anew.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use delta_kernel::Snapshot;
use delta_kernel::object_store::local::LocalFileSystem;
use delta_kernel::scan::state::ScanFile;
use delta_kernel_default_engine::DefaultEngine;
use serde_json::Value;
use url::Url;

/// A file as both tell of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    path: String,
    bytes: i64,
    rows: u64,
    /// Without those that are null.
    partition: BTreeMap<String, String>,
}

/// The files of a table at a version, by the lake's records.
fn by_records(lake: &Path, table: &str, version: u64) -> BTreeSet<File> {
    let mut parts = BTreeMap::new();
    for version in 1..=version {
        let record = fs::read(lake.join(format!("_taskloom/commits/{version:020}.json"))).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        for part in record["record"]["remove"].as_array().unwrap() {
            parts.remove(part["part"].as_str().unwrap());
        }
        for part in record["record"]["add"].as_array().unwrap() {
            parts.insert(part["part"].as_str().unwrap().to_owned(), part.clone());
        }
    }
    let columns: &[&str] = if has_dates(lake, table) { &["project", "batch", "date"] } else { &["project"] };
    let of_part = |part: &Value| {
        let file = part["files"].get(table)?;
        let value = |name: &&str| Some(((*name).to_owned(), part[*name].as_str()?.to_owned()));
        Some(File {
            path: format!("{}/{}", part["folder"].as_str()?, part["part"].as_str()?),
            bytes: file["bytes"].as_i64()?,
            rows: file["rows"].as_u64()?,
            partition: columns.iter().filter_map(value).collect(),
        })
    };
    parts.values().filter_map(of_part).collect()
}

fn has_dates(lake: &Path, table: &str) -> bool {
    let projects = fs::read_dir(lake.join(table)).unwrap().map(|entry| entry.unwrap().path());
    let mut below = projects.filter(|path| path.to_string_lossy().contains("project=")).flat_map(|project| {
        fs::read_dir(project).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
    });
    below.any(|name| name.starts_with("batch="))
}

/// The same by the kernel, which tells the columns too, and the version that the transaction carries.
fn by_kernel(lake: &Path, table: &str, version: u64) -> (BTreeSet<File>, Vec<String>, Option<i64>) {
    let engine = DefaultEngine::builder(Arc::new(LocalFileSystem::new())).build();
    let root = Url::from_directory_path(lake.join(table)).unwrap();
    let snapshot = Snapshot::builder_for(root).at_version(version).build(&engine).unwrap();
    assert_eq!(snapshot.version(), version);
    let columns = snapshot.schema().fields().map(|field| field.name().clone()).collect();
    let txn = snapshot.get_app_id_version("taskloom", &engine).unwrap();
    let scan = snapshot.scan_builder().build().unwrap();
    let mut files = Vec::new();
    for metadata in scan.scan_metadata(&engine).unwrap() {
        files = metadata.unwrap().visit_scan_files(files, |files: &mut Vec<ScanFile>, file| files.push(file)).unwrap();
    }
    let file = |file: ScanFile| File {
        // The log's paths are addresses: encoded once more than the folders.
        path: percent_decoded(&file.path),
        bytes: file.size,
        rows: file.stats.unwrap().num_records,
        partition: file.partition_values.into_iter().collect(),
    };
    (files.into_iter().map(file).collect(), columns, txn)
}

fn percent_decoded(path: &str) -> String {
    path.replace("%25", "%")
}

fn check(lake: &Path, table_count: usize, versions: &[u64]) {
    let tables = fs::read_dir(lake).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tables = tables.filter(|name| name != "_taskloom").collect::<Vec<_>>();
    assert_eq!(tables.len(), table_count);
    for version in versions {
        for table in &tables {
            let (files, columns, txn) = by_kernel(lake, table, *version);
            assert_eq!(files, by_records(lake, table, *version), "{table} at version {version}");
            assert!(!files.is_empty() && columns.contains(&"project".to_owned()));
            assert_eq!(txn, Some(*version as i64), "{table} at version {version}");
        }
    }
}

#[test]
fn the_kernel_sees_in_a_golden_lake_what_its_records_say() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let releases = fs::read_dir(repository.join("tests/golden")).unwrap().map(|release| release.unwrap().path());
    for release in releases {
        // Those that are kept: by a checkpoint, by one and a log behind it, and by more logs.
        // They were made before the table of changes.
        check(&release.join("lake").canonicalize().unwrap(), 20, &[50, 51, 52, 53]);
    }
}

#[test]
fn the_kernel_sees_in_a_new_lake_what_its_records_say() {
    let program = std::env::var_os("TASKLOOM_BIN").map(PathBuf::from).expect("TASKLOOM_BIN tells the program");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(program);
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new(&program).args(arguments).current_dir(&folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["generate", "--tasks", "40", "--seed", "1", "--out", "one.ndjson"]);
    run(&["generate", "--tasks", "30", "--seed", "2", "--out", "two.ndjson"]);
    run(&["flatten", "one.ndjson", "--out", "lake", "--quiet"]);
    run(&["flatten", "two.ndjson", "--out", "lake", "--overwrite", "--quiet"]);
    run(&["tag", "lake", "name"]);
    check(&folder.path().join("lake"), 21, &[1, 2, 3]);
}
