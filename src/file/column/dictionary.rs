//! Values by their position in a list of different ones, where that takes less room.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::hybrid::width_of;
use super::value::Value;

/// After so many values it is decided whether they repeat; fewer are looked at whole.
const SAMPLE: usize = 512;
/// Readers hold a dictionary whole, so it stays about as small as a page.
const MOST_BYTES: usize = 1024 * 1024;

/// The values of a column as codes.
#[derive(Debug)]
pub(super) struct Dictionary<V> {
    /// The different values, in the order in which they come.
    pub values: Vec<V>,
    /// The position of each value among those.
    pub codes: Vec<u32>,
}

impl<V: Value> Dictionary<V> {
    /// The dictionary of these values; `None` where more than two of three are different, or where it takes more room than they do.
    pub(super) fn of(values: &[V]) -> Option<Dictionary<V>> {
        if !V::IN_DICTIONARIES {
            return None;
        }
        let repeats = |different: usize, all: usize| different * 3 <= all * 2;
        let mut dictionary = Dictionary { values: Vec::new(), codes: Vec::with_capacity(values.len()) };
        let (mut keys, mut table) = (Vec::new(), HashTable::<u32>::new());
        let mut bytes = 0;
        // The value before, which is often the same.
        let mut last = None;
        for &value in values {
            if dictionary.codes.len() == SAMPLE && !repeats(dictionary.values.len(), SAMPLE) {
                return None;
            }
            let key = value.key();
            if let Some((_, _, code)) =
                last.filter(|(known, one, _): &(u128, V, u32)| *known == key && one.is_same(value))
            {
                dictionary.codes.push(code);
                continue;
            }
            let is_known = |code: &u32| {
                keys.get(*code as usize) == Some(&key)
                    && dictionary.values.get(*code as usize).is_some_and(|known: &V| known.is_same(value))
            };
            let rehash = |code: &u32| keys.get(*code as usize).map_or(0, |key| spread(*key));
            let code = match table.entry(spread(key), is_known, rehash) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    let code = dictionary.values.len() as u32;
                    entry.insert(code);
                    keys.push(key);
                    dictionary.values.push(value);
                    bytes += value.plain_bytes();
                    if bytes > MOST_BYTES {
                        return None;
                    }
                    code
                }
            };
            dictionary.codes.push(code);
            last = Some((key, value, code));
        }
        let is_small = repeats(dictionary.values.len(), values.len())
            && bytes + values.len() * dictionary.width() as usize / 8 < V::bytes_of(values);
        is_small.then_some(dictionary)
    }

    /// The bits of a code.
    pub(super) fn width(&self) -> u32 {
        width_of(self.values.len().saturating_sub(1) as u32)
    }
}

/// A key's bits, spread over all of a hash: both halves of the product of both halves.
fn spread(key: u128) -> u64 {
    let (first, last) = ((key >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15, key as u64 ^ 0xd1b5_4a32_d192_ed03);
    let product = u128::from(first) * u128::from(last);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_tells_texts_apart_by_length_and_by_each_byte() {
        let near = (0..40).flat_map(|length| {
            let base = "x".repeat(length);
            let others = (0..length).map(move |at| format!("{}y{}", "x".repeat(at), "x".repeat(length - at - 1)));
            std::iter::once(base).chain(others).chain([format!("{}\0", "x".repeat(length))])
        });
        let near = near.chain(["\0".repeat(2), "\0".repeat(9)]).collect::<std::collections::BTreeSet<_>>();
        let values = near.iter().flat_map(|text| [text.as_str(); 4]).collect::<Vec<_>>();
        let dictionary = Dictionary::of(&values).unwrap();
        assert_eq!(dictionary.values, near.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(dictionary.codes, (0..near.len() as u32).flat_map(|code| [code; 4]).collect::<Vec<_>>());
    }

    #[test]
    fn values_that_do_not_repeat_have_no_dictionary() {
        let numbers = |different: i64| (0..3000).map(|number| number % different).collect::<Vec<_>>();
        assert!(Dictionary::of(&numbers(300)).is_some());
        assert!(Dictionary::of(&numbers(400)).is_none(), "of 512, 400 are different");
        assert!(Dictionary::<i64>::of(&[]).is_none());
        assert!(Dictionary::of(&[7]).is_none());
        assert!(Dictionary::of(&[true; 1000]).is_none(), "Polars reads no dictionary of booleans");
        assert_eq!(Dictionary::of(&[0.0, -0.0, 0.0, -0.0]).unwrap().values.len(), 2, "two zeros");
        let long = (0..3000).map(|number| (number % 500).to_string().repeat(2000)).collect::<Vec<_>>();
        assert!(Dictionary::of(&long.iter().map(String::as_str).collect::<Vec<_>>()).is_none(), "too large");
    }
}
