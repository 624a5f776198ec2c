//! Where in a lake what is to be forgotten stands.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::error::ArrowError;
use memchr::memmem;
use rayon::prelude::*;

use super::ForgetOptions;
use crate::error::{Error, Result};
use crate::file::{Objects, open_columns};
use crate::forgotten::Forgotten;
use crate::json::text::write_string;
use crate::lake::State;
use crate::parse::{CONTRIBUTOR, without_contributors};
use crate::part::{Near, PartEntry};
use crate::progress::{Progress, Stage};
use crate::restore::restore_objects;
use crate::store::{Store, with_readers};
use crate::table::catalog::{submissions, tasks};
use crate::table::{Dataset, Shape};

/// What is to be forgotten, of one version.
pub(super) struct Wanted<'o> {
    pub tasks: BTreeSet<&'o str>,
    contributors: &'o [String],
    /// As spelled within JSON, without quotes.
    spelled: Vec<String>,
    drops_tasks: bool,
    pub key: &'o str,
    /// By hashes; only what is asked for.
    contributors_hashed: Forgotten,
}

impl<'o> Wanted<'o> {
    pub(super) fn of(options: &'o ForgetOptions, state: &'o State, fresh_key: &'o str) -> Wanted<'o> {
        let key = state.forget_key.as_deref().unwrap_or(fresh_key);
        Wanted {
            tasks: options.tasks.iter().map(String::as_str).collect(),
            contributors: &options.contributors,
            spelled: options.contributors.iter().map(|id| spelled(id)).collect(),
            drops_tasks: options.drops_tasks,
            key,
            contributors_hashed: Forgotten::of_ids(key.to_owned(), &[], &options.contributors),
        }
    }

    fn tasks_in<'s>(&'s self, part: &'s PartEntry) -> impl Iterator<Item = &'o str> + 's {
        let is_in = |id: &&&str| {
            part.least_id.as_ref().is_none_or(|least| least.as_str() <= **id)
                && part.greatest_id.as_ref().is_none_or(|greatest| **id <= greatest.as_str())
        };
        self.tasks.iter().filter(is_in).copied()
    }
}

/// What there is to forget in a lake.
#[derive(Default)]
pub(super) struct Found {
    /// By part: tasks that go, and tasks that may name a contributor.
    pub touched: BTreeMap<String, Touched>,
    /// Ids of all tasks that go.
    pub gone: HashSet<String>,
    /// Tasks that are to name nobody.
    pub changed: u64,
}

#[derive(Default)]
pub(super) struct Touched {
    pub gone: BTreeSet<String>,
    /// Those that change.
    pub suspects: BTreeSet<String>,
}

/// Looks through a version.
pub(super) struct Search<'o> {
    pub wanted: &'o Wanted<'o>,
    pub progress: &'o Progress,
}

