//! A task's JSON while it is put together.

use bumpalo::Bump;
use indexmap::IndexMap;

use super::owned::Json;
use crate::json;
use crate::parse::MAX_DEPTH;
use crate::time::write_instant;

/// One step on the way down from a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Into an object.
    Into(&'static str),
    /// To an element of an array of objects.
    At(&'static str, Option<i32>),
}

/// The way to a thread.
pub(super) fn thread_at(thread: i32) -> Vec<Step> {
    vec![Step::At("threads", Some(thread))]
}

/// The way to a turn.
pub(super) fn turn_at(thread: i32, turn: i32) -> Vec<Step> {
    [thread_at(thread), vec![Step::At("turns", Some(turn))]].concat()
}

/// The way to a message.
pub(super) fn message_at(thread: i32, turn: i32, message: i32) -> Vec<Step> {
    [turn_at(thread, turn), vec![Step::At("messages", Some(message))]].concat()
}

/// The way to a message's content.
pub(super) fn content_at(thread: i32, turn: i32, message: i32) -> Vec<Step> {
    [message_at(thread, turn, message), vec![Step::Into("content")]].concat()
}

/// A row as JSON, with its place.
#[derive(Debug)]
pub(super) struct Child {
    /// The way to its owner.
    pub owner: Vec<Step>,
    /// The owner's array.
    pub array: &'static str,
    /// Its position in there.
    pub index: i32,
    /// The object.
    pub object: Object,
}

/// A task that grows.
#[derive(Debug)]
pub(super) struct Tree {
    task: Json,
}

impl Tree {
    /// `None` where a column holds broken JSON.
    pub(super) fn new(task: Object) -> Option<Tree> {
        task.into_json().map(|task| Tree { task })
    }

    /// Puts a row at the end of its owner's array; false where that is not its place, or where a column holds broken JSON.
    pub(super) fn attach(&mut self, child: Child) -> bool {
        let Some(object) = child.object.into_json() else {
            return false;
        };
        let mut owner = Some(&mut self.task);
        for step in &child.owner {
            owner = owner.and_then(|value| match step {
                Step::Into(key) => value.member_mut(key),
                Step::At(key, index) => {
                    value.member_mut(key)?.elements_mut()?.get_mut(usize::try_from((*index)?).ok()?)
                }
            });
        }
        let array = owner.and_then(|owner| owner.member_mut(child.array)).and_then(Json::elements_mut);
        match array {
            Some(array) if usize::try_from(child.index).is_ok_and(|index| index == array.len()) => {
                array.push(object);
                true
            }
            _ => false,
        }
    }

    pub(super) fn into_json(self) -> Json {
        self.task
    }
}

/// An object whose fields are put in one by one; what is null is left out.
#[derive(Debug, Default)]
pub(super) struct Object {
    fields: IndexMap<String, Json>,
    is_broken: bool,
}

impl Object {
    /// Adds a field.
    pub(super) fn with(mut self, key: &str, value: Option<impl Into<Json>>) -> Object {
        if let Some(value) = value {
            self.fields.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Adds an array of children, still empty, if there was one.
    pub(super) fn with_array(self, key: &str, count: Option<i32>) -> Object {
        self.with(key, count.map(|_| Json::Array(Vec::new())))
    }

    /// Adds an instant.
    pub(super) fn with_instant(self, key: &str, micros: Option<i64>) -> Object {
        self.with(key, micros.and_then(write_instant))
    }

    /// Adds JSON that a column holds as text.
    pub(super) fn with_json(mut self, key: &str, json: Option<&str>) -> Object {
        let value = self.read(json);
        self.with(key, value)
    }

    /// Adds an object that was inlined, unless it is empty.
    pub(super) fn with_object(mut self, key: &str, object: Object) -> Object {
        self.is_broken |= object.is_broken;
        let is_filled = !object.fields.is_empty();
        self.with(key, is_filled.then_some(Json::Object(object.fields)))
    }

    /// Adds an id, or an object with id and name: which of them it was, name and `extra` tell.
    pub(super) fn with_reference(
        mut self,
        key: &str,
        id: Option<&str>,
        name: Option<&str>,
        extra: Option<&str>,
    ) -> Object {
        let is_object =
            matches!(self.read(extra).as_mut().and_then(|extra| extra.member_mut(key)), Some(Json::Object(_)));
        if name.is_some() || is_object {
            self.with_object(key, Object::default().with("id", id).with("name", name))
        } else {
            self.with(key, id)
        }
    }

    /// Adds what the columns could not hold.
    pub(super) fn with_extra(mut self, extra: Option<&str>) -> Object {
        match self.read(extra) {
            Some(Json::Object(extra)) => merge(&mut self.fields, extra),
            Some(_) => self.is_broken = true,
            None => {}
        }
        self
    }

    fn read(&mut self, json: Option<&str>) -> Option<Json> {
        let arena = Bump::new();
        let value = json::read(json?, MAX_DEPTH, &arena).ok().map(|document| Json::from(&document.root));
        self.is_broken |= value.is_none();
        value
    }

    /// The object; `None` where a column held broken JSON.
    pub(super) fn into_json(self) -> Option<Json> {
        (!self.is_broken).then_some(Json::Object(self.fields))
    }
}

fn merge(into: &mut IndexMap<String, Json>, from: IndexMap<String, Json>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Json::Object(inner)), Json::Object(more)) => merge(inner, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
