//! The kinds of values that columns hold, as Parquet stores them.

use std::ops::{Range, RangeInclusive};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};
use xxhash_rust::xxh3::xxh3_64;

use super::bounds::{greatest_within, least_within};
use super::slots::elements_of;
use super::{hybrid, lengths};

/// Texts longer than this on average have no minimum and maximum.
const LONG_BYTES: usize = 128;
/// The bytes of a bound of texts; longer ones are cut.
const BOUND_BYTES: usize = 64;
/// The longest text that its key holds whole.
const KEY_BYTES: usize = 16;

/// A value of a column.
pub(super) trait Value: Copy + PartialEq + PartialOrd {
    /// How values are stored that are in no dictionary.
    const DIRECT: Encoding;

    /// Whether readers take a dictionary of such values: Polars does not read one of booleans.
    const IN_DICTIONARIES: bool = true;

    /// What tells values apart, most of the time: the same ones have the same.
    fn key(self) -> u128;

    /// Whether a value that has the same key is the same.
    fn is_same(self, _: Self) -> bool {
        true
    }

    /// The bytes that values take outside a dictionary.
    fn bytes_of(values: &[Self]) -> usize {
        size_of_val(values)
    }

    /// The bytes of a value in a dictionary.
    fn plain_bytes(self) -> usize {
        size_of_val(&self)
    }

    /// Appends values as they are stored outside a dictionary.
    fn write(values: &[Self], to: &mut Vec<u8>);

    /// Appends values as they are stored in a dictionary, `PLAIN`.
    fn write_plain(values: &[Self], to: &mut Vec<u8>) {
        Self::write(values, to);
    }

    /// Whether bounds of a column of these tell readers something.
    fn has_bounds(_: &[Self]) -> bool {
        true
    }

    /// The least and the greatest value; `None` where there is none.
    fn bounds(values: &[Self]) -> Option<RangeInclusive<Self>> {
        let first = *values.first()?;
        let (least, greatest) = values.iter().fold((first, first), |(least, greatest), &value| {
            (if value < least { value } else { least }, if value > greatest { value } else { greatest })
        });
        Some(least..=greatest)
    }

    /// The bounds as a page index has them; `None` where they would be too long.
    fn index(bounds: &RangeInclusive<Self>) -> Option<(Vec<u8>, Vec<u8>)>;

    /// The bounds and nulls as a footer has them.
    fn statistics(bounds: Option<RangeInclusive<Self>>, nulls: u64) -> Statistics;
}

/// The valid values of these arrays, one behind the other.
pub(super) fn numbers<T: ArrowPrimitiveType>(arrays: &[ArrayRef]) -> Vec<T::Native> {
    let mut values = Vec::with_capacity(arrays.iter().map(|array| array.len() - array.null_count()).sum());
    for array in arrays.iter().filter_map(|array| array.as_primitive_opt::<T>()) {
        match array.nulls() {
            None => values.extend_from_slice(array.values()),
            Some(nulls) => values.extend(nulls.valid_indices().filter_map(|row| array.values().get(row))),
        }
    }
    values
}

/// The same of booleans.
pub(super) fn booleans(arrays: &[ArrayRef]) -> Vec<bool> {
    arrays.iter().filter_map(|array| array.as_boolean_opt()).flat_map(|array| array.iter().flatten()).collect()
}

/// The same of texts, in lists too.
pub(super) fn texts(arrays: &[ArrayRef]) -> Vec<&str> {
    let mut texts = Vec::with_capacity(arrays.iter().map(|array| array.len() - array.null_count()).sum());
    arrays.iter().for_each(|array| add_texts(array, 0..array.len(), &mut texts));
    texts
}

fn add_texts<'a>(array: &'a dyn Array, rows: Range<usize>, to: &mut Vec<&'a str>) {
    if let Some(lists) = array.as_list_opt::<i32>() {
        // A null may have elements behind it, which are not there; but it seldom has.
        let is_hidden = |row: usize| lists.is_null(row) && !elements_of(lists, row).is_empty();
        if lists.null_count() > 0 && rows.clone().any(is_hidden) {
            let there = rows.filter(|row| lists.is_valid(*row));
            return there.for_each(|row| add_texts(lists.values(), elements_of(lists, row), to));
        }
        let end = |row| lists.value_offsets().get(row).map_or(0, |end| *end as usize);
        return add_texts(lists.values(), end(rows.start)..end(rows.end), to);
    }
    let Some(texts) = array.as_string_opt::<i32>() else { return };
    match texts.nulls() {
        None => to.extend(rows.map(|row| texts.value(row))),
        Some(nulls) => {
            let nulls = nulls.slice(rows.start, rows.len());
            to.extend(nulls.valid_indices().map(|row| texts.value(rows.start + row)));
        }
    }
}

