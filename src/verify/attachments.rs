//! Whether what rows tell of kept bytes is true.

use std::collections::HashMap;
use std::io::Read;

use parquet::file::reader::ChunkReader;
use rayon::prelude::*;
use sha2::Digest;

use crate::attachment::{FOLDER, Sha256, hashes_in_those_there};
use crate::error::{Error, Result};
use crate::lake::{Fault, Finding, Lake, State, bytes_of};
use crate::part::PartEntry;
use crate::store::{Store, with_readers};

/// The contents that rows of these parts tell of, against what is there; every byte of it, if the look is to be deep.
pub(super) fn look(store: &dyn Store, parts: &[PartEntry], is_deep: bool) -> Result<Vec<Finding>> {
    let told = hashes_in_those_there(store, parts.iter().filter_map(PartEntry::keeping))?;
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let listed = store.list(FOLDER)?.into_iter();
    let there = listed.map(|listed| (listed.path, listed.bytes)).collect::<HashMap<_, _>>();
    let look = |(hash, bytes): (&Sha256, &Option<u64>)| {
        let path = hash.path();
        let Some(found) = there.get(&path).copied() else {
            return Ok(Some(Finding::new(Fault::Missing, path, "the bytes of an attachment", "none")));
        };
        if let Some(bytes) = bytes.filter(|bytes| *bytes != found) {
            return Ok(Some(Finding::new(Fault::Size, path, bytes_of(bytes), bytes_of(found))));
        }
        let found = if is_deep { hash_of(store, &path)? } else { Some(*hash) };
        let told = |found: Option<Sha256>| found.map_or_else(|| "none".to_owned(), |found| found.to_string());
        let is_other = found != Some(*hash);
        Ok(is_other.then(|| Finding::new(Fault::Checksum, path, format!("bytes with the SHA-256 {hash}"), told(found))))
    };
    let looked = with_readers(store, || told.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    Ok(looked.into_iter().flatten().collect())
}

fn hash_of(store: &dyn Store, path: &str) -> Result<Option<Sha256>> {
    let Some(blob) = store.open(path)? else { return Ok(None) };
    let failed = |source| Error::Parquet { action: "read", path: path.into(), source };
    let mut bytes = blob.get_read(0).map_err(failed)?;
    let (mut hash, mut buffer) = (sha2::Sha256::new(), vec![0; 1 << 20]);
    loop {
        match bytes.read(&mut buffer).map_err(Error::file("read", store.place().join(path)))? {
            0 => return Ok(Some(Sha256(hash.finalize().into()))),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Contents that were there when history began anew, and that no version needs from there on: they may be of what was forgotten.
pub(super) fn unneeded(lake: &Lake, state: &State) -> Result<Vec<Finding>> {
    let left = lake.attachments_left(state)?.into_iter();
    let finding =
        |path| Finding::new(Fault::Forgotten, path, "nothing that was forgotten", "bytes that no version needs");
    Ok(left.map(finding).collect())
}
