//! `taskloom completions` and `taskloom man`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::error::{Error, Result};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom completions bash > ~/.local/share/bash-completion/completions/taskloom
  taskloom completions zsh > ~/.zfunc/_taskloom
  taskloom completions fish > ~/.config/fish/completions/taskloom.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom man | man -l -                                read the main page
  taskloom man --out ~/.local/share/man/man1             install all pages")]
pub(super) struct ManArgs {
    /// Folder for the pages of all commands [default: the main page, to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "taskloom", &mut script);
    io::stdout().write_all(&script).map_err(Error::Output)?;
    Ok(0)
}

pub(super) fn man(args: &ManArgs) -> Result<u8> {
    match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
            clap_mangen::generate_to(Cli::command(), folder).map_err(Error::file("write to", folder))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Error::Output)?;
            io::stdout().write_all(&page).map_err(Error::Output)?;
        }
    }
    Ok(0)
}
