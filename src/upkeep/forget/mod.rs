//! Tasks and contributors taken out of a lake, and kept out of it.

mod search;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use parquet::basic::ZstdLevel;
use rayon::prelude::*;
use serde::Serialize;

use super::gathered::Gathered;
use crate::config::{self, CONFLICT_RETRIES};
use crate::error::{Error, Result};
use crate::file::{Encoding, open_columns};
use crate::forgotten::Forgotten;
use crate::lake::{Author, Change, Counts, Erased, FORGET, Lake, RemovedPart, State, Transaction};
use crate::merge::memberships;
use crate::part::{Near, PartEntry, PartWriter, groups};
use crate::pipeline::{Received, Workers, drop_received};
use crate::progress::{Progress, Stage};
use crate::shuffle::identity;
use crate::store::with_readers;
use crate::table::Table;
use crate::table::changes::task_changes;
use search::{Found, Search, Touched, Wanted, text};

/// What is to be forgotten, and how.
#[derive(Clone, Debug)]
pub struct ForgetOptions {
    /// Ids of tasks.
    pub tasks: Vec<String>,
    /// Ids of contributors.
    pub contributors: Vec<String>,
    /// Forget all tasks that these contributors submitted too. Else these stay, and name nobody.
    pub drops_tasks: bool,
    /// Forget ids too of which the lake knows none: they may stand in old versions, raw pages and rejects, or be still to come.
    pub allows_unknown: bool,
    /// Tell what would go, and change nothing.
    pub is_dry_run: bool,
    /// Where exports of this machine keep what they have received.
    pub work_dir: Option<PathBuf>,
    /// Threads that work.
    pub threads: usize,
    /// zstd's level.
    pub compression_level: ZstdLevel,
    /// Who does it: without the ids.
    pub author: Author,
}

