//! Scheduled jobs: what a run asks for, from how far the job has come; the run itself; and what is done behind it.
//!
//! The first run walks everything. A later one asks for what was completed since the watermark, less an overlap for what shows late, and
//! for every task of the statuses that no time can tell of. No query finds a task that was corrected long after it was completed, and none
//! one that is gone: so now and then a run walks everything again.

mod run;
mod upkeep;

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Job;
use crate::error::{Error, Result};
use crate::lake::{Checkpoint, State};
use crate::source::api::Query;
use crate::source::api::query::{COMPLETED, OPEN_STATUSES};
use crate::time::read_instant;

pub use run::{Ran, Sync};
pub use upkeep::{Upkeep, UpkeepOptions};

/// A scheduled job.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name.
    pub job: String,
    /// What it is to hold, without times.
    pub query: Query,
    /// Whose tasks these are.
    pub account: String,
    /// How long before the watermark a run begins to ask.
    pub overlap: Duration,
    /// How often everything is walked; `None` for never again.
    pub walk_every: Option<Duration>,
    /// Walk everything now.
    pub is_whole: bool,
    /// How much of a first walk is committed at a time; `None` for all of it at once.
    pub commit_every: Option<Every>,
}

/// No name of a job is longer.
const LONGEST_NAME: usize = 64;

/// A name that a job can have: it stands in records, and in the name of the file that its pages wait in.
pub fn job_name(text: &str) -> std::result::Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_fit = is_plain && !text.is_empty() && text.len() <= LONGEST_NAME;
    let expected = || format!("expected up to {LONGEST_NAME} letters, digits, `.`, `_` and `-`");
    is_fit.then(|| text.to_owned()).ok_or_else(expected)
}

/// How much of a back-fill is committed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// What was completed in so long.
    Span(Duration),
    /// So many tasks, about.
    Tasks(u64),
}

/// A back-fill, slice by slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// Where the next slice begins; `None` before the first one.
    pub from: Option<i64>,
    span: i64,
    every: Every,
}

/// The first slice of one that goes by tasks.
const FIRST_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest: behind a gap of years, tasks may come as close as ever.
const LONGEST_SPAN: Duration = Duration::from_secs(32 * 24 * 60 * 60);

impl Backfill {
    /// The end of the slice that begins there; `None` where it is the last one.
    pub fn end(&self, from: i64, now: i64) -> Option<i64> {
        Some(from.saturating_add(self.span.max(1))).filter(|to| *to < now)
    }

    /// Goes on behind a slice that brought so many tasks.
    pub fn go_on(&mut self, to: i64, tasks: u64) {
        self.from = Some(to);
        if let Every::Tasks(wanted) = self.every {
            // Not by more than four times at once: what was may say little of what comes.
            let factor = wanted.max(1) as f64 / tasks.max(1) as f64;
            self.span = ((self.span as f64 * factor.clamp(0.25, 4.0)) as i64).min(micros(LONGEST_SPAN));
        }
    }
}

/// What a run asks for.
#[derive(Clone, Debug)]
pub struct Due {
    /// The query.
    pub query: Query,
    /// The job, as the run is told of it.
    pub job: Job,
    /// Whether the job has asked for something else before.
    pub is_changed: bool,
}

/// Whether the API counts the first instant of a span in is not said: so a span begins a moment before it.
const MOMENT: Duration = Duration::from_secs(1);

impl Schedule {
    /// What the next run asks for, on this version of the lake, at this instant.
    pub fn due(&self, lake: &State, now: i64) -> Result<Due> {
        let query = self.query.canonical();
        let asked = self.asked()?;
        let checkpoint = lake.checkpoint(&self.job, &asked);
        let is_changed = checkpoint.is_none() && lake.checkpoints.contains_key(&self.job);
        let checkpoint = checkpoint.unwrap_or_default();
        let watermark = checkpoint.watermark().filter(|_| !self.is_whole && !self.is_walk_due(&checkpoint, now));
        let query = watermark.map_or(query, |watermark| self.since(watermark));
        let job = Job { name: self.job.clone(), asked, is_whole: watermark.is_none(), reaches: None };
        Ok(Due { query, job, is_changed })
    }

    /// What the job is told from others by.
    fn asked(&self) -> Result<Value> {
        let json = |source| Error::Json { action: "write a checkpoint", source };
        let query = serde_json::to_value(self.query.canonical()).map_err(json)?;
        Ok(json!({"account": self.account, "query": query}))
    }

