//! What stands beside the conversations of a part: their tasks, reference texts and rubrics.

use std::collections::{BTreeMap, HashMap};

use bumpalo::Bump;

use super::example::{Criterion, Reference};
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
    pub references: HashMap<Place<'f>, Vec<Reference<'f>>>,
    /// The criteria of a turn.
    pub criteria: HashMap<Place<'f>, Vec<Criterion<'f>>>,
    /// The evaluations of a message.
    pub evaluations: HashMap<Place<'f>, Vec<Evaluation<'f>>>,
}

/// An evaluation by a rubric.
#[derive(Clone, Debug, Default)]
pub(super) struct Evaluation<'f> {
    /// Of each criterion, by its id, the sum of its scores, and how many there are.
    pub scores: BTreeMap<Option<&'f str>, (f64, u32)>,
    /// The score of it all, as delivered.
    pub total: Option<f64>,
}

impl<'f> Evaluation<'f> {
    /// Takes in the score of a criterion.
    pub(super) fn take(&mut self, criterion: Option<&'f str>, score: f64) {
        let (sum, count) = self.scores.entry(criterion).or_default();
        *sum += score;
        *count += 1;
    }
}

/// What is read of each, beside positions.
const TASKS: [&str; 6] =
    ["project_id", "batch_id", "status", "completed_at", "metadata", "sensitive_content_report_count"];
const REFERENCES: [&str; 3] = ["content", "category", "url"];
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
        let mut references = HashMap::<Place<'_>, Vec<Reference<'_>>>::new();
        for row in self.references.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            let reference = Reference { content: row.content, category: row.category, url: row.url };
            references.entry(place).or_default().push(reference);
        }
        let mut criteria = HashMap::<Place<'_>, Vec<Criterion<'_>>>::new();
        for row in self.criteria.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), None);
            let criterion = Criterion { id: row.criterion_definition_id, criterion: row.criterion, weight: row.weight };
            criteria.entry(place).or_default().push(criterion);
        }
        Beside { tasks, references, criteria, evaluations: self.evaluations() }
    }

    fn evaluations(&self) -> HashMap<Place<'_>, Vec<Evaluation<'_>>> {
        let mut evaluations = HashMap::<Place<'_>, Vec<Evaluation<'_>>>::new();
        for row in self.evaluations.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            evaluations.entry(place).or_default().push(Evaluation { total: row.total_score, ..Evaluation::default() });
        }
        for row in self.scores.all(&self.arena) {
            let place = (row.task_id, row.thread_index, Some(row.turn_index), Some(row.message_index));
            let own = evaluations.get_mut(&place);
            let own = own.and_then(|own| own.get_mut(usize::try_from(row.rubric_evaluation_index).ok()?));
            if let Some((evaluation, score)) = own.zip(row.score) {
                evaluation.take(row.criterion_definition_id, score);
            }
        }
        evaluations
    }
}
