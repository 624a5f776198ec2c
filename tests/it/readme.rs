//! The README says what the program prints and what the files hold.

use std::path::Path;

use crate::lakes::taskloom;

const BEGIN: &str = "<!-- from: ";
const END: &str = "<!-- end -->";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands behind a marker: the output of a command, or a file.
fn source(of: &str) -> String {
    let text = match of.strip_prefix("taskloom ") {
        Some(arguments) => {
            let assert = taskloom().args(arguments.split(' ')).assert().success();
            String::from_utf8(assert.get_output().stdout.clone()).unwrap()
        }
        None => std::fs::read_to_string(repository().join(of)).unwrap(),
    };
    text.trim_end().to_owned() + "\n"
}

/// The README with every marked piece as it should be. A piece in a fence keeps its fence.
fn renewed(readme: &str) -> String {
    let mut renewed = String::new();
    let mut rest = readme;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (of, behind) = behind.split_once(" -->\n").expect("a marker ends its line");
        let (old, behind) = behind.split_once(END).expect("a marked piece has an end");
        renewed += &format!("{before}{BEGIN}{of} -->\n");
        let fence = old.lines().next().filter(|line| line.starts_with("```"));
        renewed += &match fence {
            Some(fence) => format!("{fence}\n{}```\n{END}", source(of)),
            None => format!("{}{END}", source(of)),
        };
        rest = behind;
    }
    renewed + rest
}

/// `UPDATE_README=1 cargo test readme` writes the pieces anew.
#[test]
fn marked_pieces_of_the_readme_are_what_they_say() {
    let path = repository().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let renewed = renewed(&readme);
    if std::env::var_os("UPDATE_README").is_some() {
        return std::fs::write(&path, &renewed).unwrap();
    }
    let differs = readme.lines().zip(renewed.lines()).find(|(found, expected)| found != expected);
    assert!(readme == renewed, "README.md differs; see the test for how to update it: {differs:?}");
}

#[test]
fn the_readme_shows_the_tables_every_engine_and_every_question() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let mut shown = vec!["taskloom schema --format markdown".to_owned()];
    shown.extend(["duckdb", "polars", "spark", "pyarrow"].map(|engine| format!("taskloom sql --engine {engine} lake")));
    for entry in std::fs::read_dir(repository().join("queries")).unwrap() {
        shown.push(format!("queries/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    for piece in shown {
        assert!(readme.contains(&format!("{BEGIN}{piece}")), "{piece}");
    }
}

#[test]
fn the_readme_explains_every_field_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = crate::lakes::flatten_text(r#"{"task_id": "t", "new": 1}"#, folder.path());
    let report = serde_json::to_value(report).unwrap();
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let fields = report.as_object().unwrap().keys().chain(report["drift"]["findings"][0].as_object().unwrap().keys());
    for field in fields {
        assert!(readme.contains(&format!("`{field}`")), "{field}");
    }
}
