//! `restore(flatten(x))` is `x`: nothing is lost, whatever the tasks look like.

use chrono::{DateTime, NaiveDateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

use crate::lakes::{batches, files_of, flatten_text, restored};

/// Numbers at the edges of what integers and doubles hold.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "3.0",
    "3.5",
    "1e2",
    "1E+2",
    "0.1",
    "0.10000000000000000001",
    "1e400",
    "-1e400",
    "1e-400",
    "4.9e-324",
    "1.7976931348623157e308",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890.5",
];

const TIMES: [&str; 12] = [
    "2024-02-29T23:59:59.999999Z",
    "2024-01-01T00:00:00+05:30",
    "2024-01-01T00:00:00.123456789-08:00",
    "2024-06-01",
    "2024-06-01 12:30:00",
    "2024-06-01T12:30:00",
    "2024-06-01T12:30:00.5",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "1969-12-31T23:59:59.999999999Z",
    "2025-01-01T08:31:03.169Z",
    "2024-06-01T12:30:00+0200",
];

/// Ids that a path must survive.
const IDS: [&str; 16] = [
    "..",
    ".",
    "a/b",
    "p=q",
    "100%",
    "CON",
    "😀",
    "",
    "0012",
    "1e5",
    "__HIVE_DEFAULT_PARTITION__",
    "a b",
    "a\u{0}b",
    "a%2Fb",
    "~",
    "null",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(any::<char>(), 0..8).prop_map(|characters| characters.into_iter().collect()),
        "[a-z]{1,6}",
        Just("\"\\\n\r\t\u{0}\u{1f}/é😀".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::sample::select(&NUMBERS[..]).prop_map(|number| Value::Number(number.parse::<Number>().unwrap())),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |double| double.is_finite()).prop_map(Value::from),
    ]
}

