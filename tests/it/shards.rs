//! Runs that one machine leads and others write: what comes of them is what one machine makes, whatever attempts fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use taskloom::internals::config::RunConfig;
use taskloom::internals::error::{Error, Result};
use taskloom::internals::lake::{Author, Lake, VacuumOptions};
use taskloom::internals::pipeline::{Lead, Outcome, Shard, Ticket, write_shard};
use taskloom::internals::progress::Progress;
use taskloom::internals::report::Report;
use taskloom::internals::source::{Input, Lines, Source};
use taskloom::internals::upkeep::{ForgetOptions, forget};

use crate::lakes::{config, files_of, findings, flatten_text, restored, running};

fn task(id: u32, content: u32) -> String {
    let message = json!({"role": "user", "content": {"text": format!("text {content}")}});
    let task = json!({
        "task_id": format!("task-{id:02}"), "project": format!("p{}", id % 2), "status": "completed",
        "completed_at": format!("2025-01-0{}T00:00:00Z", 1 + id % 3), "metadata": {"content": content},
        "threads": [{"id": "thread", "turns": [{"id": "turn", "messages": [message]}]}],
    });
    task.to_string()
}

fn leading(lake: &Path) -> RunConfig {
    RunConfig { source: Source::Shards("tests".to_owned()), ..config(Path::new("none"), lake) }
}

/// Writes a shard of these lines, as another machine would.
fn shard(ticket: &[u8], lake: &Path, lines: &[String]) -> Result<Vec<u8>> {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let source = Source::Files(vec![Input::Lines(Lines::new("a shard", Cursor::new(text)))]);
    let config = RunConfig { source, work_dir: None, ..config(Path::new("none"), lake) };
    write_shard(&Ticket::from_bytes(ticket)?, &config, &Arc::default())?.to_bytes()
}

fn commit(lead: Lead, shards: &[Vec<u8>]) -> Result<Report> {
    let shards = shards.iter().map(|shard| Shard::from_bytes(shard).unwrap()).collect();
    lead.commit(shards, &Arc::default()).and_then(Outcome::report)
}

fn begin(lake: &Path) -> (Lead, Vec<u8>) {
    let lead = Lead::begin(leading(lake), &Arc::default()).unwrap();
    let ticket = lead.ticket().unwrap().to_bytes().unwrap();
    (lead, ticket)
}

/// The files of data below a lake.
fn data_files(lake: &Path) -> usize {
    let is_log = |file: &walkdir::DirEntry| file.file_name() == "_delta_log";
    let files = walkdir::WalkDir::new(lake).into_iter().filter_entry(|entry| !is_log(entry)).map(Result::unwrap);
    files.filter(|file| file.path().extension().is_some_and(|ending| ending == "parquet")).count()
}

/// The files that the newest version names.
fn named_files(lake: &Lake) -> usize {
    lake.state().unwrap().parts.values().map(|part| part.files.len()).sum()
}

#[test]
fn of_copies_in_different_shards_that_of_the_later_shard_counts() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cluster");
    let shards = [vec![task(1, 1), task(2, 1), "{broken".to_owned()], vec![task(1, 2), task(3, 1)], vec![]];
    let (lead, ticket) = begin(&place);
    // They end in another order than they count in.
    let written = [2, 0, 1].map(|number: usize| (number, shard(&ticket, &place, &shards[number]).unwrap()));
    let written = written.into_iter().collect::<BTreeMap<_, _>>().into_values().collect::<Vec<_>>();
    let report = commit(lead, &written).unwrap();
    assert_eq!((report.version, report.tasks_read, report.superseded, report.rejected), (1, 5, 1, 1));
    let lake = Lake::open(&place).unwrap();
    assert_eq!(restored(&lake)["task-01"]["metadata"], json!({"content": 2}));
    assert_eq!((findings(&lake), running(&place)), (vec![], 0));
    assert_eq!(data_files(&place), named_files(&lake), "no file is left of the shards");
    let rejects = std::fs::read_dir(place.join("_taskloom/rejects")).unwrap().map(|entry| entry.unwrap().path());
    let rejects = rejects.collect::<Vec<_>>();
    assert_eq!(rejects, [report.rejects_file.unwrap()]);
    assert!(std::fs::read_to_string(&rejects[0]).unwrap().contains("broken"));
}

