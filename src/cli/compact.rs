//! `taskloom compact`.

use bytesize::ByteSize;
use clap::Args;

use super::lake::author;
use super::place::PlaceArgs;
use super::rewrite::RewriteArgs;
use super::summary::grouped;
use super::voice::Voice;
use crate::error::Result;
use crate::partition::DateGrain;
use crate::upkeep::{CompactOptions, Compacted, compact};

/// Join the small files of each partition, so that queries open fewer.
///
/// What can be read is the same before and after: it is a version of its own, and the files of the one before stay until
/// `taskloom vacuum`. `taskloom sync` does it by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom compact lake
  taskloom compact lake --date-grain month     partitions of a month instead of a day")]
pub(super) struct CompactArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How long a partition's date lasts from now on: a day can become a month, and not the other way round
    #[arg(long, value_enum, value_name = "GRAIN")]
    date_grain: Option<DateGrain>,
    #[command(flatten)]
    rewrite: RewriteArgs,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompactArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    let options = CompactOptions {
        date_grain: args.date_grain,
        threads: args.rewrite.threads(),
        compression_level: args.rewrite.compression_level(),
        author: author(),
    };
    let done = voice.watch(|progress| compact(&lake, &options, progress))?;
    super::print(&if args.json { super::as_json(&done)? } else { told(&done) + "\n" })?;
    Ok(0)
}

/// What was done, as a line.
pub(super) fn told(done: &Compacted) -> String {
    let Compacted { version, files_before, files_after, bytes_before, bytes_after } = *done;
    if files_before == 0 {
        return format!("nothing to join: version {version} has no small files that could be fewer");
    }
    let [before, after] = [files_before, files_after].map(grouped);
    let [bytes_before, bytes_after] = [bytes_before, bytes_after].map(ByteSize);
    format!("{before} files with {bytes_before} became {after} with {bytes_after}, as version {version}")
}
