//! The bytes of attachments, kept beside the tables.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use taskloom::api::FetchOptions;
use taskloom::internals::config::RunConfig;
use taskloom::internals::file::open;
use taskloom::internals::lake::{Lake, VacuumOptions};
use taskloom::internals::progress::Progress;
use taskloom::internals::report::Report;
use taskloom::internals::upkeep::{
    CompactOptions, FetchingOptions, ForgetOptions, UpgradeOptions, compact, fetch_attachments, forget, upgrade,
};
use taskloom::{OfTasks, VerifyOptions};

use super::file_server::{Asked, FileServer, answer};
use super::lakes::{by_id, config, findings, restored, run, taskloom};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01";

/// A task with a message that has these attachments.
fn task(id: &str, attachments: Value) -> Value {
    json!({"task_id": id, "project": "p", "status": "completed", "completed_at": "2025-03-01T00:00:00Z",
        "threads": [{"id": "th", "turns": [{"id": "tu", "messages": [
            {"role": "user", "content": {"text": "look", "attachments": attachments}}]}]}]})
}

fn lines(tasks: &[Value]) -> String {
    tasks.iter().map(|task| format!("{task}\n")).collect()
}

/// May ask this server, and has little patience.
fn options(server: &FileServer) -> FetchOptions {
    FetchOptions {
        hosts: vec![server.address().parse().unwrap()],
        retries: 1,
        patience: Duration::from_secs(2),
        max_bytes: 100_000,
        ..FetchOptions::default()
    }
}

/// Flattens tasks into the lake in a folder, fetching what they have.
fn fetched(tasks: &[Value], folder: &Path, options: FetchOptions) -> (Report, Lake) {
    flattened(tasks, folder, Some(options))
}

fn flattened(tasks: &[Value], folder: &Path, attachments: Option<FetchOptions>) -> (Report, Lake) {
    let input = folder.join("input.ndjson");
    std::fs::write(&input, lines(tasks)).unwrap();
    let config = config(&input, &folder.join("lake"));
    let report = run(RunConfig { attachments, ..config }).unwrap();
    let lake = Lake::open(&folder.join("lake")).unwrap();
    assert_eq!(findings(&lake), []);
    (report, lake)
}

/// The columns of a lake's attachments, by task: those that are text.
fn rows(lake: &Lake) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let mut rows = BTreeMap::<String, Vec<_>>::new();
    let state = lake.state().unwrap();
    for part in state.parts.values().filter(|part| part.rows("attachments") > 0) {
        for batch in open(&**lake.store(), &part.path("attachments")).unwrap().map(Result::unwrap) {
            for row in 0..batch.num_rows() {
                let schema = batch.schema();
                let texts = schema.fields().iter().zip(batch.columns()).filter_map(|(field, column)| {
                    let column = column.as_string_opt::<i32>()?;
                    column.is_valid(row).then(|| (field.name().clone(), column.value(row).to_owned()))
                });
                let texts = texts.collect::<BTreeMap<_, _>>();
                rows.entry(texts["task_id"].clone()).or_default().push(texts);
            }
        }
    }
    rows
}

/// One column of the only attachment of each task.
pub fn column(lake: &Lake, name: &str) -> BTreeMap<String, Option<String>> {
    rows(lake).into_iter().map(|(id, rows)| (id, rows[0].get(name).cloned())).collect()
}

pub fn of<const N: usize>(pairs: [(&str, Option<&str>); N]) -> BTreeMap<String, Option<String>> {
    pairs.into_iter().map(|(id, value)| (id.to_owned(), value.map(str::to_owned))).collect()
}

pub fn path_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("_taskloom/attachments/{}/{hash}", &hash[..2])
}

/// The contents that lie in a lake, by path.
fn contents(lake: &Lake) -> BTreeMap<String, Vec<u8>> {
    let paths = lake.store().paths("_taskloom/attachments").unwrap();
    paths.into_iter().map(|path| (path.clone(), lake.store().get(&path).unwrap().unwrap())).collect()
}

