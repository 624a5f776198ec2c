//! What is counted of the parts of a lake.

use std::collections::BTreeMap;

use bumpalo::Bump;
use chrono::{DateTime, NaiveDate};

use crate::annotations::Value;
use crate::error::Result;
use crate::judged::{Apart, Conversations, Judgement, Message, Rows, Task};
use crate::part::PartEntry;
use crate::store::Store;
use crate::table::Scope;
use crate::table::catalog::annotations::Row;
use crate::table::catalog::{rubric_evaluations, task_errors, tasks, threads};

/// Some tasks, and what is in them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub tasks: u64,
    pub turns: u64,
    pub messages: u64,
    pub annotations: u64,
    pub errors: u64,
}

/// Some messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    pub messages: u64,
    pub chars: u64,
}

/// Numbers, those of a task together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clustered {
    pub count: u64,
    pub tasks: u64,
    sum: f64,
    /// Of the tasks' sums and counts: squares and products.
    sums_squared: f64,
    sums_by_counts: f64,
    counts_squared: f64,
}

/// Tasks from which on an interval is told.
pub(super) const FEW_TASKS: u64 = 10;

/// 95 % of a normal distribution lie within so many standard errors.
pub(super) const DEVIATIONS: f64 = 1.96;

impl Clustered {
    /// Takes in the numbers of a task.
    fn observe(&mut self, numbers: &[f64]) {
        let (sum, count) = (numbers.iter().sum::<f64>(), numbers.len() as f64);
        self.count += numbers.len() as u64;
        self.tasks += 1;
        self.sum += sum;
        self.sums_squared += sum * sum;
        self.sums_by_counts += sum * count;
        self.counts_squared += count * count;
    }

