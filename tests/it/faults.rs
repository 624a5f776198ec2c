//! What goes wrong between an export and its API, and what is right then.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use taskloom::internals::error::{Error, ErrorKind};
use taskloom::internals::lake::Lake;
use taskloom::internals::simulate::{Simulator, Store};
use taskloom::internals::source::api::{Patience, Selector};

use crate::export::{KEY, api, export, query, scripted};
use crate::lakes::{self, restored, taskloom};

fn task(id: &str) -> Value {
    json!({"task_id": id, "project": "p", "status": "completed", "created_at": "2025-01-01T00:00:00Z"})
}

/// What an API with a project of one task answers.
fn usual(path: &str) -> (u16, String, String) {
    let body = match path.split(['?']).next().unwrap_or_default() {
        "/v2/project" => json!({"id": "p", "name": "P"}),
        "/v2/tasks" => json!({"tasks": [task("t")]}),
        "/v2/batches" => json!({"batches": []}),
        "/v2/deliveries" => json!({"deliveries": []}),
        "/v2/delivery/tasks" => json!({"docs": []}),
        other => panic!("{other}"),
    };
    (200, String::new(), body.to_string())
}

fn project() -> Vec<Selector> {
    vec![Selector::ProjectId("p".to_owned())]
}

fn by_ids(ids: &[&str]) -> Vec<Selector> {
    ids.iter().map(|id| Selector::TaskId((*id).to_owned())).collect()
}

fn ids(out: &Path) -> Vec<String> {
    restored(&Lake::open(out).unwrap()).into_keys().collect()
}

/// The program's export from a scripted API.
fn program(url: &str, out: &Path) -> assert_cmd::Command {
    let mut command = taskloom();
    command.args(["export", "--api-url", url, "--out"]).arg(out).env("SCALE_API_KEY", KEY);
    command
}

