//! What the Python engines' code has in common.

use super::{Reading, ScopeView, wrap};

/// A Python string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

/// Names as Python's arguments, on lines of their own.
pub(super) fn arguments(names: &[&str]) -> String {
    wrap(&names.iter().map(|name| quoted(name)).collect::<Vec<_>>(), "    ")
}

/// From the imports to the files of a lake, by its records.
pub(super) fn by_records(imports: &str, reading: &Reading<'_>) -> String {
    let at = reading.at.map_or_else(String::new, |at| format!(", at={at}"));
    format!("import json\nimport pathlib\n\n{imports}\nLAKE = pathlib.Path({})\n{FILES}", quoted(reading.lake))
        .replace("{at}", &at)
}

/// From the imports to the version of a lake, by its logs of Delta Lake.
pub(super) fn by_delta(imports: &str, version: &str, reading: &Reading<'_>) -> String {
    let version = reading.at.map_or_else(|| version.to_owned(), |at| at.to_string());
    let lake = quoted(reading.lake);
    format!(
        "{imports}\nLAKE = {lake}\n# One version for all tables. Ask again to see a newer one.\nVERSION = {version}\n\n"
    )
}

/// A blank line and a comment above the views by scope, if there are any.
pub(super) fn scope_heading(views: &[ScopeView]) -> &'static str {
    if views.is_empty() { "" } else { "\n# The annotations of each level, to join with its table.\n" }
}

const FILES: &str = r#"

def files_by_table(lake, at=None):
    """The files of the newest version, or of version `at`. Call it again to see a newer one."""
    parts, newest = {}, 0
    for path in sorted((lake / "_taskloom" / "commits").glob("*.json")):
        if at is not None and int(path.stem) > at:
            break
        record = json.loads(path.read_bytes())["record"]
        if record["format"] != 2 or record["requires"]:
            raise RuntimeError(f"{path} was written by a newer taskloom: its `taskloom sql` prints code that reads it")
        newest = record["version"]
        for part in record["remove"]:
            parts.pop(part["part"], None)
        parts.update((part["part"], part) for part in record["add"])
    if not parts or at not in (None, newest):
        raise FileNotFoundError(f"{lake} has no version {at or 'with data'}")
    files = {}
    for part in parts.values():
        for table in part["files"]:
            files.setdefault(table, []).append(str(lake / table / part["folder"] / part["part"]))
    return files


FILES = files_by_table(LAKE{at})
"#;