    fn merge(&mut self, other: Clustered) {
        self.count += other.count;
        self.tasks += other.tasks;
        self.sum += other.sum;
        self.sums_squared += other.sums_squared;
        self.sums_by_counts += other.sums_by_counts;
        self.counts_squared += other.counts_squared;
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Where the mean lies with 95 % confidence, if what stands in one task counts together.
    pub(super) fn interval(&self) -> Option<[f64; 2]> {
        if self.tasks < FEW_TASKS {
            return None;
        }
        let (mean, tasks) = (self.mean(), self.tasks as f64);
        let squares = self.sums_squared - 2.0 * mean * self.sums_by_counts + mean * mean * self.counts_squared;
        let error = (squares.max(0.0) * tasks / (tasks - 1.0)).sqrt() / self.count as f64;
        Some([mean - DEVIATIONS * error, mean + DEVIATIONS * error])
    }
}

/// Where a class begins, and its name: of turns in a thread.
pub(super) const TURNS: [(i64, &str); 6] =
    [(0, "0"), (1, "1"), (2, "2"), (3, "3 to 5"), (6, "6 to 10"), (11, "above 10")];
/// Of characters in a message.
pub(super) const CHARS: [(i64, &str); 7] = [
    (0, "0"),
    (1, "1 to 99"),
    (100, "100 to 499"),
    (500, "500 to 999"),
    (1_000, "1,000 to 1,999"),
    (2_000, "2,000 to 4,999"),
    (5_000, "5,000 and more"),
];
/// Of seconds from a task's creation to its completion.
pub(super) const SECONDS: [(i64, &str); 8] = [
    (i64::MIN, "before its creation"),
    (0, "under 1 hour"),
    (3_600, "1 to 4 hours"),
    (14_400, "4 to 24 hours"),
    (86_400, "1 to 3 days"),
    (259_200, "3 to 7 days"),
    (604_800, "7 to 30 days"),
    (2_592_000, "above 30 days"),
];

/// The class that a number is of.
fn class(classes: &[(i64, &str)], number: i64) -> usize {
    classes.iter().rposition(|(from, _)| number >= *from).unwrap_or_default()
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub all: Totals,
    pub projects: BTreeMap<Option<String>, Totals>,
    /// By batch and project.
    pub batches: BTreeMap<(Option<String>, Option<String>), Totals>,
    /// Tasks by the day of their completion.
    pub days: BTreeMap<NaiveDate, u64>,
    pub statuses: BTreeMap<Option<String>, u64>,
    pub errors: BTreeMap<Option<String>, u64>,
    pub reported: u64,
    pub newest: Option<i64>,
    /// By their class.
    pub waits: BTreeMap<usize, u64>,
    pub turns: BTreeMap<usize, u64>,
    /// Messages by role and class of their characters.
    pub lengths: BTreeMap<(Option<String>, usize), u64>,
    pub roles: BTreeMap<Option<String>, Lengths>,
    /// Answers by who sent them.
    pub models: BTreeMap<Option<String>, Lengths>,
    /// By key and model.
    pub ratings: BTreeMap<(String, String), Clustered>,
    /// Scores by rubrics, by model.
    pub rubrics: BTreeMap<String, Clustered>,
}

impl Counted {
    pub(super) fn of(store: &dyn Store, part: &PartEntry) -> Result<Counted> {
        let (mut counted, arena) = (Counted::default(), Bump::new());
        let columns =
            ["project_id", "batch_id", "status", "created_at", "completed_at", "sensitive_content_report_count"];
        Rows::<tasks::Reader>::open(store, part, &tasks::TABLE, &columns)?
            .all(&arena)
            .for_each(|row| counted.task(&row));
        for row in Rows::<task_errors::Reader>::open(store, part, &task_errors::TABLE, &["type"])?.all(&arena) {
            *counted.errors.entry(row.r#type.map(str::to_owned)).or_default() += 1;
        }
        for row in Rows::<threads::Reader>::open(store, part, &threads::TABLE, &["turn_count"])?.all(&arena) {
            let turns = class(&TURNS, i64::from(row.turn_count.unwrap_or_default()));
            *counted.turns.entry(turns).or_default() += 1;
        }
        counted.conversations(store, part)?;
        Ok(counted)
    }

    fn task(&mut self, row: &tasks::Row<'_>) {
        let [project, batch, status] = [row.project_id, row.batch_id, row.status].map(|text| text.map(str::to_owned));
        let own = Totals {
            tasks: 1,
            turns: row.turn_count.max(0) as u64,
            messages: row.message_count.max(0) as u64,
            annotations: row.annotation_count.max(0) as u64,
            errors: u64::from(row.status == Some("error")),
        };
        self.all.add(own);
        self.projects.entry(project.clone()).or_default().add(own);
        self.batches.entry((batch, project)).or_default().add(own);
        *self.statuses.entry(status).or_default() += 1;
        self.reported += u64::from(row.sensitive_content_report_count.unwrap_or_default() > 0);
        self.newest = self.newest.max(row.completed_at);
        if let Some(day) = row.completed_at.and_then(DateTime::from_timestamp_micros) {
            *self.days.entry(day.date_naive()).or_default() += 1;
        }
        if let Some((created, completed)) = row.created_at.zip(row.completed_at) {
            let seconds = (completed - created).div_euclid(1_000_000);
            *self.waits.entry(class(&SECONDS, seconds)).or_default() += 1;
        }
    }

    fn conversations(&mut self, store: &dyn Store, part: &PartEntry) -> Result<()> {
        let arena = Bump::new();
        let mut scores = BTreeMap::<(&str, i32, i32, i32), Vec<f64>>::new();
        let rubrics =
            Rows::<rubric_evaluations::Reader>::open(store, part, &rubric_evaluations::TABLE, &["total_score"])?;
        for row in rubrics.all(&arena) {
            let place = (row.task_id, row.thread_index, row.turn_index, row.message_index);
            scores.entry(place).or_default().extend(row.total_score);
        }
        let is_wanted = |row: &Row<'_>| {
            row.scope == Scope::Message.word()
                && row.key.is_some()
                && row.value_number.is_some()
                && row.value_score.is_none()
        };
        let mut each = |task: &Task<'_>| {
            let mut of_task = OfTask::default();
            for thread in &task.threads {
                for turn in &thread.turns {
                    for message in turn.before.iter().chain(&turn.answers).chain(&turn.after) {
                        self.message(message, &mut of_task);
                        let scores = scores.get(&(task.id, thread.index, turn.index, message.index));
                        if let Some((sender, scores)) = message.sender().zip(scores) {
                            of_task.rubrics.entry(sender.to_owned()).or_default().extend(scores);
                        }
                    }
                }
            }
            let observed = |numbers: &Vec<f64>| !numbers.is_empty();
            for (place, numbers) in of_task.ratings.into_iter().filter(|(_, numbers)| observed(numbers)) {
                self.ratings.entry(place).or_default().observe(&numbers);
            }
            for (model, numbers) in of_task.rubrics.into_iter().filter(|(_, numbers)| observed(numbers)) {
                self.rubrics.entry(model).or_default().observe(&numbers);
            }
            Ok(())
        };
        let mut elsewhere = |_: &Judgement<'_>| {};
        Conversations::open(store, part, Apart::default())?.each_task(&is_wanted, &mut each, &mut elsewhere)
    }

