//! What is done behind a run.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use serde::Serialize;

use crate::cli::summary::grouped;
use crate::cli::vacuum::since;
use crate::cli::{compact as compaction, printable};
use crate::error::Result;
use crate::lake::{Lake, VacuumOptions};
use crate::progress::Progress;
use crate::store::address::is_address;
use crate::store::{StoreOptions, open};
use crate::upkeep::{CompactOptions, Compacted, MANY_PARTS, compact, surplus_parts};

/// What is done behind a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Behind the run")]
pub(super) struct UpkeepArgs {
    /// Leave small files as they are, however many
    #[arg(long)]
    no_compact: bool,
    /// Leave the files of old versions
    #[arg(long)]
    no_vacuum: bool,
    /// How long what was replaced can still be read
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = humantime::parse_duration)]
    retain: Duration,
    /// Keep a plain folder of the newest version here, for tools that know nothing but folders of Parquet files
    #[arg(long, value_name = "DIR")]
    checkout: Option<PathBuf>,
}

/// What was done behind a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Upkeep {
    /// Files that were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    compacted: Option<Compacted>,
    /// Files that were removed, and their bytes.
    removed_files: u64,
    removed_bytes: u64,
    /// The version of the plain folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_out_version: Option<u64>,
}

impl UpkeepArgs {
    /// Does it, for a lake that is committed: what goes wrong takes nothing back.
    pub(super) fn run(
        &self,
        lake: &Lake,
        options: &CompactOptions,
        store: &StoreOptions,
        progress: &Progress,
    ) -> Result<Upkeep> {
        let mut done = Upkeep::default();
        if !self.no_compact && surplus_parts(&lake.state()?) >= MANY_PARTS {
            done.compacted = Some(compact(lake, options, progress)?);
        }
        if !self.no_vacuum {
            let kept_since = since(self.retain);
            let vacuumed = lake.vacuum(&VacuumOptions { kept_since, is_dry_run: false }, &options.author)?;
            (done.removed_files, done.removed_bytes) = (vacuumed.paths.len() as u64, vacuumed.bytes);
        }
        if let Some(folder) = &self.checkout {
            let state = lake.readable_state()?;
            let made = match is_address(folder) {
                true => lake.checkout_into(&state, &*open(folder, store)?, progress)?,
                false => lake.checkout(&state, folder, progress)?,
            };
            done.checked_out_version = Some(made.version);
        }
        Ok(done)
    }

    /// What was done, as lines.
    pub(super) fn told(&self, done: &Upkeep) -> String {
        let mut told = done.compacted.iter().map(|compacted| compaction::told(compacted) + "\n").collect::<String>();
        if done.removed_files > 0 {
            let (files, bytes) = (grouped(done.removed_files), ByteSize(done.removed_bytes));
            told += &format!("{files} old files with {bytes} removed\n");
        }
        if let (Some(folder), Some(version)) = (&self.checkout, done.checked_out_version) {
            told += &format!("{} holds version {version}\n", printable::line(&folder.display().to_string()));
        }
        told
    }
}