impl Search<'_> {
    pub(super) fn find(&self, store: &dyn Store, state: &State) -> Result<Found> {
        let is_of_tasks = |part: &&PartEntry| part.key.dataset == Dataset::Tasks && part.rows(tasks::TABLE.name) > 0;
        let parts = state.parts.values().filter(is_of_tasks).collect::<Vec<_>>();
        self.progress.enter(Stage::Merging);
        self.progress.expect_parts(parts.len());
        let look = |part: &&PartEntry| self.progress.part(|| Ok((part.part.clone(), self.look_at(store, part)?)));
        let found = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
        let mut all = Found::default();
        for (name, touched) in found {
            all.gone.extend(touched.gone.iter().cloned());
            all.changed += touched.suspects.len() as u64;
            if !touched.gone.is_empty() || !touched.suspects.is_empty() {
                all.touched.insert(name, touched);
            }
        }
        Ok(all)
    }

    fn look_at(&self, store: &dyn Store, part: &PartEntry) -> Result<Touched> {
        let mut touched = Touched::default();
        if self.wanted.tasks_in(part).next().is_some() {
            let objects = Objects::open(&tasks::TABLE, store, &part.path(tasks::TABLE.name))?;
            if objects.may_hold(self.wanted.tasks_in(part))? {
                objects.read(|object| {
                    touched.gone.extend(self.wanted.tasks.get(object.id).map(|id| (*id).to_owned()));
                    Ok(())
                })?;
            }
        }
        let suspects = self.suspects(store, part)?;
        if !suspects.is_empty() {
            let named = self.named(store, part, &suspects)?.into_iter().map(|(id, _)| id);
            let named = named.filter(|id| !touched.gone.contains(id)).collect::<BTreeSet<_>>();
            match self.wanted.drops_tasks {
                true => touched.gone.extend(named),
                false => touched.suspects = named,
            }
        }
        Ok(touched)
    }

    /// Tasks in whose rows a contributor's id stands where one may be named.
    fn suspects(&self, store: &dyn Store, part: &PartEntry) -> Result<BTreeSet<String>> {
        let mut suspects = BTreeSet::new();
        if self.wanted.contributors.is_empty() {
            return Ok(suspects);
        }
        for table in Dataset::Tasks.tables().filter(|table| part.rows(table.name) > 0) {
            let failed = |source| Error::Batch { table: table.name, source };
            let Some(id) = table.columns.first() else { continue };
            let json = table.columns.iter().filter(|column| column.shape == Shape::Json).map(|column| column.name);
            let own = (table.name == submissions::TABLE.name).then_some(CONTRIBUTOR);
            let columns = [id.name].into_iter().chain(own).chain(json).collect::<Vec<_>>();
            for batch in open_columns(store, &part.path(table.name), &columns)? {
                let batch = batch.map_err(failed)?;
                let ids = text(&batch, id.name).map_err(failed)?;
                for column in columns.iter().skip(1) {
                    let Ok(values) = text(&batch, column) else { continue };
                    let is_named = |value: &str| {
                        self.wanted.spelled.iter().any(|id| memmem::find(value.as_bytes(), id.as_bytes()).is_some())
                            || self.wanted.contributors.iter().any(|id| id == value)
                    };
                    let rows = ids.iter().zip(values.iter()).filter(|(_, value)| value.is_some_and(is_named));
                    suspects.extend(rows.filter_map(|(id, _)| id.map(str::to_owned)));
                }
            }
        }
        Ok(suspects)
    }

    /// Those of the suspects that name one of the contributors, with their JSON without that.
    fn named(
        &self,
        store: &dyn Store,
        part: &PartEntry,
        suspects: &BTreeSet<String>,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        self.named_near(&Near::bring(store, &[part])?, part, suspects)
    }

    /// The same of a part that was brought near.
    pub(super) fn named_near(
        &self,
        near: &Near<'_>,
        part: &PartEntry,
        suspects: &BTreeSet<String>,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let mut named = Vec::new();
        restore_objects(near, part, &mut |id, json| {
            if suspects.contains(id) {
                let clean = without_contributors(json.as_bytes(), &self.wanted.contributors_hashed);
                let hashed = &self.wanted.contributors_hashed;
                if clean != json.as_bytes() || self.wanted.drops_tasks && hashed.is_named_in(json) {
                    named.push((id.to_owned(), clean.into_owned()));
                }
            }
            Ok(())
        })?;
        Ok(named)
    }
}

/// A text within JSON as columns have it, without quotes.
fn spelled(text: &str) -> String {
    let mut quoted = String::new();
    write_string(text, &mut quoted);
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

pub(super) fn text<'b>(batch: &'b RecordBatch, column: &str) -> Result<&'b StringArray, ArrowError> {
    let found = batch.column_by_name(column).and_then(|values| values.as_string_opt::<i32>());
    found.ok_or_else(|| ArrowError::SchemaError(format!("no text in the column `{column}`")))
}
