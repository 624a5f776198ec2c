//! A lake at one version.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use serde::Deserialize;
use taskloom::{
    DatasetOptions, Days, Error, Result, ScanOptions, Scope, State, VerifyOptions, annotations_of, changes_since, scan,
    verify, write_dataset,
};

use crate::failure::{raised, usage};
use crate::job;
use crate::rows::{Tasks, schema_capsule, stream_capsule};
use crate::settings::{MOST_THREADS, StoreSettings, read};

/// A lake at one version.
#[pyclass(frozen, skip_from_py_object)]
#[derive(Clone)]
pub(crate) struct Lake {
    lake: taskloom::Lake,
    state: State,
    /// The process that opened it.
    process: u32,
}

impl Lake {
    pub(crate) fn of(lake: taskloom::Lake, state: State) -> Lake {
        Lake { lake, state, process: std::process::id() }
    }

    /// An error in a process that was forked since: the threads that talk to a bucket did not come along.
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.process == std::process::id() || !is_address(self.lake.place()) {
            return Ok(());
        }
        let found = "one that a parent opened before it forked";
        raised(py, Err(usage("the lake", "one in a bucket that this process opened", found)))
    }
}

/// Which rows and columns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanSettings {
    columns: Option<Vec<String>>,
    project: Option<Vec<Option<String>>>,
    batch: Option<Vec<Option<String>>>,
    days: Option<DaySettings>,
    threads: Option<usize>,
}

/// Which days.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaySettings {
    is_unknown: bool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

impl ScanSettings {
    fn options(self) -> ScanOptions {
        let default = ScanOptions::default();
        let threads = self.threads.unwrap_or(default.threads).clamp(1, MOST_THREADS);
        ScanOptions {
            columns: self.columns,
            projects: self.project,
            batches: self.batch,
            days: self.days.map(|days| match days.is_unknown {
                true => Days::Unknown,
                false => Days::Between(days.from, days.to),
            }),
            threads,
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::Json { action: "write JSON", source })
}

#[pymethods]
impl Lake {
    #[new]
    fn new(py: Python<'_>, place: PathBuf, version: Option<String>, store: &str) -> PyResult<Lake> {
        let store: StoreSettings = raised(py, read(store))?;
        let options = raised(py, store.options())?;
        job::run(py, None, None, move |_| {
            let lake = taskloom::Lake::open_with(&place, &options)?;
            let state = lake.state_of(version.as_deref())?;
            Ok(Lake::of(lake, state))
        })
    }

    #[getter]
    fn version(&self) -> u64 {
        self.state.version
    }

    #[getter]
    fn place(&self) -> String {
        self.lake.place().display().to_string()
    }

    /// The newest version of the same lake.
    fn newest(&self, py: Python<'_>) -> PyResult<Lake> {
        self.check_process(py)?;
        let lake = self.lake.clone();
        job::run(py, None, None, move |_| {
            let state = lake.readable_state()?;
            Ok(Lake::of(lake, state))
        })
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        self.check_process(py)?;
        let lake = self.lake.clone();
        job::run(py, None, None, move |_| {
            lake.check()?;
            to_json(&lake.history()?)
        })
    }

    fn changes(&self, py: Python<'_>, since: u64) -> PyResult<String> {
        self.check_process(py)?;
        let this = self.clone();
        job::run(py, None, None, move |_| {
            let mut changes = Vec::new();
            changes_since(&this.lake, &this.state, taskloom::Since::Version(since), |change| {
                changes.push(to_json(&change)?);
                Ok(())
            })?;
            Ok(format!("[{}]", changes.join(",")))
        })
    }

    fn verify(&self, py: Python<'_>, is_deep: bool) -> PyResult<String> {
        self.check_process(py)?;
        let lake = self.lake.clone();
        job::run(py, None, None, move |_| {
            lake.check()?;
            let options = VerifyOptions { scope: Scope::default(), is_deep, is_for_forgotten: false };
            to_json(&verify(&lake, &options)?)
        })
    }

