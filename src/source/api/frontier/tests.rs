use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::chain::MOST_RESTARTS;
use super::super::glance::MOST_TIMES;
use super::super::query::OPEN_STATUSES;
use super::super::slice::{EARLIEST, thinned};
use super::super::spool::log::FORMAT;
use super::*;
use crate::time::read_instant;

/// An API that holds these tasks, in an order of its own.
struct Api {
    tasks: Vec<Task>,
    page_size: usize,
    /// Whether a bound itself is within it.
    is_inclusive: bool,
}

#[derive(Clone, Debug)]
struct Task {
    id: u64,
    status: &'static str,
    completed_at: Option<i64>,
}

impl Api {
    /// Lists by a hash, which is no order that anybody could rely on.
    fn new(mut tasks: Vec<Task>, page_size: usize, is_inclusive: bool) -> Api {
        tasks.sort_by_key(|task| task.id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Api { tasks, page_size, is_inclusive }
    }

    /// The tasks that parameters ask for.
    fn found(&self, parameters: &[Parameter]) -> Vec<&Task> {
        let value = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let time = |name| value(name).map(|text| read_instant(text).unwrap());
        let (status, after, before) = (value("status"), time("completed_after"), time("completed_before"));
        let more = i64::from(self.is_inclusive);
        let is_in = |task: &&Task| {
            status.is_none_or(|status| task.status == status)
                && after.is_none_or(|after| task.completed_at.is_some_and(|at| at > after - more))
                && before.is_none_or(|before| task.completed_at.is_some_and(|at| at < before + more))
        };
        self.tasks.iter().filter(is_in).collect()
    }

    /// The ids of a page, and where the next one begins.
    fn page(&self, request: &Request) -> (Vec<u64>, Glance) {
        let mut glance = Glance::default();
        if request.endpoint != Endpoint::Tasks {
            return (Vec::new(), glance);
        }
        let from = request.parameters.iter().find(|(name, _)| name == "next_token");
        let from = from.map_or(0, |(_, token)| token.parse().unwrap());
        let found = self.found(&request.parameters);
        let page = found.iter().skip(from).take(self.page_size);
        let ids: Vec<_> = page.clone().map(|task| task.id).collect();
        glance.items = ids.len() as u64;
        glance.ids = ids.clone();
        glance.has_unknown_status =
            page.clone().any(|task| task.status != COMPLETED && !OPEN_STATUSES.contains(&task.status));
        let times: Vec<_> = page.clone().filter_map(|task| task.completed_at).collect();
        glance.completed = thinned(&times, MOST_TIMES);
        let end = from + self.page_size;
        glance.next_token = (end < found.len()).then(|| end.to_string());
        (ids, glance)
    }
}

const NOW: i64 = 1_763_000_000_000_000;

fn query(statuses: &[&str]) -> Query {
    Query {
        of: vec![Selector::ProjectId("p".to_owned())],
        statuses: statuses.iter().map(|word| (*word).to_owned()).collect(),
        ..Query::default()
    }
}

/// Walks a query to its end; the answers of up to `concurrency` requests come in an order that the draws tell. The ids that came, and
/// the pages that it took.
fn walk(api: &Api, query: Query, concurrency: usize, draws: &[usize]) -> (BTreeSet<u64>, u64) {
    let mut frontier = Frontier::new(query, NOW, 100, concurrency);
    let mut asked = Vec::new();
    let mut found = BTreeSet::new();
    let mut pages = 0;
    loop {
        while asked.len() < concurrency {
            let Some(request) = frontier.next_request() else { break };
            asked.push(request);
        }
        if asked.is_empty() {
            assert!(frontier.is_done());
            return (found, pages);
        }
        let draw = draws.get(pages as usize % draws.len().max(1)).copied().unwrap_or(0);
        let request = asked.swap_remove(draw % asked.len());
        let (ids, glance) = api.page(&request);
        found.extend(ids);
        frontier.received(request.chain, &glance).unwrap();
        pages += 1;
    }
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let second = 1_000_000;
    // Some lie at the same moment, some on borders, some before and some after all that is expected.
    let time = prop_oneof![
        Just(None),
        (0..40i64).prop_map(move |hour| Some(NOW - hour * 3600 * second)),
        (0..5i64).prop_map(move |step| Some(EARLIEST + (NOW - EARLIEST) / 16 * step)),
        (-3_000_000..3_000_000i64).prop_map(move |at| Some(NOW / 2 + at)),
        Just(Some(EARLIEST - second)),
        (0..3i64).prop_map(move |hour| Some(NOW + hour * 3600 * second)),
    ];
    let status = prop_oneof![4 => Just("completed"), 1 => Just("pending"), 1 => Just("error"), 1 => Just("canceled")];
    proptest::collection::vec((status, time), 0..400).prop_map(|tasks| {
        let with_time = |status, time: Option<i64>| if status == COMPLETED { time.or(Some(NOW)) } else { time };
        let task = |(id, (status, time))| Task { id: id as u64, status, completed_at: with_time(status, time) };
        tasks.into_iter().enumerate().map(task).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn many_chains_bring_exactly_what_one_brings(
        tasks in tasks(),
        page_size in 1..40usize,
        concurrency in 2..12usize,
        is_inclusive: bool,
        draws in proptest::collection::vec(0..1000usize, 1..50),
        statuses in proptest::sample::subsequence(vec!["completed", "pending", "error"], 0..3),
    ) {
        let api = Api::new(tasks, page_size, is_inclusive);
        let (one, _) = walk(&api, query(&statuses), 1, &[0]);
        let (many, _) = walk(&api, query(&statuses), concurrency, &draws);
        prop_assert_eq!(one, many);
    }

    #[test]
    fn chains_within_bounds_bring_exactly_what_one_brings(
        tasks in tasks(),
        page_size in 1..40usize,
        is_inclusive: bool,
        after in 0..40i64,
        hours in 0..40i64,
    ) {
        let api = Api::new(tasks, page_size, is_inclusive);
        let mut query = query(&[]);
        query.completed_after = Some(NOW - after * 3_600_000_000);
        query.completed_before = Some(NOW - (after - hours) * 3_600_000_000);
        let (one, _) = walk(&api, query.clone(), 1, &[0]);
        let (many, _) = walk(&api, query, 8, &[3, 1, 4, 1, 5]);
        prop_assert_eq!(one, many);
    }
}

#[test]
fn a_status_that_nobody_knows_makes_one_walk_over_everything() {
    let task = |id| Task {
        id,
        status: if id % 50 == 0 { "archived" } else { "completed" },
        completed_at: (id % 100 != 0).then_some(NOW - id as i64 * 60_000_000),
    };
    let api = Api::new((1..2000).map(task).collect(), 100, true);
    let (found, _) = walk(&api, query(&[]), 8, &[0]);
    assert_eq!(found.len(), 1999);
}

/// What a walk takes where each answer comes one unit of time after its request: the pages, and the time.
fn cost(api: &Api, query: Query, concurrency: usize) -> (u64, u64) {
    let mut frontier = Frontier::new(query, NOW, 100, concurrency);
    let mut in_the_air: VecDeque<(u64, Request)> = VecDeque::new();
    let (mut now, mut pages, mut found) = (0, 0, BTreeSet::new());
    loop {
        while let Some(request) = frontier.next_request() {
            in_the_air.push_back((now + 1, request));
        }
        assert!(in_the_air.len() <= concurrency);
        let Some((time, request)) = in_the_air.pop_front() else { break };
        let (ids, glance) = api.page(&request);
        found.extend(ids);
        frontier.received(request.chain, &glance).unwrap();
        (now, pages) = (time, pages + 1);
    }
    assert_eq!(found.len(), api.tasks.len());
    (pages, now)
}

#[test]
fn wherever_the_tasks_are_requests_have_work_and_few_pages_come_twice() {
    let day = 86_400_000_000;
    let places = [
        ("ten days, a year ago", 365 * day, 10 * day),
        ("half a year", day, 180 * day),
        ("all years", day, NOW - EARLIEST),
    ];
    for (tasks, most_pages, most_time) in [(20_000, 290, 42), (50_000, 640, 90)] {
        for (name, ago, span) in places {
            let task =
                |id| Task { id, status: "completed", completed_at: Some(NOW - ago - span / tasks as i64 * id as i64) };
            let shuffled = Api::new((0..tasks).map(task).collect(), 100, true);
            let in_order = Api { tasks: (0..tasks).map(task).collect(), page_size: 100, is_inclusive: true };
            let in_reverse = Api { tasks: (0..tasks).rev().map(task).collect(), page_size: 100, is_inclusive: true };
            for (order, api) in [("shuffled", shuffled), ("in order", in_order), ("in reverse", in_reverse)] {
                let (pages, time) = cost(&api, query(&[]), 8);
                assert!(pages <= most_pages && time <= most_time, "{tasks}, {name}, {order}: {pages} pages, {time}");
            }
        }
    }
}

#[test]
fn small_pages_tell_enough_of_where_the_tasks_are() {
    let at =
        |id: u64| NOW - 400 * 86_400_000_000 + (xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes()) % 864_000_000_000) as i64;
    let task = |id| Task { id, status: "completed", completed_at: Some(at(id)) };
    let api = Api::new((0..10_000).map(task).collect(), 10, true);
    let projects = ["a", "b", "c", "d"].map(|id| Selector::ProjectId(id.to_owned()));
    let query = Query { of: projects.to_vec(), skips_delivery_tasks: true, ..query(&[]) };
    // 4,000 pages hold the tasks; 500 units of time are the least for them.
    let (pages, time) = cost(&api, query, 8);
    assert!(pages <= 4_600 && time <= 600, "{pages} pages, {time}");
}

#[test]
fn no_order_and_no_crowd_makes_pages_come_over_and_over() {
    let hour: i64 = 3_600_000_000;
    let year_ago = NOW - 365 * 24 * hour;
    // Pieces of a listing that is nearly in order, moments that hold many tasks, and all at one moment.
    let noise = |id: u64, most: i64| (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) as i64 % most;
    let steady = move |id: u64| year_ago + id as i64 * 240 * hour / 20_000;
    type Time = Box<dyn Fn(u64) -> i64>;
    // Of one moment pages come one after the other, whatever is done.
    let times: [(&str, u64, Time); 6] = [
        ("an hour out of order", 80, Box::new(move |id| steady(id) + noise(id, hour))),
        ("a day out of order", 80, Box::new(move |id| steady(id) + noise(id, 24 * hour))),
        ("ten days out of order", 80, Box::new(move |id| steady(id) + noise(id, 240 * hour))),
        ("all at once", 210, Box::new(move |_| year_ago)),
        ("most at once", 130, Box::new(move |id| if id % 5 < 3 { year_ago } else { steady(id) })),
        ("daily bursts", 80, Box::new(move |id| year_ago + id as i64 / 100 * 24 * hour)),
    ];
    for (name, most_time, time) in times {
        let task = |id| Task { id, status: "completed", completed_at: Some(time(id)) };
        let api = Api { tasks: (0..20_000).map(task).collect(), page_size: 100, is_inclusive: true };
        // One chain would take 200 pages, and as long.
        let (pages, time) = cost(&api, query(&[]), 8);
        assert!(pages <= 440 && time <= most_time, "{name}: {pages} pages, {time}");
    }
}

#[test]
fn what_is_asked_is_the_same_for_each_format_of_the_spool() {
    let task = |id: u64| Task {
        id,
        status: if id.is_multiple_of(7) { "pending" } else { "completed" },
        completed_at: (!id.is_multiple_of(7)).then(|| NOW - (id * id % 9_999_991) as i64 * 60_000_000),
    };
    let api = Api::new((0..5_000).map(task).collect(), 100, true);
    let mut frontier = Frontier::new(query(&[]), NOW, 100, 8);
    let mut asked = String::new();
    while let Some(request) = frontier.next_request() {
        asked += &format!("{} {}\n", request.chain, request.url(&"http://localhost".parse().unwrap()));
        let (_, glance) = api.page(&request);
        frontier.received(request.chain, &glance).unwrap();
    }
    // Who changes what is asked changes `FORMAT` too, so that no spool is gone on with by other rules; then these two numbers.
    assert_eq!((FORMAT, xxhash_rust::xxh3::xxh3_64(asked.as_bytes())), (5, 16_821_981_393_240_969_050));
}

#[test]
fn a_small_query_is_one_request_for_its_tasks() {
    let task = |id| Task { id, status: "completed", completed_at: Some(NOW) };
    let api = Api::new((0..80).map(task).collect(), 100, true);
    let (found, pages) = walk(&api, query(&[]), 8, &[0]);
    // The project, its batches, its deliveries, and what is in them, come on top.
    assert_eq!((found.len(), pages), (80, 5));
}

fn page(token: &str, id: u64) -> Glance {
    Glance { next_token: Some(token.to_owned()), items: 1, ids: vec![id], ..Glance::default() }
}

fn lone_chain() -> (Frontier, ChainId) {
    let mut query = query(&[]);
    query.of = vec![Selector::Delivery(vec![parameter("delivery_id", "d")])];
    let mut frontier = Frontier::new(query, NOW, 100, 8);
    let chain = frontier.next_request().unwrap().chain;
    (frontier, chain)
}

#[test]
fn a_token_that_comes_again_ends_in_an_error() {
    let (mut frontier, chain) = lone_chain();
    frontier.received(chain, &page("a", 1)).unwrap();
    frontier.received(chain, &page("b", 2)).unwrap();
    let error = frontier.received(chain, &page("a", 3)).unwrap_err();
    assert!(error.to_string().contains("page 3"), "{error}");
}

#[test]
fn pages_that_bring_nothing_new_over_and_over_end_in_an_error() {
    let (mut frontier, chain) = lone_chain();
    for token in ["a", "b", "c"] {
        frontier.received(chain, &page(token, 1)).unwrap();
    }
    assert!(frontier.received(chain, &page("d", 1)).is_err());
}

#[test]
fn pages_without_anything_are_borne_but_not_for_ever() {
    let (mut frontier, chain) = lone_chain();
    let empty = |token: u32| Glance { next_token: Some(token.to_string()), ..Glance::default() };
    for token in 0..500 {
        frontier.received(chain, &empty(token)).unwrap();
    }
    frontier.received(chain, &page("task", 1)).unwrap();
    let taken = (500..10_000).take_while(|token| frontier.received(chain, &empty(*token)).is_ok()).count();
    assert!((500..2_000).contains(&taken), "{taken}");
}

#[test]
fn an_expired_token_begins_its_chain_anew_but_not_for_ever() {
    let (mut frontier, chain) = lone_chain();
    for _ in 0..=MOST_RESTARTS {
        frontier.received(chain, &page("a", 1)).unwrap();
        let request = frontier.next_request().unwrap();
        assert!(request.has_token);
        if frontier.expired(chain).is_err() {
            return;
        }
        assert!(!frontier.next_request().unwrap().has_token);
    }
    panic!("it goes on for ever");
}

#[test]
fn the_same_pages_make_the_same_chains() {
    let task = |id| Task { id, status: "completed", completed_at: Some(NOW - id as i64 * 60_000_000) };
    let api = Api::new((0..3000).map(task).collect(), 10, true);
    let mut first = Frontier::new(query(&[]), NOW, 100, 8);
    let mut log = Vec::new();
    while log.len() < 200 {
        let request = first.next_request().unwrap();
        let (_, glance) = api.page(&request);
        first.received(request.chain, &glance).unwrap();
        log.push((request.chain, glance));
    }
    let mut second = Frontier::new(query(&[]), NOW, 100, 8);
    for (chain, glance) in log {
        second.received(chain, &Glance { ids: Vec::new(), ..glance }).unwrap();
    }
    assert_eq!(first.requests(), second.requests());
    let asked: Vec<_> = std::iter::from_fn(|| second.next_request()).map(|request| request.chain).collect();
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len());
    assert_eq!(asked.len(), second.chain_count().min(8));
}

#[test]
fn projects_that_are_listed_again_are_begun_once() {
    let mut query = query(&[]);
    query.of = vec![Selector::AllProjects];
    let mut frontier = Frontier::new(query, NOW, 100, 8);
    let list = |ids: &[&str], token: Option<&str>| Glance {
        projects: ids.iter().map(|id| (*id).to_owned()).collect(),
        items: 1,
        next_token: token.map(str::to_owned),
        ..Glance::default()
    };
    let chain = frontier.next_request().unwrap().chain;
    frontier.received(chain, &list(&["a"], Some("next"))).unwrap();
    let begun = frontier.chain_count();
    frontier.expired(chain).unwrap();
    frontier.received(chain, &list(&["a"], Some("next"))).unwrap();
    assert_eq!(frontier.chain_count(), begun);
}
