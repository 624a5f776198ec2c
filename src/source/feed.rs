//! What a run reads from, whatever it is.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

#[cfg(feature = "api")]
use super::api::{self, ApiConfig};
use super::blocks::{Block, Blocks, Spares};
use super::input::Input;
use super::originals::Originals;
use crate::error::{Error, Result};
use crate::forgotten::Forgotten;
use crate::progress::Progress;
use crate::report::FetchReport;
use crate::store::Store;

/// Where tasks come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From files, in order.
    Files(Vec<Input>),
    /// Read elsewhere, by those who write shards of the run; what it is, in words.
    Shards(String),
    /// From the API.
    #[cfg(feature = "api")]
    Api(Box<ApiConfig>),
}

/// What a source needs to know of the run that opens it.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Folder for what must outlive the run if it ends early.
    pub work_dir: &'a Path,
    /// The lake's folder, if it lies in one: version 0.1.0 kept that there.
    pub lake: Option<&'a Path>,
    /// What the newest version of the lake says of the source that it was made from: see [`Tail::receipt`].
    pub committed: Option<&'a str>,
    /// Bytes of blocks that may wait to be read.
    pub held_bytes: usize,
    /// Threads of the run; where it has one, that does all work.
    pub threads: usize,
}

impl Source {
    /// Where the API is that it asks, and its key.
    #[cfg(feature = "api")]
    pub(crate) fn api(&self) -> Option<(url::Url, super::api::Key)> {
        match self {
            Source::Api(api) => Some((api.url.clone(), api.key.clone())),
            _ => None,
        }
    }

    /// What its inputs are called, by their positions: in rejects.
    pub fn names(&self) -> Vec<String> {
        match self {
            Source::Files(inputs) => inputs.iter().map(Input::name).collect(),
            Source::Shards(words) => vec![words.clone()],
            #[cfg(feature = "api")]
            Source::Api(api) => vec![api.url.origin().ascii_serialization()],
        }
    }

    /// What a run that reads it is called.
    pub fn operation(&self) -> &'static str {
        match self {
            Source::Files(_) | Source::Shards(_) => "flatten",
            #[cfg(feature = "api")]
            Source::Api(_) => "export",
        }
    }

    /// What it is, in few words.
    pub fn words(&self) -> String {
        match (self, self.names().as_slice()) {
            #[cfg(feature = "api")]
            (Source::Api(api), _) => {
                format!("{} of {}", api.plan.query.words(), api.url.origin().ascii_serialization())
            }
            (_, [one]) => one.clone(),
            (_, [first, .., last]) => format!("{} files, {first} to {last}", self.names().len()),
            (_, []) => "no file".to_owned(),
        }
    }

    /// The API's options that tasks are asked for with; `None` for files.
    pub fn opts(&self) -> Option<Vec<String>> {
        match self {
            Source::Files(_) | Source::Shards(_) => None,
            #[cfg(feature = "api")]
            Source::Api(api) => Some(api.plan.query.opts.clone()),
        }
    }

    /// Bytes of all inputs as they lie on the disk; `None` where one has no size.
    pub fn size(&self) -> Option<u64> {
        match self {
            Source::Files(inputs) => inputs.iter().map(Input::size).sum(),
            Source::Shards(_) => None,
            #[cfg(feature = "api")]
            Source::Api(_) => None,
        }
    }

    /// Begins to read.
    pub fn open(&self, opening: Opening<'_>, progress: &Arc<Progress>) -> Result<Feed> {
        match self {
            Source::Files(inputs) => {
                #[cfg(feature = "api")]
                api::warn_of_unfinished(opening);
                Ok(Feed::of_files(inputs, opening.threads, progress))
            }
            Source::Shards(words) => {
                Err(Error::Bug { place: "source", found: format!("{words}, which is read elsewhere, to be read here") })
            }
            #[cfg(feature = "api")]
            Source::Api(config) => api::open(config, opening, progress),
        }
    }
}

/// The deliveries of which a source was asked for every task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accounted {
    /// None, as far as is known.
    #[default]
    None,
    /// These.
    These(BTreeSet<String>),
    /// All that it tells of.
    All,
}

impl Accounted {
    /// Whether this one is among them.
    pub fn has(&self, delivery: &str) -> bool {
        match self {
            Accounted::None => false,
            Accounted::These(these) => these.contains(delivery),
            Accounted::All => true,
        }
    }
}

/// What a source keeps beside its blocks until the run has ended.
pub trait Tail: Debug {
    /// Called once, when the last block was taken: whether the source came to its end as it should.
    fn close(&mut self) -> Result<()>;
    /// What a record is to say of the source, so that the same blocks are not committed twice.
    fn receipt(&self) -> Option<String>;
    /// How many tasks there should be, where that is known and must hold.
    fn expected_tasks(&self) -> Option<u64>;
    /// The deliveries whose tasks must all have come.
    fn accounted(&self) -> Accounted;
    /// Whether the source has each of these tasks no more, or not as what it was asked for; asked one by one.
    fn are_gone(&self, ids: &[String], progress: &Progress) -> Result<Vec<bool>>;
    /// What came, for the report.
    fn report(&self, progress: &Progress) -> FetchReport;
    /// Puts away what was received, behind the commit: into the store, as `path` and the ending of its form, if it was to be kept, and
    /// without what is forgotten. Gives that place.
    fn put_away(
        self: Box<Self>,
        store: &dyn Store,
        path: &str,
        forgotten: Option<&Forgotten>,
    ) -> Result<Option<PathBuf>>;
}

/// Blocks as they come.
#[derive(Debug)]
pub struct Feed {
    /// The blocks.
    pub flow: Flow,
    /// Where used blocks can be given back.
    pub spares: Spares,
    /// What can be read again of the inputs.
    pub originals: Originals,
    /// What is left when the blocks are at their end.
    pub tail: Option<Box<dyn Tail>>,
}

/// How blocks come.
#[derive(Debug)]
pub enum Flow {
    /// From another thread. Ends with `None`: without it that thread has died, and what it read is not all.
    Thread(Receiver<Option<Result<Block>>>),
    /// Read by whoever asks.
    Inline(Box<Blocks>),
}

/// Blocks that wait between the thread that reads and the run: one to take while the next is read.
const QUEUED_BLOCKS: usize = 2;

impl Feed {
    fn of_files(inputs: &[Input], threads: usize, progress: &Arc<Progress>) -> Feed {
        let blocks = Blocks::new(inputs.to_vec(), progress);
        let (spares, originals) = (blocks.spares(), blocks.originals());
        // A pipe can be silent for long, and somebody may want to stop meanwhile.
        let is_inline = threads == 1 && inputs.iter().all(|input| input.size().is_some());
        let flow = if is_inline { Flow::Inline(Box::new(blocks)) } else { Flow::Thread(read_ahead(blocks)) };
        Feed { flow, spares, originals, tail: None }
    }

    /// Blocks that come in from elsewhere; they end with `None`.
    #[cfg(feature = "api")]
    pub(super) fn of_thread(blocks: Receiver<Option<Result<Block>>>, spares: Spares, tail: Box<dyn Tail>) -> Feed {
        Feed { flow: Flow::Thread(blocks), spares, originals: Originals::default(), tail: Some(tail) }
    }
}

fn read_ahead(blocks: Blocks) -> Receiver<Option<Result<Block>>> {
    let (sender, receiver) = bounded(QUEUED_BLOCKS);
    std::thread::spawn(move || {
        for block in blocks.map(Some).chain([None]) {
            if sender.send(block).is_err() {
                break;
            }
        }
    });
    receiver
}
