//! What is said on standard error: logs, warnings, errors, and how a run goes.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::hint::hint;
use super::printable;
use super::summary::grouped;
use super::timings::{self, Timings};
use crate::error::{Error, Result};
use crate::progress::{Counts, Progress, Stage};

/// How much is said, and how.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Voice {
    /// Log what is done; -vv also logs each part. RUST_LOG says it in detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How logs, warnings and errors are written
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

impl Voice {
    /// Starts the logs.
    pub(super) fn begin(self) {
        let default = match self.verbose {
            0 => "warn",
            1 => "taskloom=info,warn",
            _ => "taskloom=debug,info",
        };
        let filter = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
        let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(default)).unwrap_or_else(|error| {
            self.warn(&format!("RUST_LOG is not used: {error}"));
            EnvFilter::new(default)
        });
        let is_plain = anstream::AutoStream::choice(&io::stderr()) == anstream::ColorChoice::Never;
        // Spans are there to be timed, and are in nobody's way in a log.
        let filter = FilterExt::<Registry>::and(filter, filter_fn(|metadata| metadata.is_event()));
        let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(!is_plain);
        let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![match self.log_format {
            LogFormat::Text => logs.with_filter(filter).boxed(),
            LogFormat::Json => logs.json().flatten_event(true).with_filter(filter).boxed(),
        }];
        if self.verbose > 0 {
            let is_own_span =
                |metadata: &tracing::Metadata<'_>| metadata.is_span() && metadata.target().starts_with("taskloom");
            layers.push(Timings.with_filter(filter_fn(is_own_span)).boxed());
        }
        tracing_subscriber::registry().with(layers).init();
    }

    /// Says at the end of a command where its time went, if that is wanted.
    pub(super) fn tell_timings(self) {
        if let Some(stages) = timings::told() {
            tracing::info!(stages, "what threads spent their time on");
        }
    }

    /// True if results that only people read are not wanted.
    pub(super) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Says what a user should know.
    pub(super) fn warn(self, message: &str) {
        match self.log_format {
            LogFormat::Json => tracing::warn!("{message}"),
            LogFormat::Text => {
                let message = printable::line(message);
                let _ = writeln!(anstream::stderr(), "{WARNING}warning{WARNING:#}: {message}");
            }
        }
    }

    /// Says why it failed, with all causes and what to do.
    pub(super) fn fail(self, error: &Error) {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        let hint = hint(error);
        let text = match self.log_format {
            // Not by the logs' own formatter, which has no lists.
            LogFormat::Json => {
                let line = serde_json::json!({
                    "timestamp": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
                    "level": "ERROR",
                    "message": error.to_string(),
                    "causes": causes,
                    "hint": hint,
                    "target": module_path!(),
                });
                format!("{line}\n")
            }
            LogFormat::Text => {
                let causes = causes.iter().map(|cause| format!("\n  because: {}", printable::line(cause)));
                let hint = hint.iter().map(|hint| format!("\n  to do: {}", printable::line(hint)));
                let error = printable::line(&error.to_string()).into_owned();
                format!("{ERROR}error{ERROR:#}: {error}{}\n", causes.chain(hint).collect::<String>())
            }
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Does something that can be interrupted, and shows how it goes.
    pub(super) fn watch<T>(self, act: impl FnOnce(&Arc<Progress>) -> Result<T>) -> Result<T> {
        let progress = Arc::new(Progress::default());
        super::signals::watch(&progress);
        let _shown = self.show(&progress);
        act(&progress)
    }

    /// Shows how a run goes until what is given back is dropped: on a terminal, and where no logs are wanted.
    pub(super) fn show(self, progress: &Arc<Progress>) -> Option<Shown> {
        let is_logging =
            self.verbose > 0 || std::env::var_os("RUST_LOG").is_some() || self.log_format == LogFormat::Json;
        if self.quiet || is_logging || !io::stderr().is_terminal() {
            return None;
        }
        let progress = Arc::clone(progress);
        let (until, dropped) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            let bar = ProgressBar::new(STEPS).with_style(style(progress.counts()));
            let started = Instant::now();
            while dropped.recv_timeout(BETWEEN_LOOKS) == Err(RecvTimeoutError::Timeout) {
                draw(&bar, progress.counts(), started.elapsed());
            }
            bar.finish_and_clear();
        });
        Some(Shown { until: Some(until), thread: Some(thread) })
    }
}

/// A line that is being shown.
pub(super) struct Shown {
    until: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.until.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The bar's length: fine enough for any terminal.
const STEPS: u64 = 10_000;

/// Within 80 columns. Without a total there is no bar and no end to foresee.
fn style(counts: Counts) -> ProgressStyle {
    let template = match counts.total_bytes {
        Some(_) => "{prefix:10} {wide_bar} {percent:>3}%  {msg}  ETA {eta}",
        None => "{prefix:10} {wide_msg} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw(bar: &ProgressBar, counts: Counts, elapsed: Duration) {
    bar.set_prefix(match counts.stage {
        Stage::Reading => "reading",
        Stage::Building => "building",
        Stage::Merging => "merging",
        Stage::Committing => "committing",
    });
    let read = ByteSize(counts.read_bytes).display().iec();
    let speed = grouped((counts.tasks as f64 / elapsed.as_secs_f64()) as u64);
    bar.set_message(match counts.total_bytes {
        _ if counts.stage == Stage::Merging => {
            format!("{}/{} parts", grouped(counts.done_parts), grouped(counts.parts))
        }
        None if counts.requests > 0 => fetching(counts, elapsed),
        Some(total) => format!("{read}/{}  {speed} tasks/s", ByteSize(total).display().iec()),
        None => format!("{read}  {} tasks  {speed} tasks/s", grouped(counts.tasks)),
    });
    bar.set_position((done(counts) * STEPS as f64) as u64);
}

/// How a fetch goes, the most important first: a narrow terminal cuts the rest off.
fn fetching(counts: Counts, elapsed: Duration) -> String {
    let a_second = |count: u64| grouped((count as f64 / elapsed.as_secs_f64()) as u64);
    let of = counts.expected_tasks.map_or(String::new(), |expected| format!("/{}", grouped(expected)));
    let mut parts = vec![format!("{}{of} tasks {}/s", grouped(counts.tasks), a_second(counts.tasks))];
    if let Some(expected) = counts.expected_tasks.filter(|_| counts.tasks > 0) {
        let left = elapsed.as_secs_f64() / counts.tasks as f64 * expected.saturating_sub(counts.tasks) as f64;
        parts.push(format!("ETA {}", HumanDuration(Duration::from_secs(left as u64))));
    }
    parts.push(format!("{} chains", counts.chains));
    parts.push(format!("{} pages", grouped(counts.pages)));
    parts.push(format!("{} requests/s", a_second(counts.requests)));
    if counts.is_slowed {
        parts.insert(1, "rate-limited".to_owned());
    }
    if counts.retries > 0 {
        parts.push(format!("{} retries", grouped(counts.retries)));
    }
    parts.join("  ")
}

/// How much of a run is done, from 0 to 1: reading is one half, building the other. A merge begins anew.
fn done(counts: Counts) -> f64 {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) };
    if counts.stage == Stage::Merging {
        return share(counts.done_parts, counts.parts);
    }
    let read = share(counts.read_bytes, counts.total_bytes.unwrap_or(0));
    (read + read * share(counts.built_bytes, counts.buffered_bytes)) / 2.0
}
