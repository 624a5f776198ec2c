//! How entities are written: ids or objects, all fields or only those that were asked for.

use super::entities::{Batch, Delivery, push_instant};
use super::load::{is_key, member, push_member, push_string, quoted};
use super::store::{Link, Store, Task};
use crate::json::scan;

/// What an answer shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    /// `expand`
    pub(super) project: bool,
    pub(super) batch: bool,
    pub(super) delivery: bool,
    /// `opts`
    pub(super) annotation_details: bool,
    pub(super) attachment_details: bool,
    pub(super) model_parameters: bool,
    pub(super) submissions: bool,
}

/// What a file has only with `opts=attachment_details`.
const ATTACHMENT_DETAILS: [&str; 7] =
    ["name", "file_size_in_bytes", "duration", "transcript", "transcript_url", "transcript_start", "transcript_end"];

impl View {
    fn is_whole(self) -> bool {
        self.annotation_details && self.attachment_details && self.model_parameters && self.submissions
    }

    /// Appends a task.
    pub(super) fn task(self, store: &Store, task: &Task, to: &mut Vec<u8>) {
        to.push(b'{');
        push_string(to, "task_id", &task.id);
        match task.project {
            Link::Absent => {}
            Link::Null => to.extend_from_slice(b",\"project\":null"),
            Link::To(index) => {
                to.extend_from_slice(b",\"project\":");
                push_project(store, Some(index as usize), self.project, to);
            }
        }
        match task.batch {
            Link::Absent => {}
            Link::Null => to.extend_from_slice(b",\"batch\":null"),
            Link::To(index) => {
                to.extend_from_slice(b",\"batch\":");
                self.linked_batch(store, index as usize, to);
            }
        }
        self.rest(&task.rest, to);
    }

    fn linked_batch(self, store: &Store, index: usize, to: &mut Vec<u8>) {
        match store.batches.get(index) {
            Some(batch) if self.batch => push_batch(store, batch, false, to),
            batch => to.extend_from_slice(&quoted(batch.map_or("", |batch| batch.id.as_str()))),
        }
    }

    /// The rest of a task, behind an object that is open and not empty, and its end.
    fn rest(self, rest: &[u8], to: &mut Vec<u8>) {
        let inside = rest.get(1..).unwrap_or_default();
        if inside != b"}" {
            to.push(b',');
        }
        if self.is_whole() {
            return to.extend_from_slice(inside);
        }
        let mut narrow = b"{".to_vec();
        for (key, value) in scan::members(rest).unwrap_or_default() {
            if is_key(key, "threads") {
                let mut threads = Vec::with_capacity(value.len());
                self.narrow(value, &mut threads);
                push_member(&mut narrow, key, &threads);
            } else {
                push_member(&mut narrow, key, value);
            }
        }
        to.extend_from_slice(narrow.get(1..).unwrap_or_default());
        to.push(b'}');
    }

    /// Appends a value without what was not asked for. Numbers and strings stay as they are spelled.
    fn narrow(self, value: &[u8], to: &mut Vec<u8>) {
        if let Some(members) = scan::members(value) {
            let kept = members.into_iter().filter(|(key, _)| self.has(key));
            return push_list(b"{}", kept, to, |(key, value), to| {
                to.extend_from_slice(key);
                to.push(b':');
                self.narrow_member(key, value, to);
            });
        }
        match scan::elements(value) {
            Some(elements) => push_list(b"[]", elements, to, |element, to| self.narrow(element, to)),
            None => to.extend_from_slice(value),
        }
    }

    fn has(self, key: &[u8]) -> bool {
        (self.model_parameters || !is_key(key, "model_parameters")) && (self.submissions || !is_key(key, "submissions"))
    }

