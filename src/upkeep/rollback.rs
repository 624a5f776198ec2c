//! An older version as the newest one again.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::config;
use crate::error::Result;
use crate::file::Encoding;
use crate::lake::{Author, Change, Lake, RemovedPart, State};
use crate::pipeline::Workers;
use crate::progress::Progress;

/// What a rollback did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The version that the lake is as again.
    pub to: u64,
    /// The newest version; `to` was the same as it already where no other number is told.
    pub version: u64,
    /// Files that came again.
    pub files_added: u64,
    /// Files that went, until a vacuum only from the newest version.
    pub files_removed: u64,
}

/// Commits that the lake is again what it was at a version, whose files must still be there: its rows, and how far its scheduled jobs had
/// come. No version goes: this too can be rolled back.
pub fn rollback(lake: &Lake, to: u64, author: &Author) -> Result<RolledBack> {
    lake.check()?;
    lake.state_at(to)?;
    let progress = Progress::default();
    lake.transact(
        author,
        |_| Ok(()),
        |transaction| {
            let workers = Workers::start(config::all_cores())?;
            let writer = transaction.writer(Encoding::default(), workers.pool());
            let mut done = RolledBack { to, ..RolledBack::default() };
            let ended = transaction.commit(
                &writer,
                u32::MAX,
                &progress,
                |_| true,
                |newest, _| {
                    // A vacuum may have come between.
                    let old = lake.state_at(to)?;
                    let change = back(newest, &old, author);
                    let files = |files: &mut dyn Iterator<Item = usize>| files.sum::<usize>() as u64;
                    done.files_added = files(&mut change.add.iter().map(|part| part.files.len()));
                    done.files_removed = files(&mut change.remove.iter().map(|part| part.files.len()));
                    let is_same = change.add.is_empty() && change.remove.is_empty() && change.checkpoints.is_empty();
                    Ok((!is_same).then_some(change))
                },
            )?;
            done.version = ended.version()?;
            Ok(done)
        },
    )
}

/// What leads from the newest version to what an old one was.
fn back(newest: &State, old: &State, author: &Author) -> Change {
    let gone = newest.brought().filter(|part| !old.parts.contains_key(&part.part));
    let back = old.brought().filter(|part| !newest.parts.contains_key(&part.part));
    let forgotten = newest.checkpoints.keys().filter(|job| !old.checkpoints.contains_key(*job));
    let mut checkpoints = forgotten.map(|job| (job.clone(), Value::Null)).collect::<BTreeMap<_, _>>();
    let differs = |(job, checkpoint): &(&String, &Value)| newest.checkpoints.get(*job) != Some(checkpoint);
    let earlier = old.checkpoints.iter().filter(differs);
    checkpoints.extend(earlier.map(|(job, checkpoint)| (job.clone(), checkpoint.clone())));
    Change {
        operation: "rollback",
        author: author.clone(),
        source: Some(format!("version {}", old.version)),
        layout: old.layout,
        opts: old.opts.clone(),
        remove: gone.map(RemovedPart::of).collect(),
        add: back.cloned().collect(),
        checkpoints,
        ..Change::default()
    }
}
