//! What can't be a task is set aside, with all that is needed to mend it.

use serde_json::{Value, json};

use crate::lakes::{flatten_text, rejects, restored, taskloom};

const GOOD: &str = r#"{"task_id": "good", "project": "p", "created_at": "2025-01-01T00:00:00Z"}"#;

/// The only reject of an input, which also holds a good task.
fn reject_of(line: &[u8]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let text = [GOOD.as_bytes(), b"\n", line, b"\n"].concat();
    let (report, lake) = flatten_text(text, folder.path());
    assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["good"]);
    let mut rejects = rejects(&report);
    assert_eq!(rejects.len(), 1);
    rejects.remove(0)
}

#[test]
fn a_reject_tells_where_what_and_why() {
    let bad = r#"{"task_id": "t", "project": {"id": "p"}, "batch": "b", "threads": [{"turns": 5}]}"#;
    let reject = reject_of(bad.as_bytes());
    assert_eq!(reject["line"], 2);
    assert_eq!(reject["byte"], GOOD.len() as u64 + 1);
    assert_eq!((&reject["task_id"], &reject["project"], &reject["batch"]), (&json!("t"), &json!("p"), &json!("b")));
    assert_eq!(reject["path"], "$.threads[0].turns");
    assert_eq!(reject["reason"], "expected an array of objects, found a number");
    assert_eq!(reject["raw"], bad);
    assert_eq!((&reject["raw_offset"], &reject["raw_length"]), (&reject["byte"], &json!(bad.len())));
    assert!(reject["file"].as_str().unwrap().ends_with("input.ndjson"));
}

#[test]
fn lines_are_right_in_a_page_of_many_lines() {
    // What is expanded stands behind the beginning of its task, in any order.
    let task = |id: &str, time: &str| {
        let project = "\"project\": {\n\"id\":\n\"p\"}";
        let batch = "\"batch\":\n{\n\"id\": \"b\"}";
        format!("{{\n{batch},\n\n{project},\n\"created_at\": \"{time}\",\n\"task_id\": \"{id}\"\n}}")
    };
    let (good, bad) = ("2025-01-01T00:00:00Z", "yesterday");
    let tasks = [task("good", good), task("first", bad), task("better", good), task("second", bad)].join(",\n");
    let page = format!("{{\n\"tasks\": [\n{tasks}\n]\n}}\n");
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = flatten_text(page.clone().into_bytes(), folder.path());
    for (reject, id) in rejects(&report).iter().zip(["first", "second"]) {
        assert_eq!(reject["task_id"], id);
        let start = page.find(&task(id, bad)).unwrap();
        assert_eq!(reject["byte"], start);
        assert_eq!(reject["line"], page[..start].matches('\n').count() + 1);
    }
    assert_eq!(rejects(&report).len(), 2);
}

