//! What a lake's versions did to tasks, in their order: what somebody who keeps a copy of it has to do.

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file::open;
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::table::changes::task_changes::TABLE;
use crate::time::{read_instant, write_instant};

/// What a version did to a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TaskChange {
    /// The version.
    pub version: u64,
    /// The task.
    pub task_id: String,
    /// `added`, `replaced` or `removed`.
    pub change: String,
    /// The project that it lies in, or lay.
    pub project_id: Option<String>,
    /// Its batch.
    pub batch_id: Option<String>,
    /// When the version was committed.
    pub committed_at: String,
}

/// Where a feed begins: behind this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A version; 0 for all.
    Version(u64),
    /// An instant, in microseconds.
    Instant(i64),
}

/// Hands out what happened since then up to a version, in the order of versions, and in each in that of ids.
pub fn changes_since(
    lake: &Lake,
    state: &State,
    since: Since,
    mut each: impl FnMut(TaskChange) -> Result<()>,
) -> Result<()> {
    let began = |part: &&PartEntry| {
        let instants = part.files.get(TABLE.name)?.instants.get("committed_at")?;
        Some((read_instant(instants.least.as_deref()?)?, read_instant(instants.greatest.as_deref()?)?))
    };
    let parts = state.parts.values().filter_map(|part| Some((began(&part)?, part)));
    let mut parts = parts.filter(|((_, last), _)| since.may_be_before(*last)).collect::<Vec<_>>();
    parts.sort_by_key(|((first, _), _)| std::cmp::Reverse(*first));
    // What is read and not handed out: a compacted part tells of many versions.
    let mut held = Vec::new();
    while let Some((_, part)) = parts.pop() {
        held.extend(read(lake, part)?.into_iter().filter(|(at, row)| since.is_before(*at, row.version)));
        // No other part tells of what was before the next one begins.
        let next = parts.last().map_or(i64::MAX, |((first, _), _)| *first);
        held.sort_unstable_by(|one, other| one.1.cmp(&other.1));
        let ready = held.partition_point(|(at, _)| *at < next);
        for (_, row) in held.drain(..ready) {
            each(row)?;
        }
    }
    Ok(())
}

impl Since {
    /// Whether a version, committed at an instant, is behind it.
    fn is_before(self, at: i64, version: u64) -> bool {
        match self {
            Since::Version(since) => version > since,
            Since::Instant(since) => at > since,
        }
    }

    /// Whether anything committed up to an instant may be behind it.
    fn may_be_before(self, last: i64) -> bool {
        match self {
            Since::Version(_) => true,
            Since::Instant(since) => last > since,
        }
    }
}

/// The rows of a part, each with when its version was committed.
fn read(lake: &Lake, part: &PartEntry) -> Result<Vec<(i64, TaskChange)>> {
    let failed = |source| Error::Batch { table: TABLE.name, source };
    let missing = |name: &str| failed(ArrowError::SchemaError(format!("no column `{name}` as it should be")));
    let mut rows = Vec::new();
    for batch in open(&**lake.store(), &part.path(TABLE.name))? {
        let batch = batch.map_err(failed)?;
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| missing(name))
        };
        let of = |column: &StringArray, row| column.is_valid(row).then(|| column.value(row).to_owned());
        let version = batch.column_by_name("version").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let version = version.ok_or_else(|| missing("version"))?;
        let at = batch.column_by_name("committed_at");
        let at = at.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let at = at.ok_or_else(|| missing("committed_at"))?;
        let [id, change, project, batch_id] =
            [text("task_id")?, text("change")?, text("project_id")?, text("batch_id")?];
        for row in 0..batch.num_rows() {
            let change = TaskChange {
                version: u64::try_from(version.value(row)).unwrap_or_default(),
                task_id: id.value(row).to_owned(),
                change: change.value(row).to_owned(),
                project_id: of(project, row),
                batch_id: of(batch_id, row),
                committed_at: write_instant(at.value(row)).unwrap_or_default(),
            };
            rows.push((at.value(row), change));
        }
    }
    Ok(rows)
}
