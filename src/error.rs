//! Everything that can end a run, a variant a room, each with what is needed to mend it.

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to read behind a word of the command line.
    #[error("no input behind `{word}`: expected {expected}")]
    NoInput {
        /// The word.
        word: String,
        /// What it could have been.
        expected: &'static str,
    },
    /// An input can't be opened, read or decompressed.
    #[error("can't read the input {input}")]
    Input {
        /// Its name.
        input: String,
        /// The cause.
        source: io::Error,
    },
    /// An input is no text.
    #[error("expected JSON text in the input {input}, plain or compressed with gzip or zstd, found {found}")]
    NotText {
        /// Its name.
        input: String,
        /// What it is, and what to do.
        found: &'static str,
    },
    /// The thread that reads ended before its inputs did.
    #[error("the thread that reads the inputs ended early: nothing was committed")]
    Reader,
    /// A file of the lake, or one on its way there, can't be read or written.
    #[error("can't {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Rows can't be made into columns.
    #[error("can't build the table {table}")]
    Batch {
        /// The table.
        table: &'static str,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// A Parquet file can't be written or read.
    #[error("can't {action} the Parquet file {path}")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// The output is a lake already.
    #[error(
        "{path} is a lake already, at version {version}: nothing was read. Give --overwrite to replace what it holds, or \
         another folder to --out"
    )]
    LakeExists {
        /// The lake.
        path: PathBuf,
        /// Its newest version.
        version: u64,
    },
    /// A run that would leave nothing of a lake.
    #[error(
        "the input held no task that can be read ({rejected} rejects), and {path} holds data: it was left as it is. Look whether \
         the input is whole, or what was asked for; to empty the lake on purpose, remove its folder"
    )]
    NothingToOverwriteWith {
        /// The lake.
        path: PathBuf,
        /// Rejects of the run.
        rejected: u64,
    },
    /// A folder that should be a lake is none.
    #[error("{path} is no lake: expected a folder with _taskloom/commits in it, as `taskloom flatten --out` makes it")]
    NoLake {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that should become a lake holds other things.
    #[error(
        "{path} is not empty and no lake: expected a new or empty folder, found `{found}`. Give another folder to --out"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A lake without a version that readers may see.
    #[error(
        "{path} has no version that is wholly visible: a run is under way or was killed. `taskloom recover {path}` finishes it"
    )]
    NoVersion {
        /// The lake.
        path: PathBuf,
    },
    /// A lake whose tasks became partitions in another way.
    #[error(
        "{path} has --date-from {has_from} --date-grain {has_grain}, fixed by its first run: give the same, or another folder to --out"
    )]
    Layout {
        /// The lake.
        path: PathBuf,
        /// Its instant.
        has_from: String,
        /// Its grain.
        has_grain: String,
    },
    /// The place for a lake is taken by a file.
    #[error("{path} is a file: expected a folder, or a name that is free")]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// A commit record can't be trusted.
    #[error("the commit record {path} is damaged: {reason}")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that a record names is gone.
    #[error("the commit record of version {version} names {path}, which is neither in place nor staged")]
    Missing {
        /// The version.
        version: u64,
        /// The file.
        path: PathBuf,
    },
    /// Rows don't fit together.
    #[error("a row of {table} of the task {task_id} has no owner or holds broken JSON: the lake is damaged")]
    Unfit {
        /// The table.
        table: &'static str,
        /// The task.
        task_id: String,
    },
    /// The run is committed, and something behind that failed.
    #[error("version {version} is committed, but what follows is not done: `taskloom recover` finishes it")]
    Committed {
        /// The version.
        version: u64,
        /// What failed.
        #[source]
        cause: Box<Error>,
    },
    /// Another run was faster.
    #[error(
        "another run committed version {version} meanwhile: nothing of this run is visible. Run it \
         again, with --overwrite to replace that version"
    )]
    Conflict {
        /// The version that both wanted.
        version: u64,
    },
    /// More tasks were rejected than allowed.
    #[error(
        "{rejected} of {read} tasks can't be read, more than --max-rejects {allowed} allows: nothing was committed. See {path}"
    )]
    TooManyRejects {
        /// Rejects of the run.
        rejected: u64,
        /// Tasks read, with the rejects.
        read: u64,
        /// The limit as given.
        allowed: String,
        /// The reject file.
        path: PathBuf,
    },
    /// A word of the command line that can't be used.
    #[error("{flag}: expected {expected}, found {found}")]
    Usage {
        /// The flag.
        flag: &'static str,
        /// What it can be.
        expected: String,
        /// What it was.
        found: String,
    },
    /// JSON of our own making can't be written or read.
    #[error("can't {action}")]
    Json {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// A result can't be written out.
    #[error("can't write the output")]
    Output(#[source] io::Error),
    /// Somebody stopped the run.
    #[error("stopped: nothing of this run is visible")]
    Interrupted {
        /// The signal that said so.
        signal: i32,
    },
    /// The API refused a request.
    #[error("the API answered {request} with {status}: {message}{}", hint(*status))]
    Api {
        /// The request, without its secrets.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What the API says.
        message: String,
    },
    /// The API was out of reach, or in trouble, for longer than a run is patient.
    #[error(
        "gave up on {request} after {attempts} attempts in {seconds} s: {reason}. The same command goes on from here"
    )]
    GaveUp {
        /// The request, without its secrets.
        request: String,
        /// How often it was sent.
        attempts: u32,
        /// For how long.
        seconds: u64,
        /// What went wrong the last time.
        reason: String,
    },
    /// The pages of a query don't come to an end.
    #[error(
        "the API's pages go in a circle: {reason}. Nothing was committed; `--restart --concurrency 1` walks the query as one chain"
    )]
    Circle {
        /// What was found.
        reason: String,
    },
    /// The HTTP client can't be made.
    #[error("can't start the HTTP client: {reason}")]
    Client {
        /// The cause.
        reason: String,
    },
    /// Another run of the same export is under way.
    #[error("{path} is in use by another run: wait for it, or give another folder to --out")]
    SpoolBusy {
        /// The spool.
        path: PathBuf,
    },
    /// The pages that an earlier run received are of another query.
    #[error(
        "{path} holds {pages} pages of an unfinished export of another query ({other}): give the same flags again to go on with it, or \
         --restart to drop it"
    )]
    SpoolOfOther {
        /// The spool.
        path: PathBuf,
        /// Pages in it.
        pages: u64,
        /// The query that it is of.
        other: String,
    },
    /// The pages that an earlier run received were received by another version of this program.
    #[error(
        "{path} holds pages of an unfinished export that another version of taskloom began: finish it with that one, or give --restart \
         to drop them"
    )]
    SpoolOfVersion {
        /// The spool.
        path: PathBuf,
    },
    /// A delivery brought another number of tasks than it says.
    #[error(
        "the delivery says that it has {expected} tasks, {found} came ({rejected} of them rejects): nothing was committed. \
         --allow-count-mismatch commits what came, --restart asks anew"
    )]
    CountMismatch {
        /// What the delivery says.
        expected: u64,
        /// What came.
        found: u64,
        /// Rejects among them.
        rejected: u64,
    },
    /// The simulated API can't begin to serve.
    #[error("can't listen on {address}: give a free port to --port, or 0 for any")]
    Listen {
        /// Where it should have listened.
        address: std::net::SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// A task that the simulated API can't serve.
    #[error("can't serve what {input} holds at line {line}: expected {expected}, found {found}")]
    NoTask {
        /// The input.
        input: String,
        /// Line, from 1.
        line: u64,
        /// What could have stood there.
        expected: &'static str,
        /// What stood there.
        found: String,
    },
    /// Threads can't be started.
    #[error("can't start {threads} threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
}

impl Error {
    /// A failed attempt on a file.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { action, path, source }
    }

    /// A failure behind the commit of a version.
    pub fn committed(version: u64, cause: Error) -> Error {
        Error::Committed { version, cause: Box::new(cause) }
    }

    /// The exit status of a run that ended so.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::NoInput { .. } => 2,
            Error::Conflict { .. } | Error::GaveUp { .. } | Error::SpoolBusy { .. } => 4,
            // As a shell tells of a process that a signal ended: 130 after Ctrl-C.
            Error::Interrupted { signal } => u8::try_from(128 + signal).unwrap_or(1),
            _ => 1,
        }
    }
}

/// What to do about a status of the API.
fn hint(status: u16) -> &'static str {
    match status {
        400 => ". A parameter is wrong, or a name or an id that does not exist",
        401 => ". Look at SCALE_API_KEY or --api-key-file: the key begins with live_ or test_",
        402 | 403 => ". The key's account may not use this; ask your contact at Scale",
        404 => {
            ". Look whether the id or the name is right, the key of the same account, and --api-url the API's address"
        }
        _ => "",
    }
}
