//! The stream of blocks: pieces of the inputs that hold whole records.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::framing::{Framing, ValueCutter};
use super::input::{Input, Text};
use super::originals::Originals;
use crate::error::{Error, Result};
use crate::json::scan;
use crate::progress::Progress;

/// A longer record is set aside unread: a Parquet value and an Arrow string end at 2 GiB.
pub const MAX_RECORD_BYTES: usize = i32::MAX as usize;

/// Bytes that a block aims at: large enough to outweigh the hand-over between threads, small enough for a core's cache.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Bytes after which a reader tells how far it is: a slow pipe takes long for a block.
const COUNTED_BYTES: usize = 128 * 1024;

/// Bytes kept of a record that is too long.
const KEPT_OF_OVERSIZED_BYTES: usize = 1024 * 1024;

/// Where a record lies in a block and in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its bytes in the block.
    pub range: Range<usize>,
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its whole length, where the block holds only its beginning because it is too long.
    pub oversized_bytes: Option<u64>,
}

/// A piece of one input that holds whole records.
#[derive(Debug)]
pub struct Block {
    /// Position among all blocks of the run, from 0.
    pub sequence: u64,
    /// Position of the input among the inputs of the run, from 0.
    pub input: u32,
    /// Byte of the (decompressed) input at which the block begins.
    pub byte: u64,
    /// Line of the input at which the block begins, from 1.
    pub line: u64,
    /// Bytes of the input that it stands for: more than it has where a record is too long to be held.
    pub input_bytes: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The records, where they are values; otherwise each line is one.
    pub values: Option<Vec<Span>>,
    /// Whether they can be read again where they stand in the input.
    pub is_kept: bool,
}

impl Block {
    /// The records of the block. Blank lines are none.
    pub fn records(&self) -> Vec<Span> {
        self.values.clone().unwrap_or_else(|| lines(&self.bytes, self.line))
    }
}

fn lines(bytes: &[u8], first_line: u64) -> Vec<Span> {
    let mut records = Vec::new();
    let mut start = 0;
    for (index, end) in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]).enumerate() {
        let line = bytes.get(start..end).unwrap_or_default();
        let begin = start + scan::skip_white_space(line, 0);
        let length = bytes.get(begin..end).unwrap_or_default().trim_ascii_end().len();
        if length > 0 {
            records.push(Span { range: begin..begin + length, line: first_line + index as u64, oversized_bytes: None });
        }
        start = end + 1;
    }
    records
}

/// Buffers of blocks that were read and are used up, for the blocks to come: fresh memory would have to be cleared by the system
/// first, a block at a time.
#[derive(Clone, Debug)]
pub struct Spares {
    buffers: Receiver<Vec<u8>>,
    give: Sender<Vec<u8>>,
}

/// Spare buffers that are kept.
const KEPT_SPARES: usize = 32;

impl Default for Spares {
    fn default() -> Spares {
        let (give, buffers) = bounded(KEPT_SPARES);
        Spares { buffers, give }
    }
}

impl Spares {
    /// Gives a block's buffer back. Small ones are no gain, and unusually large ones are let go.
    pub fn give(&self, block: Block) {
        if (BLOCK_BYTES..=4 * BLOCK_BYTES).contains(&block.bytes.capacity()) {
            let _ = self.give.try_send(block.bytes);
        }
    }

    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        let mut buffer = self.buffers.try_recv().unwrap_or_default();
        buffer.clear();
        buffer
    }
}

/// Reads the inputs one after the other.
pub struct Blocks {
    spares: Spares,
    originals: Originals,
    inputs: VecDeque<Input>,
    progress: Arc<Progress>,
    opened: u32,
    current: Option<Open>,
    sequence: u64,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Blocks").field("inputs", &self.inputs).field("sequence", &self.sequence).finish()
    }
}

