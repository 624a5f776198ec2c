//! Pages as they were received, on disk before anything is made of them, so that a run that ends early goes on from here.
//!
//! The file is zstd: one frame a page, each page one line of JSON, so that `flatten` reads it as it is. Before each frame stands a
//! skippable frame, which decompressors pass over, with what the frontier must know of the page. The first skippable frame holds the
//! query. What a torn write left at the end is cut off.

mod line;
pub(super) mod log;
mod press;

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::ChainId;
use super::glance::Glance;
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::parse::page_without;
use crate::store::Store;
use log::{Found, read_line, read_plan, read_skippable, skippable};
use press::Levels;

pub use log::{Entry, Event, Moving, Plan};
pub use press::{Press, Pressed};

/// Characters of a query that are told.
const MOST_TOLD: usize = 400;

/// For pages that go after the commit. At -20 generated tasks take 0.61 of their JSON in place of 0.50, in two thirds of the time.
const LEVELS: Levels = Levels { usual: -7, behind: -20 };
/// For pages that are kept.
const LEVEL_OF_KEPT: i32 = 3;

/// Bytes after which what was written is brought onto the disk.
const SYNC_BYTES: u64 = 64 << 20;

/// The file, locked.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    plan: Plan,
    /// What an earlier run left.
    entries: Vec<Entry>,
    unsynced_bytes: u64,
}

/// What becomes of pages that an earlier run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// They are gone on with; those of another query are in the way.
    Kept,
    /// They are gone on with; those of another query go.
    DroppedIfOther,
    /// They go.
    Dropped,
}

