//! Keeps the requests going: as soon as a page is here and its token known, the next one is asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::mpsc::Sender;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::chain::ChainId;
use super::client::{Answer, Client, name};
use super::frontier::{Frontier, Request};
use super::glance::Glance;
use super::spool::{Event, Press, Pressed};
use crate::error::{Error, Result};
use crate::progress::ApiCounts;

/// Something to write down, in the order in which the frontier heard of it.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A page of a chain.
    Page(ChainId, Glance, Pressed),
    /// What happened to a chain without a page.
    Note(ChainId, Event),
}

/// Pages that wait for the spool: while there are so many, or so many bytes, nothing more is asked for.
const QUEUED_ARRIVALS: usize = 16;

/// While so many pages wait for the spool beside those that can be in the press, the requests are not what takes the time.
const PAGES_BEHIND: usize = 2;

/// An arrival that waits for the spool.
struct Waiting {
    /// Of its page, and as much again for what the press makes of it.
    bytes: usize,
    /// Its page comes out of the press.
    arrival: JoinHandle<Result<Arrival>>,
}

/// What is in the air.
pub(super) struct Fetcher {
    pub client: Arc<Client>,
    pub frontier: Frontier,
    pub press: Arc<Press>,
    /// Pages that are in the press at a time.
    pub presses: usize,
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
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
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
                handed_on = hand_on(&mut waiting, &to), if !waiting.is_empty() => waiting_bytes -= handed_on?,
                Some(answered) = asked.join_next() => {
                    let Ok((request, answer)) = answered else { return Err(Error::Reader) };
                    let is_behind = waiting.len() >= self.presses + PAGES_BEHIND;
                    let arrival = self.take(&request, answer?, is_behind)?;
                    waiting_bytes += arrival.bytes;
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

    fn take(&mut self, request: &Request, answer: Answer, is_behind: bool) -> Result<Waiting> {
        match answer {
            Answer::Page(body, mut glance) => {
                glance.is_behind = is_behind;
                self.frontier.received(request.chain, &glance)?;
                self.counts.pages.fetch_add(1, Relaxed);
                if let Some(count) = self.frontier.task_count() {
                    self.counts.expected_tasks.store(count, Relaxed);
                }
                let (bytes, chain, press) = (2 * body.len(), request.chain, Arc::clone(&self.press));
                let arrive = move || Ok(Arrival::Page(chain, glance, press.press(body, is_behind)?));
                Ok(Waiting { bytes, arrival: tokio::task::spawn_blocking(arrive) })
            }
            Answer::Expired => {
                self.frontier.expired(request.chain)?;
                Ok(Waiting::note(request.chain, Event::Expired))
            }
            Answer::Absent(status, refusal) => {
                tracing::info!(request = name(request), status, "the API does not have it");
                self.frontier.absent(request.chain, status)?;
                self.refusal = Some(refusal);
                Ok(Waiting::note(request.chain, Event::Absent { status }))
            }
        }
    }
}

impl Waiting {
    fn note(chain: ChainId, event: Event) -> Waiting {
        Waiting { bytes: 0, arrival: tokio::spawn(std::future::ready(Ok(Arrival::Note(chain, event)))) }
    }
}

/// Hands on the first of these, once there is room and its page is ready, and tells its bytes. Nothing is lost where nobody waits for it
/// to the end.
async fn hand_on(waiting: &mut VecDeque<Waiting>, to: &Sender<Arrival>) -> Result<usize> {
    // Without a receiver the run is over, and why is said elsewhere.
    let room = to.reserve().await.map_err(|_| Error::Reader)?;
    let Some(first) = waiting.front_mut() else { return Ok(0) };
    room.send((&mut first.arrival).await.map_err(panicked)??);
    Ok(waiting.pop_front().map_or(0, |first| first.bytes))
}

fn panicked(error: JoinError) -> Error {
    Error::Bug { place: "source::api::fetch", found: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[test]
    fn arrivals_are_handed_on_in_their_order_and_none_is_lost_where_nobody_waits_to_the_end() {
        super::super::runtime(1).unwrap().block_on(async {
            let (to, mut arrived) = mpsc::channel(1);
            let (let_go, held) = oneshot::channel();
            let slow = tokio::spawn(async move { held.await.map_err(|_| Error::Reader) });
            let quick = Waiting::note(2, Event::Expired);
            let mut waiting = VecDeque::from([Waiting { bytes: 5, arrival: slow }, quick]);
            // There is room for it, and it is not ready.
            let handed_on = tokio::select! {
                biased;
                handed_on = hand_on(&mut waiting, &to) => ControlFlow::Break(handed_on),
                () = tokio::task::yield_now() => ControlFlow::Continue(()),
            };
            assert!(handed_on.is_continue() && waiting.len() == 2 && arrived.try_recv().is_err());
            let_go.send(Arrival::Note(1, Event::Absent { status: 404 })).unwrap();
            assert_eq!(hand_on(&mut waiting, &to).await.unwrap(), 5);
            assert!(matches!(arrived.recv().await, Some(Arrival::Note(1, Event::Absent { status: 404 }))));
            assert_eq!(hand_on(&mut waiting, &to).await.unwrap(), 0);
            assert!(matches!(arrived.recv().await, Some(Arrival::Note(2, Event::Expired))));
            drop(arrived);
            waiting.push_back(Waiting::note(3, Event::Expired));
            assert!(matches!(hand_on(&mut waiting, &to).await, Err(Error::Reader)));
        });
    }
}