    fn narrow_member(self, key: &[u8], value: &[u8], to: &mut Vec<u8>) {
        let keeps: fn(&[u8]) -> bool = if is_key(key, "annotations") {
            if self.annotation_details {
                return to.extend_from_slice(value);
            }
            |key| is_key(key, "key") || is_key(key, "value")
        } else if is_key(key, "attachments") && !self.attachment_details {
            |key| !ATTACHMENT_DETAILS.iter().any(|detail| is_key(key, detail))
        } else {
            return self.narrow(value, to);
        };
        let Some(elements) = scan::elements(value) else {
            return to.extend_from_slice(value);
        };
        push_list(b"[]", elements, to, |element, to| match scan::members(element) {
            None => to.extend_from_slice(element),
            Some(members) => {
                let kept = members.into_iter().filter(|(key, _)| keeps(key));
                push_list(b"{}", kept, to, |(key, value), to| {
                    to.extend_from_slice(key);
                    to.push(b':');
                    to.extend_from_slice(value);
                });
            }
        });
    }
}

/// Appends a list between its brackets.
pub(super) fn push_list<T>(
    brackets: &[u8; 2],
    entries: impl IntoIterator<Item = T>,
    to: &mut Vec<u8>,
    mut push: impl FnMut(T, &mut Vec<u8>),
) {
    to.push(brackets[0]);
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            to.push(b',');
        }
        push(entry, to);
    }
    to.push(brackets[1]);
}

/// Appends a project, or its id.
pub(super) fn push_project(store: &Store, project: Option<usize>, is_expanded: bool, to: &mut Vec<u8>) {
    match project.and_then(|index| store.projects.get(index)) {
        Some(project) if is_expanded => to.extend_from_slice(&project.text),
        Some(project) => to.extend_from_slice(&quoted(&project.id)),
        None => to.extend_from_slice(b"null"),
    }
}

/// Appends a batch.
pub(super) fn push_batch(store: &Store, batch: &Batch, is_project_expanded: bool, to: &mut Vec<u8>) {
    let Some(project) = batch.project else {
        return to.extend_from_slice(&batch.text);
    };
    let inside = batch.text.strip_suffix(b"}").unwrap_or_default();
    to.extend_from_slice(inside);
    to.extend_from_slice(if inside.len() > 1 { b",\"project\":" } else { b"\"project\":" });
    push_project(store, Some(project), is_project_expanded, to);
    to.push(b'}');
}

/// Appends a delivery.
pub(super) fn push_delivery(store: &Store, delivery: &Delivery, is_project_expanded: bool, to: &mut Vec<u8>) {
    let project = store.projects.binary_search_by(|project| project.id.cmp(&delivery.project_id)).ok();
    let mut object = b"{".to_vec();
    push_string(&mut object, "id", &delivery.id);
    push_string(&mut object, "name", &delivery.name);
    push_member(&mut object, b"\"task_count\"", delivery.task_count.to_string().as_bytes());
    push_instant(&mut object, "delivered_at", delivery.delivered_at);
    to.extend_from_slice(&object);
    to.extend_from_slice(b",\"project\":");
    push_project(store, project, is_project_expanded, to);
    to.push(b'}');
}

/// Appends what `/v2/delivery/tasks` tells of a task.
pub(super) fn push_delivered(store: &Store, task: &Task, to: &mut Vec<u8>) {
    let members = scan::members(&task.rest).unwrap_or_default();
    let mut object = b"{".to_vec();
    push_string(&mut object, "task_id", &task.id);
    if let Some(created_at) = member(&members, "created_at") {
        push_member(&mut object, b"\"created_at\"", created_at);
    }
    match task.delivery.and_then(|index| store.deliveries.get(index as usize)) {
        Some(delivery) => {
            push_string(&mut object, "delivery_id", &delivery.id);
            push_instant(&mut object, "delivered_at", delivery.delivered_at);
            push_string(&mut object, "response_schema_id", &format!("schema_{}", delivery.project_id));
            let threads = member(&members, "threads").unwrap_or(b"[]");
            push_member(&mut object, b"\"response\"", &[b"{\"threads\":", threads, b"}"].concat());
        }
        None => {
            for key in ["delivery_id", "delivered_at", "response_schema_id", "response"] {
                push_member(&mut object, &quoted(key), b"null");
            }
        }
    }
    to.extend_from_slice(&object);
    to.push(b'}');
}
