//! What a lake was asked to forget: gone from all of it, and not to come again, however it was disturbed meanwhile.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::{Value, json};
use taskloom::internals::config::RunConfig;
use taskloom::internals::error::{Error, ErrorKind};
use taskloom::internals::feed::{Since, changes_since};
use taskloom::internals::lake::{Lake, VacuumOptions};
use taskloom::internals::report::Report;
use taskloom::internals::simulate::{SimulateOptions, Simulator, Store as Served};
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};
use taskloom::internals::upkeep::{ForgetOptions, Forgetting, compact, forget, rollback};
use taskloom::internals::verify::{VerifyOptions, verify};

use crate::buckets::store as bucket;
use crate::crashes::{Disturbance, check_whole, disturbed};
use crate::lakes::{config, findings, restored, run, taskloom};
use crate::stand_in::{Options, StandIn};
use crate::stores::{copy, lake_in};

/// A task of which some was submitted by these.
fn task(id: &str, content: u8, contributors: &[&str]) -> Value {
    let submission = |id: &&str| json!({"submitted_at": "2025-01-02T00:00:00Z", "contributor_id": id});
    let message = json!({"role": "user", "content": {"text": format!("text {content}")}});
    json!({
        "task_id": id,
        "project": "p",
        "batch": format!("b{}", content % 2),
        "status": "completed",
        "completed_at": "2025-01-02T03:04:05Z",
        "metadata": {"note": format!("of {content}"), "reviews": contributors.iter().map(|id| json!({"contributor_id": id})).collect::<Vec<_>>()},
        "threads": [{
            "id": "thread",
            "turns": [{"id": "turn", "messages": [message]}],
            "submissions": contributors.iter().map(submission).collect::<Vec<_>>(),
        }],
    })
}

fn merged(lake: &Lake, tasks: &[Value]) -> Result<Report, Error> {
    merged_text(lake, tasks.iter().map(|task| format!("{task}\n")).collect::<String>())
}

fn merged_text(lake: &Lake, text: impl AsRef<[u8]>) -> Result<Report, Error> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, text).unwrap();
    run(RunConfig { lake: lake.clone(), work_dir: None, threads: 1, ..config(&input, folder.path()) })
}

/// A lake of some versions, of which one is called `paper`.
fn lake() -> MemoryStore {
    lake_of(12)
}

/// One with so many tasks.
fn lake_of(tasks: u8) -> MemoryStore {
    let store = MemoryStore::named("memory");
    fill(&lake_in(&store), tasks);
    store
}

fn fill(lake: &Lake, tasks: u8) {
    let all = (0..tasks).map(|id| task(&format!("task-{id}"), id, &[["c-ann", "c-bob", "c-cyd"][usize::from(id % 3)]]));
    merged(lake, &all.collect::<Vec<_>>()).unwrap();
    lake.tag("paper", None, &Default::default()).unwrap();
    // Those that go were changed before, and one of them could not be read once.
    let broken = r#"{"task_id":"task-3","project":"p","threads":"none"}"#;
    merged_text(lake, format!("{}\n{broken}\n", task("task-3", 33, &["c-ann", "c-eve"]))).unwrap();
    merged(lake, &[task("task-4", 44, &["c-bob"])]).unwrap();
}

fn of_tasks(ids: &[&str]) -> ForgetOptions {
    let tasks = ids.iter().map(|id| (*id).to_owned()).collect();
    ForgetOptions { tasks, threads: 1, ..ForgetOptions::default() }
}

fn of_contributor(id: &str, drops_tasks: bool) -> ForgetOptions {
    ForgetOptions { contributors: vec![id.to_owned()], drops_tasks, threads: 1, ..ForgetOptions::default() }
}

fn forgotten(lake: &Lake, options: &ForgetOptions) -> Result<Forgetting, Error> {
    forget(lake, options, &Default::default())
}