struct Open {
    name: String,
    /// Whether it can be read again.
    is_kept: bool,
    stream: Box<dyn Read + Send>,
    /// Where its bytes count as read, unless they do already. A stream that counts itself would have to be given cleared memory.
    counts: Option<Arc<Progress>>,
    /// Bytes read and not yet handed out.
    held: Vec<u8>,
    is_all: bool,
    byte: u64,
    line: u64,
    framing: Option<Framing>,
    cutter: ValueCutter,
    /// Records found in `held`, and how far it was searched.
    found: Vec<Range<usize>>,
    searched: usize,
}

impl Blocks {
    /// Will read these inputs in this order, and count what it reads.
    pub fn new(inputs: Vec<Input>, progress: &Arc<Progress>) -> Blocks {
        let progress = Arc::clone(progress);
        let originals = Originals::of(&inputs);
        let (spares, inputs) = (Spares::default(), inputs.into());
        Blocks { spares, originals, inputs, progress, opened: 0, current: None, sequence: 0 }
    }

    /// Where used blocks can be given back.
    pub fn spares(&self) -> Spares {
        self.spares.clone()
    }

    /// What can be read again of the inputs.
    pub fn originals(&self) -> Originals {
        self.originals.clone()
    }

    fn next_block(&mut self) -> Result<Option<Block>> {
        loop {
            if self.current.is_none() {
                let Some(input) = self.inputs.pop_front() else {
                    return Ok(None);
                };
                self.current = Some(Open::new(&input, self.opened, &self.originals, &self.progress)?);
                self.opened += 1;
            }
            let Some(open) = self.current.as_mut() else {
                return Ok(None);
            };
            if let Some(block) = open.next_block(self.sequence, self.opened - 1, &self.spares)? {
                self.sequence += 1;
                return Ok(Some(block));
            }
            self.current = None;
        }
    }
}

impl Iterator for Blocks {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Result<Block>> {
        let _timed = tracing::info_span!("read").entered();
        self.next_block().transpose()
    }
}

impl Open {
    fn new(input: &Input, position: u32, originals: &Originals, progress: &Arc<Progress>) -> Result<Open> {
        let name = input.name();
        tracing::info!(input = name, "reading");
        let Text { stream, mark_bytes: byte, framing, original, is_counted } = input.open(progress)?;
        let counts = (!is_counted).then(|| Arc::clone(progress));
        counts.iter().for_each(|progress| progress.read(byte));
        let is_kept = original.is_some_and(|file| originals.keep(position, file, input.name()));
        Ok(Open {
            name,
            is_kept,
            stream,
            counts,
            held: Vec::new(),
            is_all: false,
            byte,
            line: 1,
            framing,
            cutter: ValueCutter::default(),
            found: Vec::new(),
            searched: 0,
        })
    }

    fn next_block(&mut self, sequence: u64, input: u32, spares: &Spares) -> Result<Option<Block>> {
        let mut wanted = BLOCK_BYTES;
        loop {
            self.fill(wanted).map_err(|source| Error::Input { input: self.name.clone(), source })?;
            if self.framing.is_none() {
                self.framing = Framing::detect(&self.held, self.is_all);
            }
            if let Some(end) = self.framing.and_then(|framing| self.block_end(framing)) {
                return Ok(self.hand_out(end, sequence, input, spares));
            }
            if self.held.len() > MAX_RECORD_BYTES {
                let block = self.oversized(sequence, input);
                return block.map(Some).map_err(|source| Error::Input { input: self.name.clone(), source });
            }
            wanted = (self.held.len() * 2).min(MAX_RECORD_BYTES + 1);
        }
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        self.held.reserve(wanted.saturating_sub(self.held.len()));
        while self.held.len() < wanted && !self.is_all {
            let missing = (wanted - self.held.len()).min(COUNTED_BYTES);
            let read = self.stream.by_ref().take(missing as u64).read_to_end(&mut self.held)?;
            self.counts.iter().for_each(|progress| progress.read(read as u64));
            self.is_all = read < missing;
        }
        Ok(())
    }

