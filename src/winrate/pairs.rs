//! Which answer of a turn was judged better than which.

use std::collections::{BTreeMap, HashMap};

use bumpalo::Bump;

use crate::annotations::{Annotations, Value, rows};
use crate::error::{Error, Result};
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::{annotations, messages};
use crate::table::{Scope, TableReader};

/// Which values of a rating are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Better {
    /// The greater one.
    Higher,
    /// The lesser one.
    Lower,
}

/// Why a judgement, or a pair of answers, is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// It has no value, does not apply, or can't be told.
    NoValue,
    /// It is of a kind that compares nothing: a flag, an object, a number for a whole turn.
    NoComparison,
    /// It names what is no answer of the turn.
    NoSuchAnswer,
    /// It stands on a thread, which has no answers that could be compared.
    OfThread,
    /// There is no other answer in the turn.
    NoOther,
    /// Both answers are of the same model.
    SameModel,
    /// An answer names neither a model nor a source.
    NoModel,
    /// The other answer has no rating.
    NoRating,
}

impl Reason {
    pub(super) fn word(self) -> &'static str {
        match self {
            Reason::NoValue => "no_value",
            Reason::NoComparison => "no_comparison",
            Reason::NoSuchAnswer => "no_such_answer",
            Reason::OfThread => "of_thread",
            Reason::NoOther => "no_other_answer",
            Reason::SameModel => "same_model",
            Reason::NoModel => "no_model",
            Reason::NoRating => "no_rating",
        }
    }
}

/// An answer that was judged against another one of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side<'a> {
    pub player: &'a str,
    pub characters: usize,
}

/// Two answers in their order, and how much of the comparison the first of them won: 1, 0.5 or 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair<'a> {
    pub task_id: &'a str,
    pub sides: [Side<'a>; 2],
    pub won: f64,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'w> {
    pub key: &'w str,
    pub better: Option<Better>,
}

/// What was found in a part.
pub(super) trait Sink {
    /// Two answers that were compared.
    fn pair(&mut self, pair: Pair<'_>);
    /// Something that was left out.
    fn left_out(&mut self, reason: Reason);
    /// A judgement of the key by a number.
    fn rating(&mut self);
}

/// An answer of a turn.
#[derive(Clone, Copy)]
struct Answer<'a> {
    message_index: i32,
    source_id: Option<&'a str>,
    model: Option<&'a str>,
    characters: usize,
}

impl<'a> Answer<'a> {
    /// The model, or what else sent it.
    fn player(&self) -> Option<&'a str> {
        self.model.or(self.source_id)
    }

    fn side(&self) -> Option<Side<'a>> {
        Some(Side { player: self.player()?, characters: self.characters })
    }

    fn is_called(&self, name: &str) -> bool {
        self.source_id == Some(name) || self.model == Some(name)
    }
}

/// What was said of a turn by the key.
#[derive(Default)]
struct Judged<'a> {
    /// Of the turn.
    values: Vec<Value<'a>>,
    /// Of its messages.
    ratings: BTreeMap<i32, Vec<f64>>,
}

/// A turn: task, thread and position.
type Place<'a> = (&'a str, i32, i32);

/// Hands out all that was compared in a part by a key.
pub(super) fn each_pair(store: &dyn Store, part: &PartEntry, wanted: Wanted<'_>, sink: &mut dyn Sink) -> Result<()> {
    if part.rows(annotations::TABLE.name) == 0 {
        return Ok(());
    }
    let (arena, said) = (Bump::new(), Annotations::read(store, part)?);
    let mut judged = HashMap::<(String, i32, i32), Judged<'_>>::new();
    said.each_unit(&arena, |unit| {
        for row in unit.iter().filter(|row| row.key == Some(wanted.key)) {
            let Some(value) = Value::of(row) else {
                sink.left_out(Reason::NoValue);
                continue;
            };
            if matches!(value, Value::Number(_)) {
                sink.rating();
            }
            let place = row.turn_index.map(|turn_index| (row.task_id.to_owned(), row.thread_index, turn_index));
            let Some(place) = place else {
                sink.left_out(Reason::OfThread);
                continue;
            };
            match (value, row.message_index) {
                (Value::Number(number), Some(message)) if row.scope == Scope::Message.word() => {
                    judged.entry(place).or_default().ratings.entry(message).or_default().push(number);
                }
                (value, None) => judged.entry(place).or_default().values.push(value),
                _ => sink.left_out(Reason::NoComparison),
            }
        }
    });
    if judged.is_empty() {
        return Ok(());
    }
    each_turn(store, part, |place, answers| {
        let (task_id, thread, turn) = place;
        if let Some(judged) = judged.remove(&(task_id.to_owned(), thread, turn)) {
            compare(task_id, answers, &judged, wanted, sink);
        }
    })?;
    // Turns without a single answer.
    let left = judged.values().map(|judged| judged.values.len() + judged.ratings.len()).sum::<usize>();
    (0..left).for_each(|_| sink.left_out(Reason::NoSuchAnswer));
    Ok(())
}

/// Columns of messages that tell of answers.
const COLUMNS: [&str; 8] =
    ["task_id", "thread_index", "turn_index", "message_index", "role", "source_id", "text", "model"];