/// All that lies in a store, as text: whatever packs it, unpacked.
fn decoded(store: &dyn Store) -> BTreeMap<String, String> {
    let mut decoded = BTreeMap::new();
    for listed in store.list("").unwrap() {
        let Some(bytes) = store.get(&listed.path).unwrap() else { continue };
        let text = if listed.path.ends_with(".parquet") {
            let rows = ParquetRecordBatchReader::try_new(Bytes::from(bytes.clone()), 1024).unwrap();
            let rows = rows.map(|batch| format!("{:?}", batch.unwrap())).collect::<String>();
            // Statistics in the footer too.
            rows + &String::from_utf8_lossy(&bytes)
        } else if listed.path.ends_with(".zst") {
            let mut text = String::new();
            zstd::Decoder::new(&*bytes).unwrap().read_to_string(&mut text).unwrap();
            text
        } else {
            String::from_utf8_lossy(&bytes).into_owned()
        };
        decoded.insert(listed.path, text);
    }
    decoded
}

/// Where a word stands that no other id begins with.
pub fn places(store: &dyn Store, word: &str) -> Vec<String> {
    let is_word = |text: &str| {
        text.match_indices(word).any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_ascii_digit()))
    };
    decoded(store).into_iter().filter(|(_, text)| is_word(text)).map(|(path, _)| path).collect()
}

fn proof(lake: &Lake) -> Vec<taskloom::internals::lake::Finding> {
    verify(lake, &VerifyOptions { is_for_forgotten: true, is_deep: true, ..VerifyOptions::default() }).unwrap().findings
}

fn feed(lake: &Lake) -> Vec<(u64, String, String)> {
    let mut rows = Vec::new();
    let each = |row: taskloom::internals::feed::TaskChange| {
        rows.push((row.version, row.change, row.task_id));
        Ok(())
    };
    changes_since(lake, &lake.state().unwrap(), Since::Version(0), each).unwrap();
    rows
}

#[test]
fn a_forgotten_task_is_nowhere_and_does_not_come_again() {
    let store = lake();
    let lake = lake_in(&store);
    let before = restored(&lake);
    assert!(places(&store, "task-3").len() > 10);
    let done = forgotten(&lake, &of_tasks(&["task-3", "task-99"])).unwrap();
    assert_eq!((done.version, done.tasks_forgotten, done.tasks_not_held.len(), done.tasks_changed), (5, 1, 1, 0));
    assert_eq!((done.tags.as_slice(), done.erased.versions), (["paper".to_owned()].as_slice(), 4));
    for word in ["task-3", "task-99", "text 33"] {
        assert_eq!(places(&store, word), [""; 0], "{word}");
    }
    let mut rest = before.clone();
    rest.remove("task-3");
    assert_eq!(restored(&lake), rest);
    assert_eq!(proof(&lake), []);
    assert_eq!(check_whole(&store), 5);

    // Nobody comes behind it, and everything else goes on.
    assert!(matches!(rollback(&lake, 4, &Default::default()), Err(Error::VersionGone { .. })));
    assert!(lake.state_of(Some("paper")).is_err() && lake.history().unwrap().len() == 1);
    let report = merged(&lake, &[task("task-3", 33, &["c-ann"]), task("task-20", 20, &["c-bob"])]).unwrap();
    assert_eq!((report.forgotten, report.tasks_read), (1, 2));
    merged_text(
        &lake,
        format!("{{\"task_id\":\"task-3\",\"threads\":1}}\n{{\"tasks\":[{}]}}\n", task("task-3", 1, &[])),
    )
    .unwrap();
    assert_eq!(places(&store, "task-3"), [""; 0]);
    rest.insert("task-20".to_owned(), restored(&lake)["task-20"].clone());
    assert_eq!(restored(&lake), rest);
    rollback(&lake, 5, &Default::default()).unwrap();
    compact(&lake, &Default::default(), &Default::default()).unwrap();
    lake.vacuum(&VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false }, &Default::default()).unwrap();
    assert_eq!((proof(&lake), findings(&lake)), (vec![], vec![]));
    // Who replaces everything brings it no more than others.
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, format!("{}\n{}\n", task("task-3", 1, &[]), task("task-1", 1, &[]))).unwrap();
    run(RunConfig { lake: lake.clone(), is_overwrite: true, ..config(&input, folder.path()) }).unwrap();
    assert_eq!(restored(&lake).len(), 1);
}

