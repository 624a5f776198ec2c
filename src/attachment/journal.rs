//! What a run has fetched, written down beside what it has received: a run that ends early goes on from there.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Content, FOLDER, Sha256};
use crate::error::{Error, Result};
use crate::store::Store;

/// A file of the work folder that the run alone writes to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

const NAME: &str = "attachments.log";

impl Journal {
    /// That of a work folder, and what stands in it of which the lake has the bytes. `None` where another run writes to it.
    pub(super) fn open(folder: &Path, store: &dyn Store) -> Result<Option<(Journal, HashMap<u128, Content>)>> {
        let path = folder.join(NAME);
        let failed = || Error::file("write", &path);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed())?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let mut found = HashMap::new();
        for line in BufReader::new(&file).lines() {
            // The last one may be cut.
            let Some((key, content)) = line.ok().and_then(|line| read(&line)) else { continue };
            found.insert(key, content);
        }
        if !found.is_empty() {
            let listed = store.list(FOLDER)?;
            let there = listed.iter().map(|listed| (listed.path.as_str(), listed.bytes)).collect::<HashMap<_, _>>();
            found.retain(|_, content| there.get(content.sha256.path().as_str()) == Some(&content.bytes));
        }
        Ok(Some((Journal { file, path }, found)))
    }

    /// Notes that a content is there.
    pub(super) fn note(&mut self, key: u128, content: &Content) -> Result<()> {
        let Content { sha256, bytes, media_type } = content;
        let line = format!("\n{key:032x} {sha256} {bytes} {media_type} .");
        self.file.write_all(line.as_bytes()).map_err(Error::file("write", &self.path))
    }

    /// What stands in it is in the lake now, but for what another command had fetched.
    pub(super) fn leave(mut self, left: &HashMap<u128, Content>) -> Result<()> {
        if left.is_empty() {
            return fs::remove_file(&self.path).map_err(Error::file("remove", &self.path));
        }
        self.file.set_len(0).map_err(Error::file("write", &self.path))?;
        left.iter().try_for_each(|(key, content)| self.note(*key, content))
    }
}

/// A line begins with a break and ends with a point: one that is cut is no line, and takes none with it.
fn read(line: &str) -> Option<(u128, Content)> {
    let mut words = line.strip_suffix(" .")?.splitn(4, ' ');
    let key = u128::from_str_radix(words.next()?, 16).ok()?;
    let sha256 = Sha256::of_hex(words.next()?)?;
    let bytes = words.next()?.parse().ok()?;
    Some((key, Content { sha256, bytes, media_type: Arc::from(words.next()?) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn what_was_fetched_is_told_again_where_the_lake_has_it() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::named("memory"));
        let content = |byte: u8| Content { sha256: Sha256([byte; 32]), bytes: 3, media_type: Arc::from("image/png") };
        let (mut journal, found) = Journal::open(folder.path(), &store).unwrap().unwrap();
        assert!(found.is_empty());
        for byte in 1..=3 {
            journal.note(byte.into(), &content(byte)).unwrap();
        }
        assert!(Journal::open(folder.path(), &store).unwrap().is_none(), "another run has it");
        // The third line is cut, the second one's bytes are gone.
        let length = journal.file.metadata().unwrap().len();
        journal.file.set_len(length - 3).unwrap();
        journal.note(4, &content(4)).unwrap();
        for byte in [1, 3, 4] {
            store.put(&content(byte).sha256.path(), b"abc").unwrap();
        }
        drop(journal);
        let (journal, found) = Journal::open(folder.path(), &store).unwrap().unwrap();
        assert_eq!(found, HashMap::from([(1, content(1)), (4, content(4))]));
        journal.leave(&HashMap::from([(4, content(4))])).unwrap();
        let (journal, found) = Journal::open(folder.path(), &store).unwrap().unwrap();
        assert_eq!(found, HashMap::from([(4, content(4))]));
        journal.leave(&HashMap::new()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
