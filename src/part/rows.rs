//! The frames of a part to the rows of its tables.

use std::cell::RefCell;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::batch::Tables;
use crate::drift::Drift;
use crate::error::Result;
use crate::flatten::{Workbench, flatten};
use crate::parse::{Problem, Reject};
use crate::partition::Key;
use crate::shuffle::{Frame, Loaded, Position, identity};
use crate::table::{Dataset, Room, Table};

/// Frames that are flattened in one go; the runs of a part are flattened side by side.
const RUN_BYTES: usize = 4 * 1024 * 1024;

/// The rows of some of a part's objects.
pub(super) struct Rows {
    pub batches: Vec<(&'static Table, RecordBatch)>,
    pub identities: Vec<(u128, Position)>,
    pub rejects: Vec<Reject>,
    pub superseded: u64,
    pub replaced_surrogates: u64,
    pub drift: Drift,
}

/// Flattens the frames in the order of their ids. Runs end between ids, by bytes, so that they don't depend on threads.
pub(super) fn flatten_frames(key: &Key, loaded: &Loaded) -> Result<Vec<Rows>> {
    let mut sorted = loaded.frames().collect::<Result<Vec<_>>>()?;
    sorted.sort_unstable_by_key(|frame| (frame.id, frame.position));
    let mut runs: Vec<Vec<&[Frame<'_>]>> = Vec::new();
    let mut bytes = RUN_BYTES;
    for same_id in sorted.chunk_by(|one, other| one.id == other.id) {
        let own = same_id.iter().map(|frame| frame.raw.len()).sum::<usize>();
        match runs.last_mut().filter(|_| bytes < RUN_BYTES) {
            Some(run) => {
                run.push(same_id);
                bytes += own;
            }
            None => {
                runs.push(vec![same_id]);
                bytes = own;
            }
        }
    }
    runs.into_par_iter().map(|run| flatten_run(key, &run)).collect()
}

/// A shorter run says nothing of others.
const TELLING_BYTES: usize = 256 * 1024;

/// What the columns of a run took, for the next run of this thread: most are alike.
struct Taken {
    dataset: Dataset,
    json_bytes: usize,
    rooms: Vec<Room>,
}

thread_local! {
    static TAKEN: RefCell<Option<Taken>> = const { RefCell::new(None) };
}

/// Tables with the room that a run of so many bytes is likely to need, and some to spare. Without it a run takes 1 to 2 % more
/// time, and 20 MiB more at its peak.
fn roomy_tables(dataset: Dataset, json_bytes: usize) -> Tables {
    TAKEN.with_borrow(|taken| match taken {
        Some(taken) if taken.dataset == dataset => {
            let scaled = |size: usize| (size as f64 * 1.1 * json_bytes as f64 / taken.json_bytes as f64) as usize;
            Tables::with_room(
                taken.rooms.iter().map(|room| Room { rows: scaled(room.rows), bytes: scaled(room.bytes) }),
            )
        }
        _ => Tables::default(),
    })
}

fn flatten_run(key: &Key, run: &[&[Frame<'_>]]) -> Result<Rows> {
    let _timed = tracing::info_span!("flatten").entered();
    let json_bytes = run.iter().copied().flatten().map(|frame| frame.raw.len()).sum();
    let mut tables = roomy_tables(key.dataset, json_bytes);
    let mut bench = Workbench::default();
    let mut rows = Rows {
        batches: Vec::new(),
        identities: Vec::with_capacity(run.len()),
        rejects: Vec::new(),
        superseded: 0,
        replaced_surrogates: 0,
        drift: Drift::default(),
    };
    for same_id in run {
        match key.dataset {
            Dataset::Tasks => rows.add_last(key, same_id, &mut tables, &mut bench),
            _ => rows.add_merged(key, same_id, &mut tables, &mut bench),
        }
    }
    if json_bytes >= TELLING_BYTES {
        TAKEN.set(Some(Taken { dataset: key.dataset, json_bytes, rooms: tables.room() }));
    }
    rows.batches = tables.finish()?;
    rows.batches.iter().for_each(|(table, batch)| rows.drift.observe(table, batch));
    Ok(rows)
}

impl Rows {
    /// Adds the rows of a task: of the last copy that can be read. The earlier ones are read too, so that what is rejected doesn't depend
    /// on which part it came to.
    fn add_last(&mut self, key: &Key, same_id: &[Frame<'_>], tables: &mut Tables, bench: &mut Workbench) {
        let mut is_found = false;
        for frame in same_id.iter().rev() {
            let mark = tables.mark();
            let flattened = flatten(key.dataset, &[frame.raw], tables, bench);
            bench.clear();
            match flattened {
                Ok(_) if is_found => {
                    tables.return_to(&mark);
                    self.superseded += 1;
                }
                Ok(flattened) => {
                    is_found = true;
                    self.replaced_surrogates += flattened.replaced_surrogates;
                    self.identities.push((identity(frame.id), frame.position));
                }
                Err(problem) => self.reject(key, frame, problem),
            }
        }
    }

    /// Adds one row for a project, a batch, a delivery or a membership, which may have been seen more or less whole: each field from the
    /// last object that has it.
    fn add_merged(&mut self, key: &Key, same_id: &[Frame<'_>], tables: &mut Tables, bench: &mut Workbench) {
        let Some(last) = same_id.last() else { return };
        let raws = same_id.iter().map(|frame| frame.raw).collect::<Vec<_>>();
        match flatten(key.dataset, &raws, tables, bench) {
            Ok(flattened) => {
                self.replaced_surrogates += flattened.replaced_surrogates;
                self.identities.push((identity(last.id), last.position));
            }
            Err(problem) => self.reject(key, last, problem),
        }
        bench.clear();
    }

    fn reject(&mut self, key: &Key, frame: &Frame<'_>, problem: Problem) {
        let reject = Reject::new(frame.origin, problem, frame.raw, frame.raw.len() as u64);
        let id = std::str::from_utf8(frame.id).ok().filter(|_| key.dataset == Dataset::Tasks);
        self.rejects.push(reject.of_task(id, key.project.as_deref(), key.batch.as_deref()));
    }
}
