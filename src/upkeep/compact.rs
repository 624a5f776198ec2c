//! Small files of a partition as one, without any change of what is in them.

use std::collections::BTreeMap;

use parquet::basic::ZstdLevel;
use serde::Serialize;

use crate::config::{self, CONFLICT_RETRIES};
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::lake::{Author, COMPACT, Change, Lake, RemovedPart, State};
use crate::part::{Near, PartEntry, PartWriter};
use crate::partition::{DateGrain, Key, Layout};
use crate::pipeline::Workers;
use crate::progress::{Progress, Stage};

/// How a lake is compacted.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// How long a partition's date is to last from now on. A day can become a month, and not the other way round.
    pub date_grain: Option<DateGrain>,
    /// Threads that work.
    pub threads: usize,
    /// zstd's level.
    pub compression_level: ZstdLevel,
    /// Who does it.
    pub author: Author,
}

impl Default for CompactOptions {
    /// All that can be joined, with all cores.
    fn default() -> CompactOptions {
        CompactOptions {
            date_grain: None,
            threads: config::all_cores(),
            compression_level: Encoding::usual_level(),
            author: Author::default(),
        }
    }
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// The newest version: the compaction's own, if it did anything.
    pub version: u64,
    /// Files that became fewer.
    pub files_before: u64,
    /// Files that they became.
    pub files_after: u64,
    /// Their bytes.
    pub bytes_before: u64,
    /// The bytes of those that they became.
    pub bytes_after: u64,
}

/// A part is joined with others until it has so many bytes in all its files.
const TARGET_BYTES: u64 = 8 << 20;

/// A part that has so many is left as it is: each byte is written anew a few times at most, however many runs there are.
const LARGE_BYTES: u64 = TARGET_BYTES / 2;

/// Where a lake has so many parts more than need be, compacting it is worth while.
pub const MANY_PARTS: usize = 64;

/// Parts that become one.
#[derive(Debug)]
struct Join<'s> {
    key: Key,
    parts: Vec<&'s PartEntry>,
}

/// Joins the small parts of each partition, as a version of its own: what can be read from the lake is the same before and after.
pub fn compact(lake: &Lake, options: &CompactOptions, progress: &Progress) -> Result<Compacted> {
    lake.check()?;
    let check = |state: &State| options.layout(lake, state).map(drop);
    lake.transact(&options.author, check, |transaction| {
        let workers = Workers::start(options.threads)?;
        let encoding = Encoding { compression_level: options.compression_level };
        let writer = transaction.writer(encoding, workers.pool());
        let mut done = Compacted::default();
        let may_follow = |newer: &State| check(newer).is_ok();
        let ended = transaction.commit(&writer, CONFLICT_RETRIES, progress, may_follow, |parent, attempt| {
            options.change(lake, parent, &writer, attempt, progress, &mut done)
        })?;
        done.version = ended.version()?;
        Ok(done)
    })
}

/// Parts that a compaction of everything would take away: how much smaller files there are than need be.
pub fn surplus_parts(state: &State) -> usize {
    joins(state, state.layout).iter().map(|join| join.parts.len().saturating_sub(1)).sum()
}

impl CompactOptions {
    /// The layout that comes of it.
    fn layout(&self, lake: &Lake, state: &State) -> Result<Layout> {
        let layout = Layout { date_grain: self.date_grain.unwrap_or(state.layout.date_grain), ..state.layout };
        if (state.layout.date_grain, layout.date_grain) == (DateGrain::Month, DateGrain::Day) {
            let (has, wanted) = (state.layout, layout);
            return Err(Error::Layout {
                path: lake.place().to_owned(),
                has_by: has.date_by.word(),
                has_grain: has.date_grain.word(),
                by: wanted.date_by.word(),
                grain: wanted.date_grain.word(),
            });
        }
        Ok(layout)
    }

    fn change(
        &self,
        lake: &Lake,
        parent: &State,
        writer: &PartWriter,
        attempt: u32,
        progress: &Progress,
        done: &mut Compacted,
    ) -> Result<Option<Change>> {
        let layout = self.layout(lake, parent)?;
        let joins = joins(parent, layout);
        *done = Compacted::default();
        progress.enter(Stage::Merging);
        progress.expect_parts(joins.len());
        let store = &**lake.store();
        let join = |(number, join): (usize, &Join<'_>)| {
            progress.part(|| {
                let near = Near::bring(store, &join.parts)?;
                writer.join(&join.parts, near.store(), &format!("join{attempt}-{number:06}"), join.key.clone())
            })
        };
        // One after the other: the tables of each are joined side by side, and memory holds the rows of one.
        let add = joins.iter().enumerate().map(join).collect::<Result<Vec<_>>>()?;
        progress.enter(Stage::Committing);
        let before = || joins.iter().flat_map(|join| &join.parts).flat_map(|part| part.files.values());
        let after = || add.iter().flat_map(|part| part.files.values());
        (done.files_before, done.files_after) = (before().count() as u64, after().count() as u64);
        done.bytes_before = before().map(|file| file.bytes).sum();
        done.bytes_after = after().map(|file| file.bytes).sum();
        if joins.is_empty() && layout == parent.layout {
            return Ok(None);
        }
        Ok(Some(Change {
            operation: COMPACT,
            author: self.author.clone(),
            layout,
            remove: joins.iter().flat_map(|join| join.parts.iter().map(|part| RemovedPart::of(part))).collect(),
            add,
            ..Change::default()
        }))
    }
}

/// The parts that are to become one, in a layout. Parts of a partition are taken in the order of their ids.
fn joins(state: &State, layout: Layout) -> Vec<Join<'_>> {
    let mut by_key = BTreeMap::<Key, Vec<&PartEntry>>::new();
    for part in state.in_order().into_iter().filter(|part| part.has_rows()) {
        by_key.entry(key_in(layout, &part.key)).or_default().push(part);
    }
    let mut joins = Vec::new();
    for (key, parts) in by_key {
        let (mut bytes, mut groups) = (0, vec![Vec::new()]);
        // One that is large enough stays, where it need not move.
        for part in parts.into_iter().filter(|part| bytes_of(part) < LARGE_BYTES || part.key != key) {
            bytes += bytes_of(part);
            if bytes > TARGET_BYTES {
                bytes = bytes_of(part);
                groups.push(Vec::new());
            }
            groups.last_mut().into_iter().for_each(|group| group.push(part));
        }
        let is_join = |parts: &Vec<&PartEntry>| parts.len() > 1 || parts.iter().any(|part| part.key != key);
        joins.extend(groups.into_iter().filter(is_join).map(|parts| Join { key: key.clone(), parts }));
    }
    joins
}

fn bytes_of(part: &PartEntry) -> u64 {
    // Whoever puts a part's tasks together again has in memory what was moved out of it, too.
    part.files.values().map(|file| file.bytes + file.moved_bytes).sum()
}

/// The partition that the objects of another lie in, in a layout that is not finer.
fn key_in(layout: Layout, key: &Key) -> Key {
    Key { date: key.date.map(|day| layout.date_grain.first_day(day)), ..key.clone() }
}
