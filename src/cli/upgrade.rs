//! `taskloom upgrade`.

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
use crate::progress::Progress;
use crate::upkeep::{UpgradeOptions, Upgraded, upgrade};

/// Bring a lake that an older taskloom wrote to the newest schema.
///
/// A newer taskloom goes on with an older lake as it is: columns that came since are null in the rows that were there. This fills
/// them, as one version: values that stood in `extra` move into the columns that they have now. No task changes, and the versions
/// before stay readable until `taskloom vacuum`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom upgrade lake
  taskloom upgrade s3://bucket/lake --json")]
pub(super) struct UpgradeArgs {
    #[command(flatten)]
    place: PlaceArgs,
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

pub(super) fn run(args: &UpgradeArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    let options = UpgradeOptions {
        threads: args.threads.map_or_else(config::all_cores, usize::from),
        compression_level: ZstdLevel::try_new(args.compression_level).unwrap_or_default(),
        author: author(),
    };
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let shown = voice.show(&progress);
    let done = upgrade(&lake, &options, &progress);
    drop(shown);
    let done = done?;
    super::print(&if args.json { super::as_json(&done)? } else { told(&done) + "\n" })?;
    Ok(0)
}

/// What was done, as a line.
fn told(done: &Upgraded) -> String {
    let Upgraded { version, schema_version_before, schema_version, parts, files, bytes_before, bytes_after } = *done;
    if parts == 0 && schema_version_before == schema_version {
        return format!("nothing to upgrade: version {version} has the newest schema, {schema_version}");
    }
    let [parts, files] = [parts, files].map(grouped);
    let [bytes_before, bytes_after] = [bytes_before, bytes_after].map(ByteSize);
    format!(
        "{parts} parts in {files} files with {bytes_before} came to schema {schema_version} with {bytes_after}, as version {version}"
    )
}
