//! An item as bytes: a header, its id, its JSON.

use std::borrow::Cow;

use crate::parse::{Item, Origin};

/// The place of an item among all items of the run. Of two with the same identity, the one with the greater position wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The page that it came with.
    pub page: u64,
    /// Its place among the items of the page.
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
        to.extend_from_slice(&position.page.to_le_bytes());
        to.extend_from_slice(&position.index.to_le_bytes());
        to.extend_from_slice(&item.origin.input.to_le_bytes());
        to.extend_from_slice(&item.origin.line.to_le_bytes());
        to.extend_from_slice(&item.origin.byte.to_le_bytes());
        to.extend_from_slice(id.as_bytes());
        to.extend_from_slice(raw);
    }
}

/// The frames of a buffer, in order.
pub fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (frame, behind) = read(rest)?;
        rest = behind;
        Some(frame)
    })
}

fn read(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (id_bytes, rest) = bytes.split_first_chunk()?;
    let (raw_bytes, rest) = rest.split_first_chunk()?;
    let (page, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (input, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (byte, rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_at_checked(u32::from_le_bytes(*id_bytes) as usize)?;
    let (raw, rest) = rest.split_at_checked(u32::from_le_bytes(*raw_bytes) as usize)?;
    let position = Position { page: u64::from_le_bytes(*page), index: u32::from_le_bytes(*index) };
    let origin =
        Origin { input: u32::from_le_bytes(*input), line: u64::from_le_bytes(*line), byte: u64::from_le_bytes(*byte) };
    Some((Frame { id, raw, position, origin }, rest))
}
