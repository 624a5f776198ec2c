//! `taskloom compact`.

use std::sync::Arc;

use bytesize::ByteSize;
use clap::Args;
use parquet::basic::ZstdLevel;

use super::lake::author;
use super::place::PlaceArgs;
use super::summary::grouped;
use super::voice::Voice;
use crate::config;
use crate::error::Result;
use crate::partition::DateGrain;
use crate::progress::Progress;
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
    /// Threads that work [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Level of zstd
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    compression_level: i32,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompactArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    let options = CompactOptions {
        date_grain: args.date_grain,
        threads: args.threads.map_or_else(config::all_cores, usize::from),
        compression_level: ZstdLevel::try_new(args.compression_level).unwrap_or_default(),
        author: author(),
    };
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let shown = voice.show(&progress);
    let done = compact(&lake, &options, &progress);
    drop(shown);
    let done = done?;
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
