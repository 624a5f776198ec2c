//! The bytes of attachments, kept beside the tables as files that are called by their hashes.
//!
//! A task tells where its attachments lie by addresses that are signed and expire. So they are fetched while the task is fresh, beside the
//! flattening:
//!
//! ```text
//!  tasks of a block ── addresses ──▶ desk ── requests ──▶ fetch ── bytes ──▶ body: a file by its hash
//!                                      │ what came of each
//!  rows of a part ─────────────────────┴─▶ rows: with what is known of their bytes
//! ```
//!
//! `kept` answers for all of them. What a lake has fetched once, `known` tells by the address: it is not fetched again, and rows that are made anew have it again.
#![cfg_attr(
    not(feature = "api"),
    allow(dead_code, unused_imports, unused_variables, reason = "what only who fetches needs")
)]

mod address;
mod body;
#[cfg(feature = "api")]
mod desk;
#[cfg(feature = "api")]
mod fetch;
#[cfg(feature = "api")]
mod host;
#[cfg(feature = "api")]
mod journal;
mod kept;
mod known;
mod media;
mod report;
mod rows;

use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;

pub use kept::{Attachments, OfTasks, Retry, Unordered};
pub use known::{hashes_in, hashes_in_those_there};
pub use report::{AttachmentReport, Example};
pub use rows::{Kept, pieces, put_back};

#[cfg(feature = "api")]
pub use fetch::FetchOptions;
#[cfg(feature = "api")]
pub use host::AllowedHost;

/// Where attachments lie in a lake.
pub const FOLDER: &str = "_taskloom/attachments";

/// SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Where a lake keeps the bytes.
    pub fn path(self) -> String {
        let hash = self.to_string();
        let folder = hash.get(..2).unwrap_or_default();
        format!("{FOLDER}/{folder}/{hash}")
    }

    /// The hash that a path tells; `None` where it is not that of an attachment.
    pub fn of_path(path: &str) -> Option<Sha256> {
        let (_, hash) = path.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('/')?;
        let hash = Sha256::of_hex(hash)?;
        (hash.path() == path).then_some(hash)
    }

    /// The hash that is spelled so.
    pub fn of_hex(text: &str) -> Option<Sha256> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| (digit as char).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Sha256(bytes))
    }
}

impl Display for Sha256 {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_char('#')?;
        Display::fmt(self, formatter)
    }
}

/// Bytes that a lake keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Their hash, by which their file is called.
    pub sha256: Sha256,
    /// How many there are.
    pub bytes: u64,
    /// What they are, told by themselves.
    pub media_type: Arc<str>,
}

/// Why a lake has no bytes of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// It is none of the addresses that can be asked.
    Unsupported,
    /// It lies where nobody may ask who was not allowed to.
    Refused,
    /// There are more bytes than are wanted.
    TooLarge,
    /// Whoever has it does not give it: most often, because the address expired.
    Denied,
    /// It is not there any more.
    Missing,
    /// No answer, or none that was whole.
    Unreachable,
}

impl Failure {
    /// As it stands in the tables.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Unsupported => "unsupported",
            Failure::Refused => "refused",
            Failure::TooLarge => "too_large",
            Failure::Denied => "denied",
            Failure::Missing => "missing",
            Failure::Unreachable => "unreachable",
        }
    }
}

/// The state of an attachment whose bytes were fetched and are a file of the lake.
pub const STORED: &str = "stored";

/// The same, where they stood in the task, and still do in the table.
pub const COPIED: &str = "copied";

/// The same, where they stand in the table no more.
pub const MOVED: &str = "moved";

/// What came of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lake has the bytes.
    Kept(Content),
    /// It has not.
    Failed(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_told_by_its_path() {
        let hash = Sha256([0xab; 32]);
        assert_eq!(hash.path(), format!("_taskloom/attachments/ab/{}", "ab".repeat(32)));
        assert_eq!(Sha256::of_path(&hash.path()), Some(hash));
        for other in ["", "_taskloom/attachments/ab", "tasks/ab/cd", &hash.path().replace("/ab/", "/cd/")] {
            assert_eq!(Sha256::of_path(other), None, "{other}");
        }
        assert_eq!(Sha256::of_hex(&"AB".repeat(32)), None, "one spelling alone");
        assert_eq!(Sha256::of_hex(&"+1".repeat(32)), None);
    }
}
