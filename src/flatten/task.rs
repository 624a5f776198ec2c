//! A task, its threads and its turns.

use super::annotation;
use super::fields::{Fields, Workbench, count, each};
use super::hash::content_hash;
use super::place::{Flattener, MessageKey, Place, Totals};
use super::{message, rubric};
use crate::batch::Tables;
use crate::json::Member;
use crate::parse::Problem;
use crate::table::Scope;
use crate::table::catalog::{sensitive_content_reports, submissions, task_errors, tasks, threads, turns};

pub(super) fn append<'a>(task: &'a [Member<'a>], tables: &mut Tables, bench: &'a Workbench) -> Result<(), Problem> {
    Flattener { tables, bench, totals: Totals::default() }.task(task)
}

impl<'a> Flattener<'_, 'a> {
    fn task(&mut self, members: &'a [Member<'a>]) -> Result<(), Problem> {
        let mut fields = Fields::of(members, self.bench);
        let task_id = fields.text("task_id").ok_or_else(|| Problem::here("expected a string").inside(".task_id"))?;
        let project = fields.reference("project");
        let batch = fields.reference("batch");
        let status = fields.text("status");
        let created_at = fields.instant("created_at");
        let completed_at = fields.instant("completed_at");
        let metadata = fields.json("metadata");
        let thread_list = fields.children("threads")?;
        let errors = fields.children("errors")?;
        let reports = fields.children("sensitive_content_reports")?;
        each(thread_list, "threads", |thread_index, thread| {
            self.thread(Place { task_id, thread_index, ..Place::default() }, thread)
        })?;
        each(errors, "errors", |index, error| self.task_error(task_id, index, error))?;
        each(reports, "sensitive_content_reports", |index, report| self.report(task_id, index, report))?;
        let content_hash = format!("{:032x}", content_hash(members));
        let row = tasks::Row {
            task_id,
            project_id: project.id,
            project_name: project.name,
            batch_id: batch.id,
            batch_name: batch.name,
            status,
            created_at,
            completed_at,
            metadata,
            thread_count: count(thread_list),
            turn_count: self.totals.turns,
            message_count: self.totals.messages,
            annotation_count: self.totals.annotations,
            task_error_count: count(errors),
            sensitive_content_report_count: count(reports),
            content_hash: &content_hash,
            extra: fields.rest([("project", project.fields), ("batch", batch.fields)]),
        };
        Ok(self.tables.tasks.push(row)?)
    }

    fn task_error(&mut self, task_id: &'a str, index: i32, members: &'a [Member<'a>]) -> Result<(), Problem> {
        let mut fields = Fields::of(members, self.bench);
        let row = task_errors::Row {
            task_id,
            task_error_index: index,
            r#type: fields.text("type"),
            message: fields.text("message"),
            extra: fields.rest([]),
        };
        Ok(self.tables.task_errors.push(row)?)
    }

    fn report(&mut self, task_id: &'a str, index: i32, members: &'a [Member<'a>]) -> Result<(), Problem> {
        let mut fields = Fields::of(members, self.bench);
        let row = sensitive_content_reports::Row {
            task_id,
            sensitive_content_report_index: index,
            r#type: fields.text("type"),
            message: fields.text("message"),
            extra: fields.rest([]),
        };
        Ok(self.tables.sensitive_content_reports.push(row)?)
    }

    fn thread(&mut self, place: Place<'a>, members: &'a [Member<'a>]) -> Result<(), Problem> {
        let mut fields = Fields::of(members, self.bench);
        let place = Place { thread_id: fields.text("id"), ..place };
        let turn_list = fields.children("turns")?;
        let annotations = fields.children("annotations")?;
        let submission_list = fields.children("submissions")?;
        self.tables.threads.push(threads::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            thread_id: place.thread_id,
            turn_count: count(turn_list),
            annotation_count: count(annotations),
            submission_count: count(submission_list),
            extra: fields.rest([]),
        })?;
        annotation::append(self, Scope::Thread, place, annotations)?;
        each(submission_list, "submissions", |index, submission| self.submission(place, index, submission))?;
        each(turn_list, "turns", |turn_index, turn| self.turn(place, turn_index, turn))
    }

    fn submission(&mut self, place: Place<'a>, index: i32, members: &'a [Member<'a>]) -> Result<(), Problem> {
        let mut fields = Fields::of(members, self.bench);
        let row = submissions::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            submission_index: index,
            thread_id: place.thread_id,
            submitted_at: fields.instant("submitted_at"),
            contributor_id: fields.text("contributor_id"),
            extra: fields.rest([]),
        };
        Ok(self.tables.submissions.push(row)?)
    }

    fn turn(&mut self, place: Place<'a>, turn_index: i32, members: &'a [Member<'a>]) -> Result<(), Problem> {
        self.totals.turns += 1;
        let mut fields = Fields::of(members, self.bench);
        let place = Place { turn_index: Some(turn_index), turn_id: fields.text("id"), ..place };
        let messages = fields.children("messages")?;
        let annotations = fields.children("annotations")?;
        let rubrics = fields.children("rubrics")?;
        self.tables.turns.push(turns::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            message_count: count(messages),
            annotation_count: count(annotations),
            rubric_count: count(rubrics),
            extra: fields.rest([]),
        })?;
        annotation::append(self, Scope::Turn, place, annotations)?;
        each(rubrics, "rubrics", |index, rubric| rubric::append(self, place, turn_index, index, rubric))?;
        each(messages, "messages", |index, message| {
            message::append(self, place, MessageKey { turn_index, message_index: index }, message)
        })
    }
}
