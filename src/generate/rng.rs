//! The random numbers of one task: SplitMix64, integers only, so that every platform draws the same.

/// The step of SplitMix64 (Steele, Lea and Flood, 2014): 2^64 divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser. It is a bijection, so distinct inputs give distinct outputs.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A number that differs for every `index` of one `seed`, and looks unrelated for another seed.
pub(super) fn mix_pair(seed: u64, index: u64) -> u64 {
    mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ mix(index))
}

/// A SplitMix64 stream.
pub(super) struct Rng {
    state: u64,
}

impl Rng {
    /// The stream that starts at `state`.
    pub(super) fn new(state: u64) -> Self {
        Self { state }
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. Biased by at most `bound` / 2^32.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let product = (self.bits() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A position in a list of `length` items.
    pub(super) fn position(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }

    /// True in `per_mille` cases out of 1,000.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }

    /// One item of the list, each as likely as the others; the default when the list is empty.
    pub(super) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let position = self.position(items.len());
        items.get(position).copied().unwrap_or_default()
    }

    /// A right-skewed size with the given mean and at most four times it: the product of two uniform draws.
    pub(super) fn skewed(&mut self, mean: u32) -> u32 {
        let first = u64::from(self.below(2_048)) + 1;
        let second = u64::from(self.below(2_048)) + 1;
        let size = (u64::from(mean) * first * second) >> 20;
        u32::try_from(size).unwrap_or(u32::MAX)
    }
}
