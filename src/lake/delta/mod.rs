//! The log of each table in the form of Delta Lake, made from a commit record alone: so it doesn't matter who writes it.
//!
//! By hand and not by `delta_kernel`, which can write neither a version that touches no file of a table nor a writer feature that it
//! does not know. The form is that of <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>: reader version 1, so that every
//! reader can read it; writer version 7 with a feature of our own name, so that no other writer takes a table for its own.

mod action;
mod checkpoint;

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::record::{COMPACT, Record, RemovedPart, Widening};
use super::running;
use super::state::State;
use crate::error::{Error, Result};
use crate::part::{FileEntry, Instants, PartEntry};
use crate::partition::{self, Key};
use crate::table::{Column, Shape, Table};
use crate::time::read_instant;
use action::{Action, Add, CommitInfo, Format, MetaData, Protocol, Remove, Stats, Txn};

pub(super) use checkpoint::checkpoint;

/// Which way of writing a log from a record this is. Each way writes the same bytes for ever.
pub(super) const RENDERER: u32 = 1;

/// The feature that writers must know, and the application whose transactions carry the lake's version.
const NAME: &str = "taskloom";

/// Where the log of a version of a table lies.
pub(super) fn log_path(table: &Table, version: u64) -> String {
    format!("{}/_delta_log/{version:020}.json", table.name)
}

/// The version whose log or checkpoint lies there.
pub(super) fn version_of(path: &str) -> Option<u64> {
    let (table, name) = path.split_once("/_delta_log/")?;
    let version = name.strip_suffix(".json").or_else(|| name.strip_suffix(".checkpoint.parquet"))?;
    let is_number = version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    Table::named(table).filter(|_| is_number)?;
    version.parse().ok()
}

/// Whether a file tells where a table's newest checkpoint is.
pub(super) fn is_pointer(path: &str) -> bool {
    path.strip_suffix("/_delta_log/_last_checkpoint").and_then(Table::named).is_some()
}

/// Version 0 of a table: what it is, and nothing in it. From the lake's first record.
pub(super) fn beginning(table: &Table, first: &Record) -> Result<Vec<u8>> {
    let info = CommitInfo::of("CREATE TABLE", &first.taskloom_version, millis(&first.created_at)?);
    lines(&[
        Action::CommitInfo(info),
        Action::Protocol(protocol()),
        Action::MetaData(meta_data(table, first.schema_version, &first.lake_id, &first.created_at)?),
    ])
}

/// A version of a table: what its record says of it.
pub(super) fn log(table: &Table, record: &Record) -> Result<Vec<u8>> {
    let at = millis(&record.created_at)?;
    let (removed, added) = (removed(table, record).collect::<Vec<_>>(), added(table, &record.add).collect::<Vec<_>>());
    let operation = match record.operation.as_str() {
        _ if removed.is_empty() && added.is_empty() => "NOTHING",
        COMPACT => "OPTIMIZE",
        _ => "WRITE",
    };
    let info = CommitInfo::of(operation, &record.taskloom_version, at);
    let data_change = record.operation != COMPACT;
    let mut actions = vec![Action::CommitInfo(info), Action::Txn(txn(record.version, at))];
    let grew = |widening: &&Widening| table.grew_between(widening.from, record.schema_version);
    if let Some(widening) = record.widens.as_ref().filter(grew) {
        let wider = meta_data(table, record.schema_version, &record.lake_id, &widening.began_at)?;
        actions.push(Action::MetaData(wider));
    }
    for part in removed {
        let (path, deletion_timestamp) = (uri(&format!("{}/{}", part.folder, part.part)), at);
        actions.push(Action::Remove(Remove { path, deletion_timestamp, data_change }));
    }
    let own = running::prefix_of(&record.run);
    for (part, file) in added {
        // Where history begins anew, what was there before comes again with the rest.
        let data_change = data_change && (record.begins.is_none() || part.part.starts_with(&own));
        actions.push(Action::Add(add(table, part, file, at, data_change)?));
    }
    lines(&actions)
}

