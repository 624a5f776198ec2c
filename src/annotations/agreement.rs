//! How far judgements of the same thing agree.
//!
//! Klaus Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): from the pairs of values within units, whoever gave them.

use std::collections::{BTreeMap, BTreeSet};

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
    pairs: BTreeMap<(Box<str>, Box<str>), f64>,
    agreeing: f64,
    units: u64,
    is_open: bool,
}

impl Coincidences {
    /// Takes in the values of a unit that was judged more than once.
    pub(super) fn observe(&mut self, values: &[impl AsRef<str>]) {
        let judgements = values.len();
        if judgements < 2 || self.is_open {
            return;
        }
        self.units += 1;
        let others = (judgements - 1) as f64;
        let mut agreeing = 0_usize;
        for (index, one) in values.iter().map(AsRef::as_ref).enumerate() {
            for (_, other) in values.iter().map(AsRef::as_ref).enumerate().filter(|(other, _)| *other != index) {
                agreeing += usize::from(one == other);
                *self.pairs.entry((one.into(), other.into())).or_default() += 1.0 / others;
            }
        }
        self.agreeing += agreeing as f64 / (judgements as f64 * others);
        self.bound();
    }

    pub(super) fn merge(&mut self, other: Coincidences) {
        for (pair, count) in other.pairs {
            *self.pairs.entry(pair).or_default() += count;
        }
        self.agreeing += other.agreeing;
        self.units += other.units;
        self.is_open |= other.is_open;
        self.bound();
    }

    fn bound(&mut self) {
        if self.pairs.len() > MOST_VALUES && self.values().len() > MOST_VALUES {
            self.is_open = true;
        }
        if self.is_open {
            self.pairs.clear();
        }
    }

    fn values(&self) -> BTreeSet<&str> {
        self.pairs.keys().map(|(one, _)| &**one).collect()
    }

    /// The share of pairs within a unit that are equal, on average over units; `None` without any.
    pub(super) fn percent(&self) -> Option<f64> {
        (self.units > 0 && !self.is_open).then(|| self.agreeing / self.units as f64)
    }

    /// 1 where all agree, 0 where they agree as by chance; `None` where there is one value alone, or none.
    pub(super) fn alpha(&self, measurement: Measurement) -> Option<f64> {
        let mut values = self.values().into_iter().collect::<Vec<_>>();
        if measurement != Measurement::Nominal {
            let number = |value: &&str| value.parse::<f64>().unwrap_or(f64::NAN);
            values.sort_by(|one, other| number(one).total_cmp(&number(other)));
        }
        let place = values.iter().enumerate().map(|(at, value)| (*value, at)).collect::<BTreeMap<_, _>>();
        let mut totals = vec![0.0; values.len()];
        for ((one, _), count) in &self.pairs {
            if let Some(total) = place.get(&**one).and_then(|at| totals.get_mut(*at)) {
                *total += count;
            }
        }
        let all = totals.iter().sum::<f64>();
        let distance = |one: usize, other: usize| distance(measurement, &values, &totals, one, other);
        let observed = self.pairs.iter().filter_map(|((one, other), count)| {
            let (one, other) = (*place.get(&**one)?, *place.get(&**other)?);
            Some(count * distance(one, other))
        });
        let observed = observed.sum::<f64>();
        let mut expected = 0.0;
        for (one, own) in totals.iter().enumerate() {
            for (other, theirs) in totals.iter().enumerate() {
                expected += own * theirs * distance(one, other);
            }
        }
        (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
    }
}

/// The square of what lies between two values.
fn distance(measurement: Measurement, values: &[&str], totals: &[f64], one: usize, other: usize) -> f64 {
    if one == other {
        return 0.0;
    }
    let (low, high) = (one.min(other), one.max(other));
    match measurement {
        Measurement::Nominal => 1.0,
        Measurement::Ordinal => {
            let ends = [low, high].map(|at| totals.get(at).copied().unwrap_or_default());
            let between = totals.get(low..=high).unwrap_or_default().iter().sum::<f64>();
            (between - (ends[0] + ends[1]) / 2.0).powi(2)
        }
        Measurement::Interval => {
            let number = |at: usize| values.get(at).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
            (number(low) - number(high)).powi(2)
        }
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
    fn nothing_is_told_without_repeated_judgements_or_with_one_value_alone() {
        let mut all = Coincidences::default();
        all.observe(&["a"]);
        assert_eq!((all.percent(), all.alpha(Measurement::Nominal)), (None, None));
        all.observe(&["a", "a"]);
        assert_eq!((all.percent(), all.alpha(Measurement::Nominal)), (Some(1.0), None));
    }
}
