//! A block to the frames of its items, grouped by partition.

use std::collections::{BTreeMap, HashMap};

use crate::attachment::Attachments;
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::parse::{Item, Memberships, Opener, Origin, Problem, Reject, Sieve, Sink};
use crate::partition::{Key, Layout};
use crate::shuffle::{Bundle, Frame, Position};
use crate::source::{Block, MAX_RECORD_BYTES, Span};
use crate::table::Dataset;

/// What came with one block.
#[derive(Debug)]
pub(super) struct Grouped {
    pub sequence: u64,
    /// Bytes of the block.
    pub bytes: usize,
    /// Bytes of the input that it stood for.
    pub input_bytes: u64,
    /// Frames by partition, in the order in which partitions and bundles began.
    pub bundles: Vec<Bundle>,
    pub rejects: Vec<Reject>,
    /// Tasks among the items.
    pub tasks: u64,
    /// Tasks that were left out because the lake is to forget them.
    pub forgotten: u64,
    /// That such tasks came with a delivery.
    pub forgotten_memberships: Memberships,
}

/// A bundle for a buffer has at most this, unless one item alone has more: parts are cut between bundles.
const BUNDLE_BYTES: usize = 1024 * 1024;

/// Opens the records of a block, and brings the items of each partition together.
pub(super) fn group(
    block: &Block,
    layout: Layout,
    forgotten: Option<&Forgotten>,
    attachments: Option<&Attachments>,
) -> Result<Grouped> {
    let _timed = tracing::info_span!("group").entered();
    let opener = Opener::new(layout);
    let mut sink = Sieve::new(forgotten, BlockSink::default());
    for span in block.records() {
        let origin = Origin { input: block.input, line: span.line, byte: block.byte + span.range.start as u64 };
        let record = block.bytes.get(span.range.clone()).ok_or_else(|| Error::Bug {
            place: "pipeline::group",
            found: format!("a record at {:?} of {} bytes", span.range, block.bytes.len()),
        })?;
        match span.oversized_bytes {
            Some(length) => sink.reject(Reject::new(origin, oversized(&span), record, length)),
            None => opener.open(record, origin, &mut sink),
        }
    }
    let (forgotten, forgotten_memberships) = (sink.tasks, std::mem::take(&mut sink.memberships));
    let sink = sink.into_inner();
    if let Some(attachments) = attachments {
        let tasks = sink.items.iter().filter(|item| item.key.dataset == Dataset::Tasks);
        tasks.for_each(|task| attachments.expect(&task.raw));
    }
    Ok(Grouped { forgotten, forgotten_memberships, ..sink.finish(block) })
}

fn oversized(span: &Span) -> Problem {
    let length = span.oversized_bytes.unwrap_or(0);
    Problem::here(format!("expected a record of at most {MAX_RECORD_BYTES} bytes, found {length}"))
}

/// The items of a block, while it is read.
#[derive(Default)]
struct BlockSink<'a> {
    items: Vec<Item<'a>>,
    /// Projects, batches and deliveries repeat on every task that is expanded: one that is as before is left out.
    repeated: BTreeMap<(Dataset, String), Vec<Item<'a>>>,
    rejects: Vec<Reject>,
    tasks: u64,
}

/// Items of one partition that will lie together.
struct Piece<'i, 'a> {
    key: &'i Key,
    items: Vec<(u32, &'i Item<'a>)>,
    bytes: usize,
}

impl BlockSink<'_> {
    fn finish(mut self, block: &Block) -> Grouped {
        self.items.extend(std::mem::take(&mut self.repeated).into_values().flatten());
        let bundle = |piece: Piece<'_, '_>| {
            let is_left = |item: &Item<'_>| item.raw.len() >= LEAST_LEFT_BYTES && stands_at_origin(item, block);
            let held = |item: &Item<'_>| if is_left(item) { Frame::bytes_left(item) } else { Frame::bytes(item) };
            let bytes = piece.items.iter().map(|(_, item)| held(item)).sum();
            // Of just the size that it needs: bundles may be held for long.
            let mut frames = Vec::with_capacity(bytes);
            for (index, item) in piece.items {
                let position = Position { block: block.sequence, index };
                let append = if is_left(item) { Frame::append_left } else { Frame::append };
                append(item, position, &mut frames);
            }
            Bundle { key: piece.key.clone(), frames, bytes: piece.bytes }
        };
        Grouped {
            sequence: block.sequence,
            bytes: block.bytes.len(),
            input_bytes: block.input_bytes,
            bundles: pieces(&self.items).into_iter().map(bundle).collect(),
            rejects: self.rejects,
            tasks: self.tasks,
            forgotten: 0,
            forgotten_memberships: Memberships::new(),
        }
    }
}

/// A shorter text is carried along: to read it again would cost more.
const LEAST_LEFT_BYTES: usize = 4096;

/// Whether the text of an item can be read again where it came from.
fn stands_at_origin(item: &Item<'_>, block: &Block) -> bool {
    let at = item.origin.byte.checked_sub(block.byte).filter(|_| block.is_kept);
    let found = at.and_then(|at| block.bytes.get(usize::try_from(at).ok()?..));
    // The very same bytes, not equal ones: a text that was put together stands nowhere.
    found.is_some_and(|found| std::ptr::eq(found.as_ptr(), item.raw.as_ptr()))
}

fn pieces<'i, 'a>(items: &'i [Item<'a>]) -> Vec<Piece<'i, 'a>> {
    let mut pieces: Vec<Piece<'i, 'a>> = Vec::new();
    let mut growing: HashMap<&Key, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let bytes = Frame::bytes(item);
        let piece = growing.get(&item.key).and_then(|piece| pieces.get_mut(*piece));
        match piece.filter(|piece| piece.bytes + bytes <= BUNDLE_BYTES) {
            Some(piece) => {
                piece.items.push((index as u32, item));
                piece.bytes += bytes;
            }
            None => {
                growing.insert(&item.key, pieces.len());
                pieces.push(Piece { key: &item.key, items: vec![(index as u32, item)], bytes });
            }
        }
    }
    pieces
}

impl<'a> Sink<'a> for BlockSink<'a> {
    fn item(&mut self, item: Item<'a>) {
        match item.key.dataset {
            Dataset::Tasks => {
                self.tasks += 1;
                self.items.push(item);
            }
            Dataset::DeliveryTasks => self.items.push(item),
            dataset => {
                let copies = self.repeated.entry((dataset, item.id.to_string())).or_default();
                if copies.last().is_none_or(|last| last.raw != item.raw) {
                    copies.push(item);
                }
            }
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }
}
