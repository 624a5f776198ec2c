//! An item as bytes: a header, its id, its JSON.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::parse::{Item, Origin};

/// The place of an item among all items of the run. Of two with the same identity, the one with the greater position wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The block that it came with.
    pub block: u64,
    /// Its place among the items of the block.
    pub index: u32,
}

/// An item in a partition's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its identity.
    pub id: &'a [u8],
    /// Its JSON as it came.
    pub raw: &'a [u8],
    /// Its place in the run.
    pub position: Position,
    /// Where it came from.
    pub origin: Origin,
}

/// Bytes of the header: two lengths and the four numbers that tell where the item came from.
const HEADER_BYTES: usize = 4 + 4 + 8 + 4 + 4 + 8 + 8;

impl Frame<'_> {
    /// Bytes that an item has as a frame.
    pub fn bytes(item: &Item<'_>) -> usize {
        HEADER_BYTES + item.id.len() + item.raw.len()
    }

    /// Appends an item as a frame.
    pub fn append(item: &Item<'_>, position: Position, to: &mut Vec<u8>) {
        let (id, raw): (&str, &Cow<'_, [u8]>) = (&item.id, &item.raw);
        to.reserve(Frame::bytes(item));
        // A record has at most 2^31 - 1 bytes, so these lengths fit.
        to.extend_from_slice(&(id.len() as u32).to_le_bytes());
        to.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        to.extend_from_slice(&position.block.to_le_bytes());
        to.extend_from_slice(&position.index.to_le_bytes());
        to.extend_from_slice(&item.origin.input.to_le_bytes());
        to.extend_from_slice(&item.origin.line.to_le_bytes());
        to.extend_from_slice(&item.origin.byte.to_le_bytes());
        to.extend_from_slice(id.as_bytes());
        to.extend_from_slice(raw);
    }
}

/// The frames of a buffer, in order. A torn one is an error: what was put there whole must come back whole.
pub fn frames(bytes: &[u8]) -> impl Iterator<Item = Result<Frame<'_>>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = bytes.len() - rest.len();
        let read = read(rest);
        rest = read.map_or(&[], |(_, behind)| behind);
        let torn =
            || Error::Bug { place: "shuffle::frame", found: format!("a torn frame at byte {at} of {}", bytes.len()) };
        Some(read.map(|(frame, _)| frame).ok_or_else(torn))
    })
}

fn read(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (id_bytes, rest) = bytes.split_first_chunk()?;
    let (raw_bytes, rest) = rest.split_first_chunk()?;
    let (block, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (input, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (byte, rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_at_checked(u32::from_le_bytes(*id_bytes) as usize)?;
    let (raw, rest) = rest.split_at_checked(u32::from_le_bytes(*raw_bytes) as usize)?;
    let position = Position { block: u64::from_le_bytes(*block), index: u32::from_le_bytes(*index) };
    let origin =
        Origin { input: u32::from_le_bytes(*input), line: u64::from_le_bytes(*line), byte: u64::from_le_bytes(*byte) };
    Some((Frame { id, raw, position, origin }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Key;
    use crate::table::Dataset;

    #[test]
    fn a_torn_frame_is_an_error_and_not_an_end() {
        let origin = Origin { input: 1, line: 2, byte: 3 };
        let key = Key::null(Dataset::Tasks);
        let item = Item { key, id: Cow::Borrowed("id"), raw: Cow::Borrowed(b"{}".as_slice()), origin };
        let mut bytes = Vec::new();
        Frame::append(&item, Position { block: 4, index: 5 }, &mut bytes);
        let one = bytes.len();
        Frame::append(&item, Position { block: 4, index: 6 }, &mut bytes);
        for end in 0..=bytes.len() {
            let read = frames(bytes.get(..end).unwrap()).collect::<Vec<_>>();
            let whole = read.iter().flatten().count();
            let is_torn = end % one != 0;
            assert_eq!((whole, read.len()), (end / one, end / one + usize::from(is_torn)), "{end}");
        }
    }
}
