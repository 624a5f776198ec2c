//! The command line: from typed words to a [`crate::config`], and from results to the terminal.

mod flatten;
mod generate;
mod restore;
mod schema;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};

/// Turns Scale GenAI tasks into columnar tables that DuckDB, Spark and Polars read at full speed.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Flatten(flatten::FlattenArgs),
    Restore(restore::RestoreArgs),
    Recover(restore::RecoverArgs),
    Schema(schema::SchemaArgs),
    Sql(schema::SqlArgs),
    Generate(generate::GenerateArgs),
}

/// Reads the command line, does what it says and tells the exit status.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Flatten(args) => flatten::run(args),
        Command::Restore(args) => restore::restore(&args),
        Command::Recover(args) => restore::recover(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Sql(args) => schema::sql(&args),
        Command::Generate(args) => generate::run(&args),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => fail(error),
    }
}

fn fail(error: Error) -> ExitCode {
    // Who reads our output and has enough of it is no failure: `taskloom restore lake | head`.
    if matches!(&error, Error::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let mut message = format!("error: {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        message.push_str(&format!("\n  because: {inner}"));
        cause = inner.source();
    }
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(error.exit_status())
}

/// Says on standard error what a user should know.
fn warn(message: &str) {
    let _ = writeln!(io::stderr(), "warning: {message}");
}

/// Hands out standard output, or a file that takes its name only when it is whole and on the disk.
fn write_whole(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = path else { return write_to(io::stdout().lock(), write) };
    // A pipe, a device or a link is written to, not replaced.
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return write_to(File::options().write(true).open(path).map_err(Error::file("open", path))?, write);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder);
    let mut draft = draft.map_err(Error::file("create", path))?;
    write_to(draft.as_file_mut(), write)?;
    draft.as_file().sync_all().map_err(Error::file("write", path))?;
    draft.persist(path).map_err(|error| Error::file("create", path)(error.error))?;
    Ok(())
}

fn write_to(to: impl Write, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, to);
    write(&mut out)?;
    out.flush().map_err(Error::Output)
}

const BUFFER_BYTES: usize = 1024 * 1024;
