//! What a fetcher must know of a page: where it goes on, and what it brought.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::endpoint::Endpoint;
use super::query::{COMPLETED, OPEN_STATUSES};
use super::slice::thinned;
use crate::json::scan::{self, Walk};
use crate::time::read_instant;

/// The facts of one answer. They go into the spool with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    /// Where the next page begins; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_token: Option<String>,
    /// Tasks, or what else is listed.
    pub items: u64,
    /// Hash of each item's id.
    #[serde(skip)]
    pub ids: Vec<u64>,
    /// When some of the tasks on the page were completed, in microseconds since 1970, in the order of the page.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub completed: Vec<i64>,
    /// True if a task has a status that the API is not known to have.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub has_unknown_status: bool,
    /// True if the pipeline was behind when the page came: then more chains would gain nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_behind: bool,
    /// Ids of the projects that are listed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub projects: Vec<String>,
    /// The deliveries that are listed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub deliveries: Vec<Delivered>,
    /// How many tasks the delivery has, on a page of one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_count: Option<u64>,
}

/// A delivery, as a list of them tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Its id.
    pub id: String,
    /// How many tasks it says that it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_count: Option<u64>,
    /// When it was made, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<i64>,
}

/// Times that are told of one page: enough to see where tasks are.
pub(super) const MOST_TIMES: usize = 32;

impl Glance {
    /// Looks at the answer of an endpoint; says what is wrong where it is no whole JSON object, or has not what was asked for. What is
    /// inside a task is not judged here.
    pub fn of(body: &[u8], endpoint: Endpoint) -> Result<Glance, String> {
        let mut walk = Walk::of(body);
        if walk.peek() != Some(b'{') {
            let beginning = String::from_utf8_lossy(body.get(..40).unwrap_or(body)).into_owned();
            return Err(format!("expected a JSON object, found {beginning:?}"));
        }
        let mut glance = Glance::default();
        let mut token: &[u8] = b"null";
        let found = match endpoint.list() {
            Some(list) => glance.page(&mut walk, list, endpoint.id(), &mut token),
            None => Item::object(&mut walk, endpoint.id()).map(|item| item.id.is_some().then(|| vec![item])),
        };
        let Some(items) = found.filter(|_| walk.is_at_end()) else {
            return Err(format!("expected a whole JSON object, found one torn at {} bytes", body.len()));
        };
        let items = items.ok_or_else(|| match endpoint.list() {
            Some(list) => format!("expected an object with a list `{list}`, found one without"),
            None => format!("expected an object with a member `{}`, found one without", endpoint.id()),
        })?;
        glance.items(endpoint, &items);
        // What can't be read as a token is no end: the rest would be lost.
        let token = serde_json::from_slice::<Option<String>>(token);
        let token = token.map_err(|error| format!("expected a string as `next_token`, or null: {error}"))?;
        glance.next_token = token.filter(|token| !token.is_empty());
        Ok(glance)
    }

    /// Reads a page; gives the items of its list, if it has that. `None` where it is torn.
    fn page<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        list: &str,
        id: &str,
        token: &mut &'a [u8],
    ) -> Option<Option<Vec<Item<'a>>>> {
        let mut listed = None;
        walk.object(|key, value| {
            match name(key) {
                name if name == list.as_bytes() => listed = Item::listed(value, id)?,
                b"next_token" => *token = value.pass()?,
                b"delivery" => self.task_count = task_count(value.pass()?),
                _ => drop(value.pass()?),
            }
            Some(())
        })?;
        Some(listed)
    }

    fn items(&mut self, endpoint: Endpoint, items: &[Item<'_>]) {
        let mut times = Vec::new();
        for item in items {
            self.ids.push(xxh3_64(item.id.unwrap_or(item.whole)));
            match endpoint {
                Endpoint::Tasks | Endpoint::Delivery => {
                    self.has_unknown_status |= item.status.is_some_and(|status| !is_known_status(status));
                    times.extend(item.completed_at.and_then(text).and_then(|time| read_instant(&time)));
                }
                Endpoint::Project | Endpoint::Projects => self.projects.extend(item.id.and_then(text)),
                Endpoint::Deliveries => self.deliveries.extend(item.delivered()),
                _ => {}
            }
        }
        self.items = items.len() as u64;
        self.completed = thinned(&times, MOST_TIMES);
    }
}

/// What is seen of one item, as pieces of its text.
#[derive(Default)]
struct Item<'a> {
    whole: &'a [u8],
    id: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    completed_at: Option<&'a [u8]>,
    task_count: Option<&'a [u8]>,
    delivered_at: Option<&'a [u8]>,
}

impl Item<'_> {
    fn delivered(&self) -> Option<Delivered> {
        let task_count = self.task_count.and_then(|count| serde_json::from_slice(count).ok());
        let at = self.delivered_at.and_then(text).and_then(|at| read_instant(&at));
        Some(Delivered { id: self.id.and_then(text)?, task_count, at })
    }
}

