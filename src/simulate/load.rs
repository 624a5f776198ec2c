//! From JSON to tasks that wait to be put in order.

use bumpalo::Bump;

use crate::json::{self, Value, scan};
use crate::parse::MAX_DEPTH;
use crate::time::read_instant;

/// What a status can be (Scale's `TaskStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Completed,
    Canceled,
    Error,
    Deleted,
}

impl Status {
    /// The statuses with their words.
    pub(super) const WORDS: [(&'static str, Status); 5] = [
        ("pending", Status::Pending),
        ("completed", Status::Completed),
        ("canceled", Status::Canceled),
        ("error", Status::Error),
        ("deleted", Status::Deleted),
    ];
}

/// How a task refers to its project or batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// Not at all, or in a way that stays in the text.
    Absent,
    /// As null.
    Null,
    /// By id; the object, where the task holds one.
    Of(String, Option<Box<[u8]>>),
}

/// A task before it has its place.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) project: Reference,
    pub(super) batch: Reference,
    pub(super) status: Option<Status>,
    pub(super) created_at: Option<i64>,
    pub(super) completed_at: Option<i64>,
    /// The object without `task_id`, and without what the references stand for.
    pub(super) rest: Box<[u8]>,
}

/// Why something is no task: what was expected, and what was found.
pub(super) type Misfit = (&'static str, String);

/// Takes the tasks out of a JSON text: a task, a page with `tasks`, or arrays of these.
pub(super) fn read(text: &[u8], drafts: &mut Vec<Draft>) -> Result<(), Misfit> {
    let broken = |found: String| ("JSON", found);
    let text = simdutf8::basic::from_utf8(text).map_err(|_| broken("bytes that are no UTF-8".to_owned()))?;
    json::read(text, MAX_DEPTH, &Bump::new()).map_err(|error| broken(error.to_string()))?;
    read_valid(text.as_bytes(), drafts)
}

/// The same for text that is known to be JSON.
pub(super) fn read_valid(text: &[u8], drafts: &mut Vec<Draft>) -> Result<(), Misfit> {
    if let Some(elements) = scan::elements(text) {
        return elements.into_iter().try_for_each(|element| read_valid(element, drafts));
    }
    let members = scan::members(text).ok_or(("a task", "something that is no object".to_owned()))?;
    if let Some(tasks) = member(&members, "tasks").filter(|_| member(&members, "task_id").is_none()) {
        return read_valid(tasks, drafts);
    }
    drafts.push(draft(&members).ok_or(("a task", "an object without a `task_id`".to_owned()))?);
    Ok(())
}

/// The value of a key; the last one where there are several.
pub(super) fn member<'a>(members: &[(&[u8], &'a [u8])], key: &str) -> Option<&'a [u8]> {
    members.iter().rev().find(|(quoted, _)| is_key(quoted, key)).map(|(_, value)| *value)
}

/// True if the quoted key is this one. Keys with escapes are none that anybody looks for.
pub(super) fn is_key(quoted: &[u8], key: &str) -> bool {
    quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) == Some(key.as_bytes())
}

/// A JSON string without its quotes and escapes.
pub(super) fn string(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    match json::read(text, MAX_DEPTH, &Bump::new()).ok()?.root {
        Value::String(string) => Some(string.to_owned()),
        _ => None,
    }
}

/// The instant that a member holds.
pub(super) fn instant(members: &[(&[u8], &[u8])], key: &str) -> Option<i64> {
    read_instant(&string(member(members, key)?)?)
}

fn draft(members: &[(&[u8], &[u8])]) -> Option<Draft> {
    let id = string(member(members, "task_id")?).filter(|id| !id.is_empty())?;
    let project = reference(members, "project");
    let batch = reference(members, "batch");
    let word = member(members, "status").and_then(string);
    let status = Status::WORDS.into_iter().find(|(known, _)| Some(*known) == word.as_deref()).map(|(_, status)| status);
    let is_reported = member(members, "sensitive_content_reports").is_some_and(is_filled);
    let mut rest = b"{".to_vec();
    for (key, value) in members {
        let is_apart = is_key(key, "task_id")
            || is_key(key, "project") && project != Reference::Absent
            || is_key(key, "batch") && batch != Reference::Absent;
        let is_threads = is_key(key, "threads") && is_filled(value);
        if is_apart || is_threads && is_reported {
            continue;
        }
        let is_early = is_threads && status != Some(Status::Completed);
        push_member(&mut rest, key, if is_early { b"[]" } else { value });
    }
    rest.push(b'}');
    let (created_at, completed_at) = (instant(members, "created_at"), instant(members, "completed_at"));
    Some(Draft { id, project, batch, status, created_at, completed_at, rest: rest.into() })
}

fn reference(members: &[(&[u8], &[u8])], key: &str) -> Reference {
    let Some(value) = member(members, key) else {
        return Reference::Absent;
    };
    if value == b"null" {
        return Reference::Null;
    }
    let inner = scan::members(value);
    let id = inner.as_ref().map_or_else(|| string(value), |inner| member(inner, "id").and_then(string));
    id.map_or(Reference::Absent, |id| Reference::Of(id, inner.map(|_| value.into())))
}

fn is_filled(value: &[u8]) -> bool {
    scan::elements(value).is_some_and(|elements| !elements.is_empty())
}

/// Appends a member to an object that is still open.
pub(super) fn push_member(object: &mut Vec<u8>, quoted: &[u8], value: &[u8]) {
    if !object.ends_with(b"{") {
        object.push(b',');
    }
    object.extend_from_slice(quoted);
    object.push(b':');
    object.extend_from_slice(value);
}

/// Appends a member whose value is a string.
pub(super) fn push_string(object: &mut Vec<u8>, key: &str, value: &str) {
    push_member(object, &quoted(key), &quoted(value));
}

/// A string as JSON.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = String::with_capacity(text.len() + 2);
    json::text::write_string(text, &mut quoted);
    quoted.into_bytes()
}
