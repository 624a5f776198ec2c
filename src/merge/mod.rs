//! What a run's objects replace in a lake: which of its parts hold an object that comes again, and what is left of each.
//!
//! Old homes are found by the bounds of ids in the records, then by the bloom filters of the files, and then by reading nothing but what
//! tells objects apart. A part that holds one that has changed is written anew without it; nothing else is touched.

mod deliveries;
mod departed;

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::file::Objects;
use crate::lake::{RemovedPart, State};
use crate::part::{Near, PartEntry, PartWriter, groups};
use crate::progress::Progress;
use crate::shuffle::identity;
use crate::store::{Store, with_readers};
use crate::table::{Dataset, Table};

#[cfg(feature = "api")]
pub use deliveries::whole_deliveries;
pub use deliveries::{Incomplete, hold_back};
pub use departed::{Absent, Walk, memberships};

/// Objects of a run that are held in memory at a time while their old homes are looked for: some 100 bytes each.
const HELD_OBJECTS: u64 = 1 << 19;

/// What a merge looked at, and what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Tasks that the lake did not have.
    pub tasks_added: u64,
    /// Tasks that took the place of an older copy.
    pub tasks_replaced: u64,
    /// Tasks that the lake has with the same content: they were left as they are.
    pub tasks_unchanged: u64,
    /// Tasks that the lake had with the same content, but without the bytes of attachments that came now.
    #[serde(default)]
    pub tasks_renewed: u64,
    /// Tasks of which another export, that committed while this one ran, brought a newer copy.
    pub tasks_outdated: u64,
    /// Tasks that went because their source has them no more.
    pub tasks_removed: u64,
    /// Parts of the lake in whose bounds an id of the run lies.
    pub parts_looked_at: u64,
    /// Those whose ids were read.
    pub parts_opened: u64,
    /// Those that were written anew, or removed.
    pub parts_replaced: u64,
}

/// Which objects go from which part.
#[derive(Debug, Default)]
pub struct Plan {
    /// Of the lake's parts: a new copy replaces them.
    replaced: BTreeMap<String, HashSet<u128>>,
    /// Of the run's own parts: the lake has the same.
    unchanged: BTreeMap<String, HashSet<u128>>,
    merged: Merged,
}

/// What other exports committed while this one ran. Of two copies of a task the one counts that was completed later; where that can't be
/// told, that of the export whose fetch began later.
#[derive(Debug, Default)]
pub struct Contest {
    /// When this run's fetch began; `None` where it is no export, whose copies count.
    pub began_at: Option<i64>,
    /// When the fetches of the others began, by part.
    pub others: HashMap<String, Option<i64>>,
}

impl Contest {
    /// Whether of two copies the other's counts, which lies in this part.
    fn is_lost(&self, part: &str, own: Option<i64>, other: Option<i64>) -> bool {
        let (Some(began_at), Some(other_began_at)) = (self.began_at, self.others.get(part)) else { return false };
        match own.zip(other) {
            Some((own, other)) if own != other => other > own,
            _ => other_began_at.is_some_and(|other| other > began_at),
        }
    }
}

/// An object of the run.
struct Coming {
    /// Its part.
    part: usize,
    fingerprint: u128,
    completed_at: Option<i64>,
}

/// An object of the run that the lake has.
struct Met {
    identity: u128,
    part: usize,
    is_same: bool,
    /// Of its own copy, and of the lake's.
    completed_at: [Option<i64>; 2],
}

/// Which objects of equal content are replaced all the same.
#[derive(Clone, Copy, Debug)]
pub enum Anew<'a> {
    /// All.
    All,
    /// These tasks.
    These(&'a HashSet<u128>),
}

/// Finds where the lake has objects of these parts. Ends early, with [`Error::Interrupted`], once `progress` was asked to stop.
pub fn plan(
    store: &dyn Store,
    lake: &State,
    own: &[PartEntry],
    contest: &Contest,
    anew: Anew<'_>,
    progress: &Progress,
) -> Result<Plan> {
    let mut plan = Plan::default();
    for (dataset, table) in objects_tables() {
        let has_rows = |part: &&PartEntry| part.key.dataset == dataset && part.rows(table.name) > 0;
        let own = own.iter().filter(has_rows).collect::<Vec<_>>();
        let homes = lake.parts.values().filter(has_rows).collect::<Vec<_>>();
        for some in chunks(&own, table) {
            let coming = with_readers(store, || Arrivals::read(store, table, some))??;
            progress.expect_parts(homes.len());
            let look = |home: &&PartEntry| progress.part(|| coming.look_for_in(store, table, home));
            let looked = with_readers(store, || homes.par_iter().map(look).collect::<Result<Vec<_>>>())??;
            for (home, looked) in homes.iter().zip(looked) {
                plan.take(home, some, &looked, contest, anew)?;
            }
            if dataset == Dataset::Tasks {
                plan.merged.tasks_added += coming.by_identity.len() as u64;
            }
        }
    }
    let merged = &mut plan.merged;
    let met = merged.tasks_replaced + merged.tasks_unchanged + merged.tasks_renewed + merged.tasks_outdated;
    merged.tasks_added = merged.tasks_added.saturating_sub(met);
    merged.parts_replaced = plan.replaced.len() as u64;
    Ok(plan)
}

