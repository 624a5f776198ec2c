//! Reports as text for people.

use std::fmt::{self, Display, Formatter};

use bytesize::ByteSize;

use super::printable;
use crate::attachment::AttachmentReport;
use crate::drift::{Finding, What};
use crate::lake::SmallFiles;
use crate::merge::Merged;
pub(super) use crate::report::grouped;
use crate::report::{DriftReport, Ended, Report, TableReport};
use crate::table::TABLES;

/// Ids that are listed; the report as JSON has all.
const MOST_IDS: usize = 10;

/// A report, to be displayed.
pub(super) struct Summary<R>(pub R);

impl Display for Summary<&DriftReport> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.0.findings.is_empty() {
            return writeln!(formatter, "nothing that the schema does not know");
        }
        for finding in &self.0.findings {
            let Finding { table, path, found, count, example_id, example_path, .. } = finding;
            // Names of fields, words and ids are the data's.
            let [path, found, example_id, example_path] =
                [path, found, example_id, example_path].map(|text| printable::line(text));
            let what = match (finding.what, &finding.expected) {
                (What::UnknownField, _) => format!("unknown field, {found}"),
                (What::UnknownWord, _) => format!("unknown word `{found}`"),
                (What::UnexpectedKind, Some(expected)) => format!("expected {expected}, found {found}"),
                (What::UnexpectedKind, None) => format!("unexpected {found}"),
            };
            writeln!(formatter, "{table}.{path}: {what}")?;
            writeln!(formatter, "    {} times, such as {example_id} at {example_path}", grouped(*count))?;
        }
        if self.0.others > 0 {
            writeln!(formatter, "and others in {} places, not listed", grouped(self.0.others))?;
        }
        Ok(())
    }
}

impl Display for Summary<&Report> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        if report.outcome == Ended::NothingNew {
            return self.write_nothing_new(formatter);
        }
        writeln!(formatter, "{:<26}{:>14}{:>10}{:>14}", "table", "rows", "files", "bytes")?;
        let mut total = TableReport::default();
        for table in TABLES {
            let Some(written) = report.tables.get(table.name).filter(|written| written.rows > 0) else {
                continue;
            };
            total.rows += written.rows;
            total.files += written.files;
            total.bytes += written.bytes;
            write_row(formatter, table.name, written)?;
        }
        write_row(formatter, "total", &total)?;
        let speed = report.input_bytes as f64 / report.seconds.max(1e-9);
        writeln!(
            formatter,
            "\n{} of JSON in {:.2} s ({}/s), committed as version {}",
            ByteSize(report.input_bytes),
            report.seconds,
            ByteSize(speed as u64),
            report.version
        )?;
        if let Some(fetch) = &report.fetch {
            let (requests, retries) = (grouped(fetch.requests), grouped(fetch.retries));
            writeln!(
                formatter,
                "pages: {}, requests: {requests}, of which further attempts: {retries}",
                grouped(fetch.pages)
            )?;
        }
        let missing = report.fetch.iter().flat_map(|fetch| &fetch.missing_task_ids).collect::<Vec<_>>();
        if !missing.is_empty() {
            let shown = missing.iter().take(MOST_IDS).map(|id| printable::line(id)).collect::<Vec<_>>().join(", ");
            let more = if missing.len() > MOST_IDS { ", …" } else { "" };
            writeln!(formatter, "unknown to the API: {} ids: {shown}{more}", grouped(missing.len() as u64))?;
        }
        if report.tasks_read == 0 {
            writeln!(formatter, "the input held no tasks")?;
        }
        if let Some(merged) = &report.merged {
            write_merged(formatter, merged)?;
        }
        if let Some(attachments) = &report.attachments {
            writeln!(formatter, "{}", of_attachments(attachments))?;
        }
        if report.is_first_replacement {
            writeln!(
                formatter,
                "files were replaced for the first time: folders still hold the old ones, until `taskloom vacuum`; `taskloom checkout` makes \
                 a folder of one version"
            )?;
        }
        if let Some(small) = &report.small_files {
            writeln!(formatter, "{}", advice_on(small, "LAKE"))?;
        }
        if report.superseded > 0 {
            writeln!(formatter, "came again, so the later one counts: {}", grouped(report.superseded))?;
        }
        if report.replaced_surrogates > 0 {
            writeln!(formatter, "lone surrogates that became U+FFFD: {}", grouped(report.replaced_surrogates))?;
        }
        if !report.drift.findings.is_empty() {
            let count = grouped(report.drift.findings.len() as u64);
            writeln!(
                formatter,
                "unknown to the schema, but kept: {count} fields, words or kinds; see `taskloom drift`"
            )?;
        }
        self.write_rejected(formatter)
    }
}