fn removed<'r>(table: &Table, record: &'r Record) -> impl Iterator<Item = &'r RemovedPart> {
    record.remove.iter().filter(move |part| part.files.contains_key(table.name))
}

fn added<'p>(
    table: &Table,
    parts: impl IntoIterator<Item = &'p PartEntry>,
) -> impl Iterator<Item = (&'p PartEntry, &'p FileEntry)> {
    parts.into_iter().filter_map(move |part| Some((part, part.files.get(table.name)?)))
}

/// What there is at a version of a table.
fn actions_at(table: &Table, state: &State) -> Result<Vec<Action>> {
    let at = millis(&state.created_at)?;
    let mut actions = vec![
        Action::Protocol(protocol()),
        Action::MetaData(meta_data(table, state.schema_version, &state.lake_id, &state.began_at)?),
        Action::Txn(txn(state.version, at)),
    ];
    for (part, file) in added(table, state.in_order()) {
        actions.push(Action::Add(add(table, part, file, at, false)?));
    }
    Ok(actions)
}

fn lines(actions: &[Action]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut lines, action).map_err(failed)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn failed(source: serde_json::Error) -> Error {
    Error::Json { action: "write a log of Delta Lake", source }
}

fn protocol() -> Protocol {
    Protocol { min_reader_version: 1, min_writer_version: 7, writer_features: vec![NAME] }
}

fn txn(version: u64, at: i64) -> Txn {
    Txn { app_id: NAME, version, last_updated: at }
}

/// What a table is in a version of the schemas.
fn meta_data(table: &Table, schema_version: u32, lake_id: &str, began_at: &str) -> Result<MetaData> {
    let id = Uuid::new_v8(xxh3_128(format!("{lake_id}\n{}", table.name).as_bytes()).to_be_bytes());
    Ok(MetaData {
        id: id.to_string(),
        name: table.name,
        description: table.about,
        format: Format { provider: "parquet", options: BTreeMap::new() },
        schema_string: schema(table, schema_version)?,
        partition_columns: partition::columns(table.dataset),
        configuration: BTreeMap::from([("delta.dataSkippingStatsColumns", stats_columns(table))]),
        created_time: millis(began_at)?,
    })
}

fn add(table: &Table, part: &PartEntry, file: &FileEntry, at: i64, data_change: bool) -> Result<Add> {
    Ok(Add {
        path: uri(&format!("{}/{}", part.folder, part.part)),
        partition_values: values(&part.key),
        size: file.bytes,
        modification_time: at,
        data_change,
        stats: serde_json::to_string(&stats(table, part, file)).map_err(failed)?,
    })
}

/// The values of a partition, exactly.
fn values(key: &Key) -> BTreeMap<&'static str, Option<String>> {
    key.values().into_iter().map(|(name, value)| (name, value.map(|value| value.into_owned()))).collect()
}

fn stats<'a>(table: &'a Table, part: &'a PartEntry, file: &'a FileEntry) -> Stats<'a> {
    let mut stats = Stats { num_records: file.rows, ..Stats::default() };
    if let Some(id) = table.columns.first() {
        stats.min_values.extend(part.least_id.clone().map(|least| (id.name, least)));
        stats.max_values.extend(part.greatest_id.clone().map(|greatest| (id.name, greatest)));
        stats.null_count.insert(id.name, 0);
    }
    let is_listed = |(column, _): &(&String, &Instants)| instants(table).any(|listed| listed.name == column.as_str());
    for (column, Instants { least, greatest, nulls }) in file.instants.iter().filter(is_listed) {
        stats.min_values.extend(least.as_deref().and_then(floor).map(|least| (column.as_str(), least)));
        stats.max_values.extend(greatest.as_deref().and_then(ceiling).map(|greatest| (column.as_str(), greatest)));
        stats.null_count.insert(column, *nulls);
    }
    stats
}

