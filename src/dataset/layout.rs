//! How each target takes rows: what it calls their pieces, and what it has no place for.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use base64::Engine;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;

use super::example::{Answer, ChatMessage, Example, Reference};
use super::options::{DatasetOptions, Method, Reasoning, Target};
use super::path::Line;
use super::report::Reason;
use crate::flatten::BASE64;
use crate::judged::Image;

/// How a target takes messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chat {
    pub target: Target,
    pub method: Method,
    pub reasoning: Reasoning,
}

impl Chat {
    /// A line as a message of a chat.
    pub(super) fn said<'a>(self, line: &Line<'a>) -> Result<ChatMessage<'a>, Reason> {
        let role = match line.message.role {
            // Reinforcement at OpenAI has another word for it.
            Some("system") if self.target == Target::OpenAi && self.method == Method::Grpo => "developer",
            Some("system") => "system",
            Some("user") => "user",
            Some("assistant") => "assistant",
            // Chat templates call so what a function gave back.
            Some("function" | "tool") if matches!(self.target, Target::Trl | Target::Axolotl) => "tool",
            Some("function" | "tool") => return Err(Reason::Function),
            _ => return Err(Reason::Role),
        };
        let reasoning_content = line.message.reasoning.filter(|_| self.reasoning == Reasoning::Keep);
        Ok(ChatMessage { role, content: line.text, reasoning_content, images: line.message.images })
    }

    pub(super) fn all<'a>(self, lines: &[Line<'a>]) -> Result<Vec<ChatMessage<'a>>, Reason> {
        lines.iter().map(|line| self.said(line)).collect()
    }

    /// What is wrong with a row for the target, if anything is.
    pub(super) fn check(self, example: &Example<'_>) -> Result<(), Reason> {
        if let Answer::Pair { chosen, rejected, .. } = &example.answer
            && self.target != Target::Trl
            && (chosen.len() != 1 || rejected.len() != 1)
        {
            return Err(Reason::Trajectory);
        }
        let roles = example.prompt.iter().map(|said| said.role).collect::<Vec<_>>();
        let is_fit = match self.target {
            Target::Trl | Target::Axolotl => true,
            // A system message may stand first; behind it users and assistants take turns.
            Target::LlamaFactory => {
                let turns = roles.strip_prefix(&["system"]).unwrap_or(&roles);
                let expected = ["user", "assistant"].iter().cycle();
                turns.len() % 2 == 1 && turns.iter().zip(expected).all(|(role, expected)| role == expected)
            }
            Target::OpenAi => roles.last() == Some(&"user"),
        };
        if is_fit { Ok(()) } else { Err(Reason::Order) }
    }
}

/// A row under the names of a target.
pub(super) struct Shaped<'e, 'a> {
    pub example: &'e Example<'a>,
    pub method: Method,
    pub target: Target,
    pub carries_images: bool,
}

impl Serialize for Shaped<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        self.prompt(&mut row)?;
        self.answer(&mut row)?;
        // A file for OpenAI holds nothing else.
        if self.target != Target::OpenAi {
            self.verdict(&mut row)?;
            if self.carries_images {
                let images = self.example.prompt.iter().flat_map(|said| said.images).map(StoredImage::of);
                row.serialize_entry(IMAGES, &images.collect::<Vec<_>>())?;
            }
            row.serialize_entry("source", &self.example.source)?;
        }
        row.end()
    }
}

impl Shaped<'_, '_> {
    /// What was said before the answer; with the answer where both are one conversation.
    fn prompt<M: SerializeMap>(&self, row: &mut M) -> Result<(), M::Error> {
        let Example { prompt, answer, .. } = self.example;
        match (self.target, answer) {
            (_, Answer::Good(said)) | (Target::LlamaFactory, Answer::Labelled { said, .. }) => {
                row.serialize_entry("messages", &prompt.iter().chain([said]).collect::<Vec<_>>())
            }
            (Target::OpenAi, Answer::Pair { .. }) => {
                let input = json!({"messages": prompt, "tools": [], "parallel_tool_calls": true});
                row.serialize_entry("input", &input)
            }
            (Target::Trl, _) => row.serialize_entry("prompt", prompt),
            (Target::Axolotl | Target::LlamaFactory | Target::OpenAi, _) => row.serialize_entry("messages", prompt),
        }
    }

    fn answer<M: SerializeMap>(&self, row: &mut M) -> Result<(), M::Error> {
        match (self.target, &self.example.answer) {
            (_, Answer::Good(_)) | (Target::LlamaFactory, Answer::Labelled { .. }) => Ok(()),
            (_, Answer::Labelled { said, .. }) => row.serialize_entry("completion", &[said]),
            (Target::Trl, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("chosen", chosen)?;
                row.serialize_entry("rejected", rejected)
            }
            (Target::OpenAi, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("preferred_output", chosen)?;
                row.serialize_entry("non_preferred_output", rejected)
            }
            (Target::Axolotl | Target::LlamaFactory, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("chosen", &chosen.first())?;
                row.serialize_entry("rejected", &rejected.first())
            }
            (_, Answer::Open { references, rubric }) => {
                let answers = references.iter().filter_map(Reference::answer).collect::<Vec<_>>();
                row.serialize_entry("reference_answers", &answers)?;
                row.serialize_entry("references", references)?;
                row.serialize_entry("rubric", rubric)
            }
        }
    }

