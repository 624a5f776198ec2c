//! Sorts any number of short records within a fixed amount of memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Records of `N` bytes, to be sorted as bytes.
#[derive(Debug)]
pub(super) struct Sorter<const N: usize> {
    held: Vec<[u8; N]>,
    most_held: usize,
    folder: PathBuf,
    file: Option<File>,
    /// Where each sorted run ends in the file.
    run_ends: Vec<u64>,
}

impl<const N: usize> Sorter<N> {
    /// Holds at most so many bytes; the rest goes to a nameless file in the folder.
    pub(super) fn new(held_bytes: usize, folder: &Path) -> Sorter<N> {
        let most_held = (held_bytes / N).max(1);
        Sorter { held: Vec::new(), most_held, folder: folder.to_owned(), file: None, run_ends: Vec::new() }
    }

    pub(super) fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        if self.held.len() == self.most_held {
            self.write_run()?;
        }
        self.held.push(record);
        Ok(())
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder)?);
        }
        let start = self.run_ends.last().copied().unwrap_or(0);
        let bytes = self.held.as_flattened();
        if let Some(file) = &self.file {
            file.write_all_at(bytes, start)?;
        }
        self.run_ends.push(start + bytes.len() as u64);
        self.held.clear();
        Ok(())
    }

    /// All records in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.held.sort_unstable();
        let mut runs = vec![Run { records: self.held.into_iter(), next: 0, end: 0 }];
        let mut start = 0;
        for &end in &self.run_ends {
            runs.push(Run { records: Vec::new().into_iter(), next: start, end });
            start = end;
        }
        let window_records = (self.most_held / runs.len()).max(1);
        let mut sorted = Sorted { file: self.file, runs, heads: BinaryHeap::new(), window_records };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

#[derive(Debug)]
struct Run<const N: usize> {
    records: std::vec::IntoIter<[u8; N]>,
    next: u64,
    end: u64,
}

/// Merges sorted runs.
#[derive(Debug)]
pub(super) struct Sorted<const N: usize> {
    file: Option<File>,
    runs: Vec<Run<N>>,
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
    /// Records that a run reads at once: all runs together as many as may be held.
    window_records: usize,
}

impl<const N: usize> Sorted<N> {
    pub(super) fn next_record(&mut self) -> io::Result<Option<[u8; N]>> {
        let Some(Reverse((record, run))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some(record))
    }

    fn advance(&mut self, index: usize) -> io::Result<()> {
        let Some(run) = self.runs.get_mut(index) else {
            return Ok(());
        };
        if let (0, Some(file)) = (run.records.len(), &self.file) {
            let records = (((run.end - run.next) / N as u64) as usize).min(self.window_records);
            let mut window = vec![[0; N]; records];
            file.read_exact_at(window.as_flattened_mut(), run.next)?;
            run.next += (records * N) as u64;
            run.records = window.into_iter();
        }
        if let Some(record) = run.records.next() {
            self.heads.push(Reverse((record, index)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_more_than_it_may_hold() {
        let folder = tempfile::tempdir().unwrap();
        // 64 records of 8 bytes at a time, so that there are many runs, each longer than nothing and one of them in memory.
        let mut sorter = Sorter::<8>::new(512, folder.path());
        let mut expected = Vec::new();
        for index in 0u64..10_007 {
            let record = (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5000).to_be_bytes();
            sorter.push(record).unwrap();
            expected.push(record);
        }
        expected.sort_unstable();
        let mut sorted = sorter.sorted().unwrap();
        let mut found = Vec::new();
        while let Some(record) = sorted.next_record().unwrap() {
            found.push(record);
        }
        assert!(found == expected);
    }
}
