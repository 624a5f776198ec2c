//! Which requests cover a query. Pure: it is told what came and says what to ask next.
//!
//! A chain of pages can only be walked one page after the other, so speed comes from many chains. A query starts as one chain. If it
//! goes on after its first page, and there are not many others, it is split: into slices of `completed_at`, which hold every task that
//! has one, whatever its status, and a walk for each status that is not completed, for tasks that have none. Neighbouring slices overlap,
//! so that it does not matter whether the API counts their borders in; tasks that come twice are one row in the end.
//!
//! Slices are cut so that each holds about as many tasks as the others, as far as the pages that came tell. There are more of them than
//! requests at a time. Those that wait for their turn are cut again when it comes, the smaller the less is left, so that all requests
//! have work until the end: that costs nothing. A chain that is under way is split when requests have nothing to do: its pages come again.
//!
//! What is decided depends on what came and in which order alone: whoever tells the same pages again gets the same chains. So a change of
//! what is decided, or of what a glance tells, changes the spool's `FORMAT` too.

mod split;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use url::Url;

use super::chain::{Chain, ChainId, Kind};
use super::endpoint::Endpoint;
use super::glance::{Delivered, Glance};
use super::query::{COMPLETED, DELETED, Parameter, Query, Selector, parameter};
use super::slice::Slice;
use crate::error::{Error, Result};
use crate::source::Accounted;
use split::Root;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The chain that it belongs to.
    pub chain: ChainId,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The project that what it asks for is of, where that is known.
    pub project: Option<String>,
    /// True if it goes on where a page ended.
    pub has_token: bool,
    /// True if it asks for tasks of a status that an API may not take as a filter, and that nobody named.
    pub is_guess: bool,
}

impl Request {
    /// Whether an answer of this status tells that there is no such thing, or none for this account, and the rest of the export is none
    /// the worse for it: a task that is named by its id, what is listed beside the tasks, and a status that it does not take.
    pub fn may_be_absent(&self, status: u16) -> bool {
        match self.endpoint {
            Endpoint::Task => matches!(status, 404 | 410),
            Endpoint::Batches | Endpoint::Deliveries | Endpoint::DeliveryTasks => matches!(status, 402..=404),
            Endpoint::Tasks => self.is_guess && matches!(status, 400 | 422),
            _ => false,
        }
    }

    /// Where it goes, from the address of the API on.
    pub fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        url.set_path(&(base.path().trim_end_matches('/').to_owned() + self.endpoint.path()));
        if !self.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.parameters);
        }
        url
    }
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
    chains: BTreeMap<ChainId, Chain>,
    /// Chains that are not begun.
    waiting: VecDeque<ChainId>,
    /// Chains that are walked: not more than requests at a time. And those of them whose next page is not asked for.
    open: BTreeSet<ChainId>,
    ready: VecDeque<ChainId>,
    /// What is known of queries whose chains may be split.
    roots: BTreeMap<ChainId, Root>,
    /// Projects whose chains were begun.
    begun: HashSet<Parameter>,
    next_chain: ChainId,
    pages: u64,
    wasted_pages: u64,
    /// Selectors of which a page showed an unknown status before they were split.
    suspected: HashSet<Parameter>,
    /// Selectors that are walked as a whole because of an unknown status.
    walked: HashSet<Parameter>,
    /// Chains for the end: slices without an upper bound, so that a task that is completed meanwhile is in one of them if it was
    /// not met as an open one before.
    open_ended: Vec<Kind>,
    /// Deliveries that need not be walked, with how many tasks they have; and those that are, or were.
    known_deliveries: BTreeMap<String, u64>,
    walked_deliveries: BTreeSet<String>,
    /// What deliveries say that they hold.
    task_count: Option<u64>,
    absences: Absences,
}

/// What the API does not have of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absences {
    /// Tasks that were asked for by their ids.
    pub task_ids: Vec<String>,
    /// Listings beside the tasks, with the status that said so.
    pub listings: BTreeMap<Endpoint, u16>,
}