fn files(_: &str, _: usize, stream: &mut TcpStream, bytes: &[u8]) {
    answer(stream, "200 OK", "content-type: application/octet-stream\r\n", bytes);
}

#[test]
fn bytes_become_files_by_their_hashes_each_once() {
    let server = FileServer::start(|path, again, stream| match path {
        "/a.png" | "/copy-of-a" => files(path, again, stream, PNG),
        _ => files(path, again, stream, b"what was said"),
    });
    let folder = tempfile::tempdir().unwrap();
    let text = STANDARD.encode("in the task");
    let tasks = [
        task("t1", json!([{"url": server.url("/a.png"), "mime_type": "image/jpeg", "name": "../../etc/passwd"}])),
        task("t2", json!([{"scale_url": "scaledata://files/1", "url": server.url("/copy-of-a")}])),
        task("t3", json!([{"content": text, "url": server.url("/never-asked")}])),
        task("t4", json!([{"url": server.url("/voice"), "transcript_url": server.url("/words")}])),
        task("t5", json!([{"name": "nothing"}, {"url": server.url("/a.png"), "content": ""}])),
    ];
    let (report, lake) = fetched(&tasks, folder.path(), options(&server));
    let expected = [PNG, b"in the task", b"what was said"].map(|bytes| (path_of(bytes), bytes.to_vec()));
    assert_eq!(contents(&lake), BTreeMap::from(expected));
    let rows = rows(&lake);
    let state = |id: &str, index: usize| rows[id][index].get("content_state").map(String::as_str);
    assert_eq!([state("t1", 0), state("t2", 0), state("t4", 0), state("t5", 1)], [Some("stored"); 4]);
    assert_eq!((state("t3", 0), state("t5", 0)), (Some("copied"), None));
    assert_eq!(
        (rows["t1"][0]["content_type"].as_str(), rows["t1"][0]["mime_type"].as_str()),
        ("image/png", "image/jpeg")
    );
    assert_eq!(rows["t1"][0]["content_path"], path_of(PNG));
    assert_eq!(rows["t4"][0]["transcript_path"], path_of(b"what was said"));
    assert_eq!(rows["t3"][0]["content"], text);
    assert_eq!(restored(&lake), by_id(lines(&tasks).as_bytes()));
    let report = report.attachments.unwrap();
    assert_eq!((report.fetched, report.from_tasks, report.not_kept()), (4, 1, 0));
    let mut asked = server.asked().into_iter().map(|asked| asked.path).collect::<Vec<_>>();
    asked.sort();
    assert_eq!(asked, ["/a.png", "/copy-of-a", "/voice", "/words"]);
    // What the lake has is not fetched again.
    let (again, lake) = fetched(&tasks, folder.path(), options(&server));
    assert_eq!((again.version, server.asked().len()), (1, 4));
    assert_eq!(lake.history().unwrap()[0].counts.attachments, 5);
}

