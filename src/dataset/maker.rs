//! Tasks of a part, one by one, to its rows.

use xxhash_rust::xxh3::xxh3_128;

use super::beside::TaskFacts;
use super::encode::Encoder;
use super::example::Source;
use super::options::{DatasetOptions, Method, Turns};
use super::path::{Path, Step};
use super::report::Reason;
use super::rows::{Home, Pieces, Row, Rules};
use super::side::{Side, sides};
use crate::error::Result;
use crate::judged::{Task, Thread};

/// What the writer has to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub prompt: u128,
    /// The turn that it is of.
    pub turn: u128,
    pub side: Side,
    pub chars: u64,
    pub tokens: u64,
    /// Which task of the part it is of.
    pub task: usize,
}

/// Takes the rows of a part.
pub(super) struct Maker<'m> {
    rules: Rules<'m>,
    encoder: Encoder,
    rows: Vec<Known>,
    tasks: usize,
}

impl<'m> Maker<'m> {
    pub(super) fn new(rules: Rules<'m>, encoder: Encoder) -> Maker<'m> {
        Maker { rules, encoder, rows: Vec::new(), tasks: 0 }
    }

    pub(super) fn into_rows(self) -> (Encoder, Vec<Known>) {
        (self.encoder, self.rows)
    }

    pub(super) fn task(&mut self, task: &Task<'_>) -> Result<()> {
        let rules = self.rules;
        let Some(facts) = rules.beside.tasks.get(task.id) else { return Ok(()) };
        if let Err(reason) = selected(facts, rules.options) {
            rules.judge.leave_out(reason);
            return Ok(());
        }
        let number = self.tasks;
        self.tasks += 1;
        let (sides, has_metadata) = sides(task, facts, rules.options);
        rules.judge.met.borrow_mut().has_metadata |= has_metadata;
        for (thread, side) in task.threads.iter().zip(&sides) {
            let home = Home { task: facts, thread: thread.index, side: *side, number };
            if *side == Side::Neither {
                rules.judge.leave_out(Reason::BothSides);
                continue;
            }
            self.thread(thread, home)?;
        }
        if matches!(rules.options.method, Method::Dpo | Method::Reward) {
            return super::trajectory::each(rules, task, facts, &sides, &mut |side, thread, row| {
                self.push(row, Home { task: facts, thread, side, number })
            });
        }
        let said = task.threads.iter().flat_map(|thread| thread.said);
        said.for_each(|judgement| rules.judge.misplaced(judgement));
        Ok(())
    }

    fn thread(&mut self, thread: &Thread<'_>, home: Home<'_>) -> Result<()> {
        let rules = self.rules;
        let path =
            Path::of(thread, |turn| rules.judge.went_on(turn.said, &turn.answers), |message| rules.line(message));
        let unclear = path.unclear.iter().filter(|turn| rules.is_asked(thread.index, turn));
        unclear.for_each(|_| rules.judge.leave_out(Reason::UnclearHistory));
        let is_wanted = |step: &&Step<'_>| {
            !step.turn.answers.is_empty() && (rules.options.turns == Turns::All || path.last() == Some(step.turn.index))
        };
        let is_open = rules.options.method == Method::Grpo && rules.options.turns == Turns::All;
        let steps = path.steps.iter().filter(|step| is_open || is_wanted(step)).copied().collect::<Vec<_>>();
        if rules.options.method == Method::Sft {
            return self.conversations(&path, &steps, home);
        }
        for step in &steps {
            let rows = match rules.options.method {
                Method::Grpo => vec![rules.open(&path, step, home)],
                Method::Kto => rules.labelled(&path, step, home),
                Method::Dpo | Method::Reward | Method::Sft => rules.pairs(&path, step, home),
            };
            rows.into_iter().try_for_each(|row| self.push(row, home))?;
        }
        Ok(())
    }

    /// A row a conversation; and one more for each turn with a better answer than the one that was gone on with. The last turns that can't
    /// be learnt are left out, and those before them stay.
    fn conversations(&mut self, path: &Path<'_>, steps: &[Step<'_>], home: Home<'_>) -> Result<()> {
        let mut taken = Vec::<Row<'_>>::new();
        for step in steps.iter().rev() {
            let judged = self.rules.judged(step.turn, home);
            let good = self.rules.good(step, &judged);
            // A row of a later turn holds it.
            if !taken.is_empty() && good.is_ok() && good.ok() == step.went_on {
                continue;
            }
            let pieces = good.and_then(|answer| self.rules.conversation(path, step, (&judged, answer), home));
            match self.rules.checked(pieces)? {
                Ok(row) => taken.push(row),
                Err(reason) => self.rules.judge.leave_out(reason),
            }
        }
        taken.into_iter().rev().try_for_each(|row| self.take(row, home))
    }

    /// Takes a row, or tells why there is none.
    fn push(&mut self, row: Result<Pieces<'_>, Reason>, home: Home<'_>) -> Result<()> {
        match self.rules.checked(row)? {
            Ok(row) => self.take(row, home),
            Err(reason) => {
                self.rules.judge.leave_out(reason);
                Ok(())
            }
        }
    }

    fn take(&mut self, row: Row<'_>, home: Home<'_>) -> Result<()> {
        let Row { example, prompt, chars, tokens } = row;
        let Source { task_id, thread_index, turn_index, .. } = example.source;
        let turn = xxh3_128(format!("{task_id}\0{thread_index}\0{turn_index:?}").as_bytes());
        self.encoder.push(&example)?;
        self.rows.push(Known { prompt, turn, side: home.side, chars, tokens, task: home.number });
        Ok(())
    }
}

fn selected(task: &TaskFacts<'_>, options: &DatasetOptions) -> Result<(), Reason> {
    let selection = &options.selection;
    let is_among = |wanted: &[String], found: Option<&str>| {
        wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
    };
    let has_status = match selection.statuses.is_empty() {
        true => task.status.is_none_or(|status| status == "completed"),
        false => is_among(&selection.statuses, task.status),
    };
    let is_in_time = selection.completed_from.is_none_or(|from| task.completed_at.is_some_and(|at| at >= from))
        && selection.completed_before.is_none_or(|end| task.completed_at.is_some_and(|at| at < end));
    let is_named = selection.task_ids.as_ref().is_none_or(|ids| ids.contains(task.id));
    let is_of = is_among(&selection.projects, task.project_id) && is_among(&selection.batches, task.batch_id);
    if !(has_status && is_in_time && is_named && is_of) {
        return Err(Reason::NotSelected);
    }
    if selection.excludes_reported && task.is_reported {
        return Err(Reason::Reported);
    }
    Ok(())
}
