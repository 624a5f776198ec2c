//! Runs that are led here and written elsewhere.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};
use taskloom::{Error, Outcome, Progress, Shard, Source, Ticket};

use crate::failure::raised;
use crate::job;
use crate::runs::given;
use crate::settings::{RunSettings, read};

/// A run that others write shards for.
#[pyclass(frozen)]
pub(crate) struct Lead(Mutex<Option<taskloom::Lead>>);

impl Lead {
    fn take(&self) -> Option<taskloom::Lead> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Lead {
    /// A run that nobody ends leaves nothing, and nobody has to wait for that.
    fn drop(&mut self) {
        let lead = self.take();
        let _ = Python::try_attach(|py| py.detach(|| drop(lead)));
    }
}

fn over() -> Error {
    Error::Usage { setting: "the run", expected: "one that has not ended".to_owned(), found: "one that has".to_owned() }
}

#[pymethods]
impl Lead {
    /// Begins a run; `words` tell what is read.
    #[new]
    fn new(py: Python<'_>, settings: &str, words: String) -> PyResult<Lead> {
        let settings: RunSettings = raised(py, read(settings))?;
        let config = raised(py, settings.config(Source::Shards(words)))?;
        let lead = job::run(py, None, None, move |_| taskloom::Lead::begin(config, &Arc::new(Progress::default())))?;
        Ok(Lead(Mutex::new(Some(lead))))
    }

    /// What those need who write for it.
    fn ticket<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let lead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = lead.as_ref().and_then(taskloom::Lead::ticket).ok_or_else(over).and_then(|it| it.to_bytes());
        Ok(PyBytes::new(py, &raised(py, ticket)?))
    }

    /// Makes one version of the shards; gives the report.
    fn commit(&self, py: Python<'_>, shards: Vec<Vec<u8>>, on_progress: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
        let lead = raised(py, self.take().ok_or_else(over))?;
        job::run(py, on_progress, None, move |progress| {
            let shards = shards.iter().map(|shard| Shard::from_bytes(shard)).collect::<Result<Vec<_>, _>>()?;
            lead.commit(shards, progress).and_then(Outcome::report)?.to_json()
        })
    }

    /// Ends it without a version: nothing of it is left.
    fn abandon(&self, py: Python<'_>) {
        let lead = self.take();
        py.detach(|| drop(lead));
    }
}

/// Writes a share of a run: what comes of these paths, or of these tasks. Gives what the lead needs.
#[pyfunction]
#[pyo3(signature = (settings, ticket, paths, records, name))]
pub(crate) fn write_shard<'py>(
    py: Python<'py>,
    settings: &str,
    ticket: &[u8],
    paths: Option<Vec<PathBuf>>,
    records: Option<Bound<'py, PyIterator>>,
    name: String,
) -> PyResult<Bound<'py, PyBytes>> {
    let settings: RunSettings = raised(py, read(settings))?;
    let ticket = raised(py, Ticket::from_bytes(ticket))?;
    let (wanted, records) = given(paths, records, name).apart();
    let shard = job::run(py, None, records, move |progress| {
        let config = settings.config(wanted.source(&settings)?)?;
        taskloom::write_shard(&ticket, &config, progress)?.to_bytes()
    })?;
    Ok(PyBytes::new(py, &shard))
}
