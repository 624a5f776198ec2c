//! `taskloom verify`.

use std::fmt::Write as _;

use bytesize::ByteSize;
use clap::Args;

use super::place::PlaceArgs;
use super::printable;
use super::summary::grouped;
use crate::attachment;
use crate::error::Result;
use crate::lake::{Fault, Finding, Scope};
use crate::store::address::is_address;
use crate::verify::{Verification, VerifyOptions, verify};

/// Prove that a lake is whole: compare what its records say with what lies there.
///
/// Looks at every record, snapshot and log, whether each file of the versions that are kept is there with its size, columns and number
/// of rows, at what dead runs left, and at files that are nobody's. With --deep also at every byte and every row: checksums, unique keys, an
/// owner for each row, partitions, counts, and each task's content by its hash. Ends with status 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom verify lake
  taskloom verify lake --deep
  taskloom verify lake --deep --since 41       after a nightly run on version 41
  taskloom verify lake --forgotten             after `taskloom forget`
  taskloom verify lake --json | jq -r '.findings[] | [.fault, .path] | @tsv'")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Read every byte and every row
    #[arg(long)]
    deep: bool,
    /// Look at this version alone, by its number or its name
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    /// Look only at what came after this version
    #[arg(long, value_name = "VERSION", conflicts_with = "at")]
    since: Option<String>,
    /// List a lake in a bucket too, and look for files that are nobody's; a lake in a folder is always listed
    #[arg(long)]
    strangers: bool,
    /// Look also whether anything is left of what the lake forgot: in every row, record, reject and raw page
    #[arg(long, conflicts_with_all = ["at", "since"])]
    forgotten: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// The lake is not as it should be.
const STATUS_WRONG: u8 = 1;

pub(super) fn run(args: &VerifyArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let version_of = |word: &Option<String>| word.as_deref().map(|word| lake.version_of(word)).transpose();
    let skips_strangers = is_address(args.place.path()) && !args.strangers && !args.forgotten;
    let scope = Scope { at: version_of(&args.at)?, since: version_of(&args.since)?, skips_strangers };
    if let Some(at) = scope.at.filter(|at| lake.state().is_ok_and(|newest| *at < newest.begins_at())) {
        // It was erased.
        lake.state_at(at)?;
    }
    let verification = verify(&lake, &VerifyOptions { scope, is_deep: args.deep, is_for_forgotten: args.forgotten })?;
    let text = if args.json { super::as_json(&verification)? } else { told(&verification) };
    super::print(&text)?;
    Ok(if verification.findings.is_empty() { 0 } else { STATUS_WRONG })
}

fn told(verification: &Verification) -> String {
    let Verification { version, is_deep, records, logs, files, bytes, rows, findings, .. } = verification;
    let mut text = String::new();
    for finding in findings {
        let _ = writeln!(text, "{}", printable::line(&finding.to_string()));
    }
    for advice in advice(findings) {
        let _ = writeln!(text, "to do: {advice}");
    }
    let version = match version {
        Some(version) => format!("version {version}"),
        None => "what stands behind the damaged record can't be told".to_owned(),
    };
    let how = if *is_deep { "read whole" } else { "present, footers read" };
    let [records, logs, files, rows] = [records, logs, files, rows].map(|number| grouped(*number));
    let bytes = ByteSize(*bytes);
    let _ =
        writeln!(text, "{version}: {records} records, {logs} logs, {files} files with {rows} rows and {bytes}, {how}");
    let found = match findings.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        wrong => format!("{} things are wrong", grouped(wrong as u64)),
    };
    let _ = writeln!(text, "{found}");
    text
}

/// What to do about what was found.
fn advice(findings: &[Finding]) -> Vec<&'static str> {
    let of = |finding: &Finding| match finding.fault {
        Fault::Missing | Fault::Size | Fault::Checksum if finding.path.starts_with(attachment::FOLDER) => {
            "`taskloom attachments fetch` gets again what is gone of attachments, where their addresses still work; remove a damaged one first"
        }
        Fault::Snapshot | Fault::Log | Fault::Unpublished | Fault::DeadRun => {
            "`taskloom recover` writes logs and snapshots anew, and removes what dead runs left"
        }
        Fault::Erased => "`taskloom recover` removes what is left of a history that was erased",
        Fault::Forgotten => {
            "`taskloom forget` the tasks that still name it, those of a contributor with --drop-tasks; from elsewhere it goes with whatever is forgotten next"
        }
        Fault::Stranger => "`taskloom vacuum` removes what runs left; what else is nobody's is yours to move away",
        Fault::Record => "bring the record back from a copy of the lake: nothing else knows what it said",
        Fault::Missing | Fault::Size | Fault::Footer | Fault::Checksum => {
            "bring the files back from a copy of the lake, or make the lake anew from its source"
        }
        Fault::Rows => "please report it: files that are whole should not hold such rows",
    };
    let mut advice = findings.iter().map(of).collect::<Vec<_>>();
    advice.sort_unstable();
    advice.dedup();
    advice
}
