//! Which split a conversation belongs to.
//!
//! It is told by a hash alone, so it is the same from night to night, whatever else comes into the lake.

use xxhash_rust::xxh3::Xxh3;

use super::beside::TaskFacts;
use super::example::normalised;
use super::options::{DatasetOptions, SplitBy};
use crate::judged::{Task, Thread};

/// A split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Train,
    Test,
    /// Its prompt is kept for tests, and its task is trained on.
    Neither,
}

/// The side of each thread of a task; and whether its metadata told it.
pub(super) fn sides(task: &Task<'_>, facts: &TaskFacts<'_>, options: &DatasetOptions) -> (Vec<Side>, bool) {
    let by_task = |text: &str| vec![side(options.split, |take| take(text)); task.threads.len()];
    match &options.split_by {
        _ if options.split == 0.0 => (vec![Side::Train; task.threads.len()], false),
        SplitBy::Task => (by_task(task.id), false),
        SplitBy::Metadata(key) => match facts.metadata.and_then(|metadata| value(metadata, key)) {
            Some(value) => (by_task(&value), true),
            None => (by_prompt(task, options.split), false),
        },
        SplitBy::Prompt => (by_prompt(task, options.split), false),
    }
}

/// Where a task's threads begin on both sides, those that are for tests stand on neither.
fn by_prompt(task: &Task<'_>, split: f64) -> Vec<Side> {
    let of = |thread: &Thread<'_>| side(split, |take| normalised(first_prompt(thread), take));
    let mut sides = task.threads.iter().map(of).collect::<Vec<_>>();
    if sides.contains(&Side::Train) {
        sides.iter_mut().filter(|side| **side == Side::Test).for_each(|side| *side = Side::Neither);
    }
    sides
}

/// What a user said first.
fn first_prompt<'a>(thread: &Thread<'a>) -> &'a str {
    let messages = thread.turns.iter().flat_map(|turn| turn.before.iter().chain(&turn.answers).chain(&turn.after));
    let first = messages.into_iter().find(|message| message.role == Some("user"));
    first.and_then(|message| message.text).unwrap_or_default()
}

fn side(split: f64, feed: impl FnOnce(&mut dyn FnMut(&str))) -> Side {
    let mut hash = Xxh3::new();
    feed(&mut |piece| hash.update(piece.as_bytes()));
    // The upper bits as a number from 0 to 1.
    let place = (hash.digest() >> 11) as f64 / (1_u64 << 53) as f64;
    if place < split { Side::Test } else { Side::Train }
}

/// The value under a key of a task's metadata, as JSON.
fn value(metadata: &str, key: &str) -> Option<String> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    metadata.get(key).filter(|value| !value.is_null()).map(ToString::to_string)
}
