//! A column of a row group as a Parquet column chunk.
//!
//! The crate's own writer is made for columns that come bit by bit. Here the whole column is at hand, which spares most of that work: what a
//! page holds is known before it is begun, short values of a dictionary are compared as numbers, minimum and maximum are those of the
//! dictionary where there is one, and a page is put together in one place. [`encode`] is the way of all columns:
//!
//! ```text
//! arrays -> slots (levels), values -> dictionary? -> pages of whole rows -> zstd -> Chunk
//! ```

pub(crate) mod bounds;
mod dictionary;
mod hybrid;
mod lengths;
mod page;
mod slots;
#[cfg(test)]
mod tests;
mod value;
mod zstd;

use std::cell::RefCell;
use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::AsBytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::schema::types::ColumnDescPtr;

use self::dictionary::Dictionary;
use self::page::{Header, Kind};
use self::slots::{Extent, Greatest, Slots};
use self::value::Value;
#[cfg(feature = "internals")]
pub use self::zstd::compressed;
use crate::table::Shape;

/// A column of fewer encoded bytes stays uncompressed: there is nothing to gain.
pub const LEAST_COMPRESSED_BYTES: usize = 1024;

/// A finished column chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Its pages, the dictionary first.
    pub bytes: Bytes,
    /// What the file's footer says of it.
    pub close: ColumnCloseResult,
}

/// How a column is to be written.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// What the schema says of it.
    pub descriptor: ColumnDescPtr,
    pub shape: Shape,
    pub zstd_level: ZstdLevel,
    /// How often a bloom filter may take a value for one of the column's; `None` without one. Only texts have one.
    pub bloom_false_positives: Option<f64>,
}

/// Encodes and compresses a column, whose arrays lie one behind the other.
pub(super) fn encode(column: &Column, arrays: &[ArrayRef]) -> Result<Chunk> {
    let _timed = tracing::info_span!("encode").entered();
    match column.shape {
        Shape::Int32 => chunk(column, arrays, &value::numbers::<Int32Type>(arrays), None),
        Shape::Int64 => chunk(column, arrays, &value::numbers::<Int64Type>(arrays), None),
        Shape::Timestamp => chunk(column, arrays, &value::numbers::<TimestampMicrosecondType>(arrays), None),
        Shape::Float64 => chunk(column, arrays, &value::numbers::<Float64Type>(arrays), None),
        Shape::Boolean => chunk(column, arrays, &value::booleans(arrays), None),
        Shape::Text | Shape::Json | Shape::TextList | Shape::TextGroups => {
            let texts = value::texts(arrays);
            let bloom = column.bloom_false_positives.map(|rate| bloom_filter(&texts, rate)).transpose()?;
            chunk(column, arrays, &texts, bloom)
        }
    }
}

fn bloom_filter(texts: &[&str], false_positives: f64) -> Result<Sbbf> {
    let mut filter = Sbbf::new_with_ndv_fpp(texts.len().max(1) as u64, false_positives)?;
    texts.iter().for_each(|text| filter.insert(text.as_bytes()));
    filter.fold_to_target_fpp(false_positives);
    Ok(filter)
}

fn chunk<V: Value>(column: &Column, arrays: &[ArrayRef], values: &[V], bloom_filter: Option<Sbbf>) -> Result<Chunk> {
    let descriptor = &column.descriptor;
    let (definition, repetition) = (descriptor.max_def_level() as u8, descriptor.max_rep_level() as u8);
    let slots = Slots::of(arrays, Greatest { definition, repetition });
    let expected = slots.value_count();
    if expected != values.len() {
        let found = values.len();
        let text = format!("expected {expected} values in {}, found {found}", descriptor.path());
        return Err(ParquetError::General(text));
    }
    let dictionary = Dictionary::of(values);
    let pages = slots.pages(values.len(), |range| match dictionary {
        Some(_) => 0,
        None => V::bytes_of(values.get(range).unwrap_or_default()),
    });
    ROOM.with_borrow_mut(|room| {
        // After an error the last column's bytes are still there.
        room.clear();
        let drafts = write_pages(&slots, values, dictionary.as_ref(), &pages, room);
        let stored = store(&drafts, room, column.zstd_level)?;
        room.clear();
        room.shrink_to(KEPT_ROOM_BYTES);
        let footer = Footer { column, slots: &slots, values, dictionary: dictionary.as_ref(), pages: &pages };
        footer.chunk(&drafts, stored, bloom_filter)
    })
}

