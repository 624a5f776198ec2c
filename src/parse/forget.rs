//! What a lake was asked to forget, kept out of what comes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bumpalo::Bump;
use memchr::memmem;

use super::envelope::{Item, Sink, tree_of};
use super::reject::Reject;
use crate::forgotten::Forgotten;
use crate::json::{Value, replace_values, scan};
use crate::table::Dataset;

/// Hands on what is not forgotten.
pub struct Sieve<'f, S> {
    forgotten: Option<&'f Forgotten>,
    into: S,
    /// Tasks that were left out, rejected ones too.
    pub tasks: u64,
    /// That tasks came with a delivery, left out with them: the identities, by delivery.
    pub memberships: Memberships,
}

/// Identities of memberships, by delivery.
pub type Memberships = BTreeMap<String, BTreeSet<String>>;

/// The key under which a contributor is named, wherever it stands.
pub const CONTRIBUTOR: &str = "contributor_id";

impl<'f, S> Sieve<'f, S> {
    /// Will hand on to this sink.
    pub fn new(forgotten: Option<&'f Forgotten>, into: S) -> Sieve<'f, S> {
        Sieve { forgotten, into, tasks: 0, memberships: Memberships::new() }
    }

    /// What was handed on.
    pub fn into_inner(self) -> S {
        self.into
    }
}

impl<'a, S: Sink<'a>> Sink<'a> for Sieve<'_, S> {
    fn item(&mut self, mut item: Item<'a>) {
        if let Some(forgotten) = self.forgotten {
            match item.key.dataset {
                Dataset::Tasks if forgotten.has_task(&item.id) => return self.tasks += 1,
                Dataset::Tasks => {
                    item.raw = match item.raw {
                        Cow::Borrowed(raw) => without_contributors(raw, forgotten),
                        Cow::Owned(raw) => Cow::Owned(without_contributors(&raw, forgotten).into_owned()),
                    };
                }
                Dataset::DeliveryTasks if has_forgotten_task(&item.raw, forgotten) => {
                    let delivery = ids(&item.raw, "delivery_id").pop().unwrap_or_default();
                    self.memberships.entry(delivery).or_default().insert(item.id.into_owned());
                    return;
                }
                _ => {}
            }
        }
        self.into.item(item);
    }

    fn reject(&mut self, reject: Reject) {
        match self.forgotten {
            Some(forgotten) if reject.task_id.as_ref().is_some_and(|id| forgotten.has_task(id)) => self.tasks += 1,
            Some(forgotten) => self.into.reject(reject_without(reject, forgotten)),
            None => self.into.reject(reject),
        }
    }
}

/// A reject without what names somebody or something that is forgotten: a contributor in its place, or else the whole text.
pub fn reject_without(reject: Reject, forgotten: &Forgotten) -> Reject {
    reject.with_text(|raw| {
        let text = String::from_utf8_lossy(&without_contributors(raw.as_bytes(), forgotten)).into_owned();
        Some(text).filter(|text| !forgotten.is_named_in(text))
    })
}

/// JSON in which no contributor is named that is forgotten.
pub fn without_contributors<'t>(text: &'t [u8], forgotten: &Forgotten) -> Cow<'t, [u8]> {
    // An escaped key is as good as a plain one.
    let may_name = memmem::find(text, CONTRIBUTOR.as_bytes()).is_some() || memmem::find(text, b"\\u00").is_some();
    if forgotten.contributors().is_empty() || !may_name {
        return Cow::Borrowed(text);
    }
    replace_values(text, CONTRIBUTOR, |value| {
        let is_meant = scalar(value).is_some_and(|id| forgotten.has_contributor(&id));
        is_meant.then_some(b"null".as_slice())
    })
}

/// A line of what was received, without the tasks that are forgotten and what names them, and without such contributors. Nothing is left
/// where it is such a task.
pub fn page_without<'l>(line: &'l [u8], forgotten: &Forgotten) -> Cow<'l, [u8]> {
    let text = line.trim_ascii_end();
    if has_forgotten_task(text, forgotten) {
        return Cow::Owned(Vec::new());
    }
    let page = match without_tasks(text, forgotten) {
        Cow::Borrowed(_) => without_contributors(line, forgotten),
        Cow::Owned(text) => Cow::Owned(without_contributors(&text, forgotten).into_owned()),
    };
    match page {
        Cow::Owned(mut page) if !page.ends_with(b"\n") => {
            page.push(b'\n');
            Cow::Owned(page)
        }
        page => page,
    }
}

