//! Lakes in memory, and runs into them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskloom::internals::config::RunConfig;
use taskloom::internals::error::Result;
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::lake::Lake;
use taskloom::internals::report::Report;
use taskloom::internals::store::{MemoryStore, Store};

use crate::lakes::{config, run};

/// Generated tasks in a file.
pub fn input(folder: &Path, seed: u64, tasks: u64) -> PathBuf {
    let input = folder.join(format!("input{seed}.ndjson"));
    let mut file = std::fs::File::create(&input).unwrap();
    generate(&GenerateOptions { tasks, seed, partitions: 2, ..Default::default() }, &mut file).unwrap();
    input
}

/// A run into a store, by one thread, so that its operations come in the same order each time.
pub fn run_on(store: &Arc<dyn Store>, input: &Path, is_overwrite: bool) -> Result<Report> {
    let lake = Lake::on(Arc::clone(store));
    let out = input.parent().unwrap();
    run(RunConfig { lake, is_overwrite, threads: 1, work_dir: None, ..config(input, out) })
}

/// The same files in a store of their own.
pub fn copy(of: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::named("copy");
    for listed in of.list("").unwrap() {
        copy.put(&listed.path, &of.get(&listed.path).unwrap().unwrap()).unwrap();
    }
    copy
}

/// The lake in a store.
pub fn lake_in(store: &MemoryStore) -> Lake {
    Lake::on(Arc::new(store.clone()))
}
