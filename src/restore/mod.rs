//! From the tables back to the tasks: the proof that nothing was lost.
//!
//! Streams over parts. The rows of a part's files are ordered by task and position, so a task is put together from the next rows
//! of each file: parents first, each child at the end of its parent's array.

mod dimensions;
mod judgements;
mod owned;
mod parallel;
mod rows;
mod tree;

use std::collections::VecDeque;
use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use bumpalo::Bump;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::attachment::{pieces, put_back};
use crate::config::all_cores;
use crate::error::{Error, Result};
use crate::file;
use crate::lake::{Lake, State};
use crate::parse::membership_id;
use crate::part::{Near, PartEntry, groups};
use crate::store::Store;
use crate::table::catalog::{
    annotations, attachments, batches, chunks, criterion_evaluations, deliveries, delivery_tasks, messages, projects,
    reasoning, reference_texts, rubric_criteria, rubric_evaluations, rubrics, sensitive_content_reports, submissions,
    task_errors, tasks, threads, turns,
};
use crate::table::{Dataset, Table, TableReader};
use owned::Json;
use parallel::restore_parts;
use tree::{Child, Object, Tree};

/// Writes every task of the lake's newest version as one line of JSON, part by part; gives their number.
pub fn restore(lake: &Lake, out: &mut dyn Write) -> Result<u64> {
    restore_state(lake, &lake.readable_state()?, out)
}

/// The same of one version.
pub fn restore_state(lake: &Lake, state: &State, out: &mut dyn Write) -> Result<u64> {
    let (store, mut restored) = (&**lake.store(), 0);
    let parts = state.in_order().into_iter().filter(|part| part.rows(tasks::TABLE.name) > 0).collect::<Vec<_>>();
    let mut groups = groups(store, &parts).into_iter();
    let mut next = groups.next().map(|group| Near::bring(store, group).map(|near| (near, group)));
    while let Some(brought) = next {
        let (near, group) = brought?;
        // The next ones are on their way meanwhile.
        next = std::thread::scope(|scope| {
            let next = groups.next().map(|group| (scope.spawn(move || Near::bring(store, group)), group));
            restored += restore_parts(&near, group, all_cores(), out)?;
            let panicked = |_| Err(Error::Bug { place: "restore", found: "a panic while files were read".to_owned() });
            Ok::<_, Error>(next.map(|(near, group)| near.join().unwrap_or_else(panicked).map(|near| (near, group))))
        })?;
    }
    Ok(restored)
}

/// Hands out every task of one part as JSON, in the order of their rows; gives their number.
pub(crate) fn restore_part(
    near: &Near<'_>,
    part: &PartEntry,
    mut each: impl FnMut(&mut String) -> Result<()>,
) -> Result<u64> {
    let (mut restored, mut json) = (0, String::new());
    let mut part = Part::open(near, part)?;
    while let Some((_, task)) = part.next_task()? {
        json.clear();
        task.write(&mut json);
        each(&mut json)?;
        restored += 1;
    }
    Ok(restored)
}

/// Hands out every object of one part, of whichever dataset, as its id among those of its kind and its JSON, in the order of the rows.
pub(crate) fn restore_objects(
    near: &Near<'_>,
    part: &PartEntry,
    each: &mut dyn FnMut(&str, &str) -> Result<()>,
) -> Result<()> {
    match part.key.dataset {
        Dataset::Tasks => {
            let mut part = Part::open(near, part)?;
            while let Some((id, task)) = part.next_task()? {
                hand(&id, &task, each)?;
            }
            Ok(())
        }
        Dataset::Projects => {
            let restore = |row: projects::Row<'_>| (row.project_id.to_owned(), dimensions::project(row));
            restore_rows::<projects::Reader>(near, part, &projects::TABLE, restore, each)
        }
        Dataset::Batches => {
            let restore = |row: batches::Row<'_>| (row.batch_id.to_owned(), dimensions::batch(row));
            restore_rows::<batches::Reader>(near, part, &batches::TABLE, restore, each)
        }
        Dataset::Deliveries => {
            let restore = |row: deliveries::Row<'_>| (row.delivery_id.to_owned(), dimensions::delivery(row));
            restore_rows::<deliveries::Reader>(near, part, &deliveries::TABLE, restore, each)
        }
        Dataset::DeliveryTasks => {
            let restore = |row: delivery_tasks::Row<'_>| {
                (membership_id(row.delivery_id, row.task_id), dimensions::delivery_task(row))
            };
            restore_rows::<delivery_tasks::Reader>(near, part, &delivery_tasks::TABLE, restore, each)
        }
        Dataset::TaskChanges => {
            Err(Error::Bug { place: "restore", found: "objects of the API in what a lake tells of itself".to_owned() })
        }
    }
}