#[test]
fn who_keeps_a_copy_is_told_by_a_hash_alone() {
    let store = lake();
    let lake = lake_in(&store);
    forgotten(&lake, &of_tasks(&["task-3", "task-99"])).unwrap();
    let key = lake.state().unwrap().forget_key.unwrap();
    let hash = |id: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(format!("{key}{id}")).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let told = feed(&lake);
    let mut expected = [hash("task-3"), hash("task-99")];
    expected.sort();
    let of_forgotten = told.iter().filter(|(_, change, _)| change == "forgotten").collect::<Vec<_>>();
    assert_eq!(of_forgotten.iter().map(|(version, ..)| *version).collect::<Vec<_>>(), [5, 5]);
    let mut hashes = of_forgotten.iter().map(|(.., id)| id.clone()).collect::<Vec<_>>();
    hashes.sort();
    assert_eq!(hashes, expected);
    // What was told of others is told still.
    assert_eq!(told.iter().filter(|(version, ..)| *version == 1).count(), 11);
    assert!(told.contains(&(4, "replaced".to_owned(), "task-4".to_owned())));
    // The key stays, so that hashes of later versions compare with these.
    forgotten(&lake, &of_tasks(&["task-5"])).unwrap();
    assert_eq!(lake.state().unwrap().forget_key.unwrap(), key);
    assert!(
        feed(&lake)
            .iter()
            .any(|(version, change, id)| (*version, change.as_str(), id) == (6, "forgotten", &hash("task-5")))
    );
    assert_eq!(lake.state().unwrap().tombstones.len(), 3);
    assert_eq!(proof(&lake), []);
}

fn without_name(mut task: Value, id: &str) -> Value {
    for places in [&mut task["threads"][0]["submissions"]] {
        for submission in places.as_array_mut().unwrap() {
            if submission["contributor_id"] == id {
                submission.as_object_mut().unwrap().remove("contributor_id");
            }
        }
    }
    for review in task["metadata"]["reviews"].as_array_mut().unwrap() {
        if review["contributor_id"] == id {
            review["contributor_id"] = Value::Null;
        }
    }
    task
}

#[test]
fn a_forgotten_contributor_is_named_nowhere_and_the_tasks_stay() {
    let store = lake();
    let lake = lake_in(&store);
    let before = restored(&lake);
    let done = forgotten(&lake, &of_contributor("c-ann", false)).unwrap();
    assert_eq!((done.tasks_forgotten, done.tasks_changed), (0, 4));
    assert_eq!(places(&store, "c-ann"), [""; 0]);
    let expected = before.into_iter().map(|(id, task)| (id, without_name(task, "c-ann"))).collect::<BTreeMap<_, _>>();
    assert_eq!(restored(&lake), expected);
    assert_eq!(proof(&lake), []);
    let changed = feed(&lake).into_iter().filter(|(version, ..)| *version == 5).collect::<Vec<_>>();
    assert_eq!(changed.len(), 4);
    assert!(changed.iter().all(|(_, change, _)| change == "replaced"));
    // What comes again has the same content, but for the name.
    let again = merged(&lake, &[task("task-0", 0, &["c-ann"]), task("task-9", 9, &["c-ann"])]).unwrap();
    assert_eq!((again.version, again.merged.unwrap().tasks_unchanged), (5, 2));
    merged(&lake, &[task("task-30", 30, &["c-ann", "c-bob"])]).unwrap();
    assert_eq!(places(&store, "c-ann"), [""; 0]);
    assert!(!places(&store, "c-bob").is_empty());
    assert_eq!(proof(&lake), []);
}

