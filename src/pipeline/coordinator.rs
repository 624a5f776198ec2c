//! One thread keeps the order: it hands out blocks and parts, takes results back, and puts them in sequence.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, select, unbounded};

use super::gathered::Gathered;
use super::group::{Grouped, group};
use super::rejects::Rejects;
use super::sequence::Sequence;
use super::workers::Workers;
use crate::attachment::Attachments;
use crate::config::{Memory, RunConfig};
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::parse::{Memberships, Reject, reject_without};
use crate::part::{PartEntry, PartWriter, Written};
use crate::partition::Layout;
use crate::progress::{Progress, Stage};
use crate::report::Report;
use crate::shuffle::{Buffers, Part};
use crate::source::{Block, Feed, Flow, Tail};

/// What a run works with.
pub(super) struct Tools<'r> {
    pub config: &'r RunConfig,
    pub layout: Layout,
    pub workers: &'r Workers,
    pub writer: PartWriter,
    /// Folder for what is put on disk on its way.
    pub scratch: &'r std::path::Path,
    pub progress: &'r Arc<Progress>,
    /// What must not come into the lake.
    pub forgotten: Option<Arc<Forgotten>>,
    /// What fetches the tasks' attachments.
    pub attachments: Option<Arc<Attachments>>,
}

/// What a run produced, before it is committed.
#[derive(Debug)]
pub(super) struct Produced {
    pub parts: Vec<PartEntry>,
    pub report: Report,
    pub rejects: Rejects,
    /// Tasks that brought bytes of attachments which the lake had not.
    pub renewed: HashSet<u128>,
    /// That tasks came with a delivery, left out because these are forgotten.
    pub left_out_memberships: Memberships,
    /// What the source keeps until the run has ended.
    pub tail: Option<Box<dyn Tail>>,
}

enum Event {
    Grouped(Result<Grouped>),
    Written { cost: usize, part: Result<Box<Written>> },
}

enum Step {
    Block(Result<Block>),
    NoMoreBlocks,
    Event(Event),
    Woken,
}

pub(super) struct Coordinator<'r> {
    tools: Tools<'r>,
    feed: Feed,
    is_read: bool,
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// Blocks in the workers' hands or too early, in bytes and in number; and how many there were in all.
    block_bytes: usize,
    blocks: usize,
    all_blocks: u64,
    grouped: Sequence<Grouped>,
    buffers: Buffers,
    /// Parts that wait for memory, and the cost of those being written; and how many there were in all.
    waiting: VecDeque<Part>,
    write_bytes: usize,
    writing: usize,
    all_parts: u64,
    written: Sequence<Written>,
    gathered: Gathered,
    rejects: Rejects,
    renewed: HashSet<u128>,
    left_out_memberships: Memberships,
    report: Report,
}