/// Any JSON, secrets at any depth included.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), text().prop_map(Value::from),];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key =
            prop_oneof![text(), Just("workspace_token".to_owned()), Just("criteria".to_owned()), Just("id".to_owned())];
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((key, inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn string() -> BoxedStrategy<Value> {
    text().prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn numeric() -> BoxedStrategy<Value> {
    number().boxed()
}

fn time() -> BoxedStrategy<Value> {
    proptest::sample::select(&TIMES[..]).prop_map(Value::from).boxed()
}

fn strings() -> BoxedStrategy<Value> {
    vec(text(), 0..3).prop_map(Value::from).boxed()
}

fn open() -> BoxedStrategy<Value> {
    any_json().boxed()
}

/// A known scalar or open field: mostly as documented, sometimes null or of another kind.
fn field(good: BoxedStrategy<Value>) -> BoxedStrategy<Option<Value>> {
    prop_oneof![
        6 => good.prop_map(Some),
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => any_json().prop_map(Some),
    ]
    .boxed()
}

/// A field that the structure hangs on: as documented, null or absent.
fn structural(good: BoxedStrategy<Value>) -> BoxedStrategy<Option<Value>> {
    prop_oneof![8 => good.prop_map(Some), 1 => Just(None), 1 => Just(Some(Value::Null))].boxed()
}

fn array(element: BoxedStrategy<Value>) -> BoxedStrategy<Option<Value>> {
    structural(vec(element, 0..3).prop_map(Value::from).boxed())
}

/// An object of these fields and a few that nobody knows.
fn object(fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Value> {
    let (keys, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let unknown = vec((prop_oneof![text(), Just("new_field".to_owned())], any_json()), 0..2);
    (values, unknown)
        .prop_map(move |(values, unknown)| {
            let known = keys.iter().zip(values).filter_map(|(key, value)| Some(((*key).to_owned(), value?)));
            let unknown = unknown.into_iter().filter(|(key, _)| !keys.contains(&key.as_str()));
            Value::Object(unknown.chain(known).collect::<Map<_, _>>())
        })
        .boxed()
}

fn file() -> BoxedStrategy<Value> {
    object(vec![
        ("content", field(string())),
        ("mime_type", field(string())),
        ("scale_url", field(string())),
        ("url", field(string())),
        ("name", field(string())),
        ("file_size_in_bytes", field(numeric())),
        ("duration", field(numeric())),
        ("transcript", field(string())),
        ("transcript_url", field(string())),
        ("transcript_start", field(numeric())),
        ("transcript_end", field(numeric())),
    ])
}

/// A value of every documented type.
fn annotation_value() -> BoxedStrategy<Value> {
    prop_oneof![
        numeric(),
        boolean(),
        string(),
        strings(),
        vec(vec(text(), 0..3), 0..3).prop_map(Value::from),
        file(),
        vec(file(), 0..2).prop_map(Value::from),
        vec(object(vec![("label", field(string())), ("text", field(string()))]), 0..2).prop_map(Value::from),
        object(vec![("weight", field(numeric()))]),
        object(vec![("score", field(numeric())), ("color", field(string())), ("justification", field(string()))]),
        object(vec![("workspace_config", field(Just(json!({"workspace_token": "s3cret", "image": "x"})).boxed()),)]),
    ]
    .boxed()
}

fn annotation() -> BoxedStrategy<Value> {
    let kinds = [
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
        "something_new",
    ];
    let criteria = prop_oneof![string(), Just(json!({"id": "an_1", "key": "k"})).boxed(), open()];
    let possible = prop_oneof![strings(), vec(vec(number(), 0..3), 0..2).prop_map(Value::from).boxed()];
    object(vec![
        ("id", field(string())),
        ("key", field(string())),
        ("type", field(proptest::sample::select(kinds.to_vec()).prop_map(Value::from).boxed())),
        ("title", field(string())),
        ("description", field(string())),
        ("labels", field(strings())),
        ("not_applicable", field(boolean())),
        ("cannot_assess", field(boolean())),
        ("justification", field(string())),
        ("metadata", field(object(vec![("criteria", field(criteria.boxed()))]))),
        ("value", field(annotation_value())),
        ("possible_values", field(possible.boxed())),
    ])
}

fn annotations() -> BoxedStrategy<Option<Value>> {
    array(annotation())
}

fn rubric() -> BoxedStrategy<Value> {
    let criterion = object(vec![
        ("id", field(string())),
        ("criterion", field(string())),
        ("weight", field(numeric())),
        ("annotations", annotations()),
    ]);
    object(vec![("criteria_definitions", array(criterion)), ("max_total_score", field(numeric()))])
}

fn rubric_evaluation() -> BoxedStrategy<Value> {
    let criterion = object(vec![
        ("criterion_definition_id", field(string())),
        ("score", field(numeric())),
        ("annotations", annotations()),
    ]);
    object(vec![
        ("criteria_evaluations", array(criterion)),
        ("annotations", annotations()),
        ("total_score", field(numeric())),
        ("percentage", field(numeric())),
    ])
}

fn message() -> BoxedStrategy<Value> {
    let reference = object(vec![("content", field(string())), ("category", field(string())), ("url", field(string()))]);
    let chunk = object(vec![("type", field(string())), ("text", field(string())), ("annotations", annotations())]);
    let content = object(vec![
        ("text", field(string())),
        ("reference_texts", array(reference)),
        ("attachments", array(file())),
        ("chunks", array(chunk)),
        ("reasoning", array(object(vec![("content", field(string()))]))),
    ]);
    let parameters = object(vec![
        ("model", field(string())),
        ("temperature", field(numeric())),
        ("max_completion_tokens", field(numeric())),
        ("top_p", field(numeric())),
        ("top_k", field(numeric())),
    ]);
    object(vec![
        ("role", field(string())),
        ("content", field(prop_oneof![4 => content, 1 => Just(json!({}))].boxed())),
        ("source_id", field(string())),
        ("model_parameters", field(prop_oneof![4 => parameters, 1 => Just(json!({}))].boxed())),
        ("annotations", annotations()),
        ("rubric_evaluations", array(rubric_evaluation())),
    ])
}

fn thread() -> BoxedStrategy<Value> {
    let turn = object(vec![
        ("id", field(string())),
        ("messages", array(message())),
        ("annotations", annotations()),
        ("rubrics", array(rubric())),
    ]);
    let submission = object(vec![("submitted_at", field(time())), ("contributor_id", field(string()))]);
    object(vec![
        ("id", field(string())),
        ("turns", array(turn)),
        ("annotations", annotations()),
        ("submissions", array(submission)),
    ])
}

fn id() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => proptest::sample::select(&IDS[..]).prop_map(Value::from),
        1 => text().prop_map(Value::from),
        1 => (1..400usize).prop_map(|length| Value::from("é/".repeat(length))),
    ]
    .boxed()
}

/// An id, or an object with one.
fn reference() -> BoxedStrategy<Option<Value>> {
    let expanded = object(vec![("id", field(id())), ("name", field(string())), ("created_at", field(time()))]);
    field(prop_oneof![2 => id(), 1 => expanded, 1 => Just(json!({})), 1 => Just(json!({"id": "p"}))].boxed())
}

fn task() -> BoxedStrategy<Value> {
    let entry = object(vec![("type", field(string())), ("message", field(string()))]);
    object(vec![
        ("project", reference()),
        ("batch", reference()),
        ("delivery", reference()),
        ("status", field(string())),
        ("created_at", structural(time())),
        ("completed_at", structural(time())),
        ("metadata", field(open())),
        ("threads", array(thread())),
        ("errors", array(entry.clone())),
        ("sensitive_content_reports", array(entry)),
    ])
}

/// What equality leaves out: nulls in objects, secrets, the spelling of numbers, and of instants where the API has one.
fn canonical(value: &Value, is_time: bool) -> Value {
    match value {
        Value::String(text) if is_time => {
            instant(text).map_or_else(|| value.clone(), |micros| json!({"instant": micros}))
        }
        Value::Number(number) => json!({"decimal": decimal(&number.to_string())}),
        Value::Array(elements) => elements.iter().map(|element| canonical(element, false)).collect(),
        Value::Object(members) => {
            let one = |(inner, value): (&String, &Value)| match inner.as_str() {
                "workspace_token" => (inner.clone(), Value::from("[redacted]")),
                _ => (inner.clone(), canonical(value, false)),
            };
            Value::Object(members.iter().filter(|(_, value)| !value.is_null()).map(one).collect())
        }
        _ => value.clone(),
    }
}

/// A task as far as it comes back from a lake.
pub fn canonical_task(task: &Value) -> Value {
    let mut canonical_task = canonical(task, false);
    for key in ["created_at", "completed_at"] {
        if let Some(value) = task.get(key).filter(|value| value.is_string()) {
            canonical_task[key] = canonical(value, true);
        }
    }
    let threads = task["threads"].as_array().into_iter().flatten().enumerate();
    for (thread_index, thread) in threads {
        for (index, submission) in thread["submissions"].as_array().into_iter().flatten().enumerate() {
            if let Some(value) = submission.get("submitted_at").filter(|value| value.is_string()) {
                let value = canonical(value, true);
                canonical_task["threads"][thread_index]["submissions"][index]["submitted_at"] = value;
            }
        }
    }
    canonical_task
}

/// Independent of the product's own reading of times: a list of formats, floored by hand.
fn instant(text: &str) -> Option<i64> {
    let with_offset = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"];
    let utc = text.strip_suffix('Z').unwrap_or(text);
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let day = format!("{text} 00:00:00");
    let moment: DateTime<Utc> = with_offset
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok().map(|moment| moment.to_utc()))
        .or_else(|| {
            naive.iter().find_map(|format| NaiveDateTime::parse_from_str(utc, format).ok()).map(|at| at.and_utc())
        })
        .or_else(|| NaiveDateTime::parse_from_str(&day, "%Y-%m-%d %H:%M:%S").ok().map(|at| at.and_utc()))?;
    Some(moment.timestamp() * 1_000_000 + i64::from(moment.timestamp_subsec_nanos() / 1000))
}

/// A number as sign, digits and exponent, so that equal values are equal text.
fn decimal(number: &str) -> String {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let mut exponent: i64 = exponent.parse().unwrap();
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let mut digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    exponent -= mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    while digits.ends_with('0') {
        digits.pop();
        exponent += 1;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}e{exponent}") }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restore_gives_back_what_was_flattened(tasks in vec(task(), 1..6)) {
        let mut text = String::new();
        let mut expected = std::collections::BTreeMap::new();
        for (index, mut task) in tasks.into_iter().enumerate() {
            let id = format!("task_{index}");
            task["task_id"] = Value::from(id.as_str());
            text.push_str(&serde_json::to_string(&task).unwrap());
            text.push('\n');
            expected.insert(id, canonical_task(&task));
        }
        let folder = tempfile::tempdir().unwrap();
        let (report, lake) = flatten_text(&text, folder.path());
        prop_assert_eq!(report.rejected, 0, "{:?}", crate::lakes::rejects(&report));
        let found = restored(&lake).into_iter().map(|(id, task)| (id, canonical_task(&task))).collect();
        prop_assert_eq!(expected, found);
    }
}

#[test]
fn generated_tasks_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    let options = taskloom::internals::generate::GenerateOptions { tasks: 300, seed: 3, ..Default::default() };
    taskloom::internals::generate::generate(&options, &mut text).unwrap();
    let (_, lake) = flatten_text(&text, folder.path());
    let canonical = |tasks: std::collections::BTreeMap<String, Value>| {
        tasks.into_iter().map(|(id, task)| (id, canonical_task(&task))).collect::<Vec<_>>()
    };
    assert_eq!(canonical(crate::lakes::by_id(&text)), canonical(restored(&lake)));
}