thread_local! {
    /// Where the pages of a column are put together, one behind the other. Most of it is kept for the next column.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The most room that is kept: what the columns of most parts need.
const KEPT_ROOM_BYTES: usize = 8 * 1024 * 1024;

/// A page that is not compressed yet.
struct Draft {
    header: Header,
    /// Where its bytes lie.
    bytes: Range<usize>,
}

/// Puts the pages into the room, the dictionary first.
fn write_pages<V: Value>(
    slots: &Slots,
    values: &[V],
    dictionary: Option<&Dictionary<V>>,
    pages: &[Extent],
    room: &mut Vec<u8>,
) -> Vec<Draft> {
    let mut drafts = Vec::with_capacity(1 + pages.len());
    if let Some(dictionary) = dictionary {
        V::write_plain(&dictionary.values, room);
        let header = Header { kind: Kind::Dictionary, count: dictionary.values.len(), encoding: Encoding::PLAIN };
        drafts.push(Draft { header, bytes: 0..room.len() });
    }
    let encoding = encoding(values, dictionary);
    for page in pages {
        let start = room.len();
        slots.write(page, room);
        match dictionary {
            Some(dictionary) => {
                let codes = dictionary.codes.get(page.values.clone()).unwrap_or_default();
                room.push(dictionary.width() as u8);
                hybrid::write(codes, dictionary.width(), room);
            }
            None if values.is_empty() => {}
            None => V::write(values.get(page.values.clone()).unwrap_or_default(), room),
        }
        let header = Header { kind: Kind::Data, count: page.slots.len(), encoding };
        drafts.push(Draft { header, bytes: start..room.len() });
    }
    drafts
}

/// How the values of data pages are stored: where there is none, as nothing.
fn encoding<V: Value>(values: &[V], dictionary: Option<&Dictionary<V>>) -> Encoding {
    match dictionary {
        Some(_) => Encoding::RLE_DICTIONARY,
        None if values.is_empty() => Encoding::PLAIN,
        None => V::DIRECT,
    }
}

/// The pages as they are in the file.
struct Stored {
    codec: Compression,
    bytes: Vec<u8>,
    /// Bytes of each page with its header.
    page_bytes: Vec<usize>,
    /// Bytes of all pages and headers before they were compressed.
    uncompressed_bytes: usize,
}

fn store(drafts: &[Draft], room: &[u8], level: ZstdLevel) -> Result<Stored> {
    let is_compressed = room.len() >= LEAST_COMPRESSED_BYTES;
    let codec = if is_compressed { Compression::ZSTD(level) } else { Compression::UNCOMPRESSED };
    // Text becomes some third of what it was.
    let mut bytes = Vec::with_capacity(if is_compressed { room.len() / 2 } else { room.len() + 64 * drafts.len() });
    let (mut page_bytes, mut uncompressed_bytes) = (Vec::with_capacity(drafts.len()), 0);
    for Draft { header, bytes: place } in drafts {
        let (page, start) = (room.get(place.clone()).unwrap_or_default(), bytes.len());
        i32_of(page.len())?;
        let mut header_bytes = 0;
        let mut put = |stored: &[u8]| {
            let header = header.write(page.len(), stored.len());
            header_bytes = header.len();
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(stored);
        };
        if is_compressed {
            zstd::compressed(page, level, put)?
        } else {
            put(page)
        }
        page_bytes.push(bytes.len() - start);
        uncompressed_bytes += header_bytes + page.len();
    }
    Ok(Stored { codec, bytes, page_bytes, uncompressed_bytes })
}

/// What a footer is made from.
struct Footer<'a, V> {
    column: &'a Column,
    slots: &'a Slots,
    values: &'a [V],
    dictionary: Option<&'a Dictionary<V>>,
    pages: &'a [Extent],
}

