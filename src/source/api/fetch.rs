//! Keeps the requests going: as soon as a page is here and its token known, the next one is asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::chain::ChainId;
use super::client::{Answer, Client, name};
use super::frontier::{Frontier, Request};
use super::glance::Glance;
use super::spool::Event;
use crate::error::{Error, Result};
use crate::progress::ApiCounts;

/// Something to write down, in the order in which the frontier heard of it.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A page of a chain.
    Page(ChainId, Glance, Vec<u8>),
    /// What happened to a chain without a page.
    Note(ChainId, Event),
}

/// Pages that wait for the spool: while there are so many, or so many bytes, nothing more is asked for.
const QUEUED_ARRIVALS: usize = 16;

/// While so many pages wait for the spool, the requests are not what takes the time.
const PAGES_BEHIND: usize = 2;

/// What is in the air.
pub(super) struct Fetcher {
    pub client: Arc<Client>,
    pub frontier: Frontier,
    pub concurrency: usize,
    /// Bytes of pages that may wait here.
    pub held_bytes: usize,
    pub counts: Arc<ApiCounts>,
    /// Whether an export is whole although the API has none of the tasks that were asked for by id.
    pub allows_absent_tasks: bool,
    /// Why a task is absent, in the API's words.
    pub refusal: Option<Error>,
}

type Asked = JoinSet<(Request, Result<Answer>)>;

impl Fetcher {
    /// Walks all chains to their ends and hands on what comes. Gives the frontier back.
    pub(super) async fn run(mut self, to: Sender<Arrival>) -> Result<Frontier> {
        let mut asked = Asked::new();
        let mut waiting: VecDeque<Arrival> = VecDeque::new();
        let mut waiting_bytes = 0;
        loop {
            let has_room = waiting.len() < QUEUED_ARRIVALS && waiting_bytes < self.held_bytes;
            if has_room {
                self.ask(&mut asked);
            }
            if asked.is_empty() && waiting.is_empty() {
                return self.end();
            }
            tokio::select! {
                // Without a receiver the run is over, and why is said elsewhere.
                room = to.reserve(), if !waiting.is_empty() => {
                    let Ok(room) = room else { return Err(Error::Reader) };
                    if let Some(arrival) = waiting.pop_front() {
                        waiting_bytes -= arrival.bytes();
                        room.send(arrival);
                    }
                }
                Some(answered) = asked.join_next() => {
                    let Ok((request, answer)) = answered else { return Err(Error::Reader) };
                    let is_behind = waiting.len() >= PAGES_BEHIND;
                    let arrival = self.take(&request, answer?, is_behind)?;
                    waiting_bytes += arrival.bytes();
                    waiting.push_back(arrival);
                }
            }
        }
    }

    fn end(mut self) -> Result<Frontier> {
        if !self.frontier.is_done() {
            let found = format!("{} chains without a request", self.frontier.chain_count());
            return Err(Error::Bug { place: "source::api::fetch", found });
        }
        match self.refusal.take() {
            Some(refusal) if self.frontier.found_no_task() && !self.allows_absent_tasks => Err(refusal),
            _ => Ok(self.frontier),
        }
    }

    fn ask(&mut self, asked: &mut Asked) {
        while asked.len() < self.concurrency {
            let Some(request) = self.frontier.next_request() else { break };
            let client = Arc::clone(&self.client);
            tracing::debug!(
                request = name(&request),
                in_flight = asked.len(),
                chains = self.frontier.chain_count(),
                "asking"
            );
            asked.spawn(async move {
                let answer = client.get(&request).await;
                (request, answer)
            });
        }
        self.counts.chains.store(self.frontier.chain_count() as u64, Relaxed);
    }

    fn take(&mut self, request: &Request, answer: Answer, is_behind: bool) -> Result<Arrival> {
        match answer {
            Answer::Page(body, mut glance) => {
                glance.is_behind = is_behind;
                self.frontier.received(request.chain, &glance)?;
                self.counts.pages.fetch_add(1, Relaxed);
                if let Some(count) = self.frontier.task_count() {
                    self.counts.expected_tasks.store(count, Relaxed);
                }
                Ok(Arrival::Page(request.chain, glance, body))
            }
            Answer::Expired => {
                self.frontier.expired(request.chain)?;
                Ok(Arrival::Note(request.chain, Event::Expired))
            }
            Answer::Absent(status, refusal) => {
                tracing::info!(request = name(request), status, "the API does not have it");
                self.frontier.absent(request.chain, status)?;
                self.refusal = Some(refusal);
                Ok(Arrival::Note(request.chain, Event::Absent { status }))
            }
        }
    }
}

impl Arrival {
    fn bytes(&self) -> usize {
        match self {
            Arrival::Page(_, _, body) => body.len(),
            Arrival::Note(..) => 0,
        }
    }
}
