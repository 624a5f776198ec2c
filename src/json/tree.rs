//! JSON text to a borrowed tree.
//!
//! Why not an existing parser: the tree must keep numbers as they are spelled (a double would lose them), keep the last of
//! duplicate keys, turn lone surrogates into U+FFFD and count them, hide secrets before anything else sees them, stop at a depth
//! instead of overflowing the stack, and borrow everything from the input. No parser at hand does all of that in one pass;
//! those that are faster do it by giving up on some of it. A property test holds this one against serde_json.

use std::cell::Cell;

use bumpalo::Bump;

use super::text::{self, Stop};

/// A JSON value, borrowed from the text or from the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number as it was spelled.
    Number(&'a str),
    /// A string without its escapes.
    String(&'a str),
    /// An array.
    Array(&'a [Value<'a>]),
    /// An object, in the order of the text, each key once.
    Object(&'a [Member<'a>]),
}

impl Value<'_> {
    /// The kind of the value, in words for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

/// A key of an object with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member<'a> {
    /// The key, without escapes.
    pub key: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// A whole parsed text.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The outermost value.
    pub root: Value<'a>,
    /// Lone surrogates that became U+FFFD.
    pub replaced_surrogates: u64,
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found} at byte {offset}")]
pub struct JsonError {
    /// Byte of the text at which it went wrong.
    pub offset: usize,
    /// JSON path of the value at which it went wrong.
    pub path: String,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stood there.
    pub found: String,
}

/// The key whose values are secrets, at any depth (Scale's `WorkspaceConfig.workspace_token`).
pub const SECRET_KEY: &str = "workspace_token";
/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Parses one JSON value that may have white space around it and nothing else.
pub fn read<'a>(text: &'a str, max_depth: usize, arena: &'a Bump) -> Result<Document<'a>, JsonError> {
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        arena,
        max_depth,
        replaced_surrogates: 0,
        values: Vec::with_capacity(64),
        members: Vec::with_capacity(64),
        unescaped: UNESCAPED.take(),
    };
    parser.skip_white_space();
    let root = parser.value(0)?;
    let mut unescaped = std::mem::take(&mut parser.unescaped);
    unescaped.shrink_to(KEPT_UNESCAPED_BYTES);
    UNESCAPED.set(unescaped);
    parser.skip_white_space();
    if parser.at < parser.bytes.len() {
        return Err(parser.unexpected("the end"));
    }
    Ok(Document { root, replaced_surrogates: parser.replaced_surrogates })
}

/// Expected of ourselves: where the parser lost its place, the task is set aside, and not a value of it dropped.
const UNBROKEN: &str = "a parser that knows where it is";

thread_local! {
    /// Where strings with escapes are put together, kept for the next text.
    static UNESCAPED: Cell<String> = const { Cell::new(String::new()) };
}

