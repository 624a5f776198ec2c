//! `taskloom changes`.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::Args;

use super::place::PlaceArgs;
use super::times::instant;
use crate::error::{Error, Result};
use crate::feed::{Since, TaskChange, changes_since};
use crate::lake::Lake;
use crate::progress::Progress;

/// Print which tasks were added, replaced and removed, version by version, as NDJSON.
///
/// Whoever keeps a copy of a lake's tasks asks for what came since the last version that it has, and does the same to the copy. The table
/// `task_changes` of the lake has the same rows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom changes lake --since 41
  taskloom changes lake --since '2 days ago' | jq -r 'select(.change == \"removed\") | .task_id'
  taskloom changes lake --since 41 --follow")]
pub(super) struct ChangesArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only what came behind this version, by its number or its name, or after this time [default: all]
    #[arg(long, value_name = "VERSION|TIME")]
    since: Option<String>,
    /// Go on with each version that is committed from now on, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

/// Time between two looks for a new version.
const BETWEEN: Duration = Duration::from_secs(2);

pub(super) fn run(args: &ChangesArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let mut since = args.since.as_deref().map_or(Ok(Since::Version(0)), |text| since(&lake, text))?;
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    loop {
        let state = lake.state()?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        changes_since(&lake, &state, since, |change| {
            progress.check()?;
            writeln!(out, "{}", line(&change)?).map_err(Error::Output)
        })?;
        out.flush().map_err(Error::Output)?;
        if !args.follow {
            return Ok(0);
        }
        if state.version > 0 {
            since = Since::Version(state.version);
        }
        wait(&progress)?;
    }
}

/// Until the next look, or until somebody wants to stop.
fn wait(progress: &Progress) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < BETWEEN {
        progress.check()?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn line(change: &TaskChange) -> Result<String> {
    serde_json::to_string(change).map_err(|source| Error::Json { action: "write a change", source })
}

fn since(lake: &Lake, text: &str) -> Result<Since> {
    if text.trim() == "0" {
        return Ok(Since::Version(0));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match lake.version_of(text) {
        Ok(version) => Ok(Since::Version(version)),
        Err(error @ Error::NoSuchVersion { .. }) => match instant("--since", Some(text), Utc::now()) {
            Ok(Some((at, _))) if !is_number => Ok(Since::Instant(at)),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}
