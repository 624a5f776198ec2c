//! The simulated API, asked with a client that is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::simulate::{Fault, Faults, SimulateOptions, Simulator, Store};

use crate::lakes::{by_id, taskloom};

const ALL_OPTIONS: &str = "&opts=annotation_details&opts=attachment_details&opts=model_parameters&opts=submissions";

/// An answer, as far as it came.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The token of the next page, encoded.
    fn next(&self) -> Option<String> {
        let token = self.json()["next_token"].as_str()?.to_owned();
        Some(url::form_urlencoded::byte_serialize(token.as_bytes()).collect())
    }
}

/// Asks with these headers; `None` where the connection ends without an answer.
fn ask(url: &str, target: &str, headers: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: simulated\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_lowercase(), value.to_owned())).unwrap();
    Some(Answer { status, headers: lines.map(pair).collect(), body: bytes[end + 4..].to_vec() })
}

fn get(simulator: &Simulator, target: &str) -> Answer {
    ask(&simulator.url(), target, "Authorization: Bearer test_key\r\n").unwrap()
}

fn start(store: Store, options: SimulateOptions) -> Simulator {
    Simulator::start(Arc::new(store), options, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

fn generated(tasks: u64) -> Simulator {
    start(Store::generated(tasks, 1).unwrap(), SimulateOptions::default())
}

/// A simulator of one task that always fails so, until it has failed three times in a row.
fn failing(kinds: &[Fault]) -> Simulator {
    let faults = Faults { rate: 1.0, kinds: kinds.to_vec(), ..Faults::default() };
    start(two_tasks(), SimulateOptions { faults, ..SimulateOptions::default() })
}

fn two_tasks() -> Store {
    let task = |id: &str| {
        json!({"task_id": id, "project": "p", "batch": "b", "status": "completed",
        "created_at": "2025-01-01T00:00:00Z", "completed_at": "2025-01-02T00:00:00Z", "threads": []})
    };
    Store::from_tasks(vec![task("one"), task("two")])
}

fn generated_tasks(tasks: u64) -> BTreeMap<String, Value> {
    let mut lines = Vec::new();
    generate(&GenerateOptions { tasks, seed: 1, ..GenerateOptions::default() }, &mut lines).unwrap();
    by_id(&lines)
}

/// All entities of a listing, over all of its pages.
fn listed(simulator: &Simulator, target: &str, name: &str) -> Vec<Value> {
    let mut entities = Vec::new();
    let mut token = String::new();
    loop {
        let answer = get(simulator, &format!("{target}{token}"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.json());
        entities.extend(answer.json()[name].as_array().unwrap().clone());
        match answer.next() {
            Some(next) => token = format!("&next_token={next}"),
            None => return entities,
        }
    }
}

fn ids(tasks: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), tasks.len(), "no task comes twice");
    ids
}

/// A task as the API writes it without `expand`.
fn unexpanded(mut task: Value) -> Value {
    for key in ["project", "batch"] {
        if let Some(id) = task[key].get("id").cloned() {
            task[key] = id;
        }
    }
    task
}

fn of_project<'a>(
    tasks: &'a BTreeMap<String, Value>,
    project: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    tasks.iter().filter(move |(_, task)| task["project"] == project || task["project"]["id"] == project)
}

#[test]
fn every_task_of_a_project_is_listed_once_as_it_was_generated() {
    let (simulator, expected) = (generated(200), generated_tasks(200));
    let mut found = 0;
    for project in get(&simulator, "/v2/projects").json()["projects"].as_array().unwrap() {
        let project = project["id"].as_str().unwrap();
        let tasks = listed(&simulator, &format!("/v2/tasks?project_id={project}&limit=7{ALL_OPTIONS}"), "tasks");
        assert_eq!(ids(&tasks).len(), of_project(&expected, project).count());
        for task in &tasks {
            assert_eq!(*task, unexpanded(expected[task["task_id"].as_str().unwrap()].clone()));
        }
        found += tasks.len();
    }
    assert_eq!(found, 200);
}

