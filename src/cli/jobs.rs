//! Commands in a file: the flags of `taskloom sync` or `taskloom dataset`, by their names, under the name of the job or of the training set.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// The file that is taken where no other is named.
const FILE: &str = "taskloom.toml";

/// Flags that are nothing to write down: which file, which section, and what only one run is to do.
const NOT_IN_FILES: [&str; 7] = ["config", "job", "name", "help", "dry-run", "restart", "reconcile"];

/// What a file can hold of a command.
#[derive(Clone, Copy)]
struct Kind {
    /// The command, as it is typed.
    command: &'static str,
    /// The table of its sections.
    table: &'static str,
    /// The flag that names one.
    flag: &'static str,
    /// Flags without which the file of this folder is taken.
    unless: Option<&'static str>,
    /// The flag with which it is taken.
    with: Option<&'static str>,
}

const KINDS: [Kind; 2] = [
    Kind { command: "sync", table: "job", flag: "job", unless: Some("out"), with: None },
    Kind { command: "dataset", table: "dataset", flag: "name", unless: None, with: Some("name") },
];

/// What a setting of a store may be called that is a secret.
const SECRETS: [&str; 6] = ["secret", "password", "token", "sas", "access_key", "account_key"];

/// The words of a command line, with the flags of a section of the file that it names, or from the one in this folder
/// (see [`Kind`]). Flags that were typed go before those of the file.
pub(super) fn expanded(words: Vec<OsString>, command: &Command) -> Result<Vec<OsString>> {
    let is_flag = |word: &OsString| word.to_string_lossy().starts_with('-');
    let Some(at) = words.iter().skip(1).position(|word| !is_flag(word)).map(|at| at + 1) else { return Ok(words) };
    let Some(kind) = KINDS.into_iter().find(|kind| words.get(at).is_some_and(|word| word == kind.command)) else {
        return Ok(words);
    };
    let Some(command) = command.find_subcommand(kind.command) else { return Ok(words) };
    let typed = words.get(at + 1..).unwrap_or_default();
    let Some(path) = kind.file(typed) else { return Ok(words) };
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let file = File { path: &path, text: &text, kind, command };
    let section = value_of(typed, &format!("--{}", kind.flag)).map(|name| name.to_string_lossy().into_owned());
    let (section, flags) = file.flags(section.as_deref(), typed)?;
    let mut expanded = words.get(..=at).unwrap_or_default().to_vec();
    expanded.extend(flags);
    if !is_typed(typed, kind.flag) {
        expanded.push(format!("--{}={section}", kind.flag).into());
    }
    expanded.extend_from_slice(typed);
    Ok(expanded)
}

impl Kind {
    /// The file that holds the section, if one does.
    fn file(self, typed: &[OsString]) -> Option<PathBuf> {
        let is_help = typed.iter().any(|word| ["-h", "--help"].contains(&word.to_string_lossy().as_ref()));
        let named = value_of(typed, "--config").map(PathBuf::from);
        let is_meant =
            self.unless.is_none_or(|flag| !is_typed(typed, flag)) && self.with.is_none_or(|flag| is_typed(typed, flag));
        // Whoever names a section wants the file, whether it is there or not.
        let here = || Some(PathBuf::from(FILE)).filter(|file| is_meant && (self.with.is_some() || file.is_file()));
        named.or_else(here).filter(|_| !is_help)
    }
}

fn is_typed(typed: &[OsString], flag: &str) -> bool {
    let whole = format!("--{flag}");
    typed.iter().any(|word| {
        let word = word.to_string_lossy();
        word == whole.as_str() || word.strip_prefix(&whole).is_some_and(|rest| rest.starts_with('='))
    })
}

fn value_of(typed: &[OsString], flag: &str) -> Option<OsString> {
    let begin = format!("{flag}=");
    typed.iter().enumerate().find_map(|(at, word)| match word.to_str() {
        Some(word) if word == flag => typed.get(at + 1).cloned(),
        word => word?.strip_prefix(&begin).map(OsString::from),
    })
}

struct File<'f> {
    path: &'f Path,
    text: &'f str,
    kind: Kind,
    command: &'f Command,
}

