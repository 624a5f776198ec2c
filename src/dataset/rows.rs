//! From conversations to rows.

use std::collections::HashSet;
use std::convert::Infallible;

use super::beside::{Beside, TaskFacts};
use super::example::{Answer, ChatMessage, Criterion, Example, Score, Source, chars, prompt_hash};
use super::judge::{Candidates, Judge, Judged, is_criterion};
use super::layout::Chat;
use super::options::DatasetOptions;
use super::path::{Line, Path, Step, check_line, check_prompt};
use super::report::Reason;
use super::rubric;
use super::side::Side;
use super::tokens::Tokens;
use super::votes::Verdict;
use crate::error::Result;
use crate::judged::{self, Judgement, Message, Turn};

/// What rows are made by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'m> {
    pub options: &'m DatasetOptions,
    pub judge: &'m Judge<'m>,
    pub beside: &'m Beside<'m>,
    pub lake_version: u64,
    pub models: &'m HashSet<&'m str>,
    pub tokens: Option<&'m Tokens>,
}

/// The conversation that is at hand.
#[derive(Clone, Copy)]
pub(super) struct Home<'t> {
    pub task: &'t TaskFacts<'t>,
    pub thread: i32,
    pub side: Side,
    /// Which task of the part it is.
    pub number: usize,
}

/// What a row is made of.
pub(super) type Pieces<'t> = (Vec<ChatMessage<'t>>, Answer<'t>, Source<'t>);

/// A row that is ready.
pub(super) struct Row<'t> {
    pub example: Example<'t>,
    pub prompt: u128,
    pub chars: u64,
    pub tokens: u64,
}

/// Rows, or why there is none.
pub(super) type Rows<'t> = Vec<Result<Pieces<'t>, Reason>>;

impl<'m> Rules<'m> {
    /// A message with the text that it has in a conversation.
    pub(super) fn line<'t>(self, message: &'t Message<'t>) -> Line<'t> {
        match self.judge.rewritten(message) {
            Some(text) => Line { message, text },
            None => Line::of(message),
        }
    }