/// The tables that have a row an object.
fn objects_tables() -> impl Iterator<Item = (Dataset, &'static Table)> {
    let datasets =
        [Dataset::Tasks, Dataset::Projects, Dataset::Batches, Dataset::Deliveries, Dataset::DeliveryTasks].into_iter();
    datasets.filter_map(|dataset| Some((dataset, dataset.tables().next()?)))
}

/// The parts in groups that are not too large to be held.
fn chunks<'p, 'a>(parts: &'p [&'a PartEntry], table: &Table) -> Vec<&'p [&'a PartEntry]> {
    let (mut chunks, mut start, mut rows) = (Vec::new(), 0, 0);
    for (index, part) in parts.iter().enumerate() {
        rows += part.rows(table.name);
        if rows >= HELD_OBJECTS || index + 1 == parts.len() {
            chunks.push(parts.get(start..=index).unwrap_or_default());
            (start, rows) = (index + 1, 0);
        }
    }
    chunks
}

/// What a look at one of the lake's parts gave.
#[derive(Default)]
struct Looked {
    is_in_bounds: bool,
    is_opened: bool,
    met: Vec<Met>,
}

/// Objects of the run.
struct Arrivals {
    by_identity: HashMap<u128, Coming>,
    /// Values of the first column, sorted.
    ids: Vec<String>,
}

impl Arrivals {
    fn read(store: &dyn Store, table: &'static Table, parts: &[&PartEntry]) -> Result<Arrivals> {
        let read = |(number, part): (usize, &&PartEntry)| {
            let mut objects = Vec::new();
            Objects::open(table, store, &part.path(table.name))?.read(|object| {
                let (fingerprint, completed_at) = (object.fingerprint, object.completed_at);
                let coming = Coming { part: number, fingerprint, completed_at };
                objects.push((identity(object.identity), coming, object.id.to_owned()));
                Ok(())
            })?;
            Ok(objects)
        };
        let read = parts.par_iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let mut arrivals = Arrivals { by_identity: HashMap::new(), ids: Vec::new() };
        for (identity, coming, id) in read.into_iter().flatten() {
            arrivals.by_identity.insert(identity, coming);
            arrivals.ids.push(id);
        }
        arrivals.ids.sort_unstable();
        arrivals.ids.dedup();
        Ok(arrivals)
    }

    /// The ids that lie in the bounds of a part.
    fn within(&self, part: &PartEntry) -> &[String] {
        let from = part.least_id.as_ref().map_or(0, |least| self.ids.partition_point(|id| id < least));
        let greatest = part.greatest_id.as_ref();
        let to = greatest.map_or(self.ids.len(), |greatest| self.ids.partition_point(|id| id <= greatest));
        self.ids.get(from..to).unwrap_or_default()
    }

    fn look_for_in(&self, store: &dyn Store, table: &'static Table, home: &PartEntry) -> Result<Looked> {
        let mut looked = Looked::default();
        let ids = self.within(home);
        if ids.is_empty() {
            return Ok(looked);
        }
        looked.is_in_bounds = true;
        let objects = Objects::open(table, store, &home.path(table.name))?;
        if !objects.may_hold(ids.iter().map(String::as_str))? {
            return Ok(looked);
        }
        looked.is_opened = true;
        objects.read(|object| {
            let identity = identity(object.identity);
            if let Some(own) = self.by_identity.get(&identity) {
                let (is_same, completed_at) =
                    (own.fingerprint == object.fingerprint, [own.completed_at, object.completed_at]);
                looked.met.push(Met { identity, part: own.part, is_same, completed_at });
            }
            Ok(())
        })?;
        Ok(looked)
    }
}

