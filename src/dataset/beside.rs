//! What stands beside the conversations of a part: their tasks, reference texts and rubrics.

use std::collections::HashMap;

use bumpalo::Bump;

use super::example::Criterion;
use super::judge::weighted;
use crate::error::Result;
use crate::judged::{Place, Rows};
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::catalog::{criterion_evaluations, reference_texts, rubric_criteria, rubric_evaluations, tasks};

/// The files.
pub(super) struct Files {
    tasks: Rows<tasks::Reader>,
    references: Rows<reference_texts::Reader>,
    criteria: Rows<rubric_criteria::Reader>,
    evaluations: Rows<rubric_evaluations::Reader>,
    scores: Rows<criterion_evaluations::Reader>,
    arena: Bump,
}

/// A task.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskFacts<'f> {
    pub id: &'f str,
    pub project_id: Option<&'f str>,
    pub batch_id: Option<&'f str>,
    pub status: Option<&'f str>,
    /// In microseconds.
    pub completed_at: Option<i64>,
    pub metadata: Option<&'f str>,
    pub is_reported: bool,
}

impl<'f> TaskFacts<'f> {
    fn of(row: tasks::Row<'f>) -> TaskFacts<'f> {
        TaskFacts {
            id: row.task_id,
            project_id: row.project_id,
            batch_id: row.batch_id,
            status: row.status,
            completed_at: row.completed_at,
            metadata: row.metadata,
            is_reported: row.sensitive_content_report_count.unwrap_or_default() > 0,
        }
    }
}

/// What they hold, by where it stands.
pub(super) struct Beside<'f> {
    pub tasks: HashMap<&'f str, TaskFacts<'f>>,
    /// The reference texts of a message.
    pub references: HashMap<Place<'f>, Vec<&'f str>>,
    /// The criteria of a turn.
    pub criteria: HashMap<Place<'f>, Vec<Criterion<'f>>>,
    /// The scores of a message, one an evaluation.
    pub rubric_scores: HashMap<Place<'f>, Vec<f64>>,
}

/// What is read of each, beside positions.
const TASKS: [&str; 6] =
    ["project_id", "batch_id", "status", "completed_at", "metadata", "sensitive_content_report_count"];
const REFERENCES: [&str; 1] = ["content"];
const CRITERIA: [&str; 3] = ["criterion_definition_id", "criterion", "weight"];
const EVALUATIONS: [&str; 1] = ["total_score"];
const SCORES: [&str; 2] = ["criterion_definition_id", "score"];

impl Files {
    pub(super) fn open(store: &dyn Store, part: &PartEntry) -> Result<Files> {
        Ok(Files {
            tasks: Rows::open(store, part, &tasks::TABLE, &TASKS)?,
            references: Rows::open(store, part, &reference_texts::TABLE, &REFERENCES)?,
            criteria: Rows::open(store, part, &rubric_criteria::TABLE, &CRITERIA)?,
            evaluations: Rows::open(store, part, &rubric_evaluations::TABLE, &EVALUATIONS)?,
            scores: Rows::open(store, part, &criterion_evaluations::TABLE, &SCORES)?,
            arena: Bump::new(),
        })
    }

    pub(super) fn read(&self) -> Beside<'_> {
        let tasks = self.tasks.all(&self.arena).map(|row| (row.task_id, TaskFacts::of(row))).collect();
        let mut references = HashMap::<Place<'_>, Vec<&str>>::new();
        for row in self.references.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            references.entry(place).or_default().extend(row.content.filter(|content| !content.is_empty()));
        }
        let mut criteria = HashMap::<Place<'_>, Vec<Criterion<'_>>>::new();
        for row in self.criteria.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), None);
            let criterion = Criterion { id: row.criterion_definition_id, criterion: row.criterion, weight: row.weight };
            criteria.entry(place).or_default().push(criterion);
        }
        let rubric_scores = self.rubric_scores(&criteria);
        Beside { tasks, references, criteria, rubric_scores }
    }

    /// Of each evaluation the mean of its criteria's scores by their weights, or else its total.
    fn rubric_scores<'f>(&'f self, criteria: &HashMap<Place<'f>, Vec<Criterion<'f>>>) -> HashMap<Place<'f>, Vec<f64>> {
        let mut scores = HashMap::<(Place<'_>, i32), Vec<(f64, f64)>>::new();
        for row in self.scores.all(&self.arena) {
            let Some(score) = row.score else { continue };
            let of_turn = criteria.get(&(row.task_id, row.thread_index, Some(row.turn_index), None));
            // Ids repeat from rubric to rubric: the first criterion of a turn counts.
            let criterion = of_turn.into_iter().flatten().find(|criterion| criterion.id == row.criterion_definition_id);
            let weight = criterion.and_then(|criterion| criterion.weight).unwrap_or(1.0);
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            scores.entry((place, row.rubric_evaluation_index)).or_default().push((weight, score));
        }
        let mut of_messages = HashMap::<Place<'_>, Vec<f64>>::new();
        for row in self.evaluations.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            let own = scores.get(&(place, row.rubric_evaluation_index)).and_then(|scores| weighted(scores));
            of_messages.entry(place).or_default().extend(own.or(row.total_score));
        }
        of_messages
    }
}
