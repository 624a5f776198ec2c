//! Deliveries of which not all tasks come: they hold back these, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Night, Ran, task};
use crate::stand_in::{Options, StandIn};

/// Two deliveries of this week, of two projects.
fn week() -> Night {
    let mut night = Night::all();
    for (id, project) in [("a", "p"), ("b", "p"), ("c", "q")] {
        night.tasks.insert(id.to_owned(), task(id, project, "completed", 0.5));
    }
    night
}

fn ids(night: &Night) -> BTreeSet<String> {
    night.held().into_keys().collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn is_held(ran: &Ran, task_count: u64, found: u64, tasks: u64) {
    assert_eq!(ran.status, Some(3), "{}", ran.stderr);
    let [delivery] = ran.report["held_deliveries"].as_array().unwrap().as_slice() else { panic!("{}", ran.report) };
    let told = (&delivery["task_count"], &delivery["found"], &ran.report["held_tasks"]);
    assert_eq!(told, (&json!(task_count), &json!(found), &json!(tasks)));
    assert!(ran.stderr.contains("its tasks are held back"), "{}", ran.stderr);
}

/// Rows of a table.
fn rows(night: &Night, table: &str) -> u64 {
    night.lake().state().unwrap().parts.values().map(|part| part.rows(table)).sum()
}

#[test]
fn a_first_run_holds_back_the_tasks_of_an_incomplete_delivery_alone() {
    for bucket in [false, true] {
        let mut night = week();
        night.bucket = bucket.then(|| StandIn::start(Options::default()));
        night.missing.insert("p".to_owned(), 1);
        is_held(&night.run("sync", &[]), 3, 2, 2);
        assert_eq!((ids(&night), rows(&night, "deliveries"), rows(&night, "delivery_tasks")), (set(&["c"]), 2, 1));
        assert!(night.command("status", &[]).contains("1 deliveries held back"));
        // It stays so, without a version of its own, until all of it comes.
        let version = night.lake().state().unwrap().version;
        is_held(&night.run("sync", &[]), 3, 2, 2);
        assert_eq!((ids(&night), night.lake().state().unwrap().version), (set(&["c"]), version));
        night.missing.clear();
        night.tasks.insert("d".to_owned(), task("d", "p", "completed", 0.5));
        night.sync(&[]);
        night.check();
        assert_eq!(rows(&night, "delivery_tasks"), 4);
    }
}

#[test]
fn a_later_run_walks_new_deliveries_and_holds_back_what_is_incomplete() {
    let mut night = week();
    assert_eq!(night.sync(&[]).deliveries.len(), 0, "all memberships come");
    // What is known is not walked again.
    assert_eq!(night.sync(&[]).deliveries.len(), 0);
    let before = night.checkpoint("default");
    night.missing.insert("p".to_owned(), 1);
    for id in ["n", "o"] {
        night.tasks.insert(id.to_owned(), task(id, "p", "completed", 0.1));
    }
    night.tasks.insert("r".to_owned(), task("r", "q", "completed", 0.2));
    let ran = night.run("sync", &[]);
    // Those of the lake that were there before stay.
    is_held(&ran, 5, 4, 4);
    assert_eq!(ran.deliveries.len(), 2, "{:?}", ran.deliveries);
    assert_eq!(ids(&night), set(&["a", "b", "c", "r"]));
    assert_eq!(night.checkpoint("default")["watermark"], before["watermark"], "what is held comes again");
    night.missing.clear();
    let ran = night.sync(&[]);
    assert_eq!(ran.deliveries.len(), 1, "{:?}", ran.deliveries);
    night.check();
    assert_eq!(night.sync(&[]).deliveries.len(), 0);
    assert_ne!(night.checkpoint("default")["watermark"], before["watermark"]);
}

#[test]
fn what_is_held_back_comes_however_long_it_takes() {
    let mut night = week();
    night.flags.push("--overlap=0s".to_owned());
    night.sync(&[]);
    night.missing.insert("p".to_owned(), 2);
    night.tasks.insert("n".to_owned(), task("n", "p", "completed", 0.3));
    for round in 0..3 {
        let id = format!("r{round}");
        night.tasks.insert(id.clone(), task(&id, "q", "completed", 0.1 / f64::from(round + 1)));
        is_held(&night.run("sync", &[]), 5, 3, 3);
        assert!(ids(&night).contains(&id) && !ids(&night).contains("n"), "{round}");
    }
    // A walk of everything is due, and has not found all: so is the next one.
    is_held(&night.run("sync", &["--reconcile"]), 5, 3, 3);
    night.missing.clear();
    night.sync(&[]);
    night.check();
}

#[test]
fn who_says_so_commits_what_came() {
    let mut night = week();
    night.missing.insert("p".to_owned(), 1);
    let ran = night.sync(&["--allow-count-mismatch"]);
    assert_eq!(ran.report["held_deliveries"], Value::Null);
    night.check();
    let mut night = week();
    night.missing.insert("p".to_owned(), 1);
    night.sync(&["--skip-delivery-tasks"]);
    assert_eq!(ids(&night), set(&["a", "b", "c"]), "nobody asked which tasks these are");
}

#[test]
fn tasks_that_the_lake_forgot_are_not_missing() {
    let mut night = week();
    night.sync(&[]);
    night.command("forget", &["--task-id", "a"]);
    night.tasks.insert("n".to_owned(), task("n", "p", "completed", 0.1));
    night.sync(&[]);
    night.sync(&["--reconcile"]);
    assert_eq!(ids(&night), set(&["b", "c", "n"]));
}
