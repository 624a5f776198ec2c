//! The documentation says what the program prints and what the files hold, and names nothing that is not there.
//!
//! Its pages are `README.md`, `CONTRIBUTING.md` and the Markdown files in `docs/`. What stands in their blocks of SQL and Python is run
//! by `tests/read_back/test_docs.py`.

mod links;
mod shell;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};
use taskloom::internals::dialect::Engine;
use taskloom::internals::report::FetchReport;
use taskloom::internals::table::Scope;
use walkdir::WalkDir;

use crate::face::printed;

const BEGIN: &str = "<!-- from: ";
const END: &str = "<!-- end -->";
const FENCE: &str = "```";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the documentation.
struct Page {
    /// Below the repository's folder, with `/` between its parts.
    path: String,
    text: String,
}

impl Page {
    fn read(path: &str) -> Page {
        let text = std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Page { path: path.to_owned(), text }
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_inside = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with(FENCE);
            is_inside ^= is_fence;
            !is_inside && !is_fence
        })
    }

    /// The fenced blocks of a language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut rest = self.text.lines();
        while let Some(fence) = rest.by_ref().find_map(|line| line.strip_prefix(FENCE)) {
            let lines: Vec<_> = rest.by_ref().take_while(|line| !line.starts_with(FENCE)).collect();
            if fence == language {
                blocks.push(lines.join("\n"));
            }
        }
        blocks
    }

    /// The pieces of code within lines of prose. Each ends on its line.
    fn code_spans(&self) -> Vec<&str> {
        self.prose().flat_map(|line| self.split_at_code(line).into_iter().skip(1).step_by(2)).collect()
    }

    /// A line, outside of code and inside of it in turn.
    fn split_at_code<'a>(&self, line: &'a str) -> Vec<&'a str> {
        let pieces: Vec<_> = line.split('`').collect();
        assert!(pieces.len() % 2 == 1, "{}: a piece of code does not end on its line: {line}", self.path);
        pieces
    }
}

fn pages() -> Vec<Page> {
    let docs = WalkDir::new(repository().join("docs")).sort_by_file_name().into_iter().map(Result::unwrap);
    let docs = docs.map(|entry| entry.into_path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let docs = docs.map(|path| path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned());
    let pages: Vec<_> = ["README.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(docs)
        .map(|path| Page::read(&path))
        .collect();
    assert!(pages.len() > 10, "expected the pages in docs/, found {}", pages.len());
    pages
}

// Pieces that come from elsewhere.

/// What stands behind a marker: the output of a command, or a file.
fn source(of: &str) -> String {
    let text = match of.strip_prefix("taskloom ") {
        Some(arguments) => printed(&arguments.split(' ').collect::<Vec<_>>()),
        None => std::fs::read_to_string(repository().join(of)).unwrap_or_else(|error| panic!("{of}: {error}")),
    };
    text.trim_end().to_owned() + "\n"
}

/// The page with every marked piece as it should be. A piece in a fence keeps its fence.
fn renewed(page: &Page) -> String {
    let mut renewed = String::new();
    let mut rest = page.text.as_str();
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (of, behind) = behind.split_once(" -->\n").expect("a marker ends its line");
        let (old, behind) = behind.split_once(END).expect("a marked piece has an end");
        assert!(!old.contains(BEGIN), "{}: {of} has no end", page.path);
        renewed += &format!("{before}{BEGIN}{of} -->\n");
        let fence = old.lines().next().filter(|line| line.starts_with(FENCE));
        renewed += &match fence {
            Some(fence) => format!("{fence}\n{}{FENCE}\n{END}", source(of)),
            None => format!("{}{END}", source(of)),
        };
        rest = behind;
    }
    assert!(!rest.contains(END), "{}: an end without its beginning", page.path);
    renewed + rest
}

/// `UPDATE_DOCS=1 cargo test docs` writes the pieces anew.
#[test]
fn marked_pieces_are_what_they_say() {
    for page in pages() {
        let renewed = renewed(&page);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(repository().join(&page.path), &renewed).unwrap();
            continue;
        }
        let differs = page.text.lines().zip(renewed.lines()).find(|(found, expected)| found != expected);
        assert!(page.text == renewed, "{} differs; see the test for how to update it: {differs:?}", page.path);
    }
}

