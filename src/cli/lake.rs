//! How commands make a lake, whatever they make it from.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use clap::Args;
use parquet::basic::ZstdLevel;

#[cfg(feature = "api")]
use super::attachments::{FetchArgs, warn_of_failures};
use super::metrics::MetricsArgs;
use super::place::StoreArgs;
use super::printable;
use super::summary::Summary;
use super::voice::Voice;
use crate::config::{self, Limit, Memory, Reconcile, RunConfig};
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::lake::{Author, Lake, State};
use crate::partition::{DateBy, DateGrain, Wanted};
use crate::pipeline::{self, Outcome};
use crate::progress::Progress;
use crate::report::{LeftOut, Report};
use crate::source::Source;
use crate::store::StoreOptions;
use crate::store::address::check_path;

/// How a lake is made, whatever it is made from.
#[derive(Debug, Args)]
#[command(next_help_heading = "The lake")]
pub(super) struct LakeArgs {
    /// Folder of the lake, or its address in a bucket such as s3://bucket/path: a new one, or one to merge into
    #[arg(long, value_name = "LAKE")]
    out: PathBuf,
    /// Folder for what doesn't fit into memory, and for what an export has received until it is committed [default: taskloom in your
    /// cache folder, such as ~/.cache/taskloom]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Replace what the lake holds: afterwards it holds what this run brought, and nothing else
    #[arg(long)]
    overwrite: bool,
    /// Write tasks anew whose content the lake has already
    #[arg(long, conflicts_with = "overwrite")]
    rewrite_unchanged: bool,
    /// Plan so often anew if other runs commit meanwhile, before giving up with status 4
    #[arg(long, value_name = "N", default_value_t = config::CONFLICT_RETRIES)]
    conflict_retries: u32,
    /// Threads that work [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Memory for what is buffered and being encoded
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    memory_limit: ByteSize,
    /// Level of zstd: 1 is quick, 2 is small enough for most, 19 is for archives
    #[arg(long, value_name = "LEVEL", default_value_t = Encoding::USUAL_LEVEL, value_parser = clap::value_parser!(i32).range(1..=22))]
    compression_level: i32,
    /// Which time of a task names its date; fixed by a lake's first run [default: completed; of sync that of the lake]
    #[arg(long, value_enum, value_name = "INSTANT")]
    date_by: Option<DateBy>,
    /// How long a partition's date lasts; fixed by a lake's first run [default: day; of sync that of the lake]
    #[arg(long, value_enum, value_name = "GRAIN")]
    date_grain: Option<DateGrain>,
    /// End with status 0 although tasks were rejected
    #[arg(long)]
    allow_rejects: bool,
    /// Fail and commit nothing if more tasks are rejected than this
    #[arg(long, value_name = "N|N%")]
    max_rejects: Option<Limit>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Fetch what attachments are, and keep it in the lake beside the tables
    #[cfg(feature = "api")]
    #[arg(long, help_heading = "Attachments")]
    fetch_attachments: bool,
    #[cfg(feature = "api")]
    #[command(flatten)]
    attachments: FetchArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Which version of a lake is meant.
#[derive(Debug, Args)]
pub(super) struct AtArgs {
    /// The version, by its number or its name [default: the newest]
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
}

impl AtArgs {
    /// The state at that version.
    pub(super) fn state_of(&self, lake: &Lake) -> Result<State> {
        lake.state_of(self.at.as_deref())
    }
}

/// Done, but not all that was asked for is in the lake.
pub(super) const STATUS_NOT_ALL: u8 = 3;

impl LakeArgs {
    /// Makes a lake of what comes from the source, tells how it went, and gives the exit status.
    pub(super) fn make(
        self,
        source: Source,
        reconcile: Option<Reconcile>,
        allows_missing: bool,
        voice: Voice,
    ) -> Result<u8> {
        let (is_json, allows_rejects) = (self.json, self.allow_rejects);
        let metrics = self.metrics.clone();
        let report = make(RunConfig { reconcile, ..self.fixed(source)? }, is_json, &metrics, voice)?;
        let fetch = report.fetch.as_ref();
        warn_of_left_out(&report, voice);
        #[cfg(feature = "api")]
        report.attachments.iter().for_each(|attachments| warn_of_failures(attachments, voice));
        let is_missing = fetch.is_some_and(|fetch| !fetch.missing_task_ids.is_empty());
        let is_rejected = report.rejected > 0;
        Ok(if is_rejected && !allows_rejects || is_missing && !allows_missing { STATUS_NOT_ALL } else { 0 })
    }

    /// Where metrics go.
    #[cfg(feature = "api")]
    pub(super) fn metrics(&self) -> MetricsArgs {
        self.metrics.clone()
    }

    /// How stores are talked to.
    pub(super) fn store_options(&self) -> StoreOptions {
        self.store.options()
    }

    /// Whether results are to be JSON.
    #[cfg(feature = "api")]
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// A run into the lake that says what it wants of its layout, so that it is refused where that is another one.
    pub(super) fn fixed(&self, source: Source) -> Result<RunConfig> {
        let (date_by, date_grain) = (self.date_by.unwrap_or_default(), self.date_grain.unwrap_or_default());
        let layout = Wanted { date_by: Some(date_by), date_grain: Some(date_grain) };
        Ok(RunConfig { layout, ..self.config(source)? })
    }

