//! `taskloom flatten`.

use std::ffi::OsString;

use clap::Args;

use super::lake::LakeArgs;
use super::voice::Voice;
use crate::error::Result;
use crate::source::{self, Source};

/// Flatten files of tasks into a lake of Parquet tables.
///
/// Into a lake that is there it merges: a task that comes again takes the place of its old rows, and one that has not changed is left.
///
/// Reads NDJSON, JSON (one object, an array, or saved pages of the API) and reject files of an earlier run, plain or compressed
/// with gzip or zstd. What can't be read is set aside in _taskloom/rejects, and the exit status is 3.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom flatten tasks.ndjson --out lake
  taskloom flatten exports/ 'more/*.json.gz' --out lake
  taskloom flatten 's3://our-bucket/tasks/*.json.gz' --out lake
  zstdcat tasks.ndjson.zst | taskloom flatten - --out lake --threads 4
  taskloom flatten exports/ --out lake --overwrite --max-rejects 0.5% --json

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but tasks were rejected,
4 another run was faster, 130 and 143 stopped by Ctrl-C or SIGTERM with
nothing visible.")]
pub(super) struct FlattenArgs {
    /// Files, folders, patterns, each also as an address in a bucket, or - for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<OsString>,
    #[command(flatten)]
    lake: LakeArgs,
}

pub(super) fn run(args: FlattenArgs, voice: Voice) -> Result<u8> {
    let source = Source::Files(source::resolve_with(&args.inputs, &args.lake.store_options())?);
    args.lake.make(source, None, false, voice)
}
