//! One thread keeps the order: it hands out pages and parts, takes results back, and puts them in sequence.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use super::Context;
use super::part::{self, Finished};
use super::route::{Routed, route};
use super::workers::Workers;
use crate::commit::FileEntry;
use crate::config::{Memory, Source};
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::parse::Reject;
use crate::progress::Stage;
use crate::report::{DriftReport, Report};
use crate::shuffle::{Buffers, Index, Part};
use crate::source::api::{self, Ended, Fetched};
use crate::source::{Input, Page, Pages, Spares};

/// Pages that wait between the reader and the coordinator: one to take while the next is read.
const QUEUED_PAGES: usize = 2;

/// What a run produced, before it is committed.
#[derive(Debug)]
pub(super) struct Outcome {
    pub files: Vec<FileEntry>,
    pub report: Report,
    pub rejects: Rejects,
    /// Of a fetch: what is to be put away after the commit.
    pub fetched: Option<Ended>,
}

enum Event {
    Routed(Routed),
    Built { cost: usize, part: Result<Finished> },
}

enum Feed {
    /// Ends with `None`: without it the reader has died, and what it read is not all.
    Thread(Receiver<Option<Result<Page>>>),
    Inline(Box<Pages>),
}

enum Step {
    Page(Result<Page>),
    NoMorePages,
    Event(Event),
    Woken,
}

pub(super) struct Coordinator<'w> {
    context: Arc<Context>,
    workers: &'w Workers,
    feed: Feed,
    spares: Spares,
    fetched: Option<Fetched>,
    is_read: bool,
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// Pages being routed, in bytes, and those routed too early.
    page_bytes: usize,
    pages: usize,
    early_pages: BTreeMap<u64, Routed>,
    next_page: u64,
    buffers: Buffers,
    /// Parts that wait for memory, and the cost of those being built.
    waiting: VecDeque<Part>,
    build_bytes: usize,
    building: usize,
    early_parts: BTreeMap<u32, Finished>,
    next_part: u32,
    finished: Vec<Finished>,
    index: Index,
    rejects: Rejects,
    drift: Drift,
    report: Report,
}