#[test]
fn the_content_hash_survives_a_way_through_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    let options = taskloom::internals::generate::GenerateOptions { tasks: 50, seed: 4, ..Default::default() };
    taskloom::internals::generate::generate(&options, &mut text).unwrap();
    let (_, lake) = flatten_text(&text, folder.path());
    let mut again = Vec::new();
    taskloom::internals::restore::restore(&lake, &mut again).unwrap();
    let second = tempfile::tempdir().unwrap();
    let (_, second_lake) = flatten_text(&again, second.path());
    assert_eq!(hashes(&lake), hashes(&second_lake));
}

#[test]
fn rows_without_their_task_are_noticed() {
    use parquet::arrow::ArrowWriter;
    use taskloom::internals::file::without;
    let folder = tempfile::tempdir().unwrap();
    let task = |id: &str| format!("{{\"task_id\": \"{id}\", \"threads\": [{{\"id\": \"x\"}}]}}\n");
    let (_, lake) = flatten_text(task("a") + &task("b") + &task("c"), folder.path());
    let file = files_of(&lake, "tasks").remove(0);
    let path = file.strip_prefix(lake.place()).unwrap().to_str().unwrap();
    let table = taskloom::internals::table::Table::named("tasks").unwrap();
    let torn = without(table, &**lake.store(), path, |id| id == b"b").unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.arrow_schema(), None).unwrap();
    torn.iter().for_each(|batch| writer.write(batch).unwrap());
    std::fs::write(&file, writer.into_inner().unwrap()).unwrap();
    let error = taskloom::internals::restore::restore(&lake, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("threads of the task b"), "{error}");
}

fn hashes(lake: &taskloom::internals::lake::Lake) -> std::collections::BTreeMap<String, String> {
    use arrow::array::AsArray;
    let mut hashes = std::collections::BTreeMap::new();
    for file in files_of(lake, "tasks") {
        for batch in batches(&file) {
            let column = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let (ids, found) = (column("task_id"), column("content_hash"));
            hashes.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), found.value(row).to_owned())));
        }
    }
    hashes
}

/// As many as `PROPTEST_CASES` says, for a longer search.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}
