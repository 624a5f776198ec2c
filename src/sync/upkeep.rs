//! What is done behind a run of a scheduled job, so that nobody has to look after the lake.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::error::Result;
use crate::lake::{Lake, VacuumOptions};
use crate::progress::Progress;
use crate::store::address::is_address;
use crate::store::{StoreOptions, open};
use crate::upkeep::{CompactOptions, Compacted, Fetched, MANY_PARTS, compact, surplus_parts};

/// What is done behind a run.
#[derive(Clone, Debug)]
pub struct UpkeepOptions {
    /// Join small files, where there are many.
    pub compacts: bool,
    /// How long what was replaced can still be read; `None` leaves the files of all versions.
    pub retain: Option<Duration>,
    /// Keep a plain folder of the newest version here, or at this address.
    pub checkout: Option<PathBuf>,
    /// How the store of such an address is talked to.
    pub store: StoreOptions,
}

impl Default for UpkeepOptions {
    /// Joins small files, and keeps old versions for a week.
    fn default() -> UpkeepOptions {
        let retain = Some(Duration::from_secs(7 * 24 * 60 * 60));
        UpkeepOptions { compacts: true, retain, checkout: None, store: StoreOptions::default() }
    }
}

/// What was done behind a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Upkeep {
    /// Attachments that earlier runs could not fetch, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Fetched>,
    /// Files that were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compacted: Option<Compacted>,
    /// Files that were removed.
    pub removed_files: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// The version of the plain folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_out_version: Option<u64>,
}

impl UpkeepOptions {
    /// Does it, for a lake that is committed.
    pub(super) fn run(&self, lake: &Lake, options: &CompactOptions, progress: &Progress) -> Result<Upkeep> {
        let mut done = Upkeep::default();
        if self.compacts && surplus_parts(&lake.state()?) >= MANY_PARTS {
            done.compacted = Some(compact(lake, options, progress)?);
        }
        if let Some(retain) = self.retain {
            let vacuumed = lake.vacuum(&VacuumOptions::retaining(retain), &options.author)?;
            (done.removed_files, done.removed_bytes) = (vacuumed.paths.len() as u64, vacuumed.bytes);
        }
        if let Some(folder) = &self.checkout {
            let state = lake.readable_state()?;
            let made = match is_address(folder) {
                true => lake.checkout_into(&state, &*open(folder, &self.store)?, progress)?,
                false => lake.checkout(&state, folder, progress)?,
            };
            done.checked_out_version = Some(made.version);
        }
        Ok(done)
    }
}
