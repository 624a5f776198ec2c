//! What a store beyond this machine said when it did not do what it was asked.

use std::fmt::{self, Display, Formatter};

/// Kinds of failures that have a remedy of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There are no credentials, or they are not known or too old.
    Credentials,
    /// The credentials may not do this.
    Denied,
    /// The bucket is in another region.
    Region,
    /// There is no such bucket.
    NoBucket,
    /// The clock of this machine is wrong.
    Clock,
    /// The endpoint is without TLS, and that was not allowed.
    PlainHttp,
    /// It puts a file although one of its name is there, so that two runs could overwrite each other's commits.
    Unconditional,
    /// It can't be reached, or does not answer.
    Unreachable,
    /// Anything else.
    Other,
}

/// A failure of a store. Its text holds no secret: neither credentials nor the query of an address.
#[derive(Debug, thiserror::Error)]
pub struct StoreFailure {
    /// What kind it is.
    pub kind: FailureKind,
    /// What it said.
    pub words: String,
}

impl Display for StoreFailure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}