#[test]
fn contents_that_are_moved_come_back_with_their_tasks() {
    let server = FileServer::start(|_, _, _| {});
    let folder = tempfile::tempdir().unwrap();
    let whole = STANDARD.encode(vec![7; 300_000]);
    let unpadded = STANDARD.encode("abcd").trim_end_matches('=').to_owned();
    let tasks = [
        task("t1", json!([{"content": whole}])),
        task("t2", json!([{"content": unpadded}])),
        task("t3", json!([{"content": "no base64!"}])),
    ];
    let moving = || FetchOptions { of_tasks: OfTasks::Move, ..options(&server) };
    let (report, lake) = fetched(&tasks, folder.path(), moving());
    let states = of([("t1", Some("moved")), ("t2", Some("copied")), ("t3", None)]);
    assert_eq!(column(&lake, "content_state"), states);
    let contents = of([("t1", None), ("t2", Some(unpadded.as_str())), ("t3", Some("no base64!"))]);
    assert_eq!(column(&lake, "content"), contents);
    assert_eq!(restored(&lake), by_id(lines(&tasks).as_bytes()));
    assert_eq!(report.attachments.unwrap().from_tasks_bytes, 300_004);
    // A file that has other bytes by now is an error, and no other content; whoever moves the same bytes again makes it whole.
    let file = lake.place().join(path_of(&[7; 300_000]));
    std::fs::write(&file, vec![8; 300_000]).unwrap();
    let damaged = taskloom::restore(&lake, &mut Vec::new());
    assert!(matches!(damaged, Err(taskloom::Error::OtherBytes { .. })), "{damaged:?}");
    let again = [task("t4", json!([{"content": whole}]))];
    std::fs::write(folder.path().join("again.ndjson"), lines(&again)).unwrap();
    let other = config(&folder.path().join("again.ndjson"), lake.place());
    run(RunConfig { attachments: Some(moving()), ..other }).unwrap();
    let all = [tasks.to_vec(), again.to_vec()].concat();
    assert_eq!((restored(&lake), findings(&lake)), (by_id(lines(&all).as_bytes()), vec![]));
    let states = of([("t1", Some("moved")), ("t2", Some("copied")), ("t3", None), ("t4", Some("moved"))]);
    // A task that changes keeps what is known of its attachments, whoever brings it.
    let mut changed = tasks.to_vec();
    changed[0]["metadata"] = json!({"seen": "again"});
    let (report, lake) = flattened(&changed, folder.path(), None);
    assert_eq!((report.version, report.merged.unwrap().tasks_replaced), (3, 1));
    assert_eq!(column(&lake, "content_state"), states);
    changed.extend(again);
    assert_eq!(restored(&lake), by_id(lines(&changed).as_bytes()));
}

