//! The server's words, made fit to be shown: without secrets that it repeats.

use super::client::Key;

/// What stands for a key.
const KEY: &str = "[key]";

/// Characters of a message that are shown.
const MOST_SHOWN: usize = 500;

/// The least characters behind `live_` or `test_` that are taken for a key.
const LEAST_OF_KEY: usize = 6;

/// The text with the key hidden, and anything that looks like one, and the queries of addresses, and what stands under the name of a
/// workspace's token; without control characters, and not too long.
pub(super) fn shown(text: &str, key: &Key) -> String {
    let (redacted, _) = crate::json::redact(text.as_bytes());
    let text = String::from_utf8_lossy(&redacted).replace(key.secret(), KEY);
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some(character) = rest.chars().next() {
        let (hidden, length) = key_like(rest).or_else(|| query_like(rest)).unwrap_or(("", 0));
        let length = if length == 0 { character.len_utf8() } else { length };
        match hidden {
            "" if !character.is_control() => shown.push(character),
            hidden => shown.push_str(hidden),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    match shown.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown,
    }
}

/// A key, or the beginning of one: what Scale's keys look like, whoever's it is.
fn key_like(text: &str) -> Option<(&'static str, usize)> {
    let secret = text.strip_prefix("live_").or_else(|| text.strip_prefix("test_"))?;
    let is_of_key = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    let length = secret.find(|character| !is_of_key(character)).unwrap_or(secret.len());
    (length >= LEAST_OF_KEY).then_some((KEY, "live_".len() + length))
}

/// The query of an address, with the address before it already shown.
fn query_like(text: &str) -> Option<(&'static str, usize)> {
    let query = text.strip_prefix('?')?;
    let length = query.find(|character: char| character.is_whitespace() || "\"'<>".contains(character));
    let query = query.get(..length.unwrap_or(query.len()))?;
    query.contains('=').then_some(("?…", query.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_a_server_repeats_are_hidden() {
        let key = Key::new("live_0123456789abcdef").unwrap();
        for (text, expected) in [
            ("no such task", "no such task"),
            ("bad key live_0123456789abcdef!", "bad key [key]!"),
            ("Bearer live_0123456789abc…", "Bearer [key]…"),
            ("is it test_9876543210?", "is it [key]?"),
            ("xlive_0123456789abcdefx", "x[key]x"),
            ("the live_stream of test_a", "the [key] of test_a"),
            ("see https://x/y?X-Amz-Signature=abc&b=c, why?", "see https://x/y?… why?"),
            ("see https://x/y?sig=abc why? so", "see https://x/y?… why? so"),
            (r#"{"workspace_token": "s"}"#, r#"{"workspace_token": "[redacted]"}"#),
            ("a\u{1b}[2Kb\r\n", "a[2Kb"),
        ] {
            assert_eq!(shown(text, &key), expected);
        }
        let odd = Key::new("a key of another form").unwrap();
        assert_eq!(shown("not a key of another form.", &odd), "not [key].");
        assert_eq!(shown(&"é".repeat(600), &key).chars().count(), 501);
    }
}
