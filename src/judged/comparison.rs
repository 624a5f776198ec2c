//! Which answer of a turn was judged better than which.

use std::cmp::Ordering;

use super::turn::{Message, Turn, each_turn};
use crate::annotations::Value;
use crate::error::Result;
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::annotations::Row;

/// Which values of a rating are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Better {
    /// The greater one.
    Higher,
    /// The lesser one.
    Lower,
}

/// Why a judgement, or two answers, are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It has no value, does not apply, or can't be told.
    NoValue,
    /// It is of a kind that compares nothing: a flag, an object, a number for a whole turn.
    NoComparison,
    /// It names what is no answer of the turn, or rates what is none.
    NoSuchAnswer,
    /// It stands on what has no answers beside each other, such as a thread.
    OtherLevel,
    /// There is no other answer in the turn.
    NoOtherAnswer,
    /// The other answers have no rating.
    NoOtherRating,
    /// Both answers are of the same model.
    SameModel,
    /// An answer names neither a model nor a source.
    NoModel,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Reason::NoValue => "no_value",
            Reason::NoComparison => "no_comparison",
            Reason::NoSuchAnswer => "no_such_answer",
            Reason::OtherLevel => "other_level",
            Reason::NoOtherAnswer => "no_other_answer",
            Reason::NoOtherRating => "no_other_rating",
            Reason::SameModel => "same_model",
            Reason::NoModel => "no_model",
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    /// The key of the annotations.
    pub key: &'w str,
    /// Which ratings are good; of other judgements it says nothing.
    pub better: Option<Better>,
}

/// Takes what was found.
pub(crate) trait Sink {
    /// Two answers of a turn, in their order, and how much of the comparison the first of them won: 1, 0.5 or 0.
    fn compared(&mut self, turn: &Turn<'_>, answers: [&Message<'_>; 2], won: f64);
    /// Something that was left out.
    fn left_out(&mut self, reason: Reason);
    /// A judgement of the key by a number.
    fn rating(&mut self);
}

/// Hands out all that was compared in a part by a key.
pub(crate) fn each_comparison(
    store: &dyn Store,
    part: &PartEntry,
    wanted: Wanted<'_>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut elsewhere = Vec::new();
    let is_wanted = |row: &Row<'_>| row.key == Some(wanted.key);
    let mut each = |turn: &Turn<'_>| compare(turn, wanted, sink);
    each_turn(store, part, &is_wanted, &mut each, &mut |row| {
        let value = Value::of(row);
        elsewhere.push((value.is_none(), matches!(value, Some(Value::Number(_)))));
    })?;
    for (is_none, is_rating) in elsewhere {
        if is_rating {
            sink.rating();
        }
        sink.left_out(if is_none { Reason::NoValue } else { Reason::OtherLevel });
    }
    Ok(())
}

fn compare(turn: &Turn<'_>, wanted: Wanted<'_>, sink: &mut dyn Sink) {
    for row in turn.said {
        match Value::of(row) {
            None => sink.left_out(Reason::NoValue),
            Some(value) => {
                if matches!(value, Value::Number(_)) {
                    sink.rating();
                }
                match ranks(&value, &turn.answers) {
                    Ok(ranks) => compare_ranked(turn, &ranks, sink),
                    Err(reason) => sink.left_out(reason),
                }
            }
        }
    }
    for message in &turn.before {
        ratings(message, sink).iter().for_each(|_| sink.left_out(Reason::NoSuchAnswer));
    }
    let sign = if wanted.better == Some(Better::Lower) { -1.0 } else { 1.0 };
    let of_answer = |answer: &Message<'_>| {
        let ratings = ratings(answer, sink);
        (!ratings.is_empty()).then(|| sign * ratings.iter().sum::<f64>() / ratings.len() as f64)
    };
    let rated = turn.answers.iter().map(of_answer).collect::<Vec<_>>();
    compare_rated(turn, &rated, sink);
}

/// The numbers that were said of a message.
fn ratings(message: &Message<'_>, sink: &mut dyn Sink) -> Vec<f64> {
    let mut ratings = Vec::new();
    for row in message.said {
        match Value::of(row) {
            Some(Value::Number(number)) => {
                sink.rating();
                ratings.push(number);
            }
            Some(_) => sink.left_out(Reason::NoComparison),
            None => sink.left_out(Reason::NoValue),
        }
    }
    ratings
}

/// The rank of each answer by a value of the whole turn, 0 for the best; `None` for those that it does not name, which are behind.
fn ranks(value: &Value<'_>, answers: &[Message<'_>]) -> std::result::Result<Vec<Option<usize>>, Reason> {
    let groups = match value {
        Value::Text(name) => vec![vec![*name]],
        Value::Several(names) => vec![names.to_vec()],
        Value::Ranked(groups) => groups.iter().map(|group| group.to_vec()).collect(),
        _ => return Err(Reason::NoComparison),
    };
    let rank = |answer: &Message<'_>| groups.iter().position(|group| group.iter().any(|name| answer.is_called(name)));
    let ranks = answers.iter().map(rank).collect::<Vec<_>>();
    ranks.iter().any(Option::is_some).then_some(ranks).ok_or(Reason::NoSuchAnswer)
}

/// A choice says nothing of two that were not chosen; a ranking nothing of two that it does not name.
fn compare_ranked(turn: &Turn<'_>, ranks: &[Option<usize>], sink: &mut dyn Sink) {
    if turn.answers.len() < 2 {
        sink.left_out(Reason::NoOtherAnswer);
    }
    let ranked = turn.answers.iter().zip(ranks).collect::<Vec<_>>();
    for (index, (one, rank)) in ranked.iter().enumerate() {
        for (other, other_rank) in ranked.iter().skip(index + 1) {
            let won = match (rank, other_rank) {
                (None, None) => continue,
                (Some(_), None) => 1.0,
                (None, Some(_)) => 0.0,
                (Some(own), Some(theirs)) => share(theirs.cmp(own)),
            };
            sink.compared(turn, [one, other], won);
        }
    }
}

fn compare_rated(turn: &Turn<'_>, ratings: &[Option<f64>], sink: &mut dyn Sink) {
    let rated = turn.answers.iter().zip(ratings).filter_map(|(answer, rating)| Some((answer, (*rating)?)));
    let rated = rated.collect::<Vec<_>>();
    if let [_] = rated.as_slice() {
        sink.left_out(if turn.answers.len() < 2 { Reason::NoOtherAnswer } else { Reason::NoOtherRating });
    }
    for (index, (one, own)) in rated.iter().enumerate() {
        for (other, theirs) in rated.iter().skip(index + 1) {
            sink.compared(turn, [one, other], share(own.total_cmp(theirs)));
        }
    }
}

/// How much is won by who is greater.
fn share(order: Ordering) -> f64 {
    match order {
        Ordering::Less => 0.0,
        Ordering::Equal => 0.5,
        Ordering::Greater => 1.0,
    }
}
