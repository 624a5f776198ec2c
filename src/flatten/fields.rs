//! The fields of one object. What is not taken remains, so that nothing is lost.

use std::cell::RefCell;

use bumpalo::Bump;

use crate::json::{self, Member, Number, Value};
use crate::parse::Problem;
use crate::time::read_instant;

/// Memory for what lives as long as one task: lists, unescaped strings and rewritten JSON.
#[derive(Debug, Default)]
pub struct Workbench {
    /// Holds it.
    pub arena: Bump,
    scratch: RefCell<String>,
}

impl Workbench {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.arena.reset();
    }

    /// Keeps what is written.
    pub(super) fn write(&self, fill: impl FnOnce(&mut String)) -> &str {
        let mut scratch = self.scratch.take();
        scratch.clear();
        fill(&mut scratch);
        let text = self.arena.alloc_str(&scratch);
        self.scratch.replace(scratch);
        text
    }
}

/// The members of an object, taken one by one.
#[derive(Debug)]
pub struct Fields<'a> {
    bench: &'a Workbench,
    members: &'a [Member<'a>],
    is_taken: &'a mut [bool],
    /// Where the last one was found: APIs keep an order, so the next one is likely behind it.
    cursor: usize,
    /// Whether the object must be told from an absent one by `extra`.
    is_to_be_named: bool,
}

impl<'a> Fields<'a> {
    /// The fields of an object.
    pub fn of(members: &'a [Member<'a>], bench: &'a Workbench) -> Fields<'a> {
        let is_taken = bench.arena.alloc_slice_fill_copy(members.len(), false);
        Fields { bench, members, is_taken, cursor: 0, is_to_be_named: false }
    }

    fn find(&mut self, key: &str) -> Option<(usize, Value<'a>)> {
        let (before, after) = self.members.split_at_checked(self.cursor)?;
        // Keys of one length that begin alike are rare: a look at that spares most comparisons their call.
        let (length, first) = (key.len(), key.as_bytes().first());
        let is_wanted = |member: &Member<'_>| {
            member.key.len() == length && member.key.as_bytes().first() == first && member.key == key
        };
        let position = |members: &[Member<'_>]| members.iter().position(is_wanted);
        let index = position(after).map(|index| index + self.cursor).or_else(|| position(before))?;
        self.cursor = index + 1;
        self.members.get(index).map(|member| (index, member.value))
    }

    /// Takes a field if `read` can hold all of it; otherwise it remains.
    fn take<T>(&mut self, key: &str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        let (index, value) = self.find(key)?;
        let held = read(value)?;
        self.mark_taken(index);
        Some(held)
    }

    fn mark_taken(&mut self, index: usize) {
        if let Some(is_taken) = self.is_taken.get_mut(index) {
            *is_taken = true;
        }
        self.is_to_be_named = false;
    }

