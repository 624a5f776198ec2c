//! The header of a page, in Thrift's compact protocol.

use parquet::basic::Encoding;

use super::hybrid::{write_varint, zigzag};

/// Bytes that a header takes at most: seven numbers, and what tells them apart.
const MOST_BYTES: usize = 64;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The values of a dictionary.
    Dictionary,
    /// Levels and values, or codes.
    Data,
}

/// The facts of a header but for its sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub kind: Kind,
    /// Slots, or values of a dictionary.
    pub count: usize,
    pub encoding: Encoding,
}

// `parquet.thrift`: `PageHeader`, and of its types those that pages are of.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE_HEADER: u8 = 5;
const DICTIONARY_PAGE_HEADER: u8 = 7;
/// The last field before one of the two.
const COMPRESSED_PAGE_SIZE: u8 = 3;
// Thrift's types.
const I32: u8 = 5;
const STRUCT: u8 = 12;
const END: u8 = 0;

impl Header {
    /// The header of a page of these sizes.
    pub(super) fn write(self, bytes: usize, compressed_bytes: usize) -> Vec<u8> {
        let mut to = Vec::with_capacity(MOST_BYTES);
        let (page_type, inner) = match self.kind {
            Kind::Data => (DATA_PAGE, DATA_PAGE_HEADER),
            Kind::Dictionary => (DICTIONARY_PAGE, DICTIONARY_PAGE_HEADER),
        };
        for number in [page_type, bytes as i64, compressed_bytes as i64] {
            next_number(number, &mut to);
        }
        to.push((inner - COMPRESSED_PAGE_SIZE) << 4 | STRUCT);
        next_number(self.count as i64, &mut to);
        next_number(self.encoding as i64, &mut to);
        if self.kind == Kind::Data {
            // Of definition levels and of repetition levels.
            next_number(Encoding::RLE as i64, &mut to);
            next_number(Encoding::RLE as i64, &mut to);
        }
        to.extend([END, END]);
        to
    }
}

/// Appends a field whose number is one more than the last one's.
fn next_number(number: i64, to: &mut Vec<u8>) {
    to.push(1 << 4 | I32);
    write_varint(zigzag(number), to);
}
