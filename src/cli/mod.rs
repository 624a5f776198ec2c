//! The command line: from typed words to a [`crate::config`], and from results to the terminal.

mod flatten;
mod generate;
mod restore;

use std::fs::Permissions;
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
    Generate(generate::GenerateArgs),
}

/// Reads the command line, does what it says and tells the exit status.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Flatten(args) => flatten::run(args),
        Command::Restore(args) => restore::restore(&args),
        Command::Recover(args) => restore::recover(&args),
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

/// Hands out standard output, or a file that takes its name only when it is whole.
fn write_whole(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = path else {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        write(&mut out)?;
        return out.flush().map_err(Error::Output);
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder);
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, draft.map_err(Error::file("create", path))?);
    write(&mut out)?;
    let draft = out.into_inner().map_err(|error| Error::file("write", path)(error.into_error()))?;
    draft.persist(path).map_err(|error| Error::file("create", path)(error.error))?;
    Ok(())
}

const BUFFER_BYTES: usize = 1024 * 1024;
