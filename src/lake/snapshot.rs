//! The state at some versions, written down whole: for us as a snapshot, for readers of logs as a checkpoint a table.

use serde::de::DeserializeOwned;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::record::{seal, unseal};
use super::state::State;
use super::{Lake, SNAPSHOTS, delta};
use crate::error::{Error, Result};
use crate::store::Put;
use crate::table::{Table, lake_tables};

/// They come with every version that this divides: replaying more records, or opening more logs, takes longer than reading the
/// state whole.
const EVERY: u64 = 50;
/// zstd's level for snapshots, which are written once and read at every start.
const LEVEL: i32 = 3;
const SUFFIX: &str = ".json.zst";

/// True for versions whose state is written down.
pub(super) fn is_due(version: u64) -> bool {
    version > 0 && version.is_multiple_of(EVERY)
}

/// The version from which on what readers go by is kept: the newest snapshot from which every version that is kept can be reached.
pub(super) fn kept_from(state: &State) -> u64 {
    let oldest = state.tags.values().copied().min().map_or(state.oldest_version, |tag| tag.min(state.oldest_version));
    (oldest / EVERY * EVERY).max(state.begins.as_ref().map_or(0, |beginning| beginning.version))
}

/// The versions whose state is written down, from the one on from which what readers go by is kept, in order.
pub(super) fn due(newest: &State) -> impl Iterator<Item = u64> {
    let begins = newest.begins.as_ref().map(|beginning| beginning.version);
    (kept_from(newest).max(1)..=newest.version).filter(move |version| is_due(*version) || begins == Some(*version))
}

/// Where the snapshot of a version lies.
pub(super) fn path_of(version: u64) -> String {
    format!("{SNAPSHOTS}/{version:020}{SUFFIX}")
}

/// The version of the snapshot that lies there.
pub(super) fn version_of(path: &str) -> Option<u64> {
    path.strip_prefix(SNAPSHOTS)?.strip_prefix('/')?.strip_suffix(SUFFIX)?.parse().ok()
}

impl Lake {
    /// Writes down the state at a version.
    pub(super) fn write_snapshot(&self, version: u64) -> Result<()> {
        let state = self.state_up_to(version)?;
        if state.version != version {
            let found = format!("version {} for {version}", state.version);
            return Err(Error::Bug { place: "lake::snapshot", found });
        }
        let checkpoints = lake_tables().map(|table| delta::checkpoint(table, &state)).collect::<Result<Vec<_>>>()?;
        let files = checkpoints.iter().map(|checkpoint| (checkpoint.path.clone(), checkpoint.bytes.clone()));
        for put in self.store().put_each_if_absent(&files.collect::<Vec<_>>())? {
            is_there(put)?;
        }
        for checkpoint in &checkpoints {
            self.store().replace(&checkpoint.last_path, &checkpoint.last)?;
        }
        // The last: where it is, the others are.
        is_there(self.store().put_if_absent(&path_of(version), &self.pack(&state)?)?)
    }

    /// Writes the newest snapshot that is due, if a killed run left it out.
    pub(super) fn finish_snapshot(&self) -> Result<()> {
        let newest = self.newest_version()?;
        let due = newest / EVERY * EVERY;
        // Behind it there is one where history begins anew: then nothing is to be told of what was before.
        let has = self.snapshots()?.last().is_some_and(|last| *last >= due);
        if due == 0 || has { Ok(()) } else { self.write_snapshot(due) }
    }

    /// Writes anew the snapshots and checkpoints that are damaged or differ; gives how many files.
    pub(super) fn mend_snapshots(&self) -> Result<u64> {
        let newest = self.state()?;
        let mut mended = 0;
        let due = due(&newest).collect::<Vec<_>>();
        for version in due.iter().copied() {
            if self.snapshot(version).is_err() {
                self.store().delete(&path_of(version))?;
            }
            let (state, (record, _)) = (self.state_up_to(version)?, self.record(version)?);
            for table in lake_tables() {
                let checkpoint = delta::checkpoint(table, &state)?;
                if !self
                    .store()
                    .get(&checkpoint.path)?
                    .is_some_and(|found| checkpoint.is_told_by(&found, &record.taskloom_version))
                {
                    self.store().replace(&checkpoint.path, &checkpoint.bytes)?;
                    mended += 1;
                }
                if due.last() == Some(&version) {
                    self.store().replace(&checkpoint.last_path, &checkpoint.last)?;
                }
            }
            if self.snapshot(version).is_err() {
                self.store().replace(&path_of(version), &self.pack(&state)?)?;
                mended += 1;
            }
        }
        Ok(mended)
    }

