//! What a run needs to know, whoever asked for it.

use std::path::PathBuf;

use parquet::basic::ZstdLevel;

#[cfg(feature = "api")]
use crate::attachment::FetchOptions;
use crate::file::Encoding;
use crate::lake::{Author, Lake, SYNC};
use crate::partition::{Extent, Wanted};
use crate::source::Source;

/// A run of `flatten` or `export`.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Where tasks come from.
    pub source: Source,
    /// Where they go.
    pub lake: Lake,
    /// Folder for what doesn't fit into memory, and for what an export has received until it is committed; each lake has a folder in
    /// it. `None`: a temporary folder that goes with the run, so that an export that ends early begins anew.
    pub work_dir: Option<PathBuf>,
    /// Replace what the lake holds, instead of merging into it.
    pub is_overwrite: bool,
    /// Merging, also write tasks anew whose content the lake has already.
    pub rewrites_unchanged: bool,
    /// How often a merge is planned anew because another run committed meanwhile.
    pub conflict_retries: u32,
    /// How tasks become partitions, where that is to be told: a lake's first run fixes it.
    pub layout: Wanted,
    /// Threads that work; 1 does all work on one.
    pub threads: usize,
    /// Bytes that may be buffered and be encoded at a time.
    pub memory: Memory,
    /// zstd's level.
    pub compression_level: ZstdLevel,
    /// How many rejects a run survives.
    pub max_rejects: Option<Limit>,
    /// Take away what the source, which is walked whole, has no more.
    pub reconcile: Option<Reconcile>,
    /// Fetch what the tasks' attachments are, and keep it beside the tables.
    #[cfg(feature = "api")]
    pub attachments: Option<FetchOptions>,
    /// The scheduled job that this is a run of, if it is one.
    pub job: Option<Job>,
    /// Who runs it, for the lake's history.
    pub author: Author,
}

/// What a walk went over, so that what it did not bring is gone.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Whose tasks.
    pub extent: Extent,
    /// Of which statuses; all, where none is named.
    pub statuses: Vec<String>,
    /// How many of the lake's tasks in that may go.
    pub max_removed: Limit,
}

/// A scheduled job: how far it has come stands in the lake, under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// What it asks for, without times: whoever asks for something else under this name begins anew.
    pub asked: serde_json::Value,
    /// Whether this run walks all that it asks for.
    pub is_whole: bool,
    /// The end of the slice of time that this run asks for, in microseconds: of a back-fill that commits slice by slice.
    pub reaches: Option<i64>,
}

impl RunConfig {
    /// What the run is called in the lake's history.
    pub fn operation(&self) -> &'static str {
        if self.job.is_some() { SYNC } else { self.source.operation() }
    }
}

impl RunConfig {
    /// A run into a new lake, with all cores and the program's defaults, but without a folder for work.
    pub fn new(source: Source, lake: Lake) -> RunConfig {
        RunConfig {
            source,
            lake,
            work_dir: None,
            is_overwrite: false,
            rewrites_unchanged: false,
            conflict_retries: CONFLICT_RETRIES,
            layout: Wanted::default(),
            threads: all_cores(),
            memory: Memory::default(),
            compression_level: Encoding::usual_level(),
            max_rejects: None,
            reconcile: None,
            #[cfg(feature = "api")]
            attachments: None,
            job: None,
            author: Author::here(),
        }
    }
}

/// How often a merge is planned anew unless one says otherwise.
pub const CONFLICT_RETRIES: u32 = 10;

/// Threads that this machine runs side by side.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How much of something a run survives: judged at its end, before the commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many.
    Count(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl Limit {
    /// Whether so many of all are still allowed.
    pub fn allows(self, some: u64, all: u64) -> bool {
        match self {
            Limit::Count(count) => some <= count,
            Limit::Percent(percent) => some as f64 * 100.0 <= percent * all as f64,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Count(count) => write!(formatter, "{count}"),
            Limit::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        let expected = || format!("expected a count such as 10 or a percentage such as 0.5%, found `{text}`");
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
                percent.map(Limit::Percent).ok_or_else(expected)
            }
            None => text.parse().map(Limit::Count).map_err(|_| expected()),
        }
    }
}

/// How the memory limit is shared out. All sizes are counted bytes of JSON, which is what a run holds most of.
///
/// At the default of 512 MiB: blocks on their way 32 MiB, buffers 128 MiB, parts being built 192 MiB, the index of identities
/// 16 MiB. What remains is for what is not counted: arenas, contexts of zstd, the list of files, the program. Larger buffers gain
/// nothing: fresh memory has to be cleared first, which costs as much as a way through the file cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The whole limit.
    pub limit_bytes: usize,
}

impl Default for Memory {
    /// 512 MiB.
    fn default() -> Memory {
        Memory { limit_bytes: 512 * 1024 * 1024 }
    }
}

impl Memory {
    /// The least that works.
    pub const LEAST_BYTES: usize = 32 * 1024 * 1024;

    /// Blocks that are read and not yet in a buffer.
    pub fn block_bytes(self) -> usize {
        self.limit_bytes / 16
    }

    /// Files on their way into a bucket.
    pub fn upload_bytes(self) -> usize {
        self.limit_bytes / 8
    }

    /// Buffers, before they go to disk.
    pub fn spill_bytes(self) -> usize {
        self.limit_bytes / 4
    }

    /// The largest part, unless one task alone is larger.
    pub fn part_bytes(self) -> usize {
        self.limit_bytes / 16
    }

    /// Parts that are being built. One part is always let through.
    pub fn build_bytes(self) -> usize {
        self.limit_bytes / 8 * 3
    }

    /// The index of identities, before it goes to disk.
    pub fn index_bytes(self) -> usize {
        self.limit_bytes / 32
    }

    /// What a part takes while it is built: its JSON, its columns, and the pages made of them.
    pub fn cost_of_part(bytes: usize) -> usize {
        bytes.saturating_mul(3)
    }
}
