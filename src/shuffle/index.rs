//! Which part holds which object, so that of two with the same identity the later one wins, wherever they lie.

use std::io::{self, Read, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::frame::Position;
use super::sorter::{Sorted, Sorter};
use crate::table::Dataset;

/// The identity of an object in 128 bits.
pub fn identity(id: &[u8]) -> u128 {
    xxh3_128(id)
}

/// Dataset, identity, position (block, index), part: big-endian, so that bytes sort as the numbers do.
const ENTRY_BYTES: usize = 1 + 16 + 8 + 4 + 4;
/// Part, identity.
const LOSER_BYTES: usize = 4 + 16;

/// Collects where every object went.
#[derive(Debug)]
pub struct Index {
    entries: Sorter<ENTRY_BYTES>,
    losers: Sorter<LOSER_BYTES>,
}

/// An object that a later one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The part that it lies in.
    pub part: u32,
    /// Its identity.
    pub identity: u128,
}

impl Index {
    /// Holds at most so many bytes in memory.
    pub fn new(held_bytes: usize, folder: &Path) -> Index {
        Index { entries: Sorter::new(held_bytes / 2, folder), losers: Sorter::new(held_bytes / 2, folder) }
    }

    /// Notes an object. A part names each identity once.
    pub fn add(&mut self, dataset: Dataset, identity: u128, position: Position, part: u32) -> io::Result<()> {
        self.entries.push(record(&[
            &[dataset as u8],
            &identity.to_be_bytes(),
            &position.block.to_be_bytes(),
            &position.index.to_be_bytes(),
            &part.to_be_bytes(),
        ])?)
    }

    /// The objects that later ones replace, ordered by part.
    pub fn losers(self) -> io::Result<Losers> {
        let Index { entries, mut losers } = self;
        let mut sorted = entries.sorted()?;
        let mut earlier: Option<Entry> = None;
        while let Some(bytes) = sorted.next_record()? {
            let entry = Entry::of(&bytes)?;
            if let Some(earlier) = earlier.filter(|earlier| earlier.object() == entry.object()) {
                losers.push(record(&[&earlier.part.to_be_bytes(), &earlier.identity.to_be_bytes()])?)?;
            }
            earlier = Some(entry);
        }
        Ok(Losers { sorted: losers.sorted()? })
    }
}

/// Where an object went.
struct Entry {
    dataset: u8,
    identity: u128,
    part: u32,
}

impl Entry {
    fn of(bytes: &[u8]) -> io::Result<Entry> {
        let mut rest = bytes;
        let [dataset] = take(&mut rest)?;
        let identity = u128::from_be_bytes(take(&mut rest)?);
        let (_block, _index): ([u8; 8], [u8; 4]) = (take(&mut rest)?, take(&mut rest)?);
        Ok(Entry { dataset, identity, part: u32::from_be_bytes(take(&mut rest)?) })
    }

    fn object(&self) -> (u8, u128) {
        (self.dataset, self.identity)
    }
}

/// The fields as one record, which they must fill.
fn record<const N: usize>(fields: &[&[u8]]) -> io::Result<[u8; N]> {
    let mut record = [0; N];
    let mut rest = record.as_mut_slice();
    fields.iter().try_for_each(|field| rest.write_all(field))?;
    if rest.is_empty() { Ok(record) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The next bytes of a record.
fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    rest.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Objects that later ones replace, ordered by part.
#[derive(Debug)]
pub struct Losers {
    sorted: Sorted<LOSER_BYTES>,
}

impl Losers {
    /// The next one.
    pub fn next_loser(&mut self) -> io::Result<Option<Loser>> {
        let Some(bytes) = self.sorted.next_record()? else { return Ok(None) };
        let mut rest = bytes.as_slice();
        let part = u32::from_be_bytes(take(&mut rest)?);
        Ok(Some(Loser { part, identity: u128::from_be_bytes(take(&mut rest)?) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_equal_objects_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::new(1024, folder.path());
        let at = |block, index| Position { block, index };
        for number in 0..1000u32 {
            index.add(Dataset::Tasks, number.into(), at(5, number), number % 7).unwrap();
        }
        // The same identities in other datasets are other objects.
        index.add(Dataset::Projects, 1, at(9, 0), 7).unwrap();
        index.add(Dataset::Tasks, 1, at(4, 9), 8).unwrap();
        index.add(Dataset::Tasks, 2, at(6, 0), 9).unwrap();
        index.add(Dataset::Tasks, 2, at(7, 0), 10).unwrap();
        let mut losers = index.losers().unwrap();
        let mut found = Vec::new();
        while let Some(loser) = losers.next_loser().unwrap() {
            found.push((loser.part, loser.identity));
        }
        assert_eq!(found, [(2, 2), (8, 1), (9, 2)]);
    }
}