#[test]
fn batches_and_statuses_select_their_tasks() {
    let (simulator, expected) = (generated(200), generated_tasks(200));
    let batches = listed(&simulator, "/v2/batches?limit=3", "batches");
    assert_eq!(batches.len(), 20);
    let mut found = 0;
    for batch in &batches {
        let id = batch["id"].as_str().unwrap();
        found += ids(&listed(&simulator, &format!("/v2/tasks?batch_id={id}"), "tasks")).len();
        let wrong = if batch["project"] == "project_000" { "project_001" } else { "project_000" };
        let of_both = get(&simulator, &format!("/v2/tasks?batch_id={id}&project_id={wrong}")).json();
        assert_eq!(of_both["tasks"], json!([]));
    }
    assert_eq!(found, expected.values().filter(|task| task["batch"] != Value::Null).count());
    for status in ["pending", "completed", "canceled", "error", "deleted"] {
        let target = format!("/v2/tasks?project_id=project_001&status={status}");
        let tasks = listed(&simulator, &target, "tasks");
        assert_eq!(
            ids(&tasks).len(),
            of_project(&expected, "project_001").filter(|(_, task)| task["status"] == status).count()
        );
    }
}

#[test]
fn slices_of_completion_time_that_meet_have_every_completed_task_once() {
    let simulator = generated(200);
    let all = listed(&simulator, "/v2/tasks?project_id=project_000&status=completed", "tasks");
    let at = all[3]["completed_at"].as_str().unwrap().to_owned();
    let before = listed(&simulator, &format!("/v2/tasks?project_id=project_000&completed_before={at}"), "tasks");
    let after = listed(&simulator, &format!("/v2/tasks?project_id=project_000&completed_after={at}"), "tasks");
    assert_eq!(before.len() + after.len(), all.len());
    assert_eq!(&ids(&before) | &ids(&after), ids(&all));
    assert!(ids(&after).contains(all[3]["task_id"].as_str().unwrap()), "the instant belongs to the later slice");
}

#[test]
fn the_order_of_a_listing_is_neither_that_of_time_nor_that_of_ids() {
    let simulator = generated(100);
    let tasks = listed(&simulator, "/v2/tasks?project_id=project_000&status=completed", "tasks");
    for key in ["completed_at", "created_at", "task_id"] {
        let is_sorted = tasks.is_sorted_by_key(|task| task[key].as_str());
        assert!(!is_sorted && !tasks.iter().rev().is_sorted_by_key(|task| task[key].as_str()), "{key}");
    }
}

#[test]
fn names_do_as_well_as_ids() {
    let simulator = generated(200);
    let batch = get(&simulator, "/v2/batch?batch_id=batch_001_001").json();
    let project = get(&simulator, "/v2/project?project_id=project_001").json();
    let encoded =
        |value: &Value| url::form_urlencoded::byte_serialize(value.as_str().unwrap().as_bytes()).collect::<String>();
    let (batch_name, project_name) = (encoded(&batch["name"]), encoded(&project["name"]));
    assert_eq!(get(&simulator, &format!("/v2/batch?batch_name={batch_name}")).json(), batch);
    assert_eq!(get(&simulator, &format!("/v2/project?project_name={project_name}")).json(), project);
    for (by_name, by_id) in [
        (format!("/v2/tasks?project_name={project_name}"), "/v2/tasks?project_id=project_001"),
        (format!("/v2/tasks?batch_name={batch_name}"), "/v2/tasks?batch_id=batch_001_001"),
    ] {
        assert_eq!(get(&simulator, &by_name).json()["tasks"], get(&simulator, by_id).json()["tasks"]);
    }
}

