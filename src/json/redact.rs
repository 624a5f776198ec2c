//! Hides secrets in text that may be no JSON at all.

use std::borrow::Cow;

use bumpalo::Bump;
use memchr::memmem;

use super::scan;
use super::text::{self, Escape, Stop};
use super::tree::{self, REDACTED, SECRET_KEY};

/// The text with every value under [`SECRET_KEY`] replaced.
///
/// In text that is JSON, just the values go. In any other text nobody can tell where a value ends, or what is a key: there
/// everything behind the first thing that looks like the key is hidden. Tells also whether that was so.
pub fn redact(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let Some(suspicion) = find_key(bytes) else {
        return (Cow::Borrowed(bytes), false);
    };
    let is_json = std::str::from_utf8(bytes).is_ok_and(|text| tree::read(text, MOST_LEVELS, &Bump::new()).is_ok());
    if is_json {
        return (redact_values(bytes), false);
    }
    let mut kept = bytes.get(..suspicion).unwrap_or_default().to_vec();
    kept.extend_from_slice(REDACTED.as_bytes());
    (Cow::Owned(kept), true)
}

/// Deeper text is treated as no JSON.
const MOST_LEVELS: usize = 256;

/// The end of the first thing that looks like the key: plain, with some of its characters as `\u` escapes, with any number of
/// backslashes before these (JSON inside JSON strings), or in UTF-16.
fn find_key(bytes: &[u8]) -> Option<usize> {
    let is_plain = memmem::find(bytes, b"\\u00").is_none() && !bytes.contains(&0);
    if is_plain {
        return memmem::find(bytes, SECRET_KEY.as_bytes()).map(|start| start + SECRET_KEY.len());
    }
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
