//! What people said of conversations: every key with its values, how far judgements agree, and what it could be used for.
//!
//! Parts are looked at side by side, and what was counted of each is put together in their order: the same lake gives the same numbers.

mod agreement;
mod counted;
mod read;
mod report;
mod tally;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bumpalo::Bump;
use chrono::Datelike;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::progress::Progress;
use crate::store::{Store, with_readers};
use crate::table::catalog::annotations::Row;
use crate::table::catalog::{annotations, messages, submissions, tasks};
use crate::table::{Dataset, Scope, TableReader};
use read::{rows, texts};
use tally::{Home, Tally};

pub(crate) use read::{Annotations, open_rows};
pub(crate) use value::Value;

pub use agreement::Measurement;
pub use counted::Bin;
pub use report::{
    AnnotationReport, ContributorReport, KeyReport, MonthReport, NumberReport, RepeatedReport, ScaleReport, Use,
    ValueReport,
};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// By its key.
    Key(Box<str>),
    /// Without one, by its title, or else by its id.
    Title(Option<Box<str>>),
}

impl Question {
    fn of(row: &Row<'_>) -> Question {
        match row.key {
            Some(key) => Question::Key(key.into()),
            None => Question::Title(row.title.or(row.annotation_id).map(Into::into)),
        }
    }
}

/// Question and level.
type Place = (Question, &'static str);

/// What was counted of some parts.
struct Counted {
    tallies: BTreeMap<Place, Tally>,
    /// Whatever messages name as their source or model; `None` where that is too much.
    sources: Option<BTreeSet<Box<str>>>,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { tallies: BTreeMap::new(), sources: Some(BTreeSet::new()) }
    }
}

/// Sources that are told apart.
const MOST_SOURCES: usize = 10_000;

/// Tells of all annotations of a version, or of those of one project, by its id.
pub fn annotations_of(
    lake: &Lake,
    state: &State,
    project: Option<&str>,
    progress: &Progress,
) -> Result<AnnotationReport> {
    let parts = parts_of(state, project)?;
    progress.expect_parts(parts.len());
    let store = &**lake.store();
    let look = |part: &&PartEntry| {
        progress.check()?;
        progress.part(|| Counted::of(store, part))
    };
    let counted = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    let mut whole = Counted::default();
    counted.into_iter().for_each(|counted| whole.merge(counted));
    let total = |table: &str| parts.iter().map(|part| part.rows(table)).sum::<u64>();
    let units =
        Scope::ALL.into_iter().map(|scope| (scope.word(), total(scope.owner().name))).collect::<BTreeMap<_, _>>();
    let mut keys = Vec::new();
    for ((question, level), tally) in &whole.tallies {
        let Some(scope) = Scope::ALL.into_iter().find(|scope| scope.word() == *level) else { continue };
        let all = units.get(level).copied().unwrap_or_default();
        keys.push(report::of_key(question, scope, tally, all, whole.sources.as_ref()));
    }
    keys.sort_by_key(|key| std::cmp::Reverse(key.count));
    let tasks = total(tasks::TABLE.name);
    Ok(AnnotationReport { version: state.version, project: project.map(str::to_owned), tasks, units, keys })
}

/// The parts of a version that hold tasks: all, or those of a project, which must have some.
pub(crate) fn parts_of<'s>(state: &'s State, project: Option<&str>) -> Result<Vec<&'s PartEntry>> {
    let all = state.in_order().into_iter().filter(|part| part.key.dataset == Dataset::Tasks && part.has_rows());
    let all = all.collect::<Vec<_>>();
    let is_meant = |part: &&PartEntry| project.is_none_or(|project| part.key.project.as_deref() == Some(project));
    let own = all.iter().copied().filter(is_meant).collect::<Vec<_>>();
    match project {
        Some(project) if own.is_empty() => Err(no_such_project(project, &all)),
        _ => Ok(own),
    }
}

