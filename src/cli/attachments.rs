//! How attachments are fetched, for every command that can, and `taskloom attachments`.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueEnum};

use super::lake::{author, default_work_dir};
use super::place::PlaceArgs;
use super::printable;
use super::rewrite::RewriteArgs;
use super::summary::{grouped, of_attachments};
use super::voice::Voice;
use crate::attachment::{AllowedHost, AttachmentReport, Example, Failure, FetchOptions, OfTasks};
use crate::error::Result;
use crate::store::address::check_path;
use crate::upkeep::{Fetched, FetchingOptions, fetch_attachments};

const HEADING: &str = "Attachments";

/// How attachments are fetched.
#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    /// Requests for attachments at a time
    #[arg(long, help_heading = HEADING, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    attachment_concurrency: u16,
    /// Leave attachments that are larger than this
    #[arg(long, help_heading = HEADING, value_name = "SIZE", default_value = "64MiB", value_parser = super::lake::size)]
    max_attachment_bytes: ByteSize,
    /// Ask this host too, although it is this machine or in its network; may be given more than once
    #[arg(long, help_heading = HEADING, value_name = "HOST[:PORT]")]
    attachment_host: Vec<AllowedHost>,
    /// Ask http:// addresses too
    #[arg(long, help_heading = HEADING)]
    attachment_http: bool,
    /// What becomes of contents that stand in tasks in base64: `keep` leaves them in the table too, `move` does not
    #[arg(long, help_heading = HEADING, value_enum, value_name = "WHAT", default_value_t = ContentWord::Keep)]
    attachment_content: ContentWord,
}

/// What becomes of a content in base64.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ContentWord {
    Keep,
    Move,
}

impl FetchArgs {
    /// The flag that says how to fetch what nobody asked to fetch, if there is one.
    pub(super) fn idle(&self) -> Option<&'static str> {
        let flags = [
            (!self.attachment_host.is_empty(), "--attachment-host"),
            (self.attachment_http, "--attachment-http"),
            (matches!(self.attachment_content, ContentWord::Move), "--attachment-content"),
        ];
        flags.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag))
    }

    pub(super) fn options(&self) -> FetchOptions {
        FetchOptions {
            concurrency: usize::from(self.attachment_concurrency),
            max_bytes: self.max_attachment_bytes.as_u64(),
            hosts: self.attachment_host.clone(),
            allows_http: self.attachment_http,
            of_tasks: match self.attachment_content {
                ContentWord::Keep => OfTasks::Copy,
                ContentWord::Move => OfTasks::Move,
            },
            ..FetchOptions::default()
        }
    }
}

/// Keep the bytes of attachments beside the tables.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom attachments fetch lake
  taskloom attachments fetch --help")]
pub(super) struct AttachmentsArgs {
    #[command(subcommand)]
    command: AttachmentsCommand,
}

#[derive(Debug, Subcommand)]
enum AttachmentsCommand {
    Fetch(AttachmentsFetchArgs),
}

/// Fetch the attachments that a lake's tables tell of and whose bytes it has not.
///
/// They become files of the lake, called by their hashes; the columns `content_path` and `content_state` tell where they are, and why some are
/// not. Addresses are signed for some hours or days: whoever exports with --fetch-attachments gets what is fresh.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom attachments fetch lake
  taskloom attachments fetch lake --max-attachment-bytes 1GB
  taskloom attachments fetch s3://bucket/lake --json

Exit status: 0 done, also where some could not be fetched, which is told;
1 failed, 2 wrong usage, 4 another run was faster, 130 and 143 stopped by Ctrl-C
or SIGTERM: the same command goes on from there.")]
struct AttachmentsFetchArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    fetch: FetchArgs,
    #[command(flatten)]
    rewrite: RewriteArgs,
    /// Folder for what is on its way [default: taskloom in your cache folder, such as ~/.cache/taskloom]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AttachmentsArgs, voice: Voice) -> Result<u8> {
    let AttachmentsCommand::Fetch(args) = &args.command;
    args.work_dir.as_deref().map_or(Ok(()), check_path)?;
    let lake = args.place.open()?;
    let options = FetchingOptions {
        fetch: args.fetch.options(),
        threads: args.rewrite.threads(),
        compression_level: args.rewrite.compression_level(),
        work_dir: args.work_dir.clone().or_else(default_work_dir),
        author: author(),
        ..FetchingOptions::default()
    };
    let done = voice.watch(|progress| fetch_attachments(&lake, &options, progress))?;
    warn_of_failures(&done.report, voice);
    super::print(&if args.json { super::as_json(&done)? } else { told(&done) + "\n" })?;
    Ok(0)
}

/// What was fetched behind a run, as a line.
pub(super) fn told(done: &Fetched) -> String {
    let Fetched { version, parts, report } = done;
    match (report.kept(), parts) {
        (0, 0) => format!("{}; the lake stays at version {version}", of_attachments(report)),
        _ => format!("{}, as version {version}", of_attachments(report)),
    }
}

/// Tells why some are not in the lake.
pub(super) fn warn_of_failures(report: &AttachmentReport, voice: Voice) {
    // About an address that nobody can ask nothing can be done.
    let unsupported = Failure::Unsupported.word();
    let count = report.not_kept() - report.failed.get(unsupported).copied().unwrap_or(0);
    if count == 0 {
        return;
    }
    let such = report.examples.iter().find(|example| example.state != unsupported).map_or_else(
        String::new,
        |Example { address, reason, .. }| {
            format!(", such as {}: {}", printable::line(address), printable::line(reason))
        },
    );
    voice.warn(&format!("{} attachments could not be fetched{such}", grouped(count)));
}
