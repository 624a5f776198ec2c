//! The hash that tells an unchanged task.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::json::number::Decimal;
use crate::json::{Member, Number, Value};
use crate::time::read_instant;

/// Fields of a task that are an id or an object: of the object, id and name count.
const REFERENCES: [&str; 3] = ["project", "batch", "delivery"];

/// 128 bits over the content of a task. Key order, nulls in objects, the spelling of numbers and of instants that have a column,
/// and the signatures of addresses don't count: so a task that was restored from its rows has the same.
pub fn content_hash(task: &[Member<'_>]) -> u128 {
    task.iter().fold(0, |sum, member| match member.value {
        Value::Null => sum,
        Value::Object(members) if REFERENCES.contains(&member.key) => {
            let named = members.iter().filter(|inner| inner.key == "id" || inner.key == "name");
            let named = named.map(|member| entry(member, Place::Elsewhere)).fold(OBJECT, u128::wrapping_add);
            sum.wrapping_add(pair(hash_text(member.key), named))
        }
        _ => sum.wrapping_add(entry(member, Place::Task)),
    })
}

/// Where in a task an object stands, as far as instants that have a column are concerned.
#[derive(Clone, Copy)]
enum Place {
    Task,
    Thread,
    Submission,
    Elsewhere,
}

impl Place {
    /// That of the objects in an array under this key.
    fn below(self, key: &str) -> Place {
        match (self, key) {
            (Place::Task, "threads") => Place::Thread,
            (Place::Thread, "submissions") => Place::Submission,
            _ => Place::Elsewhere,
        }
    }

    fn has_instant(self, key: &str) -> bool {
        match self {
            Place::Task => key == "created_at" || key == "completed_at",
            Place::Submission => key == "submitted_at",
            Place::Thread | Place::Elsewhere => false,
        }
    }
}

// Any different constants: they keep an empty object, an empty array and the like apart.
const NULL: u128 = 0x9ae1_6a3b_2f90_404f_c949_d7c7_509e_6557;
const FALSE: u128 = 0x1b03_7387_12fa_d5cb_4e1d_3a7c_8d5f_9b21;
const TRUE: u128 = 0xd6e8_feb8_6659_fd93_5851_f42d_4c95_7f2d;
const ARRAY: u128 = 0x2545_f491_4f6c_dd1d_bf58_476d_1ce4_e5b9;
const OBJECT: u128 = 0x94d0_49bb_1331_11eb_9e37_79b9_7f4a_7c15;
const NUMBER_SEED: u64 = 1;
const INSTANT_SEED: u64 = NUMBER_SEED + 3;

/// `place` is that of objects in the value.
fn hash(value: &Value<'_>, place: Place) -> u128 {
    match value {
        Value::Null => NULL,
        Value::Boolean(false) => FALSE,
        Value::Boolean(true) => TRUE,
        Value::Number(text) => hash_number(text),
        Value::String(text) => hash_text(without_signature(text)),
        Value::Array(elements) => elements.iter().fold(ARRAY, |before, element| pair(before, hash(element, place))),
        Value::Object(members) => members.iter().map(|member| entry(member, place)).fold(OBJECT, u128::wrapping_add),
    }
}

/// A sum over entries doesn't know their order; a null adds nothing.
fn entry(member: &Member<'_>, place: Place) -> u128 {
    let value = match member.value {
        Value::Null => return 0,
        Value::String(text) if place.has_instant(member.key) => {
            let micros = read_instant(text).map(|micros| xxh3_128_with_seed(&micros.to_le_bytes(), INSTANT_SEED));
            micros.unwrap_or_else(|| hash_text(text))
        }
        value => hash(&value, place.below(member.key)),
    };
    pair(hash_text(member.key), value)
}

fn pair(first: u128, second: u128) -> u128 {
    xxh3_128([first.to_le_bytes(), second.to_le_bytes()].as_flattened())
}

fn hash_text(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

fn hash_number(text: &str) -> u128 {
    let number = Number::of(text);
    let small = number.exact_integer().filter(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER);
    match (small, number) {
        (Some(integer), _) => xxh3_128_with_seed(&integer.to_le_bytes(), NUMBER_SEED),
        (None, Number::Double(double)) if double.fract() != 0.0 => {
            xxh3_128_with_seed(&double.to_bits().to_le_bytes(), NUMBER_SEED + 1)
        }
        _ => xxh3_128_with_seed(Decimal::of(text).canonical().as_bytes(), NUMBER_SEED + 2),
    }
}

/// Up to here integers and doubles spell each other.
const MAX_SAFE_INTEGER: u64 = 1 << 53;

/// What marks the query of a signed address: Amazon's (two versions), Google's, Microsoft's.
const SIGNATURES: [&str; 4] = ["X-Amz-Signature=", "Signature=", "X-Goog-Signature=", "sig="];

/// An address without its query, if that has a signature; any other text as it is.
fn without_signature(text: &str) -> &str {
    if is_signed(text) { text.split('?').next().unwrap_or(text) } else { text }
}

/// Whether a text is an address whose query has a signature.
fn is_signed(text: &str) -> bool {
    // Few texts begin so: all others need not be looked through, and most end with their first byte.
    if text.as_bytes().first() != Some(&b'h') || !text.starts_with("http") {
        return false;
    }
    let is_address = !text.contains(|character: char| character.is_whitespace() || character == '#');
    is_address && text.split_once('?').is_some_and(|(_, query)| query.split('&').any(is_signature))
}

fn is_signature(pair: &str) -> bool {
    SIGNATURES.iter().any(|mark| pair.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;
    use crate::json::{Value, read};

    fn hash_of(text: &str) -> u128 {
        match read(text, 128, &Bump::new()).unwrap().root {
            Value::Object(members) => content_hash(members),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_means_the_same_hashes_the_same() {
        for (one, other) in [
            (r#"{"a": 1, "b": [1, {"c": null}]}"#, r#"{"b": [1.0, {}], "x": null, "a": 10e-1}"#),
            (r#"{"n": 9007199254740994}"#, r#"{"n": 9007199254740994.0}"#),
            (
                r#"{"project": {"id": "p", "name": "n", "status": "a"}}"#,
                r#"{"project": {"name": "n", "id": "p", "status": "b"}}"#,
            ),
            (
                r#"{"created_at": "2024-03-09T07:49:52.000Z", "threads": [{"submissions": [{"submitted_at": "2024-03-09"}]}]}"#,
                r#"{"created_at": "2024-03-09T08:49:52+01:00", "threads": [{"submissions": [{"submitted_at": "2024-03-09T00:00Z"}]}]}"#,
            ),
            (r#"{"u": "https://x/y?X-Amz-Signature=1"}"#, r#"{"u": "https://x/y?X-Amz-Date=2&X-Amz-Signature=2"}"#),
        ] {
            assert_eq!(hash_of(one), hash_of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_means_something_else_hashes_otherwise() {
        let texts = [
            r#"{}"#,
            r#"{"a": []}"#,
            r#"{"a": {}}"#,
            r#"{"a": [null]}"#,
            r#"{"a": "1"}"#,
            r#"{"a": 1}"#,
            r#"{"a": 1.5}"#,
            r#"{"a": true}"#,
            r#"{"a": false}"#,
            r#"{"a": [1, 2]}"#,
            r#"{"a": [2, 1]}"#,
            r#"{"a": [[1], 2]}"#,
            r#"{"b": 1}"#,
            r#"{"a": 1, "b": 1}"#,
            r#"{"a": {"b": 1}}"#,
            r#"{"a": "2024-03-09T07:49:52.000Z"}"#,
            r#"{"a": "2024-03-09T07:49:52Z"}"#,
            r#"{"created_at": "2024-03-09T07:49:52.000Z"}"#,
            r#"{"created_at": "2024-03-09T07:49:52.001Z"}"#,
            r#"{"threads": [{"created_at": "2024-03-09T07:49:52.000Z"}]}"#,
            r#"{"threads": [{"created_at": "2024-03-09T07:49:52Z"}]}"#,
            r#"{"a": 9007199254740993}"#,
            r#"{"a": 9007199254740992}"#,
            r#"{"a": 1e400}"#,
            r#"{"a": "https://x/y?sig=1 first"}"#,
            r#"{"a": "https://x/y?sig=1 other"}"#,
            r#"{"a": "https://x/y?page=1"}"#,
            r#"{"a": "https://x/y?page=2"}"#,
        ];
        let hashes = texts.map(hash_of).into_iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(hashes.len(), texts.len());
    }
}
