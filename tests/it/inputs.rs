//! Every form that an input can take gives the same tasks.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use taskloom::internals::lake::Lake;

use crate::lakes::{self, batches, config, files_of, flatten_text, rejects, restored, taskloom};

fn task(id: &str) -> Value {
    json!({"task_id": id, "project": "p", "batch": "b", "created_at": "2025-01-01T00:00:00Z", "threads": []})
}

/// Flattens an input and gives the ids in the lake, which must have no rejects.
fn ids_of(text: impl AsRef<[u8]>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text(text, folder.path());
    assert_eq!(rejects(&report), Vec::<Value>::new());
    restored(&lake).into_keys().collect()
}

#[test]
fn lines_may_have_a_byte_order_mark_blank_lines_and_any_line_end() {
    assert_eq!(ids_of(format!("\u{feff}\n  {}\r\n\r\n\n{}", task("a"), task("b"))), ["a", "b"]);
}

#[test]
fn one_object_over_many_lines_is_one_task() {
    assert_eq!(ids_of(serde_json::to_string_pretty(&task("a")).unwrap()), ["a"]);
}

#[test]
fn values_may_follow_each_other_in_any_way() {
    let pretty = serde_json::to_string_pretty(&task("a")).unwrap();
    assert_eq!(ids_of(format!("{pretty}\n{pretty2}", pretty2 = pretty.replace("\"a\"", "\"b\""))), ["a", "b"]);
    assert_eq!(ids_of(format!("{}{}\n{}", task("a"), task("b"), task("c"))), ["a", "b", "c"]);
}

#[test]
fn arrays_give_their_elements_on_one_line_or_many() {
    assert_eq!(ids_of(format!("[{}, {}]", task("a"), task("b"))), ["a", "b"]);
    assert_eq!(ids_of(format!("[\n{},\n{}\n]\n[{}]\n", task("a"), task("b"), task("c"))), ["a", "b", "c"]);
    assert_eq!(ids_of("[]"), Vec::<String>::new());
}

#[test]
fn an_array_is_streamed_over_pages() {
    let filler = "x".repeat(700);
    let mut text = String::from("[");
    for index in 0..4000 {
        let mut task = task(&format!("{index:05}"));
        task["metadata"] = json!({ "filler": filler });
        text.push_str(&format!("{}{task}", if index > 0 { ",\n" } else { "" }));
    }
    text.push(']');
    assert!(text.len() > 2 << 20, "several pages");
    assert_eq!(ids_of(&text).len(), 4000);
}

#[test]
fn saved_pages_give_their_tasks_and_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let delivery = json!({"id": "d1", "name": "first", "task_count": 2, "project": "p"});
    let pages = [
        json!({"tasks": [task("a"), task("b")], "next_token": "x"}),
        json!({"delivery": delivery, "tasks": [task("b"), task("c")], "next_token": null}),
        json!({"delivery": "d2", "tasks": [task("c")]}),
    ];
    let text = pages.iter().map(|page| serde_json::to_string_pretty(page).unwrap()).collect::<String>();
    let (report, lake) = flatten_text(text, folder.path());
    assert_eq!(rejects(&report), Vec::<Value>::new());
    assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((report.superseded, report.tables["deliveries"].rows, report.tables["delivery_tasks"].rows), (2, 1, 3));
}

#[test]
fn one_bad_task_on_a_page_is_one_reject() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let text =
        format!(r#"{{"tasks": [{}, {{"task_id": "bad", "metadata": {deep}}}, {}, 5, null]}}"#, task("a"), task("b"));
    let (report, lake) = flatten_text(text, folder.path());
    assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    let reasons =
        rejects(&report).iter().map(|reject| reject["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for expected in ["found a number", "found null", "128 levels"] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{reasons:?}");
    }
}

#[test]
fn a_torn_first_line_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let torn = &task("torn").to_string()[..20];
    let (report, lake) = flatten_text(format!("{torn}\n{}\n{}\n", task("a"), task("b")), folder.path());
    assert_eq!(restored(&lake).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(report.rejected, 1);
}

#[test]
fn an_array_that_is_cut_off_between_elements_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text(format!("[{}, {}", task("a"), task("b")), folder.path());
    assert_eq!(restored(&lake).len(), 2);
    assert_eq!(report.rejected, 1);
}

fn compressed(path: &Path, text: &str) {
    let file = std::fs::File::create(path).unwrap();
    if path.extension().unwrap() == "gz" {
        let mut gzip = flate2::write::GzEncoder::new(file, Default::default());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap();
    } else {
        zstd::stream::copy_encode(text.as_bytes(), file, 3).unwrap();
    }
}