    /// Where a back-fill that commits slice by slice is to begin, or to go on: for a job that has not come through its first walk.
    pub fn backfill(&self, lake: &State) -> Result<Option<Backfill>> {
        let checkpoint = lake.checkpoint(&self.job, &self.asked()?);
        let has_walked = checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.walked_at.is_some());
        let is_of_times =
            self.query.statuses.is_empty() || self.query.statuses.iter().any(|status| status == COMPLETED);
        let Some(every) = self.commit_every.filter(|_| is_of_times && !has_walked && !self.is_whole) else {
            return Ok(None);
        };
        let from = checkpoint.and_then(|checkpoint| checkpoint.watermark());
        let span = match every {
            Every::Span(span) => micros(span),
            Every::Tasks(_) => micros(FIRST_SPAN),
        };
        Ok(Some(Backfill { from, span, every }))
    }

    /// What the run of a slice asks for: of the first one, whatever was completed before its end; of the last one, all that is left.
    pub fn slice(&self, from: Option<i64>, to: Option<i64>) -> Result<Due> {
        let behind = |from| Schedule { overlap: Duration::ZERO, ..self.clone() }.since(from);
        let query = match to {
            Some(to) => Query {
                completed_after: from.and_then(|from| behind(from).completed_after),
                completed_before: Some(to),
                // The walk of everything that comes in time takes account of them.
                walks_deliveries: false,
                open_statuses: Vec::new(),
                ..behind(to)
            },
            None => from.map_or_else(|| self.query.clone(), behind),
        };
        let job = Job { name: self.job.clone(), asked: self.asked()?, is_whole: to.is_none(), reaches: to };
        Ok(Due { query, job, is_changed: false })
    }

    fn is_walk_due(&self, checkpoint: &Checkpoint, now: i64) -> bool {
        let Some(every) = self.walk_every else { return false };
        let walked_at = checkpoint.walked_at.as_deref().and_then(read_instant);
        // An instant to come is that of a clock that was wrong.
        walked_at.is_none_or(|walked_at| now.saturating_sub(walked_at) >= micros(every) || walked_at > now)
    }

    /// What was completed since then, and all that no time tells of.
    fn since(&self, watermark: i64) -> Query {
        let after = watermark.saturating_sub(micros(self.overlap)).saturating_sub(micros(MOMENT));
        let is_completed = |status: &&String| *status == COMPLETED;
        let (statuses, open): (Vec<_>, Vec<_>) = self.query.statuses.iter().cloned().partition(|it| is_completed(&it));
        let open = if self.query.statuses.is_empty() { OPEN_STATUSES.map(str::to_owned).to_vec() } else { open };
        if statuses.is_empty() && !self.query.statuses.is_empty() {
            // None of them is told by a time.
            return self.query.clone();
        }
        let walks_deliveries = true;
        Query { statuses, open_statuses: open, completed_after: Some(after), walks_deliveries, ..self.query.clone() }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::source::api::Selector;
    use crate::time::write_instant;

    const DAY: i64 = 24 * 60 * 60 * 1_000_000;

    fn schedule(statuses: &[&str]) -> Schedule {
        let statuses = statuses.iter().map(|status| (*status).to_owned()).collect();
        Schedule {
            job: "nightly".to_owned(),
            query: Query { of: vec![Selector::AllProjects], statuses, ..Query::default() },
            account: "somewhere".to_owned(),
            overlap: Duration::from_secs(24 * 60 * 60),
            walk_every: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            is_whole: false,
            commit_every: None,
        }
    }

    /// A lake whose job has come so far.
    fn lake(schedule: &Schedule, watermark: Option<i64>, walked_at: i64) -> State {
        let asked = schedule.due(&State::empty(), 0).unwrap().job.asked;
        let watermark = watermark.and_then(write_instant);
        let checkpoint = Checkpoint { asked, watermark, walked_at: write_instant(walked_at) };
        let checkpoints = BTreeMap::from([(schedule.job.clone(), checkpoint.to_json().unwrap())]);
        State { checkpoints, ..State::empty() }
    }

    #[test]
    fn a_first_run_walks_everything_and_a_later_one_what_is_new() {
        let schedule = schedule(&[]);
        let first = schedule.due(&State::empty(), 20 * DAY).unwrap();
        assert!(first.job.is_whole && !first.is_changed && !first.query.has_times());
        let later = schedule.due(&lake(&schedule, Some(19 * DAY), 18 * DAY), 20 * DAY).unwrap();
        assert!(!later.job.is_whole);
        assert_eq!(later.query.completed_after, Some(18 * DAY - 1_000_000));
        assert_eq!((later.query.completed_before, later.query.open_statuses.len()), (None, OPEN_STATUSES.len()));
        // Nothing was completed yet.
        assert!(schedule.due(&lake(&schedule, None, 18 * DAY), 20 * DAY).unwrap().job.is_whole);
    }

    #[test]
    fn everything_is_walked_again_when_it_is_time_or_asked_for_or_another_query() {
        let is_whole = |schedule: &Schedule, walked_at, now| {
            schedule.due(&lake(schedule, Some(DAY), walked_at), now).unwrap().job.is_whole
        };
        let weekly = schedule(&[]);
        assert!(!is_whole(&weekly, 10 * DAY, 17 * DAY - 1) && is_whole(&weekly, 10 * DAY, 17 * DAY));
        assert!(is_whole(&weekly, 10 * DAY, 9 * DAY), "a clock that was ahead");
        let never = Schedule { walk_every: None, ..weekly.clone() };
        assert!(!is_whole(&never, 10 * DAY, 99 * DAY));
        assert!(is_whole(&Schedule { is_whole: true, ..weekly.clone() }, 10 * DAY, 11 * DAY));
        let lake = lake(&weekly, Some(DAY), 10 * DAY);
        for other in [schedule(&["completed"]), Schedule { account: "elsewhere".to_owned(), ..weekly.clone() }] {
            let due = other.due(&lake, 11 * DAY).unwrap();
            assert!(due.job.is_whole && due.is_changed);
        }
        let other = Schedule { job: "another".to_owned(), ..weekly };
        assert!(!other.due(&lake, 11 * DAY).unwrap().is_changed);
    }

    #[test]
    fn statuses_narrow_what_is_asked() {
        let asked = |statuses: &[&str]| {
            let schedule = schedule(statuses);
            let query = schedule.due(&lake(&schedule, Some(9 * DAY), 9 * DAY), 10 * DAY).unwrap().query;
            (query.statuses, query.open_statuses, query.completed_after.is_some())
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(asked(&["completed"]), (words(&["completed"]), vec![], true));
        assert_eq!(asked(&["error", "completed"]), (words(&["completed"]), words(&["error"]), true));
        assert_eq!(asked(&["error", "pending"]), (words(&["error", "pending"]), vec![], false));
    }
    #[test]
    fn a_backfill_goes_slice_by_slice_and_ends_with_the_rest() {
        let weekly =
            Schedule { commit_every: Some(Every::Span(Duration::from_secs(7 * 24 * 60 * 60))), ..schedule(&[]) };
        let mut backfill = weekly.backfill(&State::empty()).unwrap().unwrap();
        assert_eq!(backfill.from, None);
        assert_eq!((backfill.end(10 * DAY, 30 * DAY), backfill.end(23 * DAY, 30 * DAY)), (Some(17 * DAY), None));
        let first = weekly.slice(None, Some(10 * DAY)).unwrap().query;
        assert_eq!((first.completed_after, first.completed_before), (None, Some(10 * DAY)), "whatever is older too");
        assert!(!weekly.slice(None, None).unwrap().query.has_times());
        let slice = weekly.slice(Some(10 * DAY), Some(17 * DAY)).unwrap();
        assert_eq!(
            (slice.query.completed_after, slice.query.completed_before),
            (Some(10 * DAY - 1_000_000), Some(17 * DAY))
        );
        assert!(slice.query.open_statuses.is_empty() && !slice.job.is_whole);
        let rest = weekly.slice(Some(24 * DAY), None).unwrap();
        assert!(rest.job.is_whole && !rest.query.open_statuses.is_empty() && rest.query.completed_before.is_none());
        backfill.go_on(17 * DAY, 5);
        assert_eq!((backfill.from, backfill.end(17 * DAY, 30 * DAY)), (Some(17 * DAY), Some(24 * DAY)));
        // It goes on from the watermark, and is over when everything was walked.
        let mut begun = lake(&weekly, Some(17 * DAY), 0);
        assert_eq!(weekly.backfill(&begun).unwrap(), None);
        let value = begun.checkpoints.get_mut("nightly").unwrap();
        value.as_object_mut().unwrap().remove("walked_at");
        assert_eq!(weekly.backfill(&begun).unwrap().unwrap().from, Some(17 * DAY));
        let by_tasks = Schedule { commit_every: Some(Every::Tasks(100)), ..schedule(&[]) };
        let mut backfill = by_tasks.backfill(&State::empty()).unwrap().unwrap();
        backfill.go_on(DAY, 50);
        assert_eq!(backfill.end(DAY, 30 * DAY), Some(3 * DAY));
        backfill.go_on(3 * DAY, 100_000);
        assert_eq!(backfill.end(3 * DAY, 30 * DAY), Some(3 * DAY + DAY / 2));
    }
}
