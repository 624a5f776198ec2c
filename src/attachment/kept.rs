//! What is known of the bytes of an attachment, and who gets those that the lake has not.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use sha2::Digest;

use super::address::Addresses;
use super::body::Body;
use super::known::{Known, Lacking, each_lacking};
use super::report::AttachmentReport;
use super::{COPIED, Content, Failure, MOVED, Outcome, STORED, Sha256};
use crate::error::Result;
use crate::flatten::{decode_base64, each_attachment};
use crate::store::Store;
use crate::table::catalog::attachments::Row;

/// What becomes of contents that stand in tasks in base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfTasks {
    /// They are files too.
    #[default]
    Copy,
    /// They are files, and stand in the table no more; tasks that are restored have them again.
    Move,
}

/// What becomes of attachments that were not ordered before their rows came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unordered {
    /// They are.
    Fetched,
    /// They stay as they are.
    Left,
}

/// Which attachments that could not be fetched are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How many of those that another attempt will hardly get.
    pub doubtful: u64,
}

impl Retry {
    fn wants(&mut self, addresses: Addresses<'_>, state: Option<&str>) -> bool {
        let word = Failure::Unreachable.word();
        match state.filter(|state| *state != word) {
            _ if addresses.key().is_none() => false,
            None => true,
            Some(_) if self.doubtful == 0 => false,
            Some(_) => {
                self.doubtful -= 1;
                true
            }
        }
    }
}

/// Where rows hear of their bytes.
#[derive(Debug)]
pub struct Attachments {
    store: Arc<dyn Store>,
    known: Known,
    fetching: Option<Fetching>,
}

/// What is there to get what the lake has not.
#[derive(Debug)]
struct Fetching {
    #[cfg(feature = "api")]
    desk: super::desk::Desk,
    #[cfg(feature = "api")]
    progress: Arc<crate::progress::Progress>,
    of_tasks: OfTasks,
    scratch: PathBuf,
    /// What came from tasks.
    own: Mutex<HashMap<Sha256, Content>>,
    /// What the lake had, and was put again.
    again: Mutex<HashSet<Sha256>>,
    /// Whether tasks are noted that the lake may have without these bytes: it may have none at all.
    notes_renewed: bool,
}

/// What is known of some bytes.
pub(super) enum Found {
    /// What the row tells.
    AsBefore,
    /// The lake has them.
    Here {
        content: Content,
        state: &'static str,
        /// Whether the lake had them not.
        is_new: bool,
    },
    /// It has not, for this reason.
    Not(&'static str),
}

impl Found {
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Found::Here { is_new: true, .. })
    }
}

impl Attachments {
    /// What the rows of these files of a lake tell, and nothing more; `None` where there are none.
    pub fn known(store: &Arc<dyn Store>, files: impl Iterator<Item = String>) -> Result<Option<Arc<Attachments>>> {
        let known = Known::read(&**store, files)?;
        Ok((!known.is_empty()).then(|| Arc::new(Attachments { store: Arc::clone(store), known, fetching: None })))
    }

    /// What they tell; the rest is fetched. On its way it lies in `scratch`. `has_tasks`: whether the lake has any.
    #[cfg(feature = "api")]
    pub fn fetching(
        options: &super::FetchOptions,
        store: &Arc<dyn Store>,
        files: impl Iterator<Item = String>,
        has_tasks: bool,
        scratch: &std::path::Path,
        progress: &Arc<crate::progress::Progress>,
    ) -> Result<Arc<Attachments>> {
        let known = Known::read(&**store, files)?;
        let fetching = Fetching {
            desk: super::desk::Desk::open(options, store, scratch)?,
            progress: Arc::clone(progress),
            of_tasks: options.of_tasks,
            scratch: scratch.to_owned(),
            own: Mutex::default(),
            again: Mutex::default(),
            notes_renewed: has_tasks,
        };
        Ok(Arc::new(Attachments { store: Arc::clone(store), known, fetching: Some(fetching) }))
    }

    /// Whether tasks are noted that bring what the lake has not.
    pub(super) fn notes_renewed(&self) -> bool {
        self.fetching.as_ref().is_some_and(|fetching| fetching.notes_renewed)
    }

