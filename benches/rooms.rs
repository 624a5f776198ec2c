//! How fast the rooms are that work on every byte, each on one core: `cargo bench --bench rooms`.
//!
//! `open` and `flatten` are measured in bytes of JSON, `encode` in bytes of the columns in memory.

#![allow(missing_docs, reason = "criterion's macros declare functions without docs")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]

mod common;

use arrow::array::{Array, RecordBatch};
use common::{blocks, encode_tables, flatten_blocks, open_block};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use taskloom::internals::source::Block;
use taskloom::internals::table::Table;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn json_bytes(blocks: &[Block]) -> Throughput {
    Throughput::Bytes(blocks.iter().map(|block| block.input_bytes).sum())
}

fn column_bytes(batches: &[(&Table, RecordBatch)]) -> Throughput {
    let columns = batches.iter().flat_map(|(_, batch)| batch.columns());
    Throughput::Bytes(columns.map(|column| column.to_data().get_slice_memory_size().unwrap() as u64).sum())
}

fn bench_rows(criterion: &mut Criterion) {
    let blocks = blocks();
    let mut group = criterion.benchmark_group("json");
    group.throughput(json_bytes(&blocks));
    group.bench_function("open", |bencher| bencher.iter(|| blocks.iter().map(open_block).sum::<usize>()));
    group.bench_function("flatten", |bencher| bencher.iter(|| flatten_blocks(&blocks)));
    group.finish();
}

fn bench_files(criterion: &mut Criterion) {
    // Columns of a file are encoded side by side.
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let all = flatten_blocks(&blocks()).finish().unwrap();
    let mut group = criterion.benchmark_group("encode");
    for name in ["messages", "annotations", "all"] {
        let is_meant = |table: &Table| name == "all" || name == table.name;
        let batches = all.iter().filter(|(table, _)| is_meant(table)).cloned().collect::<Vec<_>>();
        group.throughput(column_bytes(&batches));
        group.bench_function(name, |bencher| one_thread.install(|| bencher.iter(|| encode_tables(&batches))));
    }
    group.finish();
}

criterion_group!(rooms, bench_rows, bench_files);
criterion_main!(rooms);
