//! One table of one part as the bytes of a Parquet file.
//!
//! The whole table is at hand, so each column is looked at before it is written, by [`column`]: a dictionary only where values repeat,
//! compression only where there is enough to compress, pages cut by bytes. Here they become row groups and a file, whose footer the
//! Parquet crate writes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rayon::prelude::*;

use super::column::{self, Column};
use crate::error::{Error, Result};
use crate::table::{SCHEMA_VERSION, Table};

/// How files are encoded.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    /// zstd's level.
    pub compression_level: ZstdLevel,
}

impl Encoding {
    /// The level of zstd unless one says otherwise: files are some 4 % larger than at level 3, which takes a run up to 10 % longer.
    pub const USUAL_LEVEL: i32 = 2;

    /// The same, as Parquet has it.
    pub fn usual_level() -> ZstdLevel {
        ZstdLevel::try_new(Encoding::USUAL_LEVEL).unwrap_or_default()
    }
}

impl Default for Encoding {
    fn default() -> Encoding {
        Encoding { compression_level: Encoding::usual_level() }
    }
}

/// A Parquet file in memory.
#[derive(Debug)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
}

/// Readers take a row group at a time into memory, so it stays far below what a small machine has.
const ROW_GROUP_BYTES: usize = 128 * 1024 * 1024;
/// A row with more text than this is wide.
const WIDE_ROW_BYTES: usize = 256 * 1024;
/// Rows that are wide come in pieces of about so many bytes.
const PIECE_BYTES: usize = 1024 * 1024;
/// What a footer has of a column, and what else it has, roughly.
const FOOTER_BYTES: usize = 512;
/// How often a bloom filter takes an id for one of its file's. A merge asks each file for all ids within its bounds: with a thousand of
/// them, one file in ten is opened in vain. It takes some 3 bytes a task.
const BLOOM_FALSE_POSITIVES: f64 = 1e-4;

/// What a footer calls the version of the table schemas that its file was written by.
const WRITTEN_BY: &str = "taskloom.schema_version";

/// The version of the table schemas that a file was written by.
pub fn schema_version_of(footer: &ParquetMetaData) -> Option<u32> {
    let told = footer.file_metadata().key_value_metadata()?;
    told.iter().find(|pair| pair.key == WRITTEN_BY)?.value.as_ref()?.parse().ok()
}

/// Encodes the batches of a table, of which there may be none, as one file. `path` is for messages.
pub fn encode(table: &Table, batches: &[RecordBatch], encoding: Encoding, path: &Path) -> Result<Encoded> {
    let encoded = encode_batches(table, batches, encoding);
    encoded.map_err(|source| Error::Parquet { action: "encode", path: path.to_owned(), source })
}

fn encode_batches(table: &Table, batches: &[RecordBatch], encoding: Encoding) -> Result<Encoded, ParquetError> {
    let schema = table.parquet_schema()?;
    let columns = columns(table, &schema, encoding);
    let encode_group = |group: Vec<RecordBatch>| {
        let chunks = columns.par_iter().enumerate().map(|(index, column)| {
            let arrays = group.iter().filter_map(|piece| piece.columns().get(index).cloned()).collect::<Vec<_>>();
            column::encode(column, &arrays)
        });
        chunks.collect::<Result<Vec<_>, _>>()
    };
    let groups = row_groups(batches).into_iter().map(encode_group).collect::<Result<Vec<_>, _>>()?;
    let bytes = groups.iter().flatten().map(|chunk| chunk.bytes.len() + FOOTER_BYTES).sum::<usize>() + FOOTER_BYTES;
    let mut file = SerializedFileWriter::new(Vec::with_capacity(bytes), schema.root_schema_ptr(), properties(table))?;
    for group in groups {
        let mut row_group = file.next_row_group()?;
        for chunk in group {
            row_group.append_column(&chunk.bytes, chunk.close)?;
        }
        row_group.close()?;
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
    Ok(Encoded { bytes: file.into_inner()?, rows })
}

fn columns(table: &Table, schema: &SchemaDescriptor, encoding: Encoding) -> Vec<Column> {
    let columns = table.columns.iter().zip(schema.columns());
    let columns = columns.map(|(column, descriptor)| Column {
        descriptor: descriptor.clone(),
        shape: column.shape,
        zstd_level: encoding.compression_level,
        bloom_false_positives: (table.name == "tasks" && column.name == "task_id").then_some(BLOOM_FALSE_POSITIVES),
    });
    columns.collect()
}

/// The batches as row groups, in pieces between which a row group can end.
fn row_groups(batches: &[RecordBatch]) -> Vec<Vec<RecordBatch>> {
    let mut groups: Vec<Vec<RecordBatch>> = Vec::new();
    let mut bytes = 0;
    // A row group has rows.
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        for piece in pieces(batch) {
            let piece_bytes = piece.columns().iter().map(|column| text_bytes(column)).sum::<usize>();
            if groups.is_empty() || bytes + piece_bytes > ROW_GROUP_BYTES {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += piece_bytes;
            groups.last_mut().into_iter().for_each(|group| group.push(piece.clone()));
        }
    }
    groups
}

/// A batch as it is, or, where a row is wide, in slices, between which a row group can end.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    // Most batches have no row that could be wide, which takes no list of all rows to tell.
    if batch.columns().iter().map(|column| longest_text(column)).sum::<usize>() <= WIDE_ROW_BYTES {
        return vec![batch.clone()];
    }
    let widths = row_bytes(batch);
    if widths.iter().all(|width| *width <= WIDE_ROW_BYTES) {
        return vec![batch.clone()];
    }
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (row, width) in widths.iter().enumerate() {
        if row > start && bytes + width > PIECE_BYTES {
            pieces.push(batch.slice(start, row - start));
            (start, bytes) = (row, 0);
        }
        bytes += width;
    }
    pieces.push(batch.slice(start, batch.num_rows() - start));
    pieces
}