    /// Hears of a task whose rows will come: what it has is fetched meanwhile.
    pub fn expect(&self, task: &[u8]) {
        if self.fetching.is_none() || memmem::find(task, b"attachments").is_none() {
            return;
        }
        each_attachment(task, |attachment| {
            if attachment.content.is_none_or(str::is_empty) {
                self.order(Addresses::of_content(attachment.scale_url, attachment.url));
            }
            self.order(Addresses::of_transcript(attachment.transcript_url));
        });
    }

    fn order(&self, addresses: Addresses<'_>) {
        let Some(key) = addresses.key().filter(|key| self.known.at(*key).is_none()) else { return };
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            fetching.desk.order(key, addresses, &fetching.progress);
        }
    }

    /// Orders what a file of a lake's rows lacks and `retry` wants; false where there is nothing to do about it.
    pub fn order_rows(&self, store: &dyn Store, path: &str, retry: &mut Retry) -> Result<bool> {
        let mut is_any = false;
        each_lacking(store, path, &|sha256, bytes| self.known.has(sha256, bytes), |lacking| {
            is_any |= match lacking {
                Lacking::OfTask => true,
                Lacking::Elsewhere(addresses, state) if retry.wants(addresses, state) => {
                    self.order(addresses);
                    true
                }
                Lacking::Elsewhere(..) => false,
            };
        })?;
        Ok(is_any)
    }

    pub(super) fn content_of(&self, row: &Row<'_>, unordered: Unordered) -> Result<Found> {
        if self.is_kept(row.content_path, row.content_bytes) {
            return Ok(Found::AsBefore);
        }
        let content = row.content.filter(|content| !content.is_empty());
        // A content that is no base64 has no hash; rows of the first schema have none either.
        let hash = || row.content_sha256.map_or_else(|| content.and_then(hash_of), Sha256::of_hex);
        if let Some((content, sha256)) = content.zip(hash()) {
            return self.of_task(content, sha256);
        }
        self.at(Addresses::of_content(row.scale_url, row.url), unordered)
    }

    pub(super) fn transcript_of(&self, row: &Row<'_>, unordered: Unordered) -> Result<Found> {
        if self.is_kept(row.transcript_path, None) {
            return Ok(Found::AsBefore);
        }
        self.at(Addresses::of_transcript(row.transcript_url), unordered)
    }

    /// Whether a row tells of bytes that are there.
    fn is_kept(&self, path: Option<&str>, bytes: Option<i64>) -> bool {
        let bytes = bytes.map(|bytes| bytes as u64);
        path.and_then(Sha256::of_path).is_some_and(|sha256| self.known.has(sha256, bytes))
    }

    fn at(&self, addresses: Addresses<'_>, unordered: Unordered) -> Result<Found> {
        let Some(key) = addresses.key() else { return Ok(Found::AsBefore) };
        if let Some(content) = self.known.at(key) {
            return Ok(Found::Here { content: content.clone(), state: STORED, is_new: false });
        }
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            match unordered {
                Unordered::Fetched => fetching.desk.order(key, addresses, &fetching.progress),
                Unordered::Left if !fetching.desk.is_ordered(key) => return Ok(Found::AsBefore),
                Unordered::Left => {}
            }
            return Ok(match fetching.desk.outcome(key, addresses, &fetching.progress)? {
                Outcome::Kept(content) => Found::Here { content, state: STORED, is_new: true },
                Outcome::Failed(failure) => Found::Not(failure.word()),
            });
        }
        Ok(Found::AsBefore)
    }

    /// A content in base64 becomes a file, if that is wanted, or was once.
    fn of_task(&self, base64: &str, sha256: Sha256) -> Result<Found> {
        let here = |content: &Content, is_moved, is_new| {
            let state = if is_moved && is_canonical(base64) { MOVED } else { COPIED };
            Found::Here { content: content.clone(), state, is_new }
        };
        match (&self.fetching, self.known.of_task(sha256)) {
            (None, None) => Ok(Found::AsBefore),
            (None, Some((content, was_moved))) => {
                // What leaves the table must be whole where it goes to.
                let is_whole = !*was_moved || self.is_whole(sha256)?;
                Ok(if is_whole { here(content, *was_moved, false) } else { Found::AsBefore })
            }
            (Some(fetching), Some((content, was_moved))) => {
                let is_moved = *was_moved || fetching.of_tasks == OfTasks::Move;
                if is_moved {
                    fetching.put_again(base64, sha256, &*self.store)?;
                }
                Ok(here(content, is_moved, false))
            }
            (Some(fetching), None) => {
                let content = fetching.keep(base64, sha256, &*self.store)?;
                Ok(here(&content, fetching.of_tasks == OfTasks::Move, true))
            }
        }
    }

    /// Whether a file has the bytes that its name tells of.
    fn is_whole(&self, sha256: Sha256) -> Result<bool> {
        let bytes = self.store.get(&sha256.path())?;
        Ok(bytes.is_some_and(|bytes| Sha256(sha2::Sha256::digest(&bytes).into()) == sha256))
    }

    /// What came; `None` where nothing was to be fetched.
    pub fn report(&self) -> Option<AttachmentReport> {
        let fetching = self.fetching.as_ref()?;
        let from_tasks = fetching.of_own();
        #[cfg(feature = "api")]
        let report = fetching.desk.report();
        #[cfg(not(feature = "api"))]
        let report = AttachmentReport::default();
        Some(AttachmentReport {
            from_tasks: from_tasks.len() as u64,
            from_tasks_bytes: from_tasks.values().map(|content| content.bytes).sum(),
            ..report
        })
    }

    /// What was fetched is in a version now.
    pub fn committed(&self) -> Result<()> {
        #[cfg(feature = "api")]
        if let Some(fetching) = &self.fetching {
            fetching.desk.committed()?;
        }
        Ok(())
    }

    /// Removes what was put here, unless it is among these: it may be of what was forgotten meanwhile.
    pub fn take_back(&self, is_needed: impl Fn(Sha256) -> bool) -> Result<()> {
        let Some(fetching) = &self.fetching else { return Ok(()) };
        let mut put = fetching.of_own().keys().copied().collect::<Vec<_>>();
        #[cfg(feature = "api")]
        put.extend(fetching.desk.end());
        put.retain(|sha256| !is_needed(*sha256));
        self.store.delete_each(&put.into_iter().map(Sha256::path).collect::<Vec<_>>())
    }
}

