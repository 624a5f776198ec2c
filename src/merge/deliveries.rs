//! Deliveries, and whether all of their tasks came: one of which some are missing holds back the others.

#[cfg(feature = "api")]
use std::collections::BTreeMap;
use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file::{Objects, open_columns};
#[cfg(feature = "api")]
use crate::lake::State;
use crate::parse::{Memberships, membership_id};
use crate::part::{PartEntry, PartWriter};
use crate::shuffle::identity;
use crate::source::Accounted;
use crate::store::{Store, with_readers};
use crate::table::Table;
use crate::table::catalog::{deliveries, delivery_tasks, tasks};

/// A delivery that says that it has another number of tasks than came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Incomplete {
    /// Its id.
    pub delivery_id: String,
    /// How many tasks it says that it has.
    pub task_count: u64,
    /// How many the API listed with it.
    pub found: u64,
}

/// What a run does not commit, because deliveries are incomplete.
#[derive(Debug, Default)]
pub struct Held {
    /// These.
    pub deliveries: Vec<Incomplete>,
    /// Their tasks that came and are held back.
    pub tasks: u64,
    /// The earliest completion of these tasks, or when the deliveries were made if that was before: from there on they have to be asked for
    /// again. In microseconds.
    pub since: Option<i64>,
}

/// A delivery, as a lake has it.
struct Delivery {
    id: String,
    task_count: Option<u64>,
    delivered_at: Option<i64>,
}

/// Deliveries since an instant all of whose tasks the lake knows, with how many these are.
#[cfg(feature = "api")]
pub fn whole_deliveries(store: &dyn Store, lake: &State, since: i64) -> Result<BTreeMap<String, u64>> {
    let is_recent = |delivery: &Delivery| delivery.delivered_at.is_none_or(|at| at >= since);
    let recent = read_deliveries(store, lake.parts.values())?.into_iter().filter(is_recent);
    let expected = recent.filter_map(|delivery| Some((delivery.id, delivery.task_count?))).collect::<BTreeMap<_, _>>();
    let (Some((least, _)), Some((greatest, _))) = (expected.first_key_value(), expected.last_key_value()) else {
        return Ok(BTreeMap::new());
    };
    let is_near = |part: &&PartEntry| {
        part.least_id.as_ref().is_none_or(|own| own <= greatest)
            && part.greatest_id.as_ref().is_none_or(|own| least <= own)
    };
    let memberships = read_memberships(store, lake.parts.values().filter(is_near))?;
    let found = count(&memberships);
    Ok(expected.into_iter().filter(|(id, expected)| found.get(id.as_str()) == Some(expected)).collect())
}

/// Takes the tasks of incomplete deliveries out of what came: gives the parts that are left to commit. `left_out` tells of tasks that
/// came with deliveries and are not to be in the lake. A task that came with another delivery too, which is complete, stays.
pub fn hold_back(
    own: &[PartEntry],
    accounted: &Accounted,
    left_out: &Memberships,
    writer: &PartWriter,
) -> Result<(Vec<PartEntry>, Held)> {
    let store = writer.store();
    let told = read_deliveries(store, own.iter())?.into_iter().filter(|delivery| accounted.has(&delivery.id));
    let told = told.filter(|delivery| delivery.task_count.is_some()).collect::<Vec<_>>();
    if told.is_empty() {
        return Ok((own.to_vec(), Held::default()));
    }
    let memberships = read_memberships(store, own.iter())?;
    let found = count(&memberships);
    let mut held = Held::default();
    for Delivery { id, task_count, delivered_at } in told {
        let found = found.get(id.as_str()).copied().unwrap_or(0) + left_out.get(&id).map_or(0, |own| own.len() as u64);
        if let Some(task_count) = task_count.filter(|task_count| *task_count != found) {
            held.since = held.since.into_iter().chain(delivered_at).min();
            held.deliveries.push(Incomplete { delivery_id: id, task_count, found });
        }
    }
    if held.deliveries.is_empty() {
        return Ok((own.to_vec(), held));
    }
    held.deliveries.sort_unstable();
    let ids = held.deliveries.iter().map(|delivery| delivery.delivery_id.as_str()).collect::<HashSet<_>>();
    let of_held = memberships.iter().filter(|(delivery, _)| ids.contains(delivery.as_str()));
    let identities = of_held.clone().map(|(delivery, task)| identity(membership_id(delivery, task).as_bytes()));
    let gone_memberships = identities.collect::<HashSet<_>>();
    let others = memberships.iter().filter(|(delivery, _)| !ids.contains(delivery.as_str()));
    let others = others.map(|(_, task)| task.as_str()).collect::<HashSet<_>>();
    let gone_tasks = of_held.map(|(_, task)| task.as_str()).filter(|task| !others.contains(task));
    let gone_tasks = gone_tasks.collect::<BTreeSet<_>>();
    let rest = without(own, &gone_tasks, &gone_memberships, writer, &mut held)?;
    Ok((rest, held))
}

