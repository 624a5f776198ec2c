//! Commands and flags exist, in blocks of shell and in the text.

use std::collections::{BTreeMap, BTreeSet};

use super::pages;
use crate::face::{self, printed};

/// The commands of a piece of shell, as words. Quotes are taken off, comments left out.
fn commands(shell: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let joined = shell.replace("\\\n", " ");
    let mut characters = joined.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => while characters.next_if(|next| *next != '\n').is_some() {},
            (None, ' ' | '\t') => commands.last_mut().unwrap().extend(word.take()),
            (None, '\n' | '&' | '|' | ';' | '(' | ')') => {
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    commands.last_mut().unwrap().extend(word);
    commands.retain(|command| !command.is_empty());
    commands
}

/// What the program's help tells: the flags of each command.
struct Help(BTreeMap<String, BTreeSet<String>>);

impl Help {
    fn read() -> Help {
        let flags_of = |name: String| (name.clone(), flags(&printed(&[&name, "--help"])));
        Help(face::commands().into_iter().map(flags_of).collect())
    }

    /// Says what is wrong about the arguments of the program.
    fn wrong(&self, arguments: &[String]) -> Option<String> {
        let (name, arguments) = arguments.split_first()?;
        // As in `taskloom COMMAND --help`.
        if name.chars().all(|character| character.is_ascii_uppercase()) {
            return None;
        }
        let Some(flags) = self.0.get(name) else { return Some(format!("no command `{name}`")) };
        let named = arguments.iter().filter(|word| word.starts_with('-') && *word != "-").map(|word| flag(word));
        named.into_iter().find(|named| !flags.contains(named)).map(|named| format!("`{name}` has no flag `{named}`"))
    }
}

/// A flag without its value.
fn flag(word: &str) -> String {
    let end = word.find(['=', ' ']).unwrap_or(word.len());
    let (name, _) = word.split_at(end);
    // Short ones may be said together: `-vv`.
    if name.starts_with("--") { name.to_owned() } else { name.chars().take(2).collect() }
}

/// The flags in the help of a command.
fn flags(help: &str) -> BTreeSet<String> {
    let is_of_flag = |line: &&str| line.starts_with("  -") || line.starts_with("      --");
    let words = help.lines().filter(is_of_flag).flat_map(str::split_whitespace).filter(|word| word.starts_with('-'));
    words.map(|word| word.trim_end_matches([',', '.']).to_owned()).collect()
}

/// The arguments of the program in a command that runs it, also by cargo.
fn arguments(command: &[String]) -> Option<&[String]> {
    match command {
        [program, arguments @ ..] if program == "taskloom" => Some(arguments),
        [cargo, run, ..] if cargo == "cargo" && run == "run" => {
            let dashes = command.iter().position(|word| word == "--")?;
            command.get(dashes + 1..)
        }
        _ => None,
    }
}

#[test]
fn commands_and_flags_in_shell_blocks_exist() {
    let help = Help::read();
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        for command in page.blocks("sh").iter().flat_map(|block| commands(block)) {
            let arguments = arguments(&command);
            // Behind another command, such as `time`, it would not be looked at.
            let is_hidden = arguments.is_none() && command.iter().any(|word| word == "taskloom");
            assert!(!is_hidden, "{}: `taskloom` does not begin the command: {command:?}", page.path);
            checked += usize::from(arguments.is_some());
            wrong.extend(
                arguments.and_then(|arguments| help.wrong(arguments)).map(|why| format!("{}: {why}", page.path)),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 15, "or this test says nothing: {checked}");
}

#[test]
fn commands_and_flags_in_the_text_exist() {
    let help = Help::read();
    let all: BTreeSet<_> = help.0.values().flatten().cloned().collect();
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        for span in page.code_spans() {
            let why = if span.starts_with("--") {
                let named = flag(span);
                (!all.contains(&named)).then(|| format!("no flag `{named}`"))
            } else if span.starts_with("taskloom ") {
                commands(span).first().and_then(|command| help.wrong(&command[1..]))
            } else {
                continue;
            };
            checked += 1;
            wrong.extend(why.map(|why| format!("{}: {why}", page.path)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 30, "or this test says nothing: {checked}");
}

#[test]
fn commands_that_do_not_exist_are_noticed() {
    let words = |shell: &str| commands(shell).iter().map(|command| command.join(" ")).collect::<Vec<_>>();
    assert_eq!(
        words("a 'b | c' \"d $(e)\" \\\n  f && g | h > i # j\n(k; l) &\n# m\nn#o"),
        ["a b | c d $(e) f", "g", "h > i", "k", "l", "n#o"]
    );
    let help = Help::read();
    let wrong = |shell: &str| help.wrong(arguments(&commands(shell)[0]).unwrap());
    for right in
        ["taskloom flatten a --out=b -vv -", "taskloom COMMAND --help", "cargo run --release -- demo --tasks 5"]
    {
        assert_eq!(wrong(right), None, "{right}");
    }
    for bad in
        ["taskloom weave", "taskloom flatten --outt b", "taskloom restore lake --overwrite", "cargo run -- demoo"]
    {
        assert!(wrong(bad).is_some(), "{bad}");
    }
}
