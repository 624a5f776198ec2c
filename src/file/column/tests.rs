//! Columns of every shape against the Parquet crate's reader.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::basic::BoundaryOrder;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::file::{Encoding, encode};
use crate::table::{Shape, Table};

/// What the values of a batch are like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Null,
    Few,
    Runs,
    Different,
    Long,
    Mixed,
}

const KINDS: [Kind; 6] = [Kind::Null, Kind::Few, Kind::Runs, Kind::Different, Kind::Long, Kind::Mixed];

/// A number for a row of a column; `None` where it is null.
fn number(kind: Kind, column: usize, row: u32, seed: u64) -> Option<u64> {
    let any = xxh3_64(&[(column as u64).to_le_bytes(), u64::from(row).to_le_bytes(), seed.to_le_bytes()].concat());
    match kind {
        Kind::Null => None,
        Kind::Few => Some(any % 5),
        Kind::Runs => (!(row / 40).is_multiple_of(3)).then_some(u64::from(row / 100)),
        Kind::Different | Kind::Long => Some(any),
        Kind::Mixed => (!any.is_multiple_of(4)).then_some(any % 600),
    }
}

fn text(kind: Kind, number: u64) -> String {
    match (kind, number % 7) {
        (Kind::Long, _) => format!("{number} é").repeat(60),
        (_, 0) => String::new(),
        (_, 1) => "\u{10ffff}".repeat(20),
        (_, 2) => format!("{number:070}"),
        _ => format!("{number:x}"),
    }
}

fn array(shape: Shape, numbers: &[Option<u64>], kind: Kind) -> ArrayRef {
    let numbers = || numbers.iter().copied();
    match shape {
        Shape::Text | Shape::Json => {
            Arc::new(numbers().map(|number| number.map(|number| text(kind, number))).collect::<StringArray>())
        }
        Shape::Int32 => Arc::new(numbers().map(|number| number.map(|number| number as i32)).collect::<Int32Array>()),
        Shape::Int64 => Arc::new(numbers().map(|number| number.map(|number| number as i64)).collect::<Int64Array>()),
        Shape::Float64 => {
            let zero = |number: u64| if number.is_multiple_of(2) { -0.0 } else { 0.0 };
            let double = |number: u64| if number.is_multiple_of(3) { zero(number) } else { number as i64 as f64 / 3.0 };
            Arc::new(numbers().map(|number| number.map(double)).collect::<Float64Array>())
        }
        Shape::Boolean => {
            Arc::new(numbers().map(|number| number.map(|number| number % 2 > 0)).collect::<BooleanArray>())
        }
        Shape::Timestamp => {
            let instants = numbers().map(|number| number.map(|number| number as i64));
            Arc::new(instants.collect::<TimestampMicrosecondArray>().with_data_type(shape.data_type()))
        }
        Shape::TextList => {
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
            for number in numbers() {
                (0..number.unwrap_or(0) % 4).for_each(|at| lists.values().append_value(text(kind, at)));
                lists.append(number.is_some());
            }
            Arc::new(lists.finish())
        }
        Shape::TextGroups => {
            let inner = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
            let mut lists = ListBuilder::new(inner).with_field(element(Shape::TextList.data_type()));
            for number in numbers() {
                for group in 0..number.unwrap_or(0) % 4 {
                    let length = (number.unwrap_or(0) / 4 + group) % 3;
                    (0..length).for_each(|at| lists.values().values().append_value(text(kind, at)));
                    lists.values().append(true);
                }
                lists.append(number.is_some());
            }
            Arc::new(lists.finish())
        }
    }
}

fn element(data_type: DataType) -> Field {
    Field::new("element", data_type, false)
}

/// Rows of a table, each column of another kind.
fn batch(table: &Table, rows: std::ops::Range<u32>, seed: u64) -> RecordBatch {
    let columns = table.columns.iter().enumerate().map(|(index, column)| {
        let kind = KINDS[(index + seed as usize) % KINDS.len()];
        let kind = if matches!(kind, Kind::Null) && !column.nullable { Kind::Few } else { kind };
        let numbers = rows.clone().map(|row| number(kind, index, row, seed));
        let numbers = numbers.map(|number| if column.nullable { number } else { number.or(Some(0)) });
        array(column.shape, &numbers.collect::<Vec<_>>(), kind)
    });
    RecordBatch::try_new(table.arrow_schema(), columns.collect()).unwrap()
}

fn open(bytes: &[u8]) -> ParquetRecordBatchReaderBuilder<bytes::Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(bytes::Bytes::copy_from_slice(bytes), options).unwrap()
}

fn encoded(table: &Table, batches: &[RecordBatch]) -> Vec<u8> {
    encode(table, batches, Encoding::default(), Path::new("test")).unwrap().bytes
}

