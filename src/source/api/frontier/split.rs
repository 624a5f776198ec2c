//! When chains are split, and where.

use std::collections::BTreeSet;

use super::super::chain::{Chain, ChainId, Kind};
use super::super::query::OPEN_STATUSES;
use super::Frontier;

/// A chain is split into at least and at most so many slices.
const LEAST_PARTS: usize = 3;
const MOST_PARTS: usize = 32;

/// Chains that are wanted for each request at a time when the first ones are split.
const CHAINS_A_REQUEST: usize = 3;

/// A chain that waits is not cut into parts that are thought to have fewer pages.
const LEAST_PAGES: f64 = 3.0;

/// A chain is split at once, after so few pages, where it is a whole query, or seems to have so many pages for each request at a time.
const FEW_PAGES: u64 = 2;
const MANY_PAGES: f64 = 4.0;

/// Later it is split for requests that have nothing to do. So many of its pages may come again for each page's time that is saved,
const WASTE_A_PAGE: f64 = 4.0;

/// and so many of a hundred in all; more while most requests have nothing to do.
const WASTE_PERCENT: u64 = 25;
const IDLE_WASTE_PERCENT: u64 = 50;

/// A query of which chains are begun, which tells how long those are that are not.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// Pages of the parts that are begun or done.
    pub(super) pages: u64,
    /// The share of all that these parts were thought to hold.
    pub(super) share: f64,
}

impl Root {
    /// Pages that a share is thought to have. Too few while the parts are under way.
    fn pages_of(&self, share: f64) -> f64 {
        if self.share > 0.0 { self.pages as f64 / self.share * share } else { 0.0 }
    }
}

impl Frontier {
    /// The chains that are to stand for one that is under way, if splitting it is worth while.
    pub(super) fn parts(&self, id: ChainId) -> Option<Vec<Chain>> {
        let chain = self.chains.get(&id)?;
        let Kind::Tasks { status, slice, is_splittable: true, .. } = &chain.kind else { return None };
        let parts = self.wanted_parts(chain)?.clamp(LEAST_PARTS, MOST_PARTS);
        let mut walks = Vec::new();
        if slice.is_none() && status.is_none() {
            let walk = |word: &str| chain.kind.with(Some(word.to_owned()), None, false);
            walks.extend(OPEN_STATUSES.map(|word| Chain::new(walk(word), id, 0.0, Vec::new())));
        }
        // What was thought of the chain before matters no more.
        walks.extend(self.cut(chain, parts, (id, 1.0))?);
        Some(walks)
    }

    /// Slices of a chain, with what each is thought to hold of a root.
    fn cut(&self, chain: &Chain, parts: usize, (root, whole): (ChainId, f64)) -> Option<Vec<Chain>> {
        let Kind::Tasks { status, slice, .. } = &chain.kind else { return None };
        let slices = slice.unwrap_or_default().split(self.now, parts, &chain.seen)?;
        let part = |(slice, share)| {
            let kind = chain.kind.with(status.clone(), Some(slice), true);
            Chain::new(kind, root, whole * share, chain.seen.clone())
        };
        Some(slices.into_iter().map(part).collect())
    }

    /// Into how many parts a chain that is under way is to be split, if that is worth while.
    fn wanted_parts(&self, chain: &Chain) -> Option<usize> {
        if chain.pages <= FEW_PAGES {
            if self.is_whole(chain) {
                let roots: BTreeSet<_> = self.chains.values().filter_map(Chain::splittable_root).collect();
                let wanted = self.concurrency * CHAINS_A_REQUEST;
                return (roots.len() < wanted).then(|| wanted / roots.len().max(1));
            }
            if self.pages_ahead(chain).is_some_and(|ahead| ahead >= self.concurrency as f64 * MANY_PAGES) {
                return Some(self.concurrency);
            }
        }
        // Listings are short: what counts are chains of tasks.
        let long = self.chains.values().filter(|chain| matches!(chain.kind, Kind::Tasks { .. })).count();
        let idle = self.concurrency.saturating_sub(long);
        let (pages, left) = (chain.pages as f64, self.pages_left(chain));
        let saved = left - (pages + left) / (idle + 1) as f64;
        let percent = if idle * 4 >= self.concurrency * 3 { IDLE_WASTE_PERCENT } else { WASTE_PERCENT };
        let is_cheap = (self.wasted_pages + chain.pages) * 100 <= self.pages * percent;
        (saved * WASTE_A_PAGE >= pages && is_cheap).then_some((idle + 1) * CHAINS_A_REQUEST)
    }

    /// Pages that a chain under way is thought to have yet. Where nothing is known of them: as many as came.
    fn pages_left(&self, chain: &Chain) -> f64 {
        let pages = chain.pages as f64;
        if let Some(ahead) = self.pages_ahead(chain) {
            return pages.min(ahead);
        }
        let root = self.roots.get(&chain.root).filter(|root| root.share > chain.share);
        match root.map(|root| root.pages_of(chain.share)) {
            Some(expected) if pages < expected * 2.0 => (expected - pages).max(pages / 4.0),
            _ => pages,
        }
    }

    /// Pages that a chain would have yet if its tasks lay as close everywhere as in the pages that came: where these came in order.
    fn pages_ahead(&self, chain: &Chain) -> Option<f64> {
        let slice = chain.kind.slice().unwrap_or_default();
        slice.ahead(self.now, &chain.seen).map(|ahead| chain.pages as f64 * ahead)
    }

    /// The parts of a chain whose turn it is, if it is thought to have much of what is left.
    pub(super) fn finer(&self, id: ChainId) -> Option<Vec<Chain>> {
        let pages = |chain: &Chain| Some(self.roots.get(&chain.splittable_root()?)?.pages_of(chain.share));
        let chain = self.chains.get(&id)?;
        let own = pages(chain)?;
        let left = self.waiting.iter().filter_map(|id| pages(self.chains.get(id)?)).sum::<f64>() + own;
        let fair = (left / (self.concurrency * CHAINS_A_REQUEST) as f64).max(LEAST_PAGES);
        let parts = (own / fair).round() as usize;
        if parts < 2 { None } else { self.cut(chain, parts.min(MOST_PARTS), (chain.root, chain.share)) }
    }

    /// True for a chain of all that a selector means, which could be split and is not.
    pub(super) fn is_whole(&self, chain: &Chain) -> bool {
        matches!(&chain.kind, Kind::Tasks { slice, is_splittable: true, .. } if *slice == self.bounds())
    }
}