#[test]
fn expansion_puts_objects_in_the_place_of_ids() {
    let simulator = generated(100);
    let project = get(&simulator, "/v2/project?project_id=project_002").json();
    let plain = get(&simulator, "/v2/tasks?project_id=project_002&limit=1").json()["tasks"][0].clone();
    assert_eq!(plain["project"], "project_002");
    let id = plain["task_id"].as_str().unwrap();
    let expanded = get(&simulator, &format!("/v2/task?task_id={id}&expand=project&expand=batch")).json();
    assert_eq!(expanded["project"], project);
    assert_eq!(expanded["batch"]["id"], plain["batch"]);
    assert_eq!(unexpanded(expanded), plain);
    let batch =
        get(&simulator, "/v2/batches?project_id=project_002&expand=project&limit=1").json()["batches"][0].clone();
    assert_eq!(batch["project"], project);
    let delivery =
        get(&simulator, "/v2/deliveries?project_id=project_002&expand=project").json()["deliveries"][0].clone();
    assert_eq!(delivery["project"], project);
}

#[test]
fn details_are_given_only_where_they_were_asked_for() {
    let annotation =
        json!({"id": "a", "key": "k", "type": "text", "value": {"annotations": [{"id": 1}]}, "metadata": {"x": 1}});
    let task = json!({"task_id": "t", "project": "p", "status": "completed", "threads": [{
        "id": "thread", "submissions": [{"contributor_id": "c"}], "annotations": [annotation],
        "turns": [{"annotations": [annotation], "messages": [{
            "model_parameters": {"temperature": 0.50}, "annotations": [annotation],
            "content": {"text": "x", "attachments": [{"url": "u", "mime_type": "m", "name": "n", "transcript": "t"}]},
        }]}],
    }]});
    let simulator = start(Store::from_tasks(vec![task.clone()]), SimulateOptions::default());
    let bare = json!({"key": "k", "value": annotation["value"]});
    let mut expected = task.clone();
    expected["threads"][0].as_object_mut().unwrap().remove("submissions");
    expected["threads"][0]["annotations"] = json!([bare]);
    expected["threads"][0]["turns"][0]["annotations"] = json!([bare]);
    let message =
        json!({"annotations": [bare], "content": {"text": "x", "attachments": [{"url": "u", "mime_type": "m"}]}});
    expected["threads"][0]["turns"][0]["messages"][0] = message;
    assert_eq!(get(&simulator, "/v2/task?task_id=t").json(), expected);
    expected["threads"][0]["submissions"] = task["threads"][0]["submissions"].clone();
    assert_eq!(get(&simulator, "/v2/task?task_id=t&opts=submissions").json(), expected);
    expected["threads"] = task["threads"].clone();
    assert_eq!(get(&simulator, &format!("/v2/task?task_id=t{ALL_OPTIONS}")).json(), task);
}

#[test]
fn deliveries_hold_each_completed_task_of_their_project_once() {
    let (simulator, expected) = (generated(200), generated_tasks(200));
    let deliveries = get(&simulator, "/v2/deliveries").json()["deliveries"].as_array().unwrap().clone();
    assert!(deliveries.len() >= 4);
    let mut found = BTreeSet::new();
    for delivery in &deliveries {
        let id = delivery["id"].as_str().unwrap();
        let tasks = listed(&simulator, &format!("/v2/delivery?delivery_id={id}&limit=9"), "tasks");
        assert_eq!(delivery["task_count"], tasks.len());
        assert!(tasks.iter().all(|task| task["completed_at"].as_str() < delivery["delivered_at"].as_str()));
        let docs = listed(&simulator, &format!("/v2/delivery/tasks?delivery_id={id}"), "docs");
        assert_eq!(ids(&docs), ids(&tasks));
        assert!(docs.iter().all(|doc| doc["delivery_id"] == id && doc["delivered_at"] == delivery["delivered_at"]));
        let page = get(&simulator, &format!("/v2/delivery/tasks?delivery_id={id}&limit=2")).json();
        assert_eq!(page["total"], 2, "of the page, not of the query");
        found.extend(ids(&tasks));
    }
    let completed = expected.iter().filter(|(_, task)| task["status"] == "completed").map(|(id, _)| id.clone());
    assert_eq!(found, completed.collect());
    let (project, name) = (&deliveries[0]["project"], deliveries[0]["name"].as_str().unwrap());
    let target = format!("/v2/delivery?delivery_name={name}&project_id={}&limit=1", project.as_str().unwrap());
    assert_eq!(get(&simulator, &target).json()["delivery"], deliveries[0]["id"]);
    assert_eq!(get(&simulator, &format!("{target}&expand=delivery")).json()["delivery"], deliveries[0]);
    let at = deliveries[0]["delivered_at"].as_str().unwrap();
    let count = |target: &str| get(&simulator, target).json()["deliveries"].as_array().unwrap().len();
    let slices = [format!("/v2/deliveries?delivered_after={at}"), format!("/v2/deliveries?delivered_before={at}")];
    assert_eq!(slices.iter().map(|target| count(target)).sum::<usize>(), deliveries.len());
}

