//! Hides secrets in text that may be no JSON at all.

use std::borrow::Cow;

use memchr::memmem;
use serde::de::IgnoredAny;

use super::scan;
use super::text::{self, Escape, Stop};
use super::tree::{REDACTED, SECRET_KEY};

/// The text with every value under [`SECRET_KEY`] replaced.
///
/// In text that is JSON, just the values go. In any other text nobody can tell where a value ends, or what is a key: there
/// everything behind the first thing that looks like the key is hidden. Tells also whether that was so.
pub fn redact(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let is_plain = is_plain(bytes);
    let Some(suspicion) = (if is_plain { find_plain_key(bytes) } else { find_key(bytes) }) else {
        return (Cow::Borrowed(bytes), false);
    };
    if is_json(bytes) {
        let redacted = if is_plain { redact_plain(bytes) } else { redact_values(bytes) };
        return (redacted, false);
    }
    let mut kept = bytes.get(..suspicion).unwrap_or_default().to_vec();
    kept.extend_from_slice(REDACTED.as_bytes());
    (Cow::Owned(kept), true)
}

/// Told without making anything of it: a page of the API is looked through before it is written to disk.
fn is_json(bytes: &[u8]) -> bool {
    simdutf8::basic::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Whether no character can be spelled as an escape of its number, nor in UTF-16.
fn is_plain(bytes: &[u8]) -> bool {
    memchr::memchr(0, bytes).is_none() && memmem::find(bytes, b"\\u00").is_none()
}

/// The end of the first thing that looks like the key, in plain text.
fn find_plain_key(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, SECRET_KEY.as_bytes()).map(|start| start + SECRET_KEY.len())
}

/// The same in any text: plain, with some of its characters as `\u` escapes, with any number of backslashes before these (JSON inside
/// JSON strings), or in UTF-16.
fn find_key(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    // Nearly all places are passed by this search.
    while let Some(next) = memchr::memchr2(b'w', b'\\', bytes.get(start..)?) {
        start += next;
        if let Some(end) = key_at(bytes, start) {
            return Some(end);
        }
        let slashes = bytes.get(start..)?.iter().take_while(|byte| **byte == b'\\').count();
        start += slashes.max(1);
    }
    None
}

fn key_at(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for (index, wanted) in SECRET_KEY.bytes().enumerate() {
        while index > 0 && bytes.get(at) == Some(&0) {
            at += 1;
        }
        let slashes = bytes.get(at..)?.iter().take_while(|byte| **byte == b'\\').count();
        if slashes == 0 {
            (*bytes.get(at)? == wanted).then_some(())?;
            at += 1;
            continue;
        }
        let escape = bytes.get(at + slashes..at + slashes + 5)?;
        let digits = std::str::from_utf8(escape.strip_prefix(b"u")?).ok()?;
        (u32::from_str_radix(digits, 16).ok()? == u32::from(wanted)).then_some(())?;
        at += slashes + 5;
    }
    Some(at)
}

/// The same of JSON whose keys are spelled plainly: then each is found by its letters, and nothing else needs to be looked at. Behind a
/// backslash a quote is within a string, and any other quote begins or ends one: so what stands between two is a whole string.
fn redact_plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    let quoted = format!("\"{SECRET_KEY}\"");
    let mut replaced = Vec::new();
    let mut kept = 0;
    for start in memmem::find_iter(bytes, quoted.as_bytes()) {
        let is_within_string = start.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\\');
        let colon = scan::skip_white_space(bytes, start + quoted.len());
        if start < kept || is_within_string || bytes.get(colon) != Some(&b':') {
            continue;
        }
        let value = scan::skip_white_space(bytes, colon + 1);
        let end = scan::value_end(bytes, value).unwrap_or(bytes.len());
        if bytes.get(value..end) != Some(b"null") {
            if replaced.is_empty() {
                replaced.reserve(bytes.len() + REDACTED.len());
            }
            replaced.extend_from_slice(bytes.get(kept..value).unwrap_or_default());
            [b"\"", REDACTED.as_bytes(), b"\""].into_iter().for_each(|piece| replaced.extend_from_slice(piece));
            kept = end;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(bytes);
    }
    replaced.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Cow::Owned(replaced)
}

fn redact_values(bytes: &[u8]) -> Cow<'_, [u8]> {
    let quoted = format!("\"{REDACTED}\"");
    replace_values(bytes, SECRET_KEY, |value| (value != b"null").then_some(quoted.as_bytes()))
}