/// The texts of a column, in lists too.
fn leaves(array: &ArrayRef) -> Vec<String> {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let there = (0..lists.len()).filter(|row| lists.is_valid(*row));
            there.flat_map(|row| leaves(&lists.value(row))).collect()
        }
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn check_statistics(table: &Table, whole: &RecordBatch, bytes: &[u8]) {
    let reader = open(bytes);
    for (index, column) in table.columns.iter().enumerate() {
        let array = whole.column(index);
        let chunk = reader.metadata().row_group(0).column(index);
        let statistics = chunk.statistics().unwrap();
        let case = format!("{} {}", table.name, column.name);
        let is_list = matches!(array.data_type(), DataType::List(_));
        if !is_list {
            assert_eq!(statistics.null_count_opt(), Some(array.null_count() as u64), "{case}");
        }
        match statistics {
            Statistics::ByteArray(bounds) => {
                let values = leaves(array);
                let Some((least, greatest)) = bounds.min_opt().zip(bounds.max_opt()) else { continue };
                for value in &values {
                    assert!(least.data() <= value.as_bytes() && value.as_bytes() <= greatest.data(), "{case} {value}");
                }
                let is_one = |bound: &[u8]| values.iter().any(|value| value.as_bytes() == bound);
                assert_eq!(is_one(least.data()), bounds.min_is_exact(), "{case}");
                assert_eq!(is_one(greatest.data()), bounds.max_is_exact(), "{case}");
            }
            Statistics::Int32(bounds) => {
                let values = array.as_primitive::<arrow::datatypes::Int32Type>();
                assert_eq!((bounds.min_opt().copied(), bounds.max_opt().copied()), {
                    (values.iter().flatten().min(), values.iter().flatten().max())
                });
            }
            Statistics::Double(bounds) => {
                let values = array.as_primitive::<arrow::datatypes::Float64Type>();
                let least = values.iter().flatten().min_by(f64::total_cmp);
                assert!(
                    least.is_none_or(|least| bounds.min_opt().is_some_and(|bound| bound.total_cmp(&least).is_le()))
                );
                let greatest = values.iter().flatten().max_by(f64::total_cmp);
                assert!(
                    greatest.is_none_or(|one| bounds.max_opt().is_some_and(|bound| bound.total_cmp(&one).is_ge())),
                    "{case}"
                );
            }
            _ => {}
        }
    }
}

const TABLES: [&str; 4] = ["annotations", "tasks", "messages", "attachments"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_comes_back(seed in any::<u64>(), ends in prop::collection::vec(0..900u32, 1..4), table in 0..TABLES.len()) {
        let table = Table::named(TABLES[table]).unwrap();
        let mut start = 0;
        let batches = ends.iter().map(|rows| {
            let batch = batch(table, start..start + rows, seed);
            start += rows;
            batch
        });
        // Of the first piece only a part, as where rows were cut off.
        let mut batches = batches.collect::<Vec<_>>();
        let cut = batches[0].num_rows() / 3;
        batches[0] = batches[0].slice(cut, batches[0].num_rows() - cut);
        let whole = concat_batches(&table.arrow_schema(), &batches).unwrap();
        let bytes = encoded(table, &batches);
        let read = open(&bytes).build().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        let read = concat_batches(&table.arrow_schema(), &read).unwrap();
        prop_assert_eq!(&read, &whole);
        prop_assert!(open(&bytes).metadata().row_groups().iter().all(|group| group.num_rows() > 0));
        if whole.num_rows() > 0 {
            check_statistics(table, &whole, &bytes);
        }
    }
}

/// Many pages: by rows, by bytes of text, and of elements of lists.
#[test]
fn columns_of_many_pages_come_back_by_their_index() {
    for (seed, name) in [(0, "annotations"), (1, "annotations"), (2, "tasks")] {
        let table = Table::named(name).unwrap();
        let rows = 22_000;
        let whole = batch(table, 0..rows as u32, seed);
        let bytes = encoded(table, &[whole.slice(0, 15_000), whole.slice(15_000, rows - 15_000)]);
        for (skipped, selected) in [(0, rows), (19_990, 20), (rows - 1, 1)] {
            let rest = rows - skipped - selected;
            let selection = vec![RowSelector::skip(skipped), RowSelector::select(selected), RowSelector::skip(rest)];
            let reader = open(&bytes).with_row_selection(RowSelection::from(selection)).build().unwrap();
            let read = reader.map(Result::unwrap).collect::<Vec<_>>();
            let read = concat_batches(&table.arrow_schema(), &read).unwrap();
            assert_eq!(read, whole.slice(skipped, selected), "{name}");
        }
    }
}

