//! The proof of a lake: what its records say, against what lies there.
//!
//! Everything but the insides of data files is told by the lake itself. Here each file is opened: what its footer says, and if the look is
//! to be deep every byte and every row.

mod attachments;
mod forgotten;
mod rows;

use std::collections::BTreeSet;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::Length;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file;
use crate::lake::{Fault, Finding, Lake, Scope, bytes_of};
use crate::part::{FileEntry, PartEntry};
use crate::store::{Store, with_readers};
use crate::table::{SCHEMA_VERSION, Table};

/// What to look at, and how closely.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Which versions.
    pub scope: Scope,
    /// Read every byte and every row too.
    pub is_deep: bool,
    /// Look for what the lake was asked to forget.
    pub is_for_forgotten: bool,
}

/// What was looked at, and what is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The newest version that was looked at; `None` where a damaged record is in the way.
    pub version: Option<u64>,
    /// Whether every byte and every row was read.
    pub is_deep: bool,
    /// Commit records.
    pub records: u64,
    /// Logs of Delta Lake that are as they should be.
    pub logs: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Requests that were made of the lake's store, each attempt counted; of a lake in a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_requests: Option<u64>,
    /// What is wrong, by kind and path.
    pub findings: Vec<Finding>,
}

/// Looks at a lake. That something is wrong is no error: see [`Verification::findings`]. An error is what keeps from looking.
pub fn verify(lake: &Lake, options: &VerifyOptions) -> Result<Verification> {
    let audit = lake.audit(options.scope)?;
    let store = &**lake.store();
    let look = |part: &PartEntry| match &audit.state {
        Some(state) if options.is_deep => rows::look_deep(store, part, &audit.unfit, state.layout),
        _ => look(store, part, &audit.unfit),
    };
    let found = with_readers(store, || audit.parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    let found = found.into_iter().flatten();
    let (missing, found): (Vec<_>, Vec<_>) = found.partition(|finding| finding.fault == Fault::Missing);
    let missing = missing.into_iter().map(|finding| finding.path).collect();
    let missing = lake.missing(options.scope, &audit, missing)?;
    let mut findings = audit.findings;
    findings.extend(found.into_iter().chain(missing));
    if let Some(state) = audit.state.as_ref().filter(|_| options.is_deep) {
        findings.extend(rows::repeated(store, state, &audit.parts, &findings)?);
    }
    findings.extend(attachments::look(store, &audit.parts, options.is_deep)?);
    if let Some(state) = audit.state.as_ref().filter(|_| options.is_for_forgotten) {
        findings.extend(lake.whole_records(state)?);
        findings.extend(forgotten::remains(lake, state, &audit.parts)?);
        findings.extend(attachments::unneeded(lake, state)?);
    }
    findings.sort();
    findings.dedup();
    let files = || audit.parts.iter().flat_map(|part| part.files.values());
    Ok(Verification {
        version: audit.state.map(|state| state.version),
        is_deep: options.is_deep,
        records: audit.records,
        logs: audit.logs,
        files: files().count() as u64,
        bytes: files().map(|file| file.bytes).sum(),
        rows: files().map(|file| file.rows).sum(),
        store_requests: store.requests(),
        findings,
    })
}

/// The footers of a part's files, but for those of which it is known that they are not whole.
fn look(store: &dyn Store, part: &PartEntry, unfit: &BTreeSet<String>) -> Result<Vec<Finding>> {
    let found = part.files.par_iter().map(|(table, entry)| look_at_file(store, part, table, entry, unfit));
    Ok(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn look_at_file(
    store: &dyn Store,
    part: &PartEntry,
    table: &str,
    entry: &FileEntry,
    unfit: &BTreeSet<String>,
) -> Result<Vec<Finding>> {
    let path = &part.path(table);
    let wrong = |fault, expected: String, found: String| Ok(vec![Finding::new(fault, path, expected, found)]);
    if unfit.contains(path) {
        return Ok(Vec::new());
    }
    let Some(blob) = store.open(path)? else { return wrong(Fault::Missing, "a file".to_owned(), "none".to_owned()) };
    if blob.len() != entry.bytes {
        return wrong(Fault::Size, bytes_of(entry.bytes), bytes_of(blob.len()));
    }
    match file::footer_of(blob, path) {
        Ok(footer) => look_at_footer(path, table, part.schema_version, entry, &footer),
        Err(error @ Error::Parquet { .. }) => Ok(vec![no_parquet(path, &error)]),
        Err(error) => Err(error),
    }
}

fn no_parquet(path: &str, error: &Error) -> Finding {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Finding::new(Fault::Footer, path, "a Parquet file", cause)
}

/// `schema_version` is that of the rows. The file may have been written by a newer one, which its footer tells.
fn look_at_footer(
    path: &str,
    table: &str,
    schema_version: u32,
    entry: &FileEntry,
    footer: &ParquetMetaData,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut wrong = |expected: String, found: String| findings.push(Finding::new(Fault::Footer, path, expected, found));
    let rows = footer.file_metadata().num_rows();
    let of_groups: i64 = footer.row_groups().iter().map(|group| group.num_rows()).sum();
    if u64::try_from(rows) != Ok(entry.rows) || of_groups != rows {
        wrong(format!("{} rows", entry.rows), format!("{rows}, and {of_groups} in its row groups"));
    }
    // What this release does not know it can't judge.
    let Some(table) = Table::named(table) else { return Ok(findings) };
    let failed = |source| Error::Parquet { action: "describe", path: path.into(), source };
    let written_by = file::schema_version_of(footer).unwrap_or_default();
    if !(schema_version..=SCHEMA_VERSION).contains(&written_by) {
        wrong(format!("schema {schema_version} or a newer one"), format!("{written_by}"));
    }
    let expected = table.parquet_schema_at(written_by).map_err(failed)?;
    if expected.root_schema().get_fields() != footer.file_metadata().schema_descr().root_schema().get_fields() {
        wrong(format!("the columns of {}", table.name), "others".to_owned());
    }
    Ok(findings)
}
