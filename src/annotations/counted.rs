//! Counts that stay small however much is counted. What comes of them does not depend on the order.

use std::collections::BTreeMap;

use serde::Serialize;

/// Words that are told apart; beyond that, and where one is longer than so many bytes, they are taken for free text.
const MOST_WORDS: usize = 1_000;
const LONGEST_WORD: usize = 256;

/// How often each word came.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    counts: BTreeMap<Box<str>, u64>,
    is_open: bool,
}

impl Words {
    pub(super) fn observe(&mut self, word: &str) {
        if self.is_open {
            return;
        }
        self.is_open = word.len() > LONGEST_WORD;
        match self.counts.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(word.into(), 1);
            }
        }
        self.bound();
    }

    pub(super) fn merge(&mut self, other: Words) {
        for (word, count) in other.counts {
            *self.counts.entry(word).or_default() += count;
        }
        self.is_open |= other.is_open;
        self.bound();
    }

    fn bound(&mut self) {
        self.is_open |= self.counts.len() > MOST_WORDS;
        if self.is_open {
            self.counts.clear();
        }
    }

    /// How many there are; `None` where they are too many.
    pub(super) fn distinct(&self) -> Option<u64> {
        (!self.is_open).then_some(self.counts.len() as u64)
    }

    /// The words, the most frequent first.
    pub(super) fn ranked(&self) -> Vec<(&str, u64)> {
        let mut ranked = self.counts.iter().map(|(word, count)| (&**word, *count)).collect::<Vec<_>>();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        ranked
    }
}

/// Bins in which numbers are counted at most, and those that are shown.
const MOST_BINS: i64 = 1_024;
const SHOWN_BINS: i64 = 12;
/// The finest bins are this power of two wide.
const FINEST: i32 = -20;

/// Numbers: how many there are, their bounds, their mean, and how they are spread. Bins are as fine as their number allows, and
/// begin at whole multiples of their width.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub count: u64,
    sum: f64,
    least: f64,
    greatest: f64,
    is_whole: bool,
    power: i32,
    bins: BTreeMap<i64, u64>,
}

impl Default for Numbers {
    fn default() -> Numbers {
        let (least, greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        Numbers { count: 0, sum: 0.0, least, greatest, is_whole: true, power: FINEST, bins: BTreeMap::new() }
    }
}

/// Numbers between two bounds; the lower one is meant, the upper one not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// The lower bound.
    pub from: f64,
    /// The upper bound.
    pub to: f64,
    /// How many.
    pub count: u64,
}

impl Numbers {
    pub(super) fn observe(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.is_whole &= number.fract() == 0.0;
        (self.least, self.greatest) = (self.least.min(number), self.greatest.max(number));
        // Far beyond what is rated; the cast keeps to its bounds.
        let bin = (number / 2f64.powi(self.power)).floor() as i64;
        *self.bins.entry(bin).or_default() += 1;
        self.coarsen(MOST_BINS);
    }

    pub(super) fn merge(&mut self, mut other: Numbers) {
        while self.power < other.power {
            self.halve();
        }
        while other.power < self.power {
            other.halve();
        }
        self.count += other.count;
        self.sum += other.sum;
        self.is_whole &= other.is_whole;
        (self.least, self.greatest) = (self.least.min(other.least), self.greatest.max(other.greatest));
        for (bin, count) in other.bins {
            *self.bins.entry(bin).or_default() += count;
        }
        self.coarsen(MOST_BINS);
    }

    fn halve(&mut self) {
        self.power += 1;
        for (bin, count) in std::mem::take(&mut self.bins) {
            *self.bins.entry(bin.div_euclid(2)).or_default() += count;
        }
    }

    fn coarsen(&mut self, most: i64) {
        let is_wide = |bins: &BTreeMap<i64, u64>| {
            let ends = bins.first_key_value().zip(bins.last_key_value());
            ends.is_some_and(|((first, _), (last, _))| last.saturating_sub(*first) >= most)
        };
        while is_wide(&self.bins) {
            self.halve();
        }
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    pub(super) fn bounds(&self) -> Option<(f64, f64)> {
        (self.count > 0).then_some((self.least, self.greatest))
    }

    /// Whether all are whole numbers.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// A dozen bins at most, those without a number too. Those of whole numbers are at least one wide.
    pub(super) fn histogram(&self) -> Vec<Bin> {
        let mut shown = self.clone();
        shown.coarsen(SHOWN_BINS);
        while shown.is_whole && shown.power < 0 {
            shown.halve();
        }
        let width = 2f64.powi(shown.power);
        let ends =
            shown.bins.first_key_value().zip(shown.bins.last_key_value()).map(|(first, last)| (*first.0, *last.0));
        let bin = |at: i64| {
            let count = shown.bins.get(&at).copied().unwrap_or_default();
            Bin { from: at as f64 * width, to: (at + 1) as f64 * width, count }
        };
        ends.map_or_else(Vec::new, |(first, last)| (first..=last).map(bin).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_spread_over_a_dozen_bins_that_begin_at_multiples_of_their_width() {
        let mut numbers = Numbers::default();
        (0..100).for_each(|number| numbers.observe(f64::from(number)));
        let bins = numbers.histogram();
        assert_eq!(bins.first(), Some(&Bin { from: 0.0, to: 16.0, count: 16 }));
        assert_eq!(bins.last(), Some(&Bin { from: 96.0, to: 112.0, count: 4 }));
        assert_eq!((numbers.mean(), numbers.bounds(), bins.len()), (Some(49.5), Some((0.0, 99.0)), 7));
        assert_eq!(Numbers::default().histogram(), []);
    }

    #[test]
    fn extremes_are_counted() {
        let mut numbers = Numbers::default();
        [f64::MAX, f64::MIN, 0.0, 1e-300].into_iter().for_each(|number| numbers.observe(number));
        let bins = numbers.histogram();
        assert!(bins.len() <= 12 && bins.iter().map(|bin| bin.count).sum::<u64>() == 4, "{bins:?}");
    }

    #[test]
    fn words_beyond_a_thousand_are_free_text() {
        let mut words = Words::default();
        (0..1_000).for_each(|word| words.observe(&word.to_string()));
        assert_eq!(words.distinct(), Some(1_000));
        words.observe("more");
        assert_eq!((words.distinct(), words.ranked().len()), (None, 0));
        let mut long = Words::default();
        ["a", &"b".repeat(300), "a"].into_iter().for_each(|word| long.observe(word));
        assert_eq!(long.distinct(), None);
    }

    proptest! {
        #[test]
        fn the_order_in_which_numbers_come_changes_nothing(numbers in prop::collection::vec(-1e6..1e6f64, 1..60), cut in 0usize..60) {
            let cut = cut.min(numbers.len());
            let mut whole = Numbers::default();
            numbers.iter().for_each(|number| whole.observe(*number));
            let [mut first, mut second] = [Numbers::default(), Numbers::default()];
            numbers[..cut].iter().for_each(|number| first.observe(*number));
            numbers[cut..].iter().rev().for_each(|number| second.observe(*number));
            second.merge(first);
            prop_assert_eq!(whole.histogram(), second.histogram());
            prop_assert_eq!(whole.bounds(), second.bounds());
        }
    }
}