impl Spool {
    /// Opens the spool of a lake. One that an earlier run of the same query left is gone on with, unless it is to be dropped, or its pages
    /// are committed.
    pub fn open(path: &Path, plan: Plan, earlier: Earlier, committed: Option<&str>) -> Result<Spool> {
        let failed = |action| Error::file(action, path);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(failed("open"))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::SpoolBusy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
            Ok(()) => {}
        }
        // The run that held it may have put it away meanwhile, under another name.
        let in_place = path.metadata().map(|metadata| metadata.ino()).ok();
        if in_place != Some(file.metadata().map_err(failed("read"))?.ino()) {
            return Err(Error::SpoolBusy { path: path.to_owned() });
        }
        if earlier == Earlier::Dropped {
            file.set_len(0).map_err(failed("empty"))?;
        }
        let mut found = Found::of(&file).map_err(failed("read"))?;
        // The run that committed them ended before it could put them away; or it received none.
        let has_pages = found.entries.iter().any(|entry| matches!(entry.event, Event::Page { .. }));
        let is_empty = |plan: &Plan| plan.is_current() && !has_pages;
        if found.plan.as_ref().is_some_and(|plan| plan.is_in(committed) || is_empty(plan)) {
            found = Found::default();
        }
        let gives_way = earlier == Earlier::DroppedIfOther;
        if found.plan.as_ref().is_some_and(|other| gives_way && !(other.is_current() && plan.goes_on_with(other))) {
            tracing::warn!(spool = %path.display(), "what an earlier run of this job received is dropped: it asked for something else");
            found = Found::default();
        }
        let mut spool = Spool { path: path.to_owned(), file, plan, entries: Vec::new(), unsynced_bytes: 0 };
        match found.plan {
            None => spool.begin().map_err(failed("write"))?,
            Some(other) if !other.is_current() => {
                return Err(Error::SpoolOfVersion { path: path.to_owned() });
            }
            Some(other) if !spool.plan.goes_on_with(&other) => {
                let pages = found.entries.len() as u64;
                let other = shortened(other.asked.unwrap_or_else(|| format!("{}: {}", other.account, other.query)));
                return Err(Error::SpoolOfOther { path: path.to_owned(), pages, other });
            }
            Some(plan) => {
                spool.file.set_len(found.end).map_err(failed("cut off the torn end of"))?;
                (spool.plan, spool.entries) = (plan, found.entries);
            }
        }
        spool.file.seek(SeekFrom::End(0)).map_err(failed("read"))?;
        Ok(spool)
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        let frame = skippable(&self.plan)?;
        self.file.write_all(&frame)?;
        self.file.sync_all()
    }

    /// What makes pages ready for it. Where they are kept, it is worth while to compress them more.
    pub fn press(&self, keeps_pages: bool) -> Press {
        let kept = Levels { usual: LEVEL_OF_KEPT, behind: LEVEL_OF_KEPT };
        Press::new(if keeps_pages { kept } else { LEVELS }, self.path.clone())
    }

    /// The plan that is in force: that of the first run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What an earlier run left, in its order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the file out of the way: into a store, if it is to be kept there, without what is forgotten.
    pub fn finish(self, keep_as: Option<(&dyn Store, &str)>, forgotten: Option<&Forgotten>) -> Result<()> {
        if let Some((store, path)) = keep_as {
            let mut file = File::open(&self.path).map_err(Error::file("open", &self.path))?;
            if let Some(forgotten) = forgotten {
                file = self.without(file, forgotten).map_err(Error::file("copy", &self.path))?;
            }
            store.put_private(path, &mut file)?;
        }
        std::fs::remove_file(&self.path).map_err(Error::file("remove", &self.path))
    }

    /// The pages once more, in a nameless file, without what is forgotten.
    fn without(&self, pages: File, forgotten: &Forgotten) -> io::Result<File> {
        let mut pages = BufReader::new(zstd::Decoder::new(pages)?);
        let copy = tempfile::tempfile_in(self.path.parent().unwrap_or(Path::new(".")))?;
        let mut copy = zstd::Encoder::new(copy, LEVEL_OF_KEPT)?;
        let mut line = Vec::new();
        while pages.read_until(b'\n', &mut line)? > 0 {
            copy.write_all(&page_without(&line, forgotten))?;
            line.clear();
        }
        let mut copy = copy.finish()?;
        copy.rewind()?;
        Ok(copy)
    }

    /// Appends a page.
    pub fn append(&mut self, chain: ChainId, glance: Glance, page: &Pressed) -> Result<()> {
        self.append_page(chain, glance, page).map_err(Error::file("write", &self.path))
    }

    fn append_page(&mut self, chain: ChainId, glance: Glance, page: &Pressed) -> io::Result<()> {
        let event = Event::Page { glance, bytes: page.frame.len() as u64, checksum: page.checksum };
        self.file.write_all(&skippable(&Entry { chain, event })?)?;
        self.file.write_all(&page.frame)?;
        self.unsynced_bytes += page.frame.len() as u64;
        if self.unsynced_bytes >= SYNC_BYTES {
            self.unsynced_bytes = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Notes what happened to a chain without a page.
    pub fn note(&mut self, chain: ChainId, event: Event) -> Result<()> {
        let written = skippable(&Entry { chain, event });
        written.and_then(|entry| self.file.write_all(&entry)).map_err(Error::file("write", &self.path))
    }

    /// The lines of the pages that an earlier run left, in their order.
    pub fn lines(&self) -> Result<impl Iterator<Item = Result<Vec<u8>>> + use<>> {
        let path = self.path.clone();
        let mut reader = BufReader::new(File::open(&path).map_err(Error::file("open", &path))?);
        let failed = Error::file("read", &path);
        let entries = self.entries.clone();
        read_skippable(&mut reader).map_err(failed)?;
        Ok(entries.into_iter().filter_map(move |entry| {
            let line = read_line(&mut reader, &entry).transpose()?;
            Some(line.map_err(Error::file("read", &path)))
        }))
    }
}

/// Takes a spool of version 0.1.0, which lay in the lake, to the place where spools lie now, if none is there.
pub(super) fn adopt(old: &Path, place: &Path) -> Result<()> {
    if !old.is_file() || place.exists() {
        return Ok(());
    }
    // A program of that version may be at work with it.
    let file = File::open(old).map_err(Error::file("open", old))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(Error::SpoolBusy { path: old.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", old)(error)),
        Ok(()) => {}
    }
    relocate(old, place).map_err(Error::file("move to", place))?;
    let (old, place) = (old.display(), place.display());
    tracing::warn!(%old, %place, "an unfinished export of version 0.1.0 is taken over: its pages lie here now");
    Ok(())
}

/// Moves a file, also onto another disk, where it is whole before it has its name.
fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let draft = to.with_extension("moving");
            std::fs::copy(from, &draft)?;
            File::open(&draft)?.sync_all()?;
            std::fs::rename(&draft, to)?;
            std::fs::remove_file(from)
        }
        moved => moved,
    }
}

