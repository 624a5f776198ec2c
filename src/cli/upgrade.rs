//! `taskloom upgrade`.

use bytesize::ByteSize;
use clap::Args;

use super::lake::author;
use super::place::PlaceArgs;
use super::rewrite::RewriteArgs;
use super::summary::grouped;
use super::voice::Voice;
use crate::error::Result;
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
    #[command(flatten)]
    rewrite: RewriteArgs,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &UpgradeArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    let options = UpgradeOptions {
        threads: args.rewrite.threads(),
        compression_level: args.rewrite.compression_level(),
        author: author(),
    };
    let done = voice.watch(|progress| upgrade(&lake, &options, progress))?;
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
