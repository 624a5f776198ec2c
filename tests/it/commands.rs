//! The program's words, ends and manners.

use std::path::Path;

use serde_json::Value;

use crate::lakes::taskloom;

const TASK: &str = r#"{"task_id": "t", "project": "p", "batch": "b", "created_at": "2025-01-01T00:00:00Z"}"#;

fn flatten(input: &Path, out: &Path) -> assert_cmd::Command {
    let mut command = taskloom();
    command.arg("flatten").arg(input).arg("--out").arg(out);
    command
}

fn failed(mut command: assert_cmd::Command, status: i32, words: &[&str]) {
    let assert = command.assert().code(status);
    let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for word in words {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_second_run_needs_overwrite_and_touches_only_its_own_files() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, TASK).unwrap();
    flatten(&input, &lake).assert().success();
    let foreign = lake.join("tasks/project=p/notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    failed(flatten(&input, &lake), 1, &["is a lake already", "--overwrite"]);
    std::fs::write(&input, TASK.replace("\"p\"", "\"q\"")).unwrap();
    flatten(&input, &lake).arg("--overwrite").assert().success();
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "mine");
    assert!(!lake.join("tasks/project=p/batch=b").exists());
    assert!(lake.join("tasks/project=q/batch=b/date=2025-01-01").exists());
}

#[test]
fn what_is_no_lake_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK).unwrap();
    failed(flatten(&input, folder.path()), 1, &["not empty", "in.json"]);
    let mut restore = taskloom();
    restore.arg("restore").arg(folder.path());
    failed(restore, 1, &["is no lake"]);
}

#[test]
fn wrong_words_end_with_status_2_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    failed(
        flatten(&folder.path().join("missing.json"), &lake),
        2,
        &["missing.json", "expected a file"],
    );
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK).unwrap();
    for (flag, value) in [
        ("--threads", "0"),
        ("--memory-limit", "1KB"),
        ("--compression-level", "99"),
        ("--max-rejects", "-1"),
    ] {
        let mut command = flatten(&input, &lake);
        command.arg(format!("{flag}={value}"));
        failed(command, 2, &[flag]);
    }
    assert!(!lake.exists());
}

#[test]
fn the_report_is_there_for_machines_too() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, TASK).unwrap();
    let output = flatten(&input, &lake).arg("--json").assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(
        (
            &report["version"],
            &report["tasks_read"],
            &report["tables"]["tasks"]["rows"]
        ),
        (&1.into(), &1.into(), &1.into())
    );
    let kept = lake.join(format!("_taskloom/runs/{}.json", report["run"].as_str().unwrap()));
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(kept).unwrap()).unwrap(),
        report
    );
}

#[test]
fn an_empty_input_makes_a_lake_of_empty_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, "\n\n").unwrap();
    flatten(&input, &lake).assert().success();
    assert_eq!(crate::lakes::visible_files(&lake).len(), taskloom::table::TABLES.len());
}

#[test]
fn dates_can_be_months_and_can_come_from_the_creation() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(
        &input,
        TASK.replace("}", r#", "completed_at": "2025-03-31T23:30:00-01:00"}"#),
    )
    .unwrap();
    let partition = |flags: &[&str]| {
        flatten(&input, &lake).arg("--overwrite").args(flags).assert().success();
        let entries = std::fs::read_dir(lake.join("tasks/project=p/batch=b")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(partition(&[]), ["date=2025-04-01"]);
    assert_eq!(
        partition(&["--date-grain", "month", "--date-from", "created"]),
        ["date=2025-01-01"]
    );
    assert_eq!(partition(&["--date-grain", "month"]), ["date=2025-04-01"]);
}

#[test]
fn generated_tasks_flow_through_pipes() {
    let tasks = taskloom()
        .args(["generate", "--tasks", "3", "--seed", "9"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    assert_eq!(
        tasks
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count(),
        3
    );
    let folder = tempfile::tempdir().unwrap();
    let mut command = flatten(Path::new("-"), &folder.path().join("lake"));
    command.write_stdin(tasks).assert().success();
}
