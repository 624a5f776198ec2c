//! Pages made ready for the spool, several at a time: what takes time is done here, so that who writes them only writes.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::line::one_line;
use crate::error::{Error, Result};
use crate::json::redact;

/// A page that can be written.
#[derive(Debug)]
pub struct Pressed {
    /// The page as one line, without its secrets.
    pub line: Vec<u8>,
    /// The line as a frame of zstd.
    pub(super) frame: Vec<u8>,
    pub(super) checksum: u64,
}

/// Makes pages ready.
#[derive(Debug)]
pub struct Press {
    level: i32,
    /// Of the spool, for messages.
    path: PathBuf,
    idle: Mutex<Vec<Frames>>,
}

impl Press {
    pub(super) fn new(level: i32, path: PathBuf) -> Press {
        Press { level, path, idle: Mutex::default() }
    }

    /// Takes a page's secrets out and compresses it.
    pub fn press(&self, mut body: Vec<u8>) -> Result<Pressed> {
        let redacted = match redact(&body) {
            (Cow::Borrowed(_), _) => None,
            (Cow::Owned(redacted), _) => Some(redacted),
        };
        if let Some(redacted) = redacted {
            // Back into the buffer that is used again: a fresh one for each page would have to be cleared by the system first.
            body.clear();
            body.extend_from_slice(&redacted);
        }
        let line = one_line(body);
        let frame = self.frame(&line).map_err(Error::file("compress", &self.path))?;
        Ok(Pressed { checksum: xxh3_64(&frame), line, frame })
    }

    fn frame(&self, line: &[u8]) -> io::Result<Vec<u8>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut frames = idle.map_or_else(|| Frames::new(self.level), Ok)?;
        let frame = frames.make(line)?.to_vec();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(frames);
        Ok(frame)
    }
}

/// Makes zstd frames. Context and buffer are used again: fresh ones would have to be cleared by the system for each page.
struct Frames {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl Frames {
    fn new(level: i32) -> io::Result<Frames> {
        Ok(Frames { compressor: Compressor::new(level)?, frame: Vec::new() })
    }

    fn make(&mut self, line: &[u8]) -> io::Result<&[u8]> {
        self.frame.clear();
        self.frame.reserve(compress_bound(line.len()));
        self.compressor.compress_to_buffer(line, &mut self.frame)?;
        Ok(&self.frame)
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Frames(..)")
    }
}
