//! What is wrong with a lake is found, and what is right is not called wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskloom::internals::file::Encoding;
use taskloom::internals::lake::{Author, Fault, Finding, Scope, VacuumOptions};
use taskloom::internals::store::{MemoryStore, Store};
use taskloom::internals::verify::{VerifyOptions, verify};

use crate::lakes::{findings, shallow, taskloom};
use crate::stores::{copy, input, lake_in, run_on};

fn faults(findings: &[Finding]) -> BTreeSet<Fault> {
    findings.iter().map(|finding| finding.fault).collect()
}

/// A lake with a snapshot, of which nothing older is kept.
fn with_snapshot() -> MemoryStore {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 2);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    for version in 1..=50 {
        run_on(lake.store(), &input, version > 1).unwrap();
    }
    let nothing_old = VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false };
    lake.vacuum(&nothing_old, &Author::default()).unwrap();
    store
}

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[test]
fn any_flipped_bit_is_found() {
    let store = with_snapshot();
    let lake = lake_in(&store);
    assert_eq!(findings(&lake), []);
    let paths: Vec<String> = store.list("").unwrap().into_iter().map(|listed| listed.path).collect();
    let is_log = |path: &str| path.contains("_delta_log");
    type IsOfKind = fn(&str) -> bool;
    let kinds: [(Fault, IsOfKind); 5] = [
        (Fault::Record, |path| path.starts_with("_taskloom/commits/")),
        (Fault::Snapshot, |path| path.starts_with("_taskloom/snapshots/")),
        (Fault::Snapshot, |path| path.contains("checkpoint")),
        (Fault::Log, |path| path.contains("_delta_log") && path.ends_with(".json")),
        (Fault::Checksum, |path| path.ends_with(".parquet") && !path.contains("_delta_log")),
    ];
    assert!(paths.iter().any(|path| is_log(path)));
    let mut chance = Chance(1);
    for (fault, is_of_kind) in kinds {
        let of_kind = paths.iter().filter(|path| is_of_kind(path)).collect::<Vec<_>>();
        for _ in 0..25 {
            let path = of_kind[chance.below(of_kind.len())];
            let whole = store.get(path).unwrap().unwrap();
            let mut changed = whole.clone();
            let (at, bit) = (chance.below(changed.len()), chance.below(8));
            changed[at] ^= 1 << bit;
            store.replace(path, &changed).unwrap();
            let found = findings(&lake);
            assert!(
                found.iter().any(|finding| finding.fault == fault && finding.path == *path),
                "bit {bit} of byte {at} of {path}: {found:?}"
            );
            store.replace(path, &whole).unwrap();
        }
    }
    assert_eq!(findings(&lake), []);
}

#[test]
fn files_that_are_gone_cut_or_nobodys_are_found_without_reading_them() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 2, 3);
    let whole = MemoryStore::named("memory");
    run_on(lake_in(&whole).store(), &input, false).unwrap();
    run_on(lake_in(&whole).store(), &input, true).unwrap();
    assert_eq!(shallow(&lake_in(&whole)), []);
    let data = |version: u64| {
        let state = lake_in(&whole).state_at(version).unwrap();
        let part = state.parts.values().find(|part| part.rows("tasks") > 0).unwrap().clone();
        part.path("messages")
    };
    let log = |version: u64| format!("tasks/_delta_log/{version:020}.json");
    let after = |spoil: &dyn Fn(&MemoryStore)| {
        let store = copy(&whole);
        spoil(&store);
        shallow(&lake_in(&store))
    };
    for version in [1, 2] {
        let path = data(version);
        let found = after(&|store| store.delete(&path).unwrap());
        assert!(found.len() == 1 && found[0].fault == Fault::Missing && found[0].path == path, "{found:?}");
        let bytes = whole.get(&path).unwrap().unwrap();
        let found = after(&|store| store.replace(&path, &bytes[1..]).unwrap());
        assert!(found.len() == 1 && found[0].fault == Fault::Size && found[0].path == path, "{found:?}");
    }
    // Another table's file of the same length would do for the size.
    let path = data(2);
    let zeros = vec![0; whole.get(&path).unwrap().unwrap().len()];
    assert_eq!(faults(&after(&|store| store.replace(&path, &zeros).unwrap())), BTreeSet::from([Fault::Footer]));
    assert_eq!(faults(&after(&|store| store.delete(&log(2)).unwrap())), BTreeSet::from([Fault::Unpublished]));
    assert_eq!(faults(&after(&|store| store.delete(&log(1)).unwrap())), BTreeSet::from([Fault::Log]));
    let record = "_taskloom/commits/00000000000000000001.json";
    assert_eq!(faults(&after(&|store| store.delete(record).unwrap())), BTreeSet::from([Fault::Record]));
    for stranger in [
        "messages/project=p/part-0000000000000000-000001.parquet",
        "messages/notes.txt",
        "notes.txt",
        "_taskloom/notes.txt",
        "tasks/_delta_log/00000000000000000003.json",
        "tasks/_delta_log/notes.txt",
        "_taskloom/snapshots/00000000000000000001.json.zst",
    ] {
        let found = after(&|store| store.put(stranger, b"x").unwrap());
        // A log that has no record makes the version that it tells of look published: nothing else is wrong.
        assert!(found.len() == 1 && found[0].fault == Fault::Stranger && found[0].path == stranger, "{found:?}");
    }
}

