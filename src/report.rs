//! What a run did, for people and for machines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crate::attachment::AttachmentReport;
use crate::drift::{Drift, Finding};
use crate::error::{Error, Result};
use crate::lake::SmallFiles;
use crate::merge::{Incomplete, Merged};
use crate::part::PartEntry;
use crate::progress::ApiCounts;
use crate::table::TABLES;

/// The report of a run. As JSON it lies in `_taskloom/runs/` and is what `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// What it was: `flatten`, `export` or `sync`.
    pub operation: &'static str,
    /// The scheduled job that it was a run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When it ended: RFC 3339 in UTC, to the millisecond.
    pub ended_at: String,
    /// How it ended.
    pub outcome: Ended,
    /// The version that it committed; of one that had nothing to commit, the lake's newest.
    pub version: u64,
    /// Decompressed bytes read.
    pub input_bytes: u64,
    /// Tasks read, with those that came again and with rejects.
    pub tasks_read: u64,
    /// Tasks that a later one with the same id replaced.
    pub superseded: u64,
    /// Tasks that were left out because the lake is to forget them.
    pub forgotten: u64,
    /// Records and tasks that can't be read.
    pub rejected: u64,
    /// Where they are.
    pub rejects_file: Option<PathBuf>,
    /// What was merged into what the lake held; of a run that did not replace all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// What came from the API; of an export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<FetchReport>,
    /// What became of the tasks' attachments; of a run that fetched them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<AttachmentReport>,
    /// Deliveries that say that they have another number of tasks than came, and whose tasks are held back therefore; of a scheduled job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_deliveries: Vec<Incomplete>,
    /// These tasks.
    pub held_tasks: u64,
    /// Where the JSON is as it was received, if it was to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_file: Option<PathBuf>,
    /// Requests that were made of the lake's store, each attempt counted; of a lake in a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_requests: Option<u64>,
    /// Whether it is the first that took files away from a version: folders hold more than the newest one from now on.
    pub is_first_replacement: bool,
    /// Files of the lake that are small because few tasks lie in a day, if there are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub small_files: Option<SmallFiles>,
    /// Lone surrogates that became U+FFFD.
    pub replaced_surrogates: u64,
    /// Bytes that went to disk on their way because the memory limit was reached.
    pub spilled_bytes: u64,
    /// Parts written: each is a file a table.
    pub parts: u64,
    /// Wall time.
    pub seconds: f64,
    /// What was written, by table.
    pub tables: BTreeMap<String, TableReport>,
    /// What was written that the schema does not know, with tasks that a later one replaced.
    pub drift: DriftReport,
}

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// A version is committed.
    #[default]
    Committed,
    /// The lake has all of it already: there was nothing to commit.
    NothingNew,
}

/// What is left of a run that failed in a way that the next one will not make good. As JSON it lies where its report would.
#[derive(Clone, Debug, Serialize)]
pub struct FailedRun {
    /// The run.
    pub run: String,
    /// What it was.
    pub operation: &'static str,
    /// The scheduled job that it was a run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When it ended: RFC 3339 in UTC, to the millisecond.
    pub ended_at: String,
    /// `failed`.
    pub outcome: &'static str,
    /// Why.
    pub error: String,
}

/// What came from the API.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FetchReport {
    /// When the export began for the first time: relative times are meant from there, and later changes may be missing.
    pub began_at: Option<String>,
    /// Requests sent, each attempt counted.
    pub requests: u64,
    /// Attempts behind the first ones.
    pub retries: u64,
    /// Pages received, those of an earlier run that this one went on with too.
    pub pages: u64,
    /// Pages that such a run received.
    pub spooled_pages: u64,
    /// Seconds for which requests waited because the API had too much, added up.
    pub waited_seconds: f64,
    /// Ids that were asked for and that the API does not know.
    pub missing_task_ids: Vec<String>,
    /// Listings beside the tasks that the API does not give to this account.
    pub left_out: Vec<LeftOut>,
}

/// A listing that the API did not give.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its path, such as `/v2/delivery/tasks`.
    pub path: &'static str,
    /// The HTTP status that said so.
    pub status: u16,
}

impl LeftOut {
    /// Whether it is the listing of delivered tasks, which need not be asked for.
    pub fn is_of_delivered_tasks(&self) -> bool {
        self.path == "/v2/delivery/tasks"
    }
}

impl FetchReport {
    /// The counters of a fetch that is at its end.
    pub fn of(counts: &ApiCounts, began_at: Option<String>) -> FetchReport {
        FetchReport {
            began_at,
            requests: counts.requests.load(Relaxed),
            retries: counts.retries.load(Relaxed),
            pages: counts.all_pages(),
            spooled_pages: counts.spooled_pages.load(Relaxed),
            waited_seconds: counts.waited_ms.load(Relaxed) as f64 / 1000.0,
            missing_task_ids: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

/// What the schema does not know. As JSON it is what `taskloom drift --json` prints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DriftReport {
    /// Each with its count.
    pub findings: Vec<Finding>,
    /// Rows with other findings, beyond those that are listed.
    pub others: u64,
}

impl DriftReport {
    /// The report of what was found.
    pub fn of(drift: Drift) -> DriftReport {
        let (findings, others) = drift.finish();
        DriftReport { findings, others }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|source| Error::Json { action: "write the report", source })
    }
}

impl From<DriftReport> for Drift {
    fn from(report: DriftReport) -> Drift {
        Drift::of(report.findings, report.others)
    }
}

/// What was written of one table.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TableReport {
    /// Rows.
    pub rows: u64,
    /// Files, with the one that has no rows.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Report {
    /// Counts the files of the run.
    pub fn count_files(&mut self, parts: &[PartEntry]) {
        self.tables = TABLES.iter().map(|table| (table.name.to_owned(), TableReport::default())).collect();
        for (name, file) in parts.iter().flat_map(|part| &part.files) {
            let table = self.tables.entry(name.clone()).or_default();
            table.rows += file.rows;
            table.files += 1;
            table.bytes += file.bytes;
        }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|source| Error::Json { action: "write the report", source })
    }
}

#[cfg(feature = "cli")]
/// A number with commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