#[test]
fn tasks_of_a_project_that_were_not_delivered_have_no_response() {
    let simulator = generated(200);
    let docs = listed(&simulator, "/v2/delivery/tasks?project_id=project_000", "docs");
    let undelivered: Vec<_> = docs.iter().filter(|doc| doc["delivery_id"].is_null()).collect();
    assert!(!undelivered.is_empty() && undelivered.iter().all(|doc| doc["response"].is_null()));
    assert_eq!(listed(&simulator, "/v2/tasks?project_id=project_000", "tasks").len(), docs.len());
}

#[test]
fn parameters_that_are_missing_or_wrong_are_refused() {
    let simulator = start(two_tasks(), SimulateOptions::default());
    for (target, status, named) in [
        ("/v2/tasks", 400, "project_id"),
        ("/v2/tasks?project_id=", 400, "project_id"),
        ("/v2/tasks?project_id=p&limit=0", 400, "limit"),
        ("/v2/tasks?project_id=p&limit=101", 400, "limit"),
        ("/v2/tasks?project_id=p&limit=ten", 400, "limit"),
        ("/v2/tasks?project_id=p&completed_after=yesterday", 400, "completed_after"),
        ("/v2/tasks?project_id=p&completed_before=2025-13-01", 400, "completed_before"),
        // An unencoded plus is a space.
        ("/v2/tasks?project_id=p&completed_after=2025-01-01T00:00:00+00:00", 400, "completed_after"),
        ("/v2/tasks?project_id=p&status=done", 400, "status"),
        ("/v2/tasks?project_id=p&expand=project&expand=delivery", 400, "expand"),
        ("/v2/tasks?project_id=p&opts=everything", 400, "opts"),
        ("/v2/tasks?project_id=p&next_token=AAAA", 400, "next_token"),
        ("/v2/tasks?project_id=x", 404, "x"),
        ("/v2/tasks?project_name=x", 404, "x"),
        ("/v2/tasks?batch_id=x", 404, "x"),
        ("/v2/task", 400, "task_id"),
        ("/v2/task?task_id=x", 404, "x"),
        ("/v2/project", 400, "project_id"),
        ("/v2/project?project_id=x", 404, "x"),
        ("/v2/projects?created_after=x", 400, "created_after"),
        ("/v2/batch", 400, "batch_id"),
        ("/v2/batch?batch_name=x", 404, "x"),
        ("/v2/batches?status=error", 400, "status"),
        ("/v2/batches?expand=batch", 400, "expand"),
        ("/v2/batches?limit=-1", 400, "limit"),
        ("/v2/deliveries?delivered_after=x", 400, "delivered_after"),
        ("/v2/delivery", 400, "delivery_id"),
        ("/v2/delivery?delivery_name=x", 400, "project"),
        ("/v2/delivery?delivery_id=x", 404, "x"),
        ("/v2/delivery/tasks", 400, "delivery_id"),
        ("/v2/elsewhere", 404, "endpoint"),
    ] {
        let answer = get(&simulator, target);
        let error = answer.json();
        assert_eq!((answer.status, &error["status_code"]), (status, &json!(status)), "{target}");
        assert!(error["error"].as_str().unwrap().contains(named), "{target}: {error}");
    }
}

