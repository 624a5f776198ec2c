//! Tasks of a lake that go although no other copy came: because their source, which was walked whole, has them no more.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{AsArray, StringArray};
use arrow::error::ArrowError;
use rayon::prelude::*;

use super::Plan;
use crate::error::{Error, Result};
use crate::file::open_columns;
use crate::lake::State;
use crate::parse::membership_id;
use crate::part::PartEntry;
use crate::partition::Extent;
use crate::progress::Progress;
use crate::shuffle::identity;
use crate::store::{Store, with_readers};
use crate::table::catalog::{batches, delivery_tasks, tasks};
use crate::table::{Dataset, Table};

/// What a walk is known to have gone over.
pub struct Walk<'a> {
    /// Whose tasks.
    pub extent: &'a Extent,
    /// Of which statuses; all, where none is named.
    pub statuses: &'a [String],
    /// What came.
    pub own: &'a [PartEntry],
    /// Tasks that came and could not be read.
    pub rejected: &'a HashSet<u128>,
    /// What the lake held when the walk began: what others brought since then may be newer than it.
    pub held: &'a BTreeMap<String, PartEntry>,
}

/// A task of the lake that a walk did not bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Absent {
    /// Its id.
    pub id: String,
    /// The part that it lies in.
    pub part: String,
}

impl Walk<'_> {
    /// The tasks of the lake that did not come and should have, and how many there are of those that should have.
    pub fn absent(&self, store: &dyn Store, lake: &State, progress: &Progress) -> Result<(Vec<Absent>, u64)> {
        let extent = self.whole_extent(store)?;
        let has_tasks = |part: &&PartEntry| part.key.dataset == Dataset::Tasks && part.rows(tasks::TABLE.name) > 0;
        let own = self.own.iter().filter(has_tasks).collect::<Vec<_>>();
        let came = with_readers(store, || {
            let ids = own.par_iter().map(|part| Ok(identities_of(&ids(store, part, &["task_id"])?)));
            ids.collect::<Result<Vec<_>>>()
        })??;
        // Sixteen bytes a task.
        let mut came = came.into_iter().flatten().collect::<Vec<u128>>();
        came.sort_unstable();
        let is_held = |part: &&PartEntry| self.held.contains_key(&part.part) && extent.holds(&part.key);
        let homes = lake.parts.values().filter(has_tasks).filter(is_held).collect::<Vec<_>>();
        progress.expect_parts(homes.len());
        let look = |home: &&PartEntry| progress.part(|| self.look_at(store, home, &came));
        let looked = with_readers(store, || homes.par_iter().map(look).collect::<Result<Vec<_>>>())??;
        let expected = looked.iter().map(|(_, expected)| expected).sum();
        let mut absent = looked.into_iter().flat_map(|(absent, _)| absent).collect::<Vec<_>>();
        absent.sort_unstable();
        Ok((absent, expected))
    }

    fn look_at(&self, store: &dyn Store, home: &PartEntry, came: &[u128]) -> Result<(Vec<Absent>, u64)> {
        let (mut absent, mut expected) = (Vec::new(), 0);
        for columns in ids(store, home, &["task_id", "status"])? {
            let [ids, statuses] = columns.as_slice() else { return Err(unexpected("two columns of text", home)) };
            for (id, status) in ids.iter().zip(statuses.iter()) {
                let id = id.ok_or_else(|| unexpected("an id in each row", home))?;
                let is_meant =
                    self.statuses.is_empty() || status.is_some_and(|it| self.statuses.iter().any(|word| word == it));
                if !is_meant {
                    continue;
                }
                expected += 1;
                let own = identity(id.as_bytes());
                if came.binary_search(&own).is_err() && !self.rejected.contains(&own) {
                    absent.push(Absent { id: id.to_owned(), part: home.part.clone() });
                }
            }
        }
        Ok((absent, expected))
    }

    /// With what was asked for by name.
    fn whole_extent(&self, store: &dyn Store) -> Result<Extent> {
        let own = || self.own.iter().filter(|part| part.has_rows());
        Ok(match self.extent {
            Extent::All => Extent::All,
            Extent::Projects(asked) => {
                // A batch's own object may name a project that nobody asked for.
                let is_told_by = |part: &&PartEntry| matches!(part.key.dataset, Dataset::Tasks | Dataset::Projects);
                let told = own().filter(is_told_by);
                let came = told.filter_map(|part| part.key.project.as_deref().map(str::to_owned));
                Extent::Projects(asked.iter().cloned().chain(came).collect())
            }
            Extent::Batches(asked) => {
                let mut known = asked.clone();
                known.extend(own().filter_map(|part| part.key.batch.as_deref().map(str::to_owned)));
                for part in own().filter(|part| part.rows(batches::TABLE.name) > 0) {
                    for columns in ids_in(&batches::TABLE, store, part, &["batch_id"])? {
                        known.extend(columns.iter().flat_map(|ids| ids.iter().flatten()).map(str::to_owned));
                    }
                }
                Extent::Batches(known)
            }
        })
    }
}

