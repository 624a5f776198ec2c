//! How fast the rooms are that work on every byte, each on one core: `cargo bench --bench rooms`.
//!
//! The data are 4 MB of generated tasks, about what a part has. `open` and `flatten` are measured in bytes of JSON, `encode` in
//! bytes of the columns in memory.

#![allow(missing_docs, reason = "criterion's macros declare functions without docs")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]

use std::hint::black_box;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::basic::ZstdLevel;
use taskloom::internals::batch::Tables;
use taskloom::internals::file::{Encoding, encode};
use taskloom::internals::flatten::{Workbench, flatten};
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::parse::{Item, Opener, Origin, Reject, Sink};
use taskloom::internals::partition::Layout;
use taskloom::internals::source::Block;
use taskloom::internals::table::{Dataset, Table};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Four blocks of about 1 MB, the size that the reader cuts.
fn blocks() -> Vec<Block> {
    let tasks = 50;
    let block = |sequence: u64| {
        let mut bytes = Vec::new();
        let options = GenerateOptions { tasks, first_task: sequence * tasks, ..GenerateOptions::default() };
        let input_bytes = generate(&options, &mut bytes).unwrap();
        Block { sequence, input: 0, byte: 0, line: 1, input_bytes, bytes, values: None }
    };
    (0..4).map(block).collect()
}

fn json_bytes(blocks: &[Block]) -> Throughput {
    Throughput::Bytes(blocks.iter().map(|block| block.input_bytes).sum())
}

#[derive(Default)]
struct Items<'a>(Vec<Item<'a>>);

impl<'a> Sink<'a> for Items<'a> {
    fn item(&mut self, item: Item<'a>) {
        self.0.push(item);
    }

    fn reject(&mut self, reject: Reject) {
        panic!("{reject:?}");
    }
}

/// Finds the records of a block, and in each what tells its partition.
fn open_block(block: &Block) -> usize {
    let opener = Opener::new(Layout::default());
    let mut items = Items::default();
    for span in block.records() {
        let origin = Origin { input: block.input, line: span.line, byte: span.range.start as u64 };
        opener.open(&block.bytes[span.range], origin, &mut items);
    }
    black_box(&items.0).len()
}

/// The rows of all tasks.
fn flatten_blocks(blocks: &[Block]) -> Tables {
    let mut tables = Tables::default();
    let mut bench = Workbench::default();
    for block in blocks {
        for span in block.records() {
            flatten(Dataset::Tasks, &[&block.bytes[span.range]], &mut tables, &bench).unwrap();
            bench.clear();
        }
    }
    tables
}

fn encode_tables(batches: &[(&Table, RecordBatch)]) -> usize {
    let encoding = Encoding { compression_level: ZstdLevel::try_new(3).unwrap() };
    let encoded = batches.iter().map(|(table, batch)| {
        encode(table, std::slice::from_ref(batch), encoding, Path::new("bench")).unwrap().bytes.len()
    });
    encoded.sum()
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
