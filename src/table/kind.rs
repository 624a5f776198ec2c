//! The kinds of values that a column can hold, each with its Rust value, its builder, its array and its types.
//!
//! A kind is written in the catalog as a Rust type: `Text` is a column that is never null, `Option<Text>` one that may be.
//! Builders are plain vectors that can be cut back to an earlier length, because a task that turns out to be unreadable
//! half-way must leave no row behind.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder, Float64Array, Int32Array,
    Int64Array, ListArray, NullBufferBuilder, PrimitiveArray, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bumpalo::Bump;

/// The physical and logical type of a column, in words that every engine's schema can be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A UTF-8 string.
    Text,
    /// JSON text: a UTF-8 string to Arrow, with Parquet's JSON logical type.
    Json,
    /// A signed 32-bit integer: positions and counts.
    Int32,
    /// A signed 64-bit integer.
    Int64,
    /// A double.
    Float64,
    /// True or false.
    Boolean,
    /// An instant in microseconds since 1970, UTC.
    Timestamp,
    /// A list of strings, whose elements are never null.
    TextList,
    /// A list of lists of strings, without nulls inside.
    TextGroups,
}

impl Shape {
    /// The Arrow type. List elements are named `element`, as the Parquet specification names them.
    pub fn data_type(self) -> DataType {
        match self {
            Shape::Text | Shape::Json => DataType::Utf8,
            Shape::Int32 => DataType::Int32,
            Shape::Int64 => DataType::Int64,
            Shape::Float64 => DataType::Float64,
            Shape::Boolean => DataType::Boolean,
            Shape::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Shape::TextList => DataType::List(element(DataType::Utf8)),
            Shape::TextGroups => DataType::List(element(Shape::TextList.data_type())),
        }
    }
}

const UTC: &str = "UTC";

fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

/// A column of one part would pass Arrow's limit of 2^31 - 1 bytes or elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// How much a growing column takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Rows, or elements of all lists.
    pub rows: usize,
    /// Bytes of text.
    pub bytes: usize,
}

/// A growing column: rows are pushed at its end and can be cut off again.
pub trait Builder: Default {
    /// Rows held.
    fn row_count(&self) -> usize;
    /// Forgets every row from `rows` on.
    fn truncate(&mut self, rows: usize);
    /// Tells how much room it takes; a list does so of its elements too.
    fn tell_room(&self, to: &mut Vec<Room>) {
        to.push(Room { rows: self.row_count(), bytes: 0 });
    }
    /// Makes as much while it is empty.
    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>);
    /// The finished array.
    fn finish(self) -> Result<ArrayRef, ArrowError>;
}

/// What a column holds. Implemented by the marker types of this module and by `Option` of each.
pub trait Kind {
    /// The value of one row, borrowed from the parsed task or from a read batch.
    type Value<'a>: Copy;
    /// Collects values into an array.
    type Builder: Builder;
    /// The array that values are read back from.
    type Array: Array + Clone + 'static;
    /// The type.
    const SHAPE: Shape;
    /// Whether a row may be null.
    const NULLABLE: bool;
    /// Appends one row.
    fn push(builder: &mut Self::Builder, value: Self::Value<'_>) -> Result<(), Overflow>;
    /// Reads one row; lists are laid out in the arena.
    fn read<'a>(array: &'a Self::Array, row: usize, arena: &'a Bump) -> Self::Value<'a>;
}

/// A kind whose builder can also take a null.
pub trait Nullable: Kind {
    /// Appends a null.
    fn push_null(builder: &mut Self::Builder);
}

impl<K: Nullable> Kind for Option<K> {
    type Value<'a> = Option<K::Value<'a>>;
    type Builder = K::Builder;
    type Array = K::Array;
    const SHAPE: Shape = K::SHAPE;
    const NULLABLE: bool = true;

    fn push(builder: &mut Self::Builder, value: Self::Value<'_>) -> Result<(), Overflow> {
        match value {
            Some(value) => K::push(builder, value),
            None => {
                K::push_null(builder);
                Ok(())
            }
        }
    }

