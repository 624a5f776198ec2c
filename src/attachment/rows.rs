//! Rows of attachments with what is known of their bytes.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use bumpalo::Bump;
use memchr::memmem;
use sha2::Digest;

use super::address::Addresses;
use super::body::Body;
use super::known::Known;
use super::report::AttachmentReport;
use super::{COPIED, Content, Failure, MOVED, Outcome, STORED, Sha256};
use crate::error::{Error, Result};
use crate::flatten::{BASE64, each_attachment};
use crate::shuffle::identity;
use crate::store::Store;
use crate::table::catalog::attachments::{Builder, Reader, Row, TABLE};
use crate::table::{TableBuilder, TableReader};

/// What becomes of contents that stand in tasks in base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfTasks {
    /// They are files too.
    #[default]
    Copy,
    /// They are files, and stand in the table no more; tasks that are restored have them again.
    Move,
}

/// Where rows hear of their bytes.
#[derive(Debug)]
pub struct Attachments {
    store: Arc<dyn Store>,
    known: Known,
    fetching: Option<Fetching>,
}

/// What is there to fetch what the lake has not.
#[derive(Debug)]
struct Fetching {
    #[cfg(feature = "api")]
    desk: super::desk::Desk,
    #[cfg(feature = "api")]
    progress: Arc<crate::progress::Progress>,
    of_tasks: OfTasks,
    scratch: PathBuf,
    /// What came from tasks.
    report: Mutex<AttachmentReport>,
}

/// What becomes of attachments that were not ordered before their rows came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unordered {
    /// They are.
    Fetched,
    /// They stay as they are.
    Left,
}

/// Which attachments that could not be fetched are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How many of those that another attempt will hardly get.
    pub doubtful: u64,
}

impl Retry {
    fn wants(&mut self, addresses: Addresses<'_>, state: Option<&str>) -> bool {
        let word = Failure::Unreachable.word();
        match state.filter(|state| *state != word) {
            _ if addresses.key().is_none() => false,
            None => true,
            Some(_) if self.doubtful == 0 => false,
            Some(_) => {
                self.doubtful -= 1;
                true
            }
        }
    }
}

/// Rows of attachments, with what is known of their bytes.
#[derive(Debug)]
pub struct Rows {
    /// The rows.
    pub batch: RecordBatch,
    /// The tasks of whose attachments the lake had not all of these bytes.
    pub renewed: Vec<u128>,
}

impl Attachments {
    /// What the rows of these files of a lake tell, and nothing more; `None` where there are none.
    pub fn known(store: &Arc<dyn Store>, files: impl Iterator<Item = String>) -> Result<Option<Arc<Attachments>>> {
        let known = Known::read(&**store, files)?;
        Ok((!known.is_empty()).then(|| Arc::new(Attachments { store: Arc::clone(store), known, fetching: None })))
    }

    /// What they tell; the rest is fetched. On its way it lies in `scratch`.
    #[cfg(feature = "api")]
    pub fn fetching(
        options: &super::FetchOptions,
        store: &Arc<dyn Store>,
        files: impl Iterator<Item = String>,
        scratch: &std::path::Path,
        progress: &Arc<crate::progress::Progress>,
    ) -> Result<Arc<Attachments>> {
        let known = Known::read(&**store, files)?;
        let desk = super::desk::Desk::open(options, store, scratch)?;
        let (scratch, of_tasks, progress) = (scratch.to_owned(), options.of_tasks, Arc::clone(progress));
        let fetching = Some(Fetching { desk, progress, of_tasks, scratch, report: Mutex::default() });
        Ok(Arc::new(Attachments { store: Arc::clone(store), known, fetching }))
    }

    /// Hears of a task whose rows will come: what it has is fetched meanwhile.
    pub fn expect(&self, task: &[u8]) {
        if self.fetching.is_none() || memmem::find(task, b"attachments").is_none() {
            return;
        }
        each_attachment(task, |attachment| {
            if attachment.content.is_none() {
                self.order(Addresses::of_content(attachment.scale_url, attachment.url));
            }
            self.order(Addresses::of_transcript(attachment.transcript_url));
        });
    }

