//! What of a file's columns is told outside of it, so that readers can pass the file by.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;

use super::entry::Instants;
use crate::file::bounds::{greatest_within, least_within};
use crate::table::{Shape, Table};
use crate::time::write_micros;

/// The bounds of ids, of one file or of many.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    least: Option<String>,
    greatest: Option<String>,
}

/// Longer ids are cut: a bound need not be one of the values.
const LONGEST_BOUND: usize = 256;

impl Ids {
    /// Takes in the ids of a table's rows, which stand in its first column.
    pub(super) fn observe(&mut self, batches: &[RecordBatch]) {
        let columns = batches.iter().filter_map(|batch| batch.columns().first()?.as_string_opt::<i32>());
        for id in columns.flat_map(|ids| ids.iter().flatten()) {
            if self.least.as_deref().is_none_or(|least| id < least) {
                self.least = Some(id.to_owned());
            }
            if self.greatest.as_deref().is_none_or(|greatest| id > greatest) {
                self.greatest = Some(id.to_owned());
            }
        }
    }

    /// Takes in the ids of another file.
    pub(super) fn merge(&mut self, other: Ids) {
        self.least = [self.least.take(), other.least].into_iter().flatten().min();
        self.greatest = self.greatest.take().max(other.greatest);
    }

    /// A text that is not greater than any, and one that is not less.
    pub(super) fn bounds(self) -> (Option<String>, Option<String>) {
        let least = self.least.map(|id| least_within(&id, LONGEST_BOUND).to_owned());
        (least, self.greatest.and_then(|id| greatest_within(&id, LONGEST_BOUND)))
    }
}

/// A text that is not greater than any of the ids of these rows, and one that is not less.
pub fn bounds(batches: &[RecordBatch]) -> (Option<String>, Option<String>) {
    let mut ids = Ids::default();
    ids.observe(batches);
    ids.bounds()
}

/// The columns of instants.
pub fn instants(table: &Table, batches: &[RecordBatch]) -> BTreeMap<String, Instants> {
    let columns = table.columns.iter().enumerate().filter(|(_, column)| column.shape == Shape::Timestamp);
    columns.map(|(index, column)| (column.name.to_owned(), of_column(index, batches))).collect()
}

fn of_column(index: usize, batches: &[RecordBatch]) -> Instants {
    let arrays = batches.iter().filter_map(|batch| batch.columns().get(index));
    let arrays = arrays.filter_map(|array| array.as_primitive_opt::<TimestampMicrosecondType>()).collect::<Vec<_>>();
    Instants {
        least: arrays.iter().filter_map(|array| min(*array)).min().and_then(write_micros),
        greatest: arrays.iter().filter_map(|array| max(*array)).max().and_then(write_micros),
        nulls: arrays.iter().map(|array| array.null_count() as u64).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn bounds(ids: &[&str]) -> (Option<String>, Option<String>) {
        let column: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        super::bounds(&[RecordBatch::try_from_iter([("task_id", column)]).unwrap()])
    }

    #[test]
    fn bounds_hold_all_ids_however_long() {
        assert_eq!(bounds(&[]), (None, None));
        assert_eq!(bounds(&["b", "a", "ab"]), (Some("a".to_owned()), Some("b".to_owned())));
        let long = |end: char| format!("{}{end}{}", "é".repeat(127), "x".repeat(300));
        for end in ['a', '\u{d7ff}', '\u{10ffff}'] {
            let id = long(end);
            let (least, greatest) = bounds(&[&id]);
            let (least, greatest) = (least.unwrap(), greatest.unwrap());
            assert!(least.len() <= 256 && greatest.len() <= 260);
            assert!(least.as_str() <= id.as_str() && id.as_str() <= greatest.as_str(), "{end:?}");
        }
        assert_eq!(bounds(&[&"\u{10ffff}".repeat(100)]).1, None, "nothing is greater");
    }
}