#[test]
fn keys_are_taken_as_bearer_and_as_user_and_nothing_else_is() {
    let options = SimulateOptions { token: Some("test_key".to_owned()), ..SimulateOptions::default() };
    let (one_key, any_key) = (start(two_tasks(), options), start(two_tasks(), SimulateOptions::default()));
    let basic = |pair: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
    for (header, of_one, of_any) in [
        ("Authorization: Bearer test_key\r\n".to_owned(), 200, 200),
        (basic("test_key:"), 200, 200),
        ("Authorization: Bearer live_other\r\n".to_owned(), 401, 200),
        (basic("live_other:"), 401, 200),
        (basic(":test_key"), 401, 401),
        ("Authorization: Bearer \r\n".to_owned(), 401, 401),
        ("Authorization: test_key\r\n".to_owned(), 401, 401),
        (String::new(), 401, 401),
    ] {
        for (simulator, status) in [(&one_key, of_one), (&any_key, of_any)] {
            assert_eq!(ask(&simulator.url(), "/v2/projects", &header).unwrap().status, status, "{header}");
        }
    }
}

#[test]
fn a_token_is_good_for_its_own_query_alone() {
    let simulator = generated(100);
    let query = "/v2/tasks?project_id=project_000&limit=5";
    let token = get(&simulator, query).next().unwrap();
    for (other, status) in [
        (query, 200),
        ("/v2/tasks?limit=9&project_id=project_000", 200),
        ("/v2/tasks?project_id=project_001&limit=5", 400),
        ("/v2/tasks?project_id=project_000&limit=5&status=completed", 400),
        ("/v2/tasks?project_id=project_000&limit=5&expand=batch", 400),
        ("/v2/delivery/tasks?project_id=project_000&limit=5", 400),
    ] {
        assert_eq!(get(&simulator, &format!("{other}&next_token={token}")).status, status, "{other}");
    }
    let raw = get(&simulator, query).json()["next_token"].as_str().unwrap().replace(' ', "+");
    assert_eq!(get(&simulator, &format!("{query}&next_token={raw}")).status, 400, "tokens must be encoded");
}

#[test]
fn threads_are_empty_before_a_task_is_completed_and_absent_when_it_was_reported() {
    let task = |id: &str, more: Value| {
        let mut task = json!({"task_id": id, "project": "p", "status": "completed", "threads": [{"id": "t"}]});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    };
    let tasks = vec![
        task("whole", json!({})),
        task("early", json!({"status": "pending"})),
        task("reported", json!({"sensitive_content_reports": [{"type": "pii"}]})),
    ];
    let simulator = start(Store::from_tasks(tasks), SimulateOptions::default());
    let threads = |id: &str| get(&simulator, &format!("/v2/task?task_id={id}")).json().get("threads").cloned();
    assert_eq!(threads("whole"), Some(json!([{"id": "t"}])));
    assert_eq!(threads("early"), Some(json!([])));
    assert_eq!(threads("reported"), None);
}

