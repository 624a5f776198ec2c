//! An item as bytes: a header, its id, and its JSON, or what tells that it is still where it was left.

use std::cell::Cell;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::parse::{Item, Origin};
use crate::source::Originals;

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

/// What the length of a text has beside it where the text was left in its input, and only its hash is here. A record has at most
/// 2^31 - 1 bytes, so no length has this bit.
const IS_LEFT: u32 = 1 << 31;
const HASH_BYTES: usize = 8;

impl Frame<'_> {
    /// Bytes that an item has as a frame.
    pub fn bytes(item: &Item<'_>) -> usize {
        HEADER_BYTES + item.id.len() + item.raw.len()
    }

    /// Bytes of a frame whose text is left where it came from.
    pub fn bytes_left(item: &Item<'_>) -> usize {
        HEADER_BYTES + item.id.len() + HASH_BYTES
    }

    /// Appends an item as a frame.
    pub fn append(item: &Item<'_>, position: Position, to: &mut Vec<u8>) {
        to.reserve(Frame::bytes(item));
        append_header(item, position, item.raw.len() as u32, to);
        to.extend_from_slice(&item.raw);
    }

    /// Appends an item whose text can be read again at its origin: only what tells that it is still the same.
    pub fn append_left(item: &Item<'_>, position: Position, to: &mut Vec<u8>) {
        to.reserve(Frame::bytes_left(item));
        append_header(item, position, item.raw.len() as u32 | IS_LEFT, to);
        to.extend_from_slice(&xxh3_64(&item.raw).to_le_bytes());
    }
}

fn append_header(item: &Item<'_>, position: Position, raw_bytes: u32, to: &mut Vec<u8>) {
    to.extend_from_slice(&(item.id.len() as u32).to_le_bytes());
    to.extend_from_slice(&raw_bytes.to_le_bytes());
    to.extend_from_slice(&position.block.to_le_bytes());
    to.extend_from_slice(&position.index.to_le_bytes());
    to.extend_from_slice(&item.origin.input.to_le_bytes());
    to.extend_from_slice(&item.origin.line.to_le_bytes());
    to.extend_from_slice(&item.origin.byte.to_le_bytes());
    to.extend_from_slice(item.id.as_bytes());
}

/// The frames of a part with all of their texts.
#[derive(Debug)]
pub struct Loaded {
    pieces: Vec<Vec<u8>>,
    /// The texts that were left in the inputs, one behind the other, and what is left of an earlier part.
    left: Vec<u8>,
}

thread_local! {
    /// Memory for the texts of the next part: fresh memory would have to be cleared first, twice.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most memory that a thread keeps for that.
const KEPT_SPARE_BYTES: usize = 8 * 1024 * 1024;

impl Drop for Loaded {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.left);
        // Where the thread ends there is no next part.
        let _ = SPARE.try_with(|spare| {
            let known = spare.take();
            let is_better = own.len() > known.len() && own.capacity() <= KEPT_SPARE_BYTES;
            spare.set(if is_better { own } else { known });
        });
    }
}

impl Loaded {
    /// Reads the texts that were left in the inputs. Where one is another now, that is an error.
    pub(super) fn of(pieces: Vec<Vec<u8>>, originals: &Originals) -> Result<Loaded> {
        let all = || pieces.iter().flat_map(|piece| packed_frames(piece));
        let left_bytes: usize = all().flatten().map(|packed| packed.left_bytes()).sum();
        let mut left = SPARE.take();
        if left.len() < left_bytes {
            left = vec![0; left_bytes];
        }
        let mut rest = left.as_mut_slice();
        for packed in all() {
            let Packed { origin, text: Text::Left { bytes, hash }, .. } = packed? else { continue };
            let (text, behind) = rest.split_at_mut(bytes);
            originals.read_at(origin.input, origin.byte, text)?;
            if xxh3_64(text) != hash {
                return Err(originals.changed(origin.input, origin.byte));
            }
            rest = behind;
        }
        Ok(Loaded { pieces, left })
    }

    /// The frames, in order. A torn one is an error: what was put into a buffer whole must come back whole.
    pub fn frames(&self) -> impl Iterator<Item = Result<Frame<'_>>> {
        let mut left = self.left.as_slice();
        self.pieces.iter().flat_map(|piece| packed_frames(piece)).map(move |packed| {
            let packed = packed?;
            let raw = match packed.text {
                Text::Here(raw) => raw,
                Text::Left { bytes, .. } => {
                    let (raw, behind) = left.split_at_checked(bytes).unwrap_or_default();
                    left = behind;
                    raw
                }
            };
            Ok(Frame { id: packed.id, raw, position: packed.position, origin: packed.origin })
        })
    }
}