    /// Where the last whole record of what is held ends; `None` where there is none yet.
    fn block_end(&mut self, framing: Framing) -> Option<usize> {
        match framing {
            Framing::Lines if self.is_all => Some(self.held.len()),
            Framing::Lines => {
                let unsearched = self.held.get(self.searched..).unwrap_or_default();
                let end = memchr::memrchr(b'\n', unsearched).map(|at| self.searched + at + 1);
                self.searched = self.held.len();
                end
            }
            Framing::Values => {
                self.searched = self.cutter.cut(&self.held, self.searched, self.is_all, &mut self.found);
                if self.is_all {
                    let rest = scan::skip_white_space(&self.held, self.searched);
                    if rest < self.held.len() {
                        self.found.push(rest..self.held.len());
                    }
                    return Some(self.held.len());
                }
                self.found.last().map(|_| self.searched)
            }
        }
    }

    fn hand_out(&mut self, end: usize, sequence: u64, input: u32, spares: &Spares) -> Option<Block> {
        if end == 0 && self.found.is_empty() {
            return None;
        }
        let rest = self.held.get(end..).unwrap_or_default();
        let mut held = spares.take();
        held.reserve(rest.len().max(BLOCK_BYTES));
        held.extend_from_slice(rest);
        let mut bytes = std::mem::replace(&mut self.held, held);
        bytes.truncate(end);
        if bytes.len() < bytes.capacity() / 2 {
            // Blocks wait and are counted by what they hold.
            bytes.shrink_to_fit();
        }
        self.cutter.rebase(end);
        self.searched = 0;
        let values = (self.framing == Some(Framing::Values)).then(|| self.spans(&bytes));
        let (byte, line, input_bytes) = (self.byte, self.line, end as u64);
        let block = Block { sequence, input, byte, line, input_bytes, bytes, values, is_kept: self.is_kept };
        self.byte += end as u64;
        self.line += memchr::memchr_iter(b'\n', &block.bytes).count() as u64;
        Some(block)
    }

    fn spans(&mut self, bytes: &[u8]) -> Vec<Span> {
        let mut line = self.line;
        let mut counted = 0;
        let mut span = |range: Range<usize>| {
            let passed = bytes.get(counted..range.start).unwrap_or_default();
            line += memchr::memchr_iter(b'\n', passed).count() as u64;
            counted = range.start;
            Span { range, line, oversized_bytes: None }
        };
        self.found.drain(..).map(&mut span).collect()
    }

    /// Reads past a record that is too long and keeps its beginning.
    fn oversized(&mut self, sequence: u64, input: u32) -> io::Result<Block> {
        let kept = self.held.get(..KEPT_OF_OVERSIZED_BYTES).unwrap_or_default().to_vec();
        let (byte, line) = (self.byte, self.line);
        loop {
            let end = self.record_end();
            let passed = end.unwrap_or(self.held.len());
            self.byte += passed as u64;
            self.line += memchr::memchr_iter(b'\n', self.held.get(..passed).unwrap_or_default()).count() as u64;
            self.held.drain(..passed);
            self.cutter.rebase(passed);
            self.searched = 0;
            if end.is_some() || self.is_all {
                break;
            }
            self.fill(BLOCK_BYTES)?;
        }
        let span = Span { range: 0..kept.len(), line, oversized_bytes: Some(self.byte - byte) };
        let input_bytes = self.byte - byte;
        Ok(Block { sequence, input, byte, line, input_bytes, bytes: kept, values: Some(vec![span]), is_kept: false })
    }

    fn record_end(&mut self) -> Option<usize> {
        match self.framing {
            Some(Framing::Values) => self.cutter.next_record(&self.held, 0, self.is_all).ok().map(|record| record.end),
            _ => memchr::memchr(b'\n', &self.held).map(|at| at + 1),
        }
    }
}