#[test]
fn a_contributors_tasks_go_where_that_is_asked_for() {
    let store = lake();
    let lake = lake_in(&store);
    let done = forgotten(&lake, &of_contributor("c-ann", true)).unwrap();
    assert_eq!((done.tasks_forgotten, done.tasks_changed), (4, 0));
    assert_eq!(restored(&lake).len(), 8);
    for word in ["c-ann", "task-0", "task-3", "task-6", "task-9"] {
        assert_eq!(places(&store, word), [""; 0], "{word}");
    }
    merged(&lake, &[task("task-0", 0, &["c-bob"]), task("task-31", 31, &["c-ann"])]).unwrap();
    assert_eq!(restored(&lake).len(), 9);
    assert_eq!(proof(&lake), []);
}

#[test]
fn ids_may_be_odd() {
    for id in ["é \"quoted\" \\ / \u{1}", "a, b", "中文", &"x".repeat(999), "\"", "…"] {
        let store = lake();
        let lake = lake_in(&store);
        let own = task(id, 7, &[id, "c-bob"]);
        merged(&lake, &[own.clone(), task("other", 8, &[id])]).unwrap();
        let contributor = forgotten(&lake, &of_contributor(id, false)).unwrap();
        assert_eq!(contributor.tasks_changed, 2, "{id}");
        assert_eq!(forgotten(&lake, &of_tasks(&[id])).unwrap().tasks_forgotten, 1, "{id}");
        merged(&lake, &[own, task("other", 8, &[id])]).unwrap();
        let has = restored(&lake);
        assert!(has.len() == 13 && !has.contains_key(id), "{id}");
        assert_eq!(proof(&lake), [], "{id}");
        let text = format!("{:?}", has.values().collect::<Vec<_>>());
        assert!(!text.contains(&format!("{id:?}")), "{id}");
    }
}

#[test]
fn what_is_forgotten_again_begins_history_again_and_a_slip_of_the_pen_does_not() {
    let store = lake();
    let lake = lake_in(&store);
    forgotten(&lake, &of_tasks(&["task-3"])).unwrap();
    // A name that tells what it should not goes with the next one.
    lake.tag("task-3", None, &Default::default()).unwrap();
    assert!(!proof(&lake).is_empty());
    let again = forgotten(&lake, &of_tasks(&["task-3"])).unwrap();
    assert_eq!((again.version, again.erased.versions, again.tags.len()), (7, 2, 1));
    assert_eq!((proof(&lake), lake.history().unwrap().len()), (vec![], 1));
    let before = decoded(&store);
    let dry = ForgetOptions { is_dry_run: true, ..of_tasks(&["task-4"]) };
    assert_eq!(forgotten(&lake, &dry).unwrap().tasks_forgotten, 1);
    for unknown in [of_tasks(&["task-44"]), of_contributor("c-nobody", false)] {
        assert!(matches!(forgotten(&lake, &unknown).unwrap_err().kind(), ErrorKind::Usage));
    }
    assert_eq!(decoded(&store), before);
    let done = forgotten(&lake, &ForgetOptions { allows_unknown: true, ..of_tasks(&["task-44"]) }).unwrap();
    assert_eq!((done.version, done.tasks_not_held), (8, vec!["task-44".to_owned()]));
    // It was there once.
    merged(&lake, &[task("task-60", 60, &[])]).unwrap();
    rollback(&lake, 8, &Default::default()).unwrap();
    assert_eq!(forgotten(&lake, &of_tasks(&["task-60"])).unwrap().tasks_forgotten, 0);
    assert_eq!(places(&store, "task-60"), [""; 0]);
}

