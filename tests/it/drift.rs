//! What the schema does not know is reported, by the run and by a look at the lake.

use serde_json::{Value, json};
use taskloom::internals::drift::{Finding, What};
use taskloom::internals::inspect::drift_of;
use taskloom::internals::lake::Lake;
use taskloom::internals::report::DriftReport;

use crate::lakes::{flatten_text, taskloom};

/// A task with something of every kind.
fn strange_task(id: &str) -> Value {
    json!({
        "task_id": id,
        "project": {"id": "p", "name": "P", "created_at": "2025-01-01T00:00:00Z", "owner": "someone"},
        "batch": "b",
        "status": "archived",
        "created_at": "2025-01-01T00:00:00Z",
        "locale": "de",
        "metadata": {"anything": ["goes", 1]},
        "threads": [{
            "id": "thread_0",
            "submissions": [{"submitted_at": "yesterday"}],
            "turns": [{
                "id": "turn_0",
                "messages": [{
                    "id": "message_0",
                    "role": "tool",
                    "content": {
                        "text": "Hello",
                        "tone": {"warm": true},
                        "chunks": [{"type": "text", "text": "Hello", "annotations": [
                            {"id": "a", "key": "k", "type": "likert", "value": 3},
                            {"id": "b", "key": "k", "type": "integer", "value": "three"},
                            {"id": "c", "key": "k", "type": "ranked_groups", "value": []},
                            {"key": "k", "value": 2.5}
                        ]}]
                    },
                    "model_parameters": {"model": "m", "temperature": "hot"}
                }]
            }]
        }]
    })
}

fn short(finding: &Finding) -> (&str, &str, What, &str, Option<&str>, u64, &str) {
    let Finding { table, path, what, found, expected, count, example_id: _, example_path } = finding;
    (table, path, *what, found, expected.as_deref(), *count, example_path)
}

fn look(lake: &Lake) -> DriftReport {
    DriftReport::of(drift_of(lake).unwrap())
}

#[test]
fn what_the_schema_does_not_know_is_listed_with_its_count_and_an_example() {
    use What::{UnexpectedKind, UnknownField, UnknownWord};
    let folder = tempfile::tempdir().unwrap();
    let (report, lake) = flatten_text(format!("{}\n{}", strange_task("t1"), strange_task("t2")), folder.path());
    let message = "threads[0].turns[0].messages[0]";
    let chunk = "threads[0].turns[0].messages[0].content.chunks[0]";
    let findings = look(&lake).findings;
    assert_eq!(
        findings.iter().map(short).collect::<Vec<_>>(),
        [
            ("tasks", "locale", UnknownField, "text", None, 2, "locale"),
            ("tasks", "status", UnknownWord, "archived", None, 2, "status"),
            (
                "submissions",
                "submitted_at",
                UnexpectedKind,
                "text",
                Some("ISO 8601 time"),
                2,
                "threads[0].submissions[0].submitted_at"
            ),
            ("messages", "content.tone", UnknownField, "object", None, 2, &format!("{message}.content.tone")),
            ("messages", "id", UnknownField, "text", None, 2, &format!("{message}.id")),
            (
                "messages",
                "model_parameters.temperature",
                UnexpectedKind,
                "text",
                Some("number that a double holds exactly"),
                2,
                &format!("{message}.model_parameters.temperature")
            ),
            ("messages", "role", UnknownWord, "tool", None, 2, &format!("{message}.role")),
            ("annotations", "type", UnknownWord, "likert", None, 2, &format!("{chunk}.annotations[0].type")),
            (
                "annotations",
                "value",
                UnexpectedKind,
                "text",
                Some("integer of type `integer`"),
                2,
                &format!("{chunk}.annotations[1].value")
            ),
            ("projects", "owner", UnknownField, "text", None, 1, "owner"),
        ]
    );
    assert!(findings.iter().all(|finding| ["t1", "p"].contains(&finding.example_id.as_str())), "{findings:?}");
    assert_eq!(report.drift.findings, findings);
    assert_eq!(findings.len(), 10);
}

#[test]
fn generated_tasks_drift_as_much_for_the_run_as_for_a_look_at_its_lake() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    let options = taskloom::internals::generate::GenerateOptions { tasks: 600, ..Default::default() };
    taskloom::internals::generate::generate(&options, &mut tasks).unwrap();
    let (report, lake) = flatten_text(tasks, folder.path());
    let counted = |report: &DriftReport| {
        let of = |finding: &Finding| (finding.table, finding.path.clone(), finding.found.clone(), finding.count);
        report.findings.iter().map(of).collect::<Vec<_>>()
    };
    assert!(!report.drift.findings.is_empty());
    assert_eq!(counted(&report.drift), counted(&look(&lake)));
}

#[test]
fn an_object_whose_keys_are_ids_does_not_grow_the_report_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let task = |index: usize| json!({"task_id": format!("t{index:04}"), format!("field_{index:04}"): 1}).to_string();
    let tasks = (0..700).map(task).collect::<Vec<_>>().join("\n");
    let (report, lake) = flatten_text(tasks, folder.path());
    assert_eq!((report.drift.findings.len(), report.drift.others), (500, 200));
    let looked = look(&lake);
    assert_eq!((looked.findings.len(), looked.others), (500, 200));
}

#[test]
fn what_the_api_is_known_to_send_is_not_reported() {
    let folder = tempfile::tempdir().unwrap();
    let task = json!({
        "task_id": "t", "project": {"id": "p", "name": "P", "types": ["chat"], "models": []}, "batch": null, "status": "completed",
        "threads": [{"id": "x", "turns": [{"id": "y", "messages": [{"role": "user", "source_id": "s", "content": {}}]}]}]
    });
    let (report, lake) = flatten_text(task.to_string(), folder.path());
    assert_eq!(report.drift.findings, []);
    assert_eq!(look(&lake).findings, []);
    let shown = taskloom().arg("drift").arg(lake.place()).assert().success();
    assert_eq!(shown.get_output().stdout, b"nothing that the schema does not know\n");
}
