//! What a lake has fetched already, told by its own rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use rayon::prelude::*;

use super::address::Addresses;
use super::{Content, FOLDER, MOVED, STORED, Sha256};
use crate::error::{Error, Result};
use crate::file::open_columns;
use crate::store::{Store, with_readers};
use crate::table::catalog::attachments::TABLE;

/// Contents that a lake keeps: some 150 bytes each.
#[derive(Debug, Default)]
pub struct Known {
    /// By the address that they were fetched from.
    by_address: HashMap<u128, Content>,
    /// Those that stood in tasks, and whether they were moved out of the table.
    of_tasks: HashMap<Sha256, (Content, bool)>,
    /// All whose files are there, with their sizes.
    there: HashMap<Sha256, u64>,
    /// The media types that occur, each once.
    media_types: HashSet<Arc<str>>,
}

impl Known {
    /// What the rows of these files tell.
    pub fn read(store: &dyn Store, files: impl Iterator<Item = String>) -> Result<Known> {
        let files = files.collect::<Vec<_>>();
        if files.is_empty() {
            return Ok(Known::default());
        }
        let read = |path: &String| {
            let mut known = Known::default();
            each_batch(store, path, &COLUMNS, |batch| known.take(batch))?;
            Ok(known)
        };
        let all = with_readers(store, || files.par_iter().map(read).collect::<Result<Vec<_>>>())??;
        let mut known = Known::default();
        for one in all {
            known.by_address.extend(one.by_address);
            for (sha256, (content, is_moved)) in one.of_tasks {
                known.note_of_task(sha256, content, is_moved);
            }
        }
        if !known.is_empty() {
            // What is gone has to be fetched again.
            let listed = store.list(FOLDER)?.into_iter();
            known.there = listed.filter_map(|it| Some((Sha256::of_path(&it.path)?, it.bytes))).collect();
            let there = &known.there;
            // A transcript's size is not told.
            let is_whole = |content: &Content| {
                there.get(&content.sha256).is_some_and(|bytes| content.bytes == *bytes || content.bytes == 0)
            };
            known.by_address.retain(|_, content| is_whole(content));
            known.of_tasks.retain(|_, (content, _)| is_whole(content));
        }
        Ok(known)
    }

    /// Whether the lake has these bytes, of which there are so many, if that is told.
    pub(super) fn has(&self, sha256: Sha256, bytes: Option<u64>) -> bool {
        self.there.get(&sha256).is_some_and(|found| bytes.is_none_or(|bytes| bytes == *found))
    }

    /// The content that was fetched from there.
    pub(super) fn at(&self, key: u128) -> Option<&Content> {
        self.by_address.get(&key)
    }

    /// The content that stood in a task, and whether it stands in the table no more.
    pub(super) fn of_task(&self, sha256: Sha256) -> Option<&(Content, bool)> {
        self.of_tasks.get(&sha256)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.of_tasks.is_empty()
    }

    /// Where it was moved once, it stays so.
    fn note_of_task(&mut self, sha256: Sha256, content: Content, is_moved: bool) {
        self.of_tasks.entry(sha256).or_insert((content, is_moved)).1 |= is_moved;
    }

