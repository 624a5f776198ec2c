//! Conversations as they were led, with what was said of them.

use std::cell::Cell;
use std::collections::HashMap;

use base64::Engine;
use bumpalo::Bump;

use crate::annotations::{Annotations, Value, open_rows};
use crate::error::Result;
use crate::flatten::BASE64;
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::annotations::Row;
use crate::table::catalog::{annotations, attachments, chunks, messages, reasoning};
use crate::table::{Scope, Table, TableReader};

/// What somebody said of a thread, a turn or a message.
#[derive(Clone, Debug)]
pub(crate) struct Judgement<'a> {
    pub key: Option<&'a str>,
    pub id: Option<&'a str>,
    /// The declared type.
    pub r#type: Option<&'a str>,
    pub title: Option<&'a str>,
    /// Which criterion of a rubric is judged.
    pub criteria: Option<&'a str>,
    pub justification: Option<&'a str>,
    pub possible_values: Option<&'a str>,
    /// The weight, of a criterion of a rubric.
    pub weight: Option<f64>,
    /// The score, of a judgement by a criterion of a rubric.
    pub score: Option<f64>,
    /// `None` where it does not apply, or can't be told.
    pub value: Option<Value<'a>>,
}

impl<'a> Judgement<'a> {
    fn of(row: &Row<'a>) -> Judgement<'a> {
        Judgement {
            key: row.key,
            id: row.annotation_id,
            r#type: row.r#type,
            title: row.title,
            criteria: row.criteria,
            justification: row.justification,
            possible_values: row.possible_values,
            weight: row.value_weight,
            score: Value::of(row)
                .and(row.value_score.or(row.value_number.filter(|_| row.r#type == Some(RUBRIC_RATING)))),
            value: Value::of(row),
        }
    }
}

/// The type of a judgement by a criterion of a rubric.
pub(crate) const RUBRIC_RATING: &str = "rubric_rating";

/// The threads of a task that hold a message.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub id: &'a str,
    pub threads: Vec<Thread<'a>>,
}

/// A thread: its turns that hold a message, in their order.
#[derive(Debug)]
pub(crate) struct Thread<'a> {
    pub index: i32,
    pub turns: Vec<Turn<'a>>,
    /// What was said of the thread itself.
    pub said: &'a [Judgement<'a>],
}

/// A turn: what was said, and the answers that could follow.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub task_id: &'a str,
    pub index: i32,
    /// What stands before the answers, in its order: of a system, a user or a function, and answers that were gone on with.
    pub before: Vec<Message<'a>>,
    /// The answers that stand beside each other.
    pub answers: Vec<Message<'a>>,
    /// What stands behind them.
    pub after: Vec<Message<'a>>,
    /// What was said of the turn itself.
    pub said: &'a [Judgement<'a>],
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub index: i32,
    pub role: Option<&'a str>,
    pub source_id: Option<&'a str>,
    pub model: Option<&'a str>,
    /// Its text, or that of its chunks.
    pub text: Option<&'a str>,
    /// Its reasoning steps, a line each, if they were asked for.
    pub reasoning: Option<&'a str>,
    /// Those of its attachments that are images whose bytes are known, if they were asked for.
    pub images: &'a [Image<'a>],
    /// Attachments, and what else of it is no text.
    pub attachments: i32,
    /// What was said of it.
    pub said: &'a [Judgement<'a>],
}

impl<'a> Message<'a> {
    /// Who sent it: the model, or else the source.
    pub(crate) fn sender(&self) -> Option<&'a str> {
        self.model.filter(|model| !model.is_empty()).or(self.source_id.filter(|source| !source.is_empty()))
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.role == Some(ASSISTANT)
    }
}

/// An image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image<'a> {
    /// Its bytes, in base64 that can be decoded.
    pub base64: &'a str,
    pub name: Option<&'a str>,
}

/// Columns of messages that tell of them.
const COLUMNS: [&str; 9] = [
    "task_id",
    "thread_index",
    "turn_index",
    "message_index",
    "role",
    "source_id",
    "text",
    "model",
    "attachment_count",
];

/// The role of an answer.
const ASSISTANT: &str = "assistant";

/// What annotations stand on: thread, turn and message of a task, as far as they are that deep.
pub(crate) type Place<'a> = (&'a str, i32, Option<i32>, Option<i32>);