    fn order(&self, addresses: Addresses<'_>) {
        let Some(key) = addresses.key().filter(|key| self.known.at(*key).is_none()) else { return };
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            fetching.desk.order(key, addresses);
        }
        let _ = key;
    }

    /// Orders what rows of a lake lack and `retry` wants.
    pub fn order_rows(&self, batch: &RecordBatch, retry: &mut Retry) -> Result<()> {
        let failed = |source| Error::Batch { table: TABLE.name, source };
        let (reader, mut arena) = (Reader::new(batch).map_err(failed)?, Bump::new());
        for row in 0..batch.num_rows() {
            arena.reset();
            let row = reader.row(row, &arena);
            let content = Addresses::of_content(row.scale_url, row.url);
            if row.content_path.is_none() && row.content.is_none() && retry.wants(content, row.content_state) {
                self.order(content);
            }
            let transcript = Addresses::of_transcript(row.transcript_url);
            if row.transcript_path.is_none() && retry.wants(transcript, row.transcript_state) {
                self.order(transcript);
            }
        }
        Ok(())
    }

    /// The rows with what is known of their bytes: waits for what is on its way. A row that tells of kept bytes stays as it is. What was not
    /// ordered before is fetched, or, of rows that a lake has, left.
    pub fn fill(&self, batch: &RecordBatch, unordered: Unordered) -> Result<Rows> {
        let failed = |source| Error::Batch { table: TABLE.name, source };
        let (reader, mut arena) = (Reader::new(batch).map_err(failed)?, Bump::new());
        let (mut builder, mut renewed) = (Builder::default(), Vec::new());
        for row in 0..batch.num_rows() {
            arena.reset();
            let row = reader.row(row, &arena);
            let (content, transcript) = (self.content_of(&row, unordered)?, self.transcript_of(&row, unordered)?);
            if content.is_new() || transcript.is_new() {
                renewed.push(identity(row.task_id.as_bytes()));
            }
            push(&row, &content, &transcript, &mut builder)
                .map_err(|_| failed(ArrowError::OffsetOverflowError(i32::MAX as usize)))?;
        }
        renewed.dedup();
        Ok(Rows { batch: builder.finish().map_err(failed)?, renewed })
    }

    fn content_of(&self, row: &Row<'_>, unordered: Unordered) -> Result<Found> {
        if row.content_path.is_some() {
            return Ok(Found::AsBefore);
        }
        // A content that is no base64 has no hash; rows of the first schema have none either.
        let hash = || row.content_sha256.map_or_else(|| row.content.and_then(hash_of), Sha256::of_hex);
        if let Some((content, sha256)) = row.content.zip(hash()) {
            return self.of_task(content, sha256);
        }
        self.at(Addresses::of_content(row.scale_url, row.url), unordered)
    }

    fn transcript_of(&self, row: &Row<'_>, unordered: Unordered) -> Result<Found> {
        if row.transcript_path.is_some() {
            return Ok(Found::AsBefore);
        }
        self.at(Addresses::of_transcript(row.transcript_url), unordered)
    }

    fn at(&self, addresses: Addresses<'_>, unordered: Unordered) -> Result<Found> {
        let Some(key) = addresses.key() else { return Ok(Found::AsBefore) };
        if let Some(content) = self.known.at(key) {
            return Ok(Found::Here { content: content.clone(), state: STORED, is_new: false });
        }
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            match unordered {
                Unordered::Fetched => fetching.desk.order(key, addresses),
                Unordered::Left if !fetching.desk.is_ordered(key) => return Ok(Found::AsBefore),
                Unordered::Left => {}
            }
            return Ok(match fetching.desk.outcome(key, &fetching.progress)? {
                Outcome::Kept(content) => Found::Here { content, state: STORED, is_new: true },
                Outcome::Failed(failure) => Found::Not(failure.word()),
            });
        }
        let _ = unordered;
        Ok(Found::AsBefore)
    }

    /// A content in base64 becomes a file, if that is wanted, or was once.
    fn of_task(&self, base64: &str, sha256: Sha256) -> Result<Found> {
        let here = |content: &Content, is_moved, is_new| {
            let state = if is_moved && is_canonical(base64) { MOVED } else { COPIED };
            Found::Here { content: content.clone(), state, is_new }
        };
        match (&self.fetching, self.known.of_task(sha256)) {
            (None, None) => Ok(Found::AsBefore),
            (None, Some((content, was_moved))) => Ok(here(content, *was_moved, false)),
            (Some(fetching), Some((content, was_moved))) => {
                Ok(here(content, *was_moved || fetching.of_tasks == OfTasks::Move, false))
            }
            (Some(fetching), None) => {
                let content = self.keep(base64, fetching)?;
                Ok(here(&content, fetching.of_tasks == OfTasks::Move, true))
            }
        }
    }

    fn keep(&self, base64: &str, fetching: &Fetching) -> Result<Content> {
        let mut body = Body::new(&fetching.scratch);
        let mut decoded = DecoderReader::new(base64.as_bytes(), &BASE64);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = decoded.read(&mut buffer);
            match read.map_err(Error::file("decode an attachment for", self.store.place()))? {
                0 => break,
                read => body.push(buffer.get(..read).unwrap_or_default())?,
            }
        }
        let content = body.keep(&*self.store)?;
        let mut report = fetching.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.from_tasks += 1;
        report.from_tasks_bytes += content.bytes;
        Ok(content)
    }

    /// What came; `None` where nothing was to be fetched.
    pub fn report(&self) -> Option<AttachmentReport> {
        let fetching = self.fetching.as_ref()?;
        let of_tasks = fetching.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        #[cfg(feature = "api")]
        let report = AttachmentReport {
            from_tasks: of_tasks.from_tasks,
            from_tasks_bytes: of_tasks.from_tasks_bytes,
            ..fetching.desk.report()
        };
        #[cfg(not(feature = "api"))]
        let report = of_tasks;
        Some(report)
    }

    /// What was fetched is in a version now.
    pub fn committed(&self) {
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            fetching.desk.forget();
        }
    }
}

