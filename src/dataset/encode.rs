//! Rows as Arrow batches, or as lines of JSON.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;

use super::example::Example;
use super::layout::{Shaped, schema};
use super::options::{DatasetOptions, Method, Target};
use crate::error::{Error, Result};

/// Takes rows of a part.
pub(super) struct Encoder {
    target: Target,
    method: Method,
    carries_images: bool,
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
        Ok(Encoder { target: options.target, method: options.method, carries_images: options.carries_images, kind })
    }

    pub(super) fn push(&mut self, example: &Example<'_>) -> Result<()> {
        let row = Shaped { example, method: self.method, target: self.target, carries_images: self.carries_images };
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