/// The most of it that is kept.
const KEPT_UNESCAPED_BYTES: usize = 1024 * 1024;

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    arena: &'a Bump,
    max_depth: usize,
    replaced_surrogates: u64,
    /// Elements of the arrays that are still open: each array owns the tail from where it began.
    values: Vec<Value<'a>>,
    /// The same for objects.
    members: Vec<Member<'a>>,
    unescaped: String,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("`{}`", character.escape_debug()),
            None if self.at >= self.bytes.len() => "the end of the text".to_owned(),
            None => "a broken character".to_owned(),
        };
        JsonError { offset: self.at, path: String::new(), expected, found }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            b'"' => self.string().map(Value::String),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            b'n' => self.word("null", Value::Null),
            _ => Err(self.unexpected("a JSON value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.unexpected("a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > self.max_depth {
            return Err(JsonError {
                found: "one more level".to_owned(),
                ..self.unexpected("at most 128 levels of nesting")
            });
        }
        self.at += 1;
        self.skip_white_space();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.enter(depth)?;
        let start = self.values.len();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(Value::Array(&[]));
        }
        loop {
            let index = self.values.len() - start;
            let value = self.value(depth).map_err(|error| error.inside(&format!("[{index}]")))?;
            self.values.push(value);
            self.skip_white_space();
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
            self.skip_white_space();
        }
        self.at += 1;
        let elements = self.values.get(start..).ok_or_else(|| self.unexpected(UNBROKEN))?;
        let array = Value::Array(self.arena.alloc_slice_copy(elements));
        self.values.truncate(start);
        Ok(array)
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.enter(depth)?;
        let start = self.members.len();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(Value::Object(&[]));
        }
        let mut seen = Seen::default();
        loop {
            if self.peek() != b'"' {
                return Err(self.unexpected("a key in double quotes"));
            }
            let (quote, replaced) = (self.at, self.replaced_surrogates);
            let key = self.string()?;
            let spelled = self.bytes.get(quote..self.at).filter(|_| self.replaced_surrogates > replaced);
            self.skip_white_space();
            if self.peek() != b':' {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.skip_white_space();
            let value = self.value(depth).map_err(|error| error.inside(&path_key(key)))?;
            let value = if key == SECRET_KEY && value != Value::Null { Value::String(REDACTED) } else { value };
            self.remember(start, &mut seen, Member { key, value }, spelled)?;
            self.skip_white_space();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
            self.skip_white_space();
        }
        self.at += 1;
        let Some(members) = self.members.get_mut(start..) else { return Err(self.unexpected(UNBROKEN)) };
        seen.tell_apart(members, self.arena);
        let object = Value::Object(self.arena.alloc_slice_copy(members));
        self.members.truncate(start);
        Ok(object)
    }

    /// Adds a member, or replaces the one with the same key. A key that had lone surrogates comes as it was spelled too.
    fn remember(
        &mut self,
        start: usize,
        seen: &mut Seen<'a>,
        member: Member<'a>,
        spelled: Option<&[u8]>,
    ) -> Result<(), JsonError> {
        let Some(open) = self.members.get_mut(start..) else { return Err(self.unexpected(UNBROKEN)) };
        let known = match spelled {
            Some(spelled) => seen.find_lone(open, text::units(spelled)),
            None => seen.find(open, member.key),
        };
        match known {
            Some(earlier) => earlier.value = member.value,
            None => self.members.push(member),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        self.slice(start, self.at).map(Value::Number)
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_ascii_digit() {
            return Err(self.unexpected("a digit"));
        }
        self.digits();
        Ok(())
    }

    /// A piece of the text whose ends are character boundaries.
    fn slice(&self, start: usize, end: usize) -> Result<&'a str, JsonError> {
        self.text.get(start..end).ok_or_else(|| self.unexpected(UNBROKEN))
    }

    fn string(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at + 1;
        let (end, stop) = text::find_stop(self.bytes, start);
        self.at = end;
        match stop {
            Stop::Quote => {
                self.at += 1;
                self.slice(start, end)
            }
            Stop::Backslash => self.escaped_string(start),
            Stop::Control => Err(self.unexpected("a character above U+001F in a string")),
            Stop::End => Err(self.unexpected("a closing double quote")),
        }
    }

    fn escaped_string(&mut self, start: usize) -> Result<&'a str, JsonError> {
        let mut unescaped = std::mem::take(&mut self.unescaped);
        unescaped.clear();
        unescaped.push_str(self.slice(start, self.at)?);
        loop {
            // Standing on a backslash.
            self.replaced_surrogates += u64::from(self.escape(&mut unescaped)?);
            let from = self.at;
            let (end, stop) = text::find_stop(self.bytes, from);
            unescaped.push_str(self.slice(from, end)?);
            self.at = end;
            match stop {
                Stop::Quote => break,
                Stop::Backslash => {}
                Stop::Control => return Err(self.unexpected("a character above U+001F in a string")),
                Stop::End => return Err(self.unexpected("a closing double quote")),
            }
        }
        self.at += 1;
        let kept = self.arena.alloc_str(&unescaped);
        self.unescaped = unescaped;
        Ok(kept)
    }

    /// Reads one escape and appends its character; true if that was a lone surrogate.
    fn escape(&mut self, to: &mut String) -> Result<bool, JsonError> {
        let (escape, length) = text::read_escape(self.bytes.get(self.at..).unwrap_or_default());
        match escape {
            text::Escape::Character(character) => to.push(character),
            text::Escape::LoneSurrogate => to.push(char::REPLACEMENT_CHARACTER),
            text::Escape::Broken => {
                self.at += length;
                return Err(self.unexpected("an escape such as \\n or \\u00e9"));
            }
        }
        self.at += length;
        Ok(escape == text::Escape::LoneSurrogate)
    }
}