impl<'w> Coordinator<'w> {
    pub(super) fn new(context: &Arc<Context>, workers: &'w Workers) -> Result<Coordinator<'w>> {
        let memory = context.config.memory;
        let folder = context.staging.folder();
        let (sender, events) = unbounded();
        let (feed, spares, fetched) = match &context.config.source {
            Source::Files(inputs) => {
                let (feed, spares) = read(inputs, context, workers.are_alone());
                (feed, spares, None)
            }
            Source::Api(config) => {
                let spool = (context.spool.as_path(), context.committed_spool.as_deref());
                let spares = Spares::default();
                let (pages, fetched) = api::fetch(config, spool, memory.page_bytes(), &spares, &context.progress)?;
                (Feed::Thread(pages), spares, Some(fetched))
            }
        };
        Ok(Coordinator {
            context: Arc::clone(context),
            workers,
            spares,
            feed,
            fetched,
            is_read: false,
            events,
            sender,
            page_bytes: 0,
            pages: 0,
            early_pages: BTreeMap::new(),
            next_page: 0,
            buffers: Buffers::new(memory.part_bytes(), memory.spill_bytes(), folder),
            waiting: VecDeque::new(),
            build_bytes: 0,
            building: 0,
            early_parts: BTreeMap::new(),
            next_part: 0,
            finished: Vec::new(),
            index: Index::new(memory.index_bytes(), folder),
            rejects: Rejects::new(folder),
            drift: Drift::default(),
            report: Report::default(),
        })
    }

    pub(super) fn run(mut self) -> Result<Outcome> {
        loop {
            if self.context.progress.check().is_err() {
                return self.stop();
            }
            self.start_parts();
            let limit = self.context.config.memory.page_bytes();
            let may_read = !self.is_read && self.waiting.is_empty() && self.page_bytes < limit;
            if self.is_read && self.pages == 0 && self.waiting.is_empty() && (self.building == 0 || self.has_room()) {
                // Everything is in the buffers: the rest of each partition is its last part.
                self.context.progress.enter(Stage::Building);
                if let Some(part) = self.buffers.drain() {
                    self.waiting.push_back(part);
                    continue;
                }
                if self.building == 0 {
                    break;
                }
            }
            match self.next_step(may_read) {
                Step::Page(page) => self.route(page?),
                Step::NoMorePages => self.is_read = true,
                Step::Event(Event::Routed(routed)) => self.take_routed(routed)?,
                Step::Event(Event::Built { cost, part }) => {
                    self.build_bytes -= cost;
                    self.building -= 1;
                    self.take_built(part?)?;
                }
                Step::Woken => {}
            }
        }
        self.finish()
    }

    /// Waits for what is in the workers' hands, so that nobody writes into the staging folder while it is removed.
    fn stop(self) -> Result<Outcome> {
        // Pages that were routed too early are in nobody's hands any more.
        for _ in 0..self.pages - self.early_pages.len() + self.building {
            if self.events.recv().is_err() {
                break;
            }
        }
        self.context.progress.check()?;
        Err(Error::Reader)
    }

    fn next_step(&mut self, may_read: bool) -> Step {
        match &mut self.feed {
            Feed::Inline(pages) => match self.events.try_recv() {
                Ok(event) => Step::Event(event),
                Err(_) => pages.next().map_or(Step::NoMorePages, Step::Page),
            },
            Feed::Thread(pages) if may_read => select! {
                recv(self.context.progress.woken()) -> _ => Step::Woken,
                recv(self.events) -> event => event.map_or(Step::NoMorePages, Step::Event),
                recv(pages) -> page => match page {
                    Ok(Some(page)) => Step::Page(page),
                    Ok(None) => Step::NoMorePages,
                    Err(_) => Step::Page(Err(Error::Reader)),
                },
            },
            Feed::Thread(_) => select! {
                recv(self.context.progress.woken()) -> _ => Step::Woken,
                recv(self.events) -> event => event.map_or(Step::NoMorePages, Step::Event),
            },
        }
    }

    fn route(&mut self, page: Page) {
        self.page_bytes += page.bytes.len();
        self.pages += 1;
        let (sender, spares, layout) = (self.sender.clone(), self.spares.clone(), self.context.config.layout);
        self.workers.spawn(move || {
            let routed = route(&page, layout);
            spares.give(page);
            // Without a receiver the run has failed, and nobody waits for this.
            let _ = sender.send(Event::Routed(routed));
        });
    }

    fn take_routed(&mut self, routed: Routed) -> Result<()> {
        self.early_pages.insert(routed.sequence, routed);
        while let Some(routed) = self.early_pages.remove(&self.next_page) {
            self.next_page += 1;
            self.pages -= 1;
            self.page_bytes -= routed.bytes;
            self.report.input_bytes += routed.input_bytes;
            self.report.tasks_read += routed.tasks + routed.rejects.len() as u64;
            self.rejects.of_pages(&routed.rejects, &self.context.input_names)?;
            let bytes = routed.pieces.iter().map(|(_, frames)| frames.len() as u64).sum();
            self.context.progress.routed(bytes, routed.tasks);
            for (key, frames) in routed.pieces {
                self.waiting.extend(self.buffers.add(key, frames)?);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.build_bytes < self.context.config.memory.build_bytes() && self.building < self.most_parts()
    }

    /// Parts being built at a time. A thread that waits for the columns of its part takes up the next part meanwhile, on the same
    /// stack: so there must not be many to take. Twice the threads, so that none waits for this one to hand out the next.
    fn most_parts(&self) -> usize {
        self.context.config.threads * 2
    }

    fn start_parts(&mut self) {
        while let Some(part) = self.waiting.pop_front() {
            let cost = Memory::cost_of_part(part.bytes);
            let is_over = self.build_bytes + cost > self.context.config.memory.build_bytes();
            if self.building > 0 && (is_over || self.building >= self.most_parts()) {
                self.waiting.push_front(part);
                return;
            }
            self.build_bytes += cost;
            self.building += 1;
            let (sender, context) = (self.sender.clone(), Arc::clone(&self.context));
            self.workers.spawn(move || {
                let bytes = part.bytes as u64;
                let built = part::build(part, &context);
                context.progress.built(bytes);
                let _ = sender.send(Event::Built { cost, part: built });
            });
        }
    }

    fn take_built(&mut self, part: Finished) -> Result<()> {
        self.early_parts.insert(part.number, part);
        while let Some(mut part) = self.early_parts.remove(&self.next_part) {
            self.next_part += 1;
            self.report.superseded += part.superseded;
            self.report.replaced_surrogates += part.replaced_surrogates;
            self.rejects.of_parts(&part.rejects, &self.context.input_names)?;
            part.rejects = Vec::new();
            self.drift.merge(std::mem::take(&mut part.drift));
            let folder = self.context.staging.folder();
            for (identity, position) in std::mem::take(&mut part.identities) {
                let added = self.index.add(part.key.dataset, identity, position, part.number);
                added.map_err(Error::file("spill to", folder))?;
            }
            self.finished.push(part);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome> {
        self.report.spilled_bytes = self.buffers.spilled_bytes();
        tracing::info!(parts = self.finished.len(), spilled_bytes = self.report.spilled_bytes, "all parts are staged");
        let folder = self.context.staging.folder().to_owned();
        let failed = || Error::file("read back what was spilled to", &folder);
        let mut losers = self.index.losers().map_err(failed())?;
        let mut next = losers.next_loser().map_err(failed())?;
        while let Some(first) = next {
            let mut identities = HashSet::new();
            while let Some(loser) = next.filter(|loser| loser.part == first.part) {
                identities.insert(loser.identity);
                next = losers.next_loser().map_err(failed())?;
            }
            let Some(part) = self.finished.get_mut(first.part as usize) else {
                continue;
            };
            if part.key.dataset == crate::table::Dataset::Tasks {
                self.report.superseded += identities.len() as u64;
            }
            self.workers.run(|| part::remove(part, &identities, &self.context))?;
        }
        self.report.drift = DriftReport::of(self.drift);
        self.report.parts = self.finished.len() as u64;
        self.report.rejected = self.rejects.count;
        let files = self.finished.into_iter().flat_map(|part| part.files).collect();
        let fetched = self.fetched.map(Fetched::end).transpose()?;
        Ok(Outcome { files, report: self.report, rejects: self.rejects, fetched })
    }
}

fn read(inputs: &[Input], context: &Context, is_alone: bool) -> (Feed, Spares) {
    let pages = Pages::new(inputs.to_vec(), &context.progress);
    let spares = pages.spares();
    // A pipe can be silent for long, and somebody may want to stop meanwhile.
    let is_inline = is_alone && inputs.iter().all(|input| input.size().is_some());
    (if is_inline { Feed::Inline(Box::new(pages)) } else { Feed::Thread(read_ahead(pages)) }, spares)
}

fn read_ahead(pages: Pages) -> Receiver<Option<Result<Page>>> {
    let (sender, receiver) = bounded(QUEUED_PAGES);
    std::thread::spawn(move || {
        for page in pages.map(Some).chain([None]) {
            if sender.send(page).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The rejects of a run: first those of pages in the order of the pages, then those of parts in the order of the parts, so that
/// the file doesn't depend on threads.
#[derive(Debug)]
pub(super) struct Rejects {
    folder: PathBuf,
    pages: Option<BufWriter<File>>,
    parts: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    fn new(folder: &Path) -> Rejects {
        Rejects { folder: folder.to_owned(), pages: None, parts: None, count: 0 }
    }

    fn of_pages(&mut self, rejects: &[Reject], names: &[String]) -> Result<()> {
        self.count += rejects.len() as u64;
        append(&mut self.pages, rejects, names, &self.folder)
    }

    fn of_parts(&mut self, rejects: &[Reject], names: &[String]) -> Result<()> {
        self.count += rejects.len() as u64;
        append(&mut self.parts, rejects, names, &self.folder)
    }

    /// Writes the reject file of the run; `None` where there are no rejects.
    pub(super) fn publish(self, path: &Path) -> Result<Option<PathBuf>> {
        if self.count == 0 {
            return Ok(None);
        }
        self.copy_to(path).map_err(Error::file("write", path))?;
        Ok(Some(path.to_owned()))
    }

    fn copy_to(self, path: &Path) -> io::Result<()> {
        // Rejects are the customer's data as it came: for the owner's eyes.
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        for spool in [self.pages, self.parts].into_iter().flatten() {
            let mut spool = spool.into_inner()?;
            spool.rewind()?;
            io::copy(&mut spool, &mut file)?;
        }
        file.sync_all()
    }
}

fn append(to: &mut Option<BufWriter<File>>, rejects: &[Reject], names: &[String], folder: &Path) -> Result<()> {
    let failed = || Error::file("write rejects to", folder);
    if rejects.is_empty() {
        return Ok(());
    }
    let spool = match to {
        Some(spool) => spool,
        None => to.insert(BufWriter::new(tempfile::tempfile_in(folder).map_err(failed())?)),
    };
    for reject in rejects {
        let name = names.get(reject.origin.input as usize).map_or("-", String::as_str);
        let line = reject.to_line(name).map_err(|source| Error::Json { action: "write a reject", source })?;
        writeln!(spool, "{line}").map_err(failed())?;
    }
    Ok(())
}