#[test]
fn whatever_is_no_task_is_a_reject() {
    let deep = format!(r#"{{"task_id": "t", "metadata": {}1{}}}"#, "[".repeat(128), "]".repeat(128));
    let cases: [(&[u8], &str); 14] = [
        (b"5", "$"),
        (b"[1]", "$"),
        (b"{\"task_id\": \"t\"", "$"),
        (br#"{"project": "p"}"#, "$"),
        (br#"{"task_id": 5}"#, "$.task_id"),
        (br#"{"task_id": ""}"#, "$.task_id"),
        (br#"{"task_id": "t", "created_at": "yesterday"}"#, "$.created_at"),
        (br#"{"task_id": "t", "completed_at": 5}"#, "$.completed_at"),
        (br#"{"task_id": "t", "threads": 5}"#, "$.threads"),
        (br#"{"task_id": "t", "threads": [null]}"#, "$.threads[0]"),
        (
            br#"{"task_id": "t", "threads": [{"turns": [{"messages": [{"content": {"chunks": ["x"]}}]}]}]}"#,
            "$.threads[0].turns[0].messages[0].content.chunks[0]",
        ),
        (br#"{"task_id": "t", "metadata": {"x": 01}}"#, "$.metadata"),
        (b"{\"task_id\": \"t\", \"metadata\": \"\xff\"}", "$"),
        (deep.as_bytes(), "$.metadata"),
    ];
    for (line, path) in cases {
        let reject = reject_of(line);
        let found = reject["path"].as_str().unwrap();
        assert!(found.starts_with(path), "{}: {found}", String::from_utf8_lossy(line));
        assert!(reject["reason"].as_str().unwrap().contains("expected"), "{reject}");
    }
}

#[test]
fn nesting_of_128_levels_is_still_a_task() {
    let folder = tempfile::tempdir().unwrap();
    let known = format!(r#"{{"task_id": "t", "metadata": {}1{}}}"#, "[".repeat(127), "]".repeat(127));
    let unknown = known.replace("metadata", "unknown").replace("\"t\"", "\"u\"");
    let text = format!("{known}\n{unknown}");
    let (report, lake) = flatten_text(&text, folder.path());
    assert_eq!(report.rejected, 0);
    assert_eq!(restored(&lake), crate::lakes::by_id(text.as_bytes()));
}

#[test]
fn rejects_that_were_mended_are_input_again() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = flatten_text(format!("{GOOD}\n{{\"task_id\": \"t\", \"threads\": 5}}\n"), folder.path());
    let path = report.rejects_file.unwrap();
    let mended = std::fs::read_to_string(path).unwrap().replace(r#"\"threads\": 5"#, r#"\"threads\": []"#);
    let second = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text(mended, second.path());
    assert_eq!(report.rejected, 0);
    assert_eq!(restored(&lake)["t"], json!({"task_id": "t", "threads": []}));
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let line = b"{\"task_id\": \"t\", \"metadata\": \"\xff\"}";
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = flatten_text(line, folder.path());
    let first = rejects(&report);
    let second = tempfile::tempdir().unwrap();
    let (report, _) = flatten_text(std::fs::read(report.rejects_file.unwrap()).unwrap(), second.path());
    assert_eq!(rejects(&report)[0]["raw_base64"], first[0]["raw_base64"]);
}

#[test]
fn of_two_with_the_same_id_the_later_readable_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, day: &str, status: &str, threads: &str| {
        format!(
            r#"{{"task_id": "{id}", "created_at": "2025-01-{day}T00:00:00Z", "status": "{status}", "threads": {threads}}}"#
        )
    };
    let text = [
        line("same_day", "01", "first", "[]"),
        line("same_day", "01", "second", "[]"),
        line("other_day", "01", "first", "[]"),
        line("other_day", "02", "second", "[]"),
        line("later_is_bad", "01", "first", "[]"),
        line("later_is_bad", "01", "bad", "7"),
        line("later_is_bad_elsewhere", "01", "first", "[]"),
        line("later_is_bad_elsewhere", "03", "bad", "7"),
    ];
    let (report, lake) = flatten_text(text.join("\n"), folder.path());
    let statuses = restored(&lake).into_iter().map(|(id, task)| (id, task["status"].as_str().unwrap().to_owned()));
    let expected = [
        ("later_is_bad", "first"),
        ("later_is_bad_elsewhere", "first"),
        ("other_day", "second"),
        ("same_day", "second"),
    ];
    assert_eq!(statuses.collect::<Vec<_>>(), expected.map(|(id, status)| (id.to_owned(), status.to_owned())));
    assert_eq!((report.superseded, report.rejected), (2, 2));
    assert_eq!(report.tasks_read, report.tables["tasks"].rows + report.superseded + report.rejected);
}

#[test]
fn what_is_rejected_does_not_depend_on_what_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text("{\"task_id\": \"t\", \"threads\": 5}\n{\"task_id\": \"t\"}\n", folder.path());
    assert_eq!((report.rejected, report.superseded, restored(&lake).len()), (1, 0, 1));
}

#[test]
fn secrets_are_hidden_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"task_id": "a", "metadata": {"x": [{"workspace_token": "CANARY"}]}, "new": {"workspace_token": {"y": "CANARY"}}}
{"task_id": "b", "threads": 5, "workspace_token": "CANARY"}
{"task_id": "c", "workspace\u005ftoken": "CANARY", "threads": [{"annotations": [{"value": {"workspace_config": {"workspace_token": "CANARY"}}}]}]}
{"task_id": "d", "work\u0073pace_token" : "CANARY
"#;
    let (report, lake) = flatten_text(text, folder.path());
    assert_eq!(report.rejected, 2);
    let mut texts = std::fs::read_to_string(report.rejects_file.unwrap()).unwrap();
    let restored = restored(&lake);
    assert_eq!(restored["a"]["metadata"]["x"][0]["workspace_token"], "[redacted]");
    texts.push_str(&serde_json::to_string(&restored).unwrap());
    assert_eq!(texts.matches("[redacted]").count(), 6);
    assert!(!texts.contains("CANARY"), "{texts}");
    for file in
        walkdir::WalkDir::new(lake.place()).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file())
    {
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(memchr::memmem::find(&bytes, b"CANARY"), None, "{}", file.path().display());
    }
}

#[test]
fn lone_surrogates_are_replaced_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text(r#"{"task_id": "t", "status": "\ud800x\udc00\ud83d\ude00"}"#, folder.path());
    assert_eq!(report.replaced_surrogates, 2);
    assert_eq!(restored(&lake)["t"]["status"], "\u{fffd}x\u{fffd}😀");
}

#[test]
fn of_duplicate_keys_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"task_id": "x", "status": "a", "metadata": {"k": 1, "k": 2}, "u": 1, "u": 2, "status": "b", "task_id": "t"}"#;
    let (_, lake) = flatten_text(text, folder.path());
    assert_eq!(restored(&lake)["t"], json!({"task_id": "t", "status": "b", "metadata": {"k": 2}, "u": 2}));
}

#[test]
fn too_many_rejects_commit_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, format!("{GOOD}\n{}\n5\n6\n", GOOD.replace("good", "better"))).unwrap();
    let run = |flags: &[&str], lake: &str| {
        let mut command = taskloom();
        command.arg("flatten").arg(&input).arg("--out").arg(folder.path().join(lake)).args(flags);
        let status = command.assert().get_output().status.code();
        (status.unwrap(), !crate::lakes::visible_files(&folder.path().join(lake)).is_empty())
    };
    assert_eq!(run(&[], "a"), (3, true));
    assert_eq!(run(&["--allow-rejects"], "b"), (0, true));
    assert_eq!(run(&["--max-rejects", "1"], "c"), (1, false));
    assert_eq!(run(&["--max-rejects", "2"], "d"), (3, true));
    assert_eq!(run(&["--max-rejects", "49%"], "e"), (1, false));
    assert_eq!(run(&["--max-rejects", "50%", "--allow-rejects"], "f"), (0, true));
}

#[test]
fn an_object_that_lists_nothing_is_no_page() {
    for line in [
        r#"{"delivery": "d", "project": "p", "threads": []}"#,
        r#"{"tasks": null, "status": "completed"}"#,
        r#"{"tasks": {}}"#,
        r#"{"delivery": 5, "tasks": []}"#,
    ] {
        assert!(reject_of(line.as_bytes())["reason"].as_str().unwrap().contains("expected"));
    }
    let folder = tempfile::tempdir().unwrap();
    let (report, _) =
        flatten_text("{\"tasks\": null, \"next_token\": null}\n{\"delivery\": \"d\", \"tasks\": []}", folder.path());
    assert_eq!(report.rejected, 0);
}

#[test]
fn arrays_in_arrays_end_before_the_stack_does() {
    let line = "[".repeat(20_000) + &"]".repeat(20_000);
    assert!(reject_of(line.as_bytes())["reason"].as_str().unwrap().contains("128 levels"));
}

#[test]
fn a_rejected_task_is_in_no_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"delivery": "d", "tasks": [{"task_id": "a"}, {"task_id": ""}, {"task_id": 5}]}"#;
    let (report, _) = flatten_text(text, folder.path());
    assert_eq!((report.rejected, report.tables["delivery_tasks"].rows), (2, 1));
}