impl<V: Value> Footer<'_, V> {
    fn chunk(self, drafts: &[Draft], stored: Stored, bloom_filter: Option<Sbbf>) -> Result<Chunk> {
        let dictionary_bytes = match drafts.first() {
            Some(draft) if draft.header.kind == Kind::Dictionary => stored.page_bytes.first().copied().unwrap_or(0),
            _ => 0,
        };
        let mut offset_index = OffsetIndexBuilder::new();
        let mut at = dictionary_bytes;
        let data_pages = stored.page_bytes.iter().skip(usize::from(dictionary_bytes > 0));
        for (page, &bytes) in self.pages.iter().zip(data_pages) {
            offset_index.append_row_count(page.rows.len() as i64);
            offset_index.append_offset_and_size(at as i64, i32_of(bytes)?);
            at += bytes;
        }
        let different = self.dictionary.map_or(self.values, |dictionary| &dictionary.values);
        let bounds = if V::has_bounds(self.values) { V::bounds(different) } else { None };
        let nulls = (self.slots.count - self.values.len()) as u64;
        let column_index = self.column_index(bounds.as_ref().and_then(V::index))?;
        let metadata = ColumnChunkMetaData::builder(self.column.descriptor.clone())
            .set_compression(stored.codec)
            .set_encodings(self.encodings())
            .set_page_encoding_stats(self.encoding_statistics())
            .set_total_compressed_size(stored.bytes.len() as i64)
            .set_total_uncompressed_size(stored.uncompressed_bytes as i64)
            .set_num_values(self.slots.count as i64)
            .set_dictionary_page_offset((dictionary_bytes > 0).then_some(0))
            .set_data_page_offset(dictionary_bytes as i64)
            .set_statistics(V::statistics(bounds, nulls))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: stored.bytes.len() as u64,
            rows_written: self.slots.rows as u64,
            metadata,
            bloom_filter,
            column_index,
            offset_index: Some(offset_index.build()),
        };
        Ok(Chunk { bytes: stored.bytes.into(), close })
    }

    fn encodings(&self) -> Vec<Encoding> {
        let levels = Encoding::RLE;
        match encoding(self.values, self.dictionary) {
            Encoding::RLE_DICTIONARY => vec![Encoding::PLAIN, levels, Encoding::RLE_DICTIONARY],
            direct => vec![direct, levels],
        }
    }

    fn encoding_statistics(&self) -> Vec<PageEncodingStats> {
        let encoding = encoding(self.values, self.dictionary);
        let data = PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: self.pages.len() as i32 };
        let dictionary =
            PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 };
        self.dictionary.map(|_| dictionary).into_iter().chain([data]).collect()
    }

    /// The bounds of each page; `None` where the column has values without bounds. `whole` are those of the column.
    fn column_index(&self, whole: Option<(Vec<u8>, Vec<u8>)>) -> Result<Option<ColumnIndexMetaData>> {
        let mut index = ColumnIndexBuilder::new(self.column.descriptor.physical_type());
        let mut order = Order::default();
        for page in self.pages {
            let nulls = (page.slots.len() - page.values.len()) as i64;
            let bounds = if page.values.is_empty() {
                None
            } else if self.pages.len() == 1 && whole.is_some() {
                whole.clone()
            } else {
                let Some(bounds) = self.bounds_of(page).filter(|_| whole.is_some()) else { return Ok(None) };
                order.observe(*bounds.start(), *bounds.end());
                let Some(index) = V::index(&bounds) else { return Ok(None) };
                Some(index)
            };
            let nans = (self.column.shape == Shape::Float64).then_some(0);
            let is_null = bounds.is_none();
            let (least, greatest) = bounds.unwrap_or_default();
            index.append(is_null, least, greatest, nulls, nans);
        }
        index.set_boundary_order(order.told());
        index.build().map(Some)
    }

    fn bounds_of(&self, page: &Extent) -> Option<std::ops::RangeInclusive<V>> {
        let Some(dictionary) = self.dictionary else { return V::bounds(self.values.get(page.values.clone())?) };
        let mut is_used = vec![false; dictionary.values.len()];
        for code in dictionary.codes.get(page.values.clone())? {
            is_used.get_mut(*code as usize).into_iter().for_each(|is_used| *is_used = true);
        }
        let used = dictionary.values.iter().zip(is_used).filter(|(_, is_used)| *is_used);
        V::bounds(&used.map(|(value, _)| *value).collect::<Vec<_>>())
    }
}

/// How the bounds of pages lie to each other.
struct Order<V> {
    last: Option<(V, V)>,
    is_ascending: bool,
    is_descending: bool,
}

impl<V> Default for Order<V> {
    fn default() -> Self {
        Order { last: None, is_ascending: true, is_descending: true }
    }
}

impl<V: Value> Order<V> {
    fn observe(&mut self, least: V, greatest: V) {
        if let Some((last_least, last_greatest)) = self.last.replace((least, greatest)) {
            self.is_ascending &= last_least <= least && last_greatest <= greatest;
            self.is_descending &= last_least >= least && last_greatest >= greatest;
        }
    }

    fn told(&self) -> BoundaryOrder {
        match (self.is_ascending, self.is_descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (_, true) => BoundaryOrder::DESCENDING,
            _ => BoundaryOrder::UNORDERED,
        }
    }
}

fn i32_of(bytes: usize) -> Result<i32> {
    i32::try_from(bytes).map_err(|_| ParquetError::General(format!("expected a page below 2 GiB, found {bytes} bytes")))
}
