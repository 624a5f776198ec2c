//! Bytes on their way into a lake: hashed as they come, in memory as long as they are few.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::Digest;

use super::media::{TELLING_BYTES, media_type};
use super::{Content, Sha256};
use crate::error::{Error, Result};
use crate::store::Store;

/// More than this goes to disk: there may be as many bodies as requests.
const HELD_BYTES: usize = 1 << 20;

/// Some bytes, as far as they have come.
#[derive(Debug)]
pub(super) struct Body {
    /// Where they go that are many.
    scratch: PathBuf,
    /// The first ones.
    held: Vec<u8>,
    /// The others.
    rest: Option<File>,
    hash: sha2::Sha256,
    bytes: u64,
}

impl Body {
    /// None yet.
    pub(super) fn new(scratch: &Path) -> Body {
        let (held, hash) = (Vec::new(), sha2::Sha256::new());
        Body { scratch: scratch.to_owned(), held, rest: None, hash, bytes: 0 }
    }

    /// How many there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in the next ones.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        if self.rest.is_none() && self.held.len() + bytes.len() <= HELD_BYTES {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        let mut put = || -> io::Result<()> {
            let file = match &mut self.rest {
                Some(file) => file,
                rest => rest.insert(tempfile::tempfile_in(&self.scratch)?),
            };
            file.write_all(bytes)
        };
        put().map_err(Error::file("write an attachment to", &self.scratch))
    }

    /// Makes them a file of the lake. Nothing of it is data until a row names it.
    pub(super) fn keep(self, store: &dyn Store) -> Result<Content> {
        let Body { scratch, held, rest, hash, bytes } = self;
        let head = held.get(..held.len().min(TELLING_BYTES)).unwrap_or_default();
        let media_type = Arc::from(media_type(head));
        let content = Content { sha256: Sha256(hash.finalize().into()), bytes, media_type };
        let path = content.sha256.path();
        match rest {
            None => store.put_named(&path, &mut held.as_slice())?,
            Some(mut file) => {
                file.seek(SeekFrom::Start(0)).map_err(Error::file("read an attachment from", scratch))?;
                store.put_named(&path, &mut held.as_slice().chain(file))?;
            }
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn few_bytes_and_many_become_a_file_by_their_hash() {
        let (store, folder) = (MemoryStore::named("memory"), tempfile::tempdir().unwrap());
        for pieces in [vec![], vec![3], vec![HELD_BYTES], vec![HELD_BYTES, 1], vec![1, HELD_BYTES, HELD_BYTES]] {
            let mut body = Body::new(folder.path());
            let mut whole = Vec::new();
            for (index, length) in pieces.iter().enumerate() {
                let piece = vec![b'a' + index as u8; *length];
                body.push(&piece).unwrap();
                whole.extend(piece);
            }
            let content = body.keep(&store).unwrap();
            assert_eq!(content.bytes, whole.len() as u64);
            assert_eq!(content.sha256, Sha256(sha2::Sha256::digest(&whole).into()));
            assert!(store.get(&content.sha256.path()).unwrap().unwrap() == whole, "{pieces:?}");
        }
    }
}
