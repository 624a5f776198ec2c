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

/// Scale is younger than this: the first slices lie evenly between here and now. What is older lies in a slice of its own.
pub(super) const EARLIEST: i64 = 1_451_606_400_000_000;

impl Slice {
    /// Overlapping slices that cover this one, which are even. Where tasks were seen in a small part of it alone, half of the borders lie
    /// within that part: most tasks are there. One that is open at an end has an open slice at that end. `None` where it is too narrow.
    pub(super) fn split(self, now: i64, parts: usize, seen: Option<(i64, i64)>) -> Option<Vec<Slice>> {
        let after = self.after.unwrap_or(EARLIEST);
        let before = self.before.unwrap_or((now - SKEW).max(after));
        if before - after < NARROW {
            return None;
        }
        let even = |from: i64, to: i64, parts: i64| (0..=parts).map(move |index| from + (to - from) / parts * index);
        let parts = i64::try_from(parts).ok()?;
        let mut borders: Vec<_> = match seen {
            Some((first, last)) if (last - first) < (before - after) / 2 => {
                let half = (parts + 1) / 2;
                even(after, before, half).chain(even(first - 1, last + 1, half)).collect()
            }
            _ => even(after, before, parts).collect(),
        };
        borders.retain(|border| (after + NARROW / 4..=before - NARROW / 4).contains(border));
        borders.extend([after, before]);
        borders.sort_unstable();
        borders.dedup_by(|next, border| *next - *border < NARROW / 4);
        let mut ends: Vec<_> = borders.into_iter().map(Some).collect();
        if self.after.is_none() {
            ends.insert(0, None);
        }
        if self.before.is_none() {
            ends.push(None);
        }
        let slices = ends.windows(2).filter_map(|ends| Some(Slice { after: *ends.first()?, before: *ends.last()? }));
        Some(slices.map(|slice| slice.within(self)).collect())
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
