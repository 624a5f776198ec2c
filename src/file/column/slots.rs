//! Where the values of a column stand: Parquet's levels, and how pages are cut from them.
//!
//! A slot is a value or what stands in its place: a null, or an empty list.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};

use super::hybrid;

/// The size that a page aims at.
const PAGE_BYTES: usize = 1024 * 1024;
/// The rows after which a page ends in any case, so that a reader of few rows does not decode many.
const PAGE_ROWS: usize = 20_000;

/// The slots of a column of a row group.
#[derive(Debug)]
pub(super) struct Slots {
    /// Rows.
    pub rows: usize,
    /// Slots: as many as rows, but in lists.
    pub count: usize,
    /// How deep the column is nested: the greatest level of each kind.
    greatest: Greatest,
    definition: Levels,
    /// Of lists alone.
    repetition: Vec<u8>,
}

/// The greatest levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Greatest {
    pub definition: u8,
    pub repetition: u8,
}

#[derive(Debug)]
enum Levels {
    /// The same for all.
    Same(u8),
    /// One a slot.
    Each(Vec<u8>),
}

/// A part of a column's rows, slots and values that is one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub rows: Range<usize>,
    pub slots: Range<usize>,
    pub values: Range<usize>,
}

impl Slots {
    /// Those of these arrays, one behind the other.
    pub(super) fn of(arrays: &[ArrayRef], greatest: Greatest) -> Slots {
        let rows = arrays.iter().map(|array| array.len()).sum();
        let mut slots = Slots {
            rows,
            count: rows,
            greatest,
            definition: Levels::Same(greatest.definition),
            repetition: Vec::new(),
        };
        let nulls = arrays.iter().map(|array| array.null_count()).sum::<usize>();
        if greatest.repetition > 0 {
            let mut definition = Vec::with_capacity(rows);
            for array in arrays {
                slots.add_lists(array, &mut definition);
            }
            slots.count = definition.len();
            slots.definition = Levels::Each(definition);
        } else if nulls == rows && greatest.definition > 0 {
            slots.definition = Levels::Same(0);
        } else if nulls > 0 {
            let mut definition = Vec::with_capacity(rows + BITS);
            arrays.iter().for_each(|array| add_validity(array, &mut definition));
            slots.definition = Levels::Each(definition);
        }
        slots
    }

    /// The slots that hold a value.
    pub(super) fn value_count(&self) -> usize {
        match &self.definition {
            Levels::Same(level) if *level < self.greatest.definition => 0,
            Levels::Same(_) => self.count,
            Levels::Each(levels) => levels.iter().filter(|level| **level == self.greatest.definition).count(),
        }
    }

    fn add_lists(&mut self, array: &dyn Array, definition: &mut Vec<u8>) {
        let Some(lists) = array.as_list_opt::<i32>() else { return };
        // A null, an empty list, and, of groups, an empty list within: each one less than what is one deeper.
        let empty = self.greatest.definition - self.greatest.repetition;
        let inner = lists.values().as_list_opt::<i32>();
        for (row, is_there) in is_there(array).enumerate() {
            let elements = elements_of(lists, row);
            if elements.is_empty() || !is_there {
                definition.push(if is_there { empty } else { 0 });
                self.repetition.push(0);
                continue;
            }
            let Some(inner) = inner else {
                definition.extend(std::iter::repeat_n(self.greatest.definition, elements.len()));
                self.repetition.push(0);
                self.repetition.extend(std::iter::repeat_n(1, elements.len() - 1));
                continue;
            };
            for (index, element) in elements.enumerate() {
                let length = elements_of(inner, element).len();
                definition.extend(std::iter::repeat_n(self.greatest.definition, length));
                definition.extend((length == 0).then_some(self.greatest.definition - 1));
                self.repetition.push(u8::from(index > 0));
                self.repetition.extend(std::iter::repeat_n(2, length.saturating_sub(1)));
            }
        }
    }

