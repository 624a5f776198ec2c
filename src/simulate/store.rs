//! What there is to serve, and where it is found.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::entities::{self, Batch, Delivery, Project};
use super::load::{self, Draft, Misfit, Reference, Status};
use crate::error::{Error, Result};
use crate::generate::{GenerateOptions, generate};
use crate::progress::Progress;
use crate::source::{Blocks, Input};

/// Tasks with their projects, batches and deliveries, ready to be listed.
///
/// A task is kept as JSON without what stands in many tasks alike, and takes little more memory than its text.
#[derive(Debug)]
pub struct Store {
    /// In the order of their places, which is that of all listings.
    pub(super) tasks: Vec<Task>,
    /// In the order of their ids.
    pub(super) projects: Vec<Project>,
    /// In the order of their ids.
    pub(super) batches: Vec<Batch>,
    /// By project, oldest first.
    pub(super) deliveries: Vec<Delivery>,
    /// Positions of the tasks of each project, rising.
    pub(super) of_project: Vec<Vec<u32>>,
    /// The same for each batch.
    pub(super) of_batch: Vec<Vec<u32>>,
    /// The same for each delivery.
    pub(super) of_delivery: Vec<Vec<u32>>,
}

/// A task in its place.
#[derive(Debug)]
pub(super) struct Task {
    /// A hash of the id, so that the order of listings tells nothing.
    place: u64,
    pub(super) id: String,
    pub(super) project: Link,
    pub(super) batch: Link,
    pub(super) delivery: Option<u32>,
    pub(super) status: Option<Status>,
    pub(super) completed_at: Option<i64>,
    /// The object without `task_id`, `project` and `batch`.
    pub(super) rest: Box<[u8]>,
}

/// What a task says of its project or batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Absent,
    Null,
    To(u32),
}

/// Tasks generated at a time.
const PIECE_TASKS: u64 = 64;

impl Store {
    /// The tasks that `taskloom generate` makes of this number and seed.
    pub fn generated(tasks: u64, seed: u64) -> Result<Store> {
        let piece = |index: u64| {
            let first_task = index * PIECE_TASKS;
            let options = GenerateOptions {
                tasks: PIECE_TASKS.min(tasks - first_task),
                first_task,
                seed,
                ..GenerateOptions::default()
            };
            let mut lines = Vec::new();
            generate(&options, &mut lines).map_err(Error::Output)?;
            let mut drafts = Vec::new();
            read_lines(&lines, "the generated tasks", &mut drafts)?;
            Ok(drafts)
        };
        let pieces: Result<Vec<Vec<Draft>>> = (0..tasks.div_ceil(PIECE_TASKS)).into_par_iter().map(piece).collect();
        Ok(Store::of(pieces?.into_iter().flatten().collect()))
    }

    /// The tasks of a file that `taskloom flatten` reads too: NDJSON, JSON values, arrays or pages, compressed or not.
    ///
    /// # Errors
    /// Where it can't be read, and where it holds something else than tasks.
    pub fn from_file(path: &Path) -> Result<Store> {
        let mut drafts = Vec::new();
        let input = Input::File(path.to_owned());
        for block in Blocks::new(vec![input.clone()], &Progress::default().into()) {
            let block = block?;
            for record in block.records() {
                let text = block.bytes.get(record.range).unwrap_or_default();
                load::read(text, &mut drafts).map_err(|misfit| no_task(&input.name(), record.line, misfit))?;
            }
        }
        Ok(Store::of(drafts))
    }

    /// These tasks. What has no `task_id` is left out.
    pub fn from_tasks(tasks: Vec<serde_json::Value>) -> Store {
        let mut drafts = Vec::new();
        for task in tasks {
            let _ = load::read_valid(task.to_string().as_bytes(), &mut drafts);
        }
        Store::of(drafts)
    }

    /// How many tasks there are.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Ids of the projects, in their order.
    pub fn project_ids(&self) -> Vec<String> {
        self.projects.iter().map(|project| project.id.clone()).collect()
    }

    /// Ids of the batches, in their order.
    pub fn batch_ids(&self) -> Vec<String> {
        self.batches.iter().map(|batch| batch.id.clone()).collect()
    }

    /// Lets a delivery say that it has so many tasks, whatever it has; false where there is none of this id.
    pub fn claim(&mut self, delivery: &str, task_count: u64) -> bool {
        let found = self.deliveries.iter_mut().find(|known| known.id == delivery);
        found.map(|delivery| delivery.task_count = task_count).is_some()
    }