/// Parts of a run without these tasks and memberships.
fn without(
    own: &[PartEntry],
    tasks: &BTreeSet<&str>,
    memberships: &HashSet<u128>,
    writer: &PartWriter,
    held: &mut Held,
) -> Result<Vec<PartEntry>> {
    let mut rest = Vec::with_capacity(own.len());
    for (number, part) in own.iter().enumerate() {
        let mut gone = HashSet::new();
        if part.rows(tasks::TABLE.name) > 0 {
            Objects::open(&tasks::TABLE, writer.store(), &part.path(tasks::TABLE.name))?.read(|object| {
                if tasks.contains(object.id) {
                    gone.insert(identity(object.identity));
                    held.since = held.since.into_iter().chain(object.completed_at).min();
                }
                Ok(())
            })?;
            held.tasks += gone.len() as u64;
        } else if part.rows(delivery_tasks::TABLE.name) > 0 {
            gone.clone_from(memberships);
        }
        if gone.is_empty() {
            rest.push(part.clone());
        } else {
            rest.extend(writer.without(part, writer.store(), &format!("held-{number:06}"), &gone)?);
        }
    }
    Ok(rest)
}

fn count(memberships: &[(String, String)]) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    let unique = memberships.iter().collect::<HashSet<_>>();
    unique.into_iter().for_each(|(delivery, _)| *counts.entry(delivery.as_str()).or_default() += 1);
    counts
}

fn read_deliveries<'p>(store: &dyn Store, parts: impl Iterator<Item = &'p PartEntry>) -> Result<Vec<Delivery>> {
    read(store, parts, &deliveries::TABLE, &["delivery_id", "task_count", "delivered_at"], |batch| {
        let ids = batch.column(0).as_string_opt::<i32>()?;
        let counts = batch.column_by_name("task_count")?.as_primitive_opt::<Int64Type>()?;
        let instants = batch.column_by_name("delivered_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let rows = ids.iter().zip(counts).zip(instants);
        let delivery = |((id, count), delivered_at): ((Option<&str>, Option<i64>), Option<i64>)| {
            let task_count = count.and_then(|count| u64::try_from(count).ok());
            Some(Delivery { id: id?.to_owned(), task_count, delivered_at })
        };
        Some(rows.filter_map(delivery).collect())
    })
}

fn read_memberships<'p>(
    store: &dyn Store,
    parts: impl Iterator<Item = &'p PartEntry>,
) -> Result<Vec<(String, String)>> {
    read(store, parts, &delivery_tasks::TABLE, &["delivery_id", "task_id"], |batch| {
        let [deliveries, tasks] = [0, 1].map(|column| batch.column(column).as_string_opt::<i32>());
        let rows = deliveries?.iter().zip(tasks?);
        Some(rows.filter_map(|(delivery, task)| Some((delivery?.to_owned(), task?.to_owned()))).collect())
    })
}

/// What the rows of a table's files are, batch by batch.
fn read<'p, T: Send>(
    store: &dyn Store,
    parts: impl Iterator<Item = &'p PartEntry>,
    table: &'static Table,
    columns: &[&str],
    rows: impl Fn(&RecordBatch) -> Option<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let failed = |source| Error::Batch { table: table.name, source };
    let unfit = || failed(ArrowError::SchemaError(format!("other columns than {}", columns.join(", "))));
    let parts = parts.filter(|part| part.rows(table.name) > 0).collect::<Vec<_>>();
    let look = |part: &&PartEntry| {
        let mut read = Vec::new();
        for batch in open_columns(store, &part.path(table.name), columns)? {
            read.extend(rows(&batch.map_err(failed)?).ok_or_else(unfit)?);
        }
        Ok(read)
    };
    let read = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    Ok(read.into_iter().flatten().collect())
}
