//! Which part holds which object, so that of two with the same identity the later one wins, wherever they lie.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::frame::Position;
use super::sorter::{Sorted, Sorter};
use crate::table::Dataset;

/// The identity of an object in 128 bits.
pub fn identity(id: &[u8]) -> u128 {
    xxh3_128(id)
}

/// Dataset, identity, position (page, index), part: big-endian, so that bytes sort as the numbers do.
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
        let mut entry = Vec::with_capacity(ENTRY_BYTES);
        entry.push(dataset as u8);
        entry.extend_from_slice(&identity.to_be_bytes());
        entry.extend_from_slice(&position.page.to_be_bytes());
        entry.extend_from_slice(&position.index.to_be_bytes());
        entry.extend_from_slice(&part.to_be_bytes());
        entry.try_into().map_or(Ok(()), |entry| self.entries.push(entry))
    }

    /// The objects that later ones replace, ordered by part.
    pub fn losers(self) -> io::Result<Losers> {
        let Index { entries, mut losers } = self;
        let mut sorted = entries.sorted()?;
        let mut earlier: Option<[u8; ENTRY_BYTES]> = None;
        while let Some(entry) = sorted.next_record()? {
            if let Some(loser) = earlier.and_then(|earlier| loser(&earlier, &entry)) {
                losers.push(loser)?;
            }
            earlier = Some(entry);
        }
        Ok(Losers { sorted: losers.sorted()? })
    }
}

/// The earlier of two neighbours, if both are the same object.
fn loser(earlier: &[u8; ENTRY_BYTES], later: &[u8; ENTRY_BYTES]) -> Option<[u8; LOSER_BYTES]> {
    let object = ..1 + 16;
    let is_same = earlier.get(object) == later.get(object);
    let loser = [earlier.get(ENTRY_BYTES - 4..)?, earlier.get(1..1 + 16)?].concat();
    is_same.then(|| loser.try_into().ok()).flatten()
}

/// Objects that later ones replace, ordered by part.
#[derive(Debug)]
pub struct Losers {
    sorted: Sorted<LOSER_BYTES>,
}

impl Losers {
    /// The next one.
    pub fn next_loser(&mut self) -> io::Result<Option<Loser>> {
        let loser = self.sorted.next_record()?;
        Ok(loser.and_then(|bytes| {
            let (part, identity) = bytes.split_first_chunk()?;
            Some(Loser { part: u32::from_be_bytes(*part), identity: u128::from_be_bytes(identity.try_into().ok()?) })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_equal_objects_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::new(1024, folder.path());
        let at = |page, index| Position { page, index };
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
