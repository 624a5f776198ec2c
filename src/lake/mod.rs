//! A lake: twenty tables at one version. A run is in for every table, or for none.
//!
//! 1. A run puts its entry, so that what it leaves can be found, and writes its files under their final names.
//! 2. One commit record, put only if no other run was faster, names them: this is the commit point.
//! 3. From the record, and from nothing else, follow the logs of Delta Lake by which most readers find the files.
//!
//! Whatever stops a run before step 2 leaves nothing that is data; whatever stops it in step 3 is finished by the next run or by
//! `recover`. Nobody removes files that a record might still come to name: see [`running`].

mod audit;
mod checkout;
mod checkpoint;
mod commit;
mod delta;
mod erase;
mod history;
mod lives;
mod process;
mod publish;
mod record;
mod recover;
mod running;
mod snapshot;
mod standing;
mod state;
mod tag;
mod transaction;
mod vacuum;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub(crate) use audit::bytes_of;
pub use audit::{Fault, Finding, Scope};
pub use checkout::CheckedOut;
pub use checkpoint::Checkpoint;
pub use commit::Change;
#[cfg(any(test, feature = "internals"))]
pub use commit::CommitOutcome;
pub use erase::Erased;
pub use history::Version;
#[cfg(feature = "api")]
pub use record::ATTACHMENTS;
pub use record::{Author, COMPACT, Counts, FORGET, Record, RemovedPart, SYNC, UPGRADE, is_export};
pub use recover::Recovered;
pub use running::Running;
pub(crate) use running::rejects_of_a_shard;
pub use standing::Standing;
pub use state::{SmallFiles, State};
pub use transaction::{Ended, Transaction};
pub use vacuum::{VacuumOptions, Vacuumed};

use crate::error::{Error, Result};
use crate::store::{self, Store, StoreOptions};

/// The folder that is the lake's own.
const OWN: &str = "_taskloom";
const COMMITS: &str = "_taskloom/commits";
const SNAPSHOTS: &str = "_taskloom/snapshots";

/// A place where a lake is, or will be. A clone is the same lake.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Arc<dyn Store>,
}

impl Lake {
    /// In a store. Nothing is looked at, and nothing is made.
    pub fn on(store: Arc<dyn Store>) -> Lake {
        Lake { store }
    }

    /// In a folder, or at an address such as `s3://bucket/path`, where nothing needs to be yet.
    pub fn at(place: &Path) -> Result<Lake> {
        Lake::with(place, &StoreOptions::default())
    }

    /// The same, with options for the store.
    pub fn with(place: &Path, options: &StoreOptions) -> Result<Lake> {
        Ok(Lake::on(store::open(place, options)?))
    }

    /// In a folder, or at an address, that must hold one.
    pub fn open(place: &Path) -> Result<Lake> {
        Lake::open_with(place, &StoreOptions::default())
    }

    /// The same, with options for the store.
    pub fn open_with(place: &Path, options: &StoreOptions) -> Result<Lake> {
        let lake = Lake::with(place, options)?;
        lake.check()?;
        Ok(lake)
    }

    /// An error unless a lake is here.
    pub fn check(&self) -> Result<()> {
        let has_own = |folder: &str| self.store.has_any(folder);
        if has_own(COMMITS)? || has_own("_taskloom/running")? {
            return Ok(());
        }
        Err(Error::NoLake { path: self.place().to_owned() })
    }

    /// An error unless a lake is here or can be made.
    pub fn check_place(&self) -> Result<()> {
        if self.store.folder().is_some_and(Path::is_file) {
            return Err(Error::NoFolder { path: self.place().to_owned() });
        }
        match self.check() {
            Err(Error::NoLake { .. }) => {}
            other => return other,
        }
        let Some(found) = self.store.top()?.into_iter().find(|name| name != OWN) else { return Ok(()) };
        // Somebody may have begun one just now: whoever has files in it has an entry.
        match self.check() {
            Err(Error::NoLake { .. }) => Err(Error::NotEmpty { path: self.place().to_owned(), found }),
            other => other,
        }
    }

    /// Where its files are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What messages call it.
    pub fn place(&self) -> &Path {
        self.store.place()
    }

    /// The newest version.
    pub fn state(&self) -> Result<State> {
        self.state_up_to(u64::MAX)
    }

    /// The newest version, of a lake that must have data.
    pub fn readable_state(&self) -> Result<State> {
        let state = self.state()?;
        self.check_data(&state)?;
        Ok(state)
    }

