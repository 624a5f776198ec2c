//! Who is writing to a lake, and what dead runs left behind.
//!
//! A run puts an entry before its first file and removes it after its last. What a dead run left is never guessed: its entry names what
//! its files are called, and they go only behind a record that lists the run as ended, or one that shows that it committed.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::Lake;
use super::process::Process;
use super::record::{Author, Record};
use crate::attachment::Sha256;
use crate::error::{Error, Result};
use crate::store::{Hold, Store};
use crate::table::Table;

/// The folder of entries.
const FOLDER: &str = "_taskloom/running";

/// What a run says of itself before it writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    run: String,
    /// The lake's version when it began: its own would be a later one.
    version: u64,
    /// What the names of its files begin with.
    files: String,
    started_at: String,
    process: u32,
    /// What tells that process from others, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    identity: Option<Process>,
    #[serde(flatten)]
    author: Author,
}

impl Entry {
    /// Whether its process is known to live no more.
    fn is_gone(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.is_gone(self.process))
    }
}

/// A run that may write to the lake. Its entry stays when this value goes without [`Running::end`]: the next run looks after it.
#[derive(Debug)]
pub struct Running {
    name: String,
    /// The lake's version before it: no record up to that one can have ended it.
    began_on: u64,
    _hold: Hold,
    dead: Vec<Dead>,
    /// Those that live and began earlier, in words.
    earlier: Vec<String>,
}

/// A run whose process lives no more, held so that nobody else looks after it meanwhile.
#[derive(Debug)]
struct Dead {
    name: String,
    version: u64,
    _hold: Hold,
}

/// A name that no other run has: when it began, and a random number.
pub(super) fn new_name() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let (id, _) = random.split_at(ID_DIGITS);
    format!("{}-{id}", chrono::Utc::now().format("%Y%m%dT%H%M%S%6fZ"))
}

/// Hex digits of a run's random number: with a million runs, two have the same in one lake of forty million.
const ID_DIGITS: usize = 16;

/// What the names of a run's files begin with.
pub(super) fn prefix_of(run: &str) -> String {
    let (_, id) = run.rsplit_once('-').unwrap_or(("", run));
    format!("part-{id}-")
}

/// Whether a file is one that a run writes before its commit, or that somebody else writes for it.
fn is_of(path: &str, run: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_beside_a_shard = || name.strip_prefix(run).is_some_and(|rest| rest.starts_with('-'));
    name.starts_with(&prefix_of(run)) || is_beside_a_shard()
}

/// Where the rejects of an attempt at a shard of a run lie. The name begins with the run's.
pub(crate) fn rejects_of_a_shard(run: &str, attempt: &str) -> String {
    format!("_taskloom/rejects/{run}-{attempt}.ndjson")
}

/// Whether a path is that of the rejects of a shard, which are nobody's once the run has ended.
pub(super) fn is_rejects_of_a_shard(path: &str) -> bool {
    let name = path.strip_prefix("_taskloom/rejects/").and_then(|name| name.strip_suffix(".ndjson"));
    name.is_some_and(|name| name.contains('T') && name.split('-').count() == 3)
}

/// Whether a name that begins with that of a run is of one that began behind an instant of a record. Names that tell no instant are of none.
pub(super) fn began_behind(name: &str, instant: &str) -> bool {
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
    let began_at = name.split('-').next().filter(|began_at| began_at.contains('T') && began_at.ends_with('Z'));
    // To the microsecond the one, to the millisecond the other: a prefix of equal digits is not greater.
    began_at.is_some_and(|began_at| digits(began_at) > digits(instant))
}

/// Whether a path is one that only a run's data file has.
pub(super) fn is_data_of_a_run(path: &str) -> bool {
    let table = path.split('/').next().and_then(Table::named);
    table.is_some() && is_named_by_a_run(path.rsplit('/').next().unwrap_or_default())
}

/// Whether a file has a name that only runs give.
pub(super) fn is_named_by_a_run(name: &str) -> bool {
    let id = name.strip_prefix("part-").and_then(|rest| rest.split_once('-'));
    let is_id = |id: &str| id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.is_some_and(|(id, _)| is_id(id)) && name.ends_with(".parquet")
}

