//! The command line: from typed words to a config, and from results to the terminal.

mod annotations;
#[cfg(feature = "api")]
mod api;
#[cfg(feature = "api")]
mod attachments;
mod changes;
mod checkout;
mod compact;
mod dataset;
#[cfg(all(feature = "api", feature = "simulate"))]
mod demo;
mod drift;
#[cfg(feature = "api")]
mod export;
mod flatten;
mod forget;
#[cfg(feature = "simulate")]
mod generate;
mod hint;
mod history;
mod ids;
mod jobs;
mod lake;
mod manual;
mod metrics;
mod overview;
mod place;
mod printable;
mod restore;
mod rewrite;
mod schema;
mod signals;
#[cfg(feature = "simulate")]
mod simulate;
mod status;
mod summary;
#[cfg(feature = "api")]
mod sync;
mod times;
mod timings;
mod upgrade;
mod vacuum;
mod verify;
mod voice;
#[cfg(feature = "api")]
mod wanted;
mod winrate;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::store::address::check_path;
use voice::Voice;

/// Turns Scale GenAI tasks into columnar tables that DuckDB, Spark and Polars read at full speed.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "\
Examples:
  taskloom generate --tasks 2000 --out tasks.ndjson     something to try it on
  taskloom flatten tasks.ndjson --out lake              JSON to Parquet tables
  taskloom sql --engine duckdb lake > lake.sql          code that reads them
  duckdb -init lake.sql                                 ask
  taskloom restore lake                                 the JSON again

`taskloom COMMAND --help` explains a command by examples.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    voice: Voice,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(all(feature = "api", feature = "simulate"))]
    Demo(demo::DemoArgs),
    Flatten(flatten::FlattenArgs),
    #[cfg(feature = "api")]
    Export(Box<export::ExportArgs>),
    #[cfg(feature = "api")]
    Sync(Box<sync::SyncArgs>),
    Restore(restore::RestoreArgs),
    Verify(verify::VerifyArgs),
    Status(status::StatusArgs),
    History(history::HistoryArgs),
    Changes(changes::ChangesArgs),
    Tag(history::TagArgs),
    Rollback(history::RollbackArgs),
    Checkout(checkout::CheckoutArgs),
    Compact(compact::CompactArgs),
    Upgrade(upgrade::UpgradeArgs),
    Forget(forget::ForgetArgs),
    Vacuum(vacuum::VacuumArgs),
    Recover(restore::RecoverArgs),
    #[cfg(feature = "api")]
    Attachments(attachments::AttachmentsArgs),
    Annotations(annotations::AnnotationsArgs),
    Winrate(winrate::WinrateArgs),
    Dataset(Box<dataset::DatasetArgs>),
    Overview(overview::OverviewArgs),
    Drift(drift::DriftArgs),
    Schema(schema::SchemaArgs),
    Sql(schema::SqlArgs),
    #[cfg(feature = "simulate")]
    Generate(generate::GenerateArgs),
    #[cfg(feature = "simulate")]
    Simulate(simulate::SimulateArgs),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Reads the command line, does what it says and tells the exit status.
pub fn run() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(error) => {
            Voice::default().fail(&error);
            return ExitCode::from(hint::exit_status(&error));
        }
    };
    let Cli { command, voice } = Cli::parse_from(words);
    voice.begin();
    end_on_panic(voice);
    let outcome = match command {
        #[cfg(all(feature = "api", feature = "simulate"))]
        Command::Demo(args) => demo::run(args, voice),
        Command::Flatten(args) => flatten::run(args, voice),
        #[cfg(feature = "api")]
        Command::Export(args) => export::run(*args, voice),
        #[cfg(feature = "api")]
        Command::Sync(args) => sync::run(*args, voice),
        Command::Restore(args) => restore::restore(&args),
        Command::Recover(args) => restore::recover(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Status(args) => status::run(&args),
        Command::History(args) => history::history(&args),
        Command::Changes(args) => changes::run(&args),
        Command::Tag(args) => history::tag(&args),
        Command::Rollback(args) => history::rollback(&args),
        Command::Checkout(args) => checkout::run(&args),
        Command::Compact(args) => compact::run(&args, voice),
        Command::Upgrade(args) => upgrade::run(&args, voice),
        Command::Forget(args) => forget::run(&args, voice),
        Command::Vacuum(args) => vacuum::run(&args),
        #[cfg(feature = "api")]
        Command::Attachments(args) => attachments::run(&args, voice),
        Command::Annotations(args) => annotations::run(&args, voice),
        Command::Winrate(args) => winrate::run(&args, voice),
        Command::Dataset(args) => dataset::run(&args, voice),
        Command::Overview(args) => overview::run(&args, voice),
        Command::Drift(args) => drift::run(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Sql(args) => schema::sql(&args, voice),
        #[cfg(feature = "simulate")]
        Command::Generate(args) => generate::run(&args),
        #[cfg(feature = "simulate")]
        Command::Simulate(args) => simulate::run(args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    voice.tell_timings();
    match outcome {
        Ok(status) => ExitCode::from(status),
        // Who reads our output and has enough of it is no failure: `taskloom restore lake | head`.
        Err(Error::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            voice.fail(&error);
            ExitCode::from(hint::exit_status(&error))
        }
    }
}

/// The words that were typed, and those of the job that they mean.
fn words() -> Result<Vec<std::ffi::OsString>> {
    jobs::expanded(std::env::args_os().collect(), &<Cli as clap::CommandFactory>::command())
}

/// A panic in any thread ends the program as an error does. Nothing is committed then; what it leaves is swept by the
/// next run.
fn end_on_panic(voice: Voice) {
    std::panic::set_hook(Box::new(move |panic| {
        let error = Error::Bug { place: "a thread", found: panic.to_string() };
        voice.fail(&error);
        std::process::exit(hint::exit_status(&error).into());
    }));
}

/// A setting that can't be.
pub(super) fn usage(setting: &'static str, expected: &str, found: impl Into<String>) -> Error {
    Error::Usage { setting, expected: expected.to_owned(), found: found.into() }
}

/// A result for programs.
fn as_json(result: &impl serde::Serialize) -> Result<String> {
    let json = serde_json::to_string_pretty(result).map_err(|source| Error::Json { action: "write JSON", source })?;
    Ok(format!("{}\n", printable::json(&json)))
}

/// Prints a result.
fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).map_err(Error::Output)
}

/// Hands out standard output, or a file that takes its name only when it is whole and on the disk.
fn write_whole(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = path else { return write_to(io::stdout().lock(), write) };
    check_path(path)?;
    // A pipe, a device or a link is written to, not replaced.
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return write_to(File::options().write(true).open(path).map_err(Error::file("open", path))?, write);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder);
    let mut draft = draft.map_err(Error::file("create", path))?;
    let progress = Arc::new(Progress::default());
    signals::watch(&progress);
    let written = write_to(Stoppable { file: draft.as_file_mut(), progress: &progress }, write);
    progress.check()?;
    written?;
    draft.as_file().sync_all().map_err(Error::file("write", path))?;
    draft.persist(path).map_err(|error| Error::file("create", path)(error.error))?;
    Ok(())
}

/// A file that takes no more once somebody wants to stop, so that the draft is removed.
struct Stoppable<'a> {
    file: &'a mut File,
    progress: &'a Progress,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.check().map_err(io::Error::other)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write_to(to: impl Write, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, to);
    write(&mut out)?;
    out.flush().map_err(Error::Output)
}

const BUFFER_BYTES: usize = 1024 * 1024;