#[test]
fn entities_that_the_tasks_hold_are_served_as_they_are() {
    let project = json!({"id": "p", "name": "P one", "created_at": "2020-01-01T00:00:00Z", "unknown": [1.50]});
    let batch = json!({"id": "b", "name": "B one", "project": project, "created_at": "2020-01-02T00:00:00Z", "status": "paused"});
    let tasks = vec![
        json!({"task_id": "1", "project": "p", "batch": "b", "status": "pending", "created_at": "2020-03-05T00:00:00Z"}),
        json!({"task_id": "2", "project": "p", "batch": batch}),
        json!({"task_id": "3", "project": null, "batch": "other", "created_at": "2020-03-05T12:00:00Z"}),
        json!({"task_id": "3", "project": 5, "batch": "other", "created_at": "2020-03-05T12:00:00Z"}),
    ];
    let simulator = start(Store::from_tasks(tasks), SimulateOptions::default());
    assert_eq!(get(&simulator, "/v2/projects").json(), json!({"projects": [project]}));
    assert_eq!(get(&simulator, "/v2/batch?batch_id=b&expand=project").json(), batch);
    let made_up = get(&simulator, "/v2/batch?batch_id=other").json();
    assert!(made_up["created_at"].as_str() < Some("2020-03-05T12:00:00Z"), "{made_up}");
    assert_eq!(get(&simulator, "/v2/task?task_id=3").json()["project"], 5, "the later task with an id counts");
    assert_eq!(get(&simulator, "/v2/batches?status=paused").json()["batches"].as_array().unwrap().len(), 1);
}

#[test]
fn tasks_come_from_lines_pages_and_compressed_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks");
    let ids_of = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        std::fs::write(&file, gzip.finish().unwrap()).unwrap();
        Store::from_file(&file).map(|store| store.task_count())
    };
    assert_eq!(ids_of("{\"task_id\": \"1\"}\n\n{\"task_id\": \"2\"}\n").unwrap(), 2);
    assert_eq!(ids_of("{\"tasks\": [{\"task_id\": \"1\"}], \"next_token\": null}").unwrap(), 1);
    assert_eq!(ids_of("[\n {\"task_id\": \"1\"},\n {\"task_id\": \"2\"}\n]").unwrap(), 2);
    for (text, found) in
        [("{\"task_id\": \"1\"}\n{\"task_id\": 5}\n", "line 2"), ("{\"task_id\": \"1\"}\n{\"task\n", "line 2")]
    {
        let error = ids_of(text).unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
    assert_eq!(ids_of("{\"task_id\": \"1\"}\n{\"task_id\": \"1\"}").unwrap(), 1);
}

#[test]
fn clients_that_take_gzip_get_it() {
    let simulator = generated(50);
    let target = "/v2/tasks?project_id=project_000";
    let plain = get(&simulator, target);
    assert_eq!(plain.headers.get("content-encoding"), None);
    let headers = "Authorization: Bearer k\r\nAccept-Encoding: gzip\r\n";
    let packed = ask(&simulator.url(), target, headers).unwrap();
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let mut chunked = packed.body.as_slice();
    let mut bytes = Vec::new();
    loop {
        let mut line = String::new();
        chunked.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(&chunked[..length]);
        chunked = &chunked[length + 2..];
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&unpacked).unwrap()["tasks"], plain.json()["tasks"]);
    assert!(bytes.len() < plain.body.len() * 2 / 3);
}

#[test]
fn requests_beyond_the_rate_are_told_to_wait() {
    let simulator = start(two_tasks(), SimulateOptions { rate_limit: Some(1), ..SimulateOptions::default() });
    let answers: Vec<Answer> = (0..5).map(|_| get(&simulator, "/v2/projects")).collect();
    assert_eq!(answers[0].status, 200);
    let late: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!late.is_empty() && late.iter().all(|answer| answer.headers["retry-after"] == "1"));
}

#[test]
fn each_request_takes_its_latency() {
    let latency = Duration::from_millis(30);
    let simulator = start(two_tasks(), SimulateOptions { latency, ..SimulateOptions::default() });
    let begin = Instant::now();
    assert_eq!(get(&simulator, "/v2/projects").status, 200);
    assert!(begin.elapsed() >= latency);
}