    fn media_type(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.media_types.get(text) {
            return Arc::clone(known);
        }
        let media_type = Arc::<str>::from(text);
        self.media_types.insert(Arc::clone(&media_type));
        media_type
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let text = |name| column(batch, name);
        let [state, path, kind] = [text("content_state")?, text("content_path")?, text("content_type")?];
        let [scale_url, url, transcript_url] = [text("scale_url")?, text("url")?, text("transcript_url")?];
        let transcripts = text("transcript_path")?;
        let sizes = batch.column_by_name("content_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int64Type>());
        for row in 0..batch.num_rows() {
            if let (Some(sha256), Some(state)) = (at(path, row).and_then(Sha256::of_path), at(state, row)) {
                let bytes = sizes.filter(|sizes| sizes.is_valid(row)).map_or(0, |sizes| sizes.value(row)) as u64;
                let content = Content { sha256, bytes, media_type: self.media_type(at(kind, row).unwrap_or_default()) };
                match Addresses::of_content(at(scale_url, row), at(url, row)).key().filter(|_| state == STORED) {
                    Some(key) => drop(self.by_address.insert(key, content)),
                    None => self.note_of_task(sha256, content, state == MOVED),
                }
            }
            let key = Addresses::of_transcript(at(transcript_url, row)).key();
            if let Some((key, sha256)) = key.zip(at(transcripts, row).and_then(Sha256::of_path)) {
                // A transcript has no columns for the rest.
                let content = Content { sha256, bytes: 0, media_type: self.media_type("") };
                self.by_address.insert(key, content);
            }
        }
        Ok(())
    }
}

const COLUMNS: [&str; 8] = [
    "url",
    "scale_url",
    "transcript_url",
    "content_bytes",
    "content_state",
    "content_path",
    "content_type",
    "transcript_path",
];

/// The same of those of the files that are there: one that is gone tells nothing.
pub fn hashes_in_those_there(
    store: &dyn Store,
    files: impl Iterator<Item = String>,
) -> Result<BTreeMap<Sha256, Option<u64>>> {
    let files = files.collect::<Vec<_>>();
    if files.is_empty() {
        return Ok(BTreeMap::new());
    }
    let is_there = |path: &String| store.open(path).map(|blob| blob.is_some());
    let there = with_readers(store, || files.par_iter().map(is_there).collect::<Result<Vec<_>>>())??;
    hashes_in(store, files.into_iter().zip(there).filter_map(|(path, is_there)| is_there.then_some(path)))
}

/// The hashes of what the rows of these files tell of, each with its bytes where they are told.
pub fn hashes_in(store: &dyn Store, files: impl Iterator<Item = String>) -> Result<BTreeMap<Sha256, Option<u64>>> {
    let files = files.collect::<Vec<_>>();
    if files.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = |path: &String| {
        let mut hashes = BTreeMap::new();
        each_batch(store, path, &["content_bytes", "content_path", "transcript_path"], |batch| {
            let sizes = batch.column_by_name("content_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int64Type>());
            let [contents, transcripts] = [column(batch, "content_path")?, column(batch, "transcript_path")?];
            for row in 0..batch.num_rows() {
                if let Some(hash) = at(transcripts, row).and_then(Sha256::of_path) {
                    hashes.entry(hash).or_insert(None);
                }
                if let Some(hash) = at(contents, row).and_then(Sha256::of_path) {
                    let bytes = sizes.filter(|sizes| sizes.is_valid(row)).map(|sizes| sizes.value(row) as u64);
                    hashes.insert(hash, bytes);
                }
            }
            Ok(())
        })?;
        Ok(hashes)
    };
    let all = with_readers(store, || files.par_iter().map(read).collect::<Result<Vec<_>>>())??;
    let mut hashes = BTreeMap::new();
    for (hash, bytes) in all.into_iter().flatten() {
        let known = hashes.entry(hash).or_insert(bytes);
        *known = known.or(bytes);
    }
    Ok(hashes)
}

/// Bytes that a row tells of and the lake has not.
pub(super) enum Lacking<'a> {
    /// They stand in the task.
    OfTask,
    /// They lie there, with what became of them so far.
    Elsewhere(Addresses<'a>, Option<&'a str>),
}

/// Hands out what the rows of a file lack.
pub(super) fn each_lacking(
    store: &dyn Store,
    path: &str,
    is_there: &dyn Fn(Sha256, Option<u64>) -> bool,
    mut each: impl FnMut(Lacking<'_>),
) -> Result<()> {
    let mut columns = vec![
        "url",
        "scale_url",
        "transcript_url",
        "content_sha256",
        "content_bytes",
        "content_state",
        "content_path",
        "transcript_state",
        "transcript_path",
    ];
    let mut is_old = false;
    each_batch(store, path, &columns, |batch| {
        match column(batch, "content_sha256") {
            Ok(hashes) => each_lacking_row(batch, hashes, is_there, &mut each),
            Err(_) => is_old = true,
        }
        Ok(())
    })?;
    if is_old {
        // Of the first schema: whether a content is base64, nobody has looked.
        columns.push("content");
        each_batch(store, path, &columns, |batch| {
            each_lacking_row(batch, column(batch, "content")?, is_there, &mut each);
            Ok(())
        })?;
    }
    Ok(())
}

/// The same of a batch; in `own` is not null what may stand in a task.
fn each_lacking_row(
    batch: &RecordBatch,
    own: &StringArray,
    is_there: &dyn Fn(Sha256, Option<u64>) -> bool,
    each: &mut dyn FnMut(Lacking<'_>),
) {
    // An older file has not all of them.
    let text = |name| column(batch, name).ok();
    let [scale_url, url, transcript_url] = [text("scale_url"), text("url"), text("transcript_url")];
    let [state, path] = [text("content_state"), text("content_path")];
    let [transcript_state, transcript_path] = [text("transcript_state"), text("transcript_path")];
    let sizes = batch.column_by_name("content_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int64Type>());
    for row in 0..batch.num_rows() {
        let is_kept =
            |path: Option<&str>, bytes| path.and_then(Sha256::of_path).is_some_and(|hash| is_there(hash, bytes));
        let bytes = sizes.filter(|sizes| sizes.is_valid(row)).map(|sizes| sizes.value(row) as u64);
        if !is_kept(at_most(path, row), bytes) {
            let addresses = Addresses::of_content(at_most(scale_url, row), at_most(url, row));
            // What was fetched has a hash, too.
            let is_fetched = at_most(path, row).is_some();
            // Nothing is no content.
            each(match own.is_valid(row) && !is_fetched && bytes != Some(0) {
                true => Lacking::OfTask,
                false => Lacking::Elsewhere(addresses, at_most(state, row)),
            });
        }
        if !is_kept(at_most(transcript_path, row), None) {
            let addresses = Addresses::of_transcript(at_most(transcript_url, row));
            each(Lacking::Elsewhere(addresses, at_most(transcript_state, row)));
        }
    }
}

fn each_batch(
    store: &dyn Store,
    path: &str,
    columns: &[&str],
    mut each: impl FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<()> {
    let failed = |source| Error::Batch { table: TABLE.name, source };
    for batch in open_columns(store, path, columns)? {
        each(&batch.map_err(failed)?).map_err(failed)?;
    }
    Ok(())
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray, ArrowError> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))
}

fn at(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// The same of a column that may not be there.
fn at_most(column: Option<&StringArray>, row: usize) -> Option<&str> {
    at(column?, row)
}
