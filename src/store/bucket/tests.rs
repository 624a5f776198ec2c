//! A bucket in memory, for what every store must do, and what only a bucket does.

use object_store::memory::InMemory;

use super::*;

/// A place in a bucket of its own.
pub(in crate::store) fn in_memory(place: &str) -> BucketStore {
    let objects = Arc::new(InMemory::new());
    let connected = Connected {
        objects: Arc::clone(&objects) as _,
        parts: objects,
        unfinished: None,
        root: Path::parse(place).unwrap(),
    };
    BucketStore::over(connected, PathBuf::from("memory://"), &StoreOptions::default(), Observed::default()).unwrap()
}

/// Places of their own in the buckets of the servers that `tests/servers.py` has started: a line each, of an address and settings.
pub(in crate::store) fn of_servers() -> Vec<BucketStore> {
    let lines = std::env::var("TASKLOOM_TEST_STORES").unwrap_or_default();
    let stores = lines.lines().map(|line| {
        let mut words = line.split(' ');
        let address = format!("{}/{}", words.next().unwrap(), uuid::Uuid::new_v4());
        let settings = words.map(|word| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
        let settings = settings.collect::<Option<_>>().unwrap();
        BucketStore::at(&address, &StoreOptions { settings, ..StoreOptions::default() }).unwrap()
    });
    stores.collect()
}

impl BucketStore {
    /// Some time passes in the store.
    pub(in crate::store) fn pass(&self, time: Duration) {
        self.observed.pass(time);
    }
}

#[test]
fn a_large_file_is_put_and_read_in_pieces() {
    std::iter::once(in_memory("lake")).chain(of_servers()).for_each(|store| check_large(&store));
}

fn check_large(store: &BucketStore) {
    let bytes = (0..LARGE + PART + 12_345).map(|number| (number / 7 % 253) as u8).collect::<Vec<_>>();
    store.put("a/large", &bytes).unwrap();
    assert_eq!(store.get("a/large").unwrap().unwrap(), bytes, "on its way it is waited for");
    store.put_private("b/large", &mut bytes.as_slice()).unwrap();
    assert_eq!(store.get("b/large").unwrap().unwrap(), bytes);
    let blob = store.open("a/large").unwrap().unwrap();
    let across = PIECE as usize * 3 - 10..PIECE as usize * 5 + 10;
    use parquet::file::reader::{ChunkReader, Length};
    assert_eq!(blob.len(), bytes.len() as u64);
    assert_eq!(blob.get_bytes(across.start as u64, across.len()).unwrap(), bytes[across]);
    assert_eq!(blob.get_bytes(bytes.len() as u64 - 5, 5).unwrap(), bytes[bytes.len() - 5..]);
    assert!(blob.get_bytes(bytes.len() as u64 - 5, 6).is_err());
}
