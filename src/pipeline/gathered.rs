//! The parts of a run that are written, in order, and which of them holds which object.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::part::{PartEntry, Written};
use crate::report::DriftReport;
use crate::shuffle::{Index, Position};
use crate::table::Dataset;

/// Written parts by their numbers.
#[derive(Debug)]
pub(super) struct Gathered {
    /// `None`: nothing of it is left.
    parts: Vec<Option<PartEntry>>,
    index: Index,
    drift: Drift,
    scratch: PathBuf,
}

impl Gathered {
    /// Holds at most so many bytes of identities in memory.
    pub(super) fn new(index_bytes: usize, scratch: &Path) -> Gathered {
        let (parts, index) = (Vec::new(), Index::new(index_bytes, scratch));
        Gathered { parts, index, drift: Drift::default(), scratch: scratch.to_owned() }
    }

    /// Takes in the next part.
    pub(super) fn add(&mut self, part: Written) -> Result<()> {
        let Written { number, entry, identities, drift, .. } = part;
        self.note(drift);
        if number as usize != self.parts.len() {
            return Err(bug(format!("part {number} behind {} parts", self.parts.len())));
        }
        self.add_entry(entry, identities)
    }

    /// Takes in what was found in parts.
    pub(super) fn note(&mut self, drift: Drift) {
        self.drift.merge(drift);
    }

    /// Takes in the next part, of which these objects may lie in others too.
    pub(super) fn add_entry(
        &mut self,
        entry: PartEntry,
        identities: impl IntoIterator<Item = (u128, Position)>,
    ) -> Result<()> {
        let number = u32::try_from(self.parts.len()).map_err(|_| bug(format!("{} parts", self.parts.len())))?;
        for (identity, position) in identities {
            let added = self.index.add(entry.key.dataset, identity, position, number);
            added.map_err(Error::file("spill to", &self.scratch))?;
        }
        self.parts.push(Some(entry));
        Ok(())
    }

    /// Writes each part anew, by `rewrite`, without what a later part replaces. Gives the parts, how many tasks were replaced, and the
    /// drift.
    pub(super) fn finish(
        mut self,
        mut rewrite: impl FnMut(&PartEntry, &HashSet<u128>) -> Result<Option<PartEntry>>,
    ) -> Result<(Vec<PartEntry>, u64, DriftReport)> {
        let failed = || Error::file("read back what was spilled to", &self.scratch);
        let mut superseded = 0;
        let mut losers = self.index.losers().map_err(failed())?;
        let mut next = losers.next_loser().map_err(failed())?;
        while let Some(first) = next {
            let mut identities = HashSet::new();
            while let Some(loser) = next.filter(|loser| loser.part == first.part) {
                identities.insert(loser.identity);
                next = losers.next_loser().map_err(failed())?;
            }
            let count = self.parts.len();
            let place = self.parts.get_mut(first.part as usize);
            let Some((place, part)) = place.and_then(|place| {
                let part = place.take()?;
                Some((place, part))
            }) else {
                return Err(bug(format!("an object in part {} of {count}", first.part)));
            };
            if part.key.dataset == Dataset::Tasks {
                superseded += identities.len() as u64;
            }
            *place = rewrite(&part, &identities)?;
        }
        Ok((self.parts.into_iter().flatten().collect(), superseded, DriftReport::of(self.drift)))
    }
}

fn bug(found: String) -> Error {
    Error::Bug { place: "pipeline::gathered", found }
}
