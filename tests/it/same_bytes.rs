//! The same input gives the same bytes, whatever the number of threads and however much had to go to disk.

use taskloom::internals::config::Memory;
use taskloom::internals::generate::{GenerateOptions, generate};

use crate::lakes::{self, config, visible_files};

#[test]
fn threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    let mut text = Vec::new();
    // Large enough to be cut into several parts a partition at the least memory limit.
    generate(&GenerateOptions { tasks: 1200, partitions: 3, ..Default::default() }, &mut text).unwrap();
    // Some tasks come again, so that parts are rewritten.
    text.extend_from_within(..200_000);
    text.extend_from_slice(b"\n");
    std::fs::write(&input, &text).unwrap();
    let mut reports = Vec::new();
    let mut lakes = Vec::new();
    for threads in [1, 2, 7] {
        let out = folder.path().join(format!("lake{threads}"));
        let mut config = config(&input, &out);
        config.threads = threads;
        config.memory = Memory { limit_bytes: Memory::LEAST_BYTES };
        reports.push(lakes::run(config).unwrap());
        lakes.push(visible_files(&out));
    }
    assert!(reports[0].parts > 8 && reports[0].superseded > 5, "{:?}", reports[0]);
    assert!(lakes[0].len() > 40);
    assert!(lakes[0] == lakes[1], "2 threads");
    assert!(lakes[0] == lakes[2], "7 threads");
}

#[test]
fn where_a_text_waits_for_its_part_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, compressed) = (folder.path().join("input.ndjson"), folder.path().join("input.ndjson.zst"));
    let mut text = Vec::new();
    generate(&GenerateOptions { tasks: 900, partitions: 300, ..Default::default() }, &mut text).unwrap();
    std::fs::write(&compressed, zstd::encode_all(text.as_slice(), 1).unwrap()).unwrap();
    std::fs::write(&plain, &text).unwrap();
    let mut lakes = Vec::new();
    // A plain file is read again; what is compressed is held, or put on disk where that is too much.
    for (name, input, limit_bytes) in [
        ("left", &plain, Memory::LEAST_BYTES),
        ("spilled", &compressed, Memory::LEAST_BYTES),
        ("held", &compressed, 1 << 30),
    ] {
        let out = folder.path().join(name);
        let mut config = config(input, &out);
        config.memory = Memory { limit_bytes };
        let report = lakes::run(config).unwrap();
        assert_eq!(report.spilled_bytes > 0, name == "spilled", "{name}");
        lakes.push(visible_files(&out));
    }
    assert!(lakes[0] == lakes[1]);
    assert!(lakes[0] == lakes[2]);
}

#[test]
fn thousands_of_small_parts_fit_onto_the_stacks_of_few_threads() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    let mut text = Vec::new();
    let options = GenerateOptions { tasks: 3000, partitions: 3000, task_bytes: 1, ..Default::default() };
    generate(&options, &mut text).unwrap();
    std::fs::write(&input, text).unwrap();
    let report = lakes::run(config(&input, &folder.path().join("lake"))).unwrap();
    assert!(report.parts >= 3000, "{report:?}");
    assert_eq!(report.tables["tasks"].rows, 3000);
}
