//! The head of an object: what tells what it is and where it belongs, found without reading the rest.

use bumpalo::Bump;

use super::envelope::tree_of;
use crate::json::Value;
use crate::json::scan::Walk;

/// The members of an object that tell what it is and where it belongs, as pieces of its text.
#[derive(Default)]
pub(super) struct Head<'a> {
    pub(super) task_id: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) project: Option<&'a [u8]>,
    pub(super) batch: Option<&'a [u8]>,
    pub(super) delivery: Option<&'a [u8]>,
    pub(super) created_at: Option<&'a [u8]>,
    pub(super) completed_at: Option<&'a [u8]>,
    pub(super) tasks: Option<List<'a>>,
    pub(super) projects: Option<List<'a>>,
    pub(super) batches: Option<List<'a>>,
    pub(super) deliveries: Option<List<'a>>,
    pub(super) docs: Option<List<'a>>,
    pub(super) delivery_id: Option<&'a [u8]>,
    pub(super) taskloom_reject: Option<&'a [u8]>,
    pub(super) raw: Option<&'a [u8]>,
    pub(super) raw_base64: Option<&'a [u8]>,
    pub(super) raw_is_cut: Option<&'a [u8]>,
    pub(super) next_token: Option<&'a [u8]>,
    pub(super) has_unknown: bool,
}

/// What a page may list.
pub(super) struct List<'a> {
    pub(super) text: &'a [u8],
    /// Each element, and its head if it is an object. `None` where this is no array, or nobody asked.
    pub(super) elements: Option<Vec<(&'a [u8], Option<Head<'a>>)>>,
}

impl<'a> List<'a> {
    fn of(walk: &mut Walk<'a>, arena: &'a Bump, is_entered: bool) -> Option<List<'a>> {
        let mut elements = Vec::new();
        let mut inside = *walk;
        let entered = is_entered.then(|| {
            inside.array(|element| {
                let mut object = *element;
                if let Some((text, head)) = Head::read(&mut object, arena, false) {
                    *element = object;
                    elements.push((text, Some(head)));
                } else {
                    elements.push((element.pass()?, None));
                }
                Some(())
            })
        });
        if let Some(text) = entered.flatten() {
            *walk = inside;
            return Some(List { text, elements: Some(elements) });
        }
        Some(List { text: walk.pass()?, elements: None })
    }
}

impl<'a> Head<'a> {
    /// The head of an object; what it lists is passed over. `None` where this is no object or its brackets don't match.
    pub(super) fn of(object: &'a [u8], arena: &'a Bump) -> Option<Head<'a>> {
        Head::whole(object, arena, false)
    }

    /// The same of a record, which may be a page: with the heads of what it lists.
    pub(super) fn of_record(object: &'a [u8], arena: &'a Bump) -> Option<Head<'a>> {
        Head::whole(object, arena, true)
    }

    fn whole(object: &'a [u8], arena: &'a Bump, is_record: bool) -> Option<Head<'a>> {
        let mut walk = Walk::of(object);
        let (_, head) = Head::read(&mut walk, arena, is_record)?;
        walk.is_at_end().then_some(head)
    }

    /// Of duplicate keys the last counts, as everywhere. Gives the text of the object too.
    fn read(walk: &mut Walk<'a>, arena: &'a Bump, is_record: bool) -> Option<(&'a [u8], Head<'a>)> {
        let mut head = Head::default();
        let text = walk.object(|key, value| {
            let key = plain_key(key, arena)?;
            match head.list(key) {
                Some(list) => *list = Some(List::of(value, arena, is_record)?),
                None => head.take(key, value.pass()?),
            }
            Some(())
        })?;
        Some((text, head))
    }

    fn list(&mut self, key: &str) -> Option<&mut Option<List<'a>>> {
        match key {
            "tasks" => Some(&mut self.tasks),
            "projects" => Some(&mut self.projects),
            "batches" => Some(&mut self.batches),
            "deliveries" => Some(&mut self.deliveries),
            "docs" => Some(&mut self.docs),
            _ => None,
        }
    }

    fn take(&mut self, key: &str, value: &'a [u8]) {
        let slot = match key {
            "task_id" => &mut self.task_id,
            "id" => &mut self.id,
            "project" => &mut self.project,
            "batch" => &mut self.batch,
            "delivery" => &mut self.delivery,
            "created_at" => &mut self.created_at,
            "completed_at" => &mut self.completed_at,
            "delivery_id" => &mut self.delivery_id,
            "taskloom_reject" => &mut self.taskloom_reject,
            "raw" => &mut self.raw,
            "raw_base64" => &mut self.raw_base64,
            "raw_is_cut" => &mut self.raw_is_cut,
            "next_token" => &mut self.next_token,
            _ => return self.has_unknown = true,
        };
        *slot = Some(value);
    }

    /// A page lists something. One without a list has nothing else in it either, or something would be lost.
    pub(super) fn is_page(&self) -> bool {
        let lists = [&self.tasks, &self.batches, &self.deliveries, &self.projects, &self.docs];
        let has_list = lists.into_iter().flatten().any(|list| list.text != b"null");
        let others =
            [self.project, self.batch, self.created_at, self.completed_at, self.raw, self.raw_base64, self.raw_is_cut];
        let has_others = self.has_unknown || others.iter().any(Option::is_some);
        let is_empty_page = !has_others && (self.delivery.is_some() || lists.into_iter().any(Option::is_some));
        self.id.is_none() && (has_list || is_empty_page)
    }
}

fn plain_key<'a>(quoted: &'a [u8], arena: &'a Bump) -> Option<&'a str> {
    if !quoted.contains(&b'\\') {
        return std::str::from_utf8(quoted.get(1..quoted.len().checked_sub(1)?)?).ok();
    }
    match tree_of(quoted, arena).ok()?.root {
        Value::String(key) => Some(key),
        _ => None,
    }
}