/// Text that is JSON, with values under a key, at any depth, replaced by what `with` gives for them.
pub fn replace_values<'t, 'w>(bytes: &'t [u8], key: &str, with: impl Fn(&[u8]) -> Option<&'w [u8]>) -> Cow<'t, [u8]> {
    let mut replaced = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let start = at + quote;
        let Some(end) = scan::value_end(bytes, start) else {
            break;
        };
        at = end;
        let colon = scan::skip_white_space(bytes, end);
        if bytes.get(colon) != Some(&b':') || !is_key(bytes.get(start + 1..end - 1).unwrap_or_default(), key) {
            continue;
        }
        let value = scan::skip_white_space(bytes, colon + 1);
        let value_end = scan::value_end(bytes, value).unwrap_or(bytes.len());
        match with(bytes.get(value..value_end).unwrap_or_default()) {
            Some(other) => {
                replaced.extend_from_slice(bytes.get(kept..value).unwrap_or_default());
                replaced.extend_from_slice(other);
                (kept, at) = (value_end, value_end);
            }
            // There may be more within it.
            None => at = value,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(bytes);
    }
    replaced.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Cow::Owned(replaced)
}

fn is_key(key: &[u8], wanted: &str) -> bool {
    if !key.contains(&b'\\') {
        return key == wanted.as_bytes();
    }
    let mut plain = String::new();
    let mut from = 0;
    loop {
        let (at, stop) = text::find_stop(key, from);
        plain.push_str(&String::from_utf8_lossy(key.get(from..at).unwrap_or_default()));
        if stop != Stop::Backslash {
            return stop == Stop::End && plain == wanted;
        }
        let (Escape::Character(character), length) = text::read_escape(key.get(at..).unwrap_or_default()) else {
            return false;
        };
        plain.push(character);
        from = at + length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn redacted(text: &str) -> (String, bool) {
        let (bytes, is_cut) = redact(text.as_bytes());
        (String::from_utf8_lossy(&bytes).into_owned(), is_cut)
    }

    #[test]
    fn values_go_from_json_and_nothing_else() {
        for (text, expected) in [
            (r#"{"workspace_token": "s", "x": 1}"#, r#"{"workspace_token": "[redacted]", "x": 1}"#),
            (r#"{"workspace_token" : {"a": ["s"]}}"#, r#"{"workspace_token" : "[redacted]"}"#),
            (
                r#"{"workspace_token": 5, "y": {"workspace_token": null}}"#,
                r#"{"workspace_token": "[redacted]", "y": {"workspace_token": null}}"#,
            ),
            (r#"{"work\u0073pace_token": "s"}"#, r#"{"work\u0073pace_token": "[redacted]"}"#),
            (r#"["workspace_token", "x"]"#, r#"["workspace_token", "x"]"#),
        ] {
            assert_eq!(redacted(text), (expected.to_owned(), false));
        }
    }

    /// JSON with the key in every place, and what could be taken for it.
    fn with_secrets() -> impl Strategy<Value = Value> {
        let word =
            prop_oneof![Just("workspace_token"), Just("\"workspace_token\":"), Just("workspace_token\\"), Just("x")];
        let word = word.prop_map(str::to_owned);
        let leaf =
            prop_oneof![Just(Value::Null), any::<u8>().prop_map(Value::from), word.clone().prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(word.clone(), inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn expected(value: Value) -> Value {
        match value {
            Value::Array(elements) => elements.into_iter().map(expected).collect(),
            Value::Object(members) => {
                let member = |(key, value): (String, Value)| {
                    let is_secret = key == SECRET_KEY && !value.is_null();
                    let value = if is_secret { Value::from(REDACTED) } else { expected(value) };
                    (key, value)
                };
                Value::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn all_secrets_of_json_go_and_nothing_else(value in with_secrets(), is_pretty: bool, is_spelled: bool) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            // Spelled with an escape, so that the other way is taken.
            let text = if is_spelled { text.replacen("workspace_token", "w\\u006frkspace_token", 1) } else { text };
            let (found, is_cut) = redact(text.as_bytes());
            prop_assert!(!is_cut);
            prop_assert_eq!(serde_json::from_slice::<Value>(&found).unwrap(), expected(value));
        }
    }

    #[test]
    fn broken_text_ends_where_a_secret_may_begin() {
        for text in [
            r#"llo world","workspace_token":"CANARY"}"#,
            r#"{"a":"x"y","workspace_token":"CANARY"}"#,
            "'workspace_token':'CANARY'",
            r#"{workspace_token="CANARY""#,
            r#"{"workspace_token":["CANARY"},{"a":"CANARY"}]"#,
            r#"{"work\u0073pace_token": "CANARY"#,
            r#"{"raw": "{\"workspace_token\": \"CANARY\"}" oops"#,
            r#"{"raw": "{\"w\\u006frkspace_token\": \"CANARY\"}" oops"#,
            "w\0o\0r\0k\0s\0p\0a\0c\0e\0_\0t\0o\0k\0e\0n\0:\0C\0A\0N\0A\0R\0Y\0",
        ] {
            let (found, is_cut) = redacted(text);
            assert!(is_cut && found.ends_with(REDACTED) && !found.contains('C'), "{text}: {found}");
        }
        assert_eq!(redacted(r#"{"a": 1"#), (r#"{"a": 1"#.to_owned(), false));
    }
}