#[test]
fn a_server_that_misbehaves_costs_neither_the_run_nor_much_time() {
    let inside = FileServer::start(|path, again, stream| files(path, again, stream, b"secret"));
    let to_inside = inside.url("/secret");
    let server = FileServer::start(move |path, again, stream| {
        let mut send = |bytes: &[u8]| stream.write_all(bytes).is_ok();
        match path.split('?').next().unwrap() {
            "/endless" => {
                send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                while send(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()) {}
            }
            "/large" => drop(send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nxxx")),
            "/short" => drop(send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")),
            "/slow" => {
                send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
                let (_open, never) = mpsc::channel::<()>();
                while send(b"x") && never.recv_timeout(Duration::from_millis(100)).is_err() {}
            }
            "/inwards" => answer(stream, "302 Found", &format!("location: {to_inside}\r\n"), b""),
            "/to-file" => answer(stream, "302 Found", "location: file:///etc/passwd\r\n", b""),
            "/circle" => answer(stream, "307 Temporary Redirect", "location: /circle\r\n", b""),
            "/sent-on" => answer(stream, "301 Moved Permanently", "location: there?x=1\r\n", b""),
            "/there" => files(path, again, stream, b"there"),
            "/expired" => answer(stream, "403 Forbidden", "", b"Request has expired"),
            "/gone" => answer(stream, "404 Not Found", "", b""),
            "/moody" if again == 0 => answer(stream, "503 Service Unavailable", "", b""),
            "/moody" => files(path, again, stream, b"at last"),
            "/broken" => answer(stream, "500 Internal Server Error", "", b""),
            "/no-http" => drop(send(b"hello\r\n\r\n")),
            _ => {}
        }
    });
    let cases = [
        ("/endless", "too_large"),
        ("/large", "too_large"),
        ("/short", "unreachable"),
        ("/slow", "unreachable"),
        ("/inwards", "refused"),
        ("/to-file", "unsupported"),
        ("/circle", "denied"),
        ("/sent-on", "stored"),
        ("/expired?X-Amz-Signature=canary", "denied"),
        ("/gone", "missing"),
        ("/moody", "stored"),
        ("/broken", "unreachable"),
        ("/no-http", "unreachable"),
        ("/hangs-up", "unreachable"),
    ];
    let mut tasks = cases.map(|(path, _)| task(path, json!([{"url": server.url(path)}]))).to_vec();
    tasks.push(task("inside", json!([{"url": inside.url("/secret")}])));
    tasks.push(task("unencrypted", json!([{"url": "http://files.example.com/a"}])));
    tasks.push(task("relative", json!([{"url": "a.png"}])));
    tasks.push(task("nowhere", json!([{"url": "https://taskloom.invalid/a"}])));
    tasks.push(task("itself", json!([{"url": format!("data:text/plain,canary{}", "x".repeat(100_000))}])));
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = fetched(&tasks, folder.path(), options(&server));
    let others = [
        ("inside", "refused"),
        ("unencrypted", "refused"),
        ("relative", "unsupported"),
        ("nowhere", "unreachable"),
        ("itself", "unsupported"),
    ];
    let expected = cases.into_iter().chain(others).map(|(id, word)| (id.to_owned(), Some(word.to_owned())));
    assert_eq!(column(&lake, "content_state"), expected.collect());
    assert_eq!(inside.asked(), []);
    assert_eq!(restored(&lake), by_id(lines(&tasks).as_bytes()));
    let attachments = report.attachments.as_ref().unwrap();
    assert_eq!((attachments.fetched, attachments.not_kept()), (2, 17));
    let told = report.to_json().unwrap();
    assert!(told.contains("it is sent on to http://127.0.0.1:"), "{told}");
    assert!(told.contains("/expired") && !told.contains("canary"), "{told}");
    // Who may not ask now knows no better than before.
    let strict = FetchingOptions::default();
    assert_eq!(fetch_attachments(&lake, &strict, &Arc::default()).unwrap().parts, 0);
    // What failed is tried again, and what works by then is there.
    let words = |path: &str| column(&lake, "content_state")[path].clone();
    assert_eq!(words("/moody").as_deref(), Some("stored"));
}

#[test]
fn the_key_goes_to_the_host_of_the_api_alone() {
    let other = FileServer::start(|path, again, stream| files(path, again, stream, b"other"));
    let away = other.url("/sent-on");
    let own = FileServer::start(move |path, again, stream| match path {
        "/away" => answer(stream, "302 Found", &format!("location: {away}\r\n"), b""),
        _ => files(path, again, stream, b"own"),
    });
    let folder = tempfile::tempdir().unwrap();
    let tasks = [
        task("t1", json!([{"url": own.url("/file")}])),
        task("t2", json!([{"url": own.url("/away")}])),
        task("t3", json!([{"url": other.url("/file")}])),
    ];
    let key = taskloom::api::Key::new("live_canary").unwrap();
    let mut options = options(&own);
    options.hosts.push(other.address().parse().unwrap());
    options.api = Some((own.url("/").parse().unwrap(), key));
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines(&tasks)).unwrap();
    let lake = super::lakes::flatten_text(lines(&tasks), folder.path()).1;
    let fetching =
        FetchingOptions { fetch: options, work_dir: Some(folder.path().join("work")), ..FetchingOptions::default() };
    let done = fetch_attachments(&lake, &fetching, &Arc::default()).unwrap();
    assert_eq!((done.version, done.parts, done.report.fetched), (2, 1, 3));
    let key = Some("Bearer live_canary".to_owned());
    let asked = |server: &FileServer| {
        let mut asked = server.asked();
        asked.sort_by(|one, other| one.path.cmp(&other.path));
        asked
    };
    let seen = |path: &str, key: &Option<String>| Asked { path: path.to_owned(), key: key.clone() };
    assert_eq!(asked(&own), [seen("/away", &key), seen("/file", &key)]);
    assert_eq!(asked(&other), [seen("/file", &None), seen("/sent-on", &None)]);
}

#[test]
fn a_fresh_address_brings_what_an_expired_one_did_not() {
    let server = FileServer::start(|path, again, stream| match path.contains("Signature=fresh") {
        true => files(path, again, stream, PNG),
        false => answer(stream, "403 Forbidden", "", b"expired"),
    });
    let folder = tempfile::tempdir().unwrap();
    let signed = |signature: &str| {
        [
            task("t1", json!([{"url": server.url(&format!("/a.png?Expires=1&Signature={signature}"))}])),
            task("t2", json!([])),
        ]
    };
    let (_, lake) = fetched(&signed("stale"), folder.path(), options(&server));
    assert_eq!(column(&lake, "content_state"), of([("t1", Some("denied"))]));
    // A signature is no content: without attachments there is nothing new.
    let (report, _) = flattened(&signed("fresh"), folder.path(), None);
    assert_eq!(report.version, 1);
    let (report, lake) = fetched(&signed("fresh"), folder.path(), options(&server));
    let merged = report.merged.unwrap();
    assert_eq!((report.version, merged.tasks_renewed, merged.tasks_replaced, merged.tasks_unchanged), (2, 1, 0, 1));
    assert_eq!(column(&lake, "content_path"), of([("t1", Some(path_of(PNG).as_str()))]));
    // A stale copy of the same run is in nobody's way.
    let other = tempfile::tempdir().unwrap();
    let both = [signed("stale"), signed("fresh")].concat();
    let (report, lake_of_both) = fetched(&both, other.path(), options(&server));
    assert_eq!(column(&lake_of_both, "content_state"), of([("t1", Some("stored"))]));
    let attachments = report.attachments.unwrap();
    assert_eq!((attachments.fetched, attachments.not_kept()), (1, 0));
    // Now the lake knows it, whatever the address says.
    let asked = server.asked().len();
    let (report, lake) = fetched(&signed("stale"), folder.path(), options(&server));
    assert_eq!((report.version, server.asked().len()), (2, asked));
    assert_eq!(column(&lake, "content_state"), of([("t1", Some("stored"))]));
}

#[test]
fn what_a_lake_lacks_is_fetched_later_and_no_task_changes() {
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let server = FileServer::start(move |path, again, stream| match gate.load(SeqCst) {
        true => files(path, again, stream, path.as_bytes()),
        false => answer(stream, "500 Internal Server Error", "", b""),
    });
    let folder = tempfile::tempdir().unwrap();
    let content = STANDARD.encode("in the task");
    let tasks = [
        task("t1", json!([{"url": server.url("/1")}, {"content": content}])),
        task("t2", json!([{"url": server.url("/2")}])),
    ];
    let (_, lake) = fetched(&tasks[..1], folder.path(), options(&server));
    let (_, lake_with_two) = flattened(&tasks, folder.path(), None);
    assert_eq!(column(&lake, "content_state"), of([("t1", Some("unreachable")), ("t2", None)]));
    let changes = || lake.state().unwrap().parts.values().map(|part| part.rows("task_changes")).sum::<u64>();
    let (before, told) = (restored(&lake_with_two), changes());
    is_open.store(true, SeqCst);
    let fetching = FetchingOptions { fetch: options(&server), ..FetchingOptions::default() };
    let done = fetch_attachments(&lake, &fetching, &Arc::default()).unwrap();
    assert_eq!((done.report.fetched, done.report.not_kept()), (2, 0));
    assert_eq!(column(&lake, "content_state"), of([("t1", Some("stored")), ("t2", Some("stored"))]));
    assert_eq!((findings(&lake), restored(&lake), changes()), (vec![], before, told));
    assert_eq!(lake.history().unwrap().last().unwrap().operation, "attachments");
    let again = fetch_attachments(&lake, &fetching, &Arc::default()).unwrap();
    assert_eq!((again.version, again.parts), (done.version, 0));
}

#[test]
fn upkeep_keeps_what_versions_need_and_removes_the_rest() {
    let server = FileServer::start(|path, again, stream| files(path, again, stream, path.as_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let one = |id: &str| {
        let mut task =
            task(id, json!([{"url": server.url(&format!("/{id}"))}, {"content": STANDARD.encode(format!("in {id}"))}]));
        task["threads"][0]["submissions"] = json!([{"contributor_id": format!("person of {id}")}]);
        task
    };
    let moving = FetchOptions { of_tasks: OfTasks::Move, ..options(&server) };
    let (_, lake) = fetched(&[one("t1"), one("t2")], folder.path(), moving.clone());
    let (_, lake_of_three) = fetched(&[one("t3")], folder.path(), moving);
    let all = restored(&lake_of_three);
    let named = |ids: &[&str]| {
        let bytes = ids.iter().flat_map(|id| [format!("/{id}"), format!("in {id}")]);
        bytes.map(|bytes| (path_of(bytes.as_bytes()), bytes.into_bytes())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(contents(&lake), named(&["t1", "t2", "t3"]));
    compact(&lake, &CompactOptions::default(), &Progress::default()).unwrap();
    upgrade(&lake, &UpgradeOptions::default(), &Progress::default()).unwrap();
    let vacuumed = |lake: &Lake| {
        let options = VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false };
        lake.vacuum(&options, &Default::default()).unwrap().attachments
    };
    assert_eq!((vacuumed(&lake), restored(&lake), findings(&lake)), (0, all.clone(), vec![]));
    // A checkout has them too, and follows.
    let plain = folder.path().join("plain");
    let checkout = || lake.checkout(&lake.readable_state().unwrap(), &plain, &Progress::default()).unwrap();
    checkout();
    for (path, bytes) in named(&["t1", "t2", "t3"]) {
        assert_eq!(std::fs::read(plain.join(path)).unwrap(), bytes);
    }
    // A contributor who is forgotten takes no attachment along; a task that is does.
    let forgets = |options: ForgetOptions| forget(&lake, &options, &Progress::default()).unwrap();
    forgets(ForgetOptions { contributors: vec!["person of t2".to_owned()], ..ForgetOptions::default() });
    assert_eq!(contents(&lake), named(&["t1", "t2", "t3"]));
    assert_eq!(
        column(&lake, "content_state"),
        of([("t1", Some("stored")), ("t2", Some("stored")), ("t3", Some("stored"))])
    );
    forgets(ForgetOptions { tasks: vec!["t1".to_owned()], ..ForgetOptions::default() });
    assert_eq!(contents(&lake), named(&["t2", "t3"]));
    let proof = VerifyOptions { is_deep: true, is_for_forgotten: true, ..VerifyOptions::default() };
    assert_eq!(taskloom::verify(&lake, &proof).unwrap().findings, []);
    checkout();
    assert!(!plain.join(path_of(b"/t1")).exists() && plain.join(path_of(b"/t2")).exists());
    assert_eq!(restored(&lake).keys().collect::<Vec<_>>(), ["t2", "t3"]);
    // What a later version does not need goes with the versions that did.
    let input = folder.path().join("other.ndjson");
    std::fs::write(&input, lines(&[one("t3")])).unwrap();
    run(RunConfig { is_overwrite: true, ..config(&input, lake.place()) }).unwrap();
    assert_eq!(contents(&lake), named(&["t2", "t3"]));
    assert_eq!((vacuumed(&lake), contents(&lake)), (2, named(&["t3"])));
    assert_eq!(findings(&lake), []);
}

#[test]
fn a_byte_that_changed_and_a_file_that_is_gone_are_noticed() {
    let server = FileServer::start(|path, again, stream| files(path, again, stream, path.as_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let tasks = ["/1", "/2", "/3"].map(|path| task(path, json!([{"url": server.url(path)}])));
    let (_, lake) = fetched(&tasks, folder.path(), options(&server));
    let place = |bytes: &[u8]| lake.place().join(path_of(bytes));
    std::fs::write(place(b"/1"), "/x").unwrap();
    std::fs::write(place(b"/2"), "longer").unwrap();
    std::fs::remove_file(place(b"/3")).unwrap();
    let kinds = |findings: Vec<taskloom::Finding>| {
        findings.into_iter().map(|finding| (finding.path, format!("{:?}", finding.fault))).collect::<BTreeMap<_, _>>()
    };
    let [one, two, three] = [b"/1", b"/2", b"/3"].map(|bytes| path_of(bytes));
    let (size, missing) = ((two, "Size".to_owned()), (three, "Missing".to_owned()));
    assert_eq!(kinds(super::lakes::shallow(&lake)), BTreeMap::from([size.clone(), missing.clone()]));
    let deep = BTreeMap::from([(one, "Checksum".to_owned()), size, missing]);
    assert_eq!(kinds(findings(&lake)), deep);
    // What is gone or of another size is fetched again; what is there is not looked into for that.
    let fetching = FetchingOptions { fetch: options(&server), ..FetchingOptions::default() };
    assert_eq!(fetch_attachments(&lake, &fetching, &Arc::default()).unwrap().report.fetched, 2);
    assert_eq!(findings(&lake).len(), 1);
}

#[test]
fn a_run_that_meets_a_forgetting_leaves_nothing_that_it_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("input.ndjson"), folder.path().join("lake"));
    std::fs::write(&input, lines(&[task("t1", json!([])), task("t2", json!([]))])).unwrap();
    run(config(&input, &out)).unwrap();
    let place = out.clone();
    let server = FileServer::start(move |path, again, stream| {
        if path == "/of-t1" {
            let options = ForgetOptions { tasks: vec!["t1".to_owned()], ..ForgetOptions::default() };
            forget(&Lake::open(&place).unwrap(), &options, &Progress::default()).unwrap();
        }
        files(path, again, stream, path.as_bytes());
    });
    let content = STANDARD.encode("in t1");
    std::fs::write(&input, lines(&[task("t1", json!([{"url": server.url("/of-t1")}, {"content": content}]))])).unwrap();
    let work_dir = Some(folder.path().join("work"));
    let config = RunConfig { attachments: Some(options(&server)), work_dir, ..config(&input, &out) };
    let outcome = taskloom::run(config, &Arc::default());
    assert!(matches!(outcome, Ok(taskloom::Outcome::Conflict { .. })), "{outcome:?}");
    let lake = Lake::open(&out).unwrap();
    assert_eq!(contents(&lake), BTreeMap::new());
    let proof = VerifyOptions { is_deep: true, is_for_forgotten: true, ..VerifyOptions::default() };
    assert_eq!(taskloom::verify(&lake, &proof).unwrap().findings, []);
}

#[test]
fn a_host_that_does_not_answer_is_left_alone_after_a_while() {
    let server = FileServer::start(|_, _, _| std::thread::park());
    let folder = tempfile::tempdir().unwrap();
    let tasks = (0..200).map(|index| task(&format!("t{index}"), json!([{"url": server.url(&format!("/{index}"))}])));
    let impatient =
        FetchOptions { patience: Duration::from_millis(50), retries: 0, concurrency: 4, ..options(&server) };
    let (report, _) = fetched(&tasks.collect::<Vec<_>>(), folder.path(), impatient);
    assert_eq!(report.attachments.unwrap().failed, BTreeMap::from([("unreachable", 200)]));
    // Twenty, and those that were on their way when that was too much.
    assert!(server.asked().len() < 60, "{}", server.asked().len());
}

#[test]
fn a_run_that_is_stopped_goes_on_with_what_it_has_fetched() {
    let (sender, receiver) = mpsc::channel();
    let (sender, is_patient) = (std::sync::Mutex::new(sender), Arc::new(AtomicBool::new(true)));
    let waits = Arc::clone(&is_patient);
    let server = FileServer::start(move |path, again, stream| {
        if path == "/last" && waits.load(SeqCst) {
            // The others are there by now; this one is never.
            sender.lock().unwrap().send(()).unwrap();
            loop {
                std::thread::park();
            }
        }
        files(path, again, stream, path.as_bytes());
    });
    let folder = tempfile::tempdir().unwrap();
    let (work, out) = (folder.path().join("work"), folder.path().join("lake"));
    let mut tasks = (0..20)
        .map(|index| task(&format!("t{index:02}"), json!([{"url": server.url(&format!("/{index}"))}])))
        .collect::<Vec<_>>();
    tasks.push(task("t99", json!([{"url": server.url("/last")}])));
    let input = folder.path().join("input.ndjson");
    std::fs::write(&input, lines(&tasks)).unwrap();
    // One at a time, so that the last one comes behind the others.
    let attachments = FetchOptions { concurrency: 1, patience: Duration::from_secs(600), ..options(&server) };
    let config =
        || RunConfig { attachments: Some(attachments.clone()), work_dir: Some(work.clone()), ..config(&input, &out) };
    let progress = Arc::new(Progress::default());
    let stopped = std::thread::scope(|scope| {
        let run = scope.spawn(|| taskloom::run(config(), &progress));
        receiver.recv().unwrap();
        progress.stop(2);
        run.join().unwrap()
    });
    assert!(matches!(stopped, Err(taskloom::Error::Interrupted { .. })), "{stopped:?}");
    assert!(Lake::open(&out).is_err() || Lake::open(&out).unwrap().state().unwrap().version == 0);
    is_patient.store(false, SeqCst);
    let report = run(config()).unwrap().attachments.unwrap();
    assert_eq!((report.resumed, report.fetched), (20, 1));
    assert_eq!(server.asked().iter().filter(|asked| asked.path != "/last").count(), 20);
    assert_eq!(findings(&Lake::open(&out).unwrap()), []);
    assert!(
        !work.exists() || walkdir::WalkDir::new(&work).into_iter().all(|entry| entry.unwrap().file_type().is_dir())
    );
}

#[test]
fn the_program_fetches_and_tells() {
    let server = FileServer::start(|path, again, stream| match path {
        "/a" => files(path, again, stream, PNG),
        _ => answer(stream, "403 Forbidden", "", b""),
    });
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("input.ndjson"), folder.path().join("lake"));
    let tasks =
        [task("t1", json!([{"url": server.url("/a")}])), task("t2", json!([{"url": server.url("/b?sig=canary")}]))];
    std::fs::write(&input, lines(&tasks)).unwrap();
    let flatten = |flags: &[&str]| {
        let mut command = taskloom();
        command.arg("flatten").args([&input, Path::new("--out"), &out]).args(flags);
        let output = command.assert().success().get_output().clone();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let [told, warned] = flatten(&["--fetch-attachments"]);
    assert!(told.contains("attachments: 0 fetched") && told.contains("2 refused"), "{told}");
    assert!(warned.contains("--attachment-host"), "{warned}");
    let host = format!("--attachment-host={}", server.address());
    let fetch = taskloom().args(["attachments", "fetch"]).arg(&out).args([&host, "--json"]).assert().success();
    let output = fetch.get_output();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&done["fetched"], &done["failed"], &done["version"]), (&json!(1), &json!({"denied": 1}), &json!(2)));
    let all = [&output.stdout[..], &output.stderr].concat();
    assert!(!String::from_utf8(all).unwrap().contains("canary"));
    assert_eq!(
        column(&Lake::open(&out).unwrap(), "content_state"),
        of([("t1", Some("stored")), ("t2", Some("denied"))])
    );
}
