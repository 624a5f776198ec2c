//! Results that come in any order, handed on in the order of their numbers.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Numbered results: those that came too early wait here.
#[derive(Debug)]
pub(super) struct Sequence<T> {
    what: &'static str,
    early: BTreeMap<u64, T>,
    next: u64,
}

impl<T> Sequence<T> {
    /// Of results of this kind, from number 0 on.
    pub(super) fn of(what: &'static str) -> Sequence<T> {
        Sequence { what, early: BTreeMap::new(), next: 0 }
    }

    /// Takes a result in. One that came before is an error.
    pub(super) fn push(&mut self, number: u64, result: T) -> Result<()> {
        if number < self.next || self.early.insert(number, result).is_some() {
            return Err(self.bug(format!("{} {number} a second time", self.what)));
        }
        Ok(())
    }

    /// The next result, if it is here.
    pub(super) fn pop(&mut self) -> Option<T> {
        let result = self.early.remove(&self.next)?;
        self.next += 1;
        Some(result)
    }

    /// Results that wait for an earlier one.
    pub(super) fn waiting(&self) -> usize {
        self.early.len()
    }

    /// An error unless every result of so many was handed on.
    pub(super) fn check_end(&self, count: u64) -> Result<()> {
        if self.next == count && self.early.is_empty() {
            return Ok(());
        }
        Err(self.bug(format!("{} of {count} {}s, {} of them too early", self.next, self.what, self.early.len())))
    }

    fn bug(&self, found: String) -> Error {
        Error::Bug { place: "pipeline::sequence", found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_leave_in_their_order_and_none_is_missed() {
        let mut sequence = Sequence::of("part");
        for number in [2, 0, 3] {
            sequence.push(number, number).unwrap();
        }
        assert_eq!((sequence.pop(), sequence.pop(), sequence.waiting()), (Some(0), None, 2));
        assert!(sequence.check_end(4).is_err());
        assert!(sequence.push(2, 2).is_err() && sequence.push(0, 0).is_err(), "they came before");
        sequence.push(1, 1).unwrap();
        assert_eq!(std::iter::from_fn(|| sequence.pop()).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(sequence.check_end(4).is_ok() && sequence.check_end(5).is_err());
    }
}
