//! What the Python engines' code has in common.

use super::{ScopeView, wrap};

/// A Python string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

/// Names as Python's arguments, on lines of their own.
pub(super) fn arguments(names: &[&str]) -> String {
    wrap(&names.iter().map(|name| quoted(name)).collect::<Vec<_>>(), "    ")
}

/// From the imports to the files of a lake.
pub(super) fn prologue(imports: &str, lake: &str) -> String {
    format!("import json\nimport pathlib\n\n{imports}\nLAKE = pathlib.Path({})\n{FILES}", quoted(lake))
}

/// A blank line and a comment above the views by scope, if there are any.
pub(super) fn scope_heading(views: &[ScopeView]) -> &'static str {
    if views.is_empty() { "" } else { "\n# The annotations of each level, to join with its table.\n" }
}

const FILES: &str = r#"

def files_by_table(lake):
    """The files of the newest version that is wholly in place. Call it again to see a newer one."""
    commits = lake / "_taskloom" / "commits"
    newest = max((marker.stem for marker in commits.glob("*.published")), default=None)
    if newest is None:
        raise FileNotFoundError(f"{lake} holds no published version")
    records = [json.loads(path.read_bytes())["record"] for path in sorted(commits.glob("*.json")) if path.stem <= newest]
    removed = {path for record in records for path in record["remove"]}
    files = {}
    for file in (file for record in records for file in record["add"]):
        if file["path"] not in removed:
            files.setdefault(file["table"], []).append(str(lake / file["path"]))
    return files


FILES = files_by_table(LAKE)
"#;
