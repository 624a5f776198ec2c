//! Whole conversations that were compared: threads of a task, or what each model said in one thread.

use std::collections::HashSet;

use super::beside::TaskFacts;
use super::example::{Answer, Source};
use super::judge::{Candidates, Judged};
use super::path::{Line, Path, check_line};
use super::report::Reason;
use super::rows::{Home, Pieces, Rules};
use super::side::Side;
use super::votes::Verdict;
use crate::annotations::Value;
use crate::error::Result;
use crate::judged::{self, Judgement, Message, Task, Thread, Turn};

/// A conversation that stands beside others.
struct Candidate<'t> {
    thread: i32,
    path: Path<'t>,
    /// What was said of it alone.
    said: Vec<&'t Judgement<'t>>,
}

/// Conversations that stand beside each other.
struct Group<'t> {
    candidates: Vec<Candidate<'t>>,
    /// What was said of all of them.
    said: Vec<&'t Judgement<'t>>,
    side: Side,
}

/// Takes a row, or why there is none, with its side and its thread.
type Take<'k> = dyn FnMut(Side, i32, Result<Pieces<'_>, Reason>) -> Result<()> + 'k;

/// Compares the conversations of a task by what was said of threads.
pub(super) fn each(
    rules: Rules<'_>,
    task: &Task<'_>,
    facts: &TaskFacts<'_>,
    sides: &[Side],
    take: &mut Take<'_>,
) -> Result<()> {
    for group in groups(task, sides) {
        let judged = group.judged(rules);
        let count = group.candidates.len();
        if count == 1 && judged.is_rated() {
            let thread = group.candidates.first().map_or(0, |only| only.thread);
            take(group.side, thread, Err(Reason::Judgement(judged::Reason::NoOtherAnswer)))?;
        }
        for (one, other) in (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))) {
            let verdicts = match judged.votes.compare(one, other, rules.options.aggregate) {
                Ok(verdicts) => verdicts,
                Err(reason) => {
                    take(group.side, 0, Err(reason))?;
                    continue;
                }
            };
            for verdict in verdicts {
                let pair = if verdict.is_first { [one, other] } else { [other, one] };
                let (thread, row) = group.row(rules, facts, &judged, (pair, verdict));
                take(group.side, thread, row)?;
            }
        }
    }
    Ok(())
}

/// What stands beside each other in a task.
fn groups<'t>(task: &'t Task<'t>, sides: &[Side]) -> Vec<Group<'t>> {
    let threads = task.threads.iter().zip(sides).filter(|(_, side)| **side != Side::Neither);
    let (several, single) = threads.partition::<Vec<_>, _>(|(thread, _)| has_choice(thread));
    let within = several.into_iter().map(|(thread, side)| Group {
        candidates: by_sender(thread),
        said: thread.said.iter().collect(),
        side: *side,
    });
    let mut groups = within.collect::<Vec<_>>();
    // Threads of one task stand on one side.
    if let Some((_, side)) = single.first() {
        let candidates = single.iter().map(|(thread, _)| Candidate {
            thread: thread.index,
            path: Path::of(thread, |_| None, Line::of),
            said: thread.said.iter().filter(|judgement| is_rating(judgement)).collect(),
        });
        let said = single.iter().flat_map(|(thread, _)| thread.said).filter(|judgement| !is_rating(judgement));
        groups.push(Group { candidates: candidates.collect(), said: said.collect(), side: **side });
    }
    for group in &mut groups {
        group.candidates.retain(|candidate| candidate.first_answer().is_some());
    }
    let is_judged = |group: &Group<'_>| {
        !group.said.is_empty() || group.candidates.iter().any(|candidate| !candidate.said.is_empty())
    };
    groups.retain(is_judged);
    groups
}

/// Whether a judgement rates one conversation; others name one of several.
fn is_rating(judgement: &Judgement<'_>) -> bool {
    matches!(judgement.value, Some(Value::Number(_) | Value::Boolean(_)))
}

/// Whether a turn of a thread has several answers.
fn has_choice(thread: &Thread<'_>) -> bool {
    thread.turns.iter().any(|turn| turn.answers.len() > 1)
}

/// What each one said who answers in every turn of a thread.
fn by_sender<'t>(thread: &'t Thread<'t>) -> Vec<Candidate<'t>> {
    let place = |turn: &Turn<'_>, sender: &str| turn.answers.iter().position(|answer| answer.sender() == Some(sender));
    let answered = || thread.turns.iter().filter(|turn| !turn.answers.is_empty());
    let mut senders: Vec<&str> = answered().flat_map(|turn| turn.answers.iter().filter_map(Message::sender)).collect();
    let mut seen = HashSet::new();
    senders.retain(|sender| seen.insert(*sender) && answered().all(|turn| place(turn, sender).is_some()));
    let of = |sender: &str| Candidate {
        thread: thread.index,
        path: Path::of(thread, |turn| place(turn, sender), Line::of),
        said: Vec::new(),
    };
    senders.into_iter().map(of).collect()
}