impl<'r> Coordinator<'r> {
    pub(super) fn new(tools: Tools<'r>, feed: Feed) -> Coordinator<'r> {
        let (memory, scratch) = (tools.config.memory, tools.scratch);
        let (sender, events) = unbounded();
        Coordinator {
            is_read: false,
            events,
            sender,
            block_bytes: 0,
            blocks: 0,
            all_blocks: 0,
            grouped: Sequence::of("block"),
            buffers: Buffers::new(memory.part_bytes(), memory.spill_bytes(), scratch, feed.originals.clone()),
            waiting: VecDeque::new(),
            write_bytes: 0,
            writing: 0,
            all_parts: 0,
            written: Sequence::of("part"),
            gathered: Gathered::new(memory.index_bytes(), scratch),
            rejects: Rejects::new(scratch, tools.config.source.names()),
            renewed: HashSet::new(),
            left_out_memberships: Memberships::new(),
            report: Report::default(),
            feed,
            tools,
        }
    }

    pub(super) fn run(mut self) -> Result<Produced> {
        loop {
            if self.tools.progress.check().is_err() {
                return self.stop();
            }
            self.write_parts();
            if self.is_read && self.blocks == 0 && self.waiting.is_empty() && (self.writing == 0 || self.has_room()) {
                // Everything is in the buffers: the rest of each partition is its last part.
                self.tools.progress.enter(Stage::Building);
                if let Some(part) = self.buffers.drain() {
                    self.waiting.push_back(part);
                    continue;
                }
                if self.writing == 0 {
                    break;
                }
            }
            match self.next_step() {
                Step::Block(block) => self.group(block?),
                Step::NoMoreBlocks => self.is_read = true,
                Step::Event(Event::Grouped(grouped)) => self.take_grouped(grouped?)?,
                Step::Event(Event::Written { cost, part }) => {
                    self.write_bytes -= cost;
                    self.writing -= 1;
                    self.take_written(*part?)?;
                }
                Step::Woken => {}
            }
        }
        self.finish()
    }

    /// Waits for what is in the workers' hands, so that nobody works for a run that has ended.
    fn stop(self) -> Result<Produced> {
        // Blocks that were grouped too early are in nobody's hands any more.
        for _ in 0..self.blocks - self.grouped.waiting() + self.writing {
            if self.events.recv().is_err() {
                break;
            }
        }
        self.tools.progress.check()?;
        Err(Error::Reader)
    }

    fn next_step(&mut self) -> Step {
        let has_room = self.block_bytes < self.tools.config.memory.block_bytes();
        let may_read = !self.is_read && self.waiting.is_empty() && has_room;
        match &mut self.feed.flow {
            Flow::Inline(blocks) => match self.events.try_recv() {
                Ok(event) => Step::Event(event),
                Err(_) => blocks.next().map_or(Step::NoMoreBlocks, Step::Block),
            },
            Flow::Thread(blocks) if may_read => select! {
                recv(self.tools.progress.woken()) -> _ => Step::Woken,
                recv(self.events) -> event => event.map_or(Step::NoMoreBlocks, Step::Event),
                recv(blocks) -> block => match block {
                    Ok(Some(block)) => Step::Block(block),
                    Ok(None) => Step::NoMoreBlocks,
                    Err(_) => Step::Block(Err(Error::Reader)),
                },
            },
            Flow::Thread(_) => select! {
                recv(self.tools.progress.woken()) -> _ => Step::Woken,
                recv(self.events) -> event => event.map_or(Step::NoMoreBlocks, Step::Event),
            },
        }
    }

    fn group(&mut self, block: Block) {
        self.block_bytes += block.bytes.len();
        self.blocks += 1;
        self.all_blocks += 1;
        let (sender, spares, layout) = (self.sender.clone(), self.feed.spares.clone(), self.tools.layout);
        let (forgotten, attachments) = (self.tools.forgotten.clone(), self.tools.attachments.clone());
        let job = move || {
            let grouped = group(&block, layout, forgotten.as_deref(), attachments.as_deref())?;
            spares.give(block);
            Ok(grouped)
        };
        // Without a receiver the run has failed, and nobody waits for this.
        self.tools.workers.spawn(job, move |grouped| drop(sender.send(Event::Grouped(grouped))));
    }

    fn take_grouped(&mut self, grouped: Grouped) -> Result<()> {
        self.grouped.push(grouped.sequence, grouped)?;
        while let Some(grouped) = self.grouped.pop() {
            self.blocks -= 1;
            self.block_bytes -= grouped.bytes;
            self.report.input_bytes += grouped.input_bytes;
            self.report.tasks_read += grouped.tasks + grouped.rejects.len() as u64 + grouped.forgotten;
            self.report.forgotten += grouped.forgotten;
            for (delivery, own) in grouped.forgotten_memberships {
                self.left_out_memberships.entry(delivery).or_default().extend(own);
            }
            self.rejects.of_block(&grouped.rejects)?;
            let bytes = grouped.bundles.iter().map(|bundle| bundle.bytes as u64).sum();
            self.tools.progress.buffered(bytes, grouped.tasks);
            for bundle in grouped.bundles {
                self.waiting.extend(self.buffers.add(bundle)?);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.write_bytes < self.tools.config.memory.build_bytes() && self.writing < self.most_parts()
    }

    /// Parts being written at a time. A thread that waits for the columns of its part takes up the next part meanwhile, on the same
    /// stack: so there must not be many to take. Twice the threads, so that none waits for this one to hand out the next.
    fn most_parts(&self) -> usize {
        self.tools.config.threads * 2
    }

    fn write_parts(&mut self) {
        while let Some(part) = self.waiting.pop_front() {
            let cost = Memory::cost_of_part(part.bytes);
            let is_over = self.write_bytes + cost > self.tools.config.memory.build_bytes();
            if self.writing > 0 && (is_over || self.writing >= self.most_parts()) {
                self.waiting.push_front(part);
                return;
            }
            self.write_bytes += cost;
            self.writing += 1;
            self.all_parts += 1;
            let (sender, writer, progress) =
                (self.sender.clone(), self.tools.writer.clone(), Arc::clone(self.tools.progress));
            let job = move || {
                let bytes = part.bytes as u64;
                let written = Box::new(writer.write(part, &progress)?);
                progress.built(bytes);
                Ok(written)
            };
            self.tools.workers.spawn(job, move |part| drop(sender.send(Event::Written { cost, part })));
        }
    }

    fn take_written(&mut self, part: Written) -> Result<()> {
        self.written.push(part.number.into(), part)?;
        while let Some(part) = self.written.pop() {
            self.report.superseded += part.superseded;
            self.report.replaced_surrogates += part.replaced_surrogates;
            self.renewed.extend(&part.renewed);
            self.rejects.of_part(&self.without_forgotten(&part.rejects))?;
            self.gathered.add(part)?;
        }
        Ok(())
    }

    /// Rejects as they may be kept.
    fn without_forgotten(&self, rejects: &[Reject]) -> Vec<Reject> {
        let without = |reject: &Reject| match &self.tools.forgotten {
            Some(forgotten) => reject_without(reject.clone(), forgotten),
            None => reject.clone(),
        };
        rejects.iter().map(without).collect()
    }

    fn finish(mut self) -> Result<Produced> {
        self.grouped.check_end(self.all_blocks)?;
        self.written.check_end(self.all_parts)?;
        self.report.spilled_bytes = self.buffers.spilled_bytes();
        self.report.parts = self.all_parts;
        self.report.rejected = self.rejects.count();
        tracing::info!(parts = self.all_parts, spilled_bytes = self.report.spilled_bytes, "all parts are written");
        let (workers, writer) = (self.tools.workers, &self.tools.writer);
        let (parts, superseded, drift) =
            self.gathered.finish(|part, identities| workers.run(|| writer.rewrite(part, identities)))?;
        self.report.superseded += superseded;
        self.report.drift = drift;
        if let Some(tail) = &mut self.feed.tail {
            tail.close()?;
        }
        self.report.attachments = self.tools.attachments.as_ref().and_then(|attachments| attachments.report());
        let Coordinator { report, rejects, renewed, left_out_memberships, feed, .. } = self;
        Ok(Produced { parts, report, rejects, renewed, left_out_memberships, tail: feed.tail })
    }
}
