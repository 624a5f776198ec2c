//! What every store must do.

use std::collections::BTreeSet;
use std::sync::Barrier;
#[cfg(feature = "buckets")]
use std::time::Duration;

use parquet::file::reader::{ChunkReader, Length};

use super::*;

/// Asks the same of each store.
fn each(check: impl Fn(&dyn Store)) {
    each_in_time(|store, _| check(store));
}

/// More than a lease.
#[cfg(feature = "buckets")]
const DAY: Duration = Duration::from_secs(25 * 60 * 60);

/// The same, with what lets pass the time after which a holder that is silent is dead.
fn each_in_time(check: impl Fn(&dyn Store, &dyn Fn())) {
    let folder = tempfile::tempdir().unwrap();
    check(&LocalStore::at(folder.path().join("not/there/yet")), &|| ());
    check(&MemoryStore::named("memory"), &|| ());
    check(&Faulty::new(&MemoryStore::named("memory"), |_, _| Fault::None), &|| ());
    #[cfg(feature = "buckets")]
    for place in ["", "a place/with=names%2F"] {
        let store = bucket::tests::in_memory(place);
        check(&store, &|| store.pass(DAY));
    }
    #[cfg(feature = "buckets")]
    for store in bucket::tests::of_servers() {
        check(&store, &|| store.pass(DAY));
    }
}

/// The paths of what is listed, but for what a store keeps for itself.
fn paths(store: &dyn Store, folder: &str) -> Vec<String> {
    let paths = store.list(folder).unwrap().into_iter().map(|listed| listed.path).collect::<Vec<_>>();
    assert_eq!(store.paths(folder).unwrap(), paths);
    paths
}

fn put(store: &dyn Store, path: &str, text: &str) -> Put {
    store.put_if_absent(path, text.as_bytes()).unwrap()
}

#[test]
fn what_was_put_is_got_listed_and_deleted() {
    each(|store| {
        assert_eq!((store.get("a/b").unwrap(), paths(store, ""), store.top().unwrap()), (None, vec![], vec![]));
        store.flush().unwrap();
        for path in ["a/b=1/x", "a/b=1/y", "a/b=10/x", "ab/x", "z"] {
            store.put(path, path.as_bytes()).unwrap();
        }
        store.flush().unwrap();
        assert_eq!(store.get("a/b=1/y").unwrap().unwrap(), b"a/b=1/y");
        assert_eq!(paths(store, "a"), ["a/b=1/x", "a/b=1/y", "a/b=10/x"]);
        assert_eq!(paths(store, "a/b=1"), ["a/b=1/x", "a/b=1/y"]);
        assert_eq!(store.paths_behind("a", "a/b=1/x").unwrap(), ["a/b=1/y", "a/b=10/x"]);
        assert_eq!(store.paths_behind("a", "a/b=1/w").unwrap().len(), 3);
        assert_eq!(store.paths_behind("none", "none/x").unwrap(), [""; 0]);
        assert!(store.has_any("a").unwrap() && store.has_any("a/b=1").unwrap());
        assert!(!store.has_any("none").unwrap() && !store.has_any("a/b").unwrap());
        assert_eq!(paths(store, "none"), [""; 0]);
        assert_eq!(store.list("z").unwrap().len(), usize::from(store.folder().is_some()), "a folder, not a file");
        assert_eq!(
            store.top().unwrap().into_iter().collect::<BTreeSet<_>>(),
            ["a", "ab", "z"].map(str::to_owned).into()
        );
        let listed = store.list("a/b=1").unwrap();
        assert!(listed.iter().all(|listed| listed.bytes == 7 && listed.modified.elapsed().unwrap().as_secs() < 60));
        store.delete("a/b=1/x").unwrap();
        store.delete("a/b=1/x").unwrap();
        store.delete("never/was").unwrap();
        assert_eq!(paths(store, "a"), ["a/b=1/y", "a/b=10/x"]);
        store.delete_each(&["a/b=1/y", "never/was", "a/b=10/x"].map(str::to_owned)).unwrap();
        store.delete_each(&[]).unwrap();
        assert_eq!(paths(store, ""), ["ab/x", "z"]);
    });
}

#[test]
fn of_many_who_put_one_name_one_does_it() {
    each(|store| (0..10).for_each(|round| check_winner(store, &format!("commits/{round}"))));
}