impl Default for ForgetOptions {
    /// Nothing yet, with all cores.
    fn default() -> ForgetOptions {
        ForgetOptions {
            tasks: Vec::new(),
            contributors: Vec::new(),
            drops_tasks: false,
            allows_unknown: false,
            is_dry_run: false,
            work_dir: None,
            threads: config::all_cores(),
            compression_level: Encoding::usual_level(),
            author: Author::default(),
        }
    }
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forgetting {
    /// Whether nothing was changed in truth.
    pub is_dry_run: bool,
    /// The newest version: that in which history begins.
    pub version: u64,
    /// Tasks that lost all their rows.
    pub tasks_forgotten: u64,
    /// Ids of tasks that were asked for and that the lake did not hold. These can't come either.
    pub tasks_not_held: Vec<String>,
    /// Tasks that stay, and name a contributor no more.
    pub tasks_changed: u64,
    /// Names of versions that went with the versions.
    pub tags: Vec<String>,
    /// What went from the lake because history begins anew.
    pub erased: Erased,
    /// What exports of this machine had received and not committed.
    pub received: Received,
}

/// Takes tasks, or the names of contributors, out of the lake as one version, and with it all that was before: its history begins anew.
/// They do not come again. What a failure leaves behind that version, the next run removes.
pub fn forget(lake: &Lake, options: &ForgetOptions, progress: &Progress) -> Result<Forgetting> {
    let state = lake.readable_state()?;
    let workers = Workers::start(options.threads)?;
    let fresh_key = Forgotten::new_key();
    let mut done = Forgetting { is_dry_run: options.is_dry_run, ..Forgetting::default() };
    if options.is_dry_run {
        let wanted = Wanted::of(options, &state, &fresh_key);
        let search = Search { wanted: &wanted, progress };
        let found = workers.pool().install(|| search.find(&**lake.store(), &state))?;
        (done.version, done.tags) = (state.version, state.tags.keys().cloned().collect());
        done.count(options, &found);
        return Ok(done);
    }
    let act = |transaction: &mut Transaction| {
        let writer = transaction.writer(Encoding { compression_level: options.compression_level }, workers.pool());
        let make = |parent: &State, attempt| {
            let wanted = Wanted::of(options, parent, &fresh_key);
            Making { options, wanted: &wanted, writer: &writer, attempt, progress }.change(parent, &mut done).map(Some)
        };
        done.version = transaction.commit(&writer, CONFLICT_RETRIES, progress, |_| true, make)?.version()?;
        let mut clear = || -> Result<()> {
            done.erased = lake.erase_for(transaction.name())?;
            done.received = drop_received(options.work_dir.as_deref(), lake.place())?;
            Ok(())
        };
        clear().map_err(|cause| Error::committed(done.version, cause))
    };
    lake.transact(&options.author, |_| Ok(()), act)?;
    Ok(done)
}

impl ForgetOptions {
    /// The lake knows nothing of what is to be forgotten: its whole history would go for a slip of the pen.
    fn unknown(&self) -> Error {
        let asked = self.tasks.iter().chain(&self.contributors).take(MOST_TOLD).map(|id| format!("`{id}`"));
        Error::Usage {
            setting: "ID",
            expected: "ids that the lake knows, or --allow-unknown".to_owned(),
            found: format!("none that it does among {}", asked.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Ids that are told.
const MOST_TOLD: usize = 10;

impl Forgetting {
    fn count(&mut self, options: &ForgetOptions, found: &Found) {
        let is_absent = |id: &&String| !found.gone.contains(id.as_str());
        let absent = options.tasks.iter().filter(is_absent).cloned().collect::<BTreeSet<_>>();
        self.tasks_forgotten = found.gone.len() as u64;
        self.tasks_not_held = absent.into_iter().collect();
        self.tasks_changed = found.changed;
    }
}

/// What a version becomes without what is forgotten.
struct Making<'o> {
    options: &'o ForgetOptions,
    wanted: &'o Wanted<'o>,
    writer: &'o PartWriter,
    attempt: u32,
    progress: &'o Progress,
}

/// How a part is written anew.
enum Rewrite<'f> {
    /// Its tasks: some go, some change.
    Tasks(&'f Touched),
    /// Without these objects.
    Without(HashSet<u128>),
}

impl Making<'_> {
    fn change(&self, parent: &State, done: &mut Forgetting) -> Result<Change> {
        let search = Search { wanted: self.wanted, progress: self.progress };
        let found = self.writer.install(|| search.find(self.writer.store(), parent))?;
        done.count(self.options, &found);
        done.tags = parent.tags.keys().cloned().collect();
        let ids = self.wanted.tasks.iter().map(|id| (*id).to_owned()).chain(found.gone.iter().cloned());
        let ids = ids.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let forgets = Forgotten::of_ids(self.wanted.key.to_owned(), &ids, &self.options.contributors);
        let beside = self.beside(parent, &ids)?.into_iter().map(|(part, gone)| (part, Rewrite::Without(gone)));
        let touched = found.touched.iter().map(|(part, touched)| (part.clone(), Rewrite::Tasks(touched)));
        let rewrites = beside.chain(touched).collect::<BTreeMap<_, _>>();
        let is_known = || parent.forgotten().is_some_and(|known| known.has_any(&forgets));
        if rewrites.is_empty() && !self.options.allows_unknown && !is_known() {
            return Err(self.options.unknown());
        }
        let (remove, add) = self.carry_out(parent, &search, &rewrites)?;
        self.progress.enter(Stage::Committing);
        Ok(Change {
            operation: FORGET,
            author: self.options.author.clone(),
            layout: parent.layout,
            counts: Counts { removed: done.tasks_forgotten, replaced: done.tasks_changed, ..Counts::default() },
            remove,
            add,
            forgets: Some(forgets),
            ..Change::default()
        })
    }

    /// Writes these parts of a version anew: the parts that go, and those that come.
    fn carry_out(
        &self,
        parent: &State,
        search: &Search<'_>,
        rewrites: &BTreeMap<String, Rewrite<'_>>,
    ) -> Result<(Vec<RemovedPart>, Vec<PartEntry>)> {
        let lacks = |name: &String| bug(format!("the part {name}, which the lake does not have"));
        let parts = rewrites.keys().map(|name| parent.parts.get(name).ok_or_else(|| lacks(name)));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let mut add = Vec::new();
        for group in groups(self.writer.store(), &parts) {
            let near = Near::bring(self.writer.store(), group)?;
            let before = add.len();
            let rewrite = |(number, part): (usize, &&PartEntry)| {
                let name = format!("forget{}-{:06}", self.attempt, before + number);
                match rewrites.get(&part.part).ok_or_else(|| lacks(&part.part))? {
                    Rewrite::Tasks(touched) => self.rewrite(search, &near, part, touched, &name),
                    Rewrite::Without(gone) => {
                        Ok(Vec::from_iter(self.writer.without(part, near.store(), &name, gone)?))
                    }
                }
            };
            let written = || group.par_iter().enumerate().map(rewrite).collect::<Result<Vec<_>>>();
            add.extend(self.writer.install(written)?);
        }
        Ok((parts.into_iter().map(RemovedPart::of).collect(), add.into_iter().flatten().collect()))
    }

    /// The tasks of a part anew: without those that go, and with those that change as they are then.
    fn rewrite(
        &self,
        search: &Search<'_>,
        near: &Near<'_>,
        part: &PartEntry,
        touched: &Touched,
        name: &str,
    ) -> Result<Vec<PartEntry>> {
        let all = touched.gone.iter().chain(&touched.suspects);
        let identities = all.map(|id| identity(id.as_bytes())).collect::<HashSet<_>>();
        let mut parts = Vec::from_iter(self.writer.without(part, near.store(), name, &identities)?);
        if touched.suspects.is_empty() {
            return Ok(parts);
        }
        let mut changed = Gathered::of(part, self.writer.shared_store())?;
        let named = search.named_near(near, part, &touched.suspects)?;
        if named.len() != touched.suspects.len() {
            let (found, expected) = (named.len(), touched.suspects.len());
            return Err(bug(format!("{found} of {expected} tasks of {}", part.part)));
        }
        named.iter().for_each(|(id, json)| changed.add(id, json));
        parts.push(changed.write(self.writer, format!("{name}-changed"), self.progress)?);
        Ok(parts)
    }

    /// What tells of tasks beside themselves, by part: with which deliveries they came, and what versions did to them.
    fn beside(&self, parent: &State, ids: &[String]) -> Result<BTreeMap<String, HashSet<u128>>> {
        let store = self.writer.store();
        let wanted = ids.iter().map(String::as_str).collect::<HashSet<_>>();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let own = memberships(store, parent.parts.values(), &wanted)?;
        let mut beside =
            own.into_iter().map(|(part, own)| (part, own.into_iter().collect())).collect::<BTreeMap<_, _>>();
        let table: &'static Table = &task_changes::TABLE;
        let parts = parent.parts.values().filter(|part| part.rows(table.name) > 0).collect::<Vec<_>>();
        let look = |part: &&PartEntry| {
            let failed = |source| Error::Batch { table: table.name, source };
            let mut named = HashSet::new();
            for batch in open_columns(store, &part.path(table.name), &["task_id"])? {
                let batch = batch.map_err(failed)?;
                let ids = text(&batch, "task_id").map_err(failed)?;
                named.extend(ids.iter().flatten().filter(|id| wanted.contains(id)).map(|id| identity(id.as_bytes())));
            }
            Ok((part.part.clone(), named))
        };
        let looked = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
        beside.extend(looked.into_iter().filter(|(_, named)| !named.is_empty()));
        Ok(beside)
    }
}

fn bug(found: String) -> Error {
    Error::Bug { place: "upkeep::forget", found }
}