    /// The state at a version, whose files must still be there.
    pub fn state_at(&self, version: u64) -> Result<State> {
        let newest = self.state()?;
        self.check_kept(&newest, version)?;
        if version == newest.version { Ok(newest) } else { self.state_up_to(version) }
    }

    /// The state at the version that a word means, whose files must still be there; without a word the newest.
    pub fn state_of(&self, word: Option<&str>) -> Result<State> {
        word.map_or_else(|| self.readable_state(), |word| self.state_at(self.version_of(word)?))
    }

    /// The version that a word means: a number, or a name that was given to one.
    pub fn version_of(&self, word: &str) -> Result<u64> {
        let newest = self.state()?;
        let version = newest.tags.get(word).copied().or_else(|| word.parse().ok());
        let version = version.filter(|version| (1..=newest.version).contains(version));
        version.ok_or_else(|| self.no_such_version(word, &newest))
    }

    fn check_data(&self, state: &State) -> Result<()> {
        if state.parts.is_empty() { Err(Error::NoVersion { path: self.place().to_owned() }) } else { Ok(()) }
    }

    fn check_kept(&self, newest: &State, version: u64) -> Result<()> {
        if version < 1 || version > newest.version {
            return Err(self.no_such_version(&version.to_string(), newest));
        }
        if newest.keeps(version) {
            return Ok(());
        }
        Err(Error::VersionGone { path: self.place().to_owned(), at: version, oldest: newest.oldest_version })
    }

    fn no_such_version(&self, word: &str, newest: &State) -> Error {
        Error::NoSuchVersion { path: self.place().to_owned(), at: word.to_owned(), newest: newest.version }
    }

    /// The newest version that is not newer than this.
    fn state_up_to(&self, newest: u64) -> Result<State> {
        let mut state = self.snapshot_up_to(newest)?.unwrap_or_else(State::empty);
        let behind = self.versions_behind(state.version)?;
        for version in behind.into_iter().take_while(|version| *version <= newest) {
            let (record, checksum) = self.record(version)?;
            if version != state.version + 1 || !record.follows(&state.checksum) {
                let expected = format!("version {} with the checksum `{}`", state.version, state.checksum);
                let reason = format!("expected a record on {expected}, found one on `{}`", record.parent);
                return Err(Error::Record { path: self.place().join(Lake::record_path(version)), reason });
            }
            state.apply(record, checksum);
        }
        Ok(state)
    }

    /// Begins a run on a version of the lake.
    pub fn begin(&self, on: &State, author: &Author) -> Result<Running> {
        Running::begin(self, on.version, &author.clone().without(on.forgotten().as_ref()))
    }

    /// Whether a run of this name has begun and not come to its end, as far as is known.
    pub fn is_under_way(&self, run: &str) -> Result<bool> {
        running::is_open(self, run)
    }

    fn record_path(version: u64) -> String {
        format!("{COMMITS}/{version:020}.json")
    }

    /// The versions behind one that have a record, in order: among years of them, the newest few.
    fn versions_behind(&self, version: u64) -> Result<BTreeSet<u64>> {
        let paths = self.store.paths_behind(COMMITS, &Lake::record_path(version))?;
        Ok(paths.iter().filter_map(|path| Lake::version_of_record(path)).collect())
    }

    /// The newest version that has a record; 0 where none has.
    fn newest_version(&self) -> Result<u64> {
        let known = self.snapshots()?.last().copied().unwrap_or(0);
        Ok(self.versions_behind(known)?.last().copied().unwrap_or(known))
    }

    fn version_of_record(path: &str) -> Option<u64> {
        let name = path.strip_prefix(COMMITS)?.strip_prefix('/')?.strip_suffix(".json")?;
        name.parse().ok().filter(|_| name.len() == 20)
    }

    fn record(&self, version: u64) -> Result<(Record, String)> {
        let path = Lake::record_path(version);
        let at = self.place().join(&path);
        match self.store.get(&path)? {
            Some(bytes) => record::unseal(&bytes, version, &at),
            None => Err(Error::NoFile { path: at }),
        }
    }
}

/// Now, to the millisecond, and later than the instant before.
fn now_after(earlier: &str) -> String {
    let now = chrono::Utc::now();
    let earlier = chrono::DateTime::parse_from_rfc3339(earlier).ok().map(|earlier| earlier.to_utc());
    let next = earlier.map_or(now, |earlier| now.max(earlier + chrono::TimeDelta::milliseconds(1)));
    next.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
