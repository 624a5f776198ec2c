//! Parts of a store beyond this machine, brought into memory before they are worked on: many requests at a time hide how far it is.

use rayon::prelude::*;

use super::entry::PartEntry;
use crate::error::{Error, Result};
use crate::store::{MemoryStore, Store, with_readers};

/// Bytes of files that are brought at a time.
const GROUP_BYTES: u64 = 64 << 20;

/// Where the files of some parts are best read.
pub enum Near<'s> {
    /// Where they are.
    There(&'s dyn Store),
    /// In memory, brought from there.
    Here(MemoryStore, &'s dyn Store),
}

impl<'s> Near<'s> {
    /// Brings the files of these parts near, unless they are.
    pub fn bring(store: &'s dyn Store, parts: &[&PartEntry]) -> Result<Near<'s>> {
        if store.readers() <= 1 {
            return Ok(Near::There(store));
        }
        let memory = MemoryStore::named(&store.place().to_string_lossy());
        let paths = parts.iter().flat_map(|part| part.files.keys().map(|table| part.path(table))).collect::<Vec<_>>();
        let bring = |path: &String| {
            let bytes = store.get(path)?.ok_or_else(|| Error::NoFile { path: store.place().join(path) })?;
            memory.put(path, &bytes)
        };
        with_readers(store, || paths.par_iter().try_for_each(bring))??;
        Ok(Near::Here(memory, store))
    }

    /// What holds them.
    pub fn store(&self) -> &dyn Store {
        match self {
            Near::There(store) => *store,
            Near::Here(memory, _) => memory,
        }
    }

    /// What holds everything else.
    pub fn lake(&self) -> &'s dyn Store {
        match self {
            Near::There(store) | Near::Here(_, store) => *store,
        }
    }
}

/// The parts in groups that may be in memory at a time; all in one where they need not be.
pub fn groups<'p, 'a>(store: &dyn Store, parts: &'p [&'a PartEntry]) -> Vec<&'p [&'a PartEntry]> {
    if store.readers() <= 1 {
        return vec![parts];
    }
    let mut bytes = 0;
    let is_one_group = |part: &&PartEntry, _: &&PartEntry| {
        bytes += part.files.values().map(|file| file.bytes).sum::<u64>();
        let has_room = bytes < GROUP_BYTES;
        if !has_room {
            bytes = 0;
        }
        has_room
    };
    parts.chunk_by(is_one_group).collect()
}
