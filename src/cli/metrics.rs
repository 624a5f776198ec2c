//! What a run did as metrics, in the text format of Prometheus: for the textfile collector of its node exporter, or a push gateway.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::Args;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::store::address::check_path;

/// Where metrics go.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct MetricsArgs {
    /// Write metrics of the run here, in the text format of Prometheus; a run that fails leaves those of the last good one
    #[arg(long, value_name = "FILE", help_heading = "Messages")]
    metrics_file: Option<PathBuf>,
}

/// What is told of each run, also of one that failed.
const SUCCESS: &str = "taskloom_run_success";
const ENDED: &str = "taskloom_run_ended_timestamp_seconds";

impl MetricsArgs {
    /// Writes what a run that ended well did.
    pub(super) fn of_report(&self, lake: &Path, report: &Report) -> Result<()> {
        let Some(path) = &self.metrics_file else { return Ok(()) };
        let mut metrics = Metrics::new(lake, report.job.as_deref());
        metrics.ended(true);
        let now = seconds();
        let merged = report.merged.unwrap_or_default();
        let added = report.tables.get("tasks").map_or(0, |tasks| tasks.rows);
        let added = if report.merged.is_some() { merged.tasks_added } else { added };
        let retries = report.fetch.as_ref().map_or(0, |fetch| fetch.retries);
        let requests = report.fetch.as_ref().map_or(0, |fetch| fetch.requests);
        let attachments = report.attachments.clone().unwrap_or_default();
        let drift = report.drift.findings.iter().map(|finding| finding.count).sum::<u64>() + report.drift.others;
        for (name, help, value) in [
            ("taskloom_last_success_timestamp_seconds", "When a run ended well the last time.", now),
            ("taskloom_run_duration_seconds", "Wall time of that run.", report.seconds),
            ("taskloom_lake_version", "The lake's version behind it.", report.version as f64),
            (
                "taskloom_tasks_read",
                "Tasks read, with those that came again and with rejects.",
                report.tasks_read as f64,
            ),
            ("taskloom_tasks_added", "Tasks that the lake did not have.", added as f64),
            ("taskloom_tasks_replaced", "Tasks that took the place of an older copy.", merged.tasks_replaced as f64),
            ("taskloom_tasks_removed", "Tasks that the source has no more.", merged.tasks_removed as f64),
            ("taskloom_rejects", "Records that could not be read.", report.rejected as f64),
            (
                "taskloom_deliveries_held",
                "Deliveries whose tasks are held back because not all came.",
                report.held_deliveries.len() as f64,
            ),
            ("taskloom_api_requests", "Requests sent to the API, each attempt counted.", requests as f64),
            ("taskloom_api_retries", "Attempts behind the first ones.", retries as f64),
            ("taskloom_attachments_kept", "Contents of attachments that came.", attachments.kept() as f64),
            ("taskloom_attachments_failed", "Contents that could not be fetched.", attachments.not_kept() as f64),
            ("taskloom_drift_findings", "Values that the schema does not know.", drift as f64),
        ] {
            metrics.gauge(name, help, value);
        }
        metrics.write(path)
    }

    /// Writes that a run failed, and leaves what the last good one did.
    pub(super) fn of_failure(&self, lake: &Path, job: Option<&str>) -> Result<()> {
        let Some(path) = &self.metrics_file else { return Ok(()) };
        let mut metrics = Metrics::new(lake, job);
        metrics.ended(false);
        let before = fs::read_to_string(path).unwrap_or_default();
        for line in before.lines().filter(|line| ![SUCCESS, ENDED].iter().any(|name| line.contains(name))) {
            let _ = writeln!(metrics.text, "{line}");
        }
        metrics.write(path)
    }
}

struct Metrics {
    labels: String,
    text: String,
}

impl Metrics {
    fn new(lake: &Path, job: Option<&str>) -> Metrics {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let job = job.map(|job| format!(",job=\"{}\"", escaped(job))).unwrap_or_default();
        Metrics { labels: format!("lake=\"{}\"{job}", escaped(&lake.to_string_lossy())), text: String::new() }
    }

    fn ended(&mut self, is_success: bool) {
        self.gauge(SUCCESS, "Whether the last run ended well.", f64::from(u8::from(is_success)));
        self.gauge(ENDED, "When the last run ended.", seconds());
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let labels = &self.labels;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{labels}}} {value}");
    }

    /// At once, so that no collector sees half of it.
    fn write(self, path: &Path) -> Result<()> {
        check_path(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        let draft = tempfile::Builder::new().permissions(mode).tempfile_in(folder);
        let draft = draft.map_err(Error::file("create", path))?;
        fs::write(draft.path(), self.text).map_err(Error::file("write", path))?;
        draft.persist(path).map_err(|error| Error::file("create", path)(error.error))?;
        Ok(())
    }
}

fn seconds() -> f64 {
    Utc::now().timestamp_millis() as f64 / 1_000.0
}