/// True where an earlier export left pages that are not committed: its command goes on with them.
pub(super) fn is_unfinished(path: &Path, committed: Option<&str>) -> bool {
    let first = File::open(path).and_then(|mut file| Ok((read_plan(&mut file)?, read_skippable(&mut file)?)));
    matches!(first, Ok((Some(plan), Some(_))) if !plan.is_in(committed))
}

/// A query as it is told: thousands of ids would tell no more.
fn shortened(mut asked: String) -> String {
    if let Some((end, _)) = asked.char_indices().nth(MOST_TOLD) {
        asked.truncate(end);
        asked.push('…');
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::super::query::{Query, Selector};
    use super::*;

    fn plan(account: &str) -> Plan {
        Plan { account: account.to_owned(), ..Plan::new(Default::default(), 7, 100, 8) }
    }

    fn append(spool: &mut Spool, chain: ChainId, glance: Glance, body: &str) {
        let is_behind = chain > 1;
        let page = spool.press(false).press(body.as_bytes().to_vec(), is_behind).unwrap();
        spool.append(chain, glance, &page).unwrap();
    }

    fn filled(path: &Path) -> Vec<u8> {
        let mut spool = Spool::open(path, plan("a"), Earlier::Kept, None).unwrap();
        for chain in 0..3 {
            let body = format!("{{\"tasks\": [\n{chain}],\r\n\"workspace_token\": \"secret\"}}");
            append(&mut spool, chain, Glance { items: 1, ..Glance::default() }, &body);
        }
        spool.note(2, Event::Expired).unwrap();
        drop(spool);
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_spool_goes_on_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let whole = filled(&path);
        let mut counts = Vec::new();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut spool = Spool::open(&path, plan("a"), Earlier::Kept, None).unwrap();
            let before = spool.entries().len();
            counts.push(before);
            append(&mut spool, 9, Glance::default(), "{}");
            drop(spool);
            let spool = Spool::open(&path, plan("a"), Earlier::Kept, None).unwrap();
            assert_eq!(spool.entries().len(), before + 1);
            assert_eq!(spool.lines().unwrap().last().unwrap().unwrap(), b"{}\n");
        }
        assert!(counts.is_sorted() && counts.last() == Some(&4), "{counts:?}");
    }

    #[test]
    fn a_spool_is_lines_in_zstd_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let text = String::from_utf8(zstd::decode_all(filled(&path).as_slice()).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("[redacted]") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn what_is_committed_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        filled(&path);
        let id = Spool::open(&path, plan("a"), Earlier::Kept, None).unwrap().plan().id.clone();
        assert!(is_unfinished(&path, None) && is_unfinished(&path, Some("another")));
        assert!(!is_unfinished(&path, Some(&id)) && !is_unfinished(&folder.path().join("none"), None));
        assert_eq!(Spool::open(&path, plan("a"), Earlier::Kept, Some("another")).unwrap().entries().len(), 4);
        assert_eq!(Spool::open(&path, plan("a"), Earlier::Kept, Some(&id)).unwrap().entries().len(), 0);
    }

    #[test]
    fn a_spool_without_pages_gives_way_to_any_query() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        drop(Spool::open(&path, plan("a"), Earlier::Kept, None).unwrap());
        assert!(!is_unfinished(&path, None));
        let later = Spool::open(&path, Plan { began_at: 8, ..plan("b") }, Earlier::Kept, None).unwrap();
        assert_eq!((later.plan().began_at, later.plan().account.as_str()), (8, "b"));
    }

    #[test]
    fn a_long_query_is_told_in_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let of = vec![Selector::TaskId("ä".to_owned()); 3_000];
        let long = Plan::new((Query { of, ..Query::default() }, Moving::default()), 7, 100, 8);
        let mut spool = Spool::open(&path, long, Earlier::Kept, None).unwrap();
        append(&mut spool, 0, Glance::default(), "{}");
        drop(spool);
        let refused = Spool::open(&path, plan("b"), Earlier::Kept, None).unwrap_err().to_string();
        assert!(refused.contains("task ä, task ä") && refused.len() < 1_000, "{refused}");
    }

    #[test]
    fn a_spool_is_of_one_query_and_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        filled(&path);
        // A torn end is cut off by who goes on, not by who is refused.
        File::options().append(true).open(&path).unwrap().write_all(b"torn").unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = Spool::open(&path, plan("b"), Earlier::Kept, None).unwrap_err();
        assert!(matches!(refused, Error::SpoolOfOther { pages: 4, .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let held = Spool::open(&path, Plan { began_at: 8, ..plan("a") }, Earlier::Kept, None).unwrap();
        assert_eq!(held.plan().began_at, 7);
        assert!(matches!(Spool::open(&path, plan("a"), Earlier::Kept, None), Err(Error::SpoolBusy { .. })));
        drop(held);
        let refused = Spool::open(&path, plan("b"), Earlier::Kept, None).unwrap_err();
        assert!(matches!(refused, Error::SpoolOfOther { pages: 4, .. }), "{refused}");
        assert_eq!(Spool::open(&path, plan("a"), Earlier::DroppedIfOther, None).unwrap().entries().len(), 4);
        assert!(Spool::open(&path, plan("b"), Earlier::DroppedIfOther, None).unwrap().entries().is_empty());
        filled(&path);
        assert!(Spool::open(&path, plan("b"), Earlier::Dropped, None).unwrap().entries().is_empty());
    }

    #[test]
    fn the_query_tells_what_is_gone_on_with_and_not_its_words() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let projects = |ids: &[&str]| ids.iter().map(|id| Selector::ProjectId((*id).to_owned())).collect::<Vec<_>>();
        let plan = |of: &[&str], expand: &[&str], after, began_at| {
            let query = Query { of: projects(of), expand: words(expand), completed_after: after, ..Query::default() };
            let moving = Moving { after: true, before: false };
            Plan::new((query, moving), began_at, 100, 8)
        };
        let earlier = plan(&["p", "q"], &["batch", "project"], Some(900), 1_000);
        assert!(plan(&["q", "p", "q"], &["project", "batch"], Some(1_900), 2_000).goes_on_with(&earlier));
        assert!(!plan(&["q", "p"], &["project", "batch"], Some(900), 2_000).goes_on_with(&earlier), "another span");
        assert!(!plan(&["q"], &["project", "batch"], Some(1_900), 2_000).goes_on_with(&earlier));
        let of_other = Plan { account: "b".to_owned(), ..earlier.clone() };
        assert!(!of_other.goes_on_with(&earlier));
        // Where nothing can have been delivered, nobody asks for it, and did not have to be told not to.
        let pending = |skips_delivery_tasks| {
            let query = Query { statuses: words(&["pending"]), skips_delivery_tasks, ..Query::default() };
            Plan::new((query, Moving::default()), 7, 100, 8)
        };
        assert!(pending(false).query.skips_delivery_tasks && pending(false).goes_on_with(&pending(true)));
    }

    #[test]
    fn what_0_1_0_began_is_gone_on_with() {
        let old = r#"{"format":4,"id":"x","asked":"https://api.scale.com/ --project-id p --completed-after 2 days ago with a live key",
            "query":{"of":[{"project_id":"p"}],"statuses":[],"completed_after":100,"completed_before":1000,"skips_delivery_tasks":false,
            "expand":[],"opts":[]},"began_at":1000,"page_size":100,"concurrency":8}"#;
        let old: Plan = serde_json::from_str(old).unwrap();
        let plan = |account: &str, after| {
            let of = vec![Selector::ProjectId("p".to_owned())];
            let query = Query { of, completed_after: Some(after), completed_before: Some(5_000), ..Query::default() };
            let moving = Moving { after: true, before: true };
            Plan { account: account.to_owned(), ..Plan::new((query, moving), 5_000, 100, 8) }
        };
        assert!(old.is_current());
        assert!(plan("https://api.scale.com/ with a live key", 4_100).goes_on_with(&old));
        assert!(!plan("https://api.scale.com/ with a test key", 4_100).goes_on_with(&old));
        assert!(!plan("https://api.scale.com/ with a live key", 4_200).goes_on_with(&old));
    }
}
