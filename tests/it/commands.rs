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
fn a_second_run_merges_or_replaces_and_touches_only_its_own_files() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, TASK).unwrap();
    flatten(&input, &lake).assert().success();
    let foreign = lake.join("tasks/project=p/notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    // Another task comes beside the first.
    std::fs::write(&input, TASK.replace("\"t\"", "\"t2\"")).unwrap();
    flatten(&input, &lake).assert().success();
    let restored = taskloom().arg("restore").arg(&lake).assert().success();
    assert_eq!(String::from_utf8_lossy(&restored.get_output().stdout).lines().count(), 2);
    std::fs::write(&input, TASK.replace("\"p\"", "\"q\"")).unwrap();
    flatten(&input, &lake).arg("--overwrite").assert().success();
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "mine");
    assert!(lake.join("tasks/project=p/batch=b").exists(), "replaced files stay for who reads them");
    let files = walkdir::WalkDir::new(lake.join("tasks/project=p")).into_iter().map(|entry| entry.unwrap().into_path());
    assert_eq!(files.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).count(), 2);
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
    failed(flatten(&folder.path().join("missing.json"), &lake), 2, &["missing.json", "expected a file"]);
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK).unwrap();
    for (flag, value) in
        [("--threads", "0"), ("--memory-limit", "1KB"), ("--compression-level", "99"), ("--max-rejects", "-1")]
    {
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
        (&report["version"], &report["tasks_read"], &report["tables"]["tasks"]["rows"]),
        (&1.into(), &1.into(), &1.into())
    );
    let kept = lake.join(format!("_taskloom/runs/{}.json", report["run"].as_str().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(kept).unwrap()).unwrap(), report);
}

#[test]
fn an_empty_input_makes_a_lake_of_empty_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, "\n\n").unwrap();
    flatten(&input, &lake).assert().success();
    assert_eq!(crate::lakes::visible_files(&lake).len(), taskloom::internals::table::TABLES.len());
}

#[test]
fn dates_can_be_months_and_can_come_from_the_creation() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK.replace('}', r#", "completed_at": "2025-03-31T23:30:00-01:00"}"#)).unwrap();
    let partition = |name: &str, flags: &[&str]| {
        let lake = folder.path().join(name);
        flatten(&input, &lake).args(flags).assert().success();
        let entries = std::fs::read_dir(lake.join("tasks/project=p/batch=b")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(partition("a", &[]), ["date=2025-04-01"]);
    assert_eq!(partition("b", &["--date-grain", "month", "--date-by", "created"]), ["date=2025-01-01"]);
    assert_eq!(partition("c", &["--date-by", "created"]), ["date=2025-01-01"]);
    let mut other = flatten(&input, &folder.path().join("b"));
    other.arg("--overwrite");
    failed(other, 1, &["--date-by created --date-grain month", "fixed by its first run"]);
}

#[test]
fn generated_tasks_flow_through_pipes() {
    let tasks =
        taskloom().args(["generate", "--tasks", "3", "--seed", "9"]).assert().success().get_output().stdout.clone();
    assert_eq!(tasks.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 3);
    let folder = tempfile::tempdir().unwrap();
    let mut command = flatten(Path::new("-"), &folder.path().join("lake"));
    command.write_stdin(tasks).assert().success();
}

#[test]
fn restore_says_so_where_nothing_is_to_be_seen_and_spares_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake, out) =
        (folder.path().join("in.json"), folder.path().join("lake"), folder.path().join("out.ndjson"));
    std::fs::write(&input, TASK).unwrap();
    std::fs::write(&out, "old").unwrap();
    std::fs::create_dir_all(lake.join("_taskloom/running")).unwrap();
    std::fs::write(lake.join("_taskloom/running/20250101T000000000Z-0123456789abcdef.json"), "{}").unwrap();
    let restore = || {
        let mut restore = taskloom();
        restore.arg("restore").arg(&lake).arg("--out").arg(&out);
        restore
    };
    failed(restore(), 1, &["no data"]);
    flatten(&input, &lake).assert().success();
    let tasks = lake.join("tasks/project=p/batch=b/date=2025-01-01");
    let file = std::fs::read_dir(&tasks).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&file, folder.path().join("away")).unwrap();
    failed(restore(), 1, &["is not there"]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "old");
    std::fs::rename(folder.path().join("away"), &file).unwrap();
    restore().assert().success();
    assert!(std::fs::read_to_string(&out).unwrap().contains("\"t\""));
}