impl Fetching {
    fn of_own(&self) -> MutexGuard<'_, HashMap<Sha256, Content>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a content in base64 a file, unless it is one already.
    fn keep(&self, base64: &str, sha256: Sha256, store: &dyn Store) -> Result<Content> {
        if let Some(content) = self.of_own().get(&sha256) {
            return Ok(content.clone());
        }
        let content = self.put(base64, store)?;
        self.of_own().insert(sha256, content.clone());
        Ok(content)
    }

    /// Makes it a file once more: what leaves the table must be whole where it goes to, whatever became of an older file.
    fn put_again(&self, base64: &str, sha256: Sha256, store: &dyn Store) -> Result<()> {
        if self.again.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256) {
            self.put(base64, store)?;
        }
        Ok(())
    }

    fn put(&self, base64: &str, store: &dyn Store) -> Result<Content> {
        let mut body = Body::new(&self.scratch);
        decode_base64(base64, |piece| body.push(piece))?;
        body.keep(store)
    }
}

/// The hash of what base64 stands for; `None` where it is none.
fn hash_of(base64: &str) -> Option<Sha256> {
    let mut hash = sha2::Sha256::new();
    let is_base64 = decode_base64(base64, |piece| {
        hash.update(piece);
        Ok::<_, std::convert::Infallible>(())
    });
    is_base64.unwrap_or_default().then(|| Sha256(hash.finalize().into()))
}

/// Whether the text can be made from the bytes again.
fn is_canonical(base64: &str) -> bool {
    STANDARD.decode(base64).is_ok_and(|bytes| STANDARD.encode(bytes) == base64)
}