/// The keys of an object that is still open.
#[derive(Default)]
struct Seen<'a> {
    /// A bit for each small hash of a key: objects without duplicates, which are nearly all, are not searched.
    bits: u64,
    /// Where each key stands, once there are too many to be searched one by one, or lone surrogates among them.
    places: Option<hashbrown::HashMap<&'a str, usize>>,
    /// Keys with lone surrogates: their UTF-16, which tells them apart, and where they stand. They are in no other list.
    lone: Vec<(Vec<u16>, usize)>,
}

/// With more members than this, the bits tell nothing any more.
const FEW_MEMBERS: usize = 32;

impl<'a> Seen<'a> {
    /// The member that has this key already; otherwise the key is noted for the one that comes next.
    fn find<'m>(&mut self, open: &'m mut [Member<'a>], key: &'a str) -> Option<&'m mut Member<'a>> {
        if self.places.is_some() || open.len() >= FEW_MEMBERS {
            let place = *self.places(open).entry(key).or_insert(open.len());
            return open.get_mut(place);
        }
        let bytes = key.as_bytes();
        let first = bytes.first().copied().unwrap_or(0) as usize;
        let last = bytes.last().copied().unwrap_or(0) as usize;
        let bit = 1u64 << ((bytes.len() + first * 7 + last * 3) & 63);
        let is_new = self.bits & bit == 0;
        self.bits |= bit;
        if is_new { None } else { open.iter_mut().find(|member| member.key == key) }
    }

    fn places(&mut self, open: &[Member<'a>]) -> &mut hashbrown::HashMap<&'a str, usize> {
        self.places.get_or_insert_with(|| open.iter().enumerate().map(|(place, member)| (member.key, place)).collect())
    }

    /// The same for a key with lone surrogates.
    fn find_lone<'m>(&mut self, open: &'m mut [Member<'a>], units: Vec<u16>) -> Option<&'m mut Member<'a>> {
        self.places(open);
        if let Some((_, place)) = self.lone.iter().find(|(known, _)| *known == units) {
            return open.get_mut(*place);
        }
        self.lone.push((units, open.len()));
        None
    }

    /// Different keys can become the same where lone surrogates become U+FFFD: one more of it tells each from the others, so that
    /// none takes the other's value.
    fn tell_apart(self, members: &mut [Member<'a>], arena: &'a Bump) {
        let mut taken = match self.places {
            Some(places) if !self.lone.is_empty() => places.into_keys().collect::<hashbrown::HashSet<_>>(),
            _ => return,
        };
        for (_, place) in self.lone {
            let Some(member) = members.get_mut(place) else { continue };
            while !taken.insert(member.key) {
                member.key = arena.alloc_str(&format!("{}{}", member.key, char::REPLACEMENT_CHARACTER));
            }
        }
    }
}

impl JsonError {
    fn inside(mut self, step: &str) -> JsonError {
        self.path.insert_str(0, step);
        self
    }
}

/// A key as a step of a JSON path: `.name`, or `["odd name"]`.
pub fn path_key(key: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if !key.is_empty() && key.chars().all(plain) {
        format!(".{key}")
    } else {
        format!("[{}]", serde_json::Value::from(key))
    }
}

#[cfg(test)]
mod tests;
