//! Which answer of a turn was judged better than which.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::conversation::{Apart, Conversations, Judgement, Message, Task, Turn};
use crate::annotations::Value;
use crate::error;
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::annotations;
use crate::table::catalog::annotations::Row;

/// Which values of a rating are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
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
    /// A name in it is that of several answers.
    Ambiguous,
    /// It stands on what has no answers beside each other, such as a thread.
    OtherLevel,
    /// There is no other answer in the turn.
    NoOtherAnswer,
    /// An answer has no rating, and another one has.
    Unrated,
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
            Reason::Ambiguous => "ambiguous_answer",
            Reason::OtherLevel => "other_level",
            Reason::NoOtherAnswer => "no_other_answer",
            Reason::Unrated => "unrated_answer",
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
    /// Values that mean that all answers are equal.
    pub ties: &'w [String],
}

/// Takes what was found.
pub(crate) trait Sink {
    /// Two answers of a turn, in their order, and how much of the comparison the first of them won: 1, 0.5 or 0.
    fn compared(&mut self, turn: &Turn<'_>, answers: [&Message<'_>; 2], won: f64);
    /// Something that was left out.
    fn left_out(&mut self, reason: Reason);
    /// A message that was judged by a number.
    fn rating(&mut self);
}

/// Hands out all that was compared in a part by a key.
pub(crate) fn each_comparison(
    store: &dyn Store,
    part: &PartEntry,
    wanted: Wanted<'_>,
    sink: &mut dyn Sink,
) -> error::Result<()> {
    if part.rows(annotations::TABLE.name) == 0 {
        return Ok(());
    }
    let mut elsewhere = Vec::new();
    let is_wanted = |row: &Row<'_>| row.key == Some(wanted.key);
    let mut each = |task: &Task<'_>| {
        for thread in &task.threads {
            thread.said.iter().for_each(|judgement| sink.left_out(misplaced(judgement)));
            thread.turns.iter().for_each(|turn| compare(turn, wanted, sink));
        }
        Ok(())
    };
    let mut other = |judgement: &Judgement<'_>| elsewhere.push(misplaced(judgement));
    Conversations::open(store, part, Apart { chunks: true, ..Apart::default() })?
        .each_task(&is_wanted, &mut each, &mut other)?;
    elsewhere.into_iter().for_each(|reason| sink.left_out(reason));
    Ok(())
}

/// Why a judgement is left out that stands on what has no answers beside each other.
pub(crate) fn misplaced(judgement: &Judgement<'_>) -> Reason {
    if judgement.value.is_none() { Reason::NoValue } else { Reason::OtherLevel }
}

fn compare(turn: &Turn<'_>, wanted: Wanted<'_>, sink: &mut dyn Sink) {
    let answers = turn.answers.iter().collect::<Vec<_>>();
    for judgement in turn.said {
        match ranks(judgement, &answers, wanted.ties) {
            Ok(ranks) => compare_ranked(turn, &ranks, sink),
            Err(reason) => sink.left_out(reason),
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
    for judgement in message.said {
        match &judgement.value {
            Some(Value::Number(number)) => {
                sink.rating();
                ratings.push(*number);
            }
            Some(_) => sink.left_out(Reason::NoComparison),
            None => sink.left_out(Reason::NoValue),
        }
    }
    ratings
}

/// The type of an annotation that chooses several words, in no order.
const CHOICE_OF_SEVERAL: &str = "category_multiple";

/// The rank of each answer by what was said of the whole turn, 0 for the best; `None` for those that it does not name, which are behind.
pub(crate) fn ranks(
    judgement: &Judgement<'_>,
    answers: &[&Message<'_>],
    ties: &[String],
) -> Result<Vec<Option<usize>>, Reason> {
    let groups = match judgement.value.as_ref().ok_or(Reason::NoValue)? {
        Value::Text(word) if ties.iter().any(|tie| tie == word) => return Ok(vec![Some(0); answers.len()]),
        Value::Text(name) => vec![vec![*name]],
        Value::Several(names) if judgement.r#type == Some(CHOICE_OF_SEVERAL) => vec![names.to_vec()],
        // Without details of annotations a ranking comes without its type.
        Value::Several(names) => names.iter().map(|name| vec![*name]).collect(),
        Value::Ranked(groups) => groups.iter().map(|group| group.to_vec()).collect(),
        _ => return Err(Reason::NoComparison),
    };
    let mut ranks = vec![None; answers.len()];
    for (rank, name) in groups.iter().enumerate().flat_map(|(rank, group)| group.iter().map(move |name| (rank, *name)))
    {
        let meant = called(answers, name);
        if meant.iter().filter(|is_meant| **is_meant).count() > 1 {
            return Err(Reason::Ambiguous);
        }
        for (own, _) in ranks.iter_mut().zip(meant).filter(|(own, is_meant)| *is_meant && own.is_none()) {
            *own = Some(rank);
        }
    }
    // Those before the best answer are none of the turn.
    let best = ranks.iter().flatten().min().copied().ok_or(Reason::NoSuchAnswer)?;
    ranks.iter_mut().flatten().for_each(|rank| *rank -= best);
    Ok(ranks)
}

/// Which answers a name means: by their source, or, where none is of such a one, by their model.
fn called(answers: &[&Message<'_>], name: &str) -> Vec<bool> {
    let by_source = answers.iter().map(|answer| answer.source_id == Some(name)).collect::<Vec<_>>();
    match by_source.contains(&true) {
        true => by_source,
        false => answers.iter().map(|answer| answer.model == Some(name)).collect(),
    }
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
    match (rated.len(), turn.answers.len()) {
        (0, _) => {}
        (_, 1) => sink.left_out(Reason::NoOtherAnswer),
        (rated, answers) => (rated..answers).for_each(|_| sink.left_out(Reason::Unrated)),
    }
    for (index, (one, own)) in rated.iter().enumerate() {
        for (other, theirs) in rated.iter().skip(index + 1) {
            sink.compared(turn, [one, other], share(order(*own, *theirs)));
        }
    }
}

/// Means that differ by rounding alone are equal.
fn order(one: f64, other: f64) -> Ordering {
    let is_near = (one - other).abs() <= 1e-9 * one.abs().max(other.abs());
    if is_near { Ordering::Equal } else { one.total_cmp(&other) }
}

/// How much is won by who is greater.
fn share(order: Ordering) -> f64 {
    match order {
        Ordering::Less => 0.0,
        Ordering::Equal => 0.5,
        Ordering::Greater => 1.0,
    }
}
