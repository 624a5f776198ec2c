//! `taskloom overview`.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::voice::Voice;
use crate::error::{Error, Result};
use crate::overview::overview;
use crate::store::draft::check_outside;

/// Make a page of what a lake holds and what people said: one HTML file to look at, and to send to others.
///
/// Projects, batches, throughput, turns, lengths, models, ratings with their bounds, win rates, agreement, rubrics, errors, drift and runs;
/// each picture has its numbers as a table, and the query that gives them. The page asks for no other file, and runs nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom overview lake
  taskloom overview lake --out team.html
  taskloom overview lake --at paper-2026 --out paper.html")]
pub(super) struct OverviewArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// File to write, or `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "overview.html")]
    out: PathBuf,
    #[command(flatten)]
    at: AtArgs,
}

pub(super) fn run(args: &OverviewArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    check_outside(&args.out, lake.store().folder(), "--out")?;
    let state = args.at.state_of(&lake)?;
    let page = voice.watch(|progress| overview(&lake, &state, progress))?.to_html();
    let out = Some(&*args.out).filter(|out| *out != Path::new("-"));
    super::write_whole(out, |file| file.write_all(page.as_bytes()).map_err(Error::Output))?;
    if out.is_some() && !voice.is_quiet() {
        let (place, size) = (args.out.display().to_string(), ByteSize(page.len() as u64));
        super::print(&format!("{}: {size}\n", super::printable::line(&place)))?;
    }
    Ok(0)
}