#[test]
fn a_living_runs_files_are_nobodys_fault_and_a_dead_ones_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 3, 3);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    run_on(lake.store(), &input, false).unwrap();
    let living = lake.begin(&lake.state().unwrap(), &Author::default()).unwrap();
    let file = format!("tasks/project=p/batch=b/date=2025-01-01/{}000000.parquet", living.prefix());
    store.put(&file, b"half a file").unwrap();
    assert_eq!(findings(&lake), []);
    drop(living);
    let found = findings(&lake);
    assert!(found.len() == 1 && found[0].fault == Fault::DeadRun && found[0].found.contains("1 files"), "{found:?}");
    lake.recover(&Author::default()).unwrap();
    assert_eq!(findings(&lake), []);
}

#[test]
fn one_version_or_what_came_after_one_can_be_looked_at_alone() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 4, 3);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    for version in 1..=3 {
        run_on(lake.store(), &input, version > 1).unwrap();
    }
    let part = lake.state_at(2).unwrap().parts.values().find(|part| part.rows("tasks") > 0).unwrap().clone();
    store.delete(&part.path("tasks")).unwrap();
    let found = |at, since| {
        let options =
            VerifyOptions { scope: Scope { at, since, ..Scope::default() }, is_deep: true, ..VerifyOptions::default() };
        verify(&lake, &options).unwrap()
    };
    for (at, since, is_found) in [
        (Some(1), None, false),
        (Some(2), None, true),
        (Some(3), None, false),
        (None, Some(1), true),
        (None, Some(2), false),
        (None, None, true),
    ] {
        let verification = found(at, since);
        assert_eq!(!verification.findings.is_empty(), is_found, "{at:?} {since:?}: {:?}", verification.findings);
        assert_eq!(verification.version, Some(at.unwrap_or(3)));
        assert_eq!(verification.records, at.unwrap_or(3 - since.unwrap_or(0)));
    }
}

#[test]
fn rows_that_contradict_each_other_are_found_although_their_checksums_are_right() {
    use arrow::array::{ArrayRef, StringArray};
    use taskloom::internals::table::Table;
    let folder = tempfile::tempdir().unwrap();
    let task = |id: &str| {
        let threads =
            r#"[{"id": "x", "turns": [{"id": "y", "messages": [{"role": "user", "content": {"text": "hi"}}]}]}]"#;
        format!(
            "{{\"task_id\": \"{id}\", \"project\": \"p\", \"created_at\": \"2025-01-02\", \"threads\": {threads}}}\n"
        )
    };
    let text = folder.path().join("tasks.ndjson");
    std::fs::write(&text, task("a") + &task("b")).unwrap();
    let spoil = |table: &str, change: &dyn Fn(&str, ArrayRef) -> ArrayRef| {
        let store = MemoryStore::named("memory");
        let lake = lake_in(&store);
        run_on(lake.store(), &text, false).unwrap();
        let state = lake.state().unwrap();
        let part = state.parts.values().find(|part| part.rows(table) > 0).unwrap();
        let path = part.path(table);
        let batch = taskloom::internals::file::open(&store, &path).unwrap().next().unwrap().unwrap();
        let schema = Table::named(table).unwrap().arrow_schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| change(field.name(), Arc::clone(column))).collect();
        let batch = arrow::array::RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let file = Table::named(table).unwrap();
        let encoding = Encoding { compression_level: Default::default() };
        let encoded = taskloom::internals::file::encode(file, &[batch], encoding, path.as_ref()).unwrap();
        store.replace(&path, &encoded.bytes).unwrap();
        // The record is made to say what is there: only the rows themselves can tell now.
        let record = "_taskloom/commits/00000000000000000001.json";
        let sealed: serde_json::Value = serde_json::from_slice(&store.get(record).unwrap().unwrap()).unwrap();
        let old = &part.files[table];
        let xxh3 = |bytes: &[u8]| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
        let inner = sealed["record"].to_string();
        let inner = inner.replace(&old.checksum, &xxh3(&encoded.bytes));
        let inner = inner.replace(&format!("\"bytes\":{}", old.bytes), &format!("\"bytes\":{}", encoded.bytes.len()));
        let sealed = format!("{{\"checksum\":\"{}\",\"record\":{inner}}}", xxh3(inner.as_bytes()));
        store.replace(record, sealed.as_bytes()).unwrap();
        lake.recover(&Author::default()).unwrap();
        let found = findings(&lake);
        assert_eq!(shallow(&lake), [], "{found:?}");
        assert_eq!(faults(&found), BTreeSet::from([Fault::Rows]), "{found:?}");
        found.into_iter().map(|finding| finding.expected).collect::<Vec<_>>().join("; ")
    };
    let replaced = |wanted: &'static str, values: &'static [&'static str]| {
        move |name: &str, column: ArrayRef| -> ArrayRef {
            if name == wanted { Arc::new(StringArray::from(values.to_vec())) } else { column }
        }
    };
    assert!(spoil("messages", &replaced("text", &["hi", "ho"])).contains("content of b"));
    assert!(spoil("messages", &replaced("task_id", &["a", "a"])).contains("each once"));
    assert!(spoil("tasks", &replaced("task_id", &["b", "a"])).contains("each once"));
    assert!(spoil("tasks", &replaced("task_id", &["a", "c"])).contains("bounds"));
    assert!(spoil("tasks", &replaced("project_id", &["p", "q"])).contains("rows of project=p/"));
    assert!(spoil("threads", &replaced("task_id", &["a", "bb"])).contains("owner"));
    assert!(spoil("turns", &replaced("task_id", &["a", "bb"])).contains("turn_count"));
}