#[test]
fn attempts_that_nobody_tells_of_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    let (lead, ticket) = begin(&place);
    shard(&ticket, &place, &[task(1, 1), "{broken".to_owned()]).unwrap();
    let told = shard(&ticket, &place, &[task(1, 1), task(2, 1)]).unwrap();
    let before = data_files(&place);
    commit(lead, &[told]).unwrap();
    let lake = Lake::open(&place).unwrap();
    assert!(before > 0 && data_files(&place) == named_files(&lake));
    assert!(
        !place.join("_taskloom/rejects").exists()
            || std::fs::read_dir(place.join("_taskloom/rejects")).unwrap().count() == 0
    );
    assert_eq!(restored(&lake).len(), 2);
}

#[test]
fn a_run_that_is_given_up_leaves_nothing_and_takes_no_more_shards() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    let (lead, ticket) = begin(&place);
    shard(&ticket, &place, &[task(1, 1)]).unwrap();
    drop(lead);
    assert_eq!((data_files(&place), running(&place)), (0, 0));
    let late = shard(&ticket, &place, &[task(1, 1)]).unwrap_err();
    assert!(matches!(late, Error::RunOver { .. }), "{late}");
    assert_eq!(data_files(&place), 0);
}

#[test]
fn a_shard_whose_run_ends_meanwhile_takes_back_all_that_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    let (lead, ticket) = begin(&place);
    let text = Cursor::new(format!("{}\n{{broken\n", task(1, 1)));
    // The run ends when all but the end is read.
    let end = Ending { lead: std::sync::Mutex::new(Some(lead)) };
    let source = Source::Files(vec![Input::Lines(Lines::new("a shard", std::io::Read::chain(text, end)))]);
    let config = RunConfig { source, work_dir: None, ..config(Path::new("none"), &place) };
    let late = write_shard(&Ticket::from_bytes(&ticket).unwrap(), &config, &Arc::default()).unwrap_err();
    assert!(matches!(late, Error::RunOver { .. }), "{late}");
    let left =
        walkdir::WalkDir::new(&place).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    assert_eq!(left.map(|entry| entry.into_path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

/// An end of lines at which a run ends.
struct Ending {
    lead: std::sync::Mutex<Option<Lead>>,
}

impl std::io::Read for Ending {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        drop(self.lead.lock().unwrap().take());
        Ok(0)
    }
}

#[test]
fn what_an_attempt_leaves_that_was_cut_off_behind_its_run_goes_with_the_next_vacuum() {
    let folder = tempfile::tempdir().unwrap();
    let (_, lake) = flatten_text(task(1, 1), folder.path());
    let place = lake.place().to_owned();
    let files = || {
        let files =
            walkdir::WalkDir::new(&place).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect::<BTreeSet<_>>()
    };
    let before = files();
    let (lead, ticket) = begin(&place);
    shard(&ticket, &place, &[task(2, 1), "{broken".to_owned()]).unwrap();
    let is_own = |path: &PathBuf| !before.contains(path) && !path.starts_with(place.join("_taskloom/running"));
    let written =
        files().into_iter().filter(is_own).map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
    assert!(written.iter().any(|(_, path)| path.starts_with(place.join("_taskloom/rejects"))));
    drop(lead);
    assert_eq!(files(), before);
    // As one writes that is dead behind the end of its run.
    for (bytes, path) in &written {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let vacuumed = lake.vacuum(&VacuumOptions::retaining(Duration::ZERO), &Author::default()).unwrap();
    assert_eq!((files(), vacuumed.left_files), (before.clone(), written.len() as u64));
}

#[test]
fn a_forgetting_meanwhile_is_a_conflict_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, lake) = flatten_text([task(1, 1), task(2, 1)].join("\n"), folder.path());
    let place = lake.place().to_owned();
    let (lead, ticket) = begin(&place);
    let own = shard(&ticket, &place, &[task(1, 2), task(3, 1), "{broken".to_owned()]).unwrap();
    let options = ForgetOptions { tasks: vec!["task-01".to_owned()], ..ForgetOptions::default() };
    forget(&lake, &options, &Progress::default()).unwrap();
    let ended = commit(lead, &[own]).unwrap_err();
    assert!(matches!(ended, Error::Conflict { .. }), "{ended}");
    assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["task-02"]);
    assert_eq!((findings(&lake), data_files(&place)), (vec![], named_files(&lake)));
}

