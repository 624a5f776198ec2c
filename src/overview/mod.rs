//! What a lake holds and what people said in it, on one page.

mod counted;
mod holdings;
mod judgements;
mod page;
mod section;

use bytesize::ByteSize;
use rayon::prelude::*;

use crate::annotations::{annotations_of, parts_of};
use crate::drift::{Drift, Finding, What};
use crate::error::{Error, Result};
use crate::inspect::drift_of_state;
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::progress::Progress;
use crate::report::grouped;
use crate::store::with_readers;
use crate::time::write_instant;
use crate::winrate::{WinRateOptions, win_rates};
use counted::Counted;

pub use section::{Cell, Origin, Picture, Section};

/// All that a page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// What the lake is called.
    pub name: String,
    /// What stands at the top: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// The sections, in their order.
    pub sections: Vec<Section>,
}

/// Looks through a version.
pub fn overview(lake: &Lake, state: &State, progress: &Progress) -> Result<Overview> {
    let parts = parts_of(state, None)?;
    progress.expect_parts(parts.len());
    let store = &**lake.store();
    let look = |part: &&PartEntry| progress.part(|| Counted::of(store, part));
    let of_parts = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    let mut counted = Counted::default();
    of_parts.into_iter().for_each(|own| counted.merge(own));

    let said = annotations_of(lake, state, None, progress)?;
    let mut sections = holdings::sections(&counted);
    sections.extend(judgements::ratings(&counted, &said));
    if let Some(key) = judgements::choice(&said).and_then(|choice| choice.key.clone()) {
        match win_rates(lake, state, &WinRateOptions { key, ..WinRateOptions::default() }, progress) {
            Ok(rates) if !rates.matches.is_empty() => sections.extend(judgements::win_rates(&rates)),
            // Numbers beside choices need to be told which are good: that is for `winrate`.
            Ok(_) | Err(Error::Usage { setting: "--better", .. }) => {}
            Err(error) => return Err(error),
        }
    }
    sections.extend(judgements::rubrics(&counted));
    sections.extend(judgements::agreement(&said));
    progress.check()?;
    sections.extend(drift(drift_of_state(lake, state)?));
    sections.extend(runs(&lake.standing()?.reports, state.version));
    let name = lake.place().file_name().map_or_else(|| "a lake".to_owned(), |name| name.to_string_lossy().into_owned());
    let name = section::shown(&name);
    Ok(Overview { name, facts: facts(state, &counted), sections })
}

impl Overview {
    /// The page: one file that asks for no other, and runs nothing.
    pub fn to_html(&self) -> String {
        page::page(self)
    }
}

fn facts(state: &State, counted: &Counted) -> Vec<(&'static str, String)> {
    let files = state.parts.values().flat_map(|part| part.files.values());
    let (files, bytes) = files.fold((0_u64, 0_u64), |(files, bytes), file| (files + 1, bytes + file.bytes));
    let newest = counted.newest.and_then(write_instant).map_or_else(|| "-".to_owned(), |time| minute(&time));
    let projects = counted.projects.keys().flatten().count() as u64;
    let batches = counted.batches.keys().filter(|(batch, _)| batch.is_some()).count() as u64;
    vec![
        ("Tasks", grouped(counted.all.tasks)),
        ("Turns", grouped(counted.all.turns)),
        ("Messages", grouped(counted.all.messages)),
        ("Annotations", grouped(counted.all.annotations)),
        ("Projects", grouped(projects)),
        ("Batches", grouped(batches)),
        ("Data files", format!("{}, {}", grouped(files), ByteSize(bytes))),
        ("Version", state.version.to_string()),
        ("Committed at", minute(&state.created_at)),
        ("Newest task completed at", newest),
    ]
}

/// An instant up to its minute.
fn minute(instant: &str) -> String {
    match instant.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => instant.to_owned(),
    }
}

fn drift(drift: Drift) -> Option<Section> {
    let (findings, _) = drift.finish();
    let row = |finding: &Finding| {
        let what = match finding.what {
            What::UnknownField => "unknown field",
            What::UnknownWord => "unknown word",
            What::UnexpectedKind => "unexpected kind",
        };
        let texts = [finding.table, finding.path.as_str(), what, finding.found.as_str()];
        let texts = texts.map(|text| Cell::Text(text.to_owned()));
        [&texts[..], &[Cell::Count(finding.count)]].concat()
    };
    let rows = findings.iter().map(row).collect::<Vec<_>>();
    let columns = ["table", "path", "what", "found", "times"];
    let origin = Origin::Command("taskloom drift LAKE".to_owned());
    let section = Section::new("drift", "What the schema does not know", &columns, rows, origin)
        .note("Nothing of it is lost: it stands in the columns `extra`, or beside its column.");
    (!section.rows.is_empty()).then_some(section)
}

/// Runs that are told.
const MOST_RUNS: usize = 30;

fn runs(reports: &[serde_json::Value], version: u64) -> Option<Section> {
    let row = |report: &serde_json::Value| {
        let text = |name: &str| report.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let count = |name: &str| report.get(name).and_then(serde_json::Value::as_u64).map_or(Cell::Empty, Cell::Count);
        let seconds = report.get("seconds").and_then(serde_json::Value::as_f64);
        let [ended, operation, outcome] = ["ended_at", "operation", "outcome"].map(|name| Cell::name(&text(name)));
        vec![
            ended,
            operation,
            outcome,
            count("version"),
            count("tasks_read"),
            count("rejected"),
            Cell::some(seconds, 1),
        ]
    };
    // The newest stand first. Those that failed have no version: they are of the time of their neighbours.
    let version_of = |report: &serde_json::Value| report.get("version").and_then(serde_json::Value::as_u64);
    let later = reports.iter().rposition(|report| version_of(report).is_some_and(|of| of > version));
    let rows = reports.iter().skip(later.map_or(0, |last| last + 1)).take(MOST_RUNS).map(row).collect::<Vec<_>>();
    let columns = ["ended_at", "operation", "outcome", "version", "tasks_read", "rejected", "seconds"];
    let origin = Origin::Command("taskloom status LAKE --json".to_owned());
    let section = Section::new("runs", "The newest runs, with their rejects", &columns, rows, origin);
    (!section.rows.is_empty()).then_some(section)
}
