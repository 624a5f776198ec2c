//! A file that is read in pieces, as Parquet's readers do it.

use std::fmt::Debug;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

/// Reads pieces of a file.
pub trait ReadAt: Debug + Send + Sync {
    /// Fills the buffer with what stands from a byte on. A file that ends before is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// An open file. A clone is the same file.
#[derive(Clone, Debug)]
pub struct Blob {
    source: Arc<dyn ReadAt>,
    bytes: u64,
}

impl Blob {
    /// A file of so many bytes.
    pub fn new(source: impl ReadAt + 'static, bytes: u64) -> Blob {
        Blob { source: Arc::new(source), bytes }
    }
}

impl Length for Blob {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Blob {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(Tail { blob: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut buffer = vec![0; length];
        self.source.read_at(start, &mut buffer)?;
        Ok(buffer.into())
    }
}

/// What stands from a byte on.
#[derive(Debug)]
pub struct Tail {
    blob: Blob,
    offset: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.blob.bytes.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let Some(piece) = buffer.get_mut(..length) else { return Ok(0) };
        self.blob.source.read_at(self.offset, piece)?;
        self.offset += length as u64;
        Ok(length)
    }
}