impl Summary<&Report> {
    fn write_nothing_new(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        if report.tasks_read == 0 {
            writeln!(formatter, "the input held no tasks")?;
        }
        if let Some(merged) = &report.merged {
            write_merged(formatter, merged)?;
        }
        if let Some(attachments) = &report.attachments {
            writeln!(formatter, "{}", of_attachments(attachments))?;
        }
        writeln!(
            formatter,
            "nothing new: the lake, at version {}, has all of it already ({} of JSON in {:.2} s)",
            report.version,
            ByteSize(report.input_bytes),
            report.seconds
        )?;
        self.write_rejected(formatter)
    }

    fn write_rejected(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.0.forgotten > 0 {
            writeln!(formatter, "left out, since the lake forgot them: {}", grouped(self.0.forgotten))?;
        }
        let Some(path) = &self.0.rejects_file else { return Ok(()) };
        let path = path.display().to_string();
        writeln!(formatter, "rejected: {}, see {}", grouped(self.0.rejected), printable::line(&path))
    }
}

fn write_merged(formatter: &mut Formatter<'_>, merged: &Merged) -> fmt::Result {
    let Merged { tasks_added, tasks_replaced, tasks_unchanged, tasks_removed, parts_replaced, .. } = *merged;
    let [added, replaced, unchanged, removed, parts] =
        [tasks_added, tasks_replaced, tasks_unchanged, tasks_removed, parts_replaced].map(grouped);
    let removed = if tasks_removed > 0 { format!(", {removed} removed") } else { String::new() };
    writeln!(
        formatter,
        "tasks: {added} added, {replaced} replaced, {unchanged} unchanged{removed}; {parts} parts written anew"
    )
}

fn write_row(formatter: &mut Formatter<'_>, name: &str, written: &TableReport) -> fmt::Result {
    let bytes = ByteSize(written.bytes).to_string();
    writeln!(formatter, "{name:<26}{:>14}{:>10}{bytes:>14}", grouped(written.rows), grouped(written.files))
}

/// What became of attachments.
pub(super) fn of_attachments(report: &AttachmentReport) -> String {
    let AttachmentReport { fetched, fetched_bytes, resumed, from_tasks, from_tasks_bytes, .. } = *report;
    let mut told = format!("attachments: {} fetched with {}", grouped(fetched), ByteSize(fetched_bytes));
    if resumed > 0 {
        told += &format!(", {} by the run before", grouped(resumed));
    }
    if from_tasks > 0 {
        told += &format!(", {} from the tasks with {}", grouped(from_tasks), ByteSize(from_tasks_bytes));
    }
    let failed = report.failed.iter().map(|(word, count)| format!(", {} {word}", grouped(*count)));
    told + &failed.collect::<String>()
}

/// What to do about small files.
pub(super) fn advice_on(small: &SmallFiles, place: &str) -> String {
    let (files, bytes) = (grouped(small.files), ByteSize(small.mean_bytes));
    format!(
        "{files} files have {bytes} each, since few tasks lie in a day: `taskloom compact {place} --date-grain month`"
    )
}
