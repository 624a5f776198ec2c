//! What comes from the data, on its way to a terminal.

use std::borrow::Cow;

/// The text in one line, with every character escaped that a terminal would act on, or that shows nothing: control characters, and those
/// that turn or hide what stands beside them.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_active(character) { escaped.extend(character.escape_default()) } else { escaped.push(character) }
    }
    Cow::Owned(escaped)
}

/// The same, and not longer than so many characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    let text = line(text);
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.into_owned(),
    }
}

fn is_active(character: char) -> bool {
    let is_invisible = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    character.is_control() || is_invisible
}

/// JSON, of any layout, with the same characters escaped where JSON itself leaves them as they are.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let is_left = |character: char| character != '\n' && is_active(character);
    if !text.contains(is_left) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_left(character) {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        for (text, expected) in [
            ("plain é 愛 😀 \\ \"", "plain é 愛 😀 \\ \""),
            ("a\u{1b}[2K\u{1b}[1A", "a\\u{1b}[2K\\u{1b}[1A"),
            ("\u{1b}]0;title\u{7}\u{9b}31m\u{7f}", "\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{7f}"),
            ("one\r\ntwo\t", "one\\r\\ntwo\\t"),
            ("abc\u{202e}def\u{200b}", "abc\\u{202e}def\\u{200b}"),
        ] {
            assert_eq!(line(text), expected);
        }
        assert_eq!(json("{\n\"\u{9b}1A é\u{202e}\u{e0001}\"}"), "{\n\"\\u009b1A é\\u202e\\udb40\\udc01\"}");
    }
}
