//! From the words of the command line to the inputs that they mean.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use crate::error::{Error, Result};
use crate::progress::{Counted, Progress};

/// One stream of bytes to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// Extensions that a folder is searched for, each also with `.gz`, `.zst` or `.zstd` behind it.
const KNOWN_EXTENSIONS: [&str; 3] = ["ndjson", "jsonl", "json"];
const COMPRESSED_EXTENSIONS: [&str; 3] = ["gz", "zst", "zstd"];

/// Finds the inputs behind the given words, in the order given; folders and patterns give their files sorted by path.
pub fn resolve(words: &[String]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for word in words {
        let path = Path::new(word);
        if word == "-" {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            inputs.extend(walk(path)?);
        } else if path.exists() {
            inputs.push(Input::File(path.to_owned()));
        } else {
            inputs.extend(expand(word)?);
        }
    }
    Ok(inputs)
}

fn walk(folder: &Path) -> Result<Vec<Input>> {
    let is_wanted = |name: &str| !name.starts_with('.') && name != "_taskloom";
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || is_wanted(&entry.file_name().to_string_lossy()));
    let mut inputs = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|error| Error::Input { input: folder.display().to_string(), source: error.into() })?;
        if entry.file_type().is_file() && has_known_extension(entry.path()) {
            inputs.push(Input::File(entry.into_path()));
        }
    }
    if inputs.is_empty() {
        return Err(Error::NoInput {
            word: folder.display().to_string(),
            expected: "a folder with files named *.ndjson, *.jsonl or *.json (also with .gz or .zst behind it)",
        });
    }
    Ok(inputs)
}

fn has_known_extension(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut extensions = name.rsplit('.');
    let last = extensions.next().unwrap_or_default();
    let is_compressed = COMPRESSED_EXTENSIONS.contains(&last);
    let inner = if is_compressed { extensions.next().unwrap_or_default() } else { last };
    KNOWN_EXTENSIONS.contains(&inner)
}

fn expand(pattern: &str) -> Result<Vec<Input>> {
    let no_input = || Error::NoInput {
        word: pattern.to_owned(),
        expected: "a file, a folder, a pattern that matches files, or -",
    };
    let paths = glob::glob(pattern).map_err(|_| no_input())?;
    let mut inputs = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Error::Input { input: pattern.to_owned(), source: error.into() })?;
        if path.is_dir() {
            inputs.extend(walk(&path)?);
        } else {
            inputs.push(Input::File(path));
        }
    }
    if inputs.is_empty() { Err(no_input()) } else { Ok(inputs) }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Input {
    /// How the input is called in messages and rejects.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin => "-".to_owned(),
            Input::File(path) => path.display().to_string(),
        }
    }

    /// Its bytes on the disk; `None` for a pipe or a device.
    pub fn size(&self) -> Option<u64> {
        let metadata = match self {
            Input::Stdin => return None,
            Input::File(path) => path.metadata().ok()?,
        };
        if metadata.is_file() { Some(metadata.len()) } else { None }
    }

    /// Opens the input, behind its decompression, which is told by the first bytes, and without a byte order mark, whose length
    /// is told too.
    pub(super) fn open(&self, progress: &Arc<Progress>) -> io::Result<(Box<dyn Read + Send>, u64)> {
        let progress = Arc::clone(progress);
        let raw: Box<dyn Read + Send> = match self {
            Input::Stdin => Box::new(Counted { stream: io::stdin(), progress }),
            Input::File(path) => Box::new(Counted { stream: std::fs::File::open(path)?, progress }),
        };
        let (magic, raw) = peek::<4>(raw)?;
        let plain: Box<dyn Read + Send> = if magic.starts_with(&GZIP_MAGIC) {
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered(raw)))
        } else if is_zstd(&magic) {
            Box::new(zstd::stream::read::Decoder::with_buffer(buffered(raw))?)
        } else {
            raw
        };
        let (mark, mut plain) = peek::<3>(plain)?;
        if mark != BYTE_ORDER_MARK {
            return Ok((plain, 0));
        }
        plain.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
        Ok((plain, BYTE_ORDER_MARK.len() as u64))
    }
}

/// A frame, or a frame to be skipped, such as parallel compressors begin with.
fn is_zstd(magic: &[u8]) -> bool {
    magic == ZSTD_MAGIC || matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

fn buffered(raw: Box<dyn Read + Send>) -> BufReader<Box<dyn Read + Send>> {
    BufReader::with_capacity(128 * 1024, raw)
}

/// The first bytes of a stream, and the whole stream again.
fn peek<const N: usize>(mut stream: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut first = Vec::with_capacity(N);
    stream.by_ref().take(N as u64).read_to_end(&mut first)?;
    Ok((first.clone(), Box::new(io::Cursor::new(first).chain(stream))))
}
