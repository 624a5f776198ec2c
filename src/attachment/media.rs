//! What bytes are, told by themselves: what a server or a task says of them may be anything.

/// How many of the first bytes tell.
pub(super) const TELLING_BYTES: usize = 8192;

/// Their media type: `application/octet-stream` where nothing tells.
pub(super) fn media_type(head: &[u8]) -> &'static str {
    match infer::get(head) {
        Some(kind) => kind.mime_type(),
        None if is_text(head) => "text/plain",
        None => "application/octet-stream",
    }
}

/// Whether bytes, which may be cut within a character, are text in UTF-8.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            head.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_of_text = |character: char| !character.is_control() || "\t\n\r\u{c}".contains(character);
    !head.is_empty() && text.chars().all(is_of_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_they_are() {
        for (head, expected) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/x-wav"),
            ("Grüße\n".as_bytes(), "text/plain"),
            (&"Grüße".as_bytes()[..3], "text/plain"),
            (b"\x01\x02\x03", "application/octet-stream"),
            (b"", "application/octet-stream"),
            (b"abc\0", "application/octet-stream"),
        ] {
            assert_eq!(media_type(head), expected, "{head:?}");
        }
    }
}
