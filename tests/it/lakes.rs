//! What the tests have in common: runs of the library and of the program, and lakes taken apart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde::Deserialize;
use serde_json::Value;
use taskloom::internals::config::{Memory, RunConfig};
use taskloom::internals::error::{Error, Result};
use taskloom::internals::lake::{Author, Finding, Lake};
use taskloom::internals::partition::Wanted;
use taskloom::internals::pipeline;
use taskloom::internals::report::Report;
use taskloom::internals::source::{Input, Source};
use taskloom::internals::verify::{VerifyOptions, verify};

/// A config for one input file, as the program's defaults have it.
pub fn config(input: &Path, out: &Path) -> RunConfig {
    RunConfig {
        source: Source::Files(vec![Input::File(input.to_owned())]),
        lake: Lake::at(out).unwrap(),
        // So that it goes with the lake.
        work_dir: Some(out.join("_taskloom/work")),
        is_overwrite: false,
        rewrites_unchanged: false,
        conflict_retries: 10,
        layout: Wanted::default(),
        threads: 2,
        memory: Memory { limit_bytes: 64 << 20 },
        compression_level: Default::default(),
        max_rejects: None,
        reconcile: None,
        attachments: None,
        job: None,
        author: Author::default(),
    }
}

/// Runs to a committed version.
pub fn run(config: RunConfig) -> Result<Report> {
    pipeline::run(config, &Default::default())?.report()
}

/// Flattens lines of text into a new lake below `folder`, which must be whole then.
pub fn flatten_text(text: impl AsRef<[u8]>, folder: &Path) -> (Report, Lake) {
    let input = folder.join("input.ndjson");
    let out = folder.join("lake");
    std::fs::write(&input, text).unwrap();
    let report = run(config(&input, &out)).unwrap();
    let lake = Lake::open(&out).unwrap();
    assert_eq!(findings(&lake), []);
    (report, lake)
}

/// Whatever is wrong with a lake, by a look at every byte and row.
pub fn findings(lake: &Lake) -> Vec<Finding> {
    verify(lake, &VerifyOptions { is_deep: true, ..VerifyOptions::default() }).unwrap().findings
}

/// Restores a lake; the tasks by id.
pub fn restored(lake: &Lake) -> BTreeMap<String, Value> {
    let mut out = Vec::new();
    let count = taskloom::internals::restore::restore(lake, &mut out).unwrap();
    let tasks = by_id(&out);
    assert_eq!(tasks.len() as u64, count, "ids are unique");
    tasks
}

/// Restores a lake; `None` where it has no data.
pub fn restored_or_none(lake: &Lake) -> Option<BTreeMap<String, Value>> {
    match lake.readable_state() {
        Ok(_) => Some(restored(lake)),
        Err(Error::NoVersion { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Lines of tasks by id.
pub fn by_id(lines: &[u8]) -> BTreeMap<String, Value> {
    let parse = |line: &[u8]| {
        let mut reader = serde_json::Deserializer::from_slice(line);
        reader.disable_recursion_limit();
        Value::deserialize(&mut reader).unwrap()
    };
    let id = |task: Value| (task["task_id"].as_str().unwrap().to_owned(), task);
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).map(id).collect()
}

/// All files of data in a lake with their bytes, by path below the lake. Their names are without what tells one run from another.
pub fn visible_files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "parquet"));
    // What happened to tasks tells when.
    let files = files.filter(|file| !file.path().starts_with(root.join("task_changes")));
    let file = |file: walkdir::DirEntry| {
        let (folder, name) = (file.path().parent().unwrap(), file.file_name().to_str().unwrap());
        let (_, number) = name.strip_prefix("part-").unwrap().split_once('-').unwrap();
        (folder.strip_prefix(root).unwrap().join(number), std::fs::read(file.path()).unwrap())
    };
    files.map(file).collect()
}

/// Runs that say they are writing to a lake, dead ones included.
pub fn running(lake: &Path) -> usize {
    std::fs::read_dir(lake.join("_taskloom/running")).map_or(0, Iterator::count)
}

/// Where the files of a table with rows lie.
pub fn files_of(lake: &Lake, table: &str) -> Vec<PathBuf> {
    let state = lake.state().unwrap();
    let parts = state.parts.values().filter(|part| part.rows(table) > 0);
    parts.map(|part| lake.place().join(part.path(table))).collect()
}

/// The rows of a file.
pub fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReader::try_new(file, 1024).unwrap().map(Result::unwrap).collect()
}

/// What is found without a look at every byte.
pub fn shallow(lake: &Lake) -> Vec<Finding> {
    verify(lake, &VerifyOptions::default()).unwrap().findings
}

/// The rejects of a run, as JSON.
pub fn rejects(report: &Report) -> Vec<Value> {
    let Some(path) = &report.rejects_file else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The program, ready to be given arguments.
pub fn taskloom() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("taskloom").unwrap();
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}
