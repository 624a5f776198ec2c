//! `taskloom vacuum`.

use std::fmt::Write as _;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use super::lake;
use super::place::PlaceArgs;
use super::printable;
use super::summary::grouped;
use crate::error::Result;
use crate::lake::{VacuumOptions, Vacuumed};

/// Remove the files of old versions, and what runs left that can't commit any more.
///
/// A file stays as long as a version needs it that was the newest at any time within --retain, or that has a name. The newest
/// version is always whole. What stays can be read with --at, and the history stays of all versions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom vacuum lake
  taskloom vacuum lake --retain 12h --dry-run     what would go?
  taskloom vacuum lake --retain 0s                keep nothing but the newest version and those with names")]
pub(super) struct VacuumArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How long what was replaced can still be read
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = humantime::parse_duration)]
    retain: Duration,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VacuumArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let options = VacuumOptions { is_dry_run: args.dry_run, ..VacuumOptions::retaining(args.retain) };
    let vacuumed = lake.vacuum(&options, &lake::author())?;
    let text = if args.json { super::as_json(&vacuumed)? } else { told(&vacuumed) };
    super::print(&text)?;
    Ok(0)
}

fn told(vacuumed: &Vacuumed) -> String {
    let Vacuumed {
        is_dry_run,
        oldest_version,
        files,
        left_files,
        attachments,
        logs,
        bytes,
        swept_runs,
        aborted_uploads,
        paths,
    } = vacuumed;
    let mut text = String::new();
    if *is_dry_run {
        for path in paths {
            let _ = writeln!(text, "{}", printable::line(path));
        }
    }
    let (verb, runs) = if *is_dry_run { ("would be removed", "to be ended") } else { ("removed", "ended") };
    let [files, left, logs, attachments, swept] =
        [files, left_files, logs, attachments, swept_runs].map(|number| grouped(*number));
    let _ = writeln!(
        text,
        "{verb}: {files} files of old versions, {left} files that runs left, {logs} logs and snapshots, {attachments} attachments; {} in all",
        ByteSize(*bytes)
    );
    if *aborted_uploads > 0 {
        let _ = writeln!(text, "{} uploads that never ended aborted", grouped(*aborted_uploads));
    }
    if *swept_runs > 0 {
        let _ = writeln!(text, "dead runs {runs}: {swept}");
    }
    let _ = writeln!(text, "the oldest version that is kept is {oldest_version}");
    text
}