#[test]
fn what_names_it_in_other_words_is_found_and_left_out_of_rejects() {
    let store = lake();
    let lake = lake_in(&store);
    forgotten(&lake, &of_tasks(&["task-3"])).unwrap();
    for place in ["https://x.y/tasks/task-3/a?b=1", "id_task-3", "task-3.json", "see #task-3!"] {
        let own = copy(&store);
        let lake = lake_in(&own);
        let broken = json!({"task_id": "task-80", "threads": 5, "u": place});
        let text = format!("{broken}\n{{\"t\":\"{place}\",\n");
        merged_text(&lake, format!("{text}{}\n", task("task-81", 1, &[]))).unwrap();
        assert_eq!((places(&own, "task-3"), proof(&lake)), (vec![], vec![]), "{place}");
        // In a line that is no text.
        merged_text(
            &lake,
            [
                format!("{{\"t\":\"{place}\",\"").as_bytes(),
                b"\xff\"}\n",
                task("task-83", 1, &[]).to_string().as_bytes(),
            ]
            .concat(),
        )
        .unwrap();
        assert_eq!(own.list("_taskloom/rejects").unwrap().len(), 2);
        let mut other = task("task-82", 1, &[]);
        other["metadata"]["ref"] = json!(place);
        merged(&lake, &[other]).unwrap();
        let rejects = own.list("_taskloom/rejects").unwrap().into_iter().map(|listed| own.get(&listed.path).unwrap());
        assert!(rejects.flatten().all(|bytes| !String::from_utf8(bytes).unwrap().contains("raw_base64")));
        let found = proof(&lake);
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        assert!(found[0].found.contains("`metadata`") && found[0].found.contains("task-82"), "{found:?}");
    }
}

#[test]
fn a_damaged_record_of_a_history_that_goes_is_in_nobodys_way() {
    let store = lake();
    let lake = lake_in(&store);
    for name in 0..50 {
        lake.tag(&format!("tag{name}"), Some(1), &Default::default()).unwrap();
    }
    for (version, damage) in [(1, Some(&b"torn"[..])), (7, None), (9, Some(&b"{}"[..]))] {
        let path = format!("_taskloom/commits/{version:020}.json");
        match damage {
            Some(bytes) => store.replace(&path, bytes).unwrap(),
            None => store.delete(&path).unwrap(),
        }
    }
    assert_eq!(forgotten(&lake, &of_tasks(&["task-3"])).unwrap().erased.versions, 54);
    assert_eq!((places(&store, "task-3"), proof(&lake), lake.history().unwrap().len()), (vec![], vec![], 1));
}

#[test]
fn whatever_writes_next_finishes_a_forgetting_that_was_killed() {
    let before = lake();
    let committed = Arc::new(AtomicBool::new(false));
    // It dies behind its record.
    let (store, seen) = (copy(&before), Arc::clone(&committed));
    let faulty = Faulty::new(&store, move |name, path| {
        let is_last = name == "put_if_absent" && path.contains("commits");
        if seen.load(SeqCst) {
            Fault::Failed
        } else {
            seen.fetch_or(is_last, SeqCst);
            Fault::None
        }
    });
    let ended = forgotten(&Lake::on(Arc::new(faulty)), &of_tasks(&["task-3"]));
    assert!(matches!(ended, Err(Error::Committed { .. })), "{ended:?}");
    assert!(lake_in(&store).standing().unwrap().is_being_erased);
    let lake = lake_in(&store);
    lake.tag("next", None, &Default::default()).unwrap();
    assert!(!lake.standing().unwrap().is_being_erased);
    assert_eq!(places(&store, "task-3"), [""; 0]);
    lake.recover(&Default::default()).unwrap();
    assert_eq!(proof(&lake), []);
}

#[test]
fn proof_is_refused_where_something_is_left() {
    let store = lake();
    let lake = lake_in(&store);
    let old = copy(&store);
    forgotten(&lake, &of_tasks(&["task-3"])).unwrap();
    assert_eq!(proof(&lake), []);
    let record = "_taskloom/commits/00000000000000000002.json";
    let log = "messages/_delta_log/00000000000000000001.json";
    let rejects = old.list("_taskloom/rejects").unwrap().remove(0).path;
    let data = old.list("tasks").unwrap().into_iter().map(|listed| listed.path);
    let data = data.filter(|path| path.ends_with(".parquet")).find(|path| store.get(path).unwrap().is_none()).unwrap();
    for path in [record, log, &rejects, &data] {
        let put_back = copy(&store);
        put_back.delete(path).unwrap();
        put_back.put(path, &old.get(path).unwrap().unwrap()).unwrap();
        let found = proof(&lake_in(&put_back));
        assert!(found.iter().any(|finding| finding.path == path), "{path}: {found:?}");
        assert!(!format!("{found:?}").contains("task-3"), "{found:?}");
    }
}

