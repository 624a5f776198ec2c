//! Where the time of a run goes, told at its end with `-v`: what each stage took of all threads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What spans took, by their names; of a span within another, the other one takes no time.
static TAKEN: Mutex<BTreeMap<&'static str, Duration>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The spans that a thread is in: since when, and what those within took.
    static WITHIN: RefCell<Vec<(Instant, Duration)>> = const { RefCell::new(Vec::new()) };
}

fn taken() -> MutexGuard<'static, BTreeMap<&'static str, Duration>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds up the time that threads are in spans.
pub(super) struct Timings;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Timings {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        WITHIN.with_borrow_mut(|within| within.push((Instant::now(), Duration::ZERO)));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let left = WITHIN.with_borrow_mut(|within| {
            let (since, others) = within.pop()?;
            let all = since.elapsed();
            if let Some((_, others)) = within.last_mut() {
                *others += all;
            }
            Some(all.saturating_sub(others))
        });
        if let Some((own, span)) = left.zip(context.span(id)) {
            *taken().entry(span.name()).or_default() += own;
        }
    }
}

/// What was added up, the longest first; `None` where nothing was.
pub(super) fn told() -> Option<String> {
    let mut taken = std::mem::take(&mut *taken()).into_iter().collect::<Vec<_>>();
    taken.sort_unstable_by_key(|(name, time)| (std::cmp::Reverse(*time), *name));
    let mut told = String::new();
    for (name, time) in taken {
        let comma = if told.is_empty() { "" } else { ", " };
        // Writing into memory does not fail.
        let _ = write!(told, "{comma}{name} {:.2} s", time.as_secs_f64());
    }
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn a_span_takes_no_time_while_another_within_it_does() {
        let subscriber = tracing_subscriber::registry().with(Timings);
        let started = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer of a test");
            outer.in_scope(|| {
                tracing::info_span!("inner of a test").in_scope(|| {
                    let until = Instant::now() + Duration::from_millis(20);
                    while Instant::now() < until {}
                });
            });
        });
        let (all, taken) = (started.elapsed(), taken().clone());
        assert!(taken["inner of a test"] >= Duration::from_millis(20));
        // Counted once: together they take no longer than it took.
        assert!(taken["outer of a test"] + taken["inner of a test"] <= all);
    }
}