// What must stand somewhere.

#[test]
fn the_tables_the_code_of_every_engine_and_every_question_are_shown() {
    let mut shown = vec![
        ("docs/tables.md".to_owned(), "taskloom schema".to_owned()),
        ("docs/columns.md".to_owned(), "taskloom schema --format markdown".to_owned()),
    ];
    for engine in Engine::value_variants() {
        let name = engine.to_possible_value().unwrap().get_name().to_owned();
        shown.push(match engine.is_warehouse() {
            true => {
                let flags = "s3://our-bucket/scale --table tasks --table messages";
                ("docs/reading/warehouses.md".to_owned(), format!("taskloom sql --engine {name} {flags}"))
            }
            false => (format!("docs/reading/{name}.md"), format!("taskloom sql --engine {name} lake")),
        });
    }
    for entry in std::fs::read_dir(repository().join("queries")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        shown.push(("docs/questions.md".to_owned(), format!("queries/{name}")));
    }
    for (path, piece) in shown {
        assert!(Page::read(&path).text.contains(&format!("{BEGIN}{piece} -->\n")), "{path}: {piece}");
    }
}

/// The names of all fields of a report, but those of the tables.
fn fields(of: &Value, names: &mut BTreeSet<String>) {
    match of {
        Value::Object(members) => {
            for (name, value) in members {
                names.insert(name.clone());
                match name.as_str() {
                    "tables" => fields(&value["tasks"], names),
                    _ => fields(value, names),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| fields(element, names)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_report_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let task = json!({"task_id": "t", "new": 1, "status": 5});
    let (mut report, _) = crate::lakes::flatten_text(task.to_string(), folder.path());
    report.fetch = Some(FetchReport::default());
    report.raw_file = Some(PathBuf::new());
    report.merged = Some(Default::default());
    let mut names = BTreeSet::new();
    fields(&serde_json::to_value(report).unwrap(), &mut names);
    for rare in ["rows", "began_at", "expected", "raw_file"] {
        assert!(names.contains(rare), "or this test says nothing: {rare}");
    }
    let page = Page::read("docs/reports.md");
    for name in names {
        assert!(page.text.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_field_of_a_reject_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = crate::lakes::flatten_text(b"{\n\xff\n", folder.path());
    let mut names = BTreeSet::new();
    crate::lakes::rejects(&report).iter().for_each(|reject| fields(reject, &mut names));
    assert!(names.contains("raw") && names.contains("raw_base64"), "or this test says nothing: {names:?}");
    let page = Page::read("docs/inputs.md");
    for name in names {
        assert!(page.text.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_levels_of_annotations_are_those_of_the_catalog() {
    let page = Page::read("docs/tables.md");
    for scope in Scope::ALL {
        let (word, owner) = (scope.word(), scope.owner());
        let keys: Vec<_> = owner.sort_columns().map(|column| format!("`{}`", column.name)).collect();
        let row = format!("| `{word}` | `{word}_annotations` | `{}` | {} |", owner.name, keys.join(", "));
        assert!(page.text.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn the_readme_is_short_and_names_every_page() {
    let readme = Page::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 180, "{lines} lines: move some of them to a page in docs/");
    for page in pages().iter().filter(|page| page.path != readme.path) {
        assert!(readme.text.contains(&format!("]({})", page.path)), "{}", page.path);
    }
}

#[test]
fn the_tests_that_contributing_names_exist() {
    let of = |folder: &str| WalkDir::new(repository().join(folder)).into_iter().map(|entry| entry.unwrap().into_path());
    let is_code = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs" || end == "py");
    let code: String =
        of("src").chain(of("tests")).filter(is_code).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let page = Page::read("CONTRIBUTING.md");
    let is_sentence = |span: &&str| {
        span.matches('_').count() > 2
            && span.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    let named: Vec<_> = page.code_spans().into_iter().filter(is_sentence).collect();
    assert!(named.len() > 5, "or this test says nothing: {named:?}");
    for name in named {
        let is_there = code.contains(&format!("fn {name}(")) || code.contains(&format!("def {name}("));
        assert!(is_there, "{name}");
    }
}
