//! Spans of time, and how they are split.

use std::cmp::Ordering;

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

    /// How much of the slice lies ahead of times that came in order, in multiples of what they span. `None` for times in no order, and
    /// for times that lie too close together to tell.
    pub(super) fn ahead(self, now: i64, seen: &[i64]) -> Option<f64> {
        let (first, last) = (*seen.iter().min()?, *seen.iter().max()?);
        let (after, before) = self.ends(now);
        let left = match direction(seen)? {
            Ordering::Greater => first - after,
            _ => before - last,
        };
        (last - first >= NARROW).then(|| left.max(0) as f64 / (last - first) as f64)
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

/// Where in a span its tasks are thought to lie: the share of them that lies before each of some times, and evenly between these.
struct Density {
    below: Vec<(i64, f64)>,
}

/// Parts of a span that are as wide as each other, whatever was seen.
const EVEN_PARTS: i64 = 8;

/// Times that count as points of their own.
const MOST_POINTS: usize = 128;

/// The share of the tasks that may lie anywhere, whatever the sample of them that came.
const ANYWHERE: f64 = 0.1;

/// Times in groups of at least so many tell an order by their medians where a few of them are out of it.
const LEAST_OF_GROUP: usize = 8;
const GROUPS: usize = 8;

impl Density {
    fn of(after: i64, before: i64, seen: &[i64]) -> Density {
        // A page that is nearly in order looks like a sample of the whole, and tells of one end: so the rest always has a share.
        let anywhere = Density::between(after, before, widening(after, before, seen));
        if direction(seen).is_some() {
            return anywhere;
        }
        anywhere.mixed(ANYWHERE, &Density::between(after, before, thinned(seen, MOST_POINTS)))
    }

    /// As many tasks between each two points as between any others.
    fn between(after: i64, before: i64, mut points: Vec<i64>) -> Density {
        points.retain(|point| after < *point && *point < before);
        points.extend([after, before]);
        points.sort_unstable();
        let gaps = (points.len() - 1) as f64;
        Density { below: points.into_iter().enumerate().map(|(place, point)| (point, place as f64 / gaps)).collect() }
    }

    /// A share of this one, and the rest of another one.
    fn mixed(&self, share: f64, other: &Density) -> Density {
        let mut points: Vec<_> = self.below.iter().chain(&other.below).map(|(point, _)| *point).collect();
        points.sort_unstable();
        points.dedup();
        let below = |point| share * self.below(point) + (1.0 - share) * other.below(point);
        // Just before a point, and behind what lies there.
        let ends = |point| [(point, below(point - 1)), (point, below(point))];
        Density { below: points.into_iter().flat_map(ends).collect() }
    }

    /// The time before which a share of the tasks lies, about: not so near to a point that what lies there would be in the slices on
    /// both sides.
    fn quantile(&self, share: f64) -> i64 {
        let wide = self.below.windows(2).find_map(|ends| match ends {
            [(from, below), (to, through)] if *through > share && to - from >= 4 * OVERLAP => {
                Some((*from, *to, (share - below).max(0.0) / (through - below)))
            }
            _ => None,
        });
        wide.map_or(i64::MAX, |(from, to, place)| {
            let border = from + ((to - from) as f64 * place) as i64;
            border.clamp(from + 2 * OVERLAP, to - 2 * OVERLAP)
        })
    }

    /// The share of the tasks that lies before a time.
    fn below(&self, time: i64) -> f64 {
        let passed = self.below.partition_point(|(point, _)| *point <= time);
        let around = passed.checked_sub(1).and_then(|last| Some((*self.below.get(last)?, self.below.get(passed))));
        match around {
            None => 0.0,
            Some((_, None)) => 1.0,
            Some(((from, below), Some((to, through)))) => {
                below + (through - below) * (time - from) as f64 / (to - from) as f64
            }
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

/// Whether times come about in their order, or in the reverse of it; `None` where they are in neither.
fn direction(seen: &[i64]) -> Option<Ordering> {
    let medians: Vec<i64> = if seen.len() >= GROUPS * LEAST_OF_GROUP {
        seen.chunks(seen.len().div_ceil(GROUPS)).filter_map(median).collect()
    } else {
        seen.to_vec()
    };
    if medians.is_sorted() {
        return Some(Ordering::Less);
    }
    medians.is_sorted_by(|one, next| one >= next).then_some(Ordering::Greater)
}

/// At most so many of the times, from all of them evenly.
pub(super) fn thinned(times: &[i64], most: usize) -> Vec<i64> {
    times.iter().copied().step_by(times.len().div_ceil(most).max(1)).collect()
}

fn median(times: &[i64]) -> Option<i64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
