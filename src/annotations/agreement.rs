//! How far judgements of the same thing agree.
//!
//! Klaus Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): from the pairs of values within units, whoever gave them.

use std::collections::BTreeMap;

use serde::Serialize;

/// What differences between values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// Values are equal or not.
    Nominal,
    /// They have an order.
    Ordinal,
    /// They are numbers whose differences count.
    Interval,
}

/// Values that are told apart; beyond that nothing is told of agreement.
const MOST_VALUES: usize = 500;

/// How often which value met which in a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Coincidences {
    /// By the places of the values.
    pairs: BTreeMap<(u32, u32), f64>,
    values: BTreeMap<Box<str>, u32>,
    agreeing: f64,
    units: u64,
    is_open: bool,
}

impl Coincidences {
    /// Takes in the values of a unit that was judged more than once.
    pub(super) fn observe(&mut self, values: &[impl AsRef<str>]) {
        if values.len() < 2 || self.is_open {
            return;
        }
        let mut counts = BTreeMap::<&str, u64>::new();
        values.iter().for_each(|value| *counts.entry(value.as_ref()).or_default() += 1);
        for value in counts.keys() {
            self.place(value);
        }
        if self.is_open {
            return;
        }
        self.units += 1;
        let (judgements, others) = (values.len() as f64, (values.len() - 1) as f64);
        let counted = counts.into_iter().map(|(value, count)| (self.place(value), count as f64)).collect::<Vec<_>>();
        for (one, own) in &counted {
            for (other, theirs) in &counted {
                let pairs = if one == other { own * (own - 1.0) } else { own * theirs };
                *self.pairs.entry((*one, *other)).or_default() += pairs / others;
            }
            self.agreeing += own * (own - 1.0) / (judgements * others);
        }
    }

    /// The place of a value among those that are known, where there is room for it.
    fn place(&mut self, value: &str) -> u32 {
        if let Some(place) = self.values.get(value) {
            return *place;
        }
        let place = self.values.len() as u32;
        self.values.insert(value.into(), place);
        if self.values.len() > MOST_VALUES {
            self.is_open = true;
            self.pairs.clear();
        }
        place
    }

    pub(super) fn merge(&mut self, other: Coincidences) {
        self.is_open |= other.is_open;
        let mut places = vec![0; other.values.len()];
        for (value, at) in &other.values {
            let own = if self.is_open { 0 } else { self.place(value) };
            if let Some(place) = places.get_mut(*at as usize) {
                *place = own;
            }
        }
        if self.is_open {
            self.pairs.clear();
            return;
        }
        let place = |at: u32| places.get(at as usize).copied().unwrap_or_default();
        for ((one, theirs), count) in other.pairs {
            *self.pairs.entry((place(one), place(theirs))).or_default() += count;
        }
        self.agreeing += other.agreeing;
        self.units += other.units;
    }

    /// The share of pairs within a unit that are equal, on average over units; `None` without any.
    pub(super) fn percent(&self) -> Option<f64> {
        (self.units > 0 && !self.is_open).then(|| self.agreeing / self.units as f64)
    }