#[test]
fn a_file_in_the_place_of_the_lake_is_named_so() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK).unwrap();
    failed(flatten(&input, &input), 1, &["is a file", "expected a folder"]);
}

#[test]
fn an_input_with_nothing_in_it_does_not_empty_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, TASK).unwrap();
    flatten(&input, &lake).assert().success();
    let before = crate::lakes::visible_files(&lake);
    for text in ["", "no task\n"] {
        std::fs::write(&input, text).unwrap();
        let mut command = flatten(&input, &lake);
        command.args(["--overwrite", "--allow-rejects"]);
        failed(command, 1, &["was left as it is"]);
        assert!(crate::lakes::visible_files(&lake) == before);
    }
}

#[test]
fn an_address_where_a_path_belongs_is_refused_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.json");
    std::fs::write(&input, TASK).unwrap();
    let words = ["://bucket/lake", "expected a"];
    let commands: [&[&str]; 8] = [
        &["flatten", "in.json", "--out", "ftp://bucket/lake"],
        &["flatten", "in.json", "--out", "s3://name:password@bucket/lake"],
        &["flatten", "ftp://bucket/lake", "--out", "lake"],
        &["flatten", "in.json", "--out", "lake", "--work-dir", "s3://bucket/lake"],
        &["export", "--all-projects", "--api-url", "http://127.0.0.1:1", "--out", "ftp://bucket/lake"],
        &["demo", "--tasks", "3", "--out", "s3://bucket/lake"],
        &["restore", "ftp://bucket/lake"],
        &["sql", "--engine", "duckdb", "ftp://bucket/lake"],
    ];
    for arguments in commands {
        let mut command = taskloom();
        command.args(arguments).current_dir(folder.path()).env("SCALE_API_KEY", "test_key");
        let words = if arguments.iter().any(|word| word.contains("password")) {
            ["…@bucket/lake", "expected a"]
        } else {
            words
        };
        failed(command, 2, &words);
    }
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["in.json"]);
}

#[test]
fn nothing_of_the_data_reaches_a_terminal_unescaped() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in\u{1b}[2Kput.json"), folder.path().join("la\u{1b}]0;title\u{7}ke"));
    let task = r#"{"task_id":"e\u001b[3J\u009b","a\u001b[2K\u001b[1A":1,"status":"\u001b]0;title\u0007\u202e","threads":[{"turns":[{"messages":[{"role":"\r"}]}]}]}"#;
    std::fs::write(&input, format!("{task}\n{{\"task_id\": \"\u{1b}[1A\"")).unwrap();
    let mut commands = Vec::new();
    for arguments in [
        vec!["flatten"],
        vec!["flatten", "--overwrite", "--json"],
        vec!["flatten"],
        vec!["drift"],
        vec!["drift", "--json"],
    ] {
        let mut command = taskloom();
        command.arg(arguments[0]);
        if arguments[0] == "flatten" {
            command.arg(&input).arg("--out");
        }
        command.arg(&lake).args(&arguments[1..]);
        commands.push(command);
    }
    commands.push(flatten(&folder.path().join("\u{1b}[2Kmissing"), &lake));
    for mut command in commands {
        let output = command.output().unwrap();
        let shown = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(shown).unwrap();
        let active = |character: char| character != '\n' && character.is_control() || character == '\u{202e}';
        assert!(!text.is_empty() && !text.contains(active), "{text:?}");
    }
}