impl<'t> Candidate<'t> {
    /// A message that tells who answers in it.
    fn first_answer(&self) -> Option<&'t Message<'t>> {
        let step = self.path.steps.iter().find(|step| !step.turn.answers.is_empty())?;
        step.turn.answers.get(step.went_on?)
    }

    /// Its lines up to the first answer, and those behind up to the last one.
    fn parts(&self) -> Option<(&[Line<'t>], &[Line<'t>])> {
        let first = self.path.lines.iter().position(|line| line.message.is_answer())?;
        let last = self.path.lines.iter().rposition(|line| line.message.is_answer())?;
        Some((self.path.lines.get(..first)?, self.path.lines.get(first..=last)?))
    }
}

impl<'t> Group<'t> {
    fn judged(&self, rules: Rules<'_>) -> Judged {
        let messages = self.candidates.iter().filter_map(Candidate::first_answer).collect::<Vec<_>>();
        let of_each = self.candidates.iter().map(|candidate| candidate.said.clone()).collect::<Vec<_>>();
        let rubric_scores = vec![Vec::new(); self.candidates.len()];
        rules.judge.judged(&Candidates {
            messages: &messages,
            said: &self.said,
            of_each: &of_each,
            rubric_scores: (&rubric_scores, None),
        })
    }

    /// The row of two conversations, the better one first; with its thread.
    fn row<'m: 't>(
        &self,
        rules: Rules<'m>,
        facts: &'t TaskFacts<'t>,
        judged: &Judged,
        (pair, verdict): ([usize; 2], Verdict),
    ) -> (i32, Result<Pieces<'t>, Reason>) {
        let [Some(chosen), Some(rejected)] = pair.map(|index| self.candidates.get(index)) else {
            return (0, Err(Reason::NoChoice));
        };
        let row = || {
            rules.check_margin(verdict)?;
            let (prompt, good, bad) = compared(chosen, rejected)?;
            for line in good.iter().chain(bad).filter(|line| line.message.is_answer()) {
                rules.check_model(line.message)?;
            }
            let said = |lines: &[Line<'t>]| lines.iter().map(|line| rules.said(line)).collect::<Result<Vec<_>, _>>();
            let answer = Answer::Pair { chosen: said(good)?, rejected: said(bad)?, verdict };
            let model = |of: &Candidate<'t>| of.first_answer().and_then(Message::sender);
            let words = self.said.iter().chain(&chosen.said).chain(&rejected.said).copied();
            let home = Home { task: facts, thread: chosen.thread, side: self.side, number: 0 };
            let source = Source {
                chosen_model: model(chosen),
                rejected_model: model(rejected),
                scores: rules.scores(judged, pair[0], Some(pair[1])),
                justification: rules.justification(words),
                ..rules.home_of(home)
            };
            Ok((rules.prompt(prompt)?, answer, source))
        };
        (chosen.thread, row())
    }
}

/// A prompt, and what was said behind it by each.
type Compared<'c, 't> = (&'c [Line<'t>], &'c [Line<'t>], &'c [Line<'t>]);

/// What two conversations share, and what they don't; they must begin alike.
fn compared<'c, 't>(chosen: &'c Candidate<'t>, rejected: &'c Candidate<'t>) -> Result<Compared<'c, 't>, Reason> {
    if !chosen.path.unclear.is_empty() || !rejected.path.unclear.is_empty() {
        return Err(Reason::UnclearHistory);
    }
    let (Some((prompt, good)), Some((other_prompt, bad))) = (chosen.parts(), rejected.parts()) else {
        return Err(Reason::UnclearHistory);
    };
    let is_same = |one: &[Line<'t>], other: &[Line<'t>]| {
        let words = |line: &Line<'t>| (line.message.role, line.text);
        one.iter().map(words).eq(other.iter().map(words))
    };
    check_line_each(good)?;
    check_line_each(bad)?;
    match (is_same(prompt, other_prompt), is_same(good, bad)) {
        (false, _) => Err(Reason::OtherPrompt),
        (true, true) => Err(Reason::SameText),
        (true, false) => Ok((prompt, good, bad)),
    }
}

fn check_line_each(lines: &[Line<'_>]) -> Result<(), Reason> {
    lines.iter().try_for_each(check_line)
}
