//! Scores of a turn's answers by its rubrics.

use std::collections::{BTreeMap, BTreeSet};

use super::beside::{Beside, Evaluation};
use super::judge::is_criterion;
use crate::judged::{Message, Turn};

/// How an evaluation's scores became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scored {
    /// The mean of its criteria's, by their weights.
    ByCriteria,
    /// Its total, as delivered.
    ByTotal,
}

impl Scored {
    pub(super) fn word(self) -> &'static str {
        match self {
            Scored::ByCriteria => "the mean of criteria",
            Scored::ByTotal => "totals",
        }
    }
}

/// Of each answer a score an evaluation. Only those that were evaluated by the same criteria can be compared: others have none.
pub(super) fn scores(thread: i32, turn: &Turn<'_>, beside: &Beside<'_>) -> (Vec<Vec<f64>>, Option<Scored>) {
    let place = |message| (turn.task_id, thread, Some(turn.index), message);
    let of_answers =
        turn.answers.iter().map(|answer| evaluations(answer, beside.evaluations.get(&place(Some(answer.index)))));
    let evaluations = of_answers.collect::<Vec<_>>();
    let criteria = evaluations.iter().flatten().flat_map(|evaluation| evaluation.scores.keys().copied());
    let criteria = criteria.collect::<BTreeSet<_>>();
    let of_rubrics = beside.criteria.get(&place(None)).into_iter().flatten();
    let mut weights = BTreeMap::new();
    // Ids repeat from rubric to rubric: the first criterion of a turn counts.
    for criterion in of_rubrics {
        weights.entry(criterion.id).or_insert(criterion.weight);
    }
    for judgement in turn.said.iter().filter(|judgement| is_criterion(judgement)) {
        weights.entry(judgement.id.or(judgement.key)).or_insert(judgement.weight);
    }
    let weight = |criterion: &Option<&str>| weights.get(criterion).copied().flatten().unwrap_or(1.0);
    let by_criteria = |evaluation: &Evaluation<'_>| {
        let is_whole = criteria.iter().all(|criterion| evaluation.scores.contains_key(criterion));
        let total = criteria.iter().map(|criterion| weight(criterion).abs()).sum::<f64>();
        let scored = evaluation.scores.iter();
        let sum = scored.map(|(criterion, (sum, count))| weight(criterion) * sum / f64::from(*count)).sum::<f64>();
        (is_whole && total > 0.0).then(|| sum / total)
    };
    let scored = if criteria.is_empty() { Scored::ByTotal } else { Scored::ByCriteria };
    let score = |evaluation: &Evaluation<'_>| match scored {
        Scored::ByCriteria => by_criteria(evaluation),
        Scored::ByTotal => evaluation.total,
    };
    let scores = evaluations.iter().map(|of| of.iter().filter_map(score).collect()).collect::<Vec<Vec<f64>>>();
    let is_scored = scores.iter().any(|scores| !scores.is_empty());
    (scores, is_scored.then_some(scored))
}

/// The evaluations of an answer: its own, or those that its annotations make.
fn evaluations<'a>(answer: &Message<'a>, own: Option<&Vec<Evaluation<'a>>>) -> Vec<Evaluation<'a>> {
    own.cloned().unwrap_or_else(|| annotated(answer).into_iter().collect())
}

/// The evaluation of an answer whose scores stand as annotations.
fn annotated<'a>(answer: &Message<'a>) -> Option<Evaluation<'a>> {
    let mut evaluation = Evaluation::default();
    for (judgement, score) in answer.said.iter().filter_map(|judgement| Some((judgement, judgement.score?))) {
        // One that does not say which criterion it is of is told by what it is called.
        evaluation.take(judgement.criteria.or(judgement.key).or(judgement.title), score);
    }
    (!evaluation.scores.is_empty()).then_some(evaluation)
}