    /// A run into the lake, whatever its layout is where no flag says it.
    pub(super) fn config(&self, source: Source) -> Result<RunConfig> {
        self.work_dir.as_deref().map_or(Ok(()), check_path)?;
        #[cfg(feature = "api")]
        if let Some(flag) = self.attachments.idle().filter(|_| !self.fetch_attachments) {
            return Err(super::usage(flag, "--fetch-attachments beside it", "none"));
        }
        let memory = memory(self.memory_limit)?;
        let options = StoreOptions { held_bytes: memory.upload_bytes(), ..self.store.options() };
        Ok(RunConfig {
            source,
            lake: Lake::with(&self.out, &options)?,
            work_dir: self.work_dir.clone().or_else(default_work_dir),
            is_overwrite: self.overwrite,
            rewrites_unchanged: self.rewrite_unchanged,
            conflict_retries: self.conflict_retries,
            layout: Wanted { date_by: self.date_by, date_grain: self.date_grain },
            threads: self.threads.map_or_else(config::all_cores, usize::from),
            memory,
            compression_level: ZstdLevel::try_new(self.compression_level).unwrap_or_default(),
            max_rejects: self.max_rejects,
            reconcile: None,
            #[cfg(feature = "api")]
            attachments: self.fetch_attachments.then(|| self.attachments.options()),
            job: None,
            author: author(),
        })
    }
}

/// Tells which listings the API did not give.
pub(super) fn warn_of_left_out(report: &Report, voice: Voice) {
    for left_out in report.fetch.iter().flat_map(|fetch| &fetch.left_out) {
        let LeftOut { path, status } = left_out;
        let is_spared = left_out.is_of_delivered_tasks();
        let spared = if is_spared { "; --skip-delivery-tasks does not ask for it" } else { "" };
        voice.warn(&format!("the API answered {path} with {status}: what it lists is missing from the lake{spared}"));
    }
}

/// Makes a lake, and tells how it went.
pub(super) fn make(config: RunConfig, is_json: bool, metrics: &MetricsArgs, voice: Voice) -> Result<Report> {
    let progress = Arc::new(Progress::default());
    super::signals::watch(&progress);
    let shown = voice.show(&progress);
    let (place, job) = (config.lake.place().to_owned(), config.job.as_ref().map(|job| job.name.clone()));
    let ended = pipeline::run(config, &progress).and_then(Outcome::report);
    drop(shown);
    measure(metrics, &place, job.as_deref(), &ended, voice);
    let report = ended?;
    // The run is committed: whether anybody hears of it doesn't change how it ended.
    if let Err(error) = print(&report, is_json, voice) {
        voice.warn(&format!("version {} is committed, but the report can't be written: {error}", report.version));
    }
    Ok(report)
}

/// Writes the metrics of a run, however it ended. That they can't be written changes nothing of that.
pub(super) fn measure(metrics: &MetricsArgs, lake: &Path, job: Option<&str>, ended: &Result<Report>, voice: Voice) {
    let written = match ended {
        Ok(report) => metrics.of_report(lake, report),
        Err(_) => metrics.of_failure(lake, job),
    };
    if let Err(error) = written {
        voice.warn(&format!("the metrics can't be written: {error}"));
    }
}

/// Who runs this command. Keys are no flags; whatever an address may carry beside its host stays out.
pub(super) fn author() -> Author {
    let program = std::iter::once("taskloom".to_owned());
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let command =
        program.chain(without_settings(&words).map(|word| without_secrets(&word))).collect::<Vec<_>>().join(" ");
    Author { command: Some(command), ..Author::here() }
}

/// The words of a command line, but for the values of a store's settings.
fn without_settings(words: &[String]) -> impl Iterator<Item = String> + '_ {
    const FLAG: &str = "--store-option";
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    words.iter().zip(before).map(|(word, before)| {
        let is_setting = before == FLAG || word.strip_prefix(FLAG).is_some_and(|rest| rest.starts_with('='));
        let key = if before == FLAG { word.split('=').next() } else { word.rsplitn(2, '=').last() };
        if is_setting { format!("{}=…", key.unwrap_or_default()) } else { word.clone() }
    })
}

/// A word of the command line, but for names, passwords, queries and fragments of addresses.
pub(super) fn without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (rest, cut) = rest.split_once(['?', '#']).map_or((rest, ""), |(rest, _)| (rest, "?…"));
    let host = rest.split('/').next().unwrap_or(rest);
    let shown = host.rsplit_once('@').map_or(rest.to_owned(), |(_, bare)| format!("…@{bare}{}", &rest[host.len()..]));
    format!("{scheme}://{shown}{cut}")
}

/// Where programs of this user keep what can be made anew. `None` for a user without a home.
pub(super) fn default_work_dir() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("taskloom"))
}

pub(super) fn print(report: &Report, is_json: bool, voice: Voice) -> std::io::Result<()> {
    if is_json {
        let json = report.to_json().map_err(std::io::Error::other)?;
        return writeln!(std::io::stdout(), "{}", printable::json(&json));
    }
    if voice.is_quiet() {
        return Ok(());
    }
    let text = Summary(report).to_string();
    let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let bold = anstyle::Style::new().bold();
    write!(anstream::stdout(), "{bold}{heading}{bold:#}\n{rest}")
}

pub(super) fn size(text: &str) -> std::result::Result<ByteSize, String> {
    text.parse().map_err(|_| format!("expected a size such as 512MiB or 2GB, found `{text}`"))
}

fn memory(limit: ByteSize) -> Result<Memory> {
    let limit_bytes = usize::try_from(limit.as_u64()).unwrap_or(usize::MAX);
    if limit_bytes < Memory::LEAST_BYTES {
        let expected = format!("at least {}", ByteSize(Memory::LEAST_BYTES as u64));
        return Err(Error::Usage { setting: "--memory-limit", expected, found: limit.to_string() });
    }
    Ok(Memory { limit_bytes })
}