/// The columns that [`stats`] tells of. Said in the log too: deltalake's datasets of pyarrow take a column that should be there and is not
/// for one without values, and filters on it find nothing.
fn stats_columns(table: &Table) -> String {
    let id = table.columns.first();
    id.into_iter().chain(instants(table)).map(|column| column.name).collect::<Vec<_>>().join(",")
}

/// The columns of instants that a table began with: a file of an older schema tells nothing of those that came later, which must not be
/// taken for a file without values either.
fn instants(table: &Table) -> impl Iterator<Item = &'static Column> {
    table.columns_at(table.since()).filter(|column| column.shape == Shape::Timestamp)
}

/// An instant to the millisecond, as statistics have it.
fn floor(instant: &str) -> Option<String> {
    let instant = chrono::DateTime::from_timestamp_micros(read_instant(instant)?)?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// The same, but not earlier. `None` where no year has four digits for it.
fn ceiling(instant: &str) -> Option<String> {
    let micros = read_instant(instant)?;
    let instant = chrono::DateTime::from_timestamp_micros(micros + (-micros).rem_euclid(1000))?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).filter(|text| !text.starts_with('+'))
}

/// A path as the log has it: encoded once more. Escaped folders and names of parts hold nothing else that an address can't have.
fn uri(path: &str) -> String {
    path.replace('%', "%25")
}

fn millis(instant: &str) -> Result<i64> {
    let found = || Error::Bug { place: "lake::delta", found: format!("`{instant}` in a record, which is no instant") };
    Ok(read_instant(instant).ok_or_else(found)?.div_euclid(1000))
}

/// The columns of a table in Delta's words: those of the files, then those of the path.
fn schema(table: &Table, schema_version: u32) -> Result<String> {
    let of_file =
        table.columns_at(schema_version).map(|column| field(column.name, kind(column.shape), column.nullable));
    let of_path = partition::columns(table.dataset).iter();
    let of_path =
        of_path.map(|name| field(name, Kind::Word(if *name == partition::DATE { "date" } else { "string" }), true));
    let fields = of_file.chain(of_path).collect();
    serde_json::to_string(&Struct { kind: "struct", fields }).map_err(failed)
}

#[derive(Serialize)]
struct Struct {
    #[serde(rename = "type")]
    kind: &'static str,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    #[serde(rename = "type")]
    kind: Kind,
    nullable: bool,
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Kind {
    Word(&'static str),
    #[serde(rename_all = "camelCase")]
    Array {
        #[serde(rename = "type")]
        kind: &'static str,
        element_type: Box<Kind>,
        contains_null: bool,
    },
}

fn field(name: &'static str, kind: Kind, nullable: bool) -> Field {
    Field { name, kind, nullable, metadata: BTreeMap::new() }
}

fn kind(shape: Shape) -> Kind {
    let array = |element| Kind::Array { kind: "array", element_type: Box::new(element), contains_null: false };
    match shape {
        Shape::Text | Shape::Json => Kind::Word("string"),
        Shape::Int32 => Kind::Word("integer"),
        Shape::Int64 => Kind::Word("long"),
        Shape::Float64 => Kind::Word("double"),
        Shape::Boolean => Kind::Word("boolean"),
        Shape::Timestamp => Kind::Word("timestamp"),
        Shape::TextList => array(Kind::Word("string")),
        Shape::TextGroups => array(array(Kind::Word("string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_instants_are_rounded_outwards() {
        for (instant, least, greatest) in [
            ("2025-01-02T03:04:05.678000Z", "2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05.678Z"),
            ("2025-01-02T03:04:05.678001Z", "2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05.679Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!((floor(instant).unwrap().as_str(), ceiling(instant).unwrap().as_str()), (least, greatest));
        }
        assert_eq!(ceiling("9999-12-31T23:59:59.999999Z"), None);
    }
}
