//! What stands beside the rows: a card that tells what they are, for people and for those that load them.

use std::fmt::Write;

use serde_json::json;

use super::layout::schema;
use super::options::{DatasetOptions, Method, Target};
use super::report::DatasetReport;
use super::write::rows_file;

/// The splits that have rows.
pub(super) fn splits(report: &DatasetReport) -> impl Iterator<Item = (&'static str, u64)> {
    [("train", report.train_rows), ("test", report.test_rows)].into_iter().filter(|(_, rows)| *rows > 0)
}

/// The README: its front matter is what `datasets.load_dataset` goes by.
pub(super) fn readme(options: &DatasetOptions, report: &DatasetReport) -> String {
    let mut text = String::from("---\nconfigs:\n- config_name: default\n  data_files:\n");
    for (split, _) in splits(report) {
        let path = if options.target.is_lines() { rows_file(split) } else { format!("{split}-*.parquet") };
        let _ = writeln!(text, "  - split: {split}\n    path: {path}");
    }
    let DatasetReport { lake_version, tasks, .. } = report;
    let (method, target) = (options.method.word(), options.target.word());
    let _ = write!(
        text,
        "tags:\n- taskloom\n- {method}\n---\n\n# Training set for {method}\n\n\
         Made by taskloom from {tasks} tasks of version {lake_version} of a lake, with the columns that {target} reads. \
         `taskloom.json` holds all settings.\n\n| split | rows |\n| --- | --- |\n"
    );
    for (split, rows) in splits(report) {
        let _ = writeln!(text, "| {split} | {rows} |");
    }
    text.push_str("\n| column | type |\n| --- | --- |\n");
    text.push_str(&columns(options));
    if !options.by.is_empty() {
        let keys = options.by.iter().map(|by| match by.weight {
            1.0 => by.key.clone(),
            weight => format!("{} with weight {weight}", by.key),
        });
        // What people call their keys is no markup.
        let plain =
            |key: String| key.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect::<String>();
        let keys = keys.map(|key| format!("`{}`", plain(key))).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "\nJudged by: {keys}.");
    }
    if !report.left_out.is_empty() {
        text.push_str("\n| left out | times |\n| --- | --- |\n");
        for (reason, count) in &report.left_out {
            let _ = writeln!(text, "| {} | {count} |", reason.replace('_', " "));
        }
    }
    text
}

fn columns(options: &DatasetOptions) -> String {
    if options.target == Target::OpenAi {
        let names: &[(&str, &str)] = match options.method {
            Method::Dpo => &[
                ("input", "{messages, tools, parallel_tool_calls}"),
                ("preferred_output", "messages"),
                ("non_preferred_output", "messages"),
            ],
            Method::Grpo => &[
                ("messages", "messages"),
                ("reference_answers", "texts"),
                ("references", "texts with their categories"),
                ("rubric", "criteria"),
            ],
            Method::Sft | Method::Reward | Method::Kto => &[("messages", "messages")],
        };
        return names.iter().map(|(name, kind)| format!("| `{name}` | {kind} |\n")).collect();
    }
    let of = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        format!("| `{}` | {} |\n", field.name(), kind(field.data_type()))
    };
    schema(options).fields().iter().map(of).collect()
}

/// A type in words.
fn kind(of: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
    match of {
        DataType::Utf8 => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::List(item) => format!("list of {}", kind(item.data_type())),
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
            format!("{{{}}}", names.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

/// What LLaMA-Factory looks for beside the files.
pub(super) fn dataset_info(options: &DatasetOptions, report: &DatasetReport) -> serde_json::Value {
    let mut columns = json!({"messages": "messages"});
    match options.method {
        Method::Dpo | Method::Reward => {
            columns["chosen"] = json!("chosen");
            columns["rejected"] = json!("rejected");
        }
        Method::Kto => columns["kto_tag"] = json!("kto_tag"),
        Method::Sft | Method::Grpo => {}
    }
    let of = |split: &str| {
        json!({
            "file_name": rows_file(split),
            "formatting": "sharegpt",
            "ranking": matches!(options.method, Method::Dpo | Method::Reward),
            "columns": columns,
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
                "observation_tag": "tool",
                "function_tag": "function_call",
            },
        })
    };
    splits(report).map(|(split, _)| (split.to_owned(), of(split))).collect::<serde_json::Map<_, _>>().into()
}