/// The rows of `messages` with one column as it is given.
fn with_column(name: &str, array: ArrayRef) -> (&'static Table, RecordBatch, usize) {
    let table = Table::named("messages").unwrap();
    let plain = batch(table, 0..array.len() as u32, 2);
    let at = table.columns.iter().position(|column| column.name == name).unwrap();
    let mut columns = plain.columns().to_vec();
    columns[at] = array;
    (table, RecordBatch::try_new(table.arrow_schema(), columns).unwrap(), at)
}

fn texts(of_row: impl Fn(usize) -> Option<String>, rows: usize) -> ArrayRef {
    Arc::new((0..rows).map(of_row).collect::<StringArray>())
}

/// Pages without a value, values that are one, a value that is a page: each with the bounds that readers are told.
#[test]
fn texts_come_back_from_pages_of_every_kind() {
    let null_page = texts(|row| (row / 20_000 != 1).then(|| format!("{row:06}")), 45_000);
    let one = texts(|_| Some("same".to_owned()), 5);
    let two = texts(|row| (row > 0).then(|| "same".to_owned()), 3);
    let wide = texts(|row| Some(if row == 4000 { "wide ".repeat(300_000) } else { format!("{row:06}") }), 30_000);
    let told = |least: &str, greatest: &str| Some((least.to_owned(), greatest.to_owned()));
    for (array, expected) in [
        (null_page, vec![told("000000", "019999"), None, told("040000", "044999")]),
        (one, vec![told("same", "same")]),
        (two, vec![told("same", "same")]),
        (
            wide,
            vec![
                told("000000", "003999"),
                told(&format!("{}wide", "wide ".repeat(12)), &format!("{}widf", "wide ".repeat(12))),
                told("004001", "024000"),
                told("024001", "029999"),
            ],
        ),
    ] {
        let (table, whole, at) = with_column("source_id", array);
        let bytes = encoded(table, std::slice::from_ref(&whole));
        let read = open(&bytes).build().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(concat_batches(&table.arrow_schema(), &read).unwrap(), whole);
        let reader = open(&bytes);
        let pages = reader.metadata().page_index_for_row_group(0);
        let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = pages.column_index(at) else {
            panic!("no index");
        };
        let text = |bound: Option<&[u8]>| bound.map(|bound| String::from_utf8(bound.to_vec()).unwrap());
        let bounds = index.min_values_iter().zip(index.max_values_iter());
        let bounds = bounds.map(|(least, greatest)| text(least).zip(text(greatest))).collect::<Vec<_>>();
        assert_eq!(bounds, expected);
    }
}

/// Arrow allows elements behind a null: they are not there.
#[test]
fn a_null_list_has_no_elements_whatever_lies_behind_it() {
    let table = Table::named("annotations").unwrap();
    let plain = batch(table, 0..3, 1);
    let at = table.columns.iter().position(|column| column.name == "labels").unwrap();
    let elements: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let nulls = Some(vec![false, true, true].into());
    let ends = OffsetBuffer::new(vec![0, 2, 3, 3].into());
    let lists: ArrayRef = Arc::new(ListArray::new(Arc::new(element(DataType::Utf8)), ends, elements, nulls));
    let mut columns = plain.columns().to_vec();
    columns[at] = lists.clone();
    let bytes = encoded(table, &[RecordBatch::try_new(table.arrow_schema(), columns).unwrap()]);
    let read = open(&bytes).build().unwrap().next().unwrap().unwrap();
    assert_eq!(read.column(at), &lists);
}

/// A page's bounds are those of its own rows, and told to ascend only where they do.
#[test]
fn the_index_tells_pages_apart() {
    let index_of = |numbers: Vec<i32>| {
        let (table, whole, at) = with_column("thread_index", Arc::new(Int32Array::from(numbers)));
        let bytes = encoded(table, &[whole]);
        let reader = open(&bytes);
        match reader.metadata().page_index_for_row_group(0).column_index(at) {
            Some(known @ ColumnIndexMetaData::INT32(index)) => {
                let bounds = index.min_values_iter().zip(index.max_values_iter());
                let bounds = bounds.map(|(least, greatest)| (*least.unwrap(), *greatest.unwrap())).collect::<Vec<_>>();
                (bounds, known.get_boundary_order().unwrap())
            }
            other => panic!("{other:?}"),
        }
    };
    let pages = |of_page: fn(i32) -> i32| (0..60_000).map(|row| of_page(row / 20_000) + row % 3).collect();
    let (ascending, descending) = (pages(|page| page * 5), pages(|page| -page * 5));
    assert_eq!(index_of(ascending), (vec![(0, 2), (5, 7), (10, 12)], BoundaryOrder::ASCENDING));
    assert_eq!(index_of(descending), (vec![(0, 2), (-5, -3), (-10, -8)], BoundaryOrder::DESCENDING));
    let up_and_down = pages(|page| if page == 1 { 9 } else { 0 });
    assert_eq!(index_of(up_and_down), (vec![(0, 2), (9, 11), (0, 2)], BoundaryOrder::UNORDERED));
}
