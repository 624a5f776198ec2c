//! A first walk that is committed slice by slice.

use chrono::Utc;

use crate::error::Result;
use crate::progress::Progress;
use crate::report::{Ended, Report};
use crate::source::api::{ApiConfig, earliest};
use crate::sync::{Backfill, Due, Every, Schedule};
use crate::time::write_instant;

/// Runs slice by slice, and the rest; gives the last report, and how many slices came before it.
pub(super) fn fill(
    schedule: &Schedule,
    mut backfill: Backfill,
    api: &ApiConfig,
    progress: &Progress,
    run: impl Fn(Due) -> Result<Report>,
) -> (Result<Report>, u64) {
    let mut slices = 0;
    let mut fill = || -> Result<Report> {
        let now = Utc::now().timestamp_micros();
        // Nothing need be younger than its project: so the first slice has an end alone.
        let mut begin = match backfill.from {
            Some(from) => from,
            None => earliest(api, progress)?.unwrap_or(now),
        };
        while let Some(to) = backfill.end(begin, now) {
            let report = run(schedule.slice(backfill.from, Some(to))?)?;
            let (version, tasks) = (report.version, report.tasks_read);
            tracing::info!(to = write_instant(to), version, tasks, "a slice of the back-fill is in");
            slices += u64::from(report.outcome == Ended::Committed);
            backfill.go_on(to, tasks);
            begin = to;
        }
        run(schedule.slice(backfill.from, None)?)
    };
    let report = fill();
    (report, slices)
}

/// A span of time, or a number of tasks.
pub(super) fn every(text: &str) -> std::result::Result<Every, String> {
    let expected = || format!("expected a span such as 7d, or a number of tasks such as 50000, found `{text}`");
    let tasks = text.parse().ok().filter(|tasks| *tasks > 0).map(Every::Tasks);
    let span = || humantime::parse_duration(text).ok().filter(|span| !span.is_zero()).map(Every::Span);
    tasks.or_else(span).ok_or_else(expected)
}
