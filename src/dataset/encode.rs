//! Rows as Arrow batches, or as lines of JSON.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;

use super::example::{Example, Shaped};
use super::options::{DatasetOptions, Method, Reasoning, Target};
use crate::error::{Error, Result};

/// Takes rows of a part.
pub(super) struct Encoder {
    target: Target,
    method: Method,
    kind: Kind,
}

enum Kind {
    Arrow(Box<Batches>),
    Lines(Lines),
}

/// Batches, cut before they grow large.
struct Batches {
    decoder: Decoder,
    /// Bytes of texts in the decoder.
    waiting: usize,
    done: Vec<RecordBatch>,
}

/// Bytes of texts that make a batch.
const BATCH_BYTES: usize = 8 << 20;

impl Batches {
    fn push(&mut self, row: &Shaped<'_, '_>) -> Result<()> {
        self.decoder.serialize(std::slice::from_ref(row)).map_err(failed)?;
        self.waiting += row.example.bytes();
        if self.waiting >= BATCH_BYTES { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<()> {
        self.waiting = 0;
        self.done.extend(self.decoder.flush().map_err(failed)?);
        Ok(())
    }
}

/// Lines of JSON.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// Where rows come from, where a row can't tell it itself.
    sources: Vec<u8>,
    source_ends: Vec<usize>,
}

/// The rows of a part.
pub(super) enum Encoded {
    Batches(Vec<RecordBatch>),
    Lines(Lines),
}

fn failed(source: arrow::error::ArrowError) -> Error {
    Error::Batch { table: "dataset", source }
}

fn no_json(source: serde_json::Error) -> Error {
    Error::Json { action: "write a row of a training set", source }
}

impl Encoder {
    pub(super) fn new(options: &DatasetOptions) -> Result<Encoder> {
        let kind = match options.target.is_lines() {
            true => Kind::Lines(Lines::default()),
            false => {
                let reader = ReaderBuilder::new(schema(options)).with_strict_mode(true);
                let decoder = reader.build_decoder().map_err(failed)?;
                Kind::Arrow(Box::new(Batches { decoder, waiting: 0, done: Vec::new() }))
            }
        };
        Ok(Encoder { target: options.target, method: options.method, kind })
    }

    pub(super) fn push(&mut self, example: &Example<'_>) -> Result<()> {
        let row = Shaped { example, method: self.method, target: self.target };
        match &mut self.kind {
            Kind::Arrow(batches) => batches.push(&row),
            Kind::Lines(lines) => {
                append(&mut lines.text, &mut lines.ends, &row)?;
                match self.target {
                    Target::OpenAi => append(&mut lines.sources, &mut lines.source_ends, &example.source),
                    _ => Ok(()),
                }
            }
        }
    }

    pub(super) fn finish(self) -> Result<Encoded> {
        match self.kind {
            Kind::Arrow(mut batches) => {
                batches.cut()?;
                Ok(Encoded::Batches(batches.done))
            }
            Kind::Lines(lines) => Ok(Encoded::Lines(lines)),
        }
    }
}

fn append(text: &mut Vec<u8>, ends: &mut Vec<usize>, row: &impl serde::Serialize) -> Result<()> {
    serde_json::to_writer(&mut *text, row).map_err(no_json)?;
    text.push(b'\n');
    ends.push(text.len());
    Ok(())
}

impl Encoded {
    /// Those rows that are wanted.
    pub(super) fn only(&self, is_wanted: &[bool]) -> Result<Encoded> {
        match self {
            Encoded::Batches(batches) => {
                let mut rest = is_wanted;
                let only = batches.iter().map(|batch| {
                    let (own, others) = rest.split_at(batch.num_rows().min(rest.len()));
                    rest = others;
                    filter_record_batch(batch, &BooleanArray::from(own.to_vec())).map_err(failed)
                });
                Ok(Encoded::Batches(only.collect::<Result<_>>()?))
            }
            Encoded::Lines(lines) => {
                let (text, ends) = picked(&lines.text, &lines.ends, is_wanted);
                let (sources, source_ends) = picked(&lines.sources, &lines.source_ends, is_wanted);
                Ok(Encoded::Lines(Lines { text, ends, sources, source_ends }))
            }
        }
    }
}

impl Lines {
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn sources(&self) -> &[u8] {
        &self.sources
    }
}

fn picked(text: &[u8], ends: &[usize], is_wanted: &[bool]) -> (Vec<u8>, Vec<usize>) {
    let (mut picked, mut own_ends, mut start) = (Vec::new(), Vec::new(), 0);
    for (end, is_wanted) in ends.iter().zip(is_wanted) {
        if *is_wanted {
            picked.extend_from_slice(text.get(start..*end).unwrap_or_default());
            own_ends.push(picked.len());
        }
        start = *end;
    }
    (picked, own_ends)
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

/// The columns of a row, of all targets but OpenAI, whose rows are fixed.
pub(super) fn schema(options: &DatasetOptions) -> SchemaRef {
    use DataType::{Boolean, Float64, Int32, Int64, Utf8};
    let message = match options.reasoning {
        Reasoning::Keep => structure([("role", Utf8), ("content", Utf8), ("reasoning_content", Utf8)]),
        Reasoning::Drop => structure([("role", Utf8), ("content", Utf8)]),
    };
    let messages = list(message.clone());
    let is_trl = options.target == Target::Trl;
    let answer = if is_trl { messages.clone() } else { message };
    let prompt = if is_trl { "prompt" } else { "messages" };
    let mut columns = match options.method {
        Method::Sft => vec![field("messages", messages)],
        Method::Dpo | Method::Reward => vec![
            field(prompt, messages),
            field("chosen", answer.clone()),
            field("rejected", answer),
            field("margin", Float64),
            field("votes", Int32),
            field("p_chosen", Float64),
        ],
        Method::Kto if is_trl => vec![field("prompt", messages.clone()), field("completion", messages)],
        Method::Kto => vec![field("messages", messages)],
        Method::Grpo => vec![
            field("prompt", messages),
            field("reference_answers", list(Utf8)),
            field("references", list(structure([("content", Utf8), ("category", Utf8), ("url", Utf8)]))),
            field("rubric", list(structure([("id", Utf8), ("criterion", Utf8), ("weight", Float64)]))),
        ],
    };
    if options.method == Method::Kto {
        let label = if is_trl { "label" } else { "kto_tag" };
        columns.extend([field(label, Boolean), field("votes", Int32), field("p_true", Float64)]);
    }
    let score = structure([("key", Utf8), ("chosen", Float64), ("rejected", Float64)]);
    columns.push(field(
        "source",
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
        ]),
    ));
    Arc::new(Schema::new(columns))
}
