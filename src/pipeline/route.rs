//! A page to the frames of its items, grouped by partition.

use std::collections::{BTreeMap, HashMap};

use crate::parse::{Item, Opener, Origin, Problem, Reject, Sink};
use crate::partition::{Key, Layout};
use crate::shuffle::{Frame, Position};
use crate::source::{MAX_RECORD_BYTES, Page, Span};
use crate::table::Dataset;

/// What came with one page.
#[derive(Debug)]
pub(super) struct Routed {
    pub sequence: u64,
    /// Bytes of the page.
    pub bytes: usize,
    /// Frames by partition, in the order in which partitions and pieces began.
    pub pieces: Vec<(Key, Vec<u8>)>,
    pub rejects: Vec<Reject>,
    /// Tasks among the items.
    pub tasks: u64,
}

/// A piece for a buffer has at most this, unless one item alone has more: parts are cut between pieces.
const PIECE_BYTES: usize = 1024 * 1024;

pub(super) fn route(page: &Page, layout: Layout) -> Routed {
    let mut sink = PageSink::new(page.sequence);
    let mut opener = Opener::new(layout);
    for span in page.records() {
        let origin = Origin {
            input: page.input,
            line: span.line,
            byte: page.byte + span.range.start as u64,
        };
        let record = page.bytes.get(span.range.clone()).unwrap_or_default();
        match span.oversized_bytes {
            Some(length) => sink.reject(Reject::new(origin, oversized(&span), record, length)),
            None => opener.open(record, origin, &mut sink),
        }
    }
    sink.finish(page.bytes.len())
}

fn oversized(span: &Span) -> Problem {
    let length = span.oversized_bytes.unwrap_or(0);
    Problem::here(format!(
        "expected a record of at most {MAX_RECORD_BYTES} bytes, found {length}"
    ))
}

struct PageSink {
    page: u64,
    next_index: u32,
    pieces: Vec<(Key, Vec<u8>)>,
    /// The piece of each partition that is still growing.
    growing: HashMap<Key, usize>,
    /// Expanded projects and batches repeat on every task: the last of the page stands for all.
    repeated: BTreeMap<(Dataset, String), Item<'static>>,
    rejects: Vec<Reject>,
    tasks: u64,
}

impl PageSink {
    fn new(page: u64) -> PageSink {
        PageSink {
            page,
            next_index: 0,
            pieces: Vec::new(),
            growing: HashMap::new(),
            repeated: BTreeMap::new(),
            rejects: Vec::new(),
            tasks: 0,
        }
    }

    fn append(&mut self, item: &Item<'_>) {
        let position = Position {
            page: self.page,
            index: self.next_index,
        };
        self.next_index += 1;
        let growing = self
            .growing
            .get(&item.key)
            .and_then(|piece| self.pieces.get_mut(*piece));
        match growing.filter(|(_, frames)| frames.len() + item.raw.len() <= PIECE_BYTES) {
            Some((_, frames)) => Frame::append(item, position, frames),
            None => {
                let mut frames = Vec::new();
                Frame::append(item, position, &mut frames);
                self.growing.insert(item.key.clone(), self.pieces.len());
                self.pieces.push((item.key.clone(), frames));
            }
        }
    }

    fn finish(mut self, bytes: usize) -> Routed {
        for item in std::mem::take(&mut self.repeated).into_values() {
            self.append(&item);
        }
        let PageSink {
            page,
            pieces,
            rejects,
            tasks,
            ..
        } = self;
        Routed {
            sequence: page,
            bytes,
            pieces,
            rejects,
            tasks,
        }
    }
}

impl Sink for PageSink {
    fn item(&mut self, item: Item<'_>) {
        match item.key.dataset {
            Dataset::Tasks => {
                self.tasks += 1;
                self.append(&item);
            }
            Dataset::DeliveryTasks => self.append(&item),
            dataset => {
                let owned = Item {
                    key: item.key,
                    id: item.id.into_owned().into(),
                    raw: item.raw.into_owned().into(),
                    origin: item.origin,
                };
                self.repeated.insert((dataset, owned.id.to_string()), owned);
            }
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }
}
