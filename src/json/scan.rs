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
        b'{' | b'[' | b'"' => Scanner::default().feed(rest).map(|length| at + length),
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
    let mut at = open(object, b'{')?;
    while object.get(at)? != &b'}' {
        let key_end = value_end(object, at)?;
        let colon = skip_white_space(object, key_end);
        if object.get(at)? != &b'"' || object.get(colon)? != &b':' {
            return None;
        }
        let value_at = skip_white_space(object, colon + 1);
        let end = value_end(object, value_at).filter(|end| *end > value_at)?;
        members.push((object.get(at..key_end)?, object.get(value_at..end)?));
        at = next(object, end, b'}')?;
    }
    is_last(object, at).then_some(members)
}

/// The elements of an array as pieces of text. `None` where it is no array or is torn.
pub fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    let mut at = open(array, b'[')?;
    while array.get(at)? != &b']' {
        let end = value_end(array, at).filter(|end| *end > at)?;
        elements.push(array.get(at..end)?);
        at = next(array, end, b']')?;
    }
    is_last(array, at).then_some(elements)
}

fn open(bytes: &[u8], bracket: u8) -> Option<usize> {
    let at = skip_white_space(bytes, 0);
    (bytes.get(at) == Some(&bracket)).then(|| skip_white_space(bytes, at + 1))
}

/// From the end of one entry to the start of the next, or to the closing bracket.
fn next(bytes: &[u8], end: usize, close: u8) -> Option<usize> {
    let at = skip_white_space(bytes, end);
    match bytes.get(at)? {
        b',' => Some(skip_white_space(bytes, at + 1)).filter(|at| bytes.get(*at) != Some(&close)),
        byte if *byte == close => Some(at),
        _ => None,
    }
}

fn is_last(bytes: &[u8], close: usize) -> bool {
    skip_white_space(bytes, close + 1) == bytes.len()
}