fn stderr(command: &mut assert_cmd::Command, status: i32) -> String {
    let assert = command.assert().code(status);
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// A server that knows the tasks whose ids begin with a `k`.
fn knows_some() -> crate::export::Scripted {
    scripted(|path| match path.split_once("task_id=k") {
        Some((_, rest)) => {
            let id = format!("k{}", rest.split('&').next().unwrap());
            (200, String::new(), task(&id).to_string())
        }
        None => (404, String::new(), r#"{"message": "no such task"}"#.to_owned()),
    })
}

#[test]
fn unknown_ids_are_listed_and_the_others_exported() {
    let server = knows_some();
    let folder = tempfile::tempdir().unwrap();
    let wanted = by_ids(&["x1", "k1", "x2", "k2"]);
    let report = export(api(&server.url, query(wanted), 2), folder.path()).unwrap();
    assert_eq!(ids(folder.path()), ["k1", "k2"]);
    let mut missing = report.fetch.unwrap().missing_task_ids;
    missing.sort_unstable();
    assert_eq!(missing, ["x1", "x2"]);
}

#[test]
fn the_program_says_which_ids_are_unknown_and_ends_with_3_unless_that_is_allowed() {
    let server = knows_some();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    std::fs::write(&file, "\u{feff}k1\r\nx1\r\n").unwrap();
    for (flags, status) in [(&[] as &[&str], 3), (&["--allow-missing"], 0), (&["--allow-rejects"], 3)] {
        let out = folder.path().join(format!("lake{flags:?}"));
        let mut command = program(&server.url, &out);
        let assert = command.arg("--task-ids-from").arg(&file).args(flags).assert().code(status);
        let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
        assert!(text.contains("unknown to the API: 1 ids: x1"), "{text}");
        assert_eq!(ids(&out), ["k1"]);
    }
    // Where all are unknown, something else is wrong.
    let mut command = program(&server.url, &folder.path().join("none"));
    let text = stderr(command.args(["--task-id", "x1", "--task-id", "x2"]), 1);
    assert!(text.contains("no such task"), "{text}");
    let mut command = program(&server.url, &folder.path().join("none"));
    command.args(["--task-id", "x1", "--allow-missing"]).assert().code(0);
}

#[test]
fn an_unknown_id_is_remembered_by_an_export_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let is_up = Arc::new(Mutex::new(false));
    let server = scripted({
        let is_up = Arc::clone(&is_up);
        move |path| match (path.contains("task_id=k1"), path.contains("task_id=x1"), *is_up.lock().unwrap()) {
            (true, ..) => (200, String::new(), task("k1").to_string()),
            (_, true, _) => (404, String::new(), String::new()),
            (_, _, true) => (200, String::new(), task("k2").to_string()),
            _ => (500, String::new(), String::new()),
        }
    });
    let wanted = || {
        let mut api = api(&server.url, query(by_ids(&["k1", "x1", "k2"])), 1);
        api.patience = Patience { retries: 1, ..api.patience };
        api
    };
    assert_eq!(export(wanted(), folder.path()).unwrap_err().kind(), ErrorKind::Unavailable);
    *is_up.lock().unwrap() = true;
    let before = server.requests.load(Ordering::Relaxed);
    let fetch = export(wanted(), folder.path()).unwrap().fetch.unwrap();
    assert_eq!((fetch.missing_task_ids, fetch.spooled_pages), (vec!["x1".to_owned()], 1));
    assert_eq!(server.requests.load(Ordering::Relaxed) - before, 1, "only what was not answered");
    assert_eq!(ids(folder.path()), ["k1", "k2"]);
}

#[test]
fn a_listing_that_the_account_may_not_use_is_left_out_with_a_warning() {
    for (endpoint, status) in
        [("/v2/delivery/tasks", 402), ("/v2/delivery/tasks", 404), ("/v2/deliveries", 403), ("/v2/batches", 402)]
    {
        let server =
            scripted(
                move |path| {
                    if path.starts_with(endpoint) { (status, String::new(), "{}".to_owned()) } else { usual(path) }
                },
            );
        let folder = tempfile::tempdir().unwrap();
        let report = export(api(&server.url, query(project()), 8), &folder.path().join("one")).unwrap();
        let left_out = report.fetch.unwrap().left_out;
        assert_eq!(left_out.iter().map(|left| (left.path, left.status)).collect::<Vec<_>>(), [(endpoint, status)]);
        assert_eq!(ids(&folder.path().join("one")), ["t"]);
        let text = stderr(program(&server.url, &folder.path().join("two")).args(["--project-id", "p"]), 0);
        assert!(text.contains(endpoint), "{text}");
        assert_eq!(text.contains("--skip-delivery-tasks"), endpoint == "/v2/delivery/tasks", "{text}");
    }
}

#[test]
fn a_refusal_of_the_tasks_themselves_still_ends_the_export() {
    for status in [402, 403, 404] {
        let server = scripted(move |path| {
            if path.starts_with("/v2/tasks") { (status, String::new(), "{}".to_owned()) } else { usual(path) }
        });
        let folder = tempfile::tempdir().unwrap();
        let error = export(api(&server.url, query(project()), 8), folder.path()).unwrap_err();
        assert!(matches!(error, Error::Api { status: found, .. } if found == status), "{error}");
    }
}

#[test]
fn a_key_that_the_server_repeats_is_not_shown() {
    let bodies = [
        json!({"message": format!("invalid key {KEY}")}).to_string(),
        json!({"error": {"authorization": format!("Bearer {KEY}"), "address": format!("https://x/?key={KEY}")}})
            .to_string(),
    ];
    for body in bodies {
        let server = scripted(move |_| (401, String::new(), body.clone()));
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(&server.url, &folder.path().join("lake"));
        let text = stderr(command.args(["--all-projects", "-vv", "--log-format", "json"]), 1);
        assert!(text.contains("[key]") && !text.contains(KEY) && !text.contains("canary"), "{text}");
    }
    // A page that is none begins with it.
    let server = scripted(|_| (200, String::new(), format!("{KEY} is not known")));
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&server.url, &folder.path().join("lake"));
    let text = stderr(command.args(["--all-projects", "--retries", "0"]), 4);
    assert!(text.contains("[key]") && !text.contains("canary"), "{text}");
}