/// What was said, by where it stands; and whether it was handed out.
#[derive(Default)]
struct Said<'s>(HashMap<Place<'s>, (Vec<Judgement<'s>>, Cell<bool>)>);

impl<'s> Said<'s> {
    fn of(&self, place: Place<'s>) -> &[Judgement<'s>] {
        let Some((rows, is_seen)) = self.0.get(&place) else { return &[] };
        is_seen.set(true);
        rows
    }
}

/// Rows of a part's table, where it has any.
pub(crate) struct Rows<R>(Option<(R, usize)>);

impl<R: TableReader> Rows<R> {
    pub(crate) fn open(store: &dyn Store, part: &PartEntry, table: &Table, columns: &[&str]) -> Result<Rows<R>> {
        let has_rows = part.rows(table.name) > 0;
        has_rows.then(|| open_rows(store, part, table, columns)).transpose().map(Rows)
    }

    fn open_if(
        is_wanted: bool,
        store: &dyn Store,
        part: &PartEntry,
        table: &Table,
        columns: &[&str],
    ) -> Result<Rows<R>> {
        if is_wanted { Rows::open(store, part, table, columns) } else { Ok(Rows(None)) }
    }

    /// All of them, in their order.
    pub(crate) fn all<'r>(&'r self, arena: &'r Bump) -> impl Iterator<Item = R::Row<'r>> {
        self.0.iter().flat_map(move |(reader, rows)| (0..*rows).map(move |row| reader.row(row, arena)))
    }
}

/// What stands in tables of its own, as far as it is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Apart {
    /// Of messages that have no other.
    pub chunks: bool,
    pub reasoning: bool,
    pub images: bool,
}

/// The messages of a part and what was said of them.
pub(crate) struct Conversations {
    annotations: Option<Annotations>,
    messages: Rows<messages::Reader>,
    chunks: Rows<chunks::Reader>,
    reasoning: Rows<reasoning::Reader>,
    attachments: Rows<attachments::Reader>,
    arena: Bump,
}

impl Conversations {
    pub(crate) fn open(store: &dyn Store, part: &PartEntry, apart: Apart) -> Result<Conversations> {
        let has_annotations = part.rows(annotations::TABLE.name) > 0;
        Ok(Conversations {
            annotations: has_annotations.then(|| Annotations::read(store, part)).transpose()?,
            messages: Rows::open(store, part, &messages::TABLE, &COLUMNS)?,
            chunks: Rows::open_if(apart.chunks, store, part, &chunks::TABLE, &["text", "type"])?,
            reasoning: Rows::open_if(apart.reasoning, store, part, &reasoning::TABLE, &["content"])?,
            attachments: Rows::open_if(
                apart.images,
                store,
                part,
                &attachments::TABLE,
                &["mime_type", "name", "content"],
            )?,
            arena: Bump::new(),
        })
    }

