//! `taskloom generate`.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::generate::{GenerateOptions, generate};

/// Generate realistic tasks as NDJSON.
///
/// The same options give the same bytes everywhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom generate --tasks 1000 | taskloom flatten - --out lake
  taskloom generate --tasks 20500 --seed 7 --out tasks.ndjson")]
pub(super) struct GenerateArgs {
    /// How many tasks
    #[arg(long, value_name = "N")]
    tasks: u64,
    /// Which tasks: another seed gives others
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Partitions (project, batch and day) that they are spread over
    #[arg(long, value_name = "N", default_value_t = GenerateOptions::default().partitions)]
    partitions: u64,
    /// Mean size of a task in bytes, about
    #[arg(long, value_name = "BYTES", default_value_t = GenerateOptions::default().task_bytes)]
    task_bytes: u64,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &GenerateArgs) -> Result<u8> {
    let options = GenerateOptions {
        tasks: args.tasks,
        seed: args.seed,
        partitions: args.partitions,
        task_bytes: args.task_bytes,
        ..GenerateOptions::default()
    };
    super::write_whole(args.out.as_deref(), |out| generate(&options, out).map(|_| ()).map_err(Error::Output))?;
    Ok(0)
}
