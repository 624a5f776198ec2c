//! Ids in files.

use std::path::Path;

use crate::error::{Error, Result};

/// What ids of tasks stand under, in answers of queries.
const NAME: &str = "task_id";

/// The ids of a file, or of standard input behind `-`: a line each, as a query gives them as CSV or NDJSON.
pub(super) fn ids_in(path: &Path) -> Result<Vec<String>> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(Error::file("read", path))?;
    let mut ids = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate() {
        if line.is_empty() || number == 0 && unquoted(line) == NAME {
            continue;
        }
        ids.push(id_of(line).ok_or_else(|| {
            let found = format!("line {} of {}", number + 1, path.display());
            Error::Usage { setting: "--task-ids", expected: format!("an object with `{NAME}`, a text"), found }
        })?);
    }
    if ids.is_empty() {
        let expected = "a file with ids, a line each".to_owned();
        return Err(Error::Usage { setting: "--task-ids", expected, found: format!("none in {}", path.display()) });
    }
    Ok(ids)
}

fn id_of(line: &str) -> Option<String> {
    if !line.starts_with('{') {
        return Some(unquoted(line).to_owned());
    }
    let object: serde_json::Value = serde_json::from_str(line).ok()?;
    object.get(NAME)?.as_str().map(str::to_owned)
}

fn unquoted(line: &str) -> &str {
    line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(line)
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
        ] {
            assert_eq!(of(text).unwrap(), ["a1", "b 2"], "{text}");
        }
        for text in ["", "task_id\n", "{\"id\": 1}\n"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
