//! `taskloom restore` and `taskloom recover`.

use std::path::PathBuf;

use clap::Args;

use super::lake::{self, AtArgs};
use super::place::PlaceArgs;
use crate::error::Result;
use crate::lake::Recovered;
use crate::restore::restore_state;

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
    let state = args.at.state_of(&lake)?;
    super::write_whole(args.out.as_deref(), |out| restore_state(&lake, &state, out).map(|_| ()))?;
    if let Some(store_requests) = lake.store().requests() {
        tracing::info!(store_requests, "restored");
    }
    Ok(0)
}

pub(super) fn recover(args: &RecoverArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let Recovered { published_versions, mended_logs, swept_runs } = lake.recover(&lake::author())?;
    let version = lake.state()?.version;
    let text = format!(
        "{published_versions} versions published, {mended_logs} logs mended, {swept_runs} abandoned runs removed; the lake is at \
         version {version}\n"
    );
    super::print(&text)?;
    Ok(0)
}
