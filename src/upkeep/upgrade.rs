//! Parts that older releases wrote, with the columns that came since.

use std::collections::BTreeMap;

use parquet::basic::ZstdLevel;
use rayon::prelude::*;
use serde::Serialize;

use super::gathered::Gathered;
use crate::config::{self, CONFLICT_RETRIES};
use crate::error::{Error, Result};
use crate::file::{Encoding, Objects};
use crate::lake::{Author, Change, Lake, RemovedPart, State, UPGRADE};
use crate::part::{Near, PartEntry, PartWriter, groups};
use crate::pipeline::Workers;
use crate::progress::{Progress, Stage};
use crate::restore::restore_objects;
use crate::store::Store;
use crate::table::catalog::tasks;
use crate::table::{Dataset, SCHEMA_VERSION};

/// How a lake is upgraded.
#[derive(Clone, Debug)]
pub struct UpgradeOptions {
    /// Threads that work.
    pub threads: usize,
    /// zstd's level.
    pub compression_level: ZstdLevel,
    /// Who does it.
    pub author: Author,
}

impl Default for UpgradeOptions {
    /// With all cores.
    fn default() -> UpgradeOptions {
        UpgradeOptions {
            threads: config::all_cores(),
            compression_level: Encoding::usual_level(),
            author: Author::default(),
        }
    }
}

/// What an upgrade did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Upgraded {
    /// The newest version: the upgrade's own, if it did anything.
    pub version: u64,
    /// The oldest schema version that it had rows of.
    pub schema_version_before: u32,
    /// The one that it has.
    pub schema_version: u32,
    /// Parts that were written anew.
    pub parts: u64,
    /// Their files.
    pub files: u64,
    /// The bytes of these.
    pub bytes_before: u64,
    /// The bytes of those that took their place.
    pub bytes_after: u64,
}

/// Parts for whose rows newer schemas have a column, or a table, that they were made without.
pub fn outdated_parts(state: &State) -> usize {
    state.parts.values().filter(|part| part.is_outdated()).count()
}

/// Brings a lake of an older schema to this release's, as one version: what stood in `extra` and has a column now moves there, and what
/// is computed is. Tasks stay what they are, which each one's hash must show. Readers of the versions before see them as they were.
pub fn upgrade(lake: &Lake, options: &UpgradeOptions, progress: &Progress) -> Result<Upgraded> {
    lake.check()?;
    lake.transact(
        &options.author,
        |_| Ok(()),
        |transaction| {
            let workers = Workers::start(options.threads)?;
            let encoding = Encoding { compression_level: options.compression_level };
            let writer = transaction.writer(encoding, workers.pool());
            let mut making = Making { writer: &writer, progress, made: BTreeMap::new() };
            let mut done = Upgraded::default();
            let ended = transaction.commit(
                &writer,
                CONFLICT_RETRIES,
                progress,
                |_| true,
                |parent, attempt| {
                    let change = making.change(parent, attempt, &mut done)?;
                    Ok(change.map(|change| Change { author: options.author.clone(), ..change }))
                },
            )?;
            done.version = ended.version()?;
            Ok(done)
        },
    )
}

/// What takes the place of parts that are outdated.
struct Making<'w> {
    writer: &'w PartWriter,
    progress: &'w Progress,
    /// By the name of the part whose place it takes. It stays good whatever others commit, as long as that part is there.
    made: BTreeMap<String, PartEntry>,
}

impl Making<'_> {
    fn change(&mut self, parent: &State, attempt: u32, done: &mut Upgraded) -> Result<Option<Change>> {
        let outdated = parent.in_order().into_iter().filter(|part| part.is_outdated()).collect::<Vec<_>>();
        self.write_missing(&outdated, attempt)?;
        let add = outdated.iter().filter_map(|part| self.made.get(&part.part)).cloned().collect::<Vec<_>>();
        let bytes = |part: &PartEntry| part.files.values().map(|file| file.bytes).sum::<u64>();
        *done = Upgraded {
            version: parent.version,
            schema_version_before: outdated
                .iter()
                .map(|part| part.schema_version)
                .fold(parent.schema_version, u32::min),
            schema_version: SCHEMA_VERSION,
            parts: outdated.len() as u64,
            files: outdated.iter().map(|part| part.files.len() as u64).sum(),
            bytes_before: outdated.iter().map(|part| bytes(part)).sum(),
            bytes_after: add.iter().map(bytes).sum(),
        };
        self.progress.enter(Stage::Committing);
        let is_newest = outdated.is_empty() && parent.schema_version == SCHEMA_VERSION;
        Ok((!is_newest).then(|| Change {
            operation: UPGRADE,
            layout: parent.layout,
            remove: outdated.iter().map(|part| RemovedPart::of(part)).collect(),
            add,
            ..Change::default()
        }))
    }

    /// Writes what is not written yet.
    fn write_missing(&mut self, outdated: &[&PartEntry], attempt: u32) -> Result<()> {
        let parts = outdated.iter().filter(|part| !self.made.contains_key(&part.part)).copied().collect::<Vec<_>>();
        self.progress.enter(Stage::Merging);
        self.progress.expect_parts(parts.len());
        let mut number = 0;
        for group in groups(self.writer.store(), &parts) {
            let near = Near::bring(self.writer.store(), group)?;
            let write = |(index, part): (usize, &&PartEntry)| {
                let name = format!("upgrade{attempt}-{:06}", number + index);
                let written = self.progress.part(|| self.upgraded(part, &near, name))?;
                Ok((part.part.clone(), written))
            };
            let write_all = || group.par_iter().enumerate().map(write).collect::<Result<Vec<_>>>();
            let written = self.writer.install(write_all)?;
            number += written.len();
            self.made.extend(written);
        }
        Ok(())
    }

    /// A part whose files were read from there, as this release would have written it.
    fn upgraded(&self, part: &PartEntry, near: &Near<'_>, name: String) -> Result<PartEntry> {
        if !part.has_rows() {
            return self.writer.write_empty_of(part.key.dataset, name);
        }
        if part.key.dataset == Dataset::TaskChanges {
            // Nothing waits in an `extra` there.
            let joined = self.writer.join(&[part], near.store(), &name, part.key.clone())?;
            return Ok(PartEntry { schema_version: SCHEMA_VERSION, ..joined });
        }
        let mut objects = Gathered::of(part, self.writer.shared_store())?;
        restore_objects(near, part, &mut |id, json| {
            objects.add(id, json.as_bytes());
            self.progress.check()
        })?;
        let upgraded = objects.write(self.writer, name, self.progress)?;
        if part.key.dataset == Dataset::Tasks {
            check_content(part, &contents(near.store(), part)?, &contents(self.writer.store(), &upgraded)?)?;
        }
        Ok(upgraded)
    }
}

/// The ids of a part's tasks, each with the hash of its content.
fn contents(store: &dyn Store, part: &PartEntry) -> Result<Vec<(String, u128)>> {
    let mut contents = Vec::new();
    Objects::open(&tasks::TABLE, store, &part.path(tasks::TABLE.name))?.read(|object| {
        contents.push((object.id.to_owned(), object.fingerprint));
        Ok(())
    })?;
    Ok(contents)
}

/// Rows that were damaged unseen must not get a hash that says that they are whole.
fn check_content(part: &PartEntry, before: &[(String, u128)], after: &[(String, u128)]) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let differs = before.iter().zip(after).find(|(before, after)| before != after).map(|(before, _)| before);
    let (task_id, part) = (differs.or(before.last()).map(|(id, _)| id.clone()).unwrap_or_default(), part.path("tasks"));
    Err(Error::OtherContent { part, task_id })
}
