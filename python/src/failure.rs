//! Errors as Python's exceptions: a class for each kind, in `taskloom.errors`.

use std::error::Error as _;

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use taskloom::{Error, ErrorKind};

/// The exception that an error is.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    if error.kind() == ErrorKind::Interrupted {
        return PyKeyboardInterrupt::new_err(error.to_string());
    }
    let words = words(error);
    let class = py.import("taskloom.errors").and_then(|errors| errors.getattr(class(error.kind())));
    match class.and_then(|class| class.call1((words.clone(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyRuntimeError::new_err(words),
    }
}

/// What a call came to, as Python has it.
pub(crate) fn raised<T>(py: Python<'_>, result: taskloom::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

/// Settings that are not as they should be.
pub(crate) fn usage(setting: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Usage { setting, expected: expected.into(), found: found.into() }
}

fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "UsageError",
        ErrorKind::Input => "InputError",
        ErrorKind::Output => "OutputError",
        ErrorKind::Lake => "LakeError",
        ErrorKind::Damaged => "DamagedError",
        ErrorKind::Rejected => "RejectedError",
        ErrorKind::Refused => "RefusedError",
        ErrorKind::Unavailable => "UnavailableError",
        ErrorKind::Busy => "BusyError",
        ErrorKind::Conflict => "ConflictError",
        _ => "BugError",
    }
}

/// The error with its causes.
fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        words += &format!(": {next}");
        cause = next.source();
    }
    words
}