#[test]
fn requests_are_counted_and_remembered() {
    let simulator = start(two_tasks(), SimulateOptions::default());
    get(&simulator, "/v2/projects?a=%20+&a=2");
    get(&simulator, "/v2/task");
    assert_eq!(simulator.requests(), 2);
    let log = simulator.log();
    assert_eq!((log[0].path.as_str(), log[0].status, log[1].status), ("/v2/projects", 200, 400));
    assert_eq!(log[0].query, [("a".to_owned(), "  ".to_owned()), ("a".to_owned(), "2".to_owned())]);
}

const TARGET: &str = "/v2/tasks?project_id=p&limit=1";

#[test]
fn too_many_requests_say_when_to_come_again() {
    let simulator = failing(&[Fault::TooManyRequests]);
    let answers: Vec<Answer> = (0..4).map(|_| get(&simulator, TARGET)).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [429, 429, 429, 200]);
    assert_eq!((answers[0].headers["retry-after"].as_str(), answers[1].headers["retry-after"].as_str()), ("0", "1"));
    let date = httpdate::parse_http_date(&answers[2].headers["retry-after"]).unwrap();
    assert!(date <= SystemTime::now() + Duration::from_secs(1));
}

#[test]
fn timeouts_and_server_errors_come_in_turn() {
    let simulator = failing(&[Fault::RequestTimeout]);
    assert_eq!((0..4).map(|_| get(&simulator, TARGET).status).collect::<Vec<_>>(), [408, 408, 408, 200]);
    let simulator = failing(&[Fault::ServerError]);
    let targets = [TARGET, TARGET, TARGET, "/v2/projects"];
    assert_eq!(targets.map(|target| get(&simulator, target).status), [500, 502, 503, 504]);
}