#[test]
fn an_object_that_lies_in_two_parts_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 5, 3);
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    run_on(lake.store(), &input, false).unwrap();
    run_on(lake.store(), &input, true).unwrap();
    // What the second version took away comes to stand beside what it brought.
    let record = "_taskloom/commits/00000000000000000002.json";
    let sealed: serde_json::Value = serde_json::from_slice(&store.get(record).unwrap().unwrap()).unwrap();
    let mut inner = sealed["record"].clone();
    inner["remove"] = serde_json::json!([]);
    let inner = inner.to_string();
    let checksum = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(inner.as_bytes()));
    store.replace(record, format!("{{\"checksum\":\"{checksum}\",\"record\":{inner}}}").as_bytes()).unwrap();
    lake.recover(&Author::default()).unwrap();
    assert_eq!(shallow(&lake), []);
    let found = findings(&lake);
    assert!(!found.is_empty() && found.iter().all(|finding| finding.found.contains("holds too")), "{found:?}");
}

#[test]
fn a_log_that_was_torn_is_found_and_recover_mends_it_whatever_it_is() {
    let store = with_snapshot();
    let lake = lake_in(&store);
    let spoilt = store.list("").unwrap().into_iter().map(|listed| listed.path);
    let spoilt = spoilt.filter(|path| path.contains("_delta_log") || path.contains("snapshots")).collect::<Vec<_>>();
    let newest = "tasks/_delta_log/00000000000000000051.json";
    for (number, path) in spoilt.iter().filter(|path| *path != newest).enumerate() {
        let bytes = store.get(path).unwrap().unwrap();
        match number % 3 {
            0 => store.delete(path).unwrap(),
            1 => store.replace(path, &bytes[..bytes.len() / 2]).unwrap(),
            _ => store.replace(path, b"").unwrap(),
        }
    }
    let found = findings(&lake);
    assert_eq!(found.len(), spoilt.len() - 1, "{found:?}");
    lake.recover(&Author::default()).unwrap();
    assert_eq!(findings(&lake), []);
}

#[test]
fn the_program_lists_what_is_wrong_and_ends_with_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 6, 3);
    let lake = folder.path().join("lake");
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().success();
    let verify = |flags: &[&str]| taskloom().arg("verify").arg(&lake).args(flags).assert();
    let told = verify(&[]).success().get_output().stdout.clone();
    assert!(String::from_utf8(told).unwrap().contains("nothing is wrong"));
    std::fs::write(lake.join("tasks/\u{1b}[2Knote"), "x").unwrap();
    let told = verify(&["--deep"]).code(1).get_output().stdout.clone();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains(r"tasks/\u{1b}[2Knote") && !told.contains('\u{1b}'), "{told}");
    let json: serde_json::Value = serde_json::from_slice(&verify(&["--json"]).code(1).get_output().stdout).unwrap();
    assert_eq!(json["findings"][0]["fault"], "stranger");
    assert_eq!((&json["version"], &json["records"], &json["is_deep"]), (&1.into(), &1.into(), &false.into()));
}