macro_rules! number {
    ($number:ty, $bounds:ident, $key:expr, $statistics:ident, $nans:expr) => {
        impl Value for $number {
            const DIRECT: Encoding = Encoding::PLAIN;

            fn key(self) -> u128 {
                $key(self)
            }

            fn write(values: &[Self], to: &mut Vec<u8>) {
                to.reserve(size_of_val(values));
                values.iter().for_each(|value| to.extend_from_slice(&value.to_le_bytes()));
            }

            fn index(bounds: &RangeInclusive<Self>) -> Option<(Vec<u8>, Vec<u8>)> {
                let (least, greatest) = $bounds(bounds);
                Some((least.to_le_bytes().to_vec(), greatest.to_le_bytes().to_vec()))
            }

            fn statistics(bounds: Option<RangeInclusive<Self>>, nulls: u64) -> Statistics {
                let (least, greatest) = bounds.as_ref().map($bounds).unzip();
                let is_exact = bounds.is_none_or(|bounds| {
                    (Some(bounds.start().key()), Some(bounds.end().key()))
                        == (least.map(Value::key), greatest.map(Value::key))
                });
                let statistics = ValueStatistics::new(least, greatest, None, Some(nulls), false)
                    .with_min_is_exact(is_exact)
                    .with_max_is_exact(is_exact);
                Statistics::$statistics(statistics.with_backwards_compatible_min_max(true).with_nan_count($nans))
            }
        }
    };
}

number!(i32, both, |number: i32| u128::from(number as u32), Int32, None);
number!(i64, both, |number: i64| u128::from(number as u64), Int64, None);
number!(f64, both_zeros, |number: f64| u128::from(number.to_bits()), Double, Some(0));

fn both<T: Copy>(bounds: &RangeInclusive<T>) -> (T, T) {
    (*bounds.start(), *bounds.end())
}

/// JSON has no NaN. Of the two zeros, which compare as equal, the bounds take in both: readers order them in one way or the other.
fn both_zeros(bounds: &RangeInclusive<f64>) -> (f64, f64) {
    let (least, greatest) = both(bounds);
    (if least == 0.0 { -0.0 } else { least }, if greatest == 0.0 { 0.0 } else { greatest })
}

impl Value for bool {
    const DIRECT: Encoding = Encoding::PLAIN;
    const IN_DICTIONARIES: bool = false;

    fn key(self) -> u128 {
        self.into()
    }

    fn write(values: &[Self], to: &mut Vec<u8>) {
        hybrid::pack_bits(values, 1, values.len().div_ceil(8), to);
    }

    fn index(bounds: &RangeInclusive<Self>) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((vec![(*bounds.start()).into()], vec![(*bounds.end()).into()]))
    }

    fn statistics(bounds: Option<RangeInclusive<Self>>, nulls: u64) -> Statistics {
        let (least, greatest) = bounds.as_ref().map(both).unzip();
        Statistics::Boolean(ValueStatistics::new(least, greatest, None, Some(nulls), false))
    }
}

impl Value for &str {
    /// Texts behind their lengths compress better than texts between them: 1 to 5 % smaller.
    const DIRECT: Encoding = Encoding::DELTA_LENGTH_BYTE_ARRAY;

    /// Of up to 16 bytes, all of them, which tell such a text beside its length; two pieces of it may overlap.
    fn key(self) -> u128 {
        let bytes = self.as_bytes();
        let both = |first: u64, last: u64| u128::from(first) << 64 | u128::from(last);
        if bytes.len() > KEY_BYTES {
            xxh3_64(bytes).into()
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            both(u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            both(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
        } else {
            bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
        }
    }

    fn is_same(self, other: Self) -> bool {
        self.len() == other.len() && (self.len() <= KEY_BYTES || self == other)
    }

    fn bytes_of(values: &[Self]) -> usize {
        values.iter().map(|text| text.len() + 1).sum()
    }

    fn plain_bytes(self) -> usize {
        size_of::<u32>() + self.len()
    }

    fn write(values: &[Self], to: &mut Vec<u8>) {
        lengths::write(values.iter().map(|text| text.len() as i32), to);
        to.reserve(values.iter().map(|text| text.len()).sum());
        values.iter().for_each(|text| to.extend_from_slice(text.as_bytes()));
    }

    fn write_plain(values: &[Self], to: &mut Vec<u8>) {
        for text in values {
            to.extend_from_slice(&(text.len() as u32).to_le_bytes());
            to.extend_from_slice(text.as_bytes());
        }
    }

    fn has_bounds(values: &[Self]) -> bool {
        Self::bytes_of(values) <= (LONG_BYTES + 1) * values.len()
    }

    fn bounds(values: &[Self]) -> Option<RangeInclusive<Self>> {
        let first = *values.first()?;
        let (mut least, mut greatest) = (first, first);
        for &text in values {
            if text < least {
                least = text;
            } else if text > greatest {
                greatest = text;
            }
        }
        Some(least..=greatest)
    }

    fn index(bounds: &RangeInclusive<Self>) -> Option<(Vec<u8>, Vec<u8>)> {
        let (least, greatest) = both(bounds);
        Some((least_within(least, BOUND_BYTES).into(), greatest_within(greatest, BOUND_BYTES)?.into()))
    }

    fn statistics(bounds: Option<RangeInclusive<Self>>, nulls: u64) -> Statistics {
        let index = bounds.as_ref().and_then(Self::index);
        let (Some(bounds), Some((least, greatest))) = (bounds, index) else {
            return Statistics::ByteArray(ValueStatistics::new(None, None, None, Some(nulls), false));
        };
        let (least_is_exact, greatest_is_exact) =
            (least == bounds.start().as_bytes(), greatest == bounds.end().as_bytes());
        let bound = |bytes: Vec<u8>| Some(ByteArray::from(bytes));
        let statistics = ValueStatistics::new(bound(least), bound(greatest), None, Some(nulls), false);
        Statistics::ByteArray(statistics.with_min_is_exact(least_is_exact).with_max_is_exact(greatest_is_exact))
    }
}
