//! What a run did, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use bytesize::ByteSize;
use serde::Serialize;

use crate::commit::FileEntry;
use crate::drift::{Drift, Finding, What};
use crate::error::{Error, Result};
use crate::progress::Fetch;
use crate::table::TABLES;

/// The report of a run. As JSON it lies in `_taskloom/runs/` and is what `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// The version that it committed.
    pub version: u64,
    /// Decompressed bytes read.
    pub input_bytes: u64,
    /// Tasks read, with those that came again and with rejects.
    pub tasks_read: u64,
    /// Tasks that a later one with the same id replaced.
    pub superseded: u64,
    /// Records and tasks that can't be read.
    pub rejected: u64,
    /// Where they are.
    pub rejects_file: Option<PathBuf>,
    /// What came from the API; of an export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<FetchReport>,
    /// Where the JSON is as it was received, if it was to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_file: Option<PathBuf>,
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
}

impl FetchReport {
    /// The counters of a fetch that is at its end.
    pub fn of(fetch: &Fetch, began_at: Option<String>) -> FetchReport {
        FetchReport {
            began_at,
            requests: fetch.requests.load(Relaxed),
            retries: fetch.retries.load(Relaxed),
            pages: fetch.all_pages(),
            spooled_pages: fetch.spooled_pages.load(Relaxed),
            waited_seconds: fetch.waited_ms.load(Relaxed) as f64 / 1000.0,
        }
    }
}

/// What the schema does not know. As JSON it is what `taskloom drift --json` prints.
#[derive(Clone, Debug, Default, Serialize)]
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

impl Display for DriftReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return writeln!(formatter, "nothing that the schema does not know");
        }
        for finding in &self.findings {
            let Finding { table, path, found, count, example_id, example_path, .. } = finding;
            let what = match (finding.what, &finding.expected) {
                (What::UnknownField, _) => format!("unknown field, {found}"),
                (What::UnknownWord, _) => format!("unknown word `{found}`"),
                (What::UnexpectedKind, Some(expected)) => format!("expected {expected}, found {found}"),
                (What::UnexpectedKind, None) => format!("unexpected {found}"),
            };
            writeln!(formatter, "{table}.{path}: {what}")?;
            writeln!(formatter, "    {} times, such as {example_id} at {example_path}", grouped(*count))?;
        }
        if self.others > 0 {
            writeln!(formatter, "and others in {} places, not listed", grouped(self.others))?;
        }
        Ok(())
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
    pub fn count_files(&mut self, files: &[FileEntry]) {
        self.tables = TABLES.iter().map(|table| (table.name.to_owned(), TableReport::default())).collect();
        for file in files {
            let table = self.tables.entry(file.table.clone()).or_default();
            table.rows += file.rows;
            table.files += 1;
            table.bytes += file.bytes;
        }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|source| Error::Json { action: "write the report", source })
    }

    /// Writes the report as a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_json()?).map_err(Error::file("write", path))
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<26}{:>14}{:>10}{:>14}", "table", "rows", "files", "bytes")?;
        let mut total = TableReport::default();
        for table in TABLES {
            let Some(written) = self.tables.get(table.name).filter(|written| written.rows > 0) else {
                continue;
            };
            total.rows += written.rows;
            total.files += written.files;
            total.bytes += written.bytes;
            write_row(formatter, table.name, written)?;
        }
        write_row(formatter, "total", &total)?;
        let speed = self.input_bytes as f64 / self.seconds.max(1e-9);
        writeln!(
            formatter,
            "\n{} of JSON in {:.2} s ({}/s), committed as version {}",
            ByteSize(self.input_bytes),
            self.seconds,
            ByteSize(speed as u64),
            self.version
        )?;
        if let Some(fetch) = &self.fetch {
            let (requests, retries) = (grouped(fetch.requests), grouped(fetch.retries));
            writeln!(
                formatter,
                "pages: {}, requests: {requests}, of which further attempts: {retries}",
                grouped(fetch.pages)
            )?;
        }
        if self.tasks_read == 0 {
            writeln!(formatter, "the input held no tasks")?;
        }
        if self.superseded > 0 {
            writeln!(formatter, "came again, so the later one counts: {}", grouped(self.superseded))?;
        }
        if self.replaced_surrogates > 0 {
            writeln!(formatter, "lone surrogates that became U+FFFD: {}", grouped(self.replaced_surrogates))?;
        }
        if !self.drift.findings.is_empty() {
            let count = grouped(self.drift.findings.len() as u64);
            writeln!(
                formatter,
                "unknown to the schema, but kept: {count} fields, words or kinds; see `taskloom drift`"
            )?;
        }
        if let Some(path) = &self.rejects_file {
            writeln!(formatter, "rejected: {}, see {}", grouped(self.rejected), path.display())?;
        }
        Ok(())
    }
}

fn write_row(formatter: &mut Formatter<'_>, name: &str, written: &TableReport) -> fmt::Result {
    let bytes = ByteSize(written.bytes).to_string();
    writeln!(formatter, "{name:<26}{:>14}{:>10}{bytes:>14}", grouped(written.rows), grouped(written.files))
}

/// A number with commas.
pub fn grouped(number: u64) -> String {
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