    /// Hands out every task of the part that has a message, in their order, with those annotations that are wanted; and those that stand
    /// elsewhere: on parts of messages, and on what has no message.
    pub(crate) fn each_task(
        &self,
        is_wanted: &dyn Fn(&Row<'_>) -> bool,
        each: &mut dyn FnMut(&Task<'_>) -> Result<()>,
        elsewhere: &mut dyn FnMut(&Judgement<'_>),
    ) -> Result<()> {
        const LEVELS: [Scope; 3] = [Scope::Thread, Scope::Turn, Scope::Message];
        let mut said = Said::default();
        if let Some(annotations) = &self.annotations {
            annotations.each_unit(&self.arena, |unit| {
                let Some(first) = unit.first() else { return };
                let wanted = unit.iter().filter(|row| is_wanted(row)).map(Judgement::of).collect::<Vec<_>>();
                if !LEVELS.iter().any(|level| level.word() == first.scope) {
                    wanted.iter().for_each(&mut *elsewhere);
                } else if !wanted.is_empty() {
                    let place = (first.task_id, first.thread_index, first.turn_index, first.message_index);
                    said.0.entry(place).or_default().0.extend(wanted);
                }
            });
        }
        let texts = Texts::of(self);
        let all = self.messages.all(&self.arena).collect::<Vec<_>>();
        for rows in all.chunk_by(|one, other| one.task_id == other.task_id) {
            each(&Task::of(rows, &said, &texts))?;
        }
        let unseen = said.0.values().filter(|(_, is_seen)| !is_seen.get());
        unseen.for_each(|(rows, _)| rows.iter().for_each(&mut *elsewhere));
        Ok(())
    }
}

/// What stands apart from its messages.
struct Texts<'a> {
    chunks: HashMap<Place<'a>, &'a str>,
    /// How many chunks of a message are no text.
    others: HashMap<Place<'a>, i32>,
    reasoning: HashMap<Place<'a>, &'a str>,
    images: HashMap<Place<'a>, &'a [Image<'a>]>,
}

impl<'a> Texts<'a> {
    fn of(part: &'a Conversations) -> Texts<'a> {
        let place = |task, thread, turn, message| (task, thread, Some(turn), Some(message));
        let mut others = HashMap::<Place<'a>, i32>::new();
        let chunks = part.chunks.all(&part.arena).map(|row| {
            let place = place(row.task_id, row.thread_index, row.turn_index, row.message_index);
            if row.text.is_none() || row.r#type.is_some_and(|kind| kind != "text") {
                *others.entry(place).or_default() += 1;
            }
            (place, row.text)
        });
        let chunks = joined(chunks, "", &part.arena);
        let steps = part.reasoning.all(&part.arena);
        let steps =
            steps.map(|row| (place(row.task_id, row.thread_index, row.turn_index, row.message_index), row.content));
        let mut images = HashMap::<Place<'a>, Vec<Image<'a>>>::new();
        for row in part.attachments.all(&part.arena) {
            let is_image = row.mime_type.is_some_and(|kind| kind.starts_with("image/"));
            let base64 = row.content.filter(|content| is_image && BASE64.decode(content).is_ok());
            let place = place(row.task_id, row.thread_index, row.turn_index, row.message_index);
            images.entry(place).or_default().extend(base64.map(|base64| Image { base64, name: row.name }));
        }
        let images = images.into_iter().map(|(place, own)| (place, &*part.arena.alloc_slice_copy(&own))).collect();
        Texts { chunks, others, reasoning: joined(steps, "\n", &part.arena), images }
    }
}

fn joined<'a>(
    texts: impl Iterator<Item = (Place<'a>, Option<&'a str>)>,
    between: &str,
    arena: &'a Bump,
) -> HashMap<Place<'a>, &'a str> {
    let mut pieces = HashMap::<Place<'a>, Vec<&str>>::new();
    texts.for_each(|(place, text)| pieces.entry(place).or_default().extend(text));
    pieces.into_iter().map(|(place, pieces)| (place, &*arena.alloc_str(&pieces.join(between)))).collect()
}

impl<'a> Task<'a> {
    fn of(rows: &[messages::Row<'a>], said: &'a Said<'a>, texts: &Texts<'a>) -> Task<'a> {
        let threads = rows.chunk_by(|one, other| one.thread_index == other.thread_index);
        let threads = threads.filter_map(|rows| {
            let first = rows.first()?;
            let turns = rows.chunk_by(|one, other| one.turn_index == other.turn_index);
            Some(Thread {
                index: first.thread_index,
                turns: turns.filter_map(|rows| Turn::of(rows, said, texts)).collect(),
                said: said.of((first.task_id, first.thread_index, None, None)),
            })
        });
        Task { id: rows.first().map_or("", |row| row.task_id), threads: threads.collect() }
    }
}

impl<'a> Turn<'a> {
    /// Of its messages. Answers with something else between them follow each other: the last ones are those to choose from.
    fn of(rows: &[messages::Row<'a>], said: &'a Said<'a>, texts: &Texts<'a>) -> Option<Turn<'a>> {
        let first = rows.first()?;
        let end = rows.iter().rposition(|row| row.role == Some(ASSISTANT)).map_or(rows.len(), |last| last + 1);
        let (up_to, after) = rows.split_at(end);
        let start = up_to.iter().rposition(|row| row.role != Some(ASSISTANT)).map_or(0, |last| last + 1);
        let (before, answers) = up_to.split_at(start);
        let of = |rows: &[messages::Row<'a>]| rows.iter().map(|row| Message::of(row, said, texts)).collect();
        Some(Turn {
            task_id: first.task_id,
            index: first.turn_index,
            before: of(before),
            answers: of(answers),
            after: of(after),
            said: said.of((first.task_id, first.thread_index, Some(first.turn_index), None)),
        })
    }
}

impl<'a> Message<'a> {
    fn of(row: &messages::Row<'a>, said: &'a Said<'a>, texts: &Texts<'a>) -> Message<'a> {
        let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
        let text = row.text.filter(|text| !text.is_empty());
        let others = texts.others.get(&place).copied().unwrap_or_default();
        Message {
            index: row.message_index,
            role: row.role,
            source_id: row.source_id,
            model: row.model,
            text: text.or_else(|| texts.chunks.get(&place).copied()).or(row.text),
            reasoning: texts.reasoning.get(&place).copied(),
            images: texts.images.get(&place).copied().unwrap_or_default(),
            attachments: row.attachment_count.unwrap_or_default() + others,
            said: said.of(place),
        }
    }
}
