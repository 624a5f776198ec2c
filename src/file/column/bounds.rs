//! Bounds of texts that are not longer than they need be.

/// The longest beginning of a text that has at most so many bytes: not greater than the text.
pub(crate) fn least_within(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
    let end = if text.len() <= bytes { text.len() } else { ends.take_while(|end| *end <= bytes).last().unwrap_or(0) };
    text.get(..end).unwrap_or_default()
}

/// A text of at most some three bytes more that is not less; `None` where there is none.
pub(crate) fn greatest_within(text: &str, bytes: usize) -> Option<String> {
    let beginning = least_within(text, bytes);
    if beginning.len() == text.len() { Some(text.to_owned()) } else { next_greater(beginning) }
}

/// The least text that is greater than every text that begins so.
fn next_greater(prefix: &str) -> Option<String> {
    let mut prefix = prefix.to_owned();
    while let Some(last) = prefix.pop() {
        // Beyond U+D7FF come no characters until U+E000.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_short_and_bounds() {
        for (text, least, greatest) in [
            ("", "", Some("")),
            ("abcd", "abcd", Some("abcd")),
            ("abcde", "abcd", Some("abce")),
            ("abcé", "abc", Some("abd")),
            ("ab\u{d7ff}x", "ab", Some("ac")),
            ("a\u{d7ff}x", "a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{7f}\u{7f}\u{7f}x", "a\u{7f}\u{7f}\u{7f}", Some("a\u{7f}\u{7f}\u{80}")),
            ("\u{10ffff}\u{10ffff}", "\u{10ffff}", None),
        ] {
            assert_eq!((least_within(text, 4), greatest_within(text, 4).as_deref()), (least, greatest), "{text:?}");
            assert!(least <= text && greatest.is_none_or(|greatest| text <= greatest), "{text:?}");
        }
    }
}