fn no_such_project(project: &str, parts: &[&PartEntry]) -> Error {
    let known = parts.iter().filter_map(|part| part.key.project.as_deref()).collect::<BTreeSet<_>>();
    let some = known.iter().take(10).map(|project| format!("`{project}`")).collect::<Vec<_>>().join(", ");
    let more = if known.len() > 10 { " and others" } else { "" };
    Error::Usage {
        setting: "--project",
        expected: if known.is_empty() {
            "a lake with projects".to_owned()
        } else {
            format!("the id of a project that the lake has: {some}{more}")
        },
        found: format!("`{project}`"),
    }
}

impl Counted {
    fn of(store: &dyn Store, part: &PartEntry) -> Result<Counted> {
        let mut counted = Counted::default();
        if part.rows(messages::TABLE.name) > 0 {
            counted.see_sources(store, part)?;
        }
        if part.rows(annotations::TABLE.name) == 0 {
            return Ok(counted);
        }
        let contributors = contributors(store, part)?;
        let month = part.key.date.map(|date| format!("{:04}-{:02}", date.year(), date.month()));
        let annotations = Annotations::read(store, part)?;
        let arena = Bump::new();
        annotations.each_unit(&arena, |unit| {
            let Some(first) = unit.first() else { return };
            let contributor = contributors.get(&(first.task_id.to_owned(), first.thread_index)).map(String::as_str);
            let home = Home { project: part.key.project.as_deref(), month: month.as_deref(), contributor };
            counted.observe(unit, home);
        });
        Ok(counted)
    }

    /// Takes in the annotations of a unit, key by key.
    fn observe(&mut self, unit: &[Row<'_>], home: Home<'_>) {
        let mut questions = BTreeMap::<Question, Vec<&Row<'_>>>::new();
        unit.iter().for_each(|row| questions.entry(Question::of(row)).or_default().push(row));
        for (question, own) in questions {
            let level = own.first().and_then(|row| Scope::ALL.into_iter().find(|scope| scope.word() == row.scope));
            let Some(level) = level else { continue };
            self.tallies.entry((question, level.word())).or_default().observe(&own, home);
        }
    }

    fn see_sources(&mut self, store: &dyn Store, part: &PartEntry) -> Result<()> {
        let columns = ["source_id", "model"];
        let batch = rows(store, part, &messages::TABLE, &columns)?;
        for column in columns {
            for source in texts(&batch, &messages::TABLE, column)?.flatten() {
                if let Some(sources) = self.sources.as_mut().filter(|sources| !sources.contains(source)) {
                    sources.insert(source.into());
                }
                self.bound();
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Counted) {
        for (place, tally) in other.tallies {
            self.tallies.entry(place).or_default().merge(tally);
        }
        self.sources =
            self.sources.take().zip(other.sources).map(|(own, others)| own.into_iter().chain(others).collect());
        self.bound();
    }

    fn bound(&mut self) {
        if self.sources.as_ref().is_some_and(|sources| sources.len() > MOST_SOURCES) {
            self.sources = None;
        }
    }
}

/// Who submitted a thread, where it tells of one submission alone: by task and position.
fn contributors(store: &dyn Store, part: &PartEntry) -> Result<HashMap<(String, i32), String>> {
    let mut contributors = HashMap::new();
    if part.rows(submissions::TABLE.name) == 0 {
        return Ok(contributors);
    }
    let columns = ["task_id", "thread_index", "submission_index", "contributor_id"];
    let (reader, rows) = open_rows::<submissions::Reader>(store, part, &submissions::TABLE, &columns)?;
    let arena = Bump::new();
    let mut several = BTreeSet::new();
    for row in 0..rows {
        let row = reader.row(row, &arena);
        let place = (row.task_id.to_owned(), row.thread_index);
        let Some(contributor) = row.contributor_id.filter(|_| row.submission_index == 0) else {
            several.insert(place);
            continue;
        };
        contributors.insert(place, contributor.to_owned());
    }
    several.iter().for_each(|place| drop(contributors.remove(place)));
    Ok(contributors)
}