    /// What people said of it.
    fn verdict<M: SerializeMap>(&self, row: &mut M) -> Result<(), M::Error> {
        match &self.example.answer {
            Answer::Pair { verdict, .. } => {
                // A reward model takes the margin into its loss, where none is 0.
                let none = (self.method == Method::Reward).then_some(0.0);
                row.serialize_entry("margin", &verdict.margin.or(none))?;
                row.serialize_entry("votes", &verdict.votes)?;
                row.serialize_entry("p_chosen", &verdict.share)
            }
            Answer::Labelled { verdict, .. } => {
                row.serialize_entry(label(self.target), &verdict.is_first)?;
                row.serialize_entry("votes", &verdict.votes)?;
                row.serialize_entry("p_true", &verdict.first_share)
            }
            Answer::Good(_) | Answer::Open { .. } => Ok(()),
        }
    }
}

/// What is called whether an answer is good.
fn label(target: Target) -> &'static str {
    if target == Target::LlamaFactory { "kto_tag" } else { "label" }
}

/// An image, as `datasets` stores it.
#[derive(Serialize)]
struct StoredImage<'a> {
    /// In hex: so Arrow takes bytes from JSON.
    bytes: String,
    path: Option<&'a str>,
}

impl<'a> StoredImage<'a> {
    fn of(image: &Image<'a>) -> StoredImage<'a> {
        // Only those are handed out that can be decoded.
        let bytes = BASE64.decode(image.base64).unwrap_or_default();
        let mut hex = String::with_capacity(2 * bytes.len());
        // Writing into memory does not fail.
        bytes.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap_or_default());
        StoredImage { bytes: hex, path: image.name }
    }
}

/// The columns of a row, of all targets but OpenAI, whose rows are fixed.
pub(super) fn schema(options: &DatasetOptions) -> SchemaRef {
    let mut columns = own_columns(options);
    if options.carries_images {
        columns.push(field(IMAGES, list(structure([("bytes", DataType::Binary), ("path", DataType::Utf8)]))));
    }
    columns.push(field("source", source()));
    let schema = Schema::new(columns);
    // Without it `datasets` takes images for structs.
    let metadata = options.carries_images.then(|| (HUGGING_FACE.to_owned(), features(&schema)));
    Arc::new(schema.with_metadata(metadata.into_iter().collect::<HashMap<_, _>>()))
}

/// Those that differ by method and target.
fn own_columns(options: &DatasetOptions) -> Vec<Field> {
    use DataType::{Boolean, Float64, Int32, Utf8};
    let message = match options.reasoning {
        Reasoning::Keep => structure([("role", Utf8), ("content", Utf8), ("reasoning_content", Utf8)]),
        Reasoning::Drop => structure([("role", Utf8), ("content", Utf8)]),
    };
    let messages = list(message.clone());
    let is_trl = options.target == Target::Trl;
    let prompt = if is_trl { "prompt" } else { "messages" };
    let answer = if is_trl { messages.clone() } else { message };
    let judged = |label: Field| [label, field("votes", Int32), field("p_true", Float64)];
    match options.method {
        Method::Sft => vec![field("messages", messages)],
        Method::Dpo | Method::Reward => vec![
            field(prompt, messages),
            field("chosen", answer.clone()),
            field("rejected", answer),
            field("margin", Float64),
            field("votes", Int32),
            field("p_chosen", Float64),
        ],
        Method::Kto => {
            let said = match options.target {
                Target::LlamaFactory => vec![field("messages", messages)],
                _ => vec![field("prompt", messages.clone()), field("completion", messages)],
            };
            said.into_iter().chain(judged(field(label(options.target), Boolean))).collect()
        }
        Method::Grpo => vec![
            field("prompt", messages),
            field("reference_answers", list(Utf8)),
            field("references", list(structure([("content", Utf8), ("category", Utf8), ("url", Utf8)]))),
            field("rubric", list(structure([("id", Utf8), ("criterion", Utf8), ("weight", Float64)]))),
        ],
    }
}

/// Where a row comes from: see [`Source`](super::example::Source).
fn source() -> DataType {
    use DataType::{Float64, Int32, Int64, Utf8};
    let score = structure([("key", Utf8), ("chosen", Float64), ("rejected", Float64)]);
    structure([
        ("task_id", Utf8),
        ("project_id", Utf8),
        ("batch_id", Utf8),
        ("thread_index", Int32),
        ("turn_index", Int32),
        ("chosen_index", Int32),
        ("rejected_index", Int32),
        ("chosen_model", Utf8),
        ("rejected_model", Utf8),
        ("keys", list(Utf8)),
        ("scores", list(score)),
        ("justification", Utf8),
        ("prompt_hash", Utf8),
        ("lake_version", Int64),
    ])
}

/// The column of images.
const IMAGES: &str = "images";

/// What `datasets` looks for in the metadata of a schema.
const HUGGING_FACE: &str = "huggingface";

/// The columns in the words of `datasets`.
fn features(schema: &Schema) -> String {
    let of_all = schema.fields().iter().map(|field| {
        let feature = match field.name().as_str() {
            IMAGES => json!({"feature": {"_type": "Image"}, "_type": "List"}),
            _ => feature(field.data_type()),
        };
        (field.name().clone(), feature)
    });
    json!({"info": {"features": of_all.collect::<serde_json::Map<_, _>>()}}).to_string()
}

fn feature(of: &DataType) -> serde_json::Value {
    let value = |kind: &str| json!({"dtype": kind, "_type": "Value"});
    match of {
        DataType::Boolean => value("bool"),
        DataType::Utf8 => value("string"),
        DataType::List(item) => json!({"feature": feature(item.data_type()), "_type": "List"}),
        DataType::Struct(fields) => {
            let of_all = fields.iter().map(|field| (field.name().clone(), feature(field.data_type())));
            of_all.collect::<serde_json::Map<_, _>>().into()
        }
        other => value(&other.to_string().to_lowercase()),
    }
}

fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(field("item", of)))
}

fn structure<const N: usize>(fields: [(&str, DataType); N]) -> DataType {
    DataType::Struct(Fields::from_iter(fields.map(|(name, kind)| field(name, kind))))
}
