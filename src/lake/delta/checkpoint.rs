//! A version of a table as one Parquet file: who opens the table needs it and the logs behind it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{actions_at, lines};
use crate::error::{Error, Result};
use crate::lake::state::State;
use crate::table::Table;

/// A checkpoint's file, and its name, with what points to the newest one.
pub(in crate::lake) struct Checkpoint {
    pub path: String,
    pub bytes: Vec<u8>,
    pub last_path: String,
    pub last: Vec<u8>,
}

impl Checkpoint {
    /// Whether what was found in its place says the same: byte by byte where the record of its version
    /// is of this release. What Parquet and zstd write
    /// changes with their own releases.
    pub fn is_told_by(&self, found: &[u8], release: &str) -> bool {
        let is_own = release == env!("CARGO_PKG_VERSION");
        found == self.bytes || !is_own && rows(found).is_some() && rows(found) == rows(&self.bytes)
    }
}

fn rows(file: &[u8]) -> Option<Vec<RecordBatch>> {
    let reader = ParquetRecordBatchReader::try_new(Bytes::copy_from_slice(file), ROWS).ok()?;
    reader.collect::<Result<_, _>>().ok()
}

const ROWS: usize = 8192;

/// The checkpoint of a table at a version.
pub(in crate::lake) fn checkpoint(table: &Table, state: &State) -> Result<Checkpoint> {
    let actions = actions_at(table, state)?;
    let folder = format!("{}/_delta_log", table.name);
    let path = format!("{folder}/{:020}.checkpoint.parquet", state.version);
    let failed = |source| Error::Parquet { action: "encode", path: path.clone().into(), source };
    let bytes = encode(&lines(&actions)?).map_err(failed)?;
    let last = format!(r#"{{"version":{},"size":{}}}"#, state.version, actions.len());
    Ok(Checkpoint { bytes, last_path: format!("{folder}/_last_checkpoint"), last: last.into_bytes(), path })
}

/// Lines of actions, a row each.
fn encode(lines: &[u8]) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(schema());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // Without the release, so that each writes the same bytes as long as it can.
        .set_created_by("taskloom".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
    for batch in ReaderBuilder::new(schema).build(lines)? {
        writer.write(&batch?)?;
    }
    writer.into_inner()
}

fn schema() -> Schema {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let long = |name| Field::new(name, DataType::Int64, true);
    let int = |name| Field::new(name, DataType::Int32, true);
    let flag = |name| Field::new(name, DataType::Boolean, true);
    let list = |name| Field::new(name, DataType::List(Arc::new(text("element"))), true);
    let group = |name, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    let map = |name| {
        let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
        Field::new(name, DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false), true)
    };
    Schema::new(vec![
        group("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
            ],
        ),
        group("remove", vec![text("path"), long("deletionTimestamp"), flag("dataChange")]),
        group(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                list("partitionColumns"),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group("protocol", vec![int("minReaderVersion"), int("minWriterVersion"), list("writerFeatures")]),
    ])
}
