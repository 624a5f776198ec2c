//! Hides secrets in text that may be no JSON at all.

use std::borrow::Cow;

use super::scan;
use super::text::{self, Escape, Stop};
use super::tree::{REDACTED, SECRET_KEY};

/// The text with every value under [`SECRET_KEY`] replaced. Works on torn and broken text too: where a value's end can't be
/// found, everything from its start on is hidden.
pub fn redact(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(bytes, SECRET_KEY.as_bytes()).is_none() && memchr::memmem::find(bytes, b"\\u").is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut redacted = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let start = at + quote;
        let Some(end) = scan::value_end(bytes, start) else {
            break;
        };
        at = end;
        let colon = scan::skip_white_space(bytes, end);
        if bytes.get(colon) != Some(&b':') || !is_secret_key(bytes.get(start + 1..end - 1).unwrap_or_default()) {
            continue;
        }
        let value = scan::skip_white_space(bytes, colon + 1);
        at = scan::value_end(bytes, value).unwrap_or(bytes.len());
        if bytes.get(value..at) != Some(b"null".as_slice()) {
            redacted.extend_from_slice(bytes.get(kept..value).unwrap_or_default());
            redacted.extend_from_slice(format!("\"{REDACTED}\"").as_bytes());
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(bytes);
    }
    redacted.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

fn is_secret_key(key: &[u8]) -> bool {
    if !key.contains(&b'\\') {
        return key == SECRET_KEY.as_bytes();
    }
    let mut plain = String::new();
    let mut from = 0;
    loop {
        let (at, stop) = text::find_stop(key, from);
        plain.push_str(&String::from_utf8_lossy(key.get(from..at).unwrap_or_default()));
        if stop != Stop::Backslash {
            return stop == Stop::End && plain == SECRET_KEY;
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

    #[test]
    fn secrets_go_from_whole_and_from_torn_text() {
        for (text, expected) in [
            (
                r#"{"workspace_token": "s", "x": 1}"#,
                r#"{"workspace_token": "[redacted]", "x": 1}"#,
            ),
            (
                r#"{"workspace_token" : {"a": ["s"]}}"#,
                r#"{"workspace_token" : "[redacted]"}"#,
            ),
            (
                r#"{"workspace_token": 5, "workspace_token": null"#,
                r#"{"workspace_token": "[redacted]", "workspace_token": null"#,
            ),
            (
                r#"{"work\u0073pace_token": "s"}"#,
                r#"{"work\u0073pace_token": "[redacted]"}"#,
            ),
            (
                r#"{"workspace_token": "s and no end"#,
                r#"{"workspace_token": "[redacted]""#,
            ),
            (r#"["workspace_token", "x"]"#, r#"["workspace_token", "x"]"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&redact(text.as_bytes())), expected);
        }
    }
}