impl Running {
    /// Puts the entry of a run that begins on this version of the lake, and looks who else is there.
    pub(super) fn begin(lake: &Lake, version: u64, author: &Author) -> Result<Running> {
        let name = new_name();
        let entry = Entry {
            run: name.clone(),
            version,
            files: prefix_of(&name),
            started_at: super::now_after(""),
            process: std::process::id(),
            identity: Process::own(),
            author: author.clone(),
        };
        let json =
            serde_json::to_vec(&entry).map_err(|source| Error::Json { action: "write who is running", source })?;
        let hold = lake.store().hold(&path_of(&name), &json)?;
        let mut running = Running { name, began_on: version, _hold: hold, dead: Vec::new(), earlier: Vec::new() };
        let store = &**lake.store();
        for other in names(store)?.into_iter().filter(|other| *other != running.name) {
            match Dead::find(store, &other)? {
                // No record of this run's is needed, which may have nothing to commit.
                Some(dead) if fate(lake, &dead)?.is_some() => drop(sweep(lake, vec![dead])?),
                Some(dead) => running.dead.push(dead),
                // Of two that see each other, one goes on.
                None if other < running.name => running.earlier.extend(words(store, &other)?),
                None => {}
            }
        }
        Ok(running)
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a record ended this run, because somebody took it for dead: what it wrote may be gone.
    pub fn is_ended(&self, lake: &Lake) -> Result<bool> {
        for version in lake.versions_behind(self.began_on)? {
            if lake.record(version)?.0.ended.contains(&self.name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the names of its files begin with.
    pub fn prefix(&self) -> String {
        prefix_of(&self.name)
    }

    /// Another run that began earlier and is writing, in words.
    pub fn behind(&self) -> Option<&str> {
        self.earlier.first().map(String::as_str)
    }

    /// Dead runs that this one's record is to end.
    pub(super) fn to_end(&self) -> Vec<String> {
        self.dead.iter().map(|dead| dead.name.clone()).collect()
    }

    /// Removes what dead runs left, now that a record ends them.
    pub(super) fn sweep(&mut self, lake: &Lake) -> Result<u64> {
        sweep(lake, std::mem::take(&mut self.dead))
    }

    /// Removes the files that bear this run's name, whoever wrote them, but for these, which are data.
    pub(super) fn sweep_own(&self, lake: &Lake, data: &HashSet<String>) -> Result<()> {
        let store = &**lake.store();
        let mut left = store.paths("")?;
        left.retain(|path| is_of(path, &self.name) && !data.contains(path.rsplit('/').next().unwrap_or_default()));
        store.delete_each(&left)
    }

    /// Removes the entry: the run writes no more, and whatever of its files is no data is gone.
    pub fn end(&self, lake: &Lake) -> Result<()> {
        lake.store().delete(&path_of(&self.name))
    }
}

impl Dead {
    /// The run behind an entry, if it lives no more.
    fn find(store: &dyn Store, name: &str) -> Result<Option<Dead>> {
        let taken = store.take_hold(&path_of(name))?;
        let entry = entry(store, name)?;
        let is_gone = || entry.as_ref().is_some_and(Entry::is_gone);
        let Some(hold) = taken.or_else(|| is_gone().then(Hold::nominal)) else { return Ok(None) };
        // An entry that can't be read may be of any version.
        let version = entry.map_or(0, |entry| entry.version);
        Ok(Some(Dead { name: name.to_owned(), version, _hold: hold }))
    }
}

/// The dead runs of a lake.
pub(super) struct Abandoned(Vec<Dead>);

impl Abandoned {
    pub(super) fn find(lake: &Lake) -> Result<Abandoned> {
        let store = &**lake.store();
        let dead = names(store)?.into_iter().filter_map(|name| Dead::find(store, &name).transpose());
        Ok(Abandoned(dead.collect::<Result<_>>()?))
    }

    /// Those that no record ends or shows to have committed.
    pub(super) fn to_end(&self, lake: &Lake) -> Result<Vec<String>> {
        let mut open = Vec::new();
        for dead in &self.0 {
            if fate(lake, dead)?.is_none() {
                open.push(dead.name.clone());
            }
        }
        Ok(open)
    }

    /// Removes what they left, now that each has a record that ends it or is its own.
    pub(super) fn sweep(self, lake: &Lake) -> Result<u64> {
        sweep(lake, self.0)
    }
}

/// Who is writing to a lake, and who died while doing so, for those who only look.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    alive: BTreeSet<String>,
    dead: BTreeSet<String>,
}

impl Neighbours {
    pub(super) fn of(lake: &Lake) -> Result<Neighbours> {
        let mut neighbours = Neighbours::default();
        neighbours.look_again(lake)?;
        Ok(neighbours)
    }

    /// Takes in those that came, or died, since the last look.
    pub(super) fn look_again(&mut self, lake: &Lake) -> Result<()> {
        let store = &**lake.store();
        self.dead.clear();
        for name in names(store)? {
            let known = if Dead::find(store, &name)?.is_some() { &mut self.dead } else { &mut self.alive };
            known.insert(name);
        }
        Ok(())
    }

    pub(super) fn are_alive(&self, run: &str) -> bool {
        self.alive.contains(run)
    }

    /// Whether a file is one that a living run writes.
    pub(super) fn writes(&self, path: &str) -> bool {
        writer_of(path, &self.alive).is_some()
    }

    /// Whether a file is one that a living run writes, whatever it is.
    pub(super) fn is_about(&self, path: &str) -> bool {
        // The contents of attachments bear no run's name.
        let may_be_anyones = Sha256::of_path(path).is_some() && !self.alive.is_empty();
        may_be_anyones || self.writes(path) || self.alive.iter().any(|run| path.contains(run))
    }

    /// Whether a file is one that a run writes, or wrote, that has its entry still.
    pub(super) fn knows_writer_of(&self, path: &str) -> bool {
        self.writes(path) || self.dead_writer_of(path).is_some()
    }

    /// The dead run that left a file.
    pub(super) fn dead_writer_of(&self, path: &str) -> Option<String> {
        writer_of(path, &self.dead).cloned()
    }

    pub(super) fn alive(&self) -> &BTreeSet<String> {
        &self.alive
    }

    pub(super) fn dead(&self) -> &BTreeSet<String> {
        &self.dead
    }
}

fn writer_of<'r>(path: &str, runs: &'r BTreeSet<String>) -> Option<&'r String> {
    runs.iter().find(|run| is_of(path, run))
}

/// What a record made of a run.
enum Fate {
    /// It is the run's own, and names these files.
    Committed(HashSet<String>),
    Ended,
}

fn fate(lake: &Lake, dead: &Dead) -> Result<Option<Fate>> {
    for version in lake.versions_behind(dead.version)? {
        let (record, _): (Record, _) = lake.record(version)?;
        if record.run == dead.name {
            // One that was erased does not tell any more what it brought: what is left of that stands in a later record.
            let beginning = if record.is_erased() { lake.state()?.begins } else { None };
            if let Some(beginning) = beginning {
                return lake.paths_since(&beginning).map(Fate::Committed).map(Some);
            }
            let paths = record.add.iter().flat_map(|part| part.files.keys().map(|table| part.path(table)));
            return Ok(Some(Fate::Committed(paths.collect())));
        }
        if record.ended.contains(&dead.name) {
            return Ok(Some(Fate::Ended));
        }
    }
    Ok(None)
}

fn sweep(lake: &Lake, dead: Vec<Dead>) -> Result<u64> {
    let store = &**lake.store();
    // By run, those of its files that became data.
    let mut ended = Vec::new();
    for dead in &dead {
        match fate(lake, dead)? {
            Some(Fate::Ended) => ended.push((&dead.name, HashSet::new())),
            Some(Fate::Committed(data)) => ended.push((&dead.name, data)),
            None => return Err(Error::Bug { place: "lake::running", found: format!("{} without a fate", dead.name) }),
        }
    }
    if !ended.is_empty() {
        let mut left = store.paths("")?;
        left.retain(|file| ended.iter().any(|(run, data)| is_of(file, run) && !data.contains(file)));
        store.delete_each(&left)?;
    }
    for dead in &dead {
        store.delete(&path_of(&dead.name))?;
    }
    Ok(dead.len() as u64)
}

/// Whether a run has not come to its end, as far as its entry tells.
pub(super) fn is_open(lake: &Lake, run: &str) -> Result<bool> {
    Ok(lake.store().get(&path_of(run))?.is_some())
}

pub(super) fn path_of(run: &str) -> String {
    format!("{FOLDER}/{run}.json")
}

fn names(store: &dyn Store) -> Result<Vec<String>> {
    let name = |path: &str| Some(path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?.to_owned());
    Ok(store.paths(FOLDER)?.iter().filter_map(|path| name(path)).collect())
}

fn entry(store: &dyn Store, run: &str) -> Result<Option<Entry>> {
    Ok(store.get(&path_of(run))?.and_then(|json| serde_json::from_slice(&json).ok()))
}

/// A run that lives, in words; `None` if it has just ended.
fn words(store: &dyn Store, run: &str) -> Result<Option<String>> {
    let words = |entry: Entry| {
        let host = entry.author.host.map(|host| format!(" on {host}")).unwrap_or_default();
        format!("process {}{host} since {}", entry.process, entry.started_at)
    };
    Ok(entry(store, run)?.map(words))
}