    /// Whether a turn would have rows if its history were known.
    pub(super) fn is_asked(self, thread: i32, turn: &Turn<'_>) -> bool {
        let is_scored = |answer: &Message<'_>| {
            let place = (turn.task_id, thread, Some(turn.index), Some(answer.index));
            self.beside.evaluations.contains_key(&place)
                || answer.said.iter().any(|judgement| judgement.score.is_some())
        };
        self.judge.is_asked(turn) || self.judge.has_rubrics() && turn.answers.iter().any(is_scored)
    }

    /// What is said of a turn's answers.
    pub(super) fn judged(self, turn: &Turn<'_>, home: Home<'_>) -> Judged {
        let of_each = turn.answers.iter().map(|answer| answer.said.iter().collect()).collect::<Vec<Vec<_>>>();
        let (rubric_scores, scored) = match self.judge.has_rubrics() {
            true => rubric::scores(home.thread, turn, self.beside),
            false => (vec![Vec::new(); turn.answers.len()], None),
        };
        self.judge.judged(&Candidates {
            messages: &turn.answers.iter().collect::<Vec<_>>(),
            said: &turn.said.iter().collect::<Vec<_>>(),
            of_each: &of_each,
            rubric_scores: (&rubric_scores, scored),
        })
    }

    /// The answer of a turn to learn.
    pub(super) fn good(self, step: &Step<'_>, judged: &Judged) -> Result<usize, Reason> {
        let aggregate = self.options.aggregate;
        let answer = match (step.turn.answers.len(), self.options.by.is_empty()) {
            (1, true) => 0,
            // Nothing stands beside it: it must have been rated, or chosen.
            (1, false) if judged.votes.is_judged(0) => 0,
            (1, false) => return Err(Reason::Unjudged),
            (_, true) => step.went_on.ok_or(Reason::NoChoice)?,
            (_, false) => judged.votes.best(aggregate)?,
        };
        let Some(threshold) = self.options.threshold else { return Ok(answer) };
        let verdicts = judged.votes.reaches(answer, Some(threshold), aggregate)?;
        if verdicts.iter().all(|verdict| verdict.is_first) { Ok(answer) } else { Err(Reason::BelowThreshold) }
    }

    pub(super) fn conversation<'t>(
        self,
        path: &Path<'t>,
        step: &Step<'t>,
        (judged, answer): (&Judged, usize),
        home: Home<'t>,
    ) -> Result<Pieces<'t>, Reason>
    where
        'm: 't,
    {
        let message = step.turn.answers.get(answer).ok_or(Reason::NoChoice)?;
        self.check_model(message)?;
        let prompt = self.prompt(path.prompt(step))?;
        let answer_said = self.said(&self.line(message))?;
        Ok((prompt, Answer::Good(answer_said), self.source(step, judged, (answer, None), home)))
    }

    /// A row for each two answers of which one is better.
    pub(super) fn pairs<'t>(self, path: &Path<'t>, step: &Step<'t>, home: Home<'t>) -> Rows<'t>
    where
        'm: 't,
    {
        let judged = self.judged(step.turn, home);
        let count = step.turn.answers.len();
        if count == 1 {
            let why = Err(Reason::Judgement(judged::Reason::NoOtherAnswer));
            return judged.votes.is_judged(0).then_some(why).into_iter().collect();
        }
        let mut rows = Vec::new();
        for (one, other) in (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))) {
            match judged.votes.compare(one, other, self.options.aggregate) {
                Ok(verdicts) => rows.extend(verdicts.into_iter().map(|verdict| {
                    let [chosen, rejected] = if verdict.is_first { [one, other] } else { [other, one] };
                    self.pair(path, step, &judged, ([chosen, rejected], verdict), home)
                })),
                Err(reason) => rows.push(Err(reason)),
            }
        }
        if rows.is_empty() && !self.judge.is_asked(step.turn) {
            // Nobody said anything of them.
            rows.push(Err(Reason::Unjudged));
        }
        rows
    }

    fn pair<'t>(
        self,
        path: &Path<'t>,
        step: &Step<'t>,
        judged: &Judged,
        ([chosen, rejected], verdict): ([usize; 2], Verdict),
        home: Home<'t>,
    ) -> Result<Pieces<'t>, Reason>
    where
        'm: 't,
    {
        let answers = [chosen, rejected].map(|answer| step.turn.answers.get(answer));
        let [Some(good), Some(bad)] = answers else { return Err(Reason::NoChoice) };
        self.check_model(good)?;
        self.check_model(bad)?;
        self.check_margin(verdict)?;
        if good.text == bad.text {
            return Err(Reason::SameText);
        }
        let prompt = self.prompt(path.prompt(step))?;
        let said = |answer| Ok(vec![self.said(&Line::of(answer))?]);
        let answer = Answer::Pair { chosen: said(good)?, rejected: said(bad)?, verdict };
        Ok((prompt, answer, self.source(step, judged, (chosen, Some(rejected)), home)))
    }

    /// A row an answer that is good or not.
    pub(super) fn labelled<'t>(self, path: &Path<'t>, step: &Step<'t>, home: Home<'t>) -> Rows<'t>
    where
        'm: 't,
    {
        let judged = self.judged(step.turn, home);
        let mut rows = Vec::new();
        for (index, message) in step.turn.answers.iter().enumerate() {
            let is_alone = step.turn.answers.iter().filter(|other| other.text == message.text).count() == 1;
            let row = |verdict| {
                self.check_model(message)?;
                // The same text may be good and not good.
                if !is_alone {
                    return Err(Reason::SameText);
                }
                let prompt = self.prompt(path.prompt(step))?;
                let answer = Answer::Labelled { said: self.said(&Line::of(message))?, verdict };
                Ok((prompt, answer, self.source(step, &judged, (index, None), home)))
            };
            match judged.votes.reaches(index, self.options.threshold, self.options.aggregate) {
                Ok(verdicts) => rows.extend(verdicts.into_iter().map(row)),
                Err(reason) => rows.push(Err(reason)),
            }
        }
        rows
    }

    /// A prompt without an answer.
    pub(super) fn open<'t>(self, path: &Path<'t>, step: &Step<'t>, home: Home<'t>) -> Result<Pieces<'t>, Reason>
    where
        'm: 't,
    {
        let turn = step.turn;
        if turn.before.iter().all(|message| message.role != Some("user")) {
            return Err(Reason::NoPrompt);
        }
        let place = |message| (turn.task_id, home.thread, Some(turn.index), message);
        let of = |message: &Message<'_>| self.beside.references.get(&place(Some(message.index)));
        let references = turn.before.iter().filter_map(of).flatten().copied().collect();
        let of_annotations = turn.said.iter().filter(|judgement| is_criterion(judgement)).map(|judgement| Criterion {
            id: judgement.id,
            criterion: judgement.title,
            weight: judgement.weight,
        });
        let of_rubrics = self.beside.criteria.get(&place(None)).into_iter().flatten().cloned();
        let answer = Answer::Open { references, rubric: of_rubrics.chain(of_annotations).collect() };
        Ok((self.prompt(path.prompt(step))?, answer, Source { turn_index: Some(turn.index), ..self.home_of(home) }))
    }

    pub(super) fn check_margin(self, verdict: Verdict) -> Result<(), Reason> {
        let is_small = verdict.margin.zip(self.options.min_margin).is_some_and(|(margin, least)| margin < least - 1e-9);
        if is_small { Err(Reason::SmallMargin) } else { Ok(()) }
    }

    pub(super) fn check_model(self, message: &Message<'_>) -> Result<(), Reason> {
        let is_meant = self.models.is_empty() || message.sender().is_some_and(|sender| self.models.contains(sender));
        if is_meant { Ok(()) } else { Err(Reason::OtherModel) }
    }

    fn chat(self) -> Chat {
        Chat { target: self.options.target, method: self.options.method, reasoning: self.options.reasoning }
    }

    pub(super) fn prompt<'t>(self, lines: &[Line<'t>]) -> Result<Vec<ChatMessage<'t>>, Reason> {
        check_prompt(lines, self.options.carries_images)?;
        self.chat().all(lines)
    }

    pub(super) fn said<'t>(self, line: &Line<'t>) -> Result<ChatMessage<'t>, Reason> {
        check_line(line)?;
        self.chat().said(line)
    }

    pub(super) fn home_of<'t>(self, home: Home<'t>) -> Source<'t>
    where
        'm: 't,
    {
        Source {
            task_id: home.task.id,
            project_id: home.task.project_id,
            batch_id: home.task.batch_id,
            thread_index: home.thread,
            by: &self.options.by,
            lake_version: self.lake_version,
            ..Source::default()
        }
    }

    fn source<'t>(
        self,
        step: &Step<'t>,
        judged: &Judged,
        (chosen, rejected): (usize, Option<usize>),
        home: Home<'t>,
    ) -> Source<'t>
    where
        'm: 't,
    {
        let answer = |index: usize| step.turn.answers.get(index);
        let [good, bad] = [answer(chosen), rejected.and_then(answer)];
        let said = step.turn.said.iter().chain([good, bad].into_iter().flatten().flat_map(|message| message.said));
        Source {
            turn_index: Some(step.turn.index),
            chosen_index: good.map(|message| message.index),
            rejected_index: bad.map(|message| message.index),
            chosen_model: good.and_then(Message::sender),
            rejected_model: bad.and_then(Message::sender),
            scores: self.scores(judged, chosen, rejected),
            justification: self.justification(said),
            ..self.home_of(home)
        }
    }

    pub(super) fn scores(self, judged: &Judged, chosen: usize, rejected: Option<usize>) -> Vec<Score<'m>> {
        let scores = self.options.by.iter().zip(&judged.means).map(|(by, means)| {
            let of = |index: usize| means.get(index).copied().flatten();
            Score { key: &by.key, chosen: of(chosen), rejected: rejected.and_then(of) }
        });
        scores.filter(|score| score.chosen.is_some()).collect()
    }

    /// Why people judged so, in their words.
    pub(super) fn justification<'j>(self, said: impl Iterator<Item = &'j Judgement<'j>>) -> Option<String> {
        let is_by = |key: Option<&str>| self.options.by.iter().any(|by| key == Some(by.key.as_str()));
        let words = said.filter(|judgement| is_by(judgement.key)).filter_map(|judgement| judgement.justification);
        let words = words.filter(|words| !words.trim().is_empty()).collect::<Vec<_>>();
        (!words.is_empty()).then(|| words.join("\n\n"))
    }

    /// A row that is as was asked for, and that the target can take.
    pub(super) fn checked<'t>(self, pieces: Result<Pieces<'t>, Reason>) -> Result<Result<Row<'t>, Reason>> {
        let (prompt, answer, source) = match pieces {
            Ok(pieces) => pieces,
            Err(reason) => return Ok(Err(reason)),
        };
        let example = Example { prompt, answer, source };
        if let Err(reason) = self.chat().check(&example) {
            return Ok(Err(reason));
        }
        let Ok(chars) = example.size(|said| Ok::<_, Infallible>(chars(said)));
        let tokens = self.tokens.map(|tokens| example.size(|said| tokens.count(said))).transpose()?.unwrap_or_default();
        let is_fit = chars.is_within(self.options.min_chars, self.options.max_chars)
            && tokens.is_within(self.options.min_tokens, self.options.max_tokens);
        if !is_fit {
            return Ok(Err(Reason::Length));
        }
        let prompt = prompt_hash(&example.prompt);
        let source = Source { prompt_hash: format!("{prompt:032x}"), ..example.source };
        Ok(Ok(Row { example: Example { source, ..example }, prompt, chars: chars.all, tokens: tokens.all }))
    }
}