#[test]
fn folders_are_walked_and_compressed_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("in/deeper");
    std::fs::create_dir_all(&inner).unwrap();
    compressed(&folder.path().join("in/a.ndjson.gz"), &format!("{}\n", task("a")));
    compressed(&inner.join("b.json.zst"), &serde_json::to_string_pretty(&task("b")).unwrap());
    std::fs::write(inner.join("c.jsonl"), task("c").to_string()).unwrap();
    std::fs::write(inner.join("notes.txt"), "not for us").unwrap();
    std::fs::write(inner.join(".hidden.json"), "not for us").unwrap();
    let out = folder.path().join("lake");
    taskloom().arg("flatten").arg(folder.path().join("in")).arg("--out").arg(&out).assert().success();
    assert_eq!(restored(&Lake::open(&out).unwrap()).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn patterns_and_standard_input_are_inputs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x1.json"), task("a").to_string()).unwrap();
    std::fs::write(folder.path().join("x2.json"), task("b").to_string()).unwrap();
    let pattern = folder.path().join("x*.json");
    let out = folder.path().join("lake");
    let mut command = taskloom();
    command.arg("flatten").arg(pattern).arg("-").arg("--out").arg(&out).write_stdin(task("c").to_string());
    command.assert().success();
    assert_eq!(restored(&Lake::open(&out).unwrap()).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn a_corrupt_compressed_stream_fails_the_run_and_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.ndjson.gz", "a.ndjson.zst"] {
        let input = folder.path().join(name);
        let mut text = Vec::new();
        let options = taskloom::internals::generate::GenerateOptions { tasks: 20, ..Default::default() };
        taskloom::internals::generate::generate(&options, &mut text).unwrap();
        compressed(&input, std::str::from_utf8(&text).unwrap());
        let whole = std::fs::read(&input).unwrap();
        std::fs::write(&input, &whole[..whole.len() / 2]).unwrap();
        let out = folder.path().join(format!("lake {name}"));
        let error = lakes::run(config(&input, &out)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(crate::lakes::visible_files(&out).len(), 0);
    }
}

#[test]
fn rejects_of_pages_tell_where_their_task_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut bad = task("bad");
    bad["threads"] = json!(5);
    let page = serde_json::to_string_pretty(&json!({"tasks": [task("a"), bad, task("b"), bad]})).unwrap();
    let text = format!("\u{feff}{page}");
    let (report, _) = flatten_text(&text, folder.path());
    let rejects = rejects(&report);
    assert_eq!(rejects.len(), 2);
    for reject in rejects {
        let (byte, length) =
            (reject["byte"].as_u64().unwrap() as usize, reject["raw_length"].as_u64().unwrap() as usize);
        assert_eq!(&text[byte..byte + length], reject["raw"].as_str().unwrap());
        assert_eq!(reject["line"].as_u64().unwrap() as usize, 1 + text[..byte].matches('\n').count());
        assert_eq!(reject["path"], "$.threads");
    }
}

#[test]
fn a_page_may_list_several_kinds_and_objects_may_come_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let mut expanded = task("a");
    expanded["project"] = json!({"id": "p", "name": "New name"});
    let text = [
        json!({"tasks": null, "projects": [{"id": "p", "name": "Name", "types": ["x"]}], "batches": [{"id": "b", "project": "p"}]}),
        expanded,
    ];
    let (report, lake) = flatten_text(text.map(|value| value.to_string()).join("\n"), folder.path());
    assert_eq!(rejects(&report), Vec::<Value>::new());
    assert_eq!((report.tables["projects"].rows, report.tables["batches"].rows), (1, 1));
    let batch = batches(&files_of(&lake, "projects")[0]).remove(0);
    let shown = format!("{:?}", batch.columns());
    assert!(shown.contains("New name") && shown.contains("\"x\""), "{shown}");
}

#[test]
fn a_project_that_cannot_be_read_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"projects": [{"id": "p", "name": "good"}, {"id": "p", "name": "bad\q"}, {"name": "no id"}]}"#;
    let (report, _) = flatten_text(text, folder.path());
    assert_eq!((report.tables["projects"].rows, report.rejected), (1, 2));
}

#[test]
fn lines_that_are_arrays_behind_lines_that_are_not_give_their_elements() {
    assert_eq!(ids_of(format!("{}\n[{}, [{}]]\n", task("a"), task("b"), task("c"))), ["a", "b", "c"]);
}

#[test]
fn blank_lines_cost_next_to_nothing() {
    // Quadratic work over these would take minutes.
    assert_eq!(ids_of(format!("{}{}{}", task("a"), "\n".repeat(1_000_000), task("b"))), ["a", "b"]);
}