/// Bytes of text in a column, in lists too.
fn text_bytes(array: &dyn Array) -> usize {
    let offsets = match (array.as_string_opt::<i32>(), array.as_list_opt::<i32>()) {
        (Some(texts), _) => texts.value_offsets(),
        (None, Some(lists)) => {
            let (first, last) = ends(lists.value_offsets());
            // Lists of many short texts take more than their text.
            let elements = lists.values().slice(first, last - first);
            return elements.len() * size_of::<i32>() + text_bytes(elements.as_ref());
        }
        (None, None) => return 0,
    };
    let (first, last) = ends(offsets);
    last - first
}

fn ends(offsets: &[i32]) -> (usize, usize) {
    (offsets.first().map_or(0, |&first| first as usize), offsets.last().map_or(0, |&last| last as usize))
}

/// Bytes of the longest text of a column, or of the longest list of texts.
fn longest_text(array: &dyn Array) -> usize {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let offsets = texts.value_offsets();
        let lengths = offsets.iter().zip(offsets.iter().skip(1)).map(|(start, end)| end - start);
        return lengths.fold(0, i32::max) as usize;
    }
    let ends = text_ends(array);
    ends.iter().zip(ends.iter().skip(1)).map(|(start, end)| end - start).max().unwrap_or(0)
}

/// Bytes of text in each row, in lists too.
fn row_bytes(batch: &RecordBatch) -> Vec<usize> {
    let mut widths = vec![0; batch.num_rows()];
    for column in batch.columns() {
        let ends = text_ends(column.as_ref());
        for (width, (start, end)) in widths.iter_mut().zip(ends.iter().zip(ends.iter().skip(1))) {
            *width += end - start;
        }
    }
    widths
}

/// Where the text of each row ends; empty for other columns.
fn text_ends(array: &dyn Array) -> Vec<usize> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        return texts.value_offsets().iter().map(|end| *end as usize).collect();
    }
    let Some(lists) = array.as_list_opt::<i32>() else {
        return Vec::new();
    };
    let inner = text_ends(lists.values().as_ref());
    lists.value_offsets().iter().map(|end| inner.get(*end as usize).copied().unwrap_or(0)).collect()
}

/// What all files of a table say of themselves. It is made once: most of it is the Arrow schema, which readers of Arrow look for.
fn properties(table: &Table) -> WriterPropertiesPtr {
    static KNOWN: Mutex<BTreeMap<&str, WriterPropertiesPtr>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(table.name).or_insert_with(|| Arc::new(new_properties(table))).clone()
}

