//! Spans of time, and how they are split.

/// Times between which tasks were completed, in microseconds since 1970; open where `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    pub after: Option<i64>,
    pub before: Option<i64>,
}

/// How wide the slices are that are never split, in microseconds: a few of the overlap on both sides.
const NARROW: i64 = 16 * OVERLAP;

/// How far a slice reaches into its neighbours, in microseconds: more than any rounding of a time.
const OVERLAP: i64 = 1_000_000;

/// How far clocks may differ, in microseconds: what was completed later than so long ago lies in the slice that is asked last.
const SKEW: i64 = 600 * 1_000_000;

/// Scale is younger than this: what is older lies in a slice of its own.
pub(super) const EARLIEST: i64 = 1_451_606_400_000_000;

impl Slice {
    /// Overlapping slices that cover this one, and which share of its tasks each is thought to hold, by the times of tasks that were
    /// seen, in the order in which they came. One that is open at an end has an open slice at that end. `None` where it is
    /// too narrow.
    pub(super) fn split(self, now: i64, parts: usize, seen: &[i64]) -> Option<Vec<(Slice, f64)>> {
        let (after, before) = self.ends(now);
        if before - after < NARROW {
            return None;
        }
        let density = Density::of(after, before, seen);
        let mut borders: Vec<_> = (1..parts).map(|part| density.quantile(part as f64 / parts as f64)).collect();
        borders.retain(|border| (after + NARROW / 4..=before - NARROW / 4).contains(border));
        borders.extend([after, before]);
        borders.sort_unstable();
        borders.dedup_by(|next, border| *next - *border < NARROW / 4);
        if borders.len() < 3 {
            return None;
        }
        let mut slices = Vec::new();
        if self.after.is_none() {
            slices.push((Slice { after: None, before: Some(after) }, 0.0));
        }
        slices.extend(borders.windows(2).filter_map(|ends| {
            let (from, to) = (*ends.first()?, *ends.last()?);
            let share = density.below(to) - density.below(from);
            Some((Slice { after: Some(from), before: Some(to) }, share))
        }));
        if self.before.is_none() {
            slices.push((Slice { after: Some(before), before: None }, 0.0));
        }
        Some(slices.into_iter().map(|(slice, share)| (slice.within(self), share)).collect())
    }

    /// How much of the slice lies ahead of times that came in order, in multiples of what they span. `None` for times in no order.
    pub(super) fn ahead(self, now: i64, seen: &[i64]) -> Option<f64> {
        let (first, last) = (*seen.first()?, *seen.last()?);
        let (after, before) = self.ends(now);
        let left = if first <= last { before - last } else { last - after };
        is_in_order(seen).then(|| left.max(0) as f64 / (last - first).abs().max(1) as f64)
    }

    /// Where the slice ends, or is thought to.
    fn ends(self, now: i64) -> (i64, i64) {
        let after = self.after.unwrap_or(EARLIEST);
        (after, self.before.unwrap_or((now - SKEW).max(after)))
    }

    /// The slice with its overlap, no further than the bounds.
    fn within(self, bounds: Slice) -> Slice {
        let after = self.after.map(|after| after - OVERLAP);
        let before = self.before.map(|before| before + OVERLAP);
        Slice {
            after: after.map(|after| bounds.after.map_or(after, |bound| after.max(bound))),
            before: before.map(|before| bounds.before.map_or(before, |bound| before.min(bound))),
        }
    }
}

/// Where in a span its tasks are thought to lie: as many between each two points as between any others.
struct Density {
    points: Vec<i64>,
}

/// Parts of a span whose pages come in the order of their times, and so tell of its beginning alone.
const EVEN_PARTS: i64 = 8;

impl Density {
    fn of(after: i64, before: i64, seen: &[i64]) -> Density {
        let mut points = if is_in_order(seen) { widening(after, before, seen) } else { seen.to_vec() };
        points.retain(|point| after < *point && *point < before);
        points.extend([after, before]);
        points.sort_unstable();
        Density { points }
    }

    fn gaps(&self) -> f64 {
        (self.points.len() - 1) as f64
    }

    /// The time before which a share of the tasks lies.
    fn quantile(&self, share: f64) -> i64 {
        let place = share * self.gaps();
        let gap = self.points.get(place as usize..).and_then(|rest| Some((*rest.first()?, *rest.get(1)?)));
        gap.map_or(i64::MAX, |(from, to)| from + ((to - from) as f64 * place.fract()) as i64)
    }

    /// The share of the tasks that lies before a time.
    fn below(&self, time: i64) -> f64 {
        let passed = self.points.partition_point(|point| *point <= time);
        let around = passed.checked_sub(1).and_then(|last| Some((*self.points.get(last)?, self.points.get(passed))));
        match around {
            None => 0.0,
            Some((_, None)) => 1.0,
            Some((from, Some(to))) => ((passed - 1) as f64 + (time - from) as f64 / (to - from) as f64) / self.gaps(),
        }
    }
}

/// Where tasks are known to be, in steps that widen from there, and steps as wide as each other through the whole span.
fn widening(after: i64, before: i64, seen: &[i64]) -> Vec<i64> {
    let even = (1..EVEN_PARTS).map(|part| after + (before - after) / EVEN_PARTS * part);
    let Some((first, last)) = seen.iter().min().zip(seen.iter().max()) else { return even.collect() };
    let widths = std::iter::successors(Some((last - first).max(NARROW)), |width| width.checked_mul(4));
    let widths = widths.take_while(|width| *width < before - after);
    let around = widths.flat_map(|width| [first - width, last + width]);
    even.chain([*first, *last]).chain(around).collect()
}

/// True for times that tell of one end of a span alone.
fn is_in_order(seen: &[i64]) -> bool {
    seen.is_sorted() || seen.is_sorted_by(|one, next| one >= next)
}
