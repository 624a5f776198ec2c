//! Everything that can end a run, a variant a room, each with what is needed to mend it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

mod kind;

pub use kind::ErrorKind;

use crate::store::StoreFailure;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run failed. Its text says what was expected and what was found; what to do about it in words of a command line is for
/// whoever has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that can't happen did. The run ends, so that nothing is dropped instead.
    #[error("a fault of taskloom in {place}: {found}. Nothing was committed; please report it")]
    Bug {
        /// The place in the code.
        place: &'static str,
        /// What was found there.
        found: String,
    },
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
    /// An input is not what it was a moment ago.
    #[error(
        "expected the input {input} to stay as it is while it is read, found other bytes at byte {byte}: run it again when nobody writes to it"
    )]
    InputChanged {
        /// Its name.
        input: String,
        /// Where in it.
        byte: u64,
    },
    /// An input is no text.
    #[error("expected JSON text in the input {input}, plain or compressed with gzip or zstd, found {found}")]
    NotText {
        /// Its name.
        input: String,
        /// What it is, and what to do.
        found: &'static str,
    },
    /// A file of settings that says what can't be.
    #[error("{place}: expected {expected}, found {found}")]
    Settings {
        /// The file, the line and the column.
        place: String,
        /// What could stand there.
        expected: String,
        /// What does.
        found: String,
    },
    /// An address where a folder or a file could stand.
    #[error("expected {expected}, found the address {address}")]
    Address {
        /// The address.
        address: String,
        /// Its scheme.
        scheme: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A store beyond this machine did not do what it was asked.
    #[error("can't {action} {path}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The file or the place.
        path: PathBuf,
        /// What it said.
        source: StoreFailure,
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
    #[error("{path} is no lake: expected _taskloom/commits in it")]
    NoLake {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that should become a lake holds other things.
    #[error("{path} is not empty and no lake: expected a new or empty folder, found `{found}`")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A folder that should be replaced, such as a checkout, holds other things.
    #[error("{path} holds what is of no {what}: expected a new or empty folder, or an earlier {what}, found `{found}`")]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Something in it.
        found: String,
    },
    /// A lake without data.
    #[error("{path} holds no data: no run has committed any")]
    NoVersion {
        /// The lake.
        path: PathBuf,
    },
    /// A version that a lake does not have.
    #[error("{path} has no version `{at}`: expected one from 1 to {newest}, or the name of one")]
    NoSuchVersion {
        /// The lake.
        path: PathBuf,
        /// What was asked for.
        at: String,
        /// Its newest version.
        newest: u64,
    },
    /// A version whose files are gone.
    #[error("the files of version {at} of {path} are gone: the oldest version that is kept is {oldest}")]
    VersionGone {
        /// The lake.
        path: PathBuf,
        /// The version.
        at: u64,
        /// The oldest that is there.
        oldest: u64,
    },
    /// A lake whose tasks became partitions in another way.
    #[error(
        "{path} has dates by {has_by} and {has_grain}, fixed by its first run: expected the same, found {by} and {grain}"
    )]
    Layout {
        /// The lake.
        path: PathBuf,
        /// Its instant.
        has_by: &'static str,
        /// Its grain.
        has_grain: &'static str,
        /// The instant of this run.
        by: &'static str,
        /// The grain of this run.
        grain: &'static str,
    },
    /// A lake whose tasks were asked for with other options of the API.
    #[error("{path} holds tasks that were asked for with the options {has}: expected the same, found {found}")]
    Opts {
        /// The lake.
        path: PathBuf,
        /// Its options.
        has: String,
        /// Those of this run.
        found: String,
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
    /// A lake of the program's version 0.1.0.
    #[error(
        "{path} was written by taskloom 0.1.0, whose lakes this version does not read: make the lake anew from its source, or have \
         version 0.1.0 restore the tasks and flatten them"
    )]
    OldLake {
        /// The record that told it.
        path: PathBuf,
    },
    /// A lake of a newer version of the program.
    #[error("{path} needs {needs}, which this version does not know: use a newer taskloom")]
    NewLake {
        /// The record that told it.
        path: PathBuf,
        /// What it needs.
        needs: String,
    },
    /// A file that must be there is gone.
    #[error("{path} is not there: expected what the lake's records name")]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// A walk did not bring more of what the lake holds than may go.
    #[error(
        "{removed} of {of} tasks that {path} holds did not come: expected that at most {allowed} of them are gone. Nothing was \
         changed; look whether the API answers whole, and with the right key"
    )]
    TooManyRemoved {
        /// The lake.
        path: PathBuf,
        /// How many did not come.
        removed: u64,
        /// How many should have come.
        of: u64,
        /// How many may go.
        allowed: String,
    },
    /// Another run took this one for dead, and ended it.
    #[error(
        "another run took this one for dead, since no sign of life of it came to {path}: nothing of this run is visible"
    )]
    TakenForDead {
        /// The lake.
        path: PathBuf,
    },
    /// A run that others lead has ended.
    #[error("the run {run} is not under way in {path} any more: what was written for it is gone")]
    RunOver {
        /// The run.
        run: String,
        /// The lake.
        path: PathBuf,
    },
    /// Whether the run is committed can't be told.
    #[error(
        "whether version {version} was committed can't be told: its files were left in place, and the next run finds out"
    )]
    Unknown {
        /// The version that it may have become.
        version: u64,
        /// What failed.
        #[source]
        cause: Box<Error>,
    },
    /// Rows don't fit together.
    #[error("a row of {table} of the {kind} {id} has no owner or holds broken JSON: the lake is damaged")]
    Unfit {
        /// The table.
        table: &'static str,
        /// What the row is of.
        kind: &'static str,
        /// Which one.
        id: String,
    },
    /// A task's rows don't say what they said when they were written.
    #[error("the rows of the task {task_id} in {part} don't have the content that its hash tells: the lake is damaged")]
    OtherContent {
        /// The part.
        part: String,
        /// The task.
        task_id: String,
    },
    /// The run is committed, and something behind that failed.
    #[error("version {version} is committed, but what follows is not done")]
    Committed {
        /// The version.
        version: u64,
        /// What failed.
        #[source]
        cause: Box<Error>,
    },
    /// Another run was faster.
    #[error("another run committed version {version} meanwhile: nothing of this run is visible")]
    Conflict {
        /// The version that both wanted.
        version: u64,
    },
    /// More tasks were rejected than allowed.
    #[error(
        "{rejected} of {read} tasks can't be read, more than the {allowed} that are allowed: nothing was committed. See {path}"
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
    /// A training set without a row.
    #[error("no row can be made of what was asked for{}", if reasons.is_empty() { String::new() } else { format!("; left out: {reasons}") })]
    NoRows {
        /// Why what was left out, and how often.
        reasons: String,
    },
    /// A setting that can't be used.
    #[error("{setting}: expected {expected}, found {found}")]
    Usage {
        /// Its name.
        setting: &'static str,
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
    #[error("the API answered {request} with {status}: {message}")]
    Api {
        /// The request, without its secrets.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What the API says.
        message: String,
    },
    /// The API was out of reach, or in trouble, for longer than a run is patient.
    #[error("gave up on {request} after {attempts} attempts in {seconds} s: {reason}")]
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
    #[error("the API's pages go in a circle: {reason}. Nothing was committed")]
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
    /// Another run is writing to the lake.
    #[error("another run is writing to {path}{}", holder.as_deref().map(|holder| format!(" ({holder})")).unwrap_or_default())]
    LakeBusy {
        /// The lake.
        path: PathBuf,
        /// Who it is, where that is known.
        holder: Option<String>,
    },
    /// Another run of the same export is under way.
    #[error("{path} is in use by another run")]
    SpoolBusy {
        /// The spool.
        path: PathBuf,
    },
    /// The pages that an earlier run received are of another query.
    #[error("{path} holds {pages} pages of an unfinished export of another query: {other}")]
    SpoolOfOther {
        /// The spool.
        path: PathBuf,
        /// Pages in it.
        pages: u64,
        /// The query that it is of.
        other: String,
    },
    /// The pages that an earlier run received were received by another version of this program.
    #[error("{path} holds pages of an unfinished export that another version of taskloom began")]
    SpoolOfVersion {
        /// The spool.
        path: PathBuf,
    },
    /// A delivery brought another number of tasks than it says.
    #[error(
        "the delivery says that it has {expected} tasks, {found} came ({rejected} of them rejects): nothing was committed"
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
    #[error("can't listen on {address}")]
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
    /// A file that is called by what is in it has something else in it.
    #[error("expected in {path} the bytes that its name tells the SHA-256 of, found others")]
    OtherBytes {
        /// Its path.
        path: PathBuf,
    },
    /// What keeps attachments can't go on.
    #[error("can't keep attachments")]
    Attachments(#[source] Arc<Error>),
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

    /// A commit of which nobody can tell how it ended.
    pub fn unknown(version: u64, cause: Error) -> Error {
        Error::Unknown { version, cause: Box::new(cause) }
    }

    /// A failure behind the commit of a version.
    pub fn committed(version: u64, cause: Error) -> Error {
        Error::Committed { version, cause: Box::new(cause) }
    }
}
