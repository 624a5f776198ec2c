//! What the benches of the rooms run: 4 MB of generated tasks, about what a part has, through each room on one core.

use std::hint::black_box;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::basic::ZstdLevel;
use taskloom::internals::batch::Tables;
use taskloom::internals::file::{Encoding, encode};
use taskloom::internals::flatten::{Workbench, flatten};
use taskloom::internals::generate::{GenerateOptions, generate};
use taskloom::internals::parse::{Item, Opener, Origin, Reject, Sink};
use taskloom::internals::partition::Layout;
use taskloom::internals::source::Block;
use taskloom::internals::table::{Dataset, Table};

/// Four blocks of about 1 MB, the size that the reader cuts.
pub fn blocks() -> Vec<Block> {
    let tasks = 50;
    let block = |sequence: u64| {
        let mut bytes = Vec::new();
        let options = GenerateOptions { tasks, first_task: sequence * tasks, ..GenerateOptions::default() };
        let input_bytes = generate(&options, &mut bytes).unwrap();
        Block { sequence, input: 0, byte: 0, line: 1, input_bytes, bytes, values: None, is_kept: false }
    };
    (0..4).map(block).collect()
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
pub fn open_block(block: &Block) -> usize {
    let opener = Opener::new(Layout::default());
    let mut items = Items::default();
    for span in block.records() {
        let origin = Origin { input: block.input, line: span.line, byte: span.range.start as u64 };
        opener.open(&block.bytes[span.range], origin, &mut items);
    }
    black_box(&items.0).len()
}

/// The rows of all tasks.
pub fn flatten_blocks(blocks: &[Block]) -> Tables {
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

/// The files of these tables; their bytes.
pub fn encode_tables(batches: &[(&Table, RecordBatch)]) -> usize {
    let encoding = Encoding { compression_level: ZstdLevel::try_new(3).unwrap() };
    let encoded = batches.iter().map(|(table, batch)| {
        encode(table, std::slice::from_ref(batch), encoding, Path::new("bench")).unwrap().bytes.len()
    });
    encoded.sum()
}
