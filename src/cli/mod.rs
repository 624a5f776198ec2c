//! The command line: from typed words to a [`crate::config`], and from results to the terminal.

mod flatten;
mod generate;
mod restore;

use std::io::{self, Write};
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

/// Where a command's lines go.
fn output(path: Option<&std::path::Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => Box::new(std::fs::File::create(path).map_err(Error::file("create", path))?),
        None => Box::new(io::stdout().lock()),
    })
}
