//! What killed runs left, finished or removed.

use std::time::Duration;

use super::commit::Change;
use super::running::Abandoned;
use super::{Author, Lake};
use crate::error::Result;
use crate::store::Listed;

/// What a recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Versions whose publishing was finished.
    pub published_versions: u64,
    /// Files of a history that was erased, which were still there.
    pub erased_files: u64,
    /// Logs, checkpoints and snapshots of published versions that were torn, differed or were gone.
    pub mended_logs: u64,
    /// Dead runs whose files were removed.
    pub swept_runs: u64,
}

/// A draft is written within moments; one of yesterday has nobody who gives it a name.
const DRAFT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl Lake {
    /// Finishes what killed runs left: writes logs that are missing or torn, and removes the files of runs that can't commit any more.
    /// Runs that never will are ended by a version of their own.
    pub fn recover(&self, author: &Author) -> Result<Recovered> {
        let published_versions = self.finish()?;
        let erased_files = self.finish_erasing(&self.state()?)?.files;
        let mended_logs = self.mend_logs()? + self.mend_snapshots()?;
        let abandoned = Abandoned::find(self)?;
        let ended = abandoned.to_end(self)?;
        if !ended.is_empty() {
            self.commit_words(|parent| {
                let change =
                    Change { operation: "recover", author: author.clone(), layout: parent.layout, ..Change::default() };
                Ok(Some((change, ended.clone())))
            })?;
        }
        let swept_runs = abandoned.sweep(self)?;
        self.remove_drafts()?;
        Ok(Recovered { published_versions, erased_files, mended_logs, swept_runs })
    }

    /// What a run does before it begins: finishes the versions before its own.
    pub fn finish_publishing(&self) -> Result<u64> {
        self.finish()
    }

    pub(super) fn remove_drafts(&self) -> Result<()> {
        for draft in self.store().list("_taskloom/drafts")?.iter().filter(|draft| is_abandoned(draft)) {
            self.store().delete(&draft.path)?;
        }
        Ok(())
    }
}

/// Whether a draft is nobody's any more.
pub(super) fn is_abandoned(draft: &Listed) -> bool {
    draft.modified.elapsed().is_ok_and(|age| age > DRAFT_AGE)
}