fn check_winner(store: &dyn Store, path: &str) {
    let barrier = Barrier::new(8);
    let texts: Vec<String> = (0..8).map(|number| format!("{number}").repeat(10_000)).collect();
    let done = std::thread::scope(|scope| {
        let puts = texts.iter().map(|text| {
            scope.spawn(|| {
                barrier.wait();
                matches!(put(store, path, text), Put::Done)
            })
        });
        let puts = puts.collect::<Vec<_>>();
        puts.into_iter().map(|put| put.join().unwrap()).collect::<Vec<_>>()
    });
    let winner = done.iter().position(|is_done| *is_done).unwrap();
    assert_eq!(done.iter().filter(|is_done| **is_done).count(), 1);
    assert_eq!(store.get(path).unwrap().unwrap(), texts[winner].as_bytes());
}

#[test]
fn what_is_there_is_not_put_again_unless_it_is_replaced() {
    each(|store| {
        assert!(matches!(put(store, "a/1", "first"), Put::Done));
        assert!(matches!(put(store, "a/1", "second"), Put::Exists));
        let files = [("a/1", "third"), ("a/2", "third")].map(|(path, text)| (path.to_owned(), text.into()));
        let puts = store.put_each_if_absent(&files).unwrap();
        assert!(matches!(puts.as_slice(), [Put::Exists, Put::Done]), "{puts:?}");
        assert_eq!(store.get("a/1").unwrap().unwrap(), b"first");
        store.replace("a/1", b"fourth").unwrap();
        store.replace("b/1", b"fourth").unwrap();
        store.put_private("c/1", &mut b"fifth".as_slice()).unwrap();
        for _ in 0..2 {
            store.put_named("d/1", &mut b"sixth".as_slice()).unwrap();
        }
        store.flush().unwrap();
        let texts = ["a/1", "a/2", "b/1", "c/1", "d/1"]
            .map(|path| String::from_utf8(store.get(path).unwrap().unwrap()).unwrap());
        assert_eq!(texts, ["fourth", "third", "fourth", "fifth", "sixth"]);
        let left = paths(store, "").into_iter().filter(|path| path.contains("drafts")).collect::<Vec<_>>();
        assert_eq!(left, [""; 0]);
    });
}

#[test]
fn files_are_read_in_pieces() {
    each(|store| {
        let bytes: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
        store.put("a/file", &bytes).unwrap();
        let blob = store.open("a/file").unwrap().unwrap();
        assert_eq!(blob.len(), 100_000);
        assert_eq!(blob.get_bytes(50_000, 1000).unwrap(), bytes[50_000..51_000]);
        let mut tail = Vec::new();
        blob.get_read(99_000).unwrap().read_to_end(&mut tail).unwrap();
        assert_eq!(tail, bytes[99_000..]);
        assert!(blob.get_bytes(99_999, 2).is_err(), "a file that ends too early");
        assert!(store.open("a/other").unwrap().is_none());
        // Who has opened a file reads on, whatever becomes of its name.
        store.delete("a/file").unwrap();
        assert_eq!(blob.get_bytes(0, 10).unwrap(), bytes[..10]);
    });
}

#[test]
fn a_hold_ends_with_its_holder() {
    each_in_time(|store, pass| {
        let hold = store.hold("running/1", b"me").unwrap();
        assert_eq!(store.get("running/1").unwrap().unwrap(), b"me");
        assert!(store.take_hold("running/1").unwrap().is_none());
        assert!(store.take_hold("running/2").unwrap().is_none());
        drop(hold);
        pass();
        let taken = store.take_hold("running/1").unwrap();
        // Two may look after one dead run: what they do is the same.
        assert!(taken.is_some() && (store.requests().is_some() || store.take_hold("running/1").unwrap().is_none()));
        drop(taken);
        store.delete("running/1").unwrap();
        assert!(store.take_hold("running/1").unwrap().is_none());
    });
}

#[test]
fn a_folder_goes_with_its_last_file_and_comes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::at(folder.path().join("lake"));
    store.put("a/b=1/x", b"1").unwrap();
    store.delete("a/b=1/x").unwrap();
    assert!(!folder.path().join("lake/a").exists() && folder.path().join("lake").exists());
    // Beside one who takes folders away as soon as they are empty.
    std::thread::scope(|scope| {
        for name in ["x", "y"] {
            let store = &store;
            scope.spawn(move || {
                for number in 0..500 {
                    store.put(&format!("a/b=1/{name}"), b"1").unwrap();
                    assert!(matches!(put(store, &format!("a/b=1/{name}{number}"), "1"), Put::Done));
                    store.delete(&format!("a/b=1/{name}{number}")).unwrap();
                    store.delete(&format!("a/b=1/{name}")).unwrap();
                }
            });
        }
    });
    assert_eq!(paths(&store, "a"), [""; 0]);
}