impl File<'_> {
    /// The name of a section, and its flags as words.
    fn flags(&self, section: Option<&str>, typed: &[OsString]) -> Result<(String, Vec<OsString>)> {
        let Kind { table: kind, flag, .. } = self.kind;
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(at, "TOML", error.message().to_owned())
        })?;
        let mut sections = Vec::new();
        for (key, value) in table.get_ref().iter() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                (name, DeValue::Table(found)) if name == kind => sections.extend(found.iter()),
                (name, DeValue::Table(_)) if KINDS.iter().any(|kind| kind.table == name) => {}
                (other, _) => {
                    let expected = format!("a table `[{kind}.NAME]`");
                    return Err(self.wrong(key.span().start, &expected, format!("`{other}`")));
                }
            }
        }
        let names = sections.iter().map(|(name, _)| name.get_ref().to_string()).collect::<Vec<_>>();
        let expected = || match names.as_slice() {
            [] => format!("a table `[{kind}.NAME]`"),
            names => format!("--{flag} with one of `{}`", names.join("`, `")),
        };
        let mut meant = sections.iter().filter(|(name, _)| section.is_none_or(|section| name.get_ref() == section));
        let (Some((name, table)), None) = (meant.next(), meant.next()) else {
            let several = || format!("{} of them", names.len());
            let found = section.map_or_else(several, |section| format!("the {kind} `{section}`"));
            return Err(self.wrong(0, &expected(), found));
        };
        let DeValue::Table(table) = table.get_ref() else {
            return Err(self.wrong(table.span().start, "a table of flags", table.get_ref().type_str().to_owned()));
        };
        let mut flags = Vec::new();
        for (key, value) in table.iter() {
            let words = self.words(key, value)?;
            if !is_typed(typed, &key.get_ref().replace('_', "-")) {
                flags.extend(words);
            }
        }
        Ok((name.get_ref().to_string(), flags))
    }

    /// A key and its value as words that the command takes.
    fn words(&self, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>> {
        let name = key.get_ref().replace('_', "-");
        let is_named = |argument: &&Arg| argument.get_long() == Some(name.as_str());
        let known = self.command.get_arguments().find(is_named).filter(|_| !NOT_IN_FILES.contains(&name.as_str()));
        let Some(argument) = known else {
            let expected = format!("a flag of `taskloom {}` by its name, such as `out`", self.kind.command);
            return Err(self.wrong(key.span().start, &expected, format!("`{}`", key.get_ref())));
        };
        let takes_value = argument.get_action().takes_values();
        let mut words = Vec::new();
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect::<Vec<_>>(),
            _ => vec![value],
        };
        for value in values {
            let at = value.span().start;
            let text = match value.get_ref() {
                DeValue::Boolean(true) if !takes_value => None,
                DeValue::Boolean(false) if !takes_value => continue,
                DeValue::String(text) if takes_value => Some(text.to_string()),
                DeValue::Integer(number) if takes_value => Some(number.as_str().to_owned()),
                DeValue::Float(number) if takes_value => Some(number.as_str().to_owned()),
                DeValue::Datetime(time) if takes_value => Some(time.to_string()),
                other => {
                    let expected = if takes_value { "a text or a number" } else { "true or false" };
                    return Err(self.wrong(at, &format!("{expected} for `{name}`"), other.type_str().to_owned()));
                }
            };
            let is_secret = |text: &String| {
                let key = text.split('=').next().unwrap_or_default().to_lowercase();
                name == "store-option" && SECRETS.iter().any(|word| key.contains(word))
            };
            if text.as_ref().is_some_and(is_secret) {
                let expected = "no secret in this file: set it in the environment";
                return Err(self.wrong(at, expected, "a setting of a store that is one".to_owned()));
            }
            let word = text.map_or_else(|| format!("--{name}"), |text| format!("--{name}={text}"));
            self.check(&word, at)?;
            words.push(word.into());
        }
        Ok(words)
    }

    /// Whether the command takes a word, for itself.
    fn check(&self, word: &str, at: usize) -> Result<()> {
        let tried = self.command.clone().try_get_matches_from([self.kind.command, word]);
        let Err(error) = tried else { return Ok(()) };
        let is_of_value = matches!(
            error.kind(),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::UnknownArgument | ErrorKind::InvalidUtf8
        );
        if !is_of_value {
            return Ok(());
        }
        let (name, value) = word.trim_start_matches('-').split_once('=').unwrap_or((word, ""));
        let allowed = error.get(ContextKind::ValidValue).map(|words| format!("one of {words} for `{name}`"));
        let source = std::error::Error::source(&error).map(|source| format!("{source}, for `{name}`"));
        let expected = allowed.or(source).unwrap_or_else(|| format!("a value for `{name}`"));
        Err(self.wrong(at, &expected, format!("`{value}`")))
    }

    fn wrong(&self, at: usize, expected: &str, found: String) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = format!("{}:{line}:{column}", self.path.display());
        Error::Settings { place, expected: expected.to_owned(), found }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn words(text: &str, typed: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.toml");
        fs::write(&path, text).unwrap();
        let begin = ["taskloom", "--quiet", "sync", "--config", path.to_str().unwrap()];
        let typed = begin.iter().chain(typed).map(OsString::from).collect::<Vec<_>>();
        let shown = |words: Vec<OsString>| words.into_iter().map(|word| word.into_string().unwrap());
        let expanded = expanded(typed.clone(), &Cli::command()).map_err(|error| error.to_string())?;
        Ok(shown(expanded).skip(3).filter(|word| !word.contains("jobs.toml") && word != "--config").collect())
    }

    const TWO: &str = "[job.nightly]\nout = \"lake\"\nall-projects = true\nstatus = [\"completed\", \"error\"]\nretries = 7\n\
        no_vacuum = false\n\n[job.chat]\nout = \"lake\"\nproject-name = \"Chat 7\"\n";

    #[test]
    fn the_flags_of_a_job_stand_before_what_is_typed() {
        let nightly = words(TWO, &["--job", "nightly", "--retries=9"]).unwrap();
        let expected =
            ["--out=lake", "--all-projects", "--status=completed", "--status=error", "--job", "nightly", "--retries=9"];
        assert_eq!(
            nightly.iter().cloned().collect::<std::collections::BTreeSet<_>>(),
            expected.map(str::to_owned).into()
        );
        let (_, one) = TWO.split_once("\n\n").unwrap();
        assert_eq!(words(one, &[]).unwrap(), ["--out=lake", "--project-name=Chat 7", "--job=chat"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, typed, place, word) in [
            (TWO, &[][..], ":1:1", "one of `chat`, `nightly`"),
            (TWO, &["--job", "weekly"], ":1:1", "found the job `weekly`"),
            ("", &[], ":1:1", "[job.NAME]"),
            ("[jobs]\n", &[], ":1:2", "[job.NAME]"),
            ("[job.a]\nout = \"x\"\n  overlapp = \"24h\"\n", &[], ":3:3", "`overlapp`"),
            ("[job.a]\noverlap = \"soon\"\n", &[], ":2:11", "`soon`"),
            ("[job.a]\nretries = [1, \"many\"]\n", &[], ":2:15", "`many`"),
            ("[job.a]\nall-projects = \"yes\"\n", &[], ":2:16", "true or false"),
            ("[job.a]\nout = true\n", &[], ":2:7", "a text or a number"),
            ("[job.a]\nout = \n", &[], ":2:7", "TOML"),
            ("[job.a]\ndate-grain = \"week\"\n", &[], ":2:14", "month"),
            ("[job.a]\njob = \"b\"\n", &[], ":2:1", "`job`"),
            ("[job.a]\nstore-option = \"aws_secret_access_key=hush\"\n", &[], ":2:16", "environment"),
        ] {
            let error = words(text, typed).unwrap_err();
            assert!(error.contains(&format!("jobs.toml{place}: ")) && error.contains(word), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn other_commands_and_help_need_no_file() {
        for typed in
            [&["taskloom"][..], &["taskloom", "flatten", "sync"], &["taskloom", "sync", "--config", "none", "--help"]]
        {
            let typed = typed.iter().map(OsString::from).collect::<Vec<_>>();
            assert_eq!(expanded(typed.clone(), &Cli::command()).unwrap(), typed);
        }
    }
}