    fn read<'a>(array: &'a Self::Array, row: usize, arena: &'a Bump) -> Self::Value<'a> {
        array.is_valid(row).then(|| K::read(array, row, arena))
    }
}

/// UTF-8 text, or JSON text.
#[derive(Debug)]
pub struct TextBuilder {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    validity: NullBufferBuilder,
}

impl Default for TextBuilder {
    fn default() -> Self {
        TextBuilder { bytes: Vec::new(), ends: vec![0], validity: NullBufferBuilder::new(0) }
    }
}

impl TextBuilder {
    fn push(&mut self, text: &str) -> Result<(), Overflow> {
        let end = i32::try_from(self.bytes.len() + text.len()).map_err(|_| Overflow)?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(end);
        self.validity.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.validity.append_null();
    }
}

impl Builder for TextBuilder {
    fn row_count(&self) -> usize {
        self.ends.len() - 1
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |&end| end as usize));
        self.validity.truncate(rows);
    }

    fn tell_room(&self, to: &mut Vec<Room>) {
        to.push(Room { rows: self.row_count(), bytes: self.bytes.len() });
    }

    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>) {
        let room = rooms.next().unwrap_or_default();
        self.bytes.reserve_exact(room.bytes);
        self.ends.reserve_exact(room.rows);
        self.validity = NullBufferBuilder::new(room.rows);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(Arc::new(StringArray::try_new(ends, Buffer::from_vec(self.bytes), self.validity.finish())?))
    }
}

/// Values of one machine word.
#[derive(Debug)]
pub struct FixedBuilder<P: ArrowPrimitiveType> {
    values: Vec<P::Native>,
    validity: NullBufferBuilder,
}

impl<P: ArrowPrimitiveType> Default for FixedBuilder<P> {
    fn default() -> Self {
        FixedBuilder { values: Vec::new(), validity: NullBufferBuilder::new(0) }
    }
}

impl<P: ArrowPrimitiveType> FixedBuilder<P> {
    fn push(&mut self, value: P::Native) {
        self.values.push(value);
        self.validity.append_non_null();
    }

    fn push_null(&mut self) {
        self.values.push(P::Native::default());
        self.validity.append_null();
    }
}

impl<P: ArrowPrimitiveType> Builder for FixedBuilder<P> {
    fn row_count(&self) -> usize {
        self.values.len()
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>) {
        let room = rooms.next().unwrap_or_default();
        self.values.reserve_exact(room.rows);
        self.validity = NullBufferBuilder::new(room.rows);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let array = PrimitiveArray::<P>::try_new(ScalarBuffer::from(self.values), self.validity.finish())?;
        Ok(match P::DATA_TYPE {
            DataType::Timestamp(..) => Arc::new(array.with_data_type(Shape::Timestamp.data_type())),
            _ => Arc::new(array),
        })
    }
}

/// True and false.
#[derive(Debug)]
pub struct BooleanBuilder {
    values: BooleanBufferBuilder,
    validity: NullBufferBuilder,
}

impl Default for BooleanBuilder {
    fn default() -> Self {
        BooleanBuilder { values: BooleanBufferBuilder::new(0), validity: NullBufferBuilder::new(0) }
    }
}

impl Builder for BooleanBuilder {
    fn row_count(&self) -> usize {
        self.values.len()
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>) {
        let room = rooms.next().unwrap_or_default();
        self.values = BooleanBufferBuilder::new(room.rows);
        self.validity = NullBufferBuilder::new(room.rows);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.validity.finish())))
    }
}

/// Lists over the rows of another builder.
#[derive(Debug)]
pub struct ListBuilder<B> {
    items: B,
    ends: Vec<i32>,
    validity: NullBufferBuilder,
}

impl<B: Builder> Default for ListBuilder<B> {
    fn default() -> Self {
        ListBuilder { items: B::default(), ends: vec![0], validity: NullBufferBuilder::new(0) }
    }
}

impl<B: Builder> ListBuilder<B> {
    fn close(&mut self) -> Result<(), Overflow> {
        self.ends.push(i32::try_from(self.items.row_count()).map_err(|_| Overflow)?);
        self.validity.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.validity.append_null();
    }
}

impl<B: Builder> Builder for ListBuilder<B> {
    fn row_count(&self) -> usize {
        self.ends.len() - 1
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.items.truncate(self.ends.last().map_or(0, |&end| end as usize));
        self.validity.truncate(rows);
    }

