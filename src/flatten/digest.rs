//! What tells the content of an attachment from others.

use std::convert::Infallible;
use std::fmt::Write;
use std::io::{ErrorKind, Read};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use sha2::{Digest as _, Sha256};

use super::fields::Workbench;

/// The bytes of a content, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest<'a> {
    /// SHA-256 of them, in hex.
    pub sha256: &'a str,
    /// How many there are.
    pub bytes: i64,
}

/// That of RFC 4648, with or without padding.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes that are decoded at a time: a content may be larger than what else memory holds.
const BUFFER_BYTES: usize = 16 << 10;

/// Hands out what base64 stands for, piece by piece; false where it is none.
pub(crate) fn decode_base64<E>(base64: &str, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<bool, E> {
    let mut decoded = DecoderReader::new(base64.as_bytes(), &BASE64);
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match decoded.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(read) => each(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
}

impl<'a> Digest<'a> {
    /// Of what base64 stands for; `None` where it is none.
    pub(super) fn of_base64(base64: &str, bench: &'a Workbench) -> Option<Digest<'a>> {
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let is_base64 = decode_base64(base64, |piece| {
            hash.update(piece);
            bytes += piece.len() as i64;
            Ok::<_, Infallible>(())
        });
        let hash = is_base64.unwrap_or_default().then(|| hash.finalize())?;
        // Writing into memory does not fail.
        let sha256 = bench.write(|text| hash.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap_or_default()));
        Some(Digest { sha256, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_a_digest_with_padding_or_without_and_nothing_else_has() {
        let bench = Workbench::default();
        // printf hello | sha256sum
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for text in ["aGVsbG8=", "aGVsbG8"] {
            assert_eq!(Digest::of_base64(text, &bench), Some(Digest { sha256: hello, bytes: 5 }), "{text}");
        }
        // printf '' | sha256sum
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of_base64("", &bench), Some(Digest { sha256: nothing, bytes: 0 }));
        for text in ["hello!", "aGVsbG8==", "a", "data:text/plain;base64,aGVsbG8=", "aGVs bG8="] {
            assert_eq!(Digest::of_base64(text, &bench), None, "{text}");
        }
        // head -c 100000 /dev/zero | sha256sum
        let zeros = "9192c25b734fcbadbe32dadc28089c60db0e39f90cc20ce2e5733f57261acc0c";
        let text = "A".repeat(133_332) + "AA==";
        assert_eq!(Digest::of_base64(&text, &bench), Some(Digest { sha256: zeros, bytes: 100_000 }));
    }
}
