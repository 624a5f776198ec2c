//! `taskloom drift`.

use clap::Args;

use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::printable;
use super::summary::Summary;
use crate::error::Result;
use crate::inspect;
use crate::report::DriftReport;

/// List what a lake holds that the schema does not know.
///
/// New fields, words of status, role and type that the API was not known to send, and values of another kind than before, each with
/// its count and an example. Nothing of it is lost: fields that no column holds stand in the column extra of their row. The report of
/// each run lists the same for what it wrote.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom drift lake
  taskloom drift lake --json | jq -r '.findings[] | [.table, .path] | @tsv'")]
pub(super) struct DriftArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    at: AtArgs,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DriftArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let report = DriftReport::of(inspect::drift_of_state(&lake, &args.at.state_of(&lake)?)?);
    let text =
        if args.json { format!("{}\n", printable::json(&report.to_json()?)) } else { Summary(&report).to_string() };
    super::print(&text)?;
    Ok(0)
}