#[test]
fn a_forgetting_that_is_disturbed_at_any_operation_is_made_good() {
    let before = lake_of(5);
    let (whole, options) = (restored(&lake_in(&before)), of_tasks(&["task-3"]));
    let (counted, operations) = disturbed(&copy(&before), None);
    forgotten(&Lake::on(Arc::new(counted)), &options).unwrap();
    let operations = operations.load(SeqCst);
    assert!(operations > 150, "{operations}");
    let mut outcomes = [0, 0];
    for (round, at) in (0..operations).step_by(4).enumerate() {
        // Each fault with each way of going on, in turn.
        let (fault, is_end) = ([Fault::Failed, Fault::Unheard, Fault::Late][round % 3], round / 3 % 2 == 0);
        let store = copy(&before);
        let disturbance = Disturbance { at, fault, is_end };
        // Readers look at some of them meanwhile, which takes long.
        let faulty = if round % 16 == 0 { disturbed(&store, Some(disturbance)).0 } else { unseen(&store, disturbance) };
        let ended = forgotten(&Lake::on(Arc::new(faulty.clone())), &options);
        faulty.land();
        let lake = lake_in(&store);
        let is_gone = !restored(&lake).contains_key("task-3");
        assert!(is_gone || ended.is_err(), "{at}");
        outcomes[usize::from(is_gone)] += 1;
        // Whatever comes next makes it good.
        match round % 4 {
            0 => drop(merged(&lake, &[task("task-50", 50, &["c-bob"])]).unwrap()),
            1 => drop(lake.recover(&Default::default()).unwrap()),
            2 => drop(compact(&lake, &Default::default(), &Default::default()).unwrap()),
            _ => {
                let options = VacuumOptions { kept_since: chrono::DateTime::UNIX_EPOCH, is_dry_run: false };
                lake.vacuum(&options, &Default::default()).unwrap();
            }
        }
        lake.recover(&Default::default()).unwrap();
        check_whole(&store);
        let options = VerifyOptions { is_for_forgotten: true, ..VerifyOptions::default() };
        assert_eq!(verify(&lake, &options).unwrap().findings, [], "{at}");
        let mut expected = whole.clone();
        if is_gone {
            expected.remove("task-3");
            if round % 4 == 0 {
                assert_eq!(places(&store, "task-3"), [""; 0], "{at}");
            }
        }
        let mut now = restored(&lake);
        now.remove("task-50");
        assert_eq!(now, expected, "{at}");
    }
    assert!(outcomes.iter().all(|count| *count > 10), "{outcomes:?}");
}

/// A store in which an operation is disturbed while nobody looks.
fn unseen(store: &MemoryStore, Disturbance { at, fault, is_end }: Disturbance) -> Faulty {
    let operations = AtomicUsize::new(0);
    Faulty::new(store, move |_, _| match operations.fetch_add(1, SeqCst) {
        now if now == at => fault,
        now if now > at && is_end => Fault::Failed,
        _ => Fault::None,
    })
}

/// Does something once, when a run is about to put a record.
fn meanwhile(store: &MemoryStore, act: impl Fn() + Send + Sync + 'static) -> Lake {
    let is_done = AtomicBool::new(false);
    let faulty = Faulty::new(store, move |name, path| {
        if name == "put_if_absent" && path.contains("commits") && !is_done.swap(true, SeqCst) {
            act();
        }
        Fault::None
    });
    Lake::on(Arc::new(faulty))
}

#[test]
fn a_run_that_meets_a_forgetting_gives_up_and_leaves_nothing() {
    let store = lake();
    let lake = lake_in(&store);
    let own = lake.clone();
    let met = meanwhile(&store, move || drop(forgotten(&own, &of_tasks(&["task-3"])).unwrap()));
    let text = format!("{}\n{{\"task_id\":\"task-3\",\"threads\":7}}\n", task("task-3", 90, &["c-ann"]));
    let refused = merged_text(&met, &text).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Conflict), "{refused}");
    assert_eq!(places(&store, "task-3"), [""; 0]);
    assert_eq!(merged_text(&lake, &text).unwrap().forgotten, 2);
    assert_eq!((proof(&lake), check_whole(&store)), (vec![], 5));
}

