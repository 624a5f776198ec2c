//! A large file of a bucket, read in pieces: a request brings more than was asked for, and what came is kept for a while.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use crate::store::{ReadAt, StoreFailure};

/// What one request brings at least. At 30 MB/s a latency of 20 ms is worth 600 kB.
pub(super) const PIECE: u64 = 1 << 20;

/// Pieces of a file that are kept: the columns of a row group are read side by side.
const KEPT_PIECES: usize = 32;

/// A file that is larger than one piece.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) runtime: Handle,
    pub(super) path: Path,
    pub(super) bytes: u64,
    /// By their numbers, the latest first.
    pub(super) kept: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Pieces {
    fn piece(&self, number: u64) -> io::Result<Bytes> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, piece)) = kept().iter().find(|(known, _)| *known == number) {
            return Ok(piece.clone());
        }
        let range = number * PIECE..self.bytes.min((number + 1) * PIECE);
        let expected = range.end - range.start;
        let piece = self.runtime.block_on(self.objects.get_range(&self.path, range)).map_err(|error| match error {
            object_store::Error::NotFound { .. } => io::Error::new(ErrorKind::NotFound, error),
            _ => io::Error::other(StoreFailure::of(&error)),
        })?;
        if piece.len() as u64 != expected {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut kept = kept();
        kept.truncate(KEPT_PIECES - 1);
        kept.push_front((number, piece.clone()));
        Ok(piece)
    }
}

impl ReadAt for Pieces {
    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        while !buffer.is_empty() {
            let piece = self.piece(offset / PIECE)?;
            let from = piece.get((offset % PIECE) as usize..).unwrap_or_default();
            let length = from.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(length);
            now.copy_from_slice(from.get(..length).unwrap_or_default());
            (offset, buffer) = (offset + length as u64, later);
        }
        Ok(())
    }
}