    /// 1 where all agree, 0 where they agree as by chance; `None` where there is one value alone, or none.
    pub(super) fn alpha(&self, measurement: Measurement) -> Option<f64> {
        if self.is_open {
            return None;
        }
        let mut order = self.values.iter().map(|(value, at)| (&**value, *at)).collect::<Vec<_>>();
        let number = |value: &str| value.parse::<f64>().unwrap_or_default();
        if measurement != Measurement::Nominal {
            order.sort_by(|(one, _), (other, _)| number(one).total_cmp(&number(other)));
        }
        let mut rank = vec![0; order.len()];
        for (own, (_, at)) in order.iter().enumerate() {
            rank.get_mut(*at as usize).into_iter().for_each(|rank| *rank = own);
        }
        let rank = |at: u32| rank.get(at as usize).copied().unwrap_or_default();
        let mut totals = vec![0.0; order.len()];
        for ((one, _), count) in &self.pairs {
            totals.get_mut(rank(*one)).into_iter().for_each(|total| *total += count);
        }
        // Where each value lies, so that what is between two of them is their difference.
        let mut below = 0.0;
        let places = order.iter().zip(&totals).map(|((value, _), total)| match measurement {
            Measurement::Interval => number(value),
            _ => {
                below += total;
                below - total / 2.0
            }
        });
        let places = places.collect::<Vec<_>>();
        let distance = |one: usize, other: usize| match measurement {
            Measurement::Nominal => f64::from(u8::from(one != other)),
            _ => places.get(one).zip(places.get(other)).map_or(0.0, |(one, other)| (one - other).powi(2)),
        };
        let observed = self.pairs.iter().map(|((one, other), count)| count * distance(rank(*one), rank(*other)));
        let observed = observed.sum::<f64>();
        let mut expected = 0.0;
        for (one, own) in totals.iter().enumerate() {
            for (other, theirs) in totals.iter().enumerate() {
                expected += own * theirs * distance(one, other);
            }
        }
        let all = totals.iter().sum::<f64>();
        (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper: four observers and twelve units; a dot is no judgement.
    const OBSERVED: [&str; 4] =
        ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."];

    fn coincidences() -> Coincidences {
        let rows = OBSERVED.map(|row| row.split(' ').collect::<Vec<_>>());
        let mut all = Coincidences::default();
        for unit in 0..12 {
            let values = rows.iter().map(|row| row[unit]).filter(|value| *value != ".").collect::<Vec<_>>();
            all.observe(&values);
        }
        all
    }

    #[test]
    fn alpha_is_that_of_the_published_example() {
        let all = coincidences();
        for (measurement, published) in
            [(Measurement::Nominal, 0.743), (Measurement::Ordinal, 0.815), (Measurement::Interval, 0.849)]
        {
            let alpha = all.alpha(measurement).unwrap();
            assert!((alpha - published).abs() < 0.0005, "{measurement:?}: {alpha}");
        }
    }

    #[test]
    fn agreement_of_halves_is_that_of_the_whole() {
        let (mut one, mut other, mut whole) =
            (Coincidences::default(), Coincidences::default(), Coincidences::default());
        for (index, values) in [["a", "a"], ["a", "b"], ["b", "b"], ["c", "a"]].iter().enumerate() {
            if index % 2 == 0 { &mut one } else { &mut other }.observe(values);
            whole.observe(values);
        }
        one.merge(other);
        assert_eq!((one.percent(), one.percent()), (Some(0.5), whole.percent()));
        assert_eq!(one.alpha(Measurement::Nominal), whole.alpha(Measurement::Nominal));
    }

    #[test]
    fn beyond_some_hundred_values_nothing_is_told() {
        let values = (0..MOST_VALUES + 1).map(|value| value.to_string()).collect::<Vec<_>>();
        let (mut at_once, mut by_and_by, mut joined) = <(Coincidences, Coincidences, Coincidences)>::default();
        at_once.observe(&values);
        for two in values.windows(2) {
            by_and_by.observe(two);
        }
        joined.observe(&values[..300]);
        let mut other = Coincidences::default();
        other.observe(&values[200..]);
        joined.merge(other);
        for all in [at_once, by_and_by, joined] {
            assert_eq!((all.percent(), all.alpha(Measurement::Nominal)), (None, None));
        }
    }

    #[test]
    fn nothing_is_told_without_repeated_judgements_or_with_one_value_alone() {
        let mut all = Coincidences::default();
        all.observe(&["a"]);
        assert_eq!((all.percent(), all.alpha(Measurement::Nominal)), (None, None));
        all.observe(&["a", "a"]);
        assert_eq!((all.percent(), all.alpha(Measurement::Nominal)), (Some(1.0), None));
    }
}