#[test]
fn a_run_with_nothing_new_that_meets_a_forgetting_leaves_nothing_either() {
    let store = lake();
    let lake = lake_in(&store);
    let (own, is_done) = (lake.clone(), AtomicBool::new(false));
    // While its rejects are written.
    let faulty = Faulty::new(&store, move |name, path| {
        if name == "put_private" && path.contains("rejects") && !is_done.swap(true, SeqCst) {
            forgotten(&own, &of_tasks(&["task-3"])).unwrap();
        }
        Fault::None
    });
    let text = format!("{}\n{{\"task_id\":\"task-3\",\"threads\":7}}\n", task("task-1", 1, &["c-bob"]));
    let refused = merged_text(&Lake::on(Arc::new(faulty)), &text).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Conflict), "{refused}");
    assert_eq!((places(&store, "task-3"), proof(&lake)), (vec![], vec![]));
}

#[test]
fn a_lake_without_data_has_nothing_to_forget() {
    let store = MemoryStore::named("memory");
    let lake = lake_in(&store);
    drop(lake.begin(&lake.state().unwrap(), &Default::default()).unwrap());
    assert!(matches!(forgotten(&lake, &of_tasks(&["x"])), Err(Error::NoVersion { .. })));
}

#[test]
fn a_forgetting_that_meets_others_is_made_anew() {
    for with_tag in [true, false] {
        let store = lake();
        let lake = lake_in(&store);
        let own = lake.clone();
        let met = meanwhile(&store, move || match with_tag {
            true => drop(own.tag("late", None, &Default::default()).unwrap()),
            false => drop(merged(&own, &[task("task-3", 60, &["c-ann"]), task("task-61", 61, &["c-ann"])]).unwrap()),
        });
        assert_eq!(forgotten(&met, &of_tasks(&["task-3"])).unwrap().version, 6);
        assert_eq!(places(&store, "task-3"), [""; 0]);
        assert_eq!(restored(&lake).len(), if with_tag { 11 } else { 12 });
        assert_eq!((proof(&lake), check_whole(&store)), (vec![], 6));
    }
}

#[test]
fn a_run_whose_record_was_erased_before_it_heard_of_it_has_committed() {
    let store = lake();
    let lake = lake_in(&store);
    let (own, seen) = (lake.clone(), AtomicUsize::new(0));
    // The put of the record is not heard of, and before anybody looks the lake forgets something else.
    let faulty = Faulty::new(&store, move |name, path| {
        let is_record = path.contains("commits/00000000000000000005");
        match (name, is_record) {
            ("put_if_absent", true) => Fault::Unheard,
            ("get", true) if seen.fetch_add(1, SeqCst) == 0 => {
                forgotten(&own, &of_tasks(&["task-3"])).unwrap();
                Fault::None
            }
            _ => Fault::None,
        }
    });
    let report = merged(&Lake::on(Arc::new(faulty)), &[task("task-70", 70, &["c-bob"])]).unwrap();
    assert_eq!(report.version, 5);
    assert!(restored(&lake).contains_key("task-70"));
    lake.recover(&Default::default()).unwrap();
    assert_eq!((proof(&lake), check_whole(&store)), (vec![], 6));
}

#[test]
fn a_bucket_forgets_as_a_folder_does() {
    let server = StandIn::start(Options::default());
    let lake = Lake::on(bucket(&server));
    fill(&lake, 6);
    let done = forgotten(&lake, &ForgetOptions { tasks: vec!["task-3".to_owned()], ..of_contributor("c-cyd", false) });
    assert_eq!(done.map(|done| (done.version, done.tasks_forgotten, done.tasks_changed)).unwrap(), (5, 1, 2));
    merged(&lake, &[task("task-3", 1, &[]), task("task-2", 2, &["c-cyd"])]).unwrap();
    for word in ["task-3", "c-cyd"] {
        assert_eq!(places(&**lake.store(), word), [""; 0], "{word}");
    }
    assert_eq!((proof(&lake), server.open_uploads()), (vec![], 0));
}

