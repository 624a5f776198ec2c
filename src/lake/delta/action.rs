//! The lines of a log.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    CommitInfo(CommitInfo),
    Protocol(Protocol),
    MetaData(MetaData),
    Txn(Txn),
    Remove(Remove),
    Add(Add),
}

/// Who wrote a version. For people: no reader goes by it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitInfo {
    timestamp: i64,
    operation: &'static str,
    operation_parameters: BTreeMap<String, String>,
    engine_info: String,
}

impl CommitInfo {
    pub(super) fn of(operation: &'static str, taskloom_version: &str, timestamp: i64) -> CommitInfo {
        let engine_info = format!("taskloom/{taskloom_version}");
        CommitInfo { timestamp, operation, operation_parameters: BTreeMap::new(), engine_info }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub min_reader_version: u32,
    pub min_writer_version: u32,
    pub writer_features: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaData {
    pub id: String,
    pub name: &'static str,
    pub description: &'static str,
    pub format: Format,
    pub schema_string: String,
    pub partition_columns: &'static [&'static str],
    pub configuration: BTreeMap<&'static str, String>,
    pub created_time: i64,
}

#[derive(Serialize)]
pub(super) struct Format {
    pub provider: &'static str,
    pub options: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub app_id: &'static str,
    pub version: u64,
    pub last_updated: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub path: String,
    pub deletion_timestamp: i64,
    pub data_change: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    pub path: String,
    pub partition_values: BTreeMap<&'static str, Option<String>>,
    pub size: u64,
    pub modification_time: i64,
    pub data_change: bool,
    /// JSON in JSON: [`Stats`].
    pub stats: String,
}

/// What readers can tell of a file without opening it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats<'a> {
    pub num_records: u64,
    pub min_values: BTreeMap<&'a str, String>,
    pub max_values: BTreeMap<&'a str, String>,
    pub null_count: BTreeMap<&'a str, u64>,
}