/// What is known of some bytes.
enum Found {
    /// What the row tells.
    AsBefore,
    Here {
        content: Content,
        state: &'static str,
        is_new: bool,
    },
    Not(&'static str),
}

impl Found {
    fn is_new(&self) -> bool {
        matches!(self, Found::Here { is_new: true, .. })
    }
}

/// The hash of what base64 stands for; `None` where it is none.
fn hash_of(base64: &str) -> Option<Sha256> {
    let (mut hash, mut buffer) = (sha2::Sha256::new(), vec![0; 64 << 10]);
    let mut decoded = DecoderReader::new(base64.as_bytes(), &BASE64);
    loop {
        match decoded.read(&mut buffer).ok()? {
            0 => return Some(Sha256(hash.finalize().into())),
            read => hash.update(buffer.get(..read)?),
        }
    }
}

/// Whether the text can be made from the bytes again.
fn is_canonical(base64: &str) -> bool {
    STANDARD.decode(base64).is_ok_and(|bytes| STANDARD.encode(bytes) == base64)
}

fn push(row: &Row<'_>, content: &Found, transcript: &Found, to: &mut Builder) -> Result<(), crate::table::Overflow> {
    let of = |found: &Found| match found {
        Found::Here { content, .. } => Some((content.sha256.to_string(), content.sha256.path())),
        _ => None,
    };
    let (own, transcript_own) = (of(content), of(transcript));
    let mut changed = Row {
        task_id: row.task_id,
        thread_index: row.thread_index,
        turn_index: row.turn_index,
        message_index: row.message_index,
        attachment_index: row.attachment_index,
        thread_id: row.thread_id,
        turn_id: row.turn_id,
        mime_type: row.mime_type,
        name: row.name,
        content: row.content,
        url: row.url,
        scale_url: row.scale_url,
        file_size_in_bytes: row.file_size_in_bytes,
        duration: row.duration,
        transcript: row.transcript,
        transcript_url: row.transcript_url,
        transcript_start: row.transcript_start,
        transcript_end: row.transcript_end,
        extra: row.extra,
        content_sha256: row.content_sha256,
        content_bytes: row.content_bytes,
        content_state: row.content_state,
        content_path: row.content_path,
        content_type: row.content_type,
        transcript_state: row.transcript_state,
        transcript_path: row.transcript_path,
    };
    match (content, &own) {
        (Found::Here { content, state, .. }, Some((sha256, path))) => {
            changed.content = row.content.filter(|_| *state != MOVED);
            changed.content_sha256 = Some(sha256);
            changed.content_bytes = Some(content.bytes as i64);
            changed.content_state = Some(state);
            changed.content_path = Some(path);
            changed.content_type = Some(&content.media_type);
        }
        (Found::Not(state), _) => changed.content_state = Some(state),
        _ => {}
    }
    match (transcript, &transcript_own) {
        (Found::Here { .. }, Some((_, path))) => {
            changed.transcript_state = Some(STORED);
            changed.transcript_path = Some(path);
        }
        (Found::Not(state), _) => changed.transcript_state = Some(state),
        _ => {}
    }
    to.push(changed)
}

/// How many rows tell of kept bytes.
pub fn kept_rows(batches: &[RecordBatch]) -> u64 {
    let kept = |batch: &RecordBatch| {
        let columns = ["content_path", "transcript_path"].map(|name| batch.column_by_name(name));
        let is_kept = |row: &usize| columns.into_iter().flatten().any(|column| column.is_valid(*row));
        (0..batch.num_rows()).filter(is_kept).count() as u64
    };
    batches.iter().map(kept).sum()
}

/// Rows as they were before their contents were moved out of the table.
pub fn put_back(batch: &RecordBatch, store: &dyn Store) -> Result<RecordBatch> {
    let failed = |source| Error::Batch { table: TABLE.name, source };
    let (reader, mut arena) = (Reader::new(batch).map_err(failed)?, Bump::new());
    let mut contents = Vec::with_capacity(batch.num_rows());
    let mut is_any_moved = false;
    for row in 0..batch.num_rows() {
        arena.reset();
        let row = reader.row(row, &arena);
        let moved = row.content_path.filter(|_| row.content_state == Some(MOVED));
        is_any_moved |= moved.is_some();
        contents.push(match moved {
            Some(path) => {
                let bytes = store.get(path)?.ok_or_else(|| Error::NoFile { path: store.place().join(path) })?;
                Some(STANDARD.encode(bytes))
            }
            None => row.content.map(str::to_owned),
        });
    }
    if !is_any_moved {
        return Ok(batch.clone());
    }
    let schema = batch.schema();
    let index = schema.index_of("content").map_err(failed)?;
    let mut columns = batch.columns().to_vec();
    if let Some(column) = columns.get_mut(index) {
        *column = Arc::new(arrow::array::StringArray::from(contents));
    }
    RecordBatch::try_new(schema, columns).map_err(failed)
}