impl Plan {
    fn take(
        &mut self,
        home: &PartEntry,
        own: &[&PartEntry],
        looked: &Looked,
        contest: &Contest,
        anew: Anew<'_>,
    ) -> Result<()> {
        self.merged.parts_looked_at += u64::from(looked.is_in_bounds);
        self.merged.parts_opened += u64::from(looked.is_opened);
        let is_of_tasks = home.key.dataset == Dataset::Tasks;
        for Met { identity, part, is_same, completed_at: [own_at, other_at] } in &looked.met {
            let own = own.get(*part).ok_or_else(|| bug(format!("an object in part {part} of {}", own.len())))?;
            // What a membership says does not tell where it lies.
            let is_same = *is_same && own.key == home.key;
            let is_lost = !is_same && contest.is_lost(&home.part, *own_at, *other_at);
            let is_wanted_anew = match anew {
                Anew::All => true,
                Anew::These(tasks) => is_of_tasks && tasks.contains(identity),
            };
            if is_lost || is_same && !is_wanted_anew {
                let count = if is_lost { &mut self.merged.tasks_outdated } else { &mut self.merged.tasks_unchanged };
                *count += u64::from(is_of_tasks);
                self.unchanged.entry(own.part.clone()).or_default().insert(*identity);
            } else {
                let is_renewed = is_same && matches!(anew, Anew::These(_));
                let count = if is_renewed { &mut self.merged.tasks_renewed } else { &mut self.merged.tasks_replaced };
                *count += u64::from(is_of_tasks);
                self.replaced.entry(home.part.clone()).or_default().insert(*identity);
            }
        }
        Ok(())
    }

    /// What was looked at, and what it comes to.
    pub fn merged(&self) -> Merged {
        self.merged
    }

    /// Writes anew what has to be, under names of this attempt: the parts that go from the lake, and those that come to it.
    pub fn carry_out(
        &self,
        lake: &State,
        own: &[PartEntry],
        writer: &PartWriter,
        attempt: u32,
        progress: &Progress,
    ) -> Result<(Vec<RemovedPart>, Vec<PartEntry>)> {
        progress.expect_parts(self.replaced.len() + self.unchanged.len());
        let lacks = |name: &String| bug(format!("the part {name}, which the lake does not have"));
        let touched = self.replaced.keys().map(|name| lake.parts.get(name).ok_or_else(|| lacks(name)));
        let touched = touched.collect::<Result<Vec<_>>>()?;
        let (filtered, whole): (Vec<_>, Vec<_>) = own.iter().partition(|part| self.unchanged.contains_key(&part.part));
        let filter = |parts: &[&PartEntry], gone: &BTreeMap<String, HashSet<u128>>, kind: &str| {
            let mut rests = Vec::new();
            for group in groups(writer.store(), parts) {
                let (near, before) = (Near::bring(writer.store(), group)?, rests.len());
                let rest = group.par_iter().enumerate().map(|(number, part)| {
                    let gone = gone.get(&part.part).ok_or_else(|| lacks(&part.part))?;
                    let name = format!("{kind}{attempt}-{:06}", before + number);
                    progress.part(|| writer.without(part, near.store(), &name, gone))
                });
                rests.extend(rest.collect::<Result<Vec<_>>>()?);
            }
            Ok::<_, Error>(rests)
        };
        let survivors = filter(&touched, &self.replaced, "merge")?;
        let own = filter(&filtered, &self.unchanged, "new")?;
        let removed = touched.iter().map(|part| RemovedPart::of(part)).collect();
        let added = whole.into_iter().cloned().chain(own.into_iter().chain(survivors).flatten());
        Ok((removed, added.collect()))
    }
}

fn bug(found: String) -> Error {
    Error::Bug { place: "merge", found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_copies_that_of_the_later_completion_counts_then_that_of_the_later_fetch() {
        let contest = |began_at| Contest {
            began_at,
            others: HashMap::from([
                ("earlier".to_owned(), Some(1)),
                ("later".to_owned(), Some(9)),
                ("no".to_owned(), None),
            ]),
        };
        let export = contest(Some(5));
        for (part, own, other, is_lost) in [
            ("earlier", Some(1), Some(2), true),
            ("later", Some(2), Some(1), false),
            ("earlier", Some(1), Some(1), false),
            ("later", Some(1), Some(1), true),
            ("later", None, Some(1), true),
            ("earlier", None, None, false),
            ("no", Some(1), None, false),
            // What was there before this run began is replaced.
            ("old", Some(1), Some(2), false),
        ] {
            assert_eq!(export.is_lost(part, own, other), is_lost, "{part} {own:?} {other:?}");
            assert!(!contest(None).is_lost(part, own, other), "files replace");
        }
    }
}
