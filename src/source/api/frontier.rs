//! Which requests cover a query. Pure: it is told what came and says what to ask next.
//!
//! A chain of pages can only be walked one page after the other, so speed comes from many chains. A query starts as one chain. If it
//! goes on after its first page, it is split: into slices of `completed_at`, which hold every task that has one, whatever its
//! status, and a walk for each status that is not completed, for tasks that have none. A slice that is long is split again. Neighbouring
//! slices overlap, so that it does not matter whether the API counts their borders in; tasks that come twice are one row in the end.
//!
//! What is decided depends on what came and in which order alone: whoever tells the same pages again gets the same chains.

use std::collections::{BTreeMap, HashSet, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::glance::Glance;
use super::query::{COMPLETED, OPEN_STATUSES, Parameter, Query, Selector, parameter};
use crate::error::{Error, Result};
use crate::time::write_instant;

/// A chain of pages, by its place among all chains of the run.
pub type ChainId = u32;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The chain that it belongs to.
    pub chain: ChainId,
    /// The endpoint.
    pub path: &'static str,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// True if it goes on where a page ended.
    pub has_token: bool,
}

/// Lists tasks.
const TASKS: &str = "/v2/tasks";

/// Tells of delivered tasks which delivery they came with.
const DELIVERED: &str = "/v2/delivery/tasks";

/// How wide the slices are that are never split, in microseconds: a few of the overlap on both sides.
const NARROW: i64 = 16 * OVERLAP;

/// How far a slice reaches into its neighbours, in microseconds: more than any rounding of a time.
const OVERLAP: i64 = 1_000_000;

/// How far clocks may differ, in microseconds: what was completed later than so long ago lies in the slice that is asked last.
const SKEW: i64 = 600 * 1_000_000;

/// Scale is younger than this: the first slices lie evenly between here and now. What is older lies in a slice of its own.
const EARLIEST: i64 = 1_451_606_400_000_000;

/// A chain is split into at least and at most so many slices.
const LEAST_PARTS: usize = 3;
const MOST_PARTS: usize = 16;

/// Pages that are fetched again because their chain was split, of a hundred.
const WASTE_PERCENT: u64 = 10;

/// The same of one chain alone, while most requests have nothing to do.
const IDLE_WASTE_PERCENT: u64 = 33;

/// A chain of so few pages is split whatever the others have cost.
const FEW_PAGES: u64 = 2;

/// A chain that brings nothing new so many times goes in a circle.
const MOST_STALE_PAGES: u32 = 3;

/// Ids of a chain that are remembered, to notice a circle: pages of tasks are not bounded, memory is.
const MOST_IDS: usize = 100_000;

/// A chain whose token expires so often without coming further is given up.
const MOST_RESTARTS: u32 = 5;