#[test]
fn raw_pages_and_deliveries_come_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    let options = SimulateOptions { token: Some("test_k".to_owned()), ..SimulateOptions::default() };
    let served = Arc::new(Served::generated(40, 7).unwrap());
    let simulator = Simulator::start(served, options, "127.0.0.1:0".parse().unwrap()).unwrap();
    let mut export = taskloom();
    export.arg("export").arg("--all-projects").arg("--keep-raw").arg("--out").arg(&place);
    export.args(["--api-url", &simulator.url()]).env("SCALE_API_KEY", "test_k");
    export.assert().success();
    let lake = Lake::open(&place).unwrap();
    let ids = restored(&lake).into_keys().take(3).collect::<Vec<_>>();
    let mut forget = taskloom();
    forget.arg("forget").arg(&place).args(ids.iter().flat_map(|id| ["--task-id", id])).assert().success();
    let all = format!("{:?}", decoded(&**lake.store()));
    assert!(ids.iter().all(|id| !all.contains(id)));
    assert!(lake.store().list("_taskloom/raw").unwrap().is_empty());
    // The API has them still.
    let told = export.arg("--rewrite-unchanged").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(told).unwrap().contains("left out, since the lake forgot them: 3"));
    let all = format!("{:?}", decoded(&**lake.store()));
    assert!(ids.iter().all(|id| !all.contains(id)));
    assert_eq!(lake.store().list("_taskloom/raw").unwrap().len(), 1);
    taskloom().arg("verify").arg(&place).args(["--deep", "--forgotten"]).assert().success();
    // Who asks for one by its id leaves no trace of that either.
    let mut one = taskloom();
    one.arg("export").args(["--task-id", &ids[0], "--keep-raw", "--rewrite-unchanged", "--out"]).arg(&place);
    one.args(["--api-url", &simulator.url()]).env("SCALE_API_KEY", "test_k").assert().success();
    let all = format!("{:?}", decoded(&**lake.store()));
    assert!(ids.iter().all(|id| !all.contains(id)));
}

#[test]
fn the_program_says_what_it_forgot_and_what_it_cannot_reach() {
    let folder = tempfile::tempdir().unwrap();
    let (input, place, ids) = (folder.path().join("in"), folder.path().join("lake"), folder.path().join("ids"));
    let lines = (0..3).map(|id| format!("{}\n", task(&format!("task-{id}"), id, &["c-ann"]))).collect::<String>();
    std::fs::write(&input, lines).unwrap();
    std::fs::write(&ids, "task-1\n\n task-2 \n").unwrap();
    taskloom().arg("flatten").arg(&input).arg("--out").arg(&place).assert().success();
    let mut command = taskloom();
    let done = command.arg("forget").arg(&place).arg("--task-ids").arg(&ids).assert().success().get_output().clone();
    let text = String::from_utf8(done.stdout).unwrap();
    for told in ["forgotten: 2 tasks", "history begins at version 2", "not reached from here: backups"] {
        assert!(text.contains(told), "{text}");
    }
    let history = taskloom().arg("history").arg(&place).assert().success().get_output().stdout.clone();
    let history = String::from_utf8(history).unwrap();
    assert!(history.contains("taskloom forget") && !history.contains("task-"), "{history}");
    for wrong in [&["--task-id", ""][..], &[], &["--drop-tasks", "--task-id", "x"], &["--task-ids", "/dev/null"]] {
        taskloom().arg("forget").arg(&place).args(wrong).assert().code(2);
    }
    taskloom().arg("verify").arg(&place).args(["--at", "1"]).assert().failure();
    taskloom().arg("changes").arg(&place).args(["--since", "1"]).assert().success();
    let status =
        taskloom().arg("status").arg(&place).args(["--max-age", "1h"]).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(status).unwrap().contains("version"), "a lake without reports has a status");
}
