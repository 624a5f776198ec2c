//! `taskloom generate`: realistic tasks in the API's shape, as NDJSON, the same bytes for the same options everywhere.
//!
//! A task depends on the seed and its index alone (and on the options that shape it), never on the tasks before it,
//! on a clock or on the platform: all draws are integers. In reading order: `task` and `plan` (the envelope),
//! `conversation`, `content`, `annotation`, `uncommon`, `rubric` (what is inside), `pen` (what all of them write with)
//! on `text`, `grammar`, `vocabulary`, `words`, `sizing`, `json`, `time` and `rng`. Nothing here reads input.

mod annotation;
mod content;
mod conversation;
mod grammar;
mod json;
mod pen;
mod plan;
mod rng;
mod rubric;
mod sizing;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod uncommon;
mod vocabulary;
mod words;

use std::io::{self, Write};

use pen::Pen;
use sizing::Sizing;

/// Where generated attachments are said to lie.
pub(crate) const FILES: &str = "https://files.example.com/";

/// The buffer is written out whenever it holds this much; a task of the usual size adds 20 KB.
const FLUSH_BYTES: usize = 256 << 10;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// How many tasks.
    pub tasks: u64,
    /// The index of the first task, 0 for a whole set: a set can be generated in pieces that are put together.
    pub first_task: u64,
    /// Tasks of different seeds have nothing in common.
    pub seed: u64,
    /// How many combinations of project, batch and UTC day the tasks are spread over, evenly; at least 1. Tasks
    /// without a batch, one in 200 of the second project, come on top.
    pub partitions: u64,
    /// How many projects, unless there are fewer partitions. Rare shapes are at home in one project of four.
    pub projects: u64,
    /// How many batches a project has, unless there are fewer partitions. Days fill up the rest.
    pub batches: u64,
    /// The mean size of a task in bytes, approximately, from 4,000; at the default of 20,000 half is message text.
    pub task_bytes: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { tasks: 1_000, first_task: 0, seed: 0, partitions: 200, projects: 4, batches: 5, task_bytes: 20_000 }
    }
}

/// Writes the tasks to `out`, one a line, and gives the number of bytes written.
///
/// # Errors
/// Those of `out`.
pub fn generate(options: &GenerateOptions, out: &mut dyn Write) -> io::Result<u64> {
    let mut pen = Pen::with_capacity(2 * FLUSH_BYTES);
    let sizing = Sizing::new(options.task_bytes);
    let mut written_bytes = 0;
    for index in options.first_task..options.first_task.saturating_add(options.tasks) {
        pen.task(options, sizing, index);
        if pen.json.bytes().len() >= FLUSH_BYTES {
            written_bytes += flush(&mut pen, out)?;
        }
    }
    written_bytes += flush(&mut pen, out)?;
    out.flush()?;
    Ok(written_bytes)
}

fn flush(pen: &mut Pen, out: &mut dyn Write) -> io::Result<u64> {
    let bytes = pen.json.bytes();
    out.write_all(bytes)?;
    let written_bytes = bytes.len() as u64;
    pen.json.clear();
    Ok(written_bytes)
}