#[test]
fn what_does_not_belong_to_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    let (lead, ticket) = begin(&place);
    let own = shard(&ticket, &place, &[task(1, 1)]).unwrap();
    commit(lead, std::slice::from_ref(&own)).unwrap();
    let (other, ticket) = begin(&place);
    assert!(commit(other, &[own]).is_err(), "a shard of the run before");
    assert_eq!(Lake::open(&place).unwrap().state().unwrap().version, 1);
    let mut torn = ticket.clone();
    torn.truncate(ticket.len() / 2);
    assert!(Ticket::from_bytes(&torn).is_err() && Shard::from_bytes(b"").is_err());
}

#[test]
fn shards_merge_into_what_the_lake_holds() {
    let folder = tempfile::tempdir().unwrap();
    let before = [task(1, 1), task(2, 1), task(4, 1)].join("\n");
    let (_, lake) = flatten_text(&before, folder.path());
    let place = lake.place().to_owned();
    let (lead, ticket) = begin(&place);
    let shards = [vec![task(1, 1), task(2, 2)], vec![task(3, 1), task(2, 3)]];
    let shards = shards.map(|lines| shard(&ticket, &place, &lines).unwrap());
    let report = commit(lead, &shards).unwrap();
    let merged = report.merged.unwrap();
    assert_eq!((merged.tasks_added, merged.tasks_replaced, merged.tasks_unchanged), (1, 1, 1));
    let contents = restored(&lake).into_values().map(|task| task["metadata"]["content"].clone()).collect::<Vec<_>>();
    assert_eq!((contents, findings(&lake)), (vec![json!(1), json!(3), json!(1), json!(1)], vec![]));
}

/// What a lake says, and of which tasks no row is twice.
fn told(lake: &Lake) -> (BTreeMap<String, Value>, Vec<usize>) {
    (
        restored(lake),
        ["tasks", "messages"]
            .map(|table| lake.state().unwrap().parts.values().map(|part| part.rows(table) as usize).sum())
            .to_vec(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_shards_come_to_what_one_machine_makes(
        nights in prop::collection::vec(prop::collection::vec(prop::collection::vec((0u32..12, 0u32..3), 0..6), 1..5), 1..3),
        fails in prop::collection::vec(any::<bool>(), 16),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cluster");
        let alone = folder.path().join("alone");
        let mut fails = fails.into_iter().cycle();
        for night in &nights {
            let lines = night.iter().map(|lines| lines.iter().map(|(id, content)| task(*id, *content)).collect::<Vec<_>>());
            let lines = lines.collect::<Vec<_>>();
            let (lead, ticket) = begin(&place);
            let written = lines.iter().map(|lines| {
                if fails.next().unwrap_or_default() {
                    shard(&ticket, &place, lines).unwrap();
                }
                shard(&ticket, &place, lines).unwrap()
            });
            let written = written.collect::<Vec<_>>();
            commit(lead, &written).unwrap();
            let input = folder.path().join("input.ndjson");
            std::fs::write(&input, lines.concat().join("\n")).unwrap();
            crate::lakes::run(config(&input, &alone)).unwrap();
        }
        let [cluster, alone] = [&place, &alone].map(|place| Lake::open(place).unwrap());
        prop_assert_eq!(told(&cluster), told(&alone));
        prop_assert_eq!(findings(&cluster), vec![]);
        prop_assert!(files_of(&cluster, "tasks").len() >= usize::from(!told(&alone).0.is_empty()));
    }
}