    /// The deliveries, by project, oldest first.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// The task with this id.
    pub(super) fn task(&self, id: &str) -> Option<&Task> {
        let wanted = (hash(id), id);
        let found = self.tasks.binary_search_by(|task| (task.place, task.id.as_str()).cmp(&wanted)).ok()?;
        self.tasks.get(found)
    }

    fn of(drafts: Vec<Draft>) -> Store {
        let drafts = in_place(drafts);
        let (projects, batches) = entities::gather(&drafts);
        let tasks = drafts.into_iter().map(|draft| settle(draft, &projects, &batches)).collect();
        let of_project = projects.iter().map(|_| Vec::new()).collect();
        let of_batch = batches.iter().map(|_| Vec::new()).collect();
        let (deliveries, of_delivery) = (Vec::new(), Vec::new());
        let mut store = Store { tasks, projects, batches, deliveries, of_project, of_batch, of_delivery };
        store.deliver();
        store.index();
        store
    }

    fn deliver(&mut self) {
        let mut found = BTreeMap::<(u32, i64), (Delivery, Vec<u32>)>::new();
        for (position, task) in (0..).zip(&self.tasks) {
            let (Link::To(project), Some(Status::Completed), Some(at)) = (task.project, task.status, task.completed_at)
            else {
                continue;
            };
            let Some(project_id) = self.projects.get(project as usize).map(|project| project.id.as_str()) else {
                continue;
            };
            if let Some(delivery) = entities::delivery(project_id, at) {
                let entry = found.entry((project, delivery.delivered_at)).or_insert((delivery, Vec::new()));
                entry.0.task_count += 1;
                entry.1.push(position);
            }
        }
        (self.deliveries, self.of_delivery) = found.into_values().unzip();
        for (delivery, positions) in (0..).zip(&self.of_delivery) {
            for position in positions {
                if let Some(task) = self.tasks.get_mut(*position as usize) {
                    task.delivery = Some(delivery);
                }
            }
        }
    }

    fn index(&mut self) {
        for (position, task) in (0..).zip(&self.tasks) {
            for (link, lists) in [(task.project, &mut self.of_project), (task.batch, &mut self.of_batch)] {
                if let Link::To(index) = link
                    && let Some(list) = lists.get_mut(index as usize)
                {
                    list.push(position);
                }
            }
        }
    }
}

/// A hash that is the same everywhere.
pub(super) fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// Orders the tasks by their places; of those with the same id the last one stays.
fn in_place(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut placed: Vec<(u64, Draft)> = drafts.into_iter().map(|draft| (hash(&draft.id), draft)).collect();
    placed.sort_by(|left, right| (left.0, &left.1.id).cmp(&(right.0, &right.1.id)));
    placed.reverse();
    placed.dedup_by(|later, kept| later.1.id == kept.1.id);
    placed.reverse();
    placed.into_iter().map(|(_, draft)| draft).collect()
}

fn settle(draft: Draft, projects: &[Project], batches: &[Batch]) -> Task {
    let link = |reference: &Reference, find: &dyn Fn(&str) -> Option<usize>| match reference {
        Reference::Absent => Link::Absent,
        Reference::Null => Link::Null,
        Reference::Of(id, _) => find(id).and_then(|index| u32::try_from(index).ok()).map_or(Link::Absent, Link::To),
    };
    let project = link(&draft.project, &|id| projects.binary_search_by(|project| project.id.as_str().cmp(id)).ok());
    let batch = link(&draft.batch, &|id| batches.binary_search_by(|batch| batch.id.as_str().cmp(id)).ok());
    Task {
        place: hash(&draft.id),
        id: draft.id,
        project,
        batch,
        delivery: None,
        status: draft.status,
        completed_at: draft.completed_at,
        rest: draft.rest,
    }
}

fn read_lines(lines: &[u8], input: &str, drafts: &mut Vec<Draft>) -> Result<()> {
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        load::read_valid(line, drafts).map_err(|misfit| no_task(input, index as u64 + 1, misfit))?;
    }
    Ok(())
}

fn no_task(input: &str, line: u64, (expected, found): Misfit) -> Error {
    Error::NoTask { input: input.to_owned(), line, expected, found }
}