/// A frame as it lies in a buffer.
struct Packed<'a> {
    id: &'a [u8],
    text: Text<'a>,
    position: Position,
    origin: Origin,
}

enum Text<'a> {
    Here(&'a [u8]),
    Left { bytes: usize, hash: u64 },
}

impl Packed<'_> {
    fn left_bytes(&self) -> usize {
        match self.text {
            Text::Here(_) => 0,
            Text::Left { bytes, .. } => bytes,
        }
    }
}

fn packed_frames(bytes: &[u8]) -> impl Iterator<Item = Result<Packed<'_>>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = bytes.len() - rest.len();
        let read = read(rest);
        let torn =
            || Error::Bug { place: "shuffle::frame", found: format!("a torn frame at byte {at} of {}", bytes.len()) };
        let (packed, behind) =
            read.map_or_else(|| (Err(torn()), [].as_slice()), |(packed, behind)| (Ok(packed), behind));
        rest = behind;
        Some(packed)
    })
}

fn read(bytes: &[u8]) -> Option<(Packed<'_>, &[u8])> {
    let (id_bytes, rest) = bytes.split_first_chunk()?;
    let (raw_bytes, rest) = rest.split_first_chunk()?;
    let (block, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (input, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (byte, rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_at_checked(u32::from_le_bytes(*id_bytes) as usize)?;
    let raw_bytes = u32::from_le_bytes(*raw_bytes);
    let bytes = (raw_bytes & !IS_LEFT) as usize;
    let (text, rest) = if raw_bytes & IS_LEFT == 0 {
        rest.split_at_checked(bytes).map(|(raw, rest)| (Text::Here(raw), rest))?
    } else {
        rest.split_first_chunk().map(|(hash, rest)| (Text::Left { bytes, hash: u64::from_le_bytes(*hash) }, rest))?
    };
    let position = Position { block: u64::from_le_bytes(*block), index: u32::from_le_bytes(*index) };
    let origin =
        Origin { input: u32::from_le_bytes(*input), line: u64::from_le_bytes(*line), byte: u64::from_le_bytes(*byte) };
    Some((Packed { id, text, position, origin }, rest))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::partition::Key;
    use crate::source::Input;
    use crate::table::Dataset;

    #[test]
    fn a_text_that_was_left_comes_back_unless_the_file_has_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        write("{\"a\": 1}\n{\"a\": 2}\n");
        let input = Input::File(file.path().to_owned());
        let originals = Originals::of(std::slice::from_ref(&input));
        assert!(originals.keep(3, file.reopen().unwrap(), input.name()));
        let mut bytes = Vec::new();
        for (byte, raw) in [(9, b"{\"a\": 2}".as_slice()), (0, b"{\"a\": 1}")] {
            let origin = Origin { input: 3, line: 1, byte };
            let item =
                Item { key: Key::null(Dataset::Tasks), id: raw.len().to_string().into(), raw: raw.into(), origin };
            Frame::append_left(&item, Position { block: 0, index: 0 }, &mut bytes);
            Frame::append(&item, Position { block: 0, index: 1 }, &mut bytes);
        }
        let loaded = Loaded::of(vec![bytes.clone()], &originals).unwrap();
        let raws = loaded.frames().map(|frame| frame.unwrap().raw.to_vec()).collect::<Vec<_>>();
        assert_eq!(raws, [b"{\"a\": 2}", b"{\"a\": 2}", b"{\"a\": 1}", b"{\"a\": 1}"]);
        for changed in ["{\"a\": 1}\n{\"a\": 3}\n", "{\"a\": 1}\n{\"a\""] {
            write(changed);
            let error = Loaded::of(vec![bytes.clone()], &originals).unwrap_err();
            assert!(error.to_string().contains("found other bytes at byte 9"), "{error}");
        }
    }

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
            let loaded = Loaded::of(vec![bytes.get(..end).unwrap().to_vec()], &Originals::default());
            let is_torn = end % one != 0;
            assert_eq!(loaded.is_err(), is_torn, "{end}");
            let whole = loaded.map_or(0, |loaded| loaded.frames().flatten().count());
            assert_eq!(whole, if is_torn { 0 } else { end / one }, "{end}");
        }
    }
}