#[test]
fn a_date_to_wait_for_is_of_the_servers_clock() {
    let is_first = Mutex::new(true);
    let server = scripted(move |_| {
        if !std::mem::take(&mut *is_first.lock().unwrap()) {
            return (200, String::new(), task("t").to_string());
        }
        let clock = SystemTime::now() + Duration::from_secs(7200);
        let (date, after) = (httpdate::fmt_http_date(clock), httpdate::fmt_http_date(clock + Duration::from_secs(1)));
        (429, format!("date: {date}\r\nretry-after: {after}\r\n"), String::new())
    });
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    export(api(&server.url, query(by_ids(&["t"])), 1), folder.path()).unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "two hours and a second by this machine's clock");
}

#[test]
fn a_line_break_within_a_string_is_a_reject_in_an_export_as_in_a_file() {
    let page =
        format!("{{\"tasks\": [{},\n{{\"task_id\": \"b\", \"x\": \"one\ntwo\"}},\r\n{}]}}", task("a"), task("c"));
    let server = scripted({
        let page = page.clone();
        move |path| if path.starts_with("/v2/tasks") { (200, String::new(), page.clone()) } else { usual(path) }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut api = api(&server.url, query(project()), 1);
    api.keeps_raw = true;
    let exported = export(api, &folder.path().join("exported")).unwrap();
    let input = folder.path().join("page.json");
    std::fs::write(&input, page).unwrap();
    let flattened = lakes::run(lakes::config(&input, &folder.path().join("flattened"))).unwrap();
    let raw = exported.raw_file.clone().unwrap();
    let again = lakes::run(lakes::config(&raw, &folder.path().join("again"))).unwrap();
    for (report, lake) in [(&exported, "exported"), (&flattened, "flattened"), (&again, "again")] {
        assert_eq!(ids(&folder.path().join(lake)), ["a", "c"], "{lake}");
        let rejects = lakes::rejects(report);
        let reasons = rejects.iter().map(|reject| (&reject["path"], reject["reason"].as_str().unwrap()));
        let reasons = reasons.collect::<Vec<_>>();
        assert!(
            matches!(reasons.as_slice(), [(path, reason)] if **path == json!("$.x") && reason.contains("above U+001F")),
            "{reasons:?}"
        );
    }
}

#[test]
fn nothing_delivered_is_asked_for_where_nothing_can_have_been() {
    let server = scripted(usual);
    for (statuses, expected) in [(vec!["pending"], false), (vec!["pending", "completed"], true), (vec![], true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(&server.url, &folder.path().join("lake"));
        command.args(["--project-id", "p", "--completed-after", "2 days ago", "--dry-run"]);
        for status in statuses {
            command.args(["--status", status]);
        }
        let assert = command.assert().success();
        let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
        assert_eq!(text.contains("/v2/delivery/tasks"), expected, "{text}");
    }
}

#[test]
fn https_towards_a_plain_port_fails_at_once_and_says_so() {
    let store = Store::generated(1, 0).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let simulator = Simulator::start(Arc::new(store), Default::default(), address).unwrap();
    let url = simulator.url().replace("http://", "https://");
    let folder = tempfile::tempdir().unwrap();
    let mut api = api(&url, query(project()), 1);
    api.patience.retries = 3;
    let error = export(api, folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("expected TLS"), "{error}");
}

#[test]
fn no_proxy_is_asked_for_what_runs_on_this_machine() {
    let server = scripted(usual);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&server.url, &folder.path().join("lake"));
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    command.args(["--project-id", "p", "--retries", "0"]).envs(proxies.map(|name| (name, &address)));
    command.assert().success();
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "nobody came");
}

#[test]
fn a_dry_run_is_json_on_demand_and_says_what_the_lake_would_say() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, task("t").to_string()).unwrap();
    let rehearsed = |status| {
        let mut command = program("http://127.0.0.1:1", &lake);
        let assert = command.args(["--project-id", "p", "--dry-run", "--json"]).assert().code(status);
        serde_json::from_slice::<Value>(&assert.get_output().stdout).unwrap()
    };
    let said = rehearsed(0);
    assert!(
        said["requests"].as_array().unwrap().iter().any(|request| {
            request["method"] == "GET"
                && request["url"].as_str().unwrap().starts_with("http://127.0.0.1:1/v2/tasks?project_id=p")
        }),
        "{said}"
    );
    assert!(said["refusal"].is_null() && !lake.exists(), "a rehearsal makes nothing");
    let mut flatten = taskloom();
    flatten.arg("flatten").arg(&input).arg("--date-grain").arg("month").arg("--out").arg(&lake).assert().success();
    let said = rehearsed(1);
    assert!(said["refusal"].as_str().unwrap().contains("has dates by"), "{said}");
}

