//! How the records of an input are set apart, and where each ends.

use std::ops::Range;

use crate::json::scan::{self, Scanner};

/// How records are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One record a line.
    Lines,
    /// JSON values one after the other, over as many lines as they like; the elements of outermost arrays are the records.
    Values,
}

impl Framing {
    /// Tells the framing by an input's beginning. `None` asks for more of it.
    ///
    /// An input is of lines when its first line that is not blank is a whole JSON value, or is torn in a way that no JSON value
    /// over several lines is: then the lines behind it can still be read.
    pub fn detect(prefix: &[u8], is_all: bool) -> Option<Framing> {
        let start = scan::skip_white_space(prefix, 0);
        match prefix.get(start) {
            None => is_all.then_some(Framing::Lines),
            Some(b'[') => Some(Framing::Values),
            Some(b'{') => detect_object(prefix, start, is_all),
            Some(_) => Some(Framing::Lines),
        }
    }
}

fn detect_object(prefix: &[u8], start: usize, is_all: bool) -> Option<Framing> {
    let line_end = memchr::memchr(b'\n', prefix.get(start..)?).map(|length| start + length);
    let line = prefix.get(start..line_end.unwrap_or(prefix.len()))?;
    if let Some(end) = scan::value_end(line, 0) {
        let is_whole = scan::skip_white_space(line, end) == line.len();
        return match (is_whole, line_end.is_some() || is_all) {
            (false, _) => Some(Framing::Values),
            (true, true) => Some(Framing::Lines),
            (true, false) => None,
        };
    }
    let Some(line_end) = line_end else {
        return is_all.then_some(Framing::Lines);
    };
    let next = match prefix.get(scan::skip_white_space(prefix, line_end)) {
        None if !is_all => return None,
        next => next.copied().unwrap_or(0),
    };
    Some(if goes_on(line, next) { Framing::Values } else { Framing::Lines })
}

/// Whether a value can go on with this byte on the next line.
fn goes_on(line: &[u8], next: u8) -> bool {
    let (open, in_string) = scan::open_brackets(line);
    match line.trim_ascii_end().last() {
        _ if in_string => false,
        Some(b'{' | b',') if open == Some(b'{') => matches!(next, b'"' | b'}'),
        Some(b'[' | b',' | b':') => true,
        _ => matches!(next, b',' | b':' | b']' | b'}'),
    }
}

/// Cuts a stream of values into records, over pieces of any length.
#[derive(Debug, Default)]
pub(super) struct ValueCutter {
    is_in_array: bool,
    /// A value that has begun: where it began, how far it was read, and the state there.
    open: Option<(usize, usize, Scanner)>,
}

impl ValueCutter {
    /// Appends the records that end in `bytes` from `from` on; gives where the next call must go on: the start of the unfinished
    /// record, or the end.
    pub(super) fn cut(&mut self, bytes: &[u8], from: usize, is_all: bool, records: &mut Vec<Range<usize>>) -> usize {
        let mut at = from;
        loop {
            match self.next_record(bytes, at, is_all) {
                Ok(record) => {
                    at = record.end;
                    records.push(record);
                }
                Err(resume) => return resume,
            }
        }
    }

    /// The next record that ends in `bytes`, or where the next call must go on.
    pub(super) fn next_record(&mut self, bytes: &[u8], from: usize, is_all: bool) -> Result<Range<usize>, usize> {
        let (start, read, mut scanner) = match self.open.take() {
            Some(open) => open,
            None => {
                let at = self.skip_between(bytes, from);
                match bytes.get(at) {
                    Some(b'{' | b'[' | b'"') => (at, at, Scanner::default()),
                    Some(_) => return scalar(bytes, at, is_all).ok_or(at),
                    // The array was cut off between two elements: an empty record tells.
                    None if is_all && std::mem::take(&mut self.is_in_array) => return Ok(at..at),
                    None => return Err(at),
                }
            }
        };
        match scanner.feed(bytes.get(read..).unwrap_or_default()) {
            Some(length) => Ok(start..read + length),
            None => {
                self.open = Some((start, bytes.len(), scanner));
                Err(start)
            }
        }
    }

    /// Tells that the first bytes were dropped.
    pub(super) fn rebase(&mut self, dropped: usize) {
        if let Some((start, read, _)) = self.open.as_mut() {
            *start = start.saturating_sub(dropped);
            *read = read.saturating_sub(dropped);
        }
    }

    fn skip_between(&mut self, bytes: &[u8], mut at: usize) -> usize {
        loop {
            at = scan::skip_white_space(bytes, at);
            match bytes.get(at) {
                Some(b',') => {}
                Some(b'[') if !self.is_in_array => self.is_in_array = true,
                Some(b']') if self.is_in_array => self.is_in_array = false,
                _ => return at,
            }
            at += 1;
        }
    }
}

/// A number or a word, or what stands where one could: at least one byte.
fn scalar(bytes: &[u8], at: usize, is_all: bool) -> Option<Range<usize>> {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| scan::ends_scalar(*byte)).or(is_all.then_some(rest.len()))?;
    Some(at..at + length.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framing(text: &str) -> Option<Framing> {
        Framing::detect(text.as_bytes(), true)
    }

    #[test]
    fn the_first_line_tells_lines_from_values() {
        use Framing::{Lines, Values};
        for (text, expected) in [
            ("", Lines),
            ("{}\n{}\n", Lines),
            ("\n\n {\"a\": \"}\"} \n", Lines),
            ("{}", Lines),
            ("5\n", Lines),
            ("garbage\n", Lines),
            ("{} {}\n", Values),
            ("{\n\"a\": 1}", Values),
            ("{\"a\":\n1}", Values),
            ("{\"a\": 1\n}", Values),
            ("{\"a\": 1\n, \"b\": 2}", Values),
            ("{\"tasks\": [\n{}\n]}", Values),
            ("[{}]\n", Values),
            ("{\"tasks\": [{},\n{}\n]}", Values),
            ("{\"a\": \"to\n{}\n", Lines),
            ("{\"a\": 1,\n{}\n", Lines),
            ("{\n{}\n", Lines),
            ("{\"a\": \"b,\n{}\n", Lines),
        ] {
            assert_eq!(framing(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn asks_for_more_where_the_beginning_does_not_tell() {
        for prefix in ["", "  ", "{\"a\": ", "{}", "{\"a\": 1\n"] {
            assert_eq!(Framing::detect(prefix.as_bytes(), false), None, "{prefix:?}");
        }
    }

    /// Cuts a text that arrives in pieces of the given length.
    fn records(text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut cutter = ValueCutter::default();
        let mut held = Vec::new();
        let mut found = Vec::new();
        let mut at = 0;
        let pieces = text.chunks(piece.max(1)).collect::<Vec<_>>();
        for (index, bytes) in pieces.iter().enumerate() {
            held.extend_from_slice(bytes);
            let mut ranges = Vec::new();
            let end = cutter.cut(&held, at, index + 1 == pieces.len(), &mut ranges);
            found.extend(ranges.into_iter().map(|range| held[range].to_vec()));
            held.drain(..end);
            cutter.rebase(end);
            at = 0;
        }
        found
    }

    proptest! {
        #[test]
        fn values_are_cut_alike_however_the_bytes_arrive(
            values in proptest::collection::vec(r#"\{("[a\\\\"{}\[\]]{0,3}":\[?)?\}|"[a,\]]{0,3}"|12|\[|,|\]|null"#, 0..8),
            piece in 1..9usize,
        ) {
            let text = values.join(" ");
            prop_assert_eq!(records(text.as_bytes(), text.len()), records(text.as_bytes(), piece));
        }
    }
}
