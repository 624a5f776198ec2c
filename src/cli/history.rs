//! `taskloom history`, `taskloom tag` and `taskloom rollback`: what was done to a lake, names for its versions, and an older one again.

use std::fmt::Write as _;

use bytesize::ByteSize;
use clap::Args;

use super::lake;
use super::place::PlaceArgs;
use super::printable;
use super::summary::grouped;
use crate::error::Result;
use crate::lake::Version;
use crate::upkeep::{self, RolledBack};

/// List the versions of a lake, the newest first: when, what, by whom, from what, and what it changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom history lake
  taskloom history lake --limit 5
  taskloom history lake --json | jq -r '.[] | [.version, .created_at, .operation] | @tsv'")]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// No more versions than this
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the versions as JSON
    #[arg(long)]
    json: bool,
}

/// Give a version a name, which other commands take for --at. Its files stay, whatever is vacuumed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom tag lake paper-2026
  taskloom tag lake before-relabeling --at 41
  taskloom tag lake paper-2026 --remove")]
pub(super) struct TagArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The name: letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    name: String,
    /// The version that gets it, by its number or another name [default: the newest]
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    /// Take the name away
    #[arg(long, conflicts_with = "at")]
    remove: bool,
}

/// Make an older version the newest one again, as a version of its own.
///
/// Every table is as it was then, and scheduled jobs go on from where they were. No file is removed: this too can be rolled back, until
/// `taskloom vacuum` removes what was replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom history lake --limit 3
  taskloom rollback lake --to 41
  taskloom rollback lake --to before-relabeling")]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The version, by its number or its name
    #[arg(long, value_name = "VERSION")]
    to: String,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn history(args: &HistoryArgs) -> Result<u8> {
    let mut versions = args.place.open()?.history()?;
    versions.reverse();
    versions.truncate(args.limit.unwrap_or(usize::MAX));
    let text = match (args.json, versions.as_slice()) {
        (true, versions) => super::as_json(&versions)?,
        (false, []) => "no version is committed yet\n".to_owned(),
        (false, versions) => versions.iter().map(told).collect::<Vec<_>>().join("\n"),
    };
    super::print(&text)?;
    Ok(0)
}

pub(super) fn tag(args: &TagArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let (name, author) = (&args.name, lake::author());
    let text = if args.remove {
        format!("version {} is not called {name} any more\n", lake.untag(name, &author)?)
    } else {
        let at = args.at.as_deref().map(|at| lake.version_of(at)).transpose()?;
        format!("version {} is called {name}\n", lake.tag(name, at, &author)?)
    };
    super::print(&text)?;
    Ok(0)
}

pub(super) fn rollback(args: &RollbackArgs) -> Result<u8> {
    let lake = args.place.open()?;
    let done = upkeep::rollback(&lake, lake.version_of(&args.to)?, &lake::author())?;
    let RolledBack { to, version, files_added, files_removed } = done;
    let text = if args.json {
        super::as_json(&done)?
    } else if files_added + files_removed == 0 {
        format!("version {version} is as version {to} was\n")
    } else {
        let [came, went] = [files_added, files_removed].map(grouped);
        format!("version {version} is as version {to} was: {came} files came again, {went} went\n")
    };
    super::print(&text)?;
    Ok(0)
}

fn told(version: &Version) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<9}{}", printable::line(value));
    };
    let tags = version.tags.iter().map(|tag| format!(", {tag}")).collect::<String>();
    let gone = if version.is_kept { "" } else { ", files not kept" };
    line("version", &format!("{}{tags}{gone}", version.version));
    line("when", &version.created_at);
    let author = &version.author;
    let user = author.user.as_deref().unwrap_or("somebody");
    let host = author.host.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
    line("what", &format!("{} by {user}{host}", version.operation));
    version.source.iter().for_each(|source| line("from", source));
    author.command.iter().for_each(|command| line("command", command));
    let counts = version.counts;
    if counts.tasks_read > 0 {
        let [read, tasks, rejected] = [counts.tasks_read, counts.tasks, counts.rejected].map(grouped);
        line("tasks", &format!("{tasks} of {read} that were read, {rejected} rejected"));
        let [added, replaced, unchanged] = [counts.added, counts.replaced, counts.unchanged].map(grouped);
        line("merged", &format!("{added} added, {replaced} replaced, {unchanged} unchanged"));
    }
    if counts.attachments > 0 {
        line("kept", &format!("{} contents of attachments", grouped(counts.attachments)));
    }
    let change = |files: u64, bytes: u64| format!("{} files with {}", grouped(files), ByteSize(bytes));
    let Version { files_added, bytes_added, files_removed, bytes_removed, .. } = *version;
    if files_added + files_removed > 0 {
        line("in", &change(files_added, bytes_added));
        line("out", &change(files_removed, bytes_removed));
    }
    text
}