    fn tell_room(&self, to: &mut Vec<Room>) {
        to.push(Room { rows: self.row_count(), bytes: 0 });
        self.items.tell_room(to);
    }

    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = Room>) {
        let room = rooms.next().unwrap_or_default();
        self.ends.reserve_exact(room.rows);
        self.validity = NullBufferBuilder::new(room.rows);
        self.items.make_room(rooms);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let items = self.items.finish()?;
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let field = element(items.data_type().clone());
        Ok(Arc::new(ListArray::try_new(field, ends, items, self.validity.finish())?))
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $value:ty, $builder:ty, $array:ty,
        push($to:ident, $new:ident) $push:expr,
        read($from:ident, $row:ident, $arena:ident) $read:expr,
        null($nulls:ident) $null:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $kind;

        impl Kind for $kind {
            type Value<'a> = $value;
            type Builder = $builder;
            type Array = $array;
            const SHAPE: Shape = Shape::$kind;
            const NULLABLE: bool = false;

            fn push($to: &mut Self::Builder, $new: Self::Value<'_>) -> Result<(), Overflow> {
                $push
            }

            fn read<'a>($from: &'a Self::Array, $row: usize, $arena: &'a Bump) -> Self::Value<'a> {
                let _ = $arena;
                $read
            }
        }

        impl Nullable for $kind {
            fn push_null($nulls: &mut Self::Builder) {
                $null
            }
        }
    )*};
}

kinds! {
    /// A UTF-8 string.
    Text = &'a str, TextBuilder, StringArray,
        push(to, text) to.push(text), read(array, row, arena) array.value(row), null(to) to.push_null();
    /// JSON text.
    Json = &'a str, TextBuilder, StringArray,
        push(to, text) to.push(text), read(array, row, arena) array.value(row), null(to) to.push_null();
    /// A position or a count.
    Int32 = i32, FixedBuilder<Int32Type>, Int32Array,
        push(to, number) { to.push(number); Ok(()) }, read(array, row, arena) array.value(row), null(to) to.push_null();
    /// An integer.
    Int64 = i64, FixedBuilder<Int64Type>, Int64Array,
        push(to, number) { to.push(number); Ok(()) }, read(array, row, arena) array.value(row), null(to) to.push_null();
    /// A double.
    Float64 = f64, FixedBuilder<Float64Type>, Float64Array,
        push(to, number) { to.push(number); Ok(()) }, read(array, row, arena) array.value(row), null(to) to.push_null();
    /// True or false.
    Boolean = bool, BooleanBuilder, BooleanArray,
        push(to, flag) { to.values.append(flag); to.validity.append_non_null(); Ok(()) },
        read(array, row, arena) array.value(row),
        null(to) { to.values.append(false); to.validity.append_null(); };
    /// Microseconds since 1970, UTC.
    Timestamp = i64, FixedBuilder<TimestampMicrosecondType>, TimestampMicrosecondArray,
        push(to, instant) { to.push(instant); Ok(()) }, read(array, row, arena) array.value(row), null(to) to.push_null();
    /// A list of strings.
    TextList = &'a [&'a str], ListBuilder<TextBuilder>, ListArray,
        push(to, list) push_list(to, list), read(array, row, arena) read_list(array, row, arena), null(to) to.push_null();
    /// A list of lists of strings.
    TextGroups = &'a [&'a [&'a str]], ListBuilder<ListBuilder<TextBuilder>>, ListArray,
        push(to, groups) {
            for group in groups {
                push_list(&mut to.items, group)?;
            }
            to.close()
        },
        read(array, row, arena) {
            let groups = array.values().as_list::<i32>();
            let range = list_range(array, row);
            arena.alloc_slice_fill_iter(range.map(|group| read_list(groups, group, arena)))
        },
        null(to) to.push_null();
}

fn push_list(to: &mut ListBuilder<TextBuilder>, list: &[&str]) -> Result<(), Overflow> {
    for text in list {
        to.items.push(text)?;
    }
    to.close()
}

fn read_list<'a>(array: &'a ListArray, row: usize, arena: &'a Bump) -> &'a [&'a str] {
    let texts = array.values().as_string::<i32>();
    arena.alloc_slice_fill_iter(list_range(array, row).map(|text| texts.value(text)))
}

fn list_range(array: &ListArray, row: usize) -> std::ops::Range<usize> {
    let ends = array.value_offsets();
    let at = |index: usize| ends.get(index).map_or(0, |&end| end as usize);
    at(row)..at(row + 1)
}

#[cfg(test)]
mod tests;