/// Hands out the answers of each turn that has some, in their order.
fn each_turn(store: &dyn Store, part: &PartEntry, mut each: impl FnMut(Place<'_>, &[Answer<'_>])) -> Result<()> {
    if part.rows(messages::TABLE.name) == 0 {
        return Ok(());
    }
    let batch = rows(store, part, &messages::TABLE, &COLUMNS)?;
    let reader = messages::Reader::new(&batch);
    let reader = reader.map_err(|source| Error::Batch { table: messages::TABLE.name, source })?;
    let (arena, mut turn, mut answers) = (Bump::new(), None, Vec::new());
    for row in 0..batch.num_rows() {
        let row = reader.row(row, &arena);
        if row.role != Some(ASSISTANT) {
            continue;
        }
        let place = (row.task_id, row.thread_index, row.turn_index);
        if let Some(before) = turn.filter(|before| *before != place) {
            each(before, &answers);
            answers.clear();
        }
        turn = Some(place);
        let characters = row.text.map_or(0, |text| text.chars().count());
        let (message_index, source_id, model) = (row.message_index, row.source_id, row.model);
        answers.push(Answer { message_index, source_id, model, characters });
    }
    if let Some(last) = turn {
        each(last, &answers);
    }
    Ok(())
}

/// The role of an answer.
const ASSISTANT: &str = "assistant";

fn compare(task_id: &str, answers: &[Answer<'_>], judged: &Judged<'_>, wanted: Wanted<'_>, sink: &mut dyn Sink) {
    for value in &judged.values {
        match ranks(value, answers) {
            Ok(ranks) => compare_ranked(task_id, answers, &ranks, sink),
            Err(reason) => sink.left_out(reason),
        }
    }
    if judged.ratings.is_empty() {
        return;
    }
    let mean = |answer: &Answer<'_>| {
        let ratings = judged.ratings.get(&answer.message_index)?;
        let mean = ratings.iter().sum::<f64>() / ratings.len() as f64;
        Some(if wanted.better == Some(Better::Lower) { -mean } else { mean })
    };
    let of_answers = answers.iter().map(mean).collect::<Vec<_>>();
    let rated = of_answers.iter().flatten().count();
    // Ratings of what is no answer, such as a question.
    (rated..judged.ratings.len()).for_each(|_| sink.left_out(Reason::NoSuchAnswer));
    compare_rated(task_id, answers, &of_answers, sink);
}

/// The rank of each answer by a value of the whole turn, 0 for the best; `None` for those that it does not name, which are behind.
fn ranks(value: &Value<'_>, answers: &[Answer<'_>]) -> std::result::Result<Vec<Option<usize>>, Reason> {
    let groups = match value {
        Value::Text(name) => vec![vec![*name]],
        Value::Several(names) => vec![names.to_vec()],
        Value::Ranked(groups) => groups.iter().map(|group| group.to_vec()).collect(),
        _ => return Err(Reason::NoComparison),
    };
    let rank = |answer: &Answer<'_>| groups.iter().position(|group| group.iter().any(|name| answer.is_called(name)));
    let ranks = answers.iter().map(rank).collect::<Vec<_>>();
    let is_named = |name: &&str| answers.iter().any(|answer| answer.is_called(name));
    groups.iter().flatten().any(is_named).then_some(ranks).ok_or(Reason::NoSuchAnswer)
}

/// A choice says nothing of two that were not chosen; a ranking nothing of two that it does not name.
fn compare_ranked(task_id: &str, answers: &[Answer<'_>], ranks: &[Option<usize>], sink: &mut dyn Sink) {
    if answers.len() < 2 {
        sink.left_out(Reason::NoOther);
    }
    let ranked = answers.iter().zip(ranks).collect::<Vec<_>>();
    for (index, (one, rank)) in ranked.iter().enumerate() {
        for (other, other_rank) in ranked.iter().skip(index + 1) {
            let won = match (rank, other_rank) {
                (None, None) => continue,
                (Some(_), None) => 1.0,
                (None, Some(_)) => 0.0,
                (Some(own), Some(theirs)) => share(theirs.cmp(own)),
            };
            put(task_id, [one, other], won, sink);
        }
    }
}

fn compare_rated(task_id: &str, answers: &[Answer<'_>], ratings: &[Option<f64>], sink: &mut dyn Sink) {
    let rated =
        answers.iter().zip(ratings).filter_map(|(answer, rating)| Some((answer, (*rating)?))).collect::<Vec<_>>();
    if let [_] = rated.as_slice() {
        sink.left_out(if answers.len() < 2 { Reason::NoOther } else { Reason::NoRating });
    }
    for (index, (one, own)) in rated.iter().enumerate() {
        for (other, theirs) in rated.iter().skip(index + 1) {
            put(task_id, [one, other], share(own.total_cmp(theirs)), sink);
        }
    }
}

/// How much is won by who is greater.
fn share(order: std::cmp::Ordering) -> f64 {
    match order {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0,
    }
}

fn put(task_id: &str, answers: [&Answer<'_>; 2], won: f64, sink: &mut dyn Sink) {
    let [one, other] = answers;
    match (one.side(), other.side()) {
        (Some(one), Some(other)) if one.player == other.player => sink.left_out(Reason::SameModel),
        (Some(one), Some(other)) => sink.pair(Pair { task_id, sides: [one, other], won }),
        _ => sink.left_out(Reason::NoModel),
    }
}