impl<'a> Item<'a> {
    /// The items of a list, or of `null`. `Some(None)` where this is neither, `None` where it is torn.
    fn listed(walk: &mut Walk<'a>, id: &str) -> Option<Option<Vec<Item<'a>>>> {
        let mut items = Vec::new();
        let mut inside = *walk;
        let list = inside.array(|item| {
            items.push(Item::any(item, id)?);
            Some(())
        });
        if list.is_some() {
            *walk = inside;
            return Some(Some(items));
        }
        let list = walk.pass()?;
        Some((list == b"null" || list.starts_with(b"[")).then(Vec::new))
    }

    /// An element of a list. One that can't be read is an item too.
    fn any(walk: &mut Walk<'a>, id: &str) -> Option<Item<'a>> {
        let mut inside = *walk;
        if let Some(item) = Item::object(&mut inside, id) {
            *walk = inside;
            return Some(item);
        }
        Some(Item { whole: walk.pass()?, ..Item::default() })
    }

    /// An object. Of duplicate keys the last counts, as everywhere.
    fn object(walk: &mut Walk<'a>, id: &str) -> Option<Item<'a>> {
        let mut item = Item::default();
        item.whole = walk.object(|key, value| {
            let value = Some(value.pass()?);
            match name(key) {
                name if name == id.as_bytes() => item.id = value,
                b"status" => item.status = value,
                b"completed_at" => item.completed_at = value,
                b"task_count" => item.task_count = value,
                b"delivered_at" => item.delivered_at = value,
                _ => {}
            }
            Some(())
        })?;
        Some(item)
    }
}

fn task_count(delivery: &[u8]) -> Option<u64> {
    let members = scan::members(delivery)?;
    let (_, count) = members.into_iter().rev().find(|(key, _)| name(key) == b"task_count")?;
    serde_json::from_slice(count).ok()
}

fn is_known_status(status: &[u8]) -> bool {
    text(status).is_some_and(|word| word == COMPLETED || OPEN_STATUSES.contains(&word.as_str()))
}

/// A key without its quotes.
fn name(key: &[u8]) -> &[u8] {
    key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
}

fn text(value: &[u8]) -> Option<String> {
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(body: &str) -> Glance {
        Glance::of(body.as_bytes(), Endpoint::Tasks).unwrap()
    }

    #[test]
    fn an_object_without_what_was_asked_for_is_no_answer() {
        for body in [r#"{"message": "busy"}"#, r#"{"tasks": {}}"#, r#"{"tasks": "none"}"#, r#"{"projects": []}"#] {
            assert!(Glance::of(body.as_bytes(), Endpoint::Tasks).is_err(), "{body}");
        }
        assert!(Glance::of(br#"{"status": "x"}"#, Endpoint::Task).is_err());
        assert_eq!(glance(r#"{"tasks": null}"#).items, 0);
    }

    #[test]
    fn a_page_ends_where_the_token_is_absent_null_or_empty() {
        for end in ["", r#", "next_token": null"#, r#", "next_token": """#] {
            assert_eq!(glance(&format!(r#"{{"tasks": []{end}}}"#)).next_token, None, "{end}");
        }
        let token = glance(r#"{"next_token": "a+/=& %\n\u00e9\"", "tasks": []}"#).next_token;
        assert_eq!(token.as_deref(), Some("a+/=& %\né\""));
        for token in ["5", "{}", r#""\ud800""#, "nul"] {
            let page = format!(r#"{{"tasks": [], "next_token": {token}}}"#);
            assert!(Glance::of(page.as_bytes(), Endpoint::Tasks).is_err(), "{token}");
        }
    }

    #[test]
    fn torn_and_foreign_bodies_are_told_from_pages() {
        for body in
            ["", "  ", "<html>", "[]", "null", r#"{"tasks": ["#, r#"{"tasks": [{}]"#, r#"{"tasks": [{"task_id": "a"#]
        {
            assert!(Glance::of(body.as_bytes(), Endpoint::Tasks).is_err(), "{body}");
        }
    }

    #[test]
    fn a_bad_task_does_not_spoil_its_page() {
        let page = glance(r#"{"tasks": [{"task_id": 5}, {"task_id": "a", "status": "completed", "x": nul}, 7]}"#);
        assert_eq!(page.items, 3);
    }

    #[test]
    fn unknown_words_of_status_are_noticed() {
        let page = |status: &str| glance(&format!(r#"{{"tasks": [{{"task_id": "a", "status": {status}}}]}}"#));
        assert!(!page(r#""completed""#).has_unknown_status && !page(r#""pending""#).has_unknown_status);
        assert!(page(r#""archived""#).has_unknown_status && page("5").has_unknown_status);
    }

    #[test]
    fn some_times_are_told_in_the_order_of_the_page() {
        let task = |second: usize| format!(r#"{{"task_id": "a", "completed_at": "2025-01-01T00:00:{second:02}Z"}}"#);
        let page = |seconds: &[usize]| {
            let tasks = seconds.iter().map(|second| task(*second)).collect::<Vec<_>>().join(",");
            glance(&format!(r#"{{"tasks": [{tasks}, {{"task_id": "b", "completed_at": null}}]}}"#)).completed
        };
        let seconds = |times: Vec<i64>| times.iter().map(|time| time / 1_000_000 % 60).collect::<Vec<_>>();
        assert_eq!(seconds(page(&[2, 1, 5])), [2, 1, 5]);
        let many = seconds(page(&(0..50).collect::<Vec<_>>()));
        assert!(many.len() <= MOST_TIMES && many.is_sorted() && many.contains(&0) && many.contains(&48), "{many:?}");
    }

    #[test]
    fn projects_and_counts_of_deliveries_are_told() {
        let listed = Glance::of(br#"{"projects": [{"id": "a"}, {"id": "b"}]}"#, Endpoint::Projects).unwrap();
        assert_eq!(listed.projects, ["a", "b"]);
        let one = Glance::of(br#"{"id": "a", "name": "A"}"#, Endpoint::Project).unwrap();
        assert_eq!((one.projects, one.items), (vec!["a".to_owned()], 1));
        let count = |body: &str| Glance::of(body.as_bytes(), Endpoint::Delivery).unwrap().task_count;
        assert_eq!(count(r#"{"delivery": {"id": "d", "task_count": 7}, "tasks": []}"#), Some(7));
        assert_eq!(count(r#"{"delivery": "d", "tasks": []}"#), None);
    }
}