#[test]
fn a_reset_ends_the_connection_without_an_answer() {
    let simulator = failing(&[Fault::Reset]);
    let key = "Authorization: Bearer k\r\n";
    let is_answered = |_| ask(&simulator.url(), TARGET, key).is_some();
    assert_eq!((0..4).map(is_answered).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(simulator.log()[0].status, 0);
}

#[test]
fn a_truncated_answer_has_half_of_what_it_promises() {
    let whole = get(&start(two_tasks(), SimulateOptions::default()), TARGET).body.len();
    let simulator = failing(&[Fault::Truncated]);
    for _ in 0..3 {
        let answer = get(&simulator, TARGET);
        assert_eq!((answer.status, answer.headers["content-length"].as_str()), (200, whole.to_string().as_str()));
        assert_eq!(answer.body.len(), whole / 2);
    }
    assert_eq!(get(&simulator, TARGET).body.len(), whole);
    let packed = ask(&simulator.url(), "/v2/projects", "Authorization: Bearer k\r\nAccept-Encoding: gzip\r\n").unwrap();
    assert_eq!(packed.status, 200);
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(packed.headers["content-length"].parse::<usize>().unwrap() / 2, packed.body.len());
}

#[test]
fn pages_of_html_and_empty_bodies_come_with_status_200() {
    let simulator = failing(&[Fault::NotJson]);
    let answer = get(&simulator, TARGET);
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    let answer = get(&failing(&[Fault::Empty]), TARGET);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[test]
fn a_stalled_request_is_answered_late() {
    let stall = Duration::from_millis(30);
    let faults = Faults { rate: 1.0, kinds: vec![Fault::Stall], stall, ..Faults::default() };
    let simulator = start(two_tasks(), SimulateOptions { faults, ..SimulateOptions::default() });
    let begin = Instant::now();
    assert_eq!(get(&simulator, TARGET).json()["tasks"].as_array().unwrap().len(), 1);
    assert!(begin.elapsed() >= stall);
}

#[test]
fn an_expired_token_never_works_again_and_the_query_must_begin_anew() {
    let simulator = failing(&[Fault::ExpiredToken]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let token = get(&simulator, TARGET).next().unwrap();
        let target = format!("{TARGET}&next_token={token}");
        let (first, again) = (get(&simulator, &target), get(&simulator, &target));
        assert_eq!(first.status, again.status);
        if first.status == 400 {
            assert_eq!(first.json()["error"], "next_token is expired or invalid");
        }
        statuses.push(first.status);
    }
    assert_eq!(statuses, [400, 400, 400, 200]);
}

#[test]
fn a_patient_client_always_gets_through() {
    let faults = Faults { rate: 0.7, stall: Duration::ZERO, ..Faults::default() };
    let options = SimulateOptions { faults, seed: 5, ..SimulateOptions::default() };
    let simulator = start(Store::generated(60, 1).unwrap(), options);
    let ask = |target: &str| ask(&simulator.url(), target, "Authorization: Bearer k\r\n");
    let patient = |target: &str| {
        let mut answers = (0..4).map(|_| ask(target));
        let is_good = |answer: &Answer| answer.status == 200 && serde_json::from_slice::<Value>(&answer.body).is_ok();
        answers.find_map(|answer| answer.filter(is_good))
    };
    let target = "/v2/tasks?project_id=project_000&limit=1";
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let Some(answer) = patient(&format!("{target}{token}")) else {
            (found, token) = (Vec::new(), String::new());
            continue;
        };
        found.extend(answer.json()["tasks"].as_array().unwrap().clone());
        match answer.next() {
            Some(next) => token = format!("&next_token={next}"),
            None => break,
        }
    }
    assert_eq!(ids(&found).len(), 15);
    let log = simulator.log();
    let statuses: BTreeSet<u16> = log.iter().map(|seen| seen.status).collect();
    assert!(statuses.is_superset(&[0, 200, 408, 429].into()), "{statuses:?}");
    let expired = log.iter().filter(|seen| seen.status == 400).count();
    assert!(expired <= 3 * 4, "{expired}");
}

#[test]
fn the_same_seed_fails_the_same_requests() {
    let statuses = |seed| {
        let faults = Faults { rate: 0.5, stall: Duration::ZERO, ..Faults::default() };
        let simulator = start(two_tasks(), SimulateOptions { faults, seed, ..SimulateOptions::default() });
        for _ in 0..40 {
            let _ = ask(&simulator.url(), TARGET, "Authorization: Bearer k\r\n");
        }
        simulator.log().iter().map(|seen| seen.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(1), statuses(1));
    assert_ne!(statuses(1), statuses(2));
}

#[test]
fn a_port_that_is_taken_is_an_error_and_a_stopped_one_is_free() {
    let simulator = start(two_tasks(), SimulateOptions::default());
    let address: SocketAddr = simulator.url().strip_prefix("http://").unwrap().parse().unwrap();
    let again = || Simulator::start(Arc::new(two_tasks()), SimulateOptions::default(), address);
    assert!(again().unwrap_err().to_string().contains(&address.to_string()));
    simulator.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_command_tells_how_to_reach_it_and_ends_on_a_signal() {
    for signal in ["INT", "TERM"] {
        let mut run = Command::new(assert_cmd::cargo::cargo_bin!("taskloom"))
            .args(["simulate", "--tasks", "20", "--seed", "1", "--port", "0", "--key", "live_secret"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(run.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("export SCALE_API_URL=").and_then(|rest| rest.split_once(' ')).unwrap().0;
        assert_eq!(line, format!("export SCALE_API_URL={url} SCALE_API_KEY=live_secret\n"));
        let listed = ask(url, "/v2/projects", "Authorization: Bearer live_secret\r\n").unwrap();
        assert_eq!(listed.json()["projects"].as_array().unwrap().len(), 4);
        assert_eq!(ask(url, "/v2/projects", "Authorization: Bearer test_key\r\n").unwrap().status, 401);
        assert!(Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    taskloom().args(["simulate", "--faults", "1.5"]).assert().code(2);
    taskloom().args(["simulate", "--from", "missing.ndjson"]).assert().code(1);
}