/// The text of a page whose lists have no element that is, or names, a forgotten task.
fn without_tasks<'t>(page: &'t [u8], forgotten: &Forgotten) -> Cow<'t, [u8]> {
    let Some(members) = scan::members(page) else { return Cow::Borrowed(page) };
    let mut kept = Vec::new();
    let mut from = 0;
    let offset = |piece: &[u8]| (piece.as_ptr() as usize).saturating_sub(page.as_ptr() as usize);
    for (_, list) in members {
        let Some(elements) = scan::elements(list) else { continue };
        let count = elements.len();
        let left = elements.into_iter().filter(|element| !has_forgotten_task(element, forgotten)).collect::<Vec<_>>();
        if left.len() == count {
            continue;
        }
        kept.extend_from_slice(page.get(from..offset(list)).unwrap_or_default());
        kept.push(b'[');
        kept.extend(left.join(b",".as_slice()));
        kept.push(b']');
        from = offset(list) + list.len();
    }
    if from == 0 {
        return Cow::Borrowed(page);
    }
    kept.extend_from_slice(page.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

/// Whether an object is, or names, a task that is forgotten.
fn has_forgotten_task(object: &[u8], forgotten: &Forgotten) -> bool {
    ids(object, "task_id").into_iter().any(|id| forgotten.has_task(&id))
}

/// What an object has under a key.
fn ids(object: &[u8], key: &str) -> Vec<String> {
    let members = scan::members(object).unwrap_or_default();
    let own = members.into_iter().filter(|(own, _)| scalar(own).is_some_and(|own| own == key));
    own.filter_map(|(_, id)| scalar(id)).collect()
}

/// A string as what it says, any other scalar as it is spelled.
fn scalar(value: &[u8]) -> Option<String> {
    let arena = Bump::new();
    match tree_of(value, &arena).ok()?.root {
        Value::String(text) => Some(text.to_owned()),
        Value::Number(number) => Some(number.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten() -> Forgotten {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        Forgotten::of_ids("k".to_owned(), &ids(&["gone", "é"]), &ids(&["c1", "7"]))
    }

    fn page(text: &str) -> String {
        String::from_utf8(page_without(text.as_bytes(), &forgotten()).into_owned()).unwrap()
    }

    #[test]
    fn a_page_comes_without_forgotten_tasks_and_with_all_others() {
        for (text, expected) in [
            (
                r#"{"tasks": [{"task_id": "a"}, {"task_id": "gone"}], "n": 1}"#,
                r#"{"tasks": [{"task_id": "a"}], "n": 1}"#,
            ),
            (r#"{"docs":[{"delivery_id":"d","task_id":"gone"}]}"#, r#"{"docs":[]}"#),
            (r#"{"tasks":[{"task_id":"\u0067one"},{"task_id":"\u00e9"},1]}"#, r#"{"tasks":[1]}"#),
            (r#"{"tasks":[{"task_id":"a","note":"gone"}]}"#, r#"{"tasks":[{"task_id":"a","note":"gone"}]}"#),
            (
                r#"{"a":[{"task_id":"gone"}],"b":[{"task_id":"gone"},{"task_id":"b"}]}"#,
                r#"{"a":[],"b":[{"task_id":"b"}]}"#,
            ),
            ("broken", "broken"),
        ] {
            assert_eq!(page(r#"{"task_id":"gone","threads":[]}"#), "");
            assert_eq!(page(text).trim_end(), expected);
            assert_eq!(page(&format!("{text}\n")), format!("{expected}\n"));
        }
    }

    #[test]
    fn a_contributor_becomes_null_wherever_it_stands_under_its_key() {
        for (text, expected) in [
            (
                r#"{"s":[{"contributor_id": "c1"},{"contributor_id":"c2"}]}"#,
                r#"{"s":[{"contributor_id": null},{"contributor_id":"c2"}]}"#,
            ),
            (r#"{"x":{"contributor_id":7}}"#, r#"{"x":{"contributor_id":null}}"#),
            (r#"{"contributor\u005fid":"\u00631"}"#, r#"{"contributor\u005fid":null}"#),
            (r#"{"contributor_id":{"contributor_id":"c1"}}"#, r#"{"contributor_id":{"contributor_id":null}}"#),
            (r#"{"note":"c1"}"#, r#"{"note":"c1"}"#),
        ] {
            let found = without_contributors(text.as_bytes(), &forgotten()).into_owned();
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }
}