    fn message(&mut self, message: &Message<'_>, of_task: &mut OfTask) {
        let role = message.role.map(str::to_owned);
        let chars = message.text.map_or(0, |text| text.chars().count() as u64);
        *self.lengths.entry((role.clone(), class(&CHARS, chars as i64))).or_default() += 1;
        self.roles.entry(role).or_default().add(Lengths { messages: 1, chars });
        if !message.is_answer() {
            return;
        }
        let sender = message.sender().map(str::to_owned);
        self.models.entry(sender.clone()).or_default().add(Lengths { messages: 1, chars });
        for judgement in message.said {
            if let (Some(key), Some(sender), Some(Value::Number(number))) = (judgement.key, &sender, &judgement.value) {
                of_task.ratings.entry((key.to_owned(), sender.clone())).or_default().push(*number);
            }
        }
    }

    /// Takes in what was counted of other parts. Every field is named, so that none is forgotten.
    pub(super) fn merge(&mut self, other: Counted) {
        let Counted {
            all,
            projects,
            batches,
            days,
            statuses,
            errors,
            reported,
            newest,
            waits,
            turns,
            lengths,
            roles,
            models,
            ratings,
            rubrics,
        } = other;
        self.all.add(all);
        projects.into_iter().for_each(|(of, totals)| self.projects.entry(of).or_default().add(totals));
        batches.into_iter().for_each(|(of, totals)| self.batches.entry(of).or_default().add(totals));
        roles.into_iter().for_each(|(of, lengths)| self.roles.entry(of).or_default().add(lengths));
        models.into_iter().for_each(|(of, lengths)| self.models.entry(of).or_default().add(lengths));
        ratings.into_iter().for_each(|(of, numbers)| self.ratings.entry(of).or_default().merge(numbers));
        rubrics.into_iter().for_each(|(of, numbers)| self.rubrics.entry(of).or_default().merge(numbers));
        add(&mut self.days, days);
        add(&mut self.statuses, statuses);
        add(&mut self.errors, errors);
        add(&mut self.waits, waits);
        add(&mut self.turns, turns);
        add(&mut self.lengths, lengths);
        self.reported += reported;
        self.newest = self.newest.max(newest);
    }
}

/// The numbers of a task.
#[derive(Default)]
struct OfTask {
    ratings: BTreeMap<(String, String), Vec<f64>>,
    rubrics: BTreeMap<String, Vec<f64>>,
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, counts: BTreeMap<K, u64>) {
    counts.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.tasks += other.tasks;
        self.turns += other.turns;
        self.messages += other.messages;
        self.annotations += other.annotations;
        self.errors += other.errors;
    }
}

impl Lengths {
    fn add(&mut self, other: Lengths) {
        self.messages += other.messages;
        self.chars += other.chars;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_that_of_the_tasks_and_not_of_the_numbers() {
        let mut clustered = Clustered::default();
        let tasks = (0..20).map(|task| vec![f64::from(task % 3); 1 + task as usize % 4]).collect::<Vec<_>>();
        let (halves, mut other) = (tasks.split_at(7), Clustered::default());
        halves.0.iter().for_each(|numbers| clustered.observe(numbers));
        halves.1.iter().for_each(|numbers| other.observe(numbers));
        clustered.merge(other);
        let all = tasks.concat();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let residual = |numbers: &Vec<f64>| numbers.iter().map(|number| number - mean).sum::<f64>().powi(2);
        let squares = tasks.iter().map(residual).sum::<f64>();
        let error = (squares * 20.0 / 19.0).sqrt() / all.len() as f64;
        let [low, high] = clustered.interval().unwrap();
        assert!((clustered.mean() - mean).abs() < 1e-12);
        assert!((low - (mean - 1.96 * error)).abs() < 1e-9 && (high - (mean + 1.96 * error)).abs() < 1e-9);
    }

    #[test]
    fn classes_begin_where_they_say() {
        let name = |number| CHARS[class(&CHARS, number)].1;
        assert_eq!(
            [0, 1, 99, 100, 4_999, 5_000].map(name),
            ["0", "1 to 99", "1 to 99", "100 to 499", "2,000 to 4,999", "5,000 and more"]
        );
        assert_eq!(SECONDS[class(&SECONDS, -5)].1, "before its creation");
    }
}