#[test]
fn a_run_beside_another_is_refused_before_it_begins_and_the_other_ends_well() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let server = scripted({
        let gate = Arc::clone(&gate);
        move |path| {
            drop(gate.lock());
            usual(path)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = (folder.path().join("in.json"), folder.path().join("lake"));
    std::fs::write(&input, task("other").to_string()).unwrap();
    let running = std::thread::spawn({
        let (url, lake) = (server.url.clone(), lake.clone());
        move || export(api(&url, query(project()), 8), &lake)
    });
    while server.requests.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    let mut command = taskloom();
    let text = stderr(command.arg("flatten").arg(&input).arg("--out").arg(&lake).arg("--overwrite"), 4);
    assert!(text.contains("another run is writing") && text.contains("wait for it"), "{text}");
    drop(held);
    running.join().unwrap().unwrap();
    assert_eq!(ids(&lake), ["t"]);
}

#[test]
fn a_request_that_hangs_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let streams = listener.incoming().map_while(Result::ok).collect::<Vec<_>>();
        drop(streams);
    });
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("taskloom"))
        .args(["export", "--project-id", "p", "--api-url", &url, "--out"])
        .arg(folder.path().join("lake"))
        .env("SCALE_API_KEY", KEY)
        .env("XDG_CACHE_HOME", folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut byte = [0];
        while stderr.read_exact(&mut byte).is_ok() && byte != *b"\n" {
            text.extend(byte);
        }
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    let text = told.recv_timeout(Duration::from_secs(40)).unwrap();
    let _ = child.kill().and_then(|()| child.wait().map(drop));
    assert!(text.contains("hangs") && text.contains("no answer for"), "{text}");
}

#[test]
fn a_spool_that_0_1_0_left_in_the_lake_is_gone_on_with() {
    let server = scripted(usual);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("lake");
    std::fs::create_dir_all(out.join("_taskloom")).unwrap();
    let plan = json!({
        "format": 4, "id": "old", "asked": format!("{}/ --project-id p with a test key", server.url),
        "query": {"of": [{"project_id": "p"}], "statuses": [], "completed_after": null, "completed_before": null,
            "skips_delivery_tasks": false, "expand": [], "opts": []},
        "began_at": 1_700_000_000_000_000i64, "page_size": 100, "concurrency": 8
    });
    let page = json!({"projects": [{"id": "p", "name": "as it was"}]}).to_string() + "\n";
    let frame = zstd::bulk::compress(page.as_bytes(), 3).unwrap();
    let entry = json!({"chain": 0, "event": {"page": {
        "glance": {"items": 1, "projects": ["p"]}, "bytes": frame.len(),
        "checksum": xxhash_rust::xxh3::xxh3_64(&frame)
    }}});
    let mut spool = std::fs::File::create(out.join("_taskloom/spool.ndjson.zst")).unwrap();
    for json in [plan, entry] {
        let json = serde_json::to_vec(&json).unwrap();
        spool.write_all(&[0x5d, 0x2a, 0x4d, 0x18]).unwrap();
        spool.write_all(&(json.len() as u32).to_le_bytes()).unwrap();
        spool.write_all(&json).unwrap();
    }
    spool.write_all(&frame).unwrap();
    drop(spool);
    let mut wanted = query(project());
    (wanted.expand, wanted.opts) = (Vec::new(), Vec::new());
    let report = export(api(&server.url, wanted, 8), &out).unwrap();
    let fetch = report.fetch.unwrap();
    assert_eq!((fetch.spooled_pages, fetch.began_at.as_deref()), (1, Some("2023-11-14T22:13:20Z")));
    assert_eq!(ids(&out), ["t"]);
    assert!(!out.join("_taskloom/spool.ndjson.zst").exists());
}