    fn scan<'py>(&self, py: Python<'py>, table: &str, settings: &str) -> PyResult<Bound<'py, PyCapsule>> {
        self.check_process(py)?;
        let settings: ScanSettings = raised(py, read(settings))?;
        let scan = scan(&self.lake, &self.state, table, &settings.options());
        stream_capsule(py, raised(py, scan)?)
    }

    fn schema<'py>(&self, py: Python<'py>, table: &str, settings: &str) -> PyResult<Bound<'py, PyCapsule>> {
        let settings: ScanSettings = raised(py, read(settings))?;
        let schema = taskloom::scan_schema_of(table, &settings.options());
        schema_capsule(py, &raised(py, schema)?)
    }

    /// The columns of a scan, as JSON.
    fn columns(&self, py: Python<'_>, table: &str, settings: &str) -> PyResult<Vec<String>> {
        let settings: ScanSettings = raised(py, read(settings))?;
        let schema = raised(py, taskloom::scan_schema_of(table, &settings.options()))?;
        Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    /// How many rows a scan has.
    fn rows(&self, py: Python<'_>, table: &str, settings: &str) -> PyResult<u64> {
        let settings: ScanSettings = raised(py, read(settings))?;
        raised(py, taskloom::scan_rows(&self.state, table, &settings.options()))
    }

    /// The paths of a table's files, below the lake.
    fn files(&self, table: &str) -> Vec<String> {
        let parts = self.state.parts.values().filter(|part| part.files.contains_key(table));
        parts.map(|part| part.path(table)).collect()
    }

    fn restore(&self, py: Python<'_>) -> PyResult<Tasks> {
        self.check_process(py)?;
        Ok(Tasks::of(&self.lake, &self.state))
    }

    fn annotations(
        &self,
        py: Python<'_>,
        project: Option<String>,
        on_progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.check_process(py)?;
        let this = self.clone();
        job::run(py, on_progress, None, move |progress| {
            to_json(&annotations_of(&this.lake, &this.state, project.as_deref(), progress)?)
        })
    }

    fn dataset(
        &self,
        py: Python<'_>,
        out: PathBuf,
        settings: &str,
        store: &str,
        on_progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.check_process(py)?;
        let options: DatasetOptions = raised(py, read(settings))?;
        let store: StoreSettings = raised(py, read(store))?;
        let store = raised(py, store.options())?;
        let this = self.clone();
        job::run(py, on_progress, None, move |progress| {
            let report = match is_address(&out) {
                true => {
                    let to = taskloom::Lake::with(&out, &store)?;
                    taskloom::write_dataset_into(&this.lake, &this.state, &options, &**to.store(), progress)?
                }
                false => write_dataset(&this.lake, &this.state, &options, &out, progress)?,
            };
            to_json(&report)
        })
    }
}

fn is_address(place: &Path) -> bool {
    place.to_string_lossy().contains("://")
}

/// The columns of each table with those of its partitions, as Spark declares them, by table; as JSON.
#[pyfunction]
pub(crate) fn spark_columns(py: Python<'_>) -> PyResult<String> {
    raised(py, to_json(&taskloom::schema::spark_columns()))
}

/// The files that paths stand for, each with its bytes; 0 where it has no size.
#[pyfunction]
pub(crate) fn resolve(py: Python<'_>, paths: Vec<PathBuf>, store: &str) -> PyResult<Vec<(String, u64)>> {
    let store: StoreSettings = raised(py, read(store))?;
    let options = raised(py, store.options())?;
    job::run(py, None, None, move |_| {
        let inputs = taskloom::resolve_with(&paths, &options)?;
        Ok(inputs.iter().map(|input| (input.name(), input.size().unwrap_or(0))).collect())
    })
}

/// What the tables hold, as JSON.
#[pyfunction]
pub(crate) fn schema(py: Python<'_>, table: Option<&str>) -> PyResult<String> {
    let tables = taskloom::schema::TABLES.iter().copied();
    let tables = tables.filter(|known| table.is_none_or(|table| known.name == table)).collect::<Vec<_>>();
    if tables.is_empty() {
        let names = taskloom::schema::TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
        let error = usage("table", format!("one of {names}"), table.unwrap_or_default());
        return raised(py, Err(error));
    }
    raised(py, taskloom::schema::write(taskloom::schema::Format::Json, &tables))
}