    /// A string.
    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        self.take(key, as_text)
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        self.take(key, |value| match value {
            Value::Boolean(flag) => Some(flag),
            _ => None,
        })
    }

    /// A number that is an integer of 64 bits.
    pub fn integer(&mut self, key: &str) -> Option<i64> {
        self.take(key, |value| as_number(value)?.exact_integer())
    }

    /// A number that a double holds exactly.
    pub fn double(&mut self, key: &str) -> Option<f64> {
        self.take(key, |value| as_number(value)?.exact_double())
    }

    /// A string that is an instant.
    pub fn instant(&mut self, key: &str) -> Option<i64> {
        self.take(key, |value| read_instant(as_text(value)?))
    }

    /// Any JSON but null, as text.
    pub fn json(&mut self, key: &str) -> Option<&'a str> {
        let bench = self.bench;
        self.take(key, |value| (value != Value::Null).then(|| to_json(value, bench)))
    }

    /// An array of strings.
    pub fn text_list(&mut self, key: &str) -> Option<&'a [&'a str]> {
        let bench = self.bench;
        self.take(key, |value| as_text_list(value, bench))
    }

    /// Any JSON but null, for a reader that puts it into several columns without leaving anything.
    pub fn value(&mut self, key: &str) -> Option<Value<'a>> {
        self.take(key, |value| (value != Value::Null).then_some(value))
    }

    /// A look at a field that stays where it is.
    pub fn peek(&mut self, key: &str) -> Option<Value<'a>> {
        self.find(key).map(|(_, value)| value)
    }

    /// An object whose fields are columns of this row: empty where it is absent. Give it to [`Fields::rest`].
    pub fn inlined(&mut self, key: &str) -> Fields<'a> {
        let members = self.take(key, |value| match value {
            Value::Object(members) => Some(members),
            _ => None,
        });
        let mut fields = Fields::of(members.unwrap_or_default(), self.bench);
        fields.is_to_be_named = members.is_some();
        fields
    }

    /// A field that is an id or an object with `id` and `name`. Give its fields to [`Fields::rest`].
    pub fn reference(&mut self, key: &str) -> Reference<'a> {
        if let Some(id) = self.text(key) {
            return Reference { id: Some(id), name: None, fields: Fields::of(&[], self.bench) };
        }
        let mut fields = self.inlined(key);
        let is_object = fields.is_to_be_named;
        let (id, name) = (fields.text("id"), fields.text("name"));
        // Without a name in its column the object would come back as a string.
        fields.is_to_be_named = is_object && name.is_none();
        Reference { id, name, fields }
    }

    /// An array of objects that is a table of its own; `None` where it is absent or null.
    pub fn children(&mut self, key: &str) -> Result<Option<&'a [Value<'a>]>, Problem> {
        match self.find(key) {
            None | Some((_, Value::Null)) => Ok(None),
            Some((index, Value::Array(elements))) => {
                self.mark_taken(index);
                Ok(Some(elements))
            }
            Some((_, other)) => {
                let reason = format!("expected an array of objects, found {}", other.kind());
                Err(Problem::here(reason).inside(&json::tree::path_key(key)))
            }
        }
    }

    /// What was not taken of this object and of the objects inlined into it, as JSON. Nulls count as absent. Ends the taking.
    pub fn rest<const N: usize>(self, inlined: [(&str, Fields<'a>); N]) -> Option<&'a str> {
        let is_left = self.has_rest() || inlined.iter().any(|(_, fields)| fields.is_named());
        is_left.then(|| self.bench.write(|text| self.write_rest(&inlined, text)))
    }

    fn is_named(&self) -> bool {
        self.has_rest() || self.is_to_be_named
    }

    fn remaining(&self) -> impl Iterator<Item = &'a Member<'a>> {
        let is_left = |(member, is_taken): &(&Member<'_>, &bool)| !**is_taken && member.value != Value::Null;
        self.members.iter().zip(self.is_taken.iter()).filter(is_left).map(|(member, _)| member)
    }

    fn has_rest(&self) -> bool {
        self.remaining().next().is_some()
    }

    fn write_rest(&self, inlined: &[(&str, Fields<'a>)], text: &mut String) {
        text.push('{');
        for member in self.remaining() {
            start_member(member.key, text);
            json::write(&member.value, text);
        }
        for (key, fields) in inlined.iter().filter(|(_, fields)| fields.is_named()) {
            start_member(key, text);
            fields.write_rest(&[], text);
        }
        text.push('}');
    }
}

fn start_member(key: &str, text: &mut String) {
    if !text.ends_with('{') {
        text.push(',');
    }
    json::write_key(key, text);
}

/// An id with what came with it.
#[derive(Debug)]
pub struct Reference<'a> {
    /// The id.
    pub id: Option<&'a str>,
    /// The name, where the object was expanded.
    pub name: Option<&'a str>,
    /// The object's fields.
    pub fields: Fields<'a>,
}

/// A string's text.
pub fn as_text<'a>(value: Value<'a>) -> Option<&'a str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A number's worth.
pub fn as_number(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Number(text) => Some(Number::of(text)),
        _ => None,
    }
}

/// An array of strings and nothing else.
pub fn as_text_list<'a>(value: Value<'a>, bench: &'a Workbench) -> Option<&'a [&'a str]> {
    let Value::Array(elements) = value else { return None };
    let is_text = |element: &Value<'_>| matches!(element, Value::String(_));
    elements.iter().all(is_text).then(|| {
        let texts = elements.iter().map(|element| as_text(*element).unwrap_or_default());
        &*bench.arena.alloc_slice_fill_iter(texts)
    })
}

/// A value as JSON text.
pub fn to_json<'a>(value: Value<'a>, bench: &'a Workbench) -> &'a str {
    bench.write(|text| json::write(&value, text))
}

/// Visits the objects of a child array; an element that is no object makes the task unreadable.
pub fn each<'a>(
    elements: Option<&'a [Value<'a>]>,
    key: &str,
    mut visit: impl FnMut(i32, &'a [Member<'a>]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for (index, element) in elements.unwrap_or_default().iter().enumerate() {
        let visited = match element {
            Value::Object(members) => visit(index as i32, members),
            other => Err(Problem::here(format!("expected an object, found {}", other.kind()))),
        };
        visited.map_err(|problem| problem.inside(&format!(".{key}[{index}]")))?;
    }
    Ok(())
}

/// The length of a child array.
pub fn count(elements: Option<&[Value<'_>]>) -> Option<i32> {
    elements.map(|elements| elements.len() as i32)
}
