use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::{GenerateOptions, generate};

const TYPES: [&str; 12] = [
    "integer",
    "boolean",
    "text",
    "category",
    "category_multiple",
    "file",
    "ranked_choices",
    "ranked_groups",
    "labeled_text",
    "rubric_criteria",
    "rubric_rating",
    "workspace_container",
];

const SCOPES: [&str; 7] =
    ["thread", "turn", "message", "chunk", "rubric criterion", "rubric evaluation", "criterion evaluation"];

fn bytes(options: &GenerateOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let written = generate(options, &mut out).unwrap();
    assert_eq!(written, out.len() as u64);
    out
}

fn options(tasks: u64) -> GenerateOptions {
    GenerateOptions { tasks, seed: 7, ..GenerateOptions::default() }
}

fn tasks(options: &GenerateOptions) -> Vec<Value> {
    let text = String::from_utf8(bytes(options)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// All messages of a task.
fn messages(task: &Value) -> impl Iterator<Item = &Value> {
    let turns = list(task, "threads").iter().flat_map(|thread| list(thread, "turns"));
    turns.flat_map(|turn| list(turn, "messages"))
}

/// All annotations of a task with their scopes.
fn annotations(task: &Value) -> Vec<(&'static str, &Value)> {
    let mut found = Vec::new();
    let mut add = |scope, owner| found.extend(list(owner, "annotations").iter().map(|value| (scope, value)));
    for thread in list(task, "threads") {
        add("thread", thread);
        for turn in list(thread, "turns") {
            add("turn", turn);
            let rubrics = list(turn, "rubrics").iter();
            rubrics
                .flat_map(|rubric| list(rubric, "criteria_definitions"))
                .for_each(|item| add("rubric criterion", item));
        }
    }
    for message in messages(task) {
        add("message", message);
        list(&message["content"], "chunks").iter().for_each(|chunk| add("chunk", chunk));
        for evaluation in list(message, "rubric_evaluations") {
            add("rubric evaluation", evaluation);
            list(evaluation, "criteria_evaluations").iter().for_each(|item| add("criterion evaluation", item));
        }
    }
    found
}

/// Project, batch and day.
fn partition(task: &Value) -> (String, String, String) {
    let id = |value: &Value| value["id"].as_str().or(value.as_str()).unwrap_or_default().to_owned();
    let instant = task["completed_at"].as_str().or(task["created_at"].as_str()).unwrap();
    (id(&task["project"]), id(&task["batch"]), instant[..10].to_owned())
}

#[test]
fn same_seed_gives_the_same_bytes() {
    assert_eq!(bytes(&options(50)), bytes(&options(50)));
    assert_ne!(bytes(&options(50)), bytes(&GenerateOptions { seed: 8, ..options(50) }));
}

/// The value was computed once on x86-64 Linux; another platform must agree with it. Any change of the generator
/// changes it.
#[test]
fn every_platform_gives_the_same_bytes() {
    let hash = bytes(&options(20))
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3));
    assert_eq!(hash, 0x547DACF266DC383D);
}

#[test]
fn a_task_does_not_depend_on_the_others() {
    let whole = bytes(&options(60));
    let start = bytes(&options(25));
    let rest = bytes(&GenerateOptions { first_task: 25, ..options(35) });
    assert_eq!(whole, [start, rest].concat());
}

#[test]
fn task_ids_are_unique_object_ids() {
    let mut seen = HashSet::new();
    for task in tasks(&GenerateOptions { task_bytes: 1, ..options(5_000) }) {
        let id = task["task_id"].as_str().unwrap().to_owned();
        assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(seen.insert(id));
    }
}

