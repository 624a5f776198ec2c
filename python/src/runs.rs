//! Runs: from files, from what Python iterates over, and from the API.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use taskloom::api::{Ran, Upkeep};
use taskloom::{Error, ErrorKind, Input, Lines, MemoryStore, Outcome, Report, Result, RunConfig, Source, resolve_with};

use crate::failure::raised;
use crate::job;
use crate::lake::Lake;
use crate::lines::{Records, lines};
use crate::settings::{ExportSettings, RunSettings, SyncSettings, read};

/// Where tasks come from, as Python says it.
pub(crate) enum Given<'py> {
    /// Files, folders, patterns and addresses.
    Paths(Vec<PathBuf>),
    /// Tasks; what they are called.
    Records(Bound<'py, PyIterator>, String),
}

/// The same for the thread that works.
pub(crate) enum Wanted {
    Paths(Vec<PathBuf>),
    Lines(Lines),
}

impl<'py> Given<'py> {
    /// What is read, and what has to be handed out for it.
    pub(crate) fn apart(self) -> (Wanted, Option<Records<'py>>) {
        match self {
            Given::Paths(paths) => (Wanted::Paths(paths), None),
            Given::Records(records, name) => {
                let (lines, records) = lines(&name, records);
                (Wanted::Lines(lines), Some(records))
            }
        }
    }
}

impl Wanted {
    /// The source; looks for files, which may take a while.
    pub(crate) fn source(self, settings: &RunSettings) -> Result<Source> {
        Ok(Source::Files(match self {
            Wanted::Paths(paths) => resolve_with(&paths, &settings.store_options()?)?,
            Wanted::Lines(lines) => vec![Input::Lines(lines)],
        }))
    }
}

/// Whatever was given of the two.
pub(crate) fn given<'py>(
    paths: Option<Vec<PathBuf>>,
    records: Option<Bound<'py, PyIterator>>,
    name: String,
) -> Given<'py> {
    match records {
        Some(records) => Given::Records(records, name),
        None => Given::Paths(paths.unwrap_or_default()),
    }
}

fn to_json(report: &Report) -> Result<String> {
    report.to_json()
}

/// Flattens files, or tasks, into a lake; gives the report.
#[pyfunction]
#[pyo3(signature = (settings, paths, records, name, on_progress))]
pub(crate) fn flatten(
    py: Python<'_>,
    settings: &str,
    paths: Option<Vec<PathBuf>>,
    records: Option<Bound<'_, PyIterator>>,
    name: String,
    on_progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let settings: RunSettings = raised(py, read(settings))?;
    let (wanted, records) = given(paths, records, name).apart();
    job::run(py, on_progress, records, move |progress| {
        let config = settings.config(wanted.source(&settings)?)?;
        to_json(&taskloom::run(config, progress).and_then(Outcome::report)?)
    })
}

/// Flattens tasks into a lake in memory; gives it, the report, and the rejects.
#[pyfunction]
#[pyo3(signature = (settings, records, name, on_progress))]
pub(crate) fn in_memory(
    py: Python<'_>,
    settings: &str,
    records: Bound<'_, PyIterator>,
    name: String,
    on_progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Lake, String, Vec<u8>)> {
    let settings: RunSettings = raised(py, read(settings))?;
    let (wanted, records) = Given::Records(records, name).apart();
    let lake = taskloom::Lake::on(Arc::new(MemoryStore::named("memory")));
    job::run(py, on_progress, records, move |progress| {
        let config = settings.config_on(wanted.source(&settings)?, lake.clone())?;
        let report = taskloom::run(config, progress).and_then(Outcome::report)?;
        let mut rejects = Vec::new();
        for path in lake.store().paths("_taskloom/rejects")? {
            rejects.extend(lake.store().get(&path)?.unwrap_or_default());
        }
        let state = lake.readable_state()?;
        Ok((Lake::of(lake, state), to_json(&report)?, rejects))
    })
}

/// Exports tasks from the API into a lake; gives the report.
#[pyfunction]
#[pyo3(signature = (settings, key, on_progress))]
pub(crate) fn export(
    py: Python<'_>,
    settings: &str,
    key: &str,
    on_progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let settings: ExportSettings = raised(py, read(settings))?;
    let config: RunConfig = raised(py, settings.config(key))?;
    job::run(py, on_progress, None, move |progress| {
        to_json(&taskloom::run(config, progress).and_then(Outcome::report)?)
    })
}

/// Runs a scheduled job, and what is to be done behind it; gives the report of each.
#[pyfunction]
#[pyo3(signature = (settings, key, on_progress))]
pub(crate) fn sync(
    py: Python<'_>,
    settings: &str,
    key: &str,
    on_progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(String, String)> {
    let settings: SyncSettings = raised(py, read(settings))?;
    let sync = raised(py, settings.sync(key))?;
    job::run(py, on_progress, None, move |progress| {
        let now = Utc::now();
        let due = sync.due(now)?;
        let Ran { report, .. } = sync.run(due, now, progress);
        let report = report?;
        let upkeep = match sync.look_after(&report, progress) {
            // Another run is faster, and does it as well.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Busy) => Upkeep::default(),
            upkeep => upkeep.map_err(|cause| Error::committed(report.version, cause))?,
        };
        let json = |source| Error::Json { action: "write JSON", source };
        Ok((to_json(&report)?, serde_json::to_string(&upkeep).map_err(json)?))
    })
}
