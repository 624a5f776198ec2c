//! What a lake has fetched already, told by its own rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use rayon::prelude::*;

use super::address::Addresses;
use super::{Content, MOVED, STORED, Sha256};
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
}

impl Known {
    /// What the rows of these files tell.
    pub fn read(store: &dyn Store, files: impl Iterator<Item = String>) -> Result<Known> {
        let files = files.collect::<Vec<_>>();
        let read = |path: &String| {
            let mut known = Known::default();
            each_batch(store, path, &COLUMNS, |batch| known.take(batch))?;
            Ok(known)
        };
        let all = with_readers(store, || files.par_iter().map(read).collect::<Result<Vec<_>>>())??;
        let mut known = Known::default();
        for one in all {
            known.by_address.extend(one.by_address);
            known.of_tasks.extend(one.of_tasks);
        }
        Ok(known)
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

    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let text = |name| column(batch, name);
        let [state, path, kind] = [text("content_state")?, text("content_path")?, text("content_type")?];
        let [scale_url, url, transcript_url] = [text("scale_url")?, text("url")?, text("transcript_url")?];
        let transcripts = text("transcript_path")?;
        let sizes = batch.column_by_name("content_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int64Type>());
        for row in 0..batch.num_rows() {
            if let (Some(sha256), Some(state)) = (at(path, row).and_then(Sha256::of_path), at(state, row)) {
                let bytes = sizes.filter(|sizes| sizes.is_valid(row)).map_or(0, |sizes| sizes.value(row)) as u64;
                let content = Content { sha256, bytes, media_type: Arc::from(at(kind, row).unwrap_or_default()) };
                match Addresses::of_content(at(scale_url, row), at(url, row)).key().filter(|_| state == STORED) {
                    Some(key) => drop(self.by_address.insert(key, content)),
                    None => drop(self.of_tasks.insert(sha256, (content, state == MOVED))),
                }
            }
            let key = Addresses::of_transcript(at(transcript_url, row)).key();
            if let Some((key, sha256)) = key.zip(at(transcripts, row).and_then(Sha256::of_path)) {
                // A transcript has no columns for the rest.
                self.by_address.insert(key, Content { sha256, bytes: 0, media_type: Arc::from("") });
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

/// The hashes of what the rows of these files tell of, each with its bytes where they are told. A file that is gone tells nothing.
pub fn hashes_in(store: &dyn Store, files: impl Iterator<Item = String>) -> Result<BTreeMap<Sha256, Option<u64>>> {
    let files = files.collect::<Vec<_>>();
    let read = |path: &String| {
        let mut hashes = BTreeMap::new();
        let read = each_batch(store, path, &["content_bytes", "content_path", "transcript_path"], |batch| {
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
        });
        match read {
            Ok(()) | Err(Error::NoFile { .. }) => Ok(hashes),
            Err(error) => Err(error),
        }
    };
    let all = with_readers(store, || files.par_iter().map(read).collect::<Result<Vec<_>>>())??;
    let mut hashes = BTreeMap::new();
    for (hash, bytes) in all.into_iter().flatten() {
        let known = hashes.entry(hash).or_insert(bytes);
        *known = known.or(bytes);
    }
    Ok(hashes)
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