fn new_properties(table: &Table) -> WriterProperties {
    let position = |name| table.columns.iter().position(|column| column.name == name);
    let sorting = table.sort_columns().filter_map(|column| position(column.name));
    let sorting = sorting.map(|index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: true });
    let footer = [
        ("taskloom.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("taskloom.table", table.name.to_owned()),
        (WRITTEN_BY, SCHEMA_VERSION.to_string()),
    ];
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("taskloom version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(footer.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec()))
        .set_sorting_columns(Some(sorting.collect()))
        .build();
    add_encoded_arrow_schema_to_metadata(&bare_schema(table), &mut properties);
    properties
}

/// The Arrow schema without what the Parquet schema has too, the field ids: they would be half of it, 2 % of a lake of small files.
/// Without any, Polars would read JSON columns as binary ones.
fn bare_schema(table: &Table) -> Schema {
    let schema = table.arrow_schema();
    Schema::new(
        schema.fields().iter().map(|field| Field::clone(field).with_metadata(HashMap::new())).collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use parquet::file::metadata::PageIndexPolicy;

    use super::*;
    use crate::batch::Tables;
    use crate::flatten::{Workbench, flatten};
    use crate::table::Dataset;

    /// The batches of a table, flattened from many tasks.
    fn batches(table: &str, text: impl Fn(usize) -> String) -> (&'static Table, Vec<RecordBatch>) {
        let mut found = Vec::new();
        for part in 0..3 {
            let mut tables = Tables::default();
            for index in part * 1000..(part + 1) * 1000 {
                let text = serde_json::Value::from(text(index));
                let annotations =
                    r#"[{"key": "k", "labels": ["a", "b"], "value": [["x"], ["y", "z"]]}, {"value": 3.5}]"#;
                let raw = format!(
                    r#"{{"task_id": "task_{index:05}", "threads": [{{"turns": [{{"messages": [
                        {{"role": "user", "content": {{"text": {text}}}, "annotations": {annotations}}}]}}]}}]}}"#
                );
                flatten(Dataset::Tasks, &[raw.as_bytes()], &mut tables, &Workbench::default()).unwrap();
            }
            let of_table = tables.finish().unwrap().into_iter().find(|(known, _)| known.name == table);
            found.push(of_table.unwrap());
        }
        let table = found.first().unwrap().0;
        (table, found.into_iter().map(|(_, batch)| batch).collect())
    }

    fn encoded(table: &Table, batches: &[RecordBatch], level: i32) -> Vec<u8> {
        let encoding = Encoding { compression_level: ZstdLevel::try_new(level).unwrap() };
        encode(table, batches, encoding, Path::new("test")).unwrap().bytes
    }

    fn read(bytes: Vec<u8>, selection: Option<RowSelection>) -> Vec<RecordBatch> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(bytes::Bytes::from(bytes), options).unwrap();
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        builder.build().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn files_of_many_pages_come_back_whole_and_by_the_page_index() {
        for name in ["messages", "annotations", "tasks"] {
            let (table, batches) = batches(name, |index| format!("{index} ").repeat(300));
            let whole = concat_batches(&table.arrow_schema(), &batches).unwrap();
            for level in [1, 3, 6] {
                let bytes = encoded(table, &batches, level);
                assert!(bytes == encoded(table, &batches, level), "a used context changes no byte");
                let schema = whole.schema();
                assert_eq!(concat_batches(&schema, &read(bytes.clone(), None)).unwrap(), whole, "{name}");
                let rows = whole.num_rows();
                let selection = vec![RowSelector::skip(rows - 700), RowSelector::select(5), RowSelector::skip(695)];
                let selected = concat_batches(&schema, &read(bytes, Some(selection.into()))).unwrap();
                assert_eq!(selected, whole.slice(rows - 700, 5), "{name}");
            }
        }
    }

    #[test]
    fn wide_values_get_pages_of_their_own() {
        let wide = |index: usize| if index % 500 == 499 { "wide ".repeat(400_000) } else { "narrow".to_owned() };
        let (table, batches) = batches("messages", wide);
        let bytes = encoded(table, &batches, 3);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader =
            ParquetRecordBatchReaderBuilder::try_new_with_options(bytes::Bytes::from(bytes.clone()), options).unwrap();
        let column = table.columns.iter().position(|column| column.name == "text").unwrap();
        let offsets = reader.metadata().page_index_for_row_group(0);
        let pages = offsets.offset_index(column).unwrap().page_locations().len();
        assert!(pages >= 6, "{pages} pages for 6 values of 2 MB");
        assert_eq!(concat_batches(&table.arrow_schema(), &read(bytes, None)).unwrap().num_rows(), 3000);
    }
}
