//! What a lake was asked to forget, told by hashes: who has an id can tell whether it is meant, and who has a hash learns none.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Ids that must not come again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forgotten {
    key: String,
    tasks: BTreeSet<String>,
    contributors: BTreeSet<String>,
}

impl Forgotten {
    /// By the hashes of ids under a key.
    pub fn new(
        key: String,
        tasks: impl IntoIterator<Item = String>,
        contributors: impl IntoIterator<Item = String>,
    ) -> Forgotten {
        Forgotten { key, tasks: tasks.into_iter().collect(), contributors: contributors.into_iter().collect() }
    }

    /// A key that nobody knows yet: 64 hex digits.
    pub fn new_key() -> String {
        [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string()).concat()
    }

    /// Ids, hashed under a key.
    pub fn of_ids(key: String, tasks: &[String], contributors: &[String]) -> Forgotten {
        let hashed = |ids: &[String]| ids.iter().map(|id| hash(&key, id)).collect::<Vec<_>>();
        let (tasks, contributors) = (hashed(tasks), hashed(contributors));
        Forgotten::new(key, tasks, contributors)
    }

    /// What ids are hashed with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The hashes of tasks.
    pub fn tasks(&self) -> &BTreeSet<String> {
        &self.tasks
    }

    /// The hashes of contributors.
    pub fn contributors(&self) -> &BTreeSet<String> {
        &self.contributors
    }

    /// The hash of a task's id, if the task is to be forgotten.
    pub fn hash_of_task(&self, id: &str) -> Option<&str> {
        self.tasks.get(&hash(&self.key, id)).map(String::as_str)
    }

    /// Whether a task is to be forgotten.
    pub fn has_task(&self, id: &str) -> bool {
        !self.tasks.is_empty() && self.tasks.contains(&hash(&self.key, id))
    }

    /// Whether a contributor is to be forgotten.
    pub fn has_contributor(&self, id: &str) -> bool {
        !self.contributors.is_empty() && self.contributors.contains(&hash(&self.key, id))
    }

    /// Whether anything that others are to forget is known.
    pub fn has_any(&self, others: &Forgotten) -> bool {
        !self.tasks.is_disjoint(&others.tasks) || !self.contributors.is_disjoint(&others.contributors)
    }

    /// Whether any word of a text is an id of either. Words are what stands between quotes, and what has no white space, quote or bracket
    /// in it, whole or between its other marks: the end of an address too.
    pub fn is_named_in(&self, text: &str) -> bool {
        let mut quoted = text.split('"').filter(|word| word.len() <= LONGEST_ID);
        quoted.any(|word| self.has(word)) || self.name_in(text).is_some()
    }

    /// A text with each word that is an id of either left out.
    pub fn without_names(&self, text: &str) -> String {
        let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(name) = self.name_in(rest) {
            kept.push_str(rest.get(..name.start).unwrap_or_default());
            kept.push('…');
            rest = rest.get(name.end..).unwrap_or_default();
        }
        kept + rest
    }

    /// Where the first word stands that is an id.
    fn name_in(&self, text: &str) -> Option<Range<usize>> {
        let mut at = 0;
        for piece in text.split_inclusive(is_between_words) {
            let word = piece.trim_end_matches(is_between_words);
            if let Some(name) = self.name_in_word(word) {
                return Some(at + name.start..at + name.end);
            }
            at += piece.len();
        }
        None
    }

    fn name_in_word(&self, word: &str) -> Option<Range<usize>> {
        let marks = word.match_indices(is_mark).map(|(at, mark)| (at, at + mark.len()));
        let marks = marks.collect::<Vec<_>>();
        let starts = [0].into_iter().chain(marks.iter().map(|(_, behind)| *behind));
        for (number, start) in starts.enumerate() {
            let ends = marks.iter().skip(number).map(|(at, _)| *at).chain([word.len()]).take(MOST_PIECES);
            // The whole word first.
            for end in ends.collect::<Vec<_>>().into_iter().rev().filter(|end| *end > start) {
                if word.get(start..end).is_some_and(|part| part.len() <= LONGEST_ID && self.has(part)) {
                    return Some(start..end);
                }
            }
        }
        None
    }

    /// Whether a text is the id of either.
    pub fn has(&self, id: &str) -> bool {
        let hash = hash(&self.key, id);
        self.tasks.contains(&hash) || self.contributors.contains(&hash)
    }
}

/// What may stand in an id, and may stand between an id and other things.
fn is_mark(character: char) -> bool {
    character.is_ascii_punctuation()
}

/// An id has no more pieces between marks.
const MOST_PIECES: usize = 12;

fn is_between_words(character: char) -> bool {
    character.is_whitespace() || "\"'`()[]{}<>,;=\\".contains(character)
}

/// No id of the API is nearly as long.
pub const LONGEST_ID: usize = 1024;

/// SHA-256 of the key and the id behind it, in hex: so that any engine can tell whether an id is meant, by `sha256(key || id)`. Keys are of
/// one length, so no other key and id make the same text.
fn hash(key: &str, id: &str) -> String {
    let hash = Sha256::new().chain_update(key).chain_update(id).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_other_programs_make_of_key_and_id() {
        // printf '%s' keyid | sha256sum
        assert_eq!(hash("key", "id"), "7599b909d62fc37cba51cff05c02e0abf5031d46f39d6b7eafc51bb6345c5cd8");
        assert_ne!(Forgotten::new_key(), Forgotten::new_key());
        assert_eq!(Forgotten::new_key().len(), 64);
    }

    #[test]
    fn tasks_and_contributors_are_told_apart() {
        let forgotten = Forgotten::new("k".to_owned(), [hash("k", "t")], [hash("k", "c")]);
        assert_eq!(["t", "c", "x"].map(|id| forgotten.has_task(id)), [true, false, false]);
        assert_eq!(["t", "c", "x"].map(|id| forgotten.has_contributor(id)), [false, true, false]);
        assert_eq!(["t", "c", "x"].map(|id| forgotten.has(id)), [true, true, false]);
    }

    #[test]
    fn words_of_a_text_are_found_and_left_out() {
        let forgotten = Forgotten::of_ids("k".to_owned(), &["t 1".to_owned(), "t2".to_owned()], &["c".to_owned()]);
        for (text, without) in [
            ("export --task-id t2 --task-id=t2", "export --task-id … --task-id=…"),
            ("see https://x.y/tasks/t2?a=1 or id_t2, t2.json #t2", "see https://x.y/tasks/…?a=1 or id_…, ….json #…"),
            (r#"{"ids":["t2","t3"],"by":"c"}"#, r#"{"ids":["…","t3"],"by":"…"}"#),
            (r#"{\"id\":\"t2\"}"#, r#"{\"id\":\"…\"}"#),
        ] {
            assert!(forgotten.is_named_in(text), "{text}");
            assert_eq!(forgotten.without_names(text), without);
            assert!(!forgotten.is_named_in(without), "{without}");
        }
        assert!(forgotten.is_named_in(r#"["t 1"]"#) && !forgotten.is_named_in("t22 xc t-2 xt2"));
        let forgotten = Forgotten::of_ids("k".to_owned(), &["a-b-c".to_owned()], &[]);
        assert_eq!(forgotten.without_names("x/a-b-c-d a-b c a-b-c"), "x/…-d a-b c …");
    }
}
