//! The insides of JSON strings: where they stop, what their escapes mean, how they are written.

use wide::u8x16;

/// Why a run of plain string characters stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The closing quote.
    Quote,
    /// An escape.
    Backslash,
    /// A character below U+0020, which JSON forbids in strings.
    Control,
    /// The end of the text.
    End,
}

/// Bytes that are looked at at once.
const LANE: usize = 16;

/// The first byte from `from` on that is no plain character of a string, and what it is.
pub fn find_stop(bytes: &[u8], from: usize) -> (usize, Stop) {
    let rest = bytes.get(from..).unwrap_or_default();
    let at = stop_in(rest);
    (from + at, stop_of(rest, at))
}

fn stop_in(bytes: &[u8]) -> usize {
    let (lanes, tail) = bytes.as_chunks::<LANE>();
    for (count, lane) in lanes.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let is_control = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
        let stops = lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\')) | is_control;
        let marks = stops.to_bitmask();
        if marks != 0 {
            return count * LANE + marks.trailing_zeros() as usize;
        }
    }
    let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    bytes.len() - tail.len() + tail.iter().position(is_stop).unwrap_or(tail.len())
}

fn stop_of(bytes: &[u8], at: usize) -> Stop {
    match bytes.get(at) {
        Some(b'"') => Stop::Quote,
        Some(b'\\') => Stop::Backslash,
        Some(_) => Stop::Control,
        None => Stop::End,
    }
}

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A character.
    Character(char),
    /// Half of a surrogate pair without the other half.
    LoneSurrogate,
    /// No escape of JSON.
    Broken,
}

/// Reads the escape that `bytes` begins with; also its length in bytes.
pub fn read_escape(bytes: &[u8]) -> (Escape, usize) {
    let plain = |character| (Escape::Character(character), 2);
    match bytes.get(1) {
        Some(b'n') => plain('\n'),
        Some(b'"') => plain('"'),
        Some(b'\\') => plain('\\'),
        Some(b'/') => plain('/'),
        Some(b't') => plain('\t'),
        Some(b'r') => plain('\r'),
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'u') => read_unicode_escape(bytes),
        _ => (Escape::Broken, 1),
    }
}

fn read_unicode_escape(bytes: &[u8]) -> (Escape, usize) {
    let Some(unit) = hex_unit(bytes, 2) else {
        return (Escape::Broken, 2);
    };
    if let Some(character) = char::from_u32(unit) {
        return (Escape::Character(character), 6);
    }
    let low = match bytes.get(6..8) {
        Some(b"\\u") if unit < 0xdc00 => hex_unit(bytes, 8).filter(|low| (0xdc00..0xe000).contains(low)),
        _ => None,
    };
    let paired = low.and_then(|low| char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)));
    paired.map_or((Escape::LoneSurrogate, 6), |character| (Escape::Character(character), 12))
}

fn hex_unit(bytes: &[u8], from: usize) -> Option<u32> {
    let digits = bytes.get(from..from + 4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + (digit as char).to_digit(16)?))
}

/// The UTF-16 of a string as JSON spells it, in its quotes: what tells strings with lone surrogates apart.
pub fn units(spelled: &[u8]) -> Vec<u16> {
    let mut units = Vec::new();
    let mut rest = spelled;
    while let Some(&byte) = rest.first() {
        let plain = rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len());
        if byte != b'\\' {
            units.extend(String::from_utf8_lossy(rest.get(..plain).unwrap_or_default()).encode_utf16());
            rest = rest.get(plain..).unwrap_or_default();
            continue;
        }
        let (escape, length) = read_escape(rest);
        match escape {
            Escape::Character(character) => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            Escape::LoneSurrogate | Escape::Broken => {
                units.extend(hex_unit(rest, 2).and_then(|unit| u16::try_from(unit).ok()));
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    units
}

/// Appends a string as JSON, in quotes.
pub fn write_string(text: &str, to: &mut String) {
    to.push('"');
    let mut from = 0;
    loop {
        let (at, stop) = find_stop(text.as_bytes(), from);
        to.push_str(text.get(from..at).unwrap_or_default());
        match (stop, text.as_bytes().get(at)) {
            (Stop::End, _) | (_, None) => break,
            (_, Some(b'"')) => to.push_str("\\\""),
            (_, Some(b'\\')) => to.push_str("\\\\"),
            (_, Some(b'\n')) => to.push_str("\\n"),
            (_, Some(b'\r')) => to.push_str("\\r"),
            (_, Some(b'\t')) => to.push_str("\\t"),
            (_, Some(control)) => {
                to.push_str("\\u00");
                to.extend([control >> 4, control & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
            }
        }
        from = at + 1;
    }
    to.push('"');
}
