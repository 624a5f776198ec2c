//! What a fetcher must know of a page: where it goes on, and what it brought.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::endpoint::Endpoint;
use super::query::{COMPLETED, OPEN_STATUSES};
use crate::json::scan;
use crate::time::parse_instant;

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
    /// When the first and the last of the tasks on the page were completed, in microseconds since 1970. `None` where the page is in the
    /// order of these times, and so tells only of its end of the query.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed: Option<(i64, i64)>,
    /// True if a task has a status that the API is not known to have.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub has_unknown_status: bool,
    /// True if the pipeline was behind when the page came: then more chains would gain nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_behind: bool,
    /// Ids of the projects that are listed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub projects: Vec<String>,
    /// How many tasks the delivery has, on a page of one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_count: Option<u64>,
}

impl Glance {
    /// Looks at the answer of an endpoint; says what is wrong where it is no whole JSON object, or has not what was asked for. What is
    /// inside a task is not judged here.
    pub fn of(body: &[u8], endpoint: Endpoint) -> Result<Glance, String> {
        let start = scan::skip_white_space(body, 0);
        let whole = body.get(start..).unwrap_or_default();
        if whole.first() != Some(&b'{') {
            let beginning = String::from_utf8_lossy(whole.get(..40).unwrap_or(whole)).into_owned();
            return Err(format!("expected a JSON object, found {beginning:?}"));
        }
        let torn = || format!("expected a whole JSON object, found one torn at {} bytes", body.len());
        let end = scan::value_end(whole, 0);
        let members = scan::members(whole).filter(|_| end.is_some()).ok_or_else(torn)?;
        let missing = |what: &str| format!("expected an object with {what}, found one without");
        let mut glance = Glance::default();
        let Some(list) = endpoint.list() else {
            let id = endpoint.id();
            member(&members, id).ok_or_else(|| missing(&format!("a member `{id}`")))?;
            glance.items(endpoint, &[whole]);
            return Ok(glance);
        };
        let listed = member(&members, list).filter(|value| *value == b"null" || value.starts_with(b"["));
        let listed = listed.ok_or_else(|| missing(&format!("a list `{list}`")))?;
        glance.items(endpoint, &scan::elements(listed).unwrap_or_default());
        glance.next_token = member(&members, "next_token").and_then(text).filter(|token| !token.is_empty());
        let delivery = member(&members, "delivery").and_then(scan::members);
        glance.task_count = delivery.and_then(|delivery| serde_json::from_slice(member(&delivery, "task_count")?).ok());
        Ok(glance)
    }

    fn items(&mut self, endpoint: Endpoint, items: &[&[u8]]) {
        let mut times = Vec::new();
        for item in items {
            let members = scan::members(item).unwrap_or_default();
            let id = member(&members, endpoint.id());
            self.ids.push(xxh3_64(id.unwrap_or(item)));
            match endpoint {
                Endpoint::Tasks | Endpoint::Delivery => {
                    member(&members, "status").into_iter().for_each(|status| self.status(status));
                    times.extend(member(&members, "completed_at").and_then(text).and_then(|time| parse_instant(&time)));
                }
                Endpoint::Project | Endpoint::Projects => self.projects.extend(id.and_then(text)),
                _ => {}
            }
        }
        self.items = items.len() as u64;
        self.completed = spread(&times);
    }

    fn status(&mut self, value: &[u8]) {
        let is_known = |word: &str| word == COMPLETED || OPEN_STATUSES.contains(&word);
        self.has_unknown_status |= !text(value).is_some_and(|word| is_known(&word));
    }
}

/// The first and the last of times that are in no order.
pub(super) fn spread(times: &[i64]) -> Option<(i64, i64)> {
    let is_in_order = times.is_sorted() || times.is_sorted_by(|one, next| one >= next);
    let ends = times.iter().min().zip(times.iter().max());
    ends.filter(|_| !is_in_order).map(|(first, last)| (*first, *last))
}

/// The value of a key; the last one where there are several, as everywhere.
fn member<'a>(members: &[(&[u8], &'a [u8])], key: &str) -> Option<&'a [u8]> {
    let is_key = |quoted: &[u8]| quoted.get(1..quoted.len().saturating_sub(1)) == Some(key.as_bytes());
    members.iter().rev().find(|(quoted, _)| is_key(quoted)).map(|(_, value)| *value)
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
    fn times_tell_of_a_query_where_they_are_in_no_order() {
        assert_eq!(spread(&[2, 1, 5, 3]), Some((1, 5)));
        assert_eq!((spread(&[1, 2, 2, 5]), spread(&[5, 2, 1]), spread(&[])), (None, None, None));
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
