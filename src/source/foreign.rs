//! What an input is that is no text: told by its first bytes, so that it is one message and not a reject a "line".

/// Bytes of a beginning that tell.
pub(super) const ENOUGH_BYTES: usize = 512;

/// Magic numbers at the first byte, with what they stand for and what to do.
const MAGICS: [(&[u8], &str); 24] = [
    (b"\xfd7zXZ\0", "an xz file: decompress it, as with `xz -dc FILE`"),
    (b"BZh", "a bzip2 file: decompress it, as with `bzip2 -dc FILE`"),
    (b"\x04\x22\x4d\x18", "an lz4 file: decompress it, as with `lz4 -dc FILE`"),
    (b"LZIP", "an lzip file: decompress it, as with `lzip -dc FILE`"),
    (b"\x1f\x9d", "a file of `compress`: decompress it, as with `gzip -dc FILE`"),
    (b"\xff\x06\0\0sNaPpY", "a Snappy stream: decompress it first"),
    (b"\x1f\x8b", "a gzip file inside a compressed one: decompress it once, as with `gzip -dc FILE`"),
    (b"\x28\xb5\x2f\xfd", "a zstd file inside a compressed one: decompress it once, as with `zstd -dc FILE`"),
    (b"PK\x03\x04", "a zip archive: unpack it, as with `unzip -p FILE`"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    (b"PAR1", "a Parquet file: tasks come as JSON; a lake is opened by the engines"),
    (b"PARE", "an encrypted Parquet file: tasks come as JSON"),
    (b"ARROW1", "an Arrow file: tasks come as JSON"),
    (b"Obj\x01", "an Avro file: tasks come as JSON"),
    (b"ORC", "an ORC file: tasks come as JSON"),
    (b"SQLite format 3\0", "an SQLite database: tasks come as JSON"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"-----BEGIN PGP", "an encrypted message: decrypt it first"),
];

/// Where a tar archive has its magic number.
const TAR_MAGIC_AT: usize = 257;

/// What an input is, if its beginning shows that it is no text in UTF-8.
pub(super) fn kind(beginning: &[u8]) -> Option<&'static str> {
    if let Some(encoding) = wide_encoding(beginning) {
        return Some(encoding);
    }
    if beginning.get(TAR_MAGIC_AT..).is_some_and(|behind| behind.starts_with(b"ustar")) {
        return Some("a tar archive: unpack it, as with `tar -xOf FILE`");
    }
    if let Some((_, found)) = MAGICS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return Some(found);
    }
    // A byte of zero in the middle of JSON is one broken record; where not even the first byte is of JSON, there are no records.
    let first = beginning.iter().find(|byte| !byte.is_ascii_whitespace())?;
    let is_json = first.is_ascii_graphic() || beginning.starts_with(b"\xef\xbb\xbf");
    (!is_json && beginning.contains(&0)).then_some("binary data")
}

/// UTF-16 and UTF-32, told by their byte order marks, or by the zeros around the first two characters, which in JSON are of ASCII.
fn wide_encoding(beginning: &[u8]) -> Option<&'static str> {
    let first: [u8; 4] = *beginning.first_chunk()?;
    let is_zero = first.map(|byte| byte == 0);
    Some(match (first, is_zero) {
        ([0xff, 0xfe, 0, 0], _) | (_, [false, true, true, true]) => UTF_32_LE,
        ([0, 0, 0xfe, 0xff], _) | (_, [true, true, true, false]) => UTF_32_BE,
        ([0xff, 0xfe, ..], _) | (_, [false, true, false, true]) => UTF_16_LE,
        ([0xfe, 0xff, ..], _) | (_, [true, false, true, false]) => UTF_16_BE,
        _ => return None,
    })
}

const UTF_16_LE: &str = "text in UTF-16: convert it, as with `iconv -f UTF-16LE -t UTF-8`";
const UTF_16_BE: &str = "text in UTF-16: convert it, as with `iconv -f UTF-16BE -t UTF-8`";
const UTF_32_LE: &str = "text in UTF-32: convert it, as with `iconv -f UTF-32LE -t UTF-8`";
const UTF_32_BE: &str = "text in UTF-32: convert it, as with `iconv -f UTF-32BE -t UTF-8`";

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, is_big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn what_is_no_text_is_named() {
        let mut tar = vec![b'a'; 512];
        tar.splice(257..262, *b"ustar");
        let is_named =
            |bytes: &[u8], name: &str| assert!(kind(bytes).is_some_and(|kind| kind.contains(name)), "{name}");
        is_named(b"\xfd7zXZ\0\0", "xz");
        is_named(b"PK\x03\x04\x14", "zip");
        is_named(b"PAR1\x15", "Parquet");
        is_named(&tar, "tar");
        is_named(b"\0\x01\x02\x03", "binary");
        for is_big in [false, true] {
            is_named(&wide("{\"task_id\": \"é\"}", is_big), "UTF-16");
            is_named(&wide("\u{feff}[", is_big), "UTF-16");
        }
        is_named(&"{\"".chars().flat_map(|text| u32::from(text).to_le_bytes()).collect::<Vec<_>>(), "UTF-32");
    }

    #[test]
    fn what_may_be_text_is_left_to_be_read() {
        for text in ["", "\n", "{", "[1]", "{\"a\": 1}", "\u{feff}{}", "garbage", "é", "{\0", "PK", "5\n\0"] {
            assert_eq!(kind(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(kind(b"\xff garbage"), None, "one broken line");
    }
}