#[test]
fn two_thousand_tasks_hold_every_type_scope_and_rare_shape() {
    let tasks = tasks(&options(2_000));
    let all: Vec<_> = tasks.iter().flat_map(annotations).collect();
    let types: BTreeSet<_> = all.iter().filter_map(|(_, annotation)| annotation["type"].as_str()).collect();
    let scopes: BTreeSet<_> = all.iter().map(|(scope, _)| *scope).collect();
    assert!(TYPES.iter().all(|name| types.contains(name)), "{types:?}");
    assert_eq!(scopes, BTreeSet::from(SCOPES));
    let any = |test: fn(&Value) -> bool| all.iter().any(|(_, annotation)| test(annotation));
    assert!(any(|annotation| annotation.get("key").is_none()));
    assert!(any(|annotation| annotation["possible_values"][0].is_array()));
    assert!(any(|annotation| annotation["metadata"]["criteria"].is_object()));
    assert!(any(|annotation| { annotation["value"]["workspace_config"]["workspace_token"].is_string() }));
    for status in ["completed", "pending", "canceled", "error", "deleted"] {
        assert!(tasks.iter().any(|task| task["status"] == status), "{status}");
    }
    for field in ["errors", "sensitive_content_reports", "priority"] {
        assert!(tasks.iter().any(|task| task.get(field).is_some()), "{field}");
    }
    for field in ["attachments", "reference_texts", "chunks", "reasoning"] {
        assert!(tasks.iter().flat_map(messages).any(|message| message["content"].get(field).is_some()), "{field}");
    }
}

#[test]
fn a_task_is_20_kilobytes_and_half_of_it_is_text() {
    let tasks = tasks(&options(2_000));
    let size = bytes(&options(2_000)).len();
    let texts = tasks.iter().flat_map(messages).filter_map(|message| message["content"]["text"].as_str());
    let text_bytes: usize = texts.map(str::len).sum();
    assert!((18_000..22_000).contains(&(size / 2_000)), "{size}");
    assert!((45..56).contains(&(text_bytes * 100 / size)), "{text_bytes} of {size}");
    let message_count = tasks.iter().flat_map(messages).count();
    let annotation_count = tasks.iter().flat_map(annotations).count();
    assert!((18_500..21_500).contains(&message_count), "{message_count}");
    assert!((36_000..44_000).contains(&annotation_count), "{annotation_count}");
}

#[test]
fn no_paragraph_is_repeated() {
    let mut seen = HashSet::new();
    for task in tasks(&options(800)) {
        for paragraph in messages(&task).flat_map(|message| message["content"]["text"].as_str().unwrap().split("\n\n"))
        {
            assert!(seen.insert(paragraph.to_owned()), "{paragraph}");
        }
    }
}

#[test]
fn tasks_are_spread_evenly_over_the_partitions() {
    for partitions in [1, 7, 200, 1_000] {
        let mut counts = BTreeMap::<_, u32>::new();
        let options = GenerateOptions { partitions, task_bytes: 1, ..options(4_000) };
        for task in tasks(&options).iter().filter(|task| task["batch"] != Value::Null) {
            if task["created_at"].as_str().unwrap().ends_with('Z') {
                *counts.entry(partition(task)).or_default() += 1;
            }
        }
        assert_eq!(counts.len() as u64, partitions);
        let even = 4_000 / u32::try_from(partitions).unwrap();
        assert!(counts.values().all(|count| (even * 3 / 4 - 1..=even).contains(count)), "{counts:?}");
    }
}

#[test]
fn task_bytes_sets_the_mean_size() {
    for task_bytes in [5_000, 10_000, 50_000, 100_000] {
        let mean = bytes(&GenerateOptions { task_bytes, ..options(500) }).len() as u64 / 500;
        assert!((task_bytes * 3 / 4..task_bytes * 4 / 3).contains(&mean), "{mean} for {task_bytes}");
    }
}

#[test]
fn extreme_options_do_no_harm() {
    let most = u64::MAX;
    for partitions in [0, 1, most] {
        for (projects, batches) in [(0, 0), (1, 1), (most, most)] {
            let options = GenerateOptions { partitions, projects, batches, task_bytes: 0, seed: most, ..options(20) };
            assert_eq!(tasks(&options).len(), 20);
        }
    }
    assert!(bytes(&GenerateOptions { first_task: most, ..options(20) }).is_empty());
}
