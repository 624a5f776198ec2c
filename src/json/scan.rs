//! Where JSON values begin and end, found without reading what is in them: only quotes, escapes and brackets count.

use super::text::{self, Stop};

/// Finds the end of one array, object or string whose bytes arrive in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Reads on; the number of bytes up to and with the value's last byte, or `None` where it goes on after this piece.
    ///
    /// The first byte ever fed must be `{`, `[` or `"`.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.in_string {
                at = self.string_from(bytes, at)?;
                if self.depth == 0 {
                    return Some(at);
                }
                continue;
            }
            at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn string_from(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        if std::mem::take(&mut self.escaped) {
            at += 1;
        }
        loop {
            let (stop_at, stop) = text::find_stop(bytes, at);
            at = stop_at + 1;
            match stop {
                Stop::Quote => {
                    self.in_string = false;
                    return Some(at);
                }
                Stop::Control => {}
                Stop::Backslash => at += 1,
                Stop::End => return None,
            }
            if at > bytes.len() {
                self.escaped = true;
                return None;
            }
        }
    }
}

/// The innermost bracket that a text leaves open, and whether it ends within a string.
pub fn open_brackets(text: &[u8]) -> (Option<u8>, bool) {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => open.push(byte),
            b'}' | b']' => drop(open.pop()),
            b'"' => match value_end(text, at) {
                Some(end) => at = end - 1,
                None => return (open.last().copied(), true),
            },
            _ => {}
        }
        at += 1;
    }
    (open.last().copied(), false)
}

/// The end of the value that begins at `at`. `None` where the text ends before the value does.
pub fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    match rest.first()? {
        b'{' | b'[' => super::block::bracketed_length(rest).map(|length| at + length),
        b'"' => Scanner::default().feed(rest).map(|length| at + length),
        _ => Some(at + rest.iter().position(|byte| ends_scalar(*byte)).unwrap_or(rest.len())),
    }
}

/// True for a byte that can't belong to a number or a word.
pub fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'}' | b'[' | b'{' | b'"' | b':') || is_white_space(byte)
}

/// True for JSON's white space.
pub fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The first byte from `at` on that is no white space.
pub fn skip_white_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is_white_space(*byte)).unwrap_or(rest.len())
}

/// The members of an object as pieces of text: each key in its quotes, and its value. `None` where it is no object or is torn.
pub fn members(object: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut members = Vec::with_capacity(16);
    let mut walk = Walk::of(object);
    walk.object(|key, value| {
        members.push((key, value.pass()?));
        Some(())
    })?;
    walk.is_at_end().then_some(members)
}

/// The elements of an array as pieces of text. `None` where it is no array or is torn.
pub fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    let mut walk = Walk::of(array);
    walk.array(|element| {
        elements.push(element.pass()?);
        Some(())
    })?;
    walk.is_at_end().then_some(elements)
}

/// A walk through the values of a text in one pass: who walks says of each value whether to pass over it or to go inside.
/// A walk that gave `None` is at no value any more.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Stands before the value that a text holds.
    pub fn of(bytes: &'a [u8]) -> Walk<'a> {
        Walk { bytes, at: skip_white_space(bytes, 0) }
    }

    /// The first byte of the value.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// True behind the last value of the text.
    pub fn is_at_end(&self) -> bool {
        skip_white_space(self.bytes, self.at) == self.bytes.len()
    }

    /// Passes over the value; gives its text. `None` where it is torn, or there is none.
    pub fn pass(&mut self) -> Option<&'a [u8]> {
        let end = value_end(self.bytes, self.at).filter(|end| *end > self.at)?;
        let value = self.bytes.get(self.at..end);
        self.at = end;
        value
    }

    /// Goes through an object; gives its text. The closure gets each key in its quotes and must walk over its value, or give `None` to
    /// end here.
    pub fn object(&mut self, mut member: impl FnMut(&'a [u8], &mut Walk<'a>) -> Option<()>) -> Option<&'a [u8]> {
        self.list((b'{', b'}'), |walk| {
            let key = walk.pass().filter(|key| key.first() == Some(&b'"'))?;
            walk.at = skip_white_space(walk.bytes, walk.at);
            (walk.peek()? == b':').then_some(())?;
            walk.step();
            member(key, walk)
        })
    }

    /// Goes through an array; gives its text. The closure must walk over each element, or give `None` to end here.
    pub fn array(&mut self, element: impl FnMut(&mut Walk<'a>) -> Option<()>) -> Option<&'a [u8]> {
        self.list((b'[', b']'), element)
    }

    fn list(
        &mut self,
        (open, close): (u8, u8),
        mut entry: impl FnMut(&mut Walk<'a>) -> Option<()>,
    ) -> Option<&'a [u8]> {
        let start = self.at;
        (self.peek()? == open).then_some(())?;
        self.step();
        let mut byte = self.peek()?;
        while byte != close {
            entry(self)?;
            self.at = skip_white_space(self.bytes, self.at);
            byte = self.peek()?;
            match byte {
                b',' => self.step(),
                _ if byte != close => return None,
                _ => {}
            }
        }
        self.at += 1;
        self.bytes.get(start..self.at)
    }

    /// Over one byte and the white space behind it.
    fn step(&mut self) {
        self.at = skip_white_space(self.bytes, self.at + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// JSON with all that could be taken for its structure in its strings.
    fn json() -> impl Strategy<Value = Value> {
        let text = r#"[a"\\{}\[\],: \n]{0,8}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn read(piece: &[u8]) -> Value {
        serde_json::from_slice(piece).unwrap()
    }

    proptest! {
        #[test]
        fn members_and_elements_are_those_that_a_parser_finds(value in json(), is_pretty: bool) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let members = members(text.as_bytes());
            let found = members.map(|members| members.iter().map(|(key, value)| (read(key), read(value))).collect::<Vec<_>>());
            let expected = value.as_object().map(|map| {
                map.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())).collect::<Vec<_>>()
            });
            prop_assert_eq!(found, expected);
            let elements = elements(text.as_bytes());
            let found = elements.map(|elements| elements.into_iter().map(read).collect::<Vec<_>>());
            prop_assert_eq!(found.as_ref(), value.as_array());
        }

        #[test]
        fn a_torn_text_has_neither(value in json(), cut: prop::sample::Index) {
            let text = serde_json::to_string(&value).unwrap();
            let torn = &text.as_bytes()[..cut.index(text.len())];
            prop_assert!(members(torn).is_none() && elements(torn).is_none());
        }
    }

    #[test]
    fn what_is_no_list_is_told() {
        for text in
            ["{,}", "[,]", "[1,]", r#"{"a":1,}"#, "[1 2]", r#"{"a" 1}"#, r#"{"a":}"#, "{1:2}", "[1]x", "[1}", ""]
        {
            assert!(members(text.as_bytes()).is_none() && elements(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_walk_goes_inside_and_passes_over_in_one_pass() {
        let mut walk = Walk::of(br#" {"a": [1, {"b": "]"}], "c": 2} "#);
        let mut seen = Vec::new();
        let whole = walk.object(|key, value| {
            if key != br#""a""# {
                seen.push(value.pass()?);
                return Some(());
            }
            value.array(|element| {
                seen.push(element.pass()?);
                Some(())
            })?;
            Some(())
        });
        assert_eq!(whole, Some(br#"{"a": [1, {"b": "]"}], "c": 2}"#.as_slice()));
        assert_eq!(seen, [b"1".as_slice(), br#"{"b": "]"}"#, b"2"]);
        assert!(walk.is_at_end());
    }
}
