//! The bytes of attachments that a lake has not yet.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::basic::ZstdLevel;
use serde::Serialize;

use crate::attachment::{AttachmentReport, Attachments, FetchOptions, Retry, Unordered};
use crate::config::{self, CONFLICT_RETRIES};
use crate::error::{Error, Result};
use crate::file::{Encoding, conform, open};
use crate::lake::{ATTACHMENTS, Author, Change, Counts, Ended, Lake, RemovedPart, State};
use crate::part::{PartEntry, PartWriter};
use crate::pipeline::{Scratch, Workers};
use crate::progress::{Progress, Stage};
use crate::store::Store;
use crate::table::catalog::attachments::TABLE;

/// How a lake's attachments are fetched.
#[derive(Clone, Debug)]
pub struct FetchingOptions {
    /// How they are asked for.
    pub fetch: FetchOptions,
    /// Which are tried again.
    pub retry: Retry,
    /// Parts that are left as they are, by name.
    pub leaves: HashSet<String>,
    /// Threads that work.
    pub threads: usize,
    /// zstd's level.
    pub compression_level: ZstdLevel,
    /// Folder for what is on its way; `None`: a temporary one.
    pub work_dir: Option<PathBuf>,
    /// Who does it.
    pub author: Author,
}

impl Default for FetchingOptions {
    /// All that the lake has not, with all cores.
    fn default() -> FetchingOptions {
        FetchingOptions {
            fetch: FetchOptions::default(),
            retry: Retry { doubtful: u64::MAX },
            leaves: HashSet::new(),
            threads: config::all_cores(),
            compression_level: Encoding::usual_level(),
            work_dir: None,
            author: Author::default(),
        }
    }
}

/// What was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The newest version: its own, if anything changed.
    pub version: u64,
    /// Parts that were written anew.
    pub parts: u64,
    /// What became of the attachments.
    #[serde(flatten)]
    pub report: AttachmentReport,
}

/// Fetches the attachments that a lake's rows tell of and whose bytes it has not, as one version, behind whatever
/// other runs commit meanwhile. No task changes.
pub fn fetch_attachments(lake: &Lake, options: &FetchingOptions, progress: &Arc<Progress>) -> Result<Fetched> {
    lake.check()?;
    lake.transact(
        &options.author,
        |_| Ok(()),
        |transaction| {
            let workers = Workers::start(options.threads)?;
            let encoding = Encoding { compression_level: options.compression_level };
            let writer = transaction.writer(encoding, workers.pool());
            let scratch = Scratch::of(options.work_dir.as_deref(), lake.place())?;
            let keeping = transaction.parent().parts.values().filter_map(PartEntry::keeping);
            let attachments =
                Attachments::fetching(&options.fetch, lake.store(), keeping, false, scratch.path(), progress)?;
            let mut done = Fetched::default();
            let ended = transaction.commit(
                &writer,
                CONFLICT_RETRIES,
                progress,
                |_| true,
                |parent, attempt| {
                    let making = Making { writer: &writer, attachments: &attachments, attempt, progress };
                    let change = making.change(parent, options, &mut done)?;
                    Ok(change.map(|change| Change { author: options.author.clone(), ..change }))
                },
            );
            let version = ended.and_then(Ended::version);
            if version.is_err() {
                lake.take_back_attachments(&attachments, transaction.parent().begins_at())?;
            }
            done.version = version?;
            attachments.committed().map_err(|cause| Error::committed(done.version, cause))?;
            Ok(done)
        },
    )
}

struct Making<'m> {
    writer: &'m PartWriter,
    attachments: &'m Attachments,
    attempt: u32,
    progress: &'m Progress,
}

impl Making<'_> {
    fn change(&self, parent: &State, options: &FetchingOptions, done: &mut Fetched) -> Result<Option<Change>> {
        let has_rows = |part: &&&PartEntry| part.rows(TABLE.name) > 0 && !options.leaves.contains(&part.part);
        let parts = parent.in_order();
        let parts = parts.iter().filter(has_rows).copied().collect::<Vec<_>>();
        self.progress.enter(Stage::Merging);
        let (store, mut retry) = (self.writer.store(), options.retry);
        // Those that are tried although they are doubtful are others with each version.
        let (behind, before) = parts.split_at(parent.version as usize % parts.len().max(1));
        // All are ordered before the first is waited for.
        let mut lacking = Vec::new();
        for part in before.iter().chain(behind) {
            self.progress.check()?;
            if self.attachments.order_rows(store, &part.path(TABLE.name), &mut retry)? {
                lacking.push(part);
            }
        }
        self.progress.expect_parts(lacking.len());
        let (mut remove, mut add) = (Vec::new(), Vec::new());
        for (number, part) in lacking.into_iter().enumerate() {
            if let Some(made) = self.progress.part(|| self.filled(store, part, number))? {
                remove.push(RemovedPart::of(part));
                add.push(made);
            }
        }
        self.progress.enter(Stage::Committing);
        done.parts = add.len() as u64;
        done.report = self.attachments.report().unwrap_or_default();
        let counts = Counts { attachments: done.report.kept(), ..Counts::default() };
        let change = Change { operation: ATTACHMENTS, layout: parent.layout, counts, remove, add, ..Change::default() };
        Ok((!change.add.is_empty()).then_some(change))
    }

    /// A part whose rows tell something new; `None` where they don't.
    fn filled(&self, store: &dyn Store, part: &PartEntry, number: usize) -> Result<Option<PartEntry>> {
        let (mut rows, mut is_new) = (Vec::new(), false);
        each_batch(store, part, |batch| {
            let filled = self.attachments.fill(&batch, Unordered::Left)?.batch;
            is_new |= filled != batch;
            rows.push(filled);
            Ok(())
        })?;
        if !is_new {
            return Ok(None);
        }
        let name = format!("attachments{}-{number:06}", self.attempt);
        self.writer.replace_rows(part, store, &TABLE, &rows, &name).map(Some)
    }
}

/// Hands out a part's rows of attachments, with all columns of this release.
fn each_batch(store: &dyn Store, part: &PartEntry, mut each: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
    let failed = |source| Error::Batch { table: TABLE.name, source };
    for batch in open(store, &part.path(TABLE.name))? {
        each(conform(&TABLE, &batch.map_err(failed)?).map_err(failed)?)?;
    }
    Ok(())
}
