//! Inputs that are no files of this machine: files in a store beyond it, and lines that a caller hands out.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use glob::{MatchOptions, Pattern};
use parquet::file::reader::{ChunkReader, Length};

use super::find::{has_known_extension, is_of_a_lake};
use super::input::Input;
use crate::error::{Error, Result};
use crate::store::{self, Blob, Store, StoreOptions};

/// A file in a store.
#[derive(Clone, Debug)]
pub struct Stored {
    store: Arc<dyn Store>,
    path: String,
    bytes: u64,
}

/// Two are the same by where they lie.
impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Stored {}

/// Bytes of a file that are asked for at a time: an answer takes a while to come, however little is asked for.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

impl Stored {
    /// Its address.
    pub fn name(&self) -> String {
        self.store.place().join(&self.path).display().to_string()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn open(&self) -> io::Result<impl Read + Send + 'static> {
        let blob = self.store.open(&self.path).map_err(io::Error::other)?;
        let blob: Blob = blob.ok_or(io::ErrorKind::NotFound)?;
        Ok(BufReader::with_capacity(PIECE_BYTES, blob.get_read(0)?))
    }
}

/// The files that an address stands for: of one, of a folder, or of a pattern such as `s3://bucket/tasks/*.json.gz`; sorted by path.
pub(super) fn files_at(address: &str, options: &StoreOptions) -> Result<Vec<Input>> {
    let (place, pattern) = split(address);
    // What is told of is what was given.
    let refused = |error| store::open(Path::new(address), options).err().unwrap_or(error);
    let store = store::open(Path::new(place), options).map_err(refused)?;
    // Behind a `?` may stand a signature.
    let word = address.split_once('?').filter(|(_, query)| query.contains('=')).map_or(address, |(shown, _)| shown);
    let no_input = |expected| Error::NoInput { word: word.to_owned(), expected };
    // A file may be called what would be a pattern.
    if let Some(blob) = if pattern.is_empty() { None } else { store.open(pattern)? } {
        return Ok(vec![Input::Stored(Stored { store, path: pattern.to_owned(), bytes: blob.len() })]);
    }
    let like = is_pattern(pattern).then(|| Pattern::new(pattern)).transpose();
    let like = like.map_err(|_| no_input("a pattern that is one"))?;
    // As a shell does it, hidden files are none of those that a pattern stands for.
    let options =
        MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..MatchOptions::default() };
    let is_own = |path: &str| path.split('/').any(|name| is_of_a_lake(name.as_ref()));
    let is_meant = |path: &str| match &like {
        Some(like) => like.matches_with(path, options) && !is_own(path),
        None => {
            let is_below = pattern.is_empty() || path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/'));
            is_below && !is_own(path) && path.split('/').all(|name| !name.starts_with('.')) && is_known(path)
        }
    };
    let listed = store.list(if like.is_some() { "" } else { pattern })?;
    let files = listed.into_iter().filter(|listed| is_meant(&listed.path));
    let stored = |listed: store::Listed| Stored { store: Arc::clone(&store), path: listed.path, bytes: listed.bytes };
    let inputs = files.map(|listed| Input::Stored(stored(listed))).collect::<Vec<_>>();
    if inputs.is_empty() {
        return Err(no_input("a file, a folder with files named *.ndjson, *.jsonl or *.json, or a pattern of such"));
    }
    Ok(inputs)
}

fn is_known(path: &str) -> bool {
    has_known_extension(Path::new(path))
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// An address as the place of a store and what is meant in it: of one without a pattern, its last name.
fn split(address: &str) -> (&str, &str) {
    let address = address.trim_end_matches('/');
    let path = address.find("://").map_or(0, |at| at + 3);
    // The first name behind the scheme is that of the bucket.
    let first = address.get(path..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| path + at);
    let before_pattern = address.find(['*', '?', '[']).unwrap_or(address.len());
    let cut = address.get(first..before_pattern).and_then(|rest| rest.rfind('/')).map(|at| first + at);
    match cut {
        Some(cut) => (address.get(..cut).unwrap_or_default(), address.get(cut + 1..).unwrap_or_default()),
        None => (address, ""),
    }
}

/// Lines that a caller hands out, of which each is a record, however it begins. They can be read once.
#[derive(Clone)]
pub struct Lines {
    name: String,
    stream: Arc<Mutex<Option<Box<dyn Read + Send>>>>,
}

impl Lines {
    /// From a stream of UTF-8 text with a record a line. `name` is what messages and rejects call it.
    pub fn new(name: impl Into<String>, stream: impl Read + Send + 'static) -> Lines {
        Lines { name: name.into(), stream: Arc::new(Mutex::new(Some(Box::new(stream)))) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn take(&self) -> io::Result<Box<dyn Read + Send>> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        stream.ok_or_else(|| io::Error::other("expected lines that nobody has read, found ones that were"))
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lines").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Lines {
    fn eq(&self, other: &Lines) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }
}

impl Eq for Lines {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_place_and_what_is_meant_in_it() {
        for (address, expected) in [
            ("s3://bucket", ("s3://bucket", "")),
            ("s3://bucket/", ("s3://bucket", "")),
            ("s3://bucket/a.ndjson", ("s3://bucket", "a.ndjson")),
            ("s3://bucket/a/b.ndjson", ("s3://bucket/a", "b.ndjson")),
            ("s3://bucket/a/b/", ("s3://bucket/a", "b")),
            ("s3://bucket/*.json", ("s3://bucket", "*.json")),
            ("s3://bucket/a/b*/c?.json", ("s3://bucket/a", "b*/c?.json")),
            ("s3://bucket/a/**/*.json", ("s3://bucket/a", "**/*.json")),
        ] {
            assert_eq!(split(address), expected, "{address}");
        }
    }
}
