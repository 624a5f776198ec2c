//! `taskloom checkout`.

use std::path::PathBuf;
use std::sync::Arc;

use bytesize::ByteSize;
use clap::Args;

use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::summary::grouped;
use crate::error::Result;
use crate::progress::Progress;
use crate::store::address::is_address;
use crate::store::open;

/// Make a plain folder of exactly one version, for tools that know nothing but folders of Parquet files.
///
/// The files in it are the lake's own under one more name where that can be, and take no space then; they must not be changed in place.
/// The folder is put in its place at once, and an earlier checkout there is replaced; in a bucket file by file, with _checkout.json last.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom checkout lake today
  taskloom checkout lake paper --at paper-2026
  duckdb -c \"SELECT count(*) FROM 'today/messages/**/*.parquet'\"")]
pub(super) struct CheckoutArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Folder to make, or its address in a bucket
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    at: AtArgs,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckoutArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let state = args.at.state_of(&lake)?;
    let done = match is_address(&args.folder) {
        true => lake.checkout_into(&state, &*open(&args.folder, &args.place.options())?, &progress)?,
        false => lake.checkout(&state, &args.folder, &progress)?,
    };
    let text = if args.json {
        super::as_json(&done)?
    } else {
        let copies = if done.copies > 0 { format!(", {} of them copies", grouped(done.copies)) } else { String::new() };
        let (files, bytes) = (grouped(done.files), ByteSize(done.bytes));
        format!("version {}: {files} files with {bytes}{copies}\n", done.version)
    };
    super::print(&text)?;
    Ok(0)
}
