//! One table of one part as the bytes of a Parquet file.
//!
//! The whole table is at hand, so each column is looked at before it is written: a dictionary only where values repeat,
//! compression only where there is enough to compress, pages and row groups cut by bytes.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::table::{SCHEMA_VERSION, Shape, Table};

/// How files are encoded.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    /// zstd's level.
    pub compression_level: ZstdLevel,
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
/// The size that a page aims at.
const PAGE_BYTES: usize = 1024 * 1024;
/// A column of fewer bytes stays uncompressed: a fresh zstd context costs more than it saves.
const LEAST_COMPRESSED_BYTES: usize = 2048;
/// Strings longer than this on average are texts: they have no dictionary and no minimum or maximum.
const LONG_VALUE_BYTES: usize = 128;
/// Values that are looked at to tell whether they repeat.
const SAMPLE_ROWS: usize = 512;

/// Encodes the batches of a table, of which there may be none, as one file. `path` is for messages.
pub fn encode(table: &Table, batches: &[RecordBatch], encoding: Encoding, path: &Path) -> Result<Encoded> {
    let encoded = encode_batches(table, batches, encoding);
    encoded.map_err(|source| Error::Parquet {
        action: "encode",
        path: path.to_owned(),
        source,
    })
}

fn encode_batches(table: &Table, batches: &[RecordBatch], encoding: Encoding) -> Result<Encoded, ParquetError> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties(table, batches, encoding))
        .with_parquet_schema(table.parquet_schema()?);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), table.arrow_schema(), options)?;
    for batch in batches {
        writer.write(batch)?;
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
    Ok(Encoded {
        bytes: writer.into_inner()?,
        rows,
    })
}

fn properties(table: &Table, batches: &[RecordBatch], encoding: Encoding) -> WriterProperties {
    let position = |name| table.columns.iter().position(|column| column.name == name);
    let sorting = table.sort_columns().filter_map(|column| position(column.name));
    let sorting = sorting.map(|index| SortingColumn {
        column_idx: index as i32,
        descending: false,
        nulls_first: true,
    });
    let widest = batches.iter().map(widest_value).max().unwrap_or(0);
    let footer = [
        ("taskloom.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("taskloom.table", table.name.to_owned()),
        ("taskloom.schema_version", SCHEMA_VERSION.to_string()),
    ];
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("taskloom version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(
            footer.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec(),
        ))
        .set_sorting_columns(Some(sorting.collect()))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_size_limit(PAGE_BYTES)
        // Page sizes are looked at once a write batch: with wide values that must be often.
        .set_write_batch_size((PAGE_BYTES / widest.max(1)).clamp(1, 1024))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_compression(Compression::UNCOMPRESSED);
    for (index, column) in table.columns.iter().enumerate() {
        let arrays = batches
            .iter()
            .map(|batch| batch.column(index).as_ref())
            .collect::<Vec<_>>();
        builder = column_properties(builder, leaf(column.name, column.shape), &arrays, encoding);
    }
    if table.name == "tasks" {
        let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let task_id = ColumnPath::from("task_id");
        builder = builder
            .set_column_bloom_filter_enabled(task_id.clone(), rows > 0)
            .set_column_bloom_filter_max_ndv(task_id, rows.max(1) as u64);
    }
    builder.build()
}

fn leaf(name: &str, shape: Shape) -> ColumnPath {
    let lists = match shape {
        Shape::TextList => 1,
        Shape::TextGroups => 2,
        _ => 0,
    };
    let steps = std::iter::once(name).chain(std::iter::repeat_n(["list", "element"], lists).flatten());
    ColumnPath::new(steps.map(str::to_owned).collect())
}

fn column_properties(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    arrays: &[&dyn Array],
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    let mut builder = builder;
    let bytes = arrays.iter().map(|array| value_bytes(*array)).sum::<usize>();
    let is_long = arrays
        .first()
        .and_then(|array| array.as_string_opt::<i32>())
        .is_some_and(|texts| {
            let filled = texts.len() - texts.null_count();
            texts.value_data().len() > LONG_VALUE_BYTES * filled.max(1)
        });
    if is_long {
        builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
    }
    if bytes >= LEAST_COMPRESSED_BYTES {
        builder = builder.set_column_compression(path.clone(), Compression::ZSTD(encoding.compression_level));
    }
    let has_dictionary = arrays.first().is_some_and(|array| repeats(*array));
    builder.set_column_dictionary_enabled(path, has_dictionary)
}

/// Bytes of a column's values, offsets left out.
fn value_bytes(array: &dyn Array) -> usize {
    match (array.as_string_opt::<i32>(), array.as_list_opt::<i32>()) {
        (Some(texts), _) => texts.value_data().len(),
        (None, Some(lists)) => value_bytes(lists.values().as_ref()),
        (None, None) => array.get_buffer_memory_size(),
    }
}

fn widest_value(batch: &RecordBatch) -> usize {
    let width = |array: &dyn Array| {
        array.as_string_opt::<i32>().map_or(0, |texts| {
            texts
                .offsets()
                .windows(2)
                .map(|ends| ends.iter().rev().copied().reduce(|end, start| end - start).unwrap_or(0))
                .max()
                .unwrap_or(0) as usize
        })
    };
    batch
        .columns()
        .iter()
        .map(|column| width(column.as_ref()))
        .max()
        .unwrap_or(0)
}

/// Whether a dictionary pays: in a sample, at least two of three values have been seen before.
fn repeats(array: &dyn Array) -> bool {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return repeats(lists.values().as_ref());
    }
    let Some(texts) = array.as_string_opt::<i32>() else {
        return true;
    };
    let mut seen = hashbrown::HashSet::with_capacity(SAMPLE_ROWS);
    let mut sampled = 0;
    for text in texts.iter().flatten().take(SAMPLE_ROWS) {
        sampled += 1;
        seen.insert(text);
    }
    seen.len() * 3 <= sampled * 2
}