/// Times between which tasks were completed, in microseconds; open where `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    after: Option<i64>,
    before: Option<i64>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Tasks of a selector, or what is told of those that were delivered: of a status, and in a slice, if these are said.
    Tasks { path: &'static str, of: Parameter, status: Option<String>, slice: Option<Slice>, is_splittable: bool },
    /// Anything else is walked from its first page to its last.
    Other { path: &'static str, parameters: Vec<Parameter>, makes_chains: bool },
}

#[derive(Debug)]
struct Chain {
    kind: Kind,
    token: Option<String>,
    pages: u64,
    most_pages: u64,
    restarts: u32,
    stale_pages: u32,
    tokens: HashSet<u64>,
    ids: HashSet<u64>,
}

/// The chains that are not at their end.
#[derive(Debug)]
pub struct Frontier {
    query: Query,
    /// When the export began, in microseconds.
    now: i64,
    page_size: u8,
    /// Requests at a time.
    concurrency: usize,
    /// Chains that are wanted at a time, so that each request has one.
    wanted: usize,
    chains: BTreeMap<ChainId, Chain>,
    /// Chains that wait to be asked, in their order, and those that are asked.
    ready: VecDeque<ChainId>,
    asked: HashSet<ChainId>,
    /// Projects whose chains were begun.
    begun: HashSet<Parameter>,
    next_chain: ChainId,
    pages: u64,
    wasted_pages: u64,
    /// Selectors that are walked as a whole because of an unknown status.
    walked: HashSet<Parameter>,
    /// Chains for the end: slices without an upper bound, so that a task that is completed meanwhile is in one of them if it was
    /// not met as an open one before.
    last: Vec<Kind>,
    /// What deliveries say that they hold.
    task_count: Option<u64>,
}

impl Frontier {
    /// The first chains of a query, which began at `now`; for so many requests at a time.
    pub fn new(query: Query, now: i64, page_size: u8, concurrency: usize) -> Frontier {
        let mut frontier = Frontier {
            query,
            now,
            page_size,
            concurrency,
            wanted: if concurrency > 1 { concurrency + concurrency / 2 } else { 1 },
            chains: BTreeMap::new(),
            ready: VecDeque::new(),
            asked: HashSet::new(),
            begun: HashSet::new(),
            next_chain: 0,
            pages: 0,
            wasted_pages: 0,
            walked: HashSet::new(),
            last: Vec::new(),
            task_count: None,
        };
        for selector in frontier.query.of.clone() {
            frontier.begin(&selector);
        }
        frontier
    }

    fn begin(&mut self, selector: &Selector) {
        let other = |path, parameters| Kind::Other { path, parameters, makes_chains: false };
        match selector {
            Selector::AllProjects => {
                self.add(Kind::Other { path: "/v2/projects", parameters: Vec::new(), makes_chains: true });
            }
            Selector::ProjectId(id) => {
                self.add(other("/v2/project", vec![parameter("project_id", id)]));
                self.project(parameter("project_id", id));
            }
            Selector::ProjectName(name) => {
                let parameters = vec![parameter("project_name", name)];
                self.add(Kind::Other { path: "/v2/project", parameters, makes_chains: true });
            }
            Selector::BatchId(id) => self.batch(parameter("batch_id", id)),
            Selector::BatchName(name) => self.batch(parameter("batch_name", name)),
            Selector::Delivery(delivery) => self.add(other("/v2/delivery", delivery.clone())),
            Selector::TaskId(id) => self.add(other("/v2/task", vec![parameter("task_id", id)])),
        }
    }

    /// The chains of a project: its tasks, and what is listed beside them.
    fn project(&mut self, of: Parameter) {
        // A listing of projects that begins anew names them again.
        if !self.begun.insert(of.clone()) {
            return;
        }
        for path in ["/v2/batches", "/v2/deliveries"] {
            self.add(Kind::Other { path, parameters: vec![of.clone()], makes_chains: false });
        }
        self.tasks(&of);
        if !self.query.skips_delivery_tasks {
            let is_splittable = self.wanted > 1;
            self.add(Kind::Tasks { path: DELIVERED, of, status: None, slice: self.bounds(), is_splittable });
        }
    }

    fn batch(&mut self, of: Parameter) {
        self.add(Kind::Other { path: "/v2/batch", parameters: vec![of.clone()], makes_chains: false });
        self.tasks(&of);
    }

    /// The first chains for the tasks of a selector: one, or one a status.
    fn tasks(&mut self, of: &Parameter) {
        let slice = self.bounds();
        let mut statuses: Vec<_> = self.query.statuses.iter().cloned().map(Some).collect();
        if statuses.is_empty() {
            statuses.push(None);
        }
        for status in statuses {
            // Only completed tasks are known to have a time.
            let has_time = slice.is_some() || status.as_deref().is_none_or(|status| status == COMPLETED);
            let is_splittable = has_time && self.wanted > 1;
            self.add(Kind::Tasks { path: TASKS, of: of.clone(), status, slice, is_splittable });
        }
    }

    /// The times that are asked for.
    fn bounds(&self) -> Option<Slice> {
        let (after, before) = (self.query.completed_after, self.query.completed_before);
        self.query.has_times().then_some(Slice { after, before })
    }

    fn add(&mut self, kind: Kind) {
        let id = self.next_chain;
        self.next_chain += 1;
        let (tokens, ids) = (HashSet::new(), HashSet::new());
        let chain = Chain { kind, token: None, pages: 0, most_pages: 0, restarts: 0, stale_pages: 0, tokens, ids };
        self.chains.insert(id, chain);
        self.ready.push_back(id);
    }

    /// What to ask next, if anything is not asked yet.
    pub fn next_request(&mut self) -> Option<Request> {
        loop {
            let id = self.ready.pop_front()?;
            if let Some(chain) = self.chains.get(&id) {
                self.asked.insert(id);
                return Some(self.request(id, chain));
            }
        }
    }

    /// The requests that would be sent now.
    pub fn requests(&self) -> Vec<Request> {
        self.chains.iter().map(|(id, chain)| self.request(*id, chain)).collect()
    }

    fn request(&self, id: ChainId, chain: &Chain) -> Request {
        let (path, mut parameters) = match &chain.kind {
            Kind::Tasks { path, of, status, slice, .. } => {
                let mut parameters = vec![of.clone()];
                parameters.extend(status.iter().map(|status| parameter("status", status)));
                let Slice { after, before } = slice.unwrap_or_default();
                let times = [("completed_after", after), ("completed_before", before)];
                let times = times.into_iter().filter_map(|(name, time)| Some(parameter(name, write_instant(time?)?)));
                parameters.extend(times);
                (*path, parameters)
            }
            Kind::Other { path, parameters, .. } => (*path, parameters.clone()),
        };
        match path {
            TASKS | "/v2/delivery" => {
                parameters.extend(self.query.details(path == "/v2/delivery"));
                parameters.push(parameter("limit", self.page_size.to_string()));
            }
            "/v2/task" => parameters.extend(self.query.details(false)),
            "/v2/batches" | DELIVERED => parameters.push(parameter("limit", "100")),
            _ => {}
        }
        parameters.extend(chain.token.iter().map(|token| parameter("next_token", token)));
        Request { chain: id, path, parameters, has_token: chain.token.is_some() }
    }

    /// A chain whose answer is told without its having been asked, because an earlier run did, must not be asked for that too.
    fn unready(&mut self, id: ChainId) {
        if !self.asked.remove(&id) {
            self.ready.retain(|ready| *ready != id);
        }
    }

    /// Takes in a page of a chain.
    pub fn received(&mut self, id: ChainId, glance: &Glance) -> Result<()> {
        self.pages += 1;
        self.unready(id);
        let Some(chain) = self.chains.get_mut(&id) else { return Ok(()) };
        chain.take(glance).map_err(|reason| Error::Circle { reason })?;
        let makes_chains = matches!(chain.kind, Kind::Other { makes_chains: true, .. });
        let unknown = match &chain.kind {
            Kind::Tasks { path: TASKS, of, status: None, is_splittable: true, .. } if glance.has_unknown_status => {
                Some(of.clone())
            }
            _ => None,
        };
        if let Some(of) = unknown.filter(|_| !self.query.has_times()) {
            self.walk_whole(of);
        }
        if makes_chains {
            glance.projects.iter().for_each(|project| self.project(parameter("project_id", project)));
        }
        if glance.task_count.is_some() {
            self.task_count = glance.task_count;
        }
        self.go_on(id, glance);
        Ok(())
    }

    fn go_on(&mut self, id: ChainId, glance: &Glance) {
        if glance.next_token.is_none() {
            self.chains.remove(&id);
        } else if let Some(parts) = self.parts(id, glance.completed).filter(|_| !glance.is_behind) {
            self.wasted_pages += self.chains.remove(&id).map_or(0, |chain| chain.pages);
            let (last, parts) = parts.into_iter().partition(Kind::is_open_ended);
            self.last.extend::<Vec<_>>(last);
            parts.into_iter().for_each(|part| self.add(part));
        } else {
            self.ready.push_back(id);
        }
        if self.chains.is_empty() {
            std::mem::take(&mut self.last).into_iter().for_each(|kind| self.add(kind));
        }
    }

    /// Walks a selector without any status, once: the statuses that are walked are not all that there are.
    fn walk_whole(&mut self, of: Parameter) {
        if self.walked.insert(of.clone()) {
            self.add(Kind::Tasks { path: TASKS, of, status: None, slice: None, is_splittable: false });
        }
    }

    /// The chain's token works no more: it begins anew. What it brought stays; its tasks just come again.
    pub fn expired(&mut self, id: ChainId) -> Result<()> {
        self.unready(id);
        let Some(chain) = self.chains.get_mut(&id) else { return Ok(()) };
        chain.restarts = if chain.pages > chain.most_pages { 0 } else { chain.restarts + 1 };
        if chain.restarts >= MOST_RESTARTS {
            let reason =
                format!("its token expired {MOST_RESTARTS} times before it came further than page {}", chain.pages);
            return Err(Error::Circle { reason });
        }
        chain.most_pages = chain.most_pages.max(chain.pages);
        chain.pages = 0;
        chain.stale_pages = 0;
        chain.token = None;
        chain.tokens.clear();
        chain.ids.clear();
        self.ready.push_back(id);
        Ok(())
    }

    /// True where every chain is at its end.
    pub fn is_done(&self) -> bool {
        self.chains.is_empty()
    }

    /// Chains that are not at their end.
    pub fn chain_count(&self) -> usize {
        self.chains.len()
    }

    /// How many tasks the delivery says that it has.
    pub fn task_count(&self) -> Option<u64> {
        self.task_count
    }

    /// The chains that are to stand for one, if splitting it is worth while: there are too few chains, and not much of it is fetched again.
    fn parts(&self, id: ChainId, seen: Option<(i64, i64)>) -> Option<Vec<Kind>> {
        let chain = self.chains.get(&id)?;
        let Kind::Tasks { path, of, status, slice, is_splittable: true } = &chain.kind else { return None };
        // Listings are short: what counts are chains of tasks.
        let of_tasks = |chain: &&Chain| matches!(chain.kind, Kind::Tasks { .. });
        let long = self.chains.values().filter(of_tasks).count();
        let is_whole = |chain: &Chain| matches!(&chain.kind, Kind::Tasks { slice, .. } if *slice == self.bounds());
        let whole = self.chains.values().filter(|chain| is_whole(chain)).count();
        let has_room = if is_whole(chain) { whole < self.wanted * 2 } else { long < self.concurrency };
        let is_young = chain.pages <= FEW_PAGES && has_room;
        // With most requests idle, a lone chain at the end would take longest: then more may come twice.
        let is_cheap = if long * 2 <= self.concurrency {
            chain.pages * 100 <= self.pages * IDLE_WASTE_PERCENT
        } else {
            (self.wasted_pages + chain.pages) * 100 <= self.pages * WASTE_PERCENT && long < self.wanted
        };
        if !(is_young || is_cheap) {
            return None;
        }
        let parts = self.wanted.div_ceil(long.max(1)).clamp(LEAST_PARTS, MOST_PARTS);
        let bounds = slice.unwrap_or_default();
        let slices = bounds.split(self.now, parts, seen)?;
        let part = |slice: Slice| {
            let slice = Some(slice.within(bounds));
            Kind::Tasks { path, of: of.clone(), status: status.clone(), slice, is_splittable: true }
        };
        let mut parts: Vec<_> = slices.into_iter().map(part).collect();
        if slice.is_none() && status.is_none() {
            parts.extend(OPEN_STATUSES.iter().map(|word| {
                let status = Some((*word).to_owned());
                Kind::Tasks { path, of: of.clone(), status, slice: None, is_splittable: false }
            }));
        }
        Some(parts)
    }
}

impl Kind {
    fn is_open_ended(&self) -> bool {
        matches!(self, Kind::Tasks { slice: Some(Slice { before: None, .. }), .. })
    }
}

impl Chain {
    fn take(&mut self, glance: &Glance) -> std::result::Result<(), String> {
        self.pages += 1;
        if self.ids.len() > MOST_IDS {
            self.ids.clear();
        }
        let before = self.ids.len();
        self.ids.extend(&glance.ids);
        // A page from the spool comes without its ids.
        let is_unknown = glance.ids.is_empty() && glance.items > 0;
        let is_stale = self.ids.len() == before && !is_unknown;
        self.stale_pages = if is_stale { self.stale_pages + 1 } else { 0 };
        self.token = glance.next_token.clone();
        let Some(token) = &self.token else { return Ok(()) };
        if !self.tokens.insert(xxh3_64(token.as_bytes())) {
            return Err(format!("page {} points to a page that was read before", self.pages));
        }
        if self.stale_pages >= MOST_STALE_PAGES {
            return Err(format!(
                "{MOST_STALE_PAGES} pages in a row brought nothing new, the last is page {}",
                self.pages
            ));
        }
        Ok(())
    }
}

impl Slice {
    /// Slices that cover this one evenly. Where tasks were seen in a small part of it alone, half of the borders lie within that part,
    /// which is where most tasks are unless the pages are in the order of their times. One that is open at an end has an open slice at that end. `None`
    /// where it is too narrow.
    fn split(self, now: i64, parts: usize, seen: Option<(i64, i64)>) -> Option<Vec<Slice>> {
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
        let mut ends: Vec<_> = borders.iter().copied().map(Some).collect();
        if self.after.is_none() {
            ends.insert(0, None);
        }
        if self.before.is_none() {
            ends.push(None);
        }
        Some(ends.windows(2).filter_map(|ends| Some(Slice { after: *ends.first()?, before: *ends.last()? })).collect())
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

#[cfg(test)]
mod tests;
