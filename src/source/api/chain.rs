//! One chain of pages, each of which tells where the next one begins.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::endpoint::Endpoint;
use super::glance::Glance;
use super::query::{Parameter, parameter};
use super::slice::Slice;
use crate::time::write_instant;

/// A chain of pages, by its place among all chains of the run.
pub type ChainId = u32;

/// What a chain walks.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Tasks of a selector, or what is told of those that were delivered: of a status, and in a slice, if these are said.
    Tasks { endpoint: Endpoint, of: Parameter, status: Option<String>, slice: Option<Slice>, is_splittable: bool },
    /// Which tasks came with a delivery of a project: all of them.
    Delivery { id: String, project: String },
    /// Anything else is walked from its first page to its last.
    Other { endpoint: Endpoint, parameters: Vec<Parameter>, makes_chains: bool },
}

/// A chain, and how far it is walked.
#[derive(Debug)]
pub(super) struct Chain {
    pub kind: Kind,
    /// The chain that was split first to make this one; its own number, if it was made of none.
    pub root: ChainId,
    /// Which share of the root's pages this one is thought to have.
    pub share: f64,
    /// When tasks of the chain were completed, as they came; until its first page, what was seen of the chain that it is a part of.
    pub seen: Vec<i64>,
    pub token: Option<String>,
    /// Pages since it began, or began anew.
    pub pages: u64,
    most_pages: u64,
    restarts: u32,
    stale_pages: u32,
    empty_pages: u32,
    tokens: HashSet<u64>,
    ids: HashSet<u64>,
}

/// A chain that brings nothing new so many times goes in a circle.
const MOST_STALE_PAGES: u32 = 3;

/// Pages without anything are borne for longer: so an API may answer that filters what it has read for a page.
const MOST_EMPTY_PAGES: u32 = 1_000;

/// Ids of a chain that are remembered, to notice a circle: pages of tasks are not bounded, memory is.
const MOST_IDS: usize = 100_000;

/// Times of a chain that are remembered.
const MOST_SEEN: usize = 512;

/// A chain whose token expires so often without coming further is given up.
pub(super) const MOST_RESTARTS: u32 = 5;

impl Kind {
    /// True where tasks that are completed later than now are meant too.
    pub(super) fn is_open_ended(&self) -> bool {
        matches!(self, Kind::Tasks { slice: Some(Slice { before: None, .. }), .. })
    }

    /// Whose tasks it walks.
    pub(super) fn selector(&self) -> Option<&Parameter> {
        match self {
            Kind::Tasks { of, .. } => Some(of),
            Kind::Delivery { .. } | Kind::Other { .. } => None,
        }
    }

    /// The project that a listing of deliveries, or of delivered tasks, is of.
    pub(super) fn project(&self) -> Option<&str> {
        let parameters = match self {
            Kind::Delivery { project, .. } => return Some(project),
            Kind::Tasks { of, .. } => std::slice::from_ref(of),
            Kind::Other { parameters, .. } => parameters,
        };
        parameters.iter().find(|(name, _)| name == "project_id").map(|(_, id)| id.as_str())
    }

    /// Whether it walks the tasks of this status.
    pub(super) fn is_of_status(&self, word: &str) -> bool {
        matches!(self, Kind::Tasks { status: Some(status), .. } if status == word)
    }

    /// Its slice, if it has one.
    pub(super) fn slice(&self) -> Option<Slice> {
        match self {
            Kind::Tasks { slice, .. } => *slice,
            Kind::Delivery { .. } | Kind::Other { .. } => None,
        }
    }

    /// The same of another status and slice.
    pub(super) fn with(&self, status: Option<String>, slice: Option<Slice>, is_splittable: bool) -> Kind {
        match self {
            Kind::Tasks { endpoint, of, .. } => {
                let (endpoint, of) = (*endpoint, of.clone());
                Kind::Tasks { endpoint, of, status, slice, is_splittable }
            }
            Kind::Delivery { .. } | Kind::Other { .. } => self.clone(),
        }
    }

    /// The endpoint, and the parameters that say whose things are meant.
    pub(super) fn asked(&self) -> (Endpoint, Vec<Parameter>) {
        match self {
            Kind::Tasks { endpoint, of, status, slice, .. } => {
                let Slice { after, before } = slice.unwrap_or_default();
                let times = [("completed_after", after), ("completed_before", before)];
                let times = times.into_iter().filter_map(|(name, time)| Some(parameter(name, write_instant(time?)?)));
                let status = status.iter().map(|status| parameter("status", status));
                (*endpoint, [of.clone()].into_iter().chain(status).chain(times).collect())
            }
            Kind::Delivery { id, .. } => (Endpoint::DeliveryTasks, vec![parameter("delivery_id", id)]),
            Kind::Other { endpoint, parameters, .. } => (*endpoint, parameters.clone()),
        }
    }
}

impl Chain {
    pub(super) fn new(kind: Kind, root: ChainId, share: f64, seen: Vec<i64>) -> Chain {
        Chain {
            kind,
            root,
            share,
            seen,
            token: None,
            pages: 0,
            most_pages: 0,
            restarts: 0,
            stale_pages: 0,
            empty_pages: 0,
            tokens: HashSet::new(),
            ids: HashSet::new(),
        }
    }

    /// The root of a chain that may be split.
    pub(super) fn splittable_root(&self) -> Option<ChainId> {
        matches!(self.kind, Kind::Tasks { is_splittable: true, .. }).then_some(self.root)
    }

    /// Takes in a page; says what is wrong where the pages go in a circle.
    pub(super) fn take(&mut self, glance: &Glance) -> Result<(), String> {
        if self.pages == 0 {
            self.seen.clear();
        }
        self.pages += 1;
        self.seen.extend(&glance.completed);
        if self.seen.len() > MOST_SEEN {
            self.seen = self.seen.iter().copied().step_by(2).collect();
        }
        if self.ids.len() > MOST_IDS {
            self.ids.clear();
        }
        let before = self.ids.len();
        self.ids.extend(&glance.ids);
        // A page from the spool comes without its ids.
        let is_unknown = glance.ids.is_empty() && glance.items > 0;
        let is_stale = self.ids.len() == before && !is_unknown;
        match (is_stale, glance.items) {
            (true, 0) => self.empty_pages += 1,
            (true, _) => self.stale_pages += 1,
            (false, _) => (self.stale_pages, self.empty_pages) = (0, 0),
        }
        self.token = glance.next_token.clone();
        let Some(token) = &self.token else { return Ok(()) };
        if !self.tokens.insert(xxh3_64(token.as_bytes())) {
            return Err(format!("page {} points to a page that was read before", self.pages));
        }
        if self.stale_pages >= MOST_STALE_PAGES || self.empty_pages >= MOST_EMPTY_PAGES {
            let (count, last) = (self.stale_pages + self.empty_pages, self.pages);
            return Err(format!("{count} pages in a row brought nothing new, the last is page {last}"));
        }
        Ok(())
    }

    /// Begins anew, because its token works no more; says so where that happens over and over.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let restarts = if self.pages > self.most_pages { 0 } else { self.restarts + 1 };
        if restarts >= MOST_RESTARTS {
            let reached = self.pages;
            return Err(format!("its token expired {MOST_RESTARTS} times before it came further than page {reached}"));
        }
        let most_pages = self.most_pages.max(self.pages);
        let fresh = Chain::new(self.kind.clone(), self.root, self.share, std::mem::take(&mut self.seen));
        *self = Chain { restarts, most_pages, ..fresh };
        Ok(())
    }
}
