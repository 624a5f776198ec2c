//! Columns as they grow, beside plain lists of the rows.

use proptest::prelude::*;

use arrow::array::ArrayRef;

use super::*;

/// Pushes, nulls and cuts, beside a plain list of the rows.
fn rows_after<K: Nullable>(steps: &[(u8, K::Value<'static>)]) -> (ArrayRef, Vec<Option<K::Value<'static>>>) {
    let (mut builder, mut rows) = (K::Builder::default(), Vec::new());
    for (step, value) in steps {
        match step {
            0..4 => Option::<K>::push(&mut builder, None).unwrap(),
            4..7 => Option::<K>::push(&mut builder, Some(*value)).unwrap(),
            _ => builder.truncate(rows.len() * usize::from(*step) / 16),
        }
        match step {
            0..4 => rows.push(None),
            4..7 => rows.push(Some(*value)),
            _ => rows.truncate(rows.len() * usize::from(*step) / 16),
        }
        assert_eq!(builder.row_count(), rows.len());
    }
    (builder.finish().unwrap(), rows)
}

fn check<K: Nullable>(steps: &[(u8, K::Value<'static>)])
where
    for<'a> K::Value<'a>: std::fmt::Debug,
{
    let (array, rows) = rows_after::<K>(steps);
    assert_eq!((array.len(), array.data_type()), (rows.len(), &K::SHAPE.data_type()));
    let typed = array.as_any().downcast_ref::<K::Array>().unwrap();
    let arena = Bump::new();
    for (row, expected) in rows.iter().enumerate() {
        let read = Option::<K>::read(typed, row, &arena).map(|value| format!("{value:?}"));
        assert_eq!(read, expected.map(|value| format!("{value:?}")), "row {row}");
    }
}

const LIST: &[&str] = &["a", "", "é"];
const GROUPS: &[&[&str]] = &[&["a"], &[], LIST];

proptest! {
    #[test]
    fn rows_are_as_they_were_pushed(steps in prop::collection::vec((0..10u8, 0..50i32), 0..120)) {
        fn with<V>(steps: &[(u8, i32)], value: impl Fn(i32) -> V) -> Vec<(u8, V)> {
            steps.iter().map(|(step, number)| (*step, value(*number))).collect()
        }
        let part = |number: i32, all: usize| number as usize % (all + 1);
        check::<Text>(&with(&steps, |number| "abcdefgh".get(..part(number, 8)).unwrap()));
        check::<Int32>(&with(&steps, |number| number));
        check::<Float64>(&with(&steps, f64::from));
        check::<Timestamp>(&with(&steps, i64::from));
        check::<Boolean>(&with(&steps, |number| number % 2 == 0));
        check::<TextList>(&with(&steps, |number| LIST.get(..part(number, 3)).unwrap()));
        check::<TextGroups>(&with(&steps, |number| GROUPS.get(..part(number, 3)).unwrap()));
    }
}
