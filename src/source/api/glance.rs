//! What a fetcher must know of a page: where it goes on, and what it brought.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

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

/// The members that list something.
const LISTS: [&[u8]; 5] = [b"\"tasks\"", b"\"projects\"", b"\"batches\"", b"\"deliveries\"", b"\"docs\""];

impl Glance {
    /// Looks at the body of an answer; says what is wrong where it is no whole JSON object, or has not the member that it is asked for.
    /// What is inside a task is not judged here.
    pub fn of(body: &[u8], expected: &str) -> Result<Glance, String> {
        let start = scan::skip_white_space(body, 0);
        let whole = body.get(start..).unwrap_or_default();
        if whole.first() != Some(&b'{') {
            let beginning = String::from_utf8_lossy(whole.get(..40).unwrap_or(whole)).into_owned();
            return Err(format!("expected a JSON object, found {beginning:?}"));
        }
        let end = scan::value_end(whole, 0);
        let members = scan::members(whole).filter(|_| end.is_some());
        let members =
            members.ok_or_else(|| format!("expected a whole JSON object, found one torn at {} bytes", body.len()))?;
        let quoted = format!("\"{expected}\"");
        let found = members.iter().rev().find(|(key, _)| *key == quoted.as_bytes()).map(|(_, value)| *value);
        let is_list = LISTS.contains(&quoted.as_bytes());
        if found.is_none_or(|value| is_list && value != b"null" && !value.starts_with(b"[")) {
            let what = if is_list { "a list" } else { "a member" };
            return Err(format!("expected an object with {what} `{expected}`, found one without"));
        }
        let mut glance = Glance::default();
        let mut times = Vec::new();
        for (key, value) in &members {
            match *key {
                b"\"next_token\"" => glance.next_token = text(value).filter(|token| !token.is_empty()),
                b"\"delivery\"" => glance.task_count = number(value, b"\"task_count\""),
                key if LISTS.contains(&key) => glance.list(key, value, &mut times),
                _ => {}
            }
        }
        if !members.iter().any(|(key, _)| LISTS.contains(key)) {
            // A single object: one task, one project, one batch.
            glance.item(b"", whole, &mut times);
        }
        glance.completed = spread(&times);
        Ok(glance)
    }

    fn list(&mut self, key: &[u8], value: &[u8], times: &mut Vec<i64>) {
        for element in scan::elements(value).unwrap_or_default() {
            self.item(key, element, times);
        }
    }

    fn item(&mut self, list: &[u8], item: &[u8], times: &mut Vec<i64>) {
        self.items += 1;
        let mut id = item;
        for (key, value) in scan::members(item).unwrap_or_default() {
            match key {
                b"\"task_id\"" => id = value,
                b"\"id\"" if id == item => id = value,
                b"\"status\"" if list == b"\"tasks\"" => self.status(value),
                b"\"completed_at\"" if list == b"\"tasks\"" => {
                    times.extend(text(value).and_then(|time| parse_instant(&time)));
                }
                _ => {}
            }
        }
        if list == b"\"projects\"" {
            self.projects.extend(text(id));
        }
        self.ids.push(xxh3_64(id));
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

fn text(value: &[u8]) -> Option<String> {
    serde_json::from_slice(value).ok()
}

fn number(object: &[u8], name: &[u8]) -> Option<u64> {
    let members = scan::members(object)?;
    let (_, value) = members.into_iter().find(|(key, _)| *key == name)?;
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(body: &str) -> Glance {
        Glance::of(body.as_bytes(), "tasks").unwrap()
    }

    #[test]
    fn an_object_without_what_was_asked_for_is_no_answer() {
        for body in [r#"{"message": "busy"}"#, r#"{"tasks": {}}"#, r#"{"tasks": "none"}"#, r#"{"projects": []}"#] {
            assert!(Glance::of(body.as_bytes(), "tasks").is_err(), "{body}");
        }
        assert!(Glance::of(br#"{"status": "x"}"#, "task_id").is_err());
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
            assert!(Glance::of(body.as_bytes(), "tasks").is_err(), "{body}");
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
        let listed = Glance::of(br#"{"projects": [{"id": "a"}, {"id": "b"}]}"#, "projects").unwrap();
        assert_eq!(listed.projects, ["a", "b"]);
        assert_eq!(glance(r#"{"delivery": {"id": "d", "task_count": 7}, "tasks": []}"#).task_count, Some(7));
        assert_eq!(glance(r#"{"delivery": "d", "tasks": []}"#).task_count, None);
    }
}
