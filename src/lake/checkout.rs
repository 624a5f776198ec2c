//! One version as a plain folder: for tools and people who know nothing but folders of Parquet files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::running::is_named_by_a_run;
use super::state::State;
use super::{Lake, OWN};
use crate::attachment::{self, Sha256, hashes_in};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::store::draft::{Draft, Rules};
use crate::store::{LocalStore, Store, with_readers};
use crate::table::Table;

/// What tells that a folder is a checkout, and of which version. Its name is one that readers of folders pass by.
const NOTE: &str = "_checkout.json";

const RULES: Rules<'_> = Rules {
    setting: "DIR",
    what: "checkout",
    mark: NOTE,
    is_ours: |name| name == NOTE || name == OWN || Table::named(name).is_some(),
    lake: None,
};

/// A folder that holds one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedOut {
    /// The lake's own id.
    pub lake_id: String,
    /// The version.
    pub version: u64,
    /// When it was committed.
    pub created_at: String,
    /// Its data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are copies: the others are the lake's own files under one more name.
    #[serde(skip)]
    pub copies: u64,
}

impl Lake {
    /// Makes a folder of exactly one version: hard links where they can be, else copies. It is made beside its place and put there at once,
    /// in place of an earlier checkout if there is one, whose files are taken over where they are of this version too.
    pub fn checkout(&self, state: &State, folder: &Path, progress: &Progress) -> Result<CheckedOut> {
        let draft = Draft::beside(folder, &Rules { lake: self.store().folder(), ..RULES })?;
        let to = LocalStore::at(draft.path());
        let files = self.files_of(state)?;
        let done =
            self.bring_all(state, &files, progress, |path, bytes| self.bring(path, bytes, draft.place(), &to))?;
        to.put(NOTE, &done.note()?)?;
        to.flush()?;
        progress.check()?;
        draft.put_in_place()?;
        Ok(done)
    }

    /// The same in a store, file by file, but for those that are there. What tells of which version it is comes last; until then it says that it is not whole.
    pub fn checkout_into(&self, state: &State, to: &dyn Store, progress: &Progress) -> Result<CheckedOut> {
        RULES.check(to, self.place())?;
        to.replace(NOTE, b"{\"is_whole\": false}")?;
        // A data file never changes, and no other one is ever called as it is.
        let there = to.list("")?.into_iter().map(|listed| (listed.path, listed.bytes)).collect::<HashMap<_, _>>();
        let files = self.files_of(state)?;
        let done = self.bring_all(state, &files, progress, |path, bytes| {
            let is_there = there.get(path) == Some(&bytes);
            if !is_there {
                to.put(path, &self.bytes_of(path)?)?;
            }
            Ok(is_there)
        })?;
        to.flush()?;
        let wanted = files.iter().map(|(path, _)| path).collect::<HashSet<_>>();
        let mut others = there.into_keys().collect::<Vec<_>>();
        // Only what an earlier checkout brought: whatever else came there since is somebody's.
        others.retain(|path| is_data(path) && !wanted.contains(path));
        to.delete_each(&others)?;
        to.replace(NOTE, &done.note()?)?;
        Ok(done)
    }

    /// Brings every file of a version; `bring` tells whether it is no copy.
    fn bring_all(
        &self,
        state: &State,
        files: &[(String, u64)],
        progress: &Progress,
        bring: impl Fn(&str, u64) -> Result<bool> + Sync,
    ) -> Result<CheckedOut> {
        let brought = with_readers(&**self.store(), || {
            let brought = files.par_iter().map(|(path, bytes)| progress.check().and_then(|()| bring(path, *bytes)));
            brought.collect::<Result<Vec<_>>>()
        })??;
        let mut done = CheckedOut::of(state);
        done.copies = brought.iter().filter(|is_link| !**is_link).count() as u64;
        done.files = files.len() as u64;
        done.bytes = files.iter().map(|(_, bytes)| bytes).sum();
        Ok(done)
    }

    /// The files of a version, and those of the attachments that its rows tell of, each with its bytes.
    fn files_of(&self, state: &State) -> Result<Vec<(String, u64)>> {
        let parts = state.in_order();
        let files = parts.iter().flat_map(|part| part.files.iter().map(|(table, file)| (part.path(table), file.bytes)));
        let mut files = files.collect::<Vec<_>>();
        let kept = hashes_in(&**self.store(), parts.iter().filter_map(|part| part.keeping()))?;
        if !kept.is_empty() {
            let listed = self.store().list(attachment::FOLDER)?.into_iter();
            let there = listed.map(|listed| (listed.path, listed.bytes)).collect::<HashMap<_, _>>();
            for path in kept.keys().map(|hash| hash.path()) {
                let bytes = *there.get(&path).ok_or_else(|| Error::NoFile { path: self.place().join(&path) })?;
                files.push((path, bytes));
            }
        }
        Ok(files)
    }

    /// Brings a file into a folder; false where it had to be copied.
    fn bring(&self, path: &str, bytes: u64, earlier: &Path, to: &LocalStore) -> Result<bool> {
        let is_whole = |place: &Path| place.metadata().is_ok_and(|metadata| metadata.len() == bytes);
        // A data file never changes, and no other one is ever called as it is.
        let homes = self.store().folder().into_iter().chain([earlier]).map(|home| home.join(path));
        for home in homes.filter(|home| is_whole(home)) {
            if to.link_from(&home, path)? {
                return Ok(true);
            }
        }
        to.put(path, &self.bytes_of(path)?)?;
        Ok(false)
    }

    fn bytes_of(&self, path: &str) -> Result<Vec<u8>> {
        self.store().get(path)?.ok_or_else(|| Error::NoFile { path: self.place().join(path) })
    }
}

/// Whether a file lies, and is called, as only a data file of a table or an attachment is.
fn is_data(path: &str) -> bool {
    if Sha256::of_path(path).is_some() {
        return true;
    }
    let (table, rest) = path.split_once('/').unwrap_or_default();
    Table::named(table).is_some() && rest.rsplit('/').next().is_some_and(is_named_by_a_run)
}

impl CheckedOut {
    fn note(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|source| Error::Json { action: "write what a checkout is", source })
    }

    fn of(state: &State) -> CheckedOut {
        CheckedOut {
            lake_id: state.lake_id.clone(),
            version: state.version,
            created_at: state.created_at.clone(),
            files: 0,
            bytes: 0,
            copies: 0,
        }
    }
}