impl Frontier {
    /// The first chains of a query, which began at `now`; for so many requests at a time.
    pub fn new(query: Query, now: i64, page_size: u8, concurrency: usize) -> Frontier {
        let mut frontier = Frontier {
            query,
            now,
            page_size,
            concurrency,
            chains: BTreeMap::new(),
            waiting: VecDeque::new(),
            open: BTreeSet::new(),
            ready: VecDeque::new(),
            roots: BTreeMap::new(),
            begun: HashSet::new(),
            next_chain: 0,
            pages: 0,
            wasted_pages: 0,
            suspected: HashSet::new(),
            walked: HashSet::new(),
            open_ended: Vec::new(),
            known_deliveries: BTreeMap::new(),
            walked_deliveries: BTreeSet::new(),
            task_count: None,
            absences: Absences::default(),
        };
        for selector in frontier.query.of.clone() {
            frontier.begin(&selector);
        }
        frontier.open_more();
        frontier
    }

    /// The same, for who knows all tasks of these deliveries.
    pub fn knowing(self, known_deliveries: BTreeMap<String, u64>) -> Frontier {
        Frontier { known_deliveries, ..self }
    }

    fn begin(&mut self, selector: &Selector) {
        let other = |endpoint, parameters| Kind::Other { endpoint, parameters, makes_chains: false };
        match selector {
            Selector::AllProjects => {
                let (endpoint, parameters) = (Endpoint::Projects, Vec::new());
                self.add(Kind::Other { endpoint, parameters, makes_chains: true });
            }
            Selector::ProjectId(id) => {
                self.add(other(Endpoint::Project, vec![parameter("project_id", id)]));
                self.project(parameter("project_id", id));
            }
            Selector::ProjectName(name) => {
                let parameters = vec![parameter("project_name", name)];
                self.add(Kind::Other { endpoint: Endpoint::Project, parameters, makes_chains: true });
            }
            Selector::BatchId(id) => self.batch(parameter("batch_id", id)),
            Selector::BatchName(name) => self.batch(parameter("batch_name", name)),
            Selector::Delivery(delivery) => self.add(other(Endpoint::Delivery, delivery.clone())),
            Selector::TaskId(id) => self.add(other(Endpoint::Task, vec![parameter("task_id", id)])),
        }
    }

    /// The chains of a project: its tasks, and what is listed beside them.
    fn project(&mut self, of: Parameter) {
        // A listing of projects that begins anew names them again.
        if !self.begun.insert(of.clone()) {
            return;
        }
        for endpoint in [Endpoint::Batches, Endpoint::Deliveries] {
            self.add(Kind::Other { endpoint, parameters: vec![of.clone()], makes_chains: false });
        }
        self.tasks(&of);
        if !self.query.skips_delivery_tasks {
            let (endpoint, slice, is_splittable) = (Endpoint::DeliveryTasks, self.bounds(), self.concurrency > 1);
            self.add(Kind::Tasks { endpoint, of, status: None, slice, is_splittable });
        }
    }

    /// The chain of a delivery that was made in the times that are asked for, where these leave out some of its tasks.
    fn delivery(&mut self, delivery: &Delivered, project: &str) {
        let after = self.query.completed_after.filter(|_| self.query.walks_deliveries);
        let is_meant = after.is_some_and(|after| delivery.at.is_none_or(|at| at >= after));
        let is_known =
            delivery.task_count.is_some() && self.known_deliveries.get(&delivery.id).copied() == delivery.task_count;
        let is_wanted = is_meant && !is_known && !self.query.skips_delivery_tasks;
        if is_wanted && self.walked_deliveries.insert(delivery.id.clone()) {
            self.add(Kind::Delivery { id: delivery.id.clone(), project: project.to_owned() });
        }
    }

    /// The deliveries of which every task was asked for.
    pub fn accounted(&self) -> Accounted {
        let is_absent = |endpoint| self.absences.listings.contains_key(&endpoint);
        if self.query.skips_delivery_tasks || is_absent(Endpoint::DeliveryTasks) || is_absent(Endpoint::Deliveries) {
            return Accounted::None;
        }
        if self.query.has_times() { Accounted::These(self.walked_deliveries.clone()) } else { Accounted::All }
    }

