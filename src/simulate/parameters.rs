//! The parameters of a request, and what is wrong with them.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

use super::fault::json_error;
use super::token::Token;
use super::view::View;
use crate::time::read_instant;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    /// 400.
    pub(super) fn bad(message: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// 404.
    pub(super) fn unknown(what: &str, word: &str) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, message: format!("no {what} {word}") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json_error(self.status, &self.message)
    }
}

/// What is said of a token that can't be used, whatever the reason.
pub(super) const BAD_TOKEN: &str = "next_token is expired or invalid";

/// The most entities of a page (Scale's OpenAPI description), and how many there are without `limit`.
const MOST: usize = 100;

/// The words of `opts`.
const OPTIONS: [&str; 4] = ["annotation_details", "attachment_details", "model_parameters", "submissions"];

/// The decoded parameters of a request. Those that are empty count as missing, those that are unknown are ignored.
#[derive(Debug)]
pub(super) struct Parameters {
    path: String,
    pairs: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Parameters { path: parts.uri.path().to_owned(), pairs: decode(query) })
    }
}

/// The parameters of a query string.
pub(super) fn decode(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl Parameters {
    /// The first value of a parameter.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name).ok_or_else(|| Refusal::bad(format!("{name} is required")))
    }

    /// What a word of a parameter stands for.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(word) = self.one(name) else {
            return Ok(None);
        };
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, value)) => Ok(Some(*value)),
            None => Err(unknown_word(name, &words.iter().map(|(known, _)| *known).collect::<Vec<_>>(), word)),
        }
    }

    /// Whether each of the words was given. Any other is refused.
    fn flags<const N: usize>(&self, name: &str, words: [&str; N]) -> Result<[bool; N], Refusal> {
        match self.all(name).find(|word| !words.contains(word)) {
            Some(word) => Err(unknown_word(name, &words, word)),
            None => Ok(words.map(|word| self.all(name).any(|given| given == word))),
        }
    }

    /// Whether `expand=project` was given, where nothing else can be.
    pub(super) fn expands_project(&self) -> Result<bool, Refusal> {
        self.flags("expand", ["project"]).map(|[project]| project)
    }

    /// How tasks are to be written.
    pub(super) fn view(&self, has_delivery: bool) -> Result<View, Refusal> {
        let [project, batch, delivery] = if has_delivery {
            self.flags("expand", ["project", "batch", "delivery"])?
        } else {
            let [project, batch] = self.flags("expand", ["project", "batch"])?;
            [project, batch, false]
        };
        let [annotation_details, attachment_details, model_parameters, submissions] = self.flags("opts", OPTIONS)?;
        Ok(View { project, batch, delivery, annotation_details, attachment_details, model_parameters, submissions })
    }

    /// A span of time, such as that of `completed_after` and `completed_before`.
    pub(super) fn span(&self, what: &str) -> Result<Span, Refusal> {
        let instant = |name: String| {
            let parsed = self.one(&name).map(|text| (read_instant(text), text));
            match parsed {
                Some((None, text)) => {
                    Err(Refusal::bad(format!("{name} must be an ISO 8601 date-time string, found {text}")))
                }
                parsed => Ok(parsed.and_then(|(instant, _)| instant)),
            }
        };
        Ok(Span { after: instant(format!("{what}_after"))?, before: instant(format!("{what}_before"))? })
    }

    /// How many entities a page may have.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.one("limit") else {
            return Ok(MOST);
        };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Refusal::bad(format!("limit must be an integer from 1 to {MOST}, found {text}")))
    }

    /// The position at which the page begins.
    pub(super) fn position(&self) -> Result<u64, Refusal> {
        match self.one("next_token").map(Token::read) {
            None => Ok(0),
            Some(Some(token)) if token.query == self.query() => Ok(token.position),
            Some(_) => Err(Refusal::bad(BAD_TOKEN)),
        }
    }

    /// The token of the page that begins at this position.
    pub(super) fn token(&self, position: u64, serial: u64) -> String {
        Token { position, query: self.query(), serial }.write()
    }

    fn query(&self) -> u64 {
        query_hash(&self.path, &self.pairs)
    }
}

/// What a query is, whatever its page: the path and all parameters but those of paging, in any order.
pub(super) fn query_hash(path: &str, pairs: &[(String, String)]) -> u64 {
    let mut kept: Vec<_> = pairs.iter().filter(|(key, _)| key != "next_token" && key != "limit").collect();
    kept.sort();
    xxh3_64(format!("{path} {kept:?}").as_bytes())
}

/// A span of time. The start belongs to it, the end does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    after: Option<i64>,
    before: Option<i64>,
}

impl Span {
    /// Whether the instant lies in it. What never happened lies only in a span without ends.
    pub(super) fn has(self, instant: Option<i64>) -> bool {
        let Some(instant) = instant else {
            return self.after.is_none() && self.before.is_none();
        };
        self.after.is_none_or(|after| after <= instant) && self.before.is_none_or(|before| instant < before)
    }
}

fn unknown_word(name: &str, words: &[&str], word: &str) -> Refusal {
    Refusal::bad(format!("{name} must be one of {}, found {word}", words.join(", ")))
}
