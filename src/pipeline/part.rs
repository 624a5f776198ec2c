//! A part to its staged files.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::Context;
use crate::batch::Tables;
use crate::commit::{FileEntry, part_name};
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::file::{encode, without};
use crate::flatten::{Workbench, flatten};
use crate::parse::{Problem, Reject};
use crate::partition::Key;
use crate::shuffle::{Frame, Part, Position, frames, identity};
use crate::table::{Dataset, Table};

/// A part whose files are staged.
#[derive(Debug)]
pub(super) struct Finished {
    pub number: u32,
    pub key: Key,
    pub ordinal: u32,
    pub files: Vec<FileEntry>,
    /// The objects in it.
    pub identities: Vec<(u128, Position)>,
    pub rejects: Vec<Reject>,
    /// Tasks that a later task of the same part replaced.
    pub superseded: u64,
    pub replaced_surrogates: u64,
    pub drift: Drift,
}

/// Frames that are flattened in one go; the runs of a part are flattened side by side.
const RUN_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn build(part: Part, context: &Context) -> Result<Finished> {
    context.progress.check()?;
    let (number, ordinal, key) = (part.number, part.ordinal, part.key.clone());
    tracing::debug!(part = number, partition = key.path(), bytes = part.bytes, "building");
    let folder = context.staging.folder();
    let flat = {
        let pieces = part.load().map_err(Error::file("read back what was spilled to", folder))?;
        flatten_all(&key, &pieces)?
    };
    context.progress.check()?;
    let mut finished = Finished {
        number,
        ordinal,
        files: Vec::new(),
        identities: Vec::new(),
        rejects: Vec::new(),
        superseded: 0,
        replaced_surrogates: 0,
        drift: Drift::default(),
        key,
    };
    let mut batches: Vec<(&'static Table, Vec<RecordBatch>)> =
        finished.key.dataset.tables().map(|table| (table, Vec::new())).collect();
    for run in flat {
        finished.identities.extend(run.identities);
        finished.rejects.extend(run.rejects);
        finished.superseded += run.superseded;
        finished.replaced_surrogates += run.replaced_surrogates;
        finished.drift.merge(run.drift);
        for (table, batch) in run.batches {
            if let Some((_, of_table)) = batches.iter_mut().find(|(known, _)| known.name == table.name) {
                of_table.push(batch);
            }
        }
    }
    let name = part_name(&context.parent, &finished.key, ordinal);
    let key = &finished.key;
    let filled = batches.into_par_iter().filter(|(_, batches)| !batches.is_empty());
    finished.files = filled
        .map(|(table, batches)| {
            context.progress.check()?;
            let encoded = encode(table, &batches, context.encoding, &context.staging.path(table.name, &name))?;
            drop(batches);
            context.staging.write(table, key, &name, &encoded.bytes, encoded.rows)
        })
        .collect::<Result<_>>()?;
    Ok(finished)
}

/// The rows of some of a part's objects.
struct FlatRun {
    batches: Vec<(&'static Table, RecordBatch)>,
    identities: Vec<(u128, Position)>,
    rejects: Vec<Reject>,
    superseded: u64,
    replaced_surrogates: u64,
    drift: Drift,
}

impl FlatRun {
    /// Adds the rows of what has one id: of the last one that can be read. The earlier ones are read too, so that what is
    /// rejected doesn't depend on which part it came to.
    fn add(&mut self, key: &Key, same_id: &[Frame<'_>], tables: &mut Tables, bench: &mut Workbench) {
        let is_task = key.dataset == Dataset::Tasks;
        if !is_task {
            return self.add_merged(key, same_id, tables, bench);
        }
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

    /// Adds one row for a project, a batch or a delivery, which may have been seen more or less whole: each field from the last
    /// object that has it.
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

/// Flattens the frames in the order of their ids. Runs end between ids, by bytes, so that they don't depend on threads.
fn flatten_all(key: &Key, pieces: &[Vec<u8>]) -> Result<Vec<FlatRun>> {
    let mut sorted = pieces.iter().flat_map(|piece| frames(piece)).collect::<Vec<_>>();
    sorted.sort_unstable_by_key(|frame| (frame.id, frame.position));
    let mut runs: Vec<Vec<&[Frame<'_>]>> = Vec::new();
    let mut bytes = RUN_BYTES;
    for same_id in sorted.chunk_by(|one, other| one.id == other.id) {
        if bytes >= RUN_BYTES {
            runs.push(Vec::new());
            bytes = 0;
        }
        bytes += same_id.iter().map(|frame| frame.raw.len()).sum::<usize>();
        runs.last_mut().into_iter().for_each(|run| run.push(same_id));
    }
    runs.into_par_iter().map(|run| flatten_run(key, &run)).collect()
}

fn flatten_run(key: &Key, run: &[&[Frame<'_>]]) -> Result<FlatRun> {
    let mut tables = Tables::default();
    let mut bench = Workbench::default();
    let mut flat = FlatRun {
        batches: Vec::new(),
        identities: Vec::with_capacity(run.len()),
        rejects: Vec::new(),
        superseded: 0,
        replaced_surrogates: 0,
        drift: Drift::default(),
    };
    for same_id in run {
        flat.add(key, same_id, &mut tables, &mut bench);
    }
    flat.batches = tables.finish()?;
    flat.batches.iter().for_each(|(table, batch)| flat.drift.observe(table, batch));
    Ok(flat)
}

/// Takes objects out of a staged part, because later ones replace them.
pub(super) fn remove(part: &mut Finished, identities: &HashSet<u128>, context: &Context) -> Result<()> {
    let name = part_name(&context.parent, &part.key, part.ordinal);
    let key = &part.key;
    let is_dropped = |id: &[u8]| identities.contains(&identity(id));
    let rewritten = part.files.par_iter().map(|file| {
        let Some(table) = Table::named(&file.table) else {
            return Ok(Some(file.clone()));
        };
        let path = context.staging.path(table.name, &name);
        let Some(encoded) = without(table, &path, is_dropped, context.encoding)? else {
            std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            return Ok(None);
        };
        context.staging.write(table, key, &name, &encoded.bytes, encoded.rows).map(Some)
    });
    let kept = rewritten.collect::<Result<Vec<_>>>()?;
    part.files = kept.into_iter().flatten().collect();
    Ok(())
}
