//! How the program meets a person: help, schemas, code, messages, and an end on demand.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use taskloom::internals::error::Error;
use taskloom::internals::pipeline::{self, Outcome};
use taskloom::internals::progress::Progress;
use taskloom::internals::table::TABLES;

use crate::lakes::{config, running, taskloom, visible_files};

const TASK: &str = r#"{"task_id": "t", "project": "p", "batch": "b", "created_at": "2025-01-01T00:00:00Z"}"#;

pub fn printed(arguments: &[&str]) -> String {
    let assert = taskloom().args(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The names of all commands.
pub fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn every_command_teaches_by_example_within_80_columns() {
    assert!(commands().len() > 5, "{:?}", commands());
    for command in commands() {
        let help = printed(&[&command, "--help"]);
        assert!(help.contains("Examples:"), "{command}");
        assert!(
            help.contains(&format!("  taskloom {command}")) || help.contains(&format!("| taskloom {command}")),
            "{command}"
        );
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    printed(&["man", "--out", folder.path().to_str().unwrap()]);
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} {command}");
            let page = std::fs::read_to_string(folder.path().join(format!("taskloom-{command}.1"))).unwrap();
            assert!(page.contains("Examples:"), "{command}");
        }
    }
}

#[test]
fn schemas_as_json_are_the_golden_files() {
    let golden = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/v2/{name}.json"));
        std::fs::read_to_string(path).unwrap()
    };
    let all: Vec<Value> = serde_json::from_str(&printed(&["schema", "--format", "json"])).unwrap();
    assert_eq!(all.len(), TABLES.len());
    for (table, value) in TABLES.iter().zip(all) {
        assert_eq!(printed(&["schema", table.name, "--format", "json"]), golden(table.name));
        assert_eq!(value, serde_json::from_str::<Value>(&golden(table.name)).unwrap());
    }
}

#[test]
fn schemas_for_people_stay_within_80_columns_and_name_every_column() {
    assert!(printed(&["schema"]).lines().all(|line| line.chars().count() <= 80));
    for table in TABLES {
        let text = printed(&["schema", table.name]);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(table.columns.iter().all(|column| text.contains(&format!("  {}: ", column.name))), "{text}");
    }
}

#[test]
fn a_table_that_is_none_is_answered_with_those_that_are() {
    let assert = taskloom().args(["schema", "mesages"]).assert().code(2);
    let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(message.contains("messages") && message.contains("annotations"), "{message}");
}

#[test]
fn a_pipe_gets_no_bar_and_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, TASK).unwrap();
    let lake = folder.path().join("lake");
    let flatten = ["flatten", input.to_str().unwrap(), "--out", lake.to_str().unwrap()];
    let assert = taskloom().args(flatten).assert().success().stderr("");
    assert!(!assert.get_output().stdout.contains(&0x1b));
    let assert = taskloom().args(flatten).args(["--date-grain", "month"]).assert().code(1);
    assert!(!assert.get_output().stderr.contains(&0x1b));
    taskloom().args(flatten).args(["--overwrite", "--quiet"]).assert().success().stdout("").stderr("");
}

#[test]
fn logs_can_be_json_and_so_are_errors_then() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, TASK).unwrap();
    let lake = folder.path().join("lake");
    let flatten = ["flatten", input.to_str().unwrap(), "--out", lake.to_str().unwrap(), "-v", "--log-format", "json"];
    for (grain, status, level) in [("day", 0, "INFO"), ("month", 1, "ERROR")] {
        let assert =
            taskloom().args(flatten).args(["--date-grain", grain]).env_remove("RUST_LOG").assert().code(status);
        let logs = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let lines: Vec<Value> = logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.last().unwrap()["level"], level, "{logs}");
    }
}

/// A run that waits for its input, and whose start was seen.
fn waiting_run(lake: &Path) -> Child {
    let mut run = Command::new(assert_cmd::cargo::cargo_bin!("taskloom"))
        .args(["flatten", "-", "-v", "--out"])
        .arg(lake)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(run.stdin.as_mut().unwrap(), "{TASK}").unwrap();
    let stderr = BufReader::new(run.stderr.as_mut().unwrap());
    assert!(stderr.lines().map_while(Result::ok).any(|line| line.contains("reading")));
    run
}

#[test]
fn a_signal_ends_a_run_that_waits_and_leaves_nothing() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        let mut run = waiting_run(&lake);
        assert!(Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(status));
        assert!(visible_files(&lake).is_empty());
        assert_eq!(running(&lake), 0);
    }
}

#[test]
fn a_run_that_is_stopped_at_any_moment_is_in_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    printed(&["generate", "--tasks", "400", "--task-bytes", "4000", "--out", input.to_str().unwrap()]);
    for (index, stop_at) in [0, 1, 100, 399].into_iter().enumerate() {
        for threads in [1, 2] {
            let lake = folder.path().join(format!("lake-{index}-{threads}"));
            let mut config = config(&input, &lake);
            config.threads = threads;
            let progress = Arc::new(Progress::default());
            let run = std::thread::spawn({
                let progress = Arc::clone(&progress);
                move || pipeline::run(config, &progress).and_then(Outcome::report)
            });
            while progress.counts().tasks < stop_at && !run.is_finished() {
                std::thread::yield_now();
            }
            progress.stop(2);
            match run.join().unwrap() {
                Ok(report) => assert_eq!(report.tables["tasks"].rows, 400),
                Err(Error::Interrupted { signal: 2 }) => {
                    assert!(visible_files(&lake).is_empty());
                    assert_eq!(running(&lake), 0);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
