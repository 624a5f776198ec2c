//! What a caller decides by.

use super::Error;
use crate::store::FailureKind;

/// What kind of failure an [`Error`] is: what a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for can't be: a setting, an input or a query that makes no sense.
    Usage,
    /// An input can't be read, or is no text.
    Input,
    /// The disk, or what else results are written to, failed.
    Output,
    /// The place for the lake, or the lake that is there, is not fit for this run.
    Lake,
    /// A lake is damaged.
    Damaged,
    /// More was rejected, or less came, than is allowed.
    Rejected,
    /// The API refused a request.
    Refused,
    /// The API was out of reach or in trouble. Worth another attempt.
    Unavailable,
    /// Another run has the lake. Worth another attempt.
    Busy,
    /// Another run was faster. Worth another attempt.
    Conflict,
    /// Somebody stopped the run.
    Interrupted,
    /// A fault of this crate.
    Bug,
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage { .. }
            | Error::Settings { .. }
            | Error::NoSuchVersion { .. }
            | Error::NoRows { .. }
            | Error::NoInput { .. }
            | Error::Address { .. } => ErrorKind::Usage,
            Error::Input { .. } | Error::InputChanged { .. } | Error::NotText { .. } | Error::NoTask { .. } => {
                ErrorKind::Input
            }
            Error::Store { source, .. } if source.kind == FailureKind::PlainHttp => ErrorKind::Usage,
            Error::Store { .. }
            | Error::File { .. }
            | Error::Parquet { .. }
            | Error::Output(_)
            | Error::Committed { .. } => ErrorKind::Output,
            Error::NothingToOverwriteWith { .. }
            | Error::NoLake { .. }
            | Error::NotEmpty { .. }
            | Error::NotOurs { .. }
            | Error::NoVersion { .. }
            | Error::Layout { .. }
            | Error::Opts { .. }
            | Error::NoFolder { .. }
            | Error::OldLake { .. }
            | Error::NewLake { .. }
            | Error::VersionGone { .. }
            | Error::SpoolOfOther { .. }
            | Error::SpoolOfVersion { .. } => ErrorKind::Lake,
            Error::Record { .. }
            | Error::NoFile { .. }
            | Error::OtherBytes { .. }
            | Error::Unfit { .. }
            | Error::OtherContent { .. } => ErrorKind::Damaged,
            Error::TooManyRejects { .. } | Error::TooManyRemoved { .. } | Error::CountMismatch { .. } => {
                ErrorKind::Rejected
            }
            Error::Api { .. } | Error::Circle { .. } | Error::Client { .. } => ErrorKind::Refused,
            Error::GaveUp { .. } | Error::Unknown { .. } => ErrorKind::Unavailable,
            Error::LakeBusy { .. } | Error::SpoolBusy { .. } | Error::Listen { .. } => ErrorKind::Busy,
            Error::Conflict { .. } | Error::TakenForDead { .. } | Error::RunOver { .. } => ErrorKind::Conflict,
            Error::Attachments(cause) => cause.kind(),
            Error::Interrupted { .. } => ErrorKind::Interrupted,
            Error::Bug { .. } | Error::Reader | Error::Batch { .. } | Error::Json { .. } | Error::Threads { .. } => {
                ErrorKind::Bug
            }
        }
    }
}
