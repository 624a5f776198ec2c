//! What to do about an error, in the words of the command line.

use crate::error::{Error, ErrorKind};
use crate::store::FailureKind;
use crate::store::address::is_address;

/// The exit status of a command that ended so.
pub(super) fn exit_status(error: &Error) -> u8 {
    if let Error::Interrupted { signal } = error {
        // As a shell tells of a process that a signal ended: 130 after Ctrl-C.
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    match error.kind() {
        ErrorKind::Usage => 2,
        ErrorKind::Busy | ErrorKind::Conflict | ErrorKind::Unavailable => 4,
        _ => 1,
    }
}

/// What to do, as a sentence; `None` where the error says it all.
pub(super) fn hint(error: &Error) -> Option<String> {
    let words = match error {
        Error::NotEmpty { .. } | Error::NoFolder { .. } => "give another folder to --out",
        Error::NotOurs { .. } => "give another folder",
        Error::VersionGone { .. } | Error::NoSuchVersion { .. } => {
            "`taskloom history` lists the versions and their names"
        }
        Error::NoFile { .. } => {
            "`taskloom verify` lists what is gone; if a vacuum ran meanwhile, read a version that is kept"
        }
        Error::Record { .. } => "`taskloom verify` lists all that is wrong",
        Error::NoLake { .. } => "a lake is made by `taskloom flatten` or `taskloom export` with --out",
        Error::NoVersion { path } => {
            return Some(format!("`taskloom recover {}` finishes what a killed run left", path.display()));
        }
        Error::Address { scheme, .. } if scheme == "file" => "give the path behind file://",
        Error::Layout { has_by, has_grain, .. } => {
            return Some(format!("give --date-by {has_by} --date-grain {has_grain}, or another folder to --out"));
        }
        Error::Committed { .. } => "`taskloom recover` finishes it",
        Error::Conflict { .. } => "run it again",
        Error::TakenForDead { .. } => "run it again; a longer --lease of all that use the lake bears longer pauses",
        Error::LakeBusy { path, .. } if is_address(path) => {
            "wait for it; a run that died on another machine is taken for dead after --lease"
        }
        Error::SpoolBusy { .. } => "wait for it, or give another folder to --work-dir",
        Error::Opts { .. } => {
            "give the lake's options to --opts, --overwrite to replace what it holds, or another folder to --out"
        }
        Error::TooManyRemoved { .. } => "--max-removed allows more",
        Error::TooManyRejects { .. } => "--max-rejects allows more",
        Error::LakeBusy { .. } => "wait for it, or give another folder to --out",
        Error::SpoolOfOther { .. } => "give the same flags again to go on with it, or --restart to drop it",
        Error::SpoolOfVersion { .. } => "finish it with that one, or give --restart to drop them",
        Error::CountMismatch { .. } => "--allow-count-mismatch commits what came, --restart asks anew",
        Error::GaveUp { .. } => "the same command goes on from here",
        Error::Circle { .. } => "`--restart --concurrency 1` walks the query as one chain",
        Error::Listen { .. } => "give a free port to --port, or 0 for any",
        Error::Store { source, path, .. } => of_failure(source.kind, &path.to_string_lossy())?,
        Error::Api { status, .. } => of_status(*status)?,
        _ => return None,
    };
    Some(words.to_owned())
}

/// What to do about a failure of a store.
fn of_failure(kind: FailureKind, address: &str) -> Option<&'static str> {
    Some(match kind {
        FailureKind::Credentials => match address.split("://").next() {
            Some("gs") => "set GOOGLE_APPLICATION_CREDENTIALS, or log in (`gcloud auth application-default login`)",
            Some("s3" | "s3a") => {
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (`aws sso login`)"
            }
            _ => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or another way in of docs/buckets.md",
        },
        FailureKind::Denied => {
            "the credentials must be allowed to list the bucket, and to get, put and delete what is in it; docs/buckets.md has a policy"
        }
        FailureKind::Region => "set AWS_REGION to the region that the bucket is in",
        FailureKind::NoBucket => "look at the name; taskloom makes no buckets",
        FailureKind::Clock => "set the clock of this machine right",
        FailureKind::PlainHttp => {
            "for a store on this machine or a network of your own set AWS_ALLOW_HTTP=true, or AZURE_ALLOW_HTTP=true"
        }
        FailureKind::Unconditional => "use a store that knows them, or an address that leads to it directly",
        FailureKind::Unreachable => "look at the endpoint and the network; the same command can be run again",
        FailureKind::Other => return None,
    })
}

/// What to do about a status of the API.
fn of_status(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "a parameter is wrong, or a name or an id that does not exist",
        401 => "look at SCALE_API_KEY or --api-key-file: the key begins with live_ or test_",
        402 | 403 => "the key's account may not use this; ask your contact at Scale",
        404 => "look whether the id or the name is right, the key of the same account, and --api-url the API's address",
        _ => return None,
    })
}
