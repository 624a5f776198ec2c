//! Rows of attachments with what is known of their bytes.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use sha2::Digest;

use super::kept::{Attachments, Found, Unordered};
use super::{Failure, MOVED, STORED, Sha256};
use crate::error::{Error, Result};
use crate::shuffle::identity;
use crate::store::Store;
use crate::table::catalog::attachments::{Builder, Reader, Row, TABLE};
use crate::table::{Overflow, TableBuilder, TableReader};

impl Found {
    /// That it could not be asked this time says less than what an earlier answer told.
    fn beside(self, state: Option<&str>, path: Option<&str>) -> Found {
        let says_little =
            |word: &str| [Failure::Refused, Failure::Unreachable].iter().any(|failure| failure.word() == word);
        match self {
            Found::Not(word) if says_little(word) && path.is_none() && state.is_some() => Found::AsBefore,
            found => found,
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
    /// The rows with what is known of their bytes: waits for what is on its way. A row that tells of kept bytes stays as it is. What was not
    /// ordered before is fetched, or, of rows that a lake has, left.
    pub fn fill(&self, batch: &RecordBatch, unordered: Unordered) -> Result<Rows> {
        let failed = |source| Error::Batch { table: TABLE.name, source };
        let (reader, mut arena) = (Reader::new(batch).map_err(failed)?, Bump::new());
        let (mut builder, mut renewed) = (Builder::default(), Vec::new());
        for row in 0..batch.num_rows() {
            arena.reset();
            let row = reader.row(row, &arena);
            let content = self.content_of(&row, unordered)?.beside(row.content_state, row.content_path);
            let transcript = self.transcript_of(&row, unordered)?.beside(row.transcript_state, row.transcript_path);
            if self.notes_renewed() && (content.is_new() || transcript.is_new()) {
                renewed.push(identity(row.task_id.as_bytes()));
            }
            push(&row, &content, &transcript, &mut builder)
                .map_err(|_| failed(ArrowError::OffsetOverflowError(i32::MAX as usize)))?;
        }
        renewed.dedup();
        Ok(Rows { batch: builder.finish().map_err(failed)?, renewed })
    }
}

fn push(row: &Row<'_>, content: &Found, transcript: &Found, to: &mut Builder) -> Result<(), Overflow> {
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
        (Found::Not(state), _) => {
            changed.content_state = Some(state);
            // Of bytes that are gone.
            (changed.content_path, changed.content_type) = (None, None);
        }
        _ => {}
    }
    match (transcript, &transcript_own) {
        (Found::Here { .. }, Some((_, path))) => {
            changed.transcript_state = Some(STORED);
            changed.transcript_path = Some(path);
        }
        (Found::Not(state), _) => (changed.transcript_state, changed.transcript_path) = (Some(*state), None),
        _ => {}
    }
    to.push(changed)
}

/// What rows tell of kept bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many rows do.
    pub rows: u64,
    /// The bytes of contents that were moved out of the table.
    pub moved_bytes: u64,
}

impl Kept {
    /// What these rows tell.
    pub fn of(batches: &[RecordBatch]) -> Kept {
        let mut kept = Kept::default();
        for batch in batches {
            let columns = ["content_path", "transcript_path"].map(|name| batch.column_by_name(name));
            let states = batch.column_by_name("content_state").and_then(|states| states.as_string_opt::<i32>());
            let sizes = batch.column_by_name("content_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int64Type>());
            for row in 0..batch.num_rows() {
                kept.rows += u64::from(columns.into_iter().flatten().any(|column| column.is_valid(row)));
                let is_moved = states.is_some_and(|states| states.is_valid(row) && states.value(row) == MOVED);
                kept.moved_bytes += sizes.filter(|_| is_moved).map_or(0, |sizes| sizes.value(row)) as u64;
            }
        }
        kept
    }
}

/// Contents that are put back at a time.
const PUT_BACK_BYTES: i64 = 8 << 20;

/// A batch in pieces whose contents may be in memory at a time; as it is, where none was moved.
pub fn pieces(batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
    let failed = |source| Error::Batch { table: TABLE.name, source };
    let (reader, arena) = (Reader::new(batch).map_err(failed)?, Bump::new());
    let (mut pieces, mut start, mut bytes) = (Vec::new(), 0, 0);
    for index in 0..batch.num_rows() {
        let row = reader.row(index, &arena);
        let own = row.content_bytes.filter(|_| row.content_state == Some(MOVED)).unwrap_or(0);
        if index > start && bytes + own > PUT_BACK_BYTES {
            pieces.push(batch.slice(start, index - start));
            (start, bytes) = (index, 0);
        }
        bytes += own;
    }
    pieces.push(batch.slice(start, batch.num_rows() - start));
    Ok(pieces)
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
                if Sha256::of_path(path) != Some(Sha256(sha2::Sha256::digest(&bytes).into())) {
                    return Err(Error::OtherBytes { path: store.place().join(path) });
                }
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
        *column = Arc::new(StringArray::from(contents));
    }
    RecordBatch::try_new(schema, columns).map_err(failed)
}