#[test]
fn what_is_no_text_is_one_message_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let mut gzipped = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    gzipped.write_all(b"PAR1\x15\x04\x15").unwrap();
    for (bytes, name) in [
        (b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46".to_vec(), "xz"),
        (b"PK\x03\x04\x14\0\0\0".to_vec(), "zip"),
        (b"PAR1\x15\x04\x15".to_vec(), "Parquet"),
        (gzipped.finish().unwrap(), "Parquet"),
        (utf16("\u{feff}{\"task_id\": \"a\"}\n"), "UTF-16"),
        (utf16("{\"task_id\": \"a\"}\n"), "UTF-16"),
    ] {
        let (input, lake) = (folder.path().join("input.ndjson"), folder.path().join("lake"));
        std::fs::write(&input, bytes).unwrap();
        let assert = taskloom().arg("flatten").arg(&input).arg("--out").arg(&lake).assert().code(1);
        let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(message.contains(name) && message.contains("input.ndjson"), "{message}");
        assert!(lakes::visible_files(&lake).is_empty());
    }
}

#[test]
fn a_name_that_is_no_utf8_is_read_however_it_is_given() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let (tasks, lake) = (folder.path().join("tasks"), folder.path().join("lake"));
    let input = tasks.join(std::ffi::OsStr::from_bytes(b"a\xff.json"));
    std::fs::create_dir(&tasks).unwrap();
    std::fs::write(&input, task("a").to_string()).unwrap();
    for word in [input, tasks.join("*.json"), tasks] {
        taskloom().arg("flatten").arg(&word).arg("--out").arg(&lake).arg("--overwrite").assert().success();
        assert_eq!(restored(&Lake::open(&lake).unwrap()).into_keys().collect::<Vec<_>>(), ["a"], "{word:?}");
    }
}

#[test]
fn a_page_of_scales_older_api_is_its_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let old = json!({"task_id": "a", "status": "completed", "project": "p", "response": {"annotations": {"q": "yes"}}});
    let page = json!({"docs": [old, task("b")], "total": 2, "limit": 100, "offset": 0, "has_more": false});
    let (report, lake) = flatten_text(page.to_string(), folder.path());
    let tasks = restored(&lake);
    assert_eq!((report.rejected, tasks.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["a", "b"]));
    assert_eq!(tasks["a"]["response"], json!({"annotations": {"q": "yes"}}));
}

/// The rows of `delivery_tasks`, each with its `extra`.
fn memberships(lake: &Lake) -> Vec<(String, String, Option<Value>)> {
    use arrow::array::{Array, AsArray};
    let mut rows = Vec::new();
    for file in files_of(lake, "delivery_tasks") {
        for batch in batches(&file) {
            let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
            let extra = |row| batch.column(2).is_valid(row).then(|| serde_json::from_str(&text(2, row)).unwrap());
            rows.extend((0..batch.num_rows()).map(|row| (text(0, row), text(1, row), extra(row))));
        }
    }
    rows.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    rows
}

#[test]
fn a_saved_listing_of_delivered_tasks_keeps_what_stands_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = json!({
        "task_id": "a", "delivery_id": "d", "delivered_at": "2025-01-02T00:00:00Z", "response_schema_id": null,
        "response": {"threads": [], "score": 5}
    });
    let undelivered = json!({"task_id": "b", "delivery_id": null, "response": null});
    let orphaned = json!({"task_id": "c", "delivery_id": null, "response": {"score": 7}});
    let page = json!({"docs": [delivered, undelivered, orphaned, {"nothing": 1}], "total": 4});
    let (report, lake) = flatten_text(page.to_string(), folder.path());
    // When it was delivered has a column.
    let extra = json!({"response": {"threads": [], "score": 5}});
    assert_eq!(memberships(&lake), [("d".to_owned(), "a".to_owned(), Some(extra))]);
    assert_eq!(report.rejected, 3, "nothing goes without a word: {:?}", rejects(&report));
    assert!(report.drift.findings.is_empty(), "{:?}", report.drift);
}

#[test]
fn an_exports_listing_of_delivered_tasks_leaves_out_what_the_tasks_hold() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |response: Value| json!({"task_id": "a", "created_at": "2025-01-01T00:00:00Z", "delivery_id": "d", "response": response});
    let undelivered =
        json!({"task_id": "b", "created_at": "2025-01-01T00:00:00Z", "delivery_id": null, "response": null});
    let text = [
        json!({"project": "p", "docs": [entry(json!({"threads": [{}], "score": 5})), undelivered]}),
        json!({"project": "p", "docs": [{"task_id": "c", "delivery_id": null, "response": {"score": 7}}]}),
    ];
    let (report, lake) = flatten_text(text.map(|page| page.to_string()).join("\n"), folder.path());
    assert_eq!(memberships(&lake), [("d".to_owned(), "a".to_owned(), Some(json!({"response": {"score": 5}})))]);
    assert_eq!(report.rejected, 1, "{:?}", rejects(&report));
}