    fn batch(&mut self, of: Parameter) {
        self.add(Kind::Other { endpoint: Endpoint::Batch, parameters: vec![of.clone()], makes_chains: false });
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
            let is_splittable = has_time && self.concurrency > 1;
            self.add(Kind::Tasks { endpoint: Endpoint::Tasks, of: of.clone(), status, slice, is_splittable });
        }
        for status in self.query.open_statuses.clone() {
            let (endpoint, of, status) = (Endpoint::Tasks, of.clone(), Some(status));
            self.add(Kind::Tasks { endpoint, of, status, slice: None, is_splittable: false });
        }
    }

    /// The times that are asked for.
    fn bounds(&self) -> Option<Slice> {
        let (after, before) = (self.query.completed_after, self.query.completed_before);
        self.query.has_times().then_some(Slice { after, before })
    }

    /// A chain that was made of no other.
    fn add(&mut self, kind: Kind) {
        let id = self.next_chain;
        self.enter(Chain::new(kind, id, 1.0, Vec::new()));
        self.waiting.push_back(id);
    }

    fn enter(&mut self, chain: Chain) -> ChainId {
        let id = self.next_chain;
        self.next_chain += 1;
        self.chains.insert(id, chain);
        id
    }

    /// Begins chains until there are as many as requests at a time.
    fn open_more(&mut self) {
        while self.open.len() < self.concurrency {
            let Some(id) = self.waiting.pop_front() else { break };
            if let Some(parts) = self.finer(id) {
                self.chains.remove(&id);
                let parts = parts.into_iter().map(|part| self.enter(part)).collect::<Vec<_>>();
                parts.into_iter().rev().for_each(|part| self.waiting.push_front(part));
                continue;
            }
            if let Some((root, share)) =
                self.chains.get(&id).and_then(|chain| Some((chain.splittable_root()?, chain.share)))
            {
                self.roots.entry(root).or_default().share += share;
            }
            self.open.insert(id);
            self.ready.push_back(id);
        }
    }

    /// What to ask next, if anything is not asked yet.
    pub fn next_request(&mut self) -> Option<Request> {
        let id = self.ready.pop_front()?;
        let chain = self.chains.get(&id)?;
        Some(self.request(id, chain))
    }

    /// The requests that would be sent now.
    #[cfg(any(test, feature = "cli"))]
    pub fn requests(&self) -> Vec<Request> {
        self.chains.iter().map(|(id, chain)| self.request(*id, chain)).collect()
    }

    fn request(&self, id: ChainId, chain: &Chain) -> Request {
        let (endpoint, mut parameters) = chain.kind.asked();
        parameters.extend(endpoint.parameters(&self.query, self.page_size));
        parameters.extend(chain.token.iter().map(|token| parameter("next_token", token)));
        let is_guess = chain.kind.is_of_status(DELETED) && !self.query.statuses.iter().any(|status| status == DELETED);
        let project = chain.kind.project().map(str::to_owned);
        Request { chain: id, endpoint, parameters, project, has_token: chain.token.is_some(), is_guess }
    }

    /// Takes in a page of a chain.
    pub fn received(&mut self, id: ChainId, glance: &Glance) -> Result<()> {
        // It was not asked for where an earlier run had the answer.
        self.ready.retain(|ready| *ready != id);
        let chain = self.chains.get_mut(&id).ok_or_else(|| unknown(id))?;
        chain.take(glance).map_err(|reason| Error::Circle { reason })?;
        self.pages += 1;
        if let Some(root) = chain.splittable_root() {
            self.roots.entry(root).or_default().pages += 1;
        }
        let makes_chains = matches!(chain.kind, Kind::Other { makes_chains: true, .. });
        let project = chain.kind.project().map(str::to_owned);
        let unknown = match &chain.kind {
            Kind::Tasks { of, status: None, is_splittable: true, .. } if glance.has_unknown_status => Some(of.clone()),
            _ => None,
        };
        let unknown = unknown.filter(|_| !self.query.has_times());
        // A chain that isn't split brings everything itself.
        let is_whole = self.chains.get(&id).is_some_and(|chain| self.is_whole(chain));
        match unknown {
            Some(of) if is_whole => drop(self.suspected.insert(of)),
            Some(of) => self.walk_whole(of),
            None => {}
        }
        if makes_chains {
            glance.projects.iter().for_each(|project| self.project(parameter("project_id", project)));
        }
        if let Some(project) = project {
            glance.deliveries.iter().for_each(|delivery| self.delivery(delivery, &project));
        }
        if glance.task_count.is_some() {
            self.task_count = glance.task_count;
        }
        self.go_on(id, glance);
        Ok(())
    }

    /// The API has not what a chain asks for: the chain is at its end, see [`Request::may_be_absent`].
    pub fn absent(&mut self, id: ChainId, status: u16) -> Result<()> {
        self.ready.retain(|ready| *ready != id);
        let chain = self.remove(id).ok_or_else(|| unknown(id))?;
        let (endpoint, parameters) = chain.kind.asked();
        match endpoint {
            // What has this status may be in an answer that is not narrowed to one.
            Endpoint::Tasks if self.query.has_times() => {}
            Endpoint::Tasks => chain.kind.selector().cloned().into_iter().for_each(|of| self.walk_whole(of)),
            Endpoint::Task => self.absences.task_ids.extend(parameters.into_iter().map(|(_, id)| id)),
            listing => drop(self.absences.listings.insert(listing, status)),
        }
        self.begin_last();
        Ok(())
    }

    /// What the API does not have, as far as it was asked.
    pub fn absences(&self) -> &Absences {
        &self.absences
    }

    /// True where tasks were asked for by their ids, and the API has none of them.
    pub fn found_no_task(&self) -> bool {
        let is_by_id = |selector: &Selector| matches!(selector, Selector::TaskId(_));
        self.query.of.iter().all(is_by_id) && self.pages == 0 && !self.absences.task_ids.is_empty()
    }

    fn go_on(&mut self, id: ChainId, glance: &Glance) {
        if glance.next_token.is_none() {
            self.remove(id);
        } else if let Some(parts) = (!glance.is_behind).then(|| self.parts(id)).flatten() {
            if let Some(chain) = self.remove(id) {
                if let Some(of) = chain.kind.selector().filter(|of| self.suspected.remove(*of)) {
                    self.walk_whole(of.clone());
                }
                // Its pages come again with its parts.
                self.wasted_pages += chain.pages;
                let root = self.roots.entry(chain.root).or_default();
                root.pages -= chain.pages.min(root.pages);
                root.share -= chain.share;
            }
            for part in parts {
                if part.kind.is_open_ended() {
                    self.open_ended.push(part.kind);
                } else {
                    let part = self.enter(part);
                    self.waiting.push_back(part);
                }
            }
        } else {
            self.ready.push_back(id);
        }
        self.begin_last();
    }

    /// Begins what is asked at the end, and what there is a request free for.
    fn begin_last(&mut self) {
        if self.chains.is_empty() {
            std::mem::take(&mut self.open_ended).into_iter().for_each(|kind| self.add(kind));
        }
        self.open_more();
    }

    fn remove(&mut self, id: ChainId) -> Option<Chain> {
        self.open.remove(&id);
        self.chains.remove(&id)
    }

    /// Walks a selector without any status, once: the statuses that are walked are not all that there are.
    fn walk_whole(&mut self, of: Parameter) {
        if self.walked.insert(of.clone()) {
            let endpoint = Endpoint::Tasks;
            self.add(Kind::Tasks { endpoint, of, status: None, slice: None, is_splittable: false });
        }
    }

    /// The chain's token works no more: it begins anew. What it brought stays; its tasks just come again.
    pub fn expired(&mut self, id: ChainId) -> Result<()> {
        self.ready.retain(|ready| *ready != id);
        let chain = self.chains.get_mut(&id).ok_or_else(|| unknown(id))?;
        chain.restart().map_err(|reason| Error::Circle { reason })?;
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
}

/// Whoever tells the same pages again gets the same chains: a chain that is none is a fault of ours.
fn unknown(chain: ChainId) -> Error {
    Error::Bug { place: "source::api::frontier", found: format!("an answer of chain {chain}, which is not walked") }
}

#[cfg(test)]
mod tests;
