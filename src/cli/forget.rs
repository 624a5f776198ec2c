//! `taskloom forget`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{ArgGroup, Args};

use super::ids::ids_in;
use super::lake::{default_work_dir, without_secrets};
use super::place::PlaceArgs;
use super::printable;
use super::rewrite::RewriteArgs;
use super::summary::grouped;
use super::voice::Voice;
use crate::error::Result;
use crate::lake::Author;
use crate::store::address::{check_path, is_address};
use crate::upkeep::{ForgetOptions, Forgetting, forget};

/// Erase tasks, or the names of contributors, for good: from every version, and from what comes later.
///
/// A task loses all its rows in all tables. A contributor's id becomes null wherever it stands under `contributor_id`; with --drop-tasks the tasks go.
/// The lake's history begins anew, whatever is forgotten: older versions and their names, the JSON as received, rejects and reports go at once,
/// and nothing can be rolled back behind it. Whatever is imported later comes without what was forgotten.
#[derive(Debug, Args)]
#[command(override_usage = "taskloom forget <LAKE> <WHICH TASKS OR CONTRIBUTORS> [OPTIONS]")]
#[command(group(ArgGroup::new("what").required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  taskloom forget lake --task-id 65a1f0c2 --task-id 65a1f0c3
  taskloom forget lake --task-ids ids.txt --dry-run     what would go?
  taskloom forget lake --contributor-id c8d1            tasks stay, and name nobody
  taskloom verify lake --forgotten                      is anything left?")]
pub(super) struct ForgetArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// A task, by its id; can be given several times
    #[arg(long = "task-id", value_name = "ID", group = "what", value_parser = id, allow_hyphen_values = true)]
    task_ids: Vec<String>,
    /// Tasks by their ids, from a file or `-`: a line each, as CSV or NDJSON with `task_id`
    #[arg(long = "task-ids", value_name = "FILE", group = "what")]
    tasks_file: Option<PathBuf>,
    /// A contributor, by its id; can be given several times
    #[arg(long = "contributor-id", value_name = "ID", group = "what", value_parser = id, allow_hyphen_values = true)]
    contributor_ids: Vec<String>,
    /// Forget the tasks that these contributors submitted too
    #[arg(long, requires = "contributor_ids")]
    drop_tasks: bool,
    /// Forget ids too that the lake does not know: they may stand in old versions and rejects, or be still to come
    #[arg(long)]
    allow_unknown: bool,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Where exports of this machine keep what they have received [default: taskloom in the cache of the user]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    rewrite: RewriteArgs,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ForgetArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    args.work_dir.as_deref().map_or(Ok(()), check_path)?;
    let mut tasks = args.task_ids.clone();
    if let Some(path) = &args.tasks_file {
        tasks.extend(ids_in(path)?);
    }
    let place = args.place.path();
    // Who forgets must not write down what.
    let command = format!("taskloom forget {}", without_secrets(&place.to_string_lossy()));
    let options = ForgetOptions {
        tasks,
        contributors: args.contributor_ids.clone(),
        drops_tasks: args.drop_tasks,
        allows_unknown: args.allow_unknown,
        is_dry_run: args.dry_run,
        work_dir: args.work_dir.clone().or_else(default_work_dir),
        threads: args.rewrite.threads(),
        compression_level: args.rewrite.compression_level(),
        author: Author { command: Some(command), ..Author::here() },
    };
    let done = voice.watch(|progress| forget(&lake, &options, progress))?;
    super::print(&if args.json { super::as_json(&done)? } else { told(&done, place) })?;
    Ok(0)
}

fn id(text: &str) -> std::result::Result<String, String> {
    if text.is_empty() { Err("expected an id, found nothing".to_owned()) } else { Ok(text.to_owned()) }
}

/// Ids that are listed; with --json all are.
const MOST_IDS: usize = 10;

fn told(done: &Forgetting, place: &Path) -> String {
    let Forgetting { is_dry_run, version, tasks_forgotten, tasks_not_held, tasks_changed, tags, erased, received } =
        done;
    let mut text = String::new();
    let verb = if *is_dry_run { "would be forgotten" } else { "forgotten" };
    let changed = match *tasks_changed {
        0 => String::new(),
        changed => format!("; {} more stay and name a contributor no more", grouped(changed)),
    };
    let _ = writeln!(text, "{verb}: {} tasks{changed}", grouped(*tasks_forgotten));
    if !tasks_not_held.is_empty() {
        let shown = tasks_not_held.iter().take(MOST_IDS).map(|id| printable::line(id)).collect::<Vec<_>>().join(", ");
        let more = if tasks_not_held.len() > MOST_IDS { ", …" } else { "" };
        let count = grouped(tasks_not_held.len() as u64);
        let _ = writeln!(
            text,
            "the newest version held no task of {count} of these ids, which can't come either: {shown}{more}"
        );
    }
    if !tags.is_empty() {
        let tags = tags.iter().map(|tag| printable::line(tag)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "names of versions that {}: {tags}", if *is_dry_run { "would go" } else { "went" });
    }
    if *is_dry_run {
        let _ = writeln!(text, "all versions up to {version} would be erased");
        return text;
    }
    let _ = writeln!(
        text,
        "history begins at version {version}: {} older versions erased, {} files with {} removed",
        grouped(erased.versions),
        grouped(erased.files),
        ByteSize(erased.bytes)
    );
    if received.files > 0 {
        let _ =
            writeln!(text, "received and not committed, on this machine: {} files removed", grouped(received.files));
    }
    if received.busy > 0 {
        let _ = writeln!(text, "an export is at work on this machine: it ends in a conflict, and has to be run again");
    }
    text.push_str("not reached from here: ");
    if is_address(place) {
        text.push_str("old versions of objects that the bucket keeps; ");
    }
    text.push_str(
        "backups and copies, checkouts, files made from it, and what exports on other machines have received\n",
    );
    text
}
