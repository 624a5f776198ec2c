//! `taskloom restore` and `taskloom recover`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::lake::{self, AtArgs};
use super::place::PlaceArgs;
use crate::error::Result;
use crate::lake::Recovered;
use crate::restore::restore_state;
use crate::store::draft::check_outside;

/// Rebuild the tasks' JSON from the tables alone, as NDJSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom restore lake | head -1 | jq .
  taskloom restore lake --out tasks.ndjson     whole or not at all
  taskloom restore lake --at 7                 as it was at version 7")]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: AtArgs,
    /// Print what was restored as JSON
    #[arg(long, requires = "out")]
    json: bool,
}

/// What was restored.
#[derive(Debug, Serialize)]
struct Restored {
    version: u64,
    tasks: u64,
    /// Requests that were made of the lake's store, each attempt counted; of a lake in a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_requests: Option<u64>,
}

/// Finish what a killed run left: publish what it committed, remove what it did not.
///
/// The next run does the same before it begins: this is for those who can't wait for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom recover lake")]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn restore(args: &RestoreArgs) -> Result<u8> {
    let lake = args.place.open()?;
    if let Some(out) = &args.out {
        check_outside(out, lake.store().folder(), "--out")?;
    }
    let state = args.at.state_of(&lake)?;
    let mut tasks = 0;
    super::write_whole(args.out.as_deref(), |out| {
        tasks = restore_state(&lake, &state, out)?;
        Ok(())
    })?;
    let restored = Restored { version: state.version, tasks, store_requests: lake.store().requests() };
    tracing::info!(?restored, "done");
    if args.json {
        super::print(&super::as_json(&restored)?)?;
    }
    Ok(0)
}

pub(super) fn recover(args: &RecoverArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let Recovered { published_versions, erased_files, mended_logs, swept_runs } = lake.recover(&lake::author())?;
    let version = lake.state()?.version;
    let erased =
        if erased_files == 0 { String::new() } else { format!("{erased_files} files of an erased history removed, ") };
    let text = format!(
        "{published_versions} versions published, {erased}{mended_logs} logs mended, {swept_runs} abandoned runs removed; the lake is \
         at version {version}\n"
    );
    super::print(&text)?;
    Ok(0)
}