/// The same of a table that has a row an object.
fn restore_rows<R: TableReader>(
    near: &Near<'_>,
    part: &PartEntry,
    table: &'static Table,
    restore: impl Fn(R::Row<'_>) -> (String, Object),
    each: &mut dyn FnMut(&str, &str) -> Result<()>,
) -> Result<()> {
    let mut cursor = Cursor::<R>::open(near, part, table)?;
    let mut restored = None;
    while cursor.next(None, |row| restored = Some(restore(row)))? {
        let Some((id, object)) = restored.take() else { continue };
        match object.into_json() {
            Some(json) => hand(&id, &json, each)?,
            None => return Err(Error::Unfit { table: table.name, kind: "object", id }),
        }
    }
    Ok(())
}

fn hand(id: &str, json: &Json, each: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
    let mut text = String::new();
    json.write(&mut text);
    each(id, &text)
}

fn unfit(table: &'static str, id: String) -> Error {
    Error::Unfit { table, kind: "task", id }
}

/// Reads one file of a part row by row.
struct Cursor<'s, R> {
    table: &'static str,
    /// Where contents are that were moved out of the table, if there are some.
    moved: Option<&'s dyn Store>,
    reader: Option<ParquetRecordBatchReader>,
    /// What was read and is still to come.
    read: VecDeque<RecordBatch>,
    rows: Option<(StringArray, R)>,
    at: usize,
    arena: Bump,
}

impl<'s, R: TableReader> Cursor<'s, R> {
    fn open(near: &'s Near<'_>, part: &PartEntry, table: &'static Table) -> Result<Cursor<'s, R>> {
        let has_rows = part.rows(table.name) > 0;
        let reader = has_rows.then(|| file::open(near.store(), &part.path(table.name))).transpose()?;
        let keeps = table.name == attachments::TABLE.name && part.keeping().is_some();
        let moved = keeps.then(|| near.lake());
        Ok(Cursor { table: table.name, moved, reader, read: VecDeque::new(), rows: None, at: 0, arena: Bump::new() })
    }

    /// Moves on to the next batch where the current one is used up; false at the end of the file.
    fn has_row(&mut self) -> Result<bool> {
        let table = self.table;
        let failed = |source| Error::Batch { table, source };
        loop {
            if self.rows.as_ref().is_some_and(|(ids, _)| self.at < ids.len()) {
                return Ok(true);
            }
            let Some(batch) = self.next_batch()? else { return Ok(false) };
            let rows = R::new(&batch).map_err(failed)?;
            let ids = batch.columns().first().and_then(|column| column.as_string_opt::<i32>()).cloned();
            self.rows = ids.map(|ids| (ids, rows));
            self.at = 0;
        }
    }

    /// The next rows of the file, with contents that were moved out of it.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut next = self.read.pop_front();
        if next.is_none() {
            let read = self.reader.as_mut().and_then(Iterator::next).transpose();
            next = read.map_err(|source| Error::Batch { table: self.table, source })?;
            if let Some(batch) = next.as_ref().filter(|_| self.moved.is_some()) {
                self.read = pieces(batch)?.into();
                next = self.read.pop_front();
            }
        }
        match (next, self.moved) {
            (Some(batch), Some(lake)) => put_back(&batch, lake).map(Some),
            (next, _) => Ok(next),
        }
    }

    /// Makes sure that no row is left.
    fn check_end(&mut self) -> Result<()> {
        if !self.has_row()? {
            return Ok(());
        }
        let id = self.rows.as_ref().map(|(ids, _)| ids.value(self.at).to_owned());
        Err(unfit(self.table, id.unwrap_or_default()))
    }

    /// Visits the next row if it is of this task, or whatever task it is of.
    fn next(&mut self, task_id: Option<&str>, visit: impl FnOnce(R::Row<'_>)) -> Result<bool> {
        if !self.has_row()? {
            return Ok(false);
        }
        self.arena.reset();
        match &self.rows {
            Some((ids, rows)) if task_id.is_none_or(|task_id| ids.value(self.at) == task_id) => {
                visit(rows.row(self.at, &self.arena));
                self.at += 1;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

macro_rules! part {
    ($($room:ident: $($table:ident)+;)+) => {
        /// The open files of one part.
        struct Part<'s> {
            tasks: Cursor<'s, tasks::Reader>,
            $($($table: Cursor<'s, $table::Reader>,)+)+
        }

        impl<'s> Part<'s> {
            fn open(near: &'s Near<'_>, part: &PartEntry) -> Result<Part<'s>> {
                Ok(Part {
                    tasks: Cursor::open(near, part, &tasks::TABLE)?,
                    $($($table: Cursor::open(near, part, &$table::TABLE)?,)+)+
                })
            }

            /// The next task, with its id.
            fn next_task(&mut self) -> Result<Option<(String, Json)>> {
                let mut task = None;
                self.tasks.next(None, |row| task = Some((row.task_id.to_owned(), rows::task(row))))?;
                let Some((task_id, task)) = task else {
                    // Rows of a task that is not there hold up all behind them.
                    $($(self.$table.check_end()?;)+)+
                    return Ok(None);
                };
                let Some(mut tree) = Tree::new(task) else { return Err(unfit("tasks", task_id)) };
                $($(
                    let mut child: Option<Child> = None;
                    while self.$table.next(Some(&task_id), |row| child = Some($room::$table(row)))? {
                        if !child.take().is_some_and(|child| tree.attach(child)) {
                            return Err(unfit(stringify!($table), task_id));
                        }
                    }
                )+)+
                Ok(Some((task_id, tree.into_json())))
            }
        }
    };
}

// Parents before children.
part! {
    rows: task_errors sensitive_content_reports threads submissions turns messages reference_texts attachments chunks reasoning;
    judgements: rubrics rubric_criteria rubric_evaluations criterion_evaluations annotations;
}
