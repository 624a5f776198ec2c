//! Conversations as they were led, with what was said of them.

use std::cell::Cell;
use std::collections::HashMap;

use bumpalo::Bump;

use crate::annotations::{Annotations, open_rows};
use crate::error::Result;
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::annotations::Row;
use crate::table::catalog::{annotations, messages};
use crate::table::{Scope, TableReader};

/// A turn: what was said, and the answers that could follow.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub task_id: &'a str,
    /// What stands before the answers, in its order: of a system, a user or a function, and answers that were gone on with.
    pub before: Vec<Message<'a>>,
    /// The answers that stand beside each other.
    pub answers: Vec<Message<'a>>,
    /// What was said of the turn itself.
    pub said: &'a [Row<'a>],
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub source_id: Option<&'a str>,
    pub model: Option<&'a str>,
    pub text: Option<&'a str>,
    /// What was said of it.
    pub said: &'a [Row<'a>],
}

impl<'a> Message<'a> {
    /// Who sent it: the model, or else the source.
    pub(crate) fn sender(&self) -> Option<&'a str> {
        self.model.filter(|model| !model.is_empty()).or(self.source_id.filter(|source| !source.is_empty()))
    }
}

/// Columns of messages that tell of them.
const COLUMNS: [&str; 8] =
    ["task_id", "thread_index", "turn_index", "message_index", "role", "source_id", "text", "model"];

/// The role of an answer.
const ASSISTANT: &str = "assistant";

/// What annotations stand on: thread, turn and message of a task, as far as they are that deep.
type Place<'a> = (&'a str, i32, Option<i32>, Option<i32>);

/// What was said, by where it stands; and whether it was handed out.
#[derive(Default)]
struct Said<'s>(HashMap<Place<'s>, (Vec<Row<'s>>, Cell<bool>)>);

impl<'s> Said<'s> {
    fn of(&self, place: Place<'s>) -> &[Row<'s>] {
        let Some((rows, is_seen)) = self.0.get(&place) else { return &[] };
        is_seen.set(true);
        rows
    }
}

/// The messages of a part and what was said of them.
struct Open {
    annotations: Annotations,
    /// With the number of rows.
    messages: Option<(messages::Reader, usize)>,
    arena: Bump,
}

/// Hands out every turn of a part that has a message, in their order, with those annotations that are wanted; and those that stand
/// elsewhere: on threads, on parts of messages, on turns without a message.
pub(crate) fn each_turn(
    store: &dyn Store,
    part: &PartEntry,
    is_wanted: &dyn Fn(&Row<'_>) -> bool,
    each: &mut dyn FnMut(&Turn<'_>),
    elsewhere: &mut dyn FnMut(&Row<'_>),
) -> Result<()> {
    if part.rows(annotations::TABLE.name) > 0 {
        Open::part(store, part)?.each_turn(is_wanted, each, elsewhere);
    }
    Ok(())
}

impl Open {
    fn part(store: &dyn Store, part: &PartEntry) -> Result<Open> {
        let annotations = Annotations::read(store, part)?;
        let has_messages = part.rows(messages::TABLE.name) > 0;
        let messages = has_messages.then(|| open_rows(store, part, &messages::TABLE, &COLUMNS));
        Ok(Open { annotations, messages: messages.transpose()?, arena: Bump::new() })
    }

    fn each_turn(
        &self,
        is_wanted: &dyn Fn(&Row<'_>) -> bool,
        each: &mut dyn FnMut(&Turn<'_>),
        elsewhere: &mut dyn FnMut(&Row<'_>),
    ) {
        let mut said = Said::default();
        self.annotations.each_unit(&self.arena, |unit| {
            for row in unit.iter().filter(|row| is_wanted(row)) {
                if row.scope == Scope::Turn.word() || row.scope == Scope::Message.word() {
                    let place = (row.task_id, row.thread_index, row.turn_index, row.message_index);
                    said.0.entry(place).or_default().0.push(*row);
                } else {
                    elsewhere(row);
                }
            }
        });
        if let Some((reader, rows)) = self.messages.as_ref().filter(|_| !said.0.is_empty()) {
            let all = (0..*rows).map(|row| reader.row(row, &self.arena)).collect::<Vec<_>>();
            let turn = |row: &messages::Row<'_>| (row.thread_index, row.turn_index);
            let turns = all.chunk_by(|one, other| one.task_id == other.task_id && turn(one) == turn(other));
            turns.filter_map(|rows| Turn::of(rows, &said)).for_each(|turn| each(&turn));
        }
        let unseen = said.0.values().filter(|(_, is_seen)| !is_seen.get());
        unseen.for_each(|(rows, _)| rows.iter().for_each(&mut *elsewhere));
    }
}

impl<'a> Turn<'a> {
    /// Of its messages. Answers with something else between them follow each other: the last ones are those to choose from.
    fn of(rows: &[messages::Row<'a>], said: &'a Said<'a>) -> Option<Turn<'a>> {
        let first = rows.first()?;
        let end = rows.iter().rposition(|row| row.role == Some(ASSISTANT)).map_or(rows.len(), |last| last + 1);
        let (up_to, _) = rows.split_at(end);
        let start = up_to.iter().rposition(|row| row.role != Some(ASSISTANT)).map_or(0, |last| last + 1);
        let (before, answers) = up_to.split_at(start);
        Some(Turn {
            task_id: first.task_id,
            before: before.iter().map(|row| Message::of(row, said)).collect(),
            answers: answers.iter().map(|row| Message::of(row, said)).collect(),
            said: said.of((first.task_id, first.thread_index, Some(first.turn_index), None)),
        })
    }
}

impl<'a> Message<'a> {
    fn of(row: &messages::Row<'a>, said: &'a Said<'a>) -> Message<'a> {
        let messages::Row { task_id, thread_index, turn_index, message_index, source_id, model, text, .. } = *row;
        let said = said.of((task_id, thread_index, Some(turn_index), Some(message_index)));
        Message { source_id, model, text, said }
    }
}
