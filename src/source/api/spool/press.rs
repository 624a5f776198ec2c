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

/// Levels of zstd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Where there is time.
    pub usual: i32,
    /// Where pages come faster than they can be made ready.
    pub behind: i32,
}

/// Makes pages ready.
#[derive(Debug)]
pub struct Press {
    levels: Levels,
    /// Of the spool, for messages.
    path: PathBuf,
    idle: Mutex<Vec<Frames>>,
}

impl Press {
    pub(super) fn new(levels: Levels, path: PathBuf) -> Press {
        Press { levels, path, idle: Mutex::default() }
    }

    /// Takes a page's secrets out and compresses it, in less time where others wait.
    pub fn press(&self, mut body: Vec<u8>, is_behind: bool) -> Result<Pressed> {
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
        let level = if is_behind { self.levels.behind } else { self.levels.usual };
        let frame = self.frame(&line, level).map_err(Error::file("compress", &self.path))?;
        Ok(Pressed { checksum: xxh3_64(&frame), line, frame })
    }

    fn frame(&self, line: &[u8], level: i32) -> io::Result<Vec<u8>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut frames = idle.map_or_else(|| Frames::new(level), Ok)?;
        let frame = frames.make(line, level)?.to_vec();
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

    fn make(&mut self, line: &[u8], level: i32) -> io::Result<&[u8]> {
        self.compressor.set_compression_level(level)?;
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