    /// Pages of about a megabyte, each of whole rows. `weigh` tells the bytes of some values.
    pub(super) fn pages(&self, values: usize, weigh: impl Fn(Range<usize>) -> usize) -> Vec<Extent> {
        if self.rows <= PAGE_ROWS && self.count + weigh(0..values) <= PAGE_BYTES {
            return vec![Extent { rows: 0..self.rows, slots: 0..self.count, values: 0..values }];
        }
        let (mut pages, mut page, mut bytes) = (Vec::new(), Extent::default(), 0);
        for row in self.each_row() {
            let row_bytes = row.slots.len() + weigh(row.values.clone());
            if !page.rows.is_empty() && (page.rows.len() == PAGE_ROWS || bytes + row_bytes > PAGE_BYTES) {
                let next = Extent {
                    rows: page.rows.end..page.rows.end,
                    slots: page.slots.end..page.slots.end,
                    values: page.values.end..page.values.end,
                };
                pages.push(std::mem::replace(&mut page, next));
                bytes = 0;
            }
            (page.rows.end, page.slots.end, page.values.end) = (row.rows.end, row.slots.end, row.values.end);
            bytes += row_bytes;
        }
        pages.push(page);
        pages
    }

    fn each_row(&self) -> impl Iterator<Item = Extent> {
        let mut last = Extent::default();
        (0..self.rows).map(move |row| {
            let start = last.slots.end;
            let behind = self.repetition.get(start + 1..).unwrap_or_default();
            let end = start + 1 + behind.iter().take_while(|level| **level > 0).count();
            let values = match &self.definition {
                Levels::Same(level) if *level < self.greatest.definition => 0,
                Levels::Same(_) => end - start,
                Levels::Each(levels) => {
                    let levels = levels.get(start..end).unwrap_or_default();
                    levels.iter().filter(|level| **level == self.greatest.definition).count()
                }
            };
            let values = last.values.end..last.values.end + values;
            last = Extent { rows: row..row + 1, slots: start..end, values };
            last.clone()
        })
    }

    /// Appends the levels of a page, as data pages of version 1 have them: each kind behind its length, where there is more than one level.
    pub(super) fn write(&self, page: &Extent, to: &mut Vec<u8>) {
        if self.greatest.repetition > 0 {
            let levels = self.repetition.get(page.slots.clone()).unwrap_or_default();
            behind_length(to, |to| hybrid::write(levels, hybrid::width_of(self.greatest.repetition.into()), to));
        }
        if self.greatest.definition > 0 {
            let width = hybrid::width_of(self.greatest.definition.into());
            behind_length(to, |to| match &self.definition {
                Levels::Same(level) => hybrid::repeat((*level).into(), page.slots.len(), width, to),
                Levels::Each(levels) => {
                    hybrid::write(levels.get(page.slots.clone()).unwrap_or_default(), width, to);
                }
            });
        }
    }
}

fn behind_length(to: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend_from_slice(&[0; 4]);
    write(to);
    let length = (to.len() - at - 4) as u32;
    if let Some(place) = to.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Bits that are taken in one go.
const BITS: usize = u64::BITS as usize;

/// Appends 1 for each row that is there, 0 for each null.
fn add_validity(array: &dyn Array, to: &mut Vec<u8>) {
    let end = to.len() + array.len();
    match array.nulls() {
        None => to.resize(end, 1),
        Some(nulls) => {
            for bits in nulls.inner().bit_chunks().iter_padded() {
                to.extend_from_slice(&std::array::from_fn::<u8, BITS, _>(|bit| (bits >> bit) as u8 & 1));
            }
            to.truncate(end);
        }
    }
}

/// Whether each row is there, or null.
fn is_there(array: &dyn Array) -> impl Iterator<Item = bool> {
    let nulls = array.nulls();
    (0..array.len()).map(move |row| nulls.is_none_or(|nulls| nulls.is_valid(row)))
}

/// Where the elements of a list lie.
pub(super) fn elements_of(lists: &ListArray, row: usize) -> Range<usize> {
    match lists.value_offsets().get(row..row + 2) {
        Some([start, end]) => *start as usize..*end as usize,
        _ => 0..0,
    }
}