    /// Writes what the logs of a table go on from whose older ones are not kept.
    pub(super) fn begin_logs(&self, table: &Table, from: u64) -> Result<()> {
        if from == 0 {
            return Ok(());
        }
        let checkpoint = delta::checkpoint(table, &self.state_up_to(from)?)?;
        self.store().replace(&checkpoint.path, &checkpoint.bytes)?;
        self.store().replace(&checkpoint.last_path, &checkpoint.last)
    }

    /// The versions that have a snapshot, in order.
    pub(super) fn snapshots(&self) -> Result<Vec<u64>> {
        Ok(self.store().paths(SNAPSHOTS)?.iter().filter_map(|path| version_of(path)).collect())
    }

    /// The newest snapshot that is not newer than a version. One that can't be read is passed by: the records say the same.
    pub(super) fn snapshot_up_to(&self, newest: u64) -> Result<Option<State>> {
        for version in self.snapshots()?.into_iter().rev().filter(|version| *version <= newest) {
            match self.snapshot(version) {
                Ok(state) => return Ok(Some(state)),
                Err(error @ Error::NewLake { .. }) => return Err(error),
                Err(error) => tracing::warn!(%error, "a snapshot is passed by"),
            }
        }
        Ok(None)
    }

    /// Whether a snapshot of another release says the same as the records, as far as it says anything.
    pub(super) fn is_told_by_other(&self, state: &State, release: &str) -> Result<bool> {
        if release == env!("CARGO_PKG_VERSION") {
            return Ok(false);
        }
        let own = serde_json::to_value(state);
        let own = own.map_err(|source| Error::Json { action: "compare with a snapshot", source })?;
        Ok(agrees(&self.unpack(state.version)?, &own))
    }

    /// The snapshot of a version.
    pub(super) fn snapshot(&self, version: u64) -> Result<State> {
        self.unpack(version)
    }

    fn unpack<T: DeserializeOwned>(&self, version: u64) -> Result<T> {
        let path = path_of(version);
        let at = self.place().join(&path);
        let Some(packed) = self.store().get(&path)? else { return Err(Error::NoFile { path: at }) };
        let damaged = || Error::Record { path: at.clone(), reason: "expected a whole snapshot".to_owned() };
        let (frame, trailer) = packed.split_last_chunk::<TRAILER_BYTES>().ok_or_else(damaged)?;
        if *trailer != trailer_of(frame) {
            return Err(damaged());
        }
        let sealed = zstd::stream::decode_all(frame).map_err(Error::file("decompress", &at))?;
        unseal(&sealed, version, &at).map(|(state, _)| state)
    }

    fn pack(&self, state: &State) -> Result<Vec<u8>> {
        let (sealed, _) = seal(state)?;
        let failed = Error::file("compress", self.place().join(path_of(state.version)));
        let mut packed = zstd::bulk::compress(&sealed, LEVEL).map_err(failed)?;
        let trailer = trailer_of(&packed);
        packed.extend(trailer);
        Ok(packed)
    }
}

/// Whether all that the one says stands in the other.
fn agrees(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(key, value)| other.get(key).is_some_and(|other| agrees(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| agrees(one, other))
        }
        _ => one == other,
    }
}

/// Whoever put it, it says the same.
fn is_there(put: Put) -> Result<()> {
    match put {
        Put::Done | Put::Exists => Ok(()),
        Put::Unknown(cause) => Err(cause),
    }
}

const CHECKSUM_BYTES: usize = 16;
const TRAILER_BYTES: usize = 8 + CHECKSUM_BYTES;

/// A frame of zstd that decompressors skip, with the checksum of the frame before it: in that one, bytes can change without any
/// change in what it holds.
fn trailer_of(frame: &[u8]) -> [u8; TRAILER_BYTES] {
    const SKIPPABLE: [u8; 4] = 0x184d_2a50_u32.to_le_bytes();
    const LENGTH: [u8; 4] = (CHECKSUM_BYTES as u32).to_le_bytes();
    let mut trailer = [0; TRAILER_BYTES];
    let bytes = SKIPPABLE.into_iter().chain(LENGTH).chain(xxh3_128(frame).to_le_bytes());
    trailer.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    trailer
}