impl Plan {
    /// Takes these tasks out of the lake too, and what tells with which deliveries they came, unless that came again.
    pub fn remove(&mut self, store: &dyn Store, lake: &State, own: &[PartEntry], gone: &[Absent]) -> Result<()> {
        for task in gone {
            self.replaced.entry(task.part.clone()).or_default().insert(identity(task.id.as_bytes()));
        }
        self.merged.tasks_removed += gone.len() as u64;
        let gone = gone.iter().map(|task| task.id.as_str()).collect::<HashSet<_>>();
        if !gone.is_empty() {
            let again = memberships(store, own.iter(), &gone)?.into_values().flatten().collect::<HashSet<_>>();
            for (part, identities) in memberships(store, lake.parts.values(), &gone)? {
                let identities =
                    identities.into_iter().filter(|identity| !again.contains(identity)).collect::<Vec<_>>();
                if !identities.is_empty() {
                    self.replaced.entry(part).or_default().extend(identities);
                }
            }
        }
        self.merged.parts_replaced = self.replaced.len() as u64;
        Ok(())
    }
}

/// By part, what tells that these tasks came with a delivery.
pub fn memberships<'p>(
    store: &dyn Store,
    parts: impl Iterator<Item = &'p PartEntry>,
    of: &HashSet<&str>,
) -> Result<HashMap<String, Vec<u128>>> {
    let parts = parts.filter(|part| part.rows(delivery_tasks::TABLE.name) > 0).collect::<Vec<_>>();
    let look = |part: &&PartEntry| {
        let mut found = Vec::new();
        for columns in ids_in(&delivery_tasks::TABLE, store, part, &["delivery_id", "task_id"])? {
            let [deliveries, tasks] = columns.as_slice() else { return Err(unexpected("two columns of ids", part)) };
            let rows = deliveries.iter().flatten().zip(tasks.iter().flatten()).filter(|(_, task)| of.contains(task));
            found.extend(rows.map(|(delivery, task)| identity(membership_id(delivery, task).as_bytes())));
        }
        Ok((part.part.clone(), found))
    };
    let looked = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    Ok(looked.into_iter().filter(|(_, found)| !found.is_empty()).collect())
}

fn identities_of(batches: &[Vec<StringArray>]) -> Vec<u128> {
    batches.iter().flatten().flat_map(|ids| ids.iter().flatten()).map(|id| identity(id.as_bytes())).collect()
}

/// Columns of text of a part's tasks, batch by batch.
fn ids(store: &dyn Store, part: &PartEntry, columns: &[&str]) -> Result<Vec<Vec<StringArray>>> {
    ids_in(&tasks::TABLE, store, part, columns)
}

fn ids_in(
    table: &'static Table,
    store: &dyn Store,
    part: &PartEntry,
    columns: &[&str],
) -> Result<Vec<Vec<StringArray>>> {
    let failed = |source| Error::Batch { table: table.name, source };
    let mut read = Vec::new();
    for batch in open_columns(store, &part.path(table.name), columns)? {
        let batch = batch.map_err(failed)?;
        let column = |name: &&str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).cloned();
            column.ok_or_else(|| failed(ArrowError::SchemaError(format!("no text in the column `{name}`"))))
        };
        read.push(columns.iter().map(column).collect::<Result<Vec<_>>>()?);
    }
    Ok(read)
}

fn unexpected(expected: &str, part: &PartEntry) -> Error {
    Error::Bug { place: "merge::departed", found: format!("{} without {expected}", part.part) }
}
