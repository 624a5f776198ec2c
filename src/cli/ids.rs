//! Ids in files.

use std::path::Path;

use crate::error::{Error, Result};

/// What ids of tasks stand under, in answers of queries.
const NAME: &str = "task_id";

/// The ids of a file, or of standard input behind `-`: a line each, or the column `task_id` of what a query gave as CSV or NDJSON.
pub(super) fn ids_in(path: &Path) -> Result<Vec<String>> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(Error::file("read", path))?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let read = if text.starts_with('{') { of_objects(text) } else { of_records(text) };
    let wrong = |expected: String, found: String| Error::Usage { setting: "--task-ids", expected, found };
    let ids = read
        .map_err(|line| wrong(format!("a `{NAME}`, a text"), format!("none in line {line} of {}", path.display())))?;
    match ids.is_empty() {
        true => Err(wrong("a file with ids, a line each".to_owned(), format!("none in {}", path.display()))),
        false => Ok(ids),
    }
}

/// The ids of objects, a line each; or the line that holds none.
fn of_objects(text: &str) -> std::result::Result<Vec<String>, usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let id = |(number, line): (usize, &str)| {
        let object = serde_json::from_str::<serde_json::Value>(line).ok();
        object.and_then(|object| Some(object.get(NAME)?.as_str()?.to_owned())).ok_or(number + 1)
    };
    lines.map(id).collect()
}

/// The ids of a column: the one of that name, or the first where the first line is none of names.
fn of_records(text: &str) -> std::result::Result<Vec<String>, usize> {
    let mut records =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let (mut ids, mut column) = (Vec::new(), 0);
    for (number, record) in records.records().enumerate() {
        let record = record.map_err(|error| error.position().map_or(number + 1, |at| at.line() as usize))?;
        let line = record.position().map_or(number + 1, |at| at.line() as usize);
        match record.iter().position(|field| field == NAME).filter(|_| number == 0) {
            Some(named) => column = named,
            // Of several columns it must be told which one is meant.
            None if number == 0 && record.len() > 1 => return Err(line),
            None => ids.push(record.get(column).filter(|id| !id.is_empty()).ok_or(line)?.to_owned()),
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<String>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ids_in(file.path())
    }

    #[test]
    fn ids_come_as_queries_give_them() {
        for text in [
            "a1\nb 2\n",
            "\u{feff}task_id\r\na1\r\nb 2",
            "\"task_id\"\n\"a1\"\n\n\"b 2\"\n",
            "{\"task_id\": \"a1\"}\n{\"n\":1,\"task_id\":\"b 2\"}",
            "n,task_id\n1,a1\n2,\"b 2\"\n",
        ] {
            assert_eq!(of(text).unwrap(), ["a1", "b 2"], "{text}");
        }
        for text in ["", "task_id\n", "{\"id\": 1}\n", "n,task_id\n1\n", "n,id\n1,a1\n"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
