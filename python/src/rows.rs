//! Rows of a lake on their way to Python: tables as Arrow streams, and tasks as JSON.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::ffi::FFI_ArrowSchema;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use crossbeam_channel::{Receiver, Sender, bounded};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use taskloom::{Error, Lake, Result, Scan, ScanReader, State, restore_state};

use crate::failure::exception;

/// A stream as the Arrow PyCapsule interface hands it out.
pub(crate) fn stream_capsule(py: Python<'_>, scan: Scan) -> PyResult<Bound<'_, PyCapsule>> {
    let stream = FFI_ArrowArrayStream::new(Box::new(ScanReader(scan)));
    PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
}

/// A schema in the same way.
pub(crate) fn schema_capsule<'py>(py: Python<'py>, schema: &SchemaRef) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(&**schema).map_err(|error| PyValueError::new_err(error.to_string()))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// Bytes of JSON that are handed on at a time, and how many such pieces wait.
const PIECE_BYTES: usize = 256 * 1024;
const QUEUED_PIECES: usize = 4;

/// Some lines; `None` is the end.
type Piece = Option<Result<Vec<u8>>>;

/// An iterator over the tasks of a lake, each as JSON in UTF-8. They are put together by a thread of its own.
#[pyclass(frozen)]
pub(crate) struct Tasks {
    state: std::sync::Mutex<Reading>,
}

struct Reading {
    pieces: Receiver<Piece>,
    lines: std::vec::IntoIter<Vec<u8>>,
    is_over: bool,
}

impl Tasks {
    pub(crate) fn of(lake: &Lake, state: &State) -> Tasks {
        let (to, pieces) = bounded(QUEUED_PIECES);
        let (lake, state) = (lake.clone(), state.clone());
        std::thread::spawn(move || {
            let mut out = Pieces { held: Vec::with_capacity(PIECE_BYTES), to: to.clone() };
            let restored = restore_state(&lake, &state, &mut out).and_then(|_| out.flush().map_err(Error::Output));
            let _ = to.send(restored.err().map(Err));
        });
        Tasks { state: std::sync::Mutex::new(Reading { pieces, lines: Vec::new().into_iter(), is_over: false }) }
    }
}

#[pymethods]
impl Tasks {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let next = py.detach(|| {
            let mut reading = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            reading.next()
        });
        match next {
            Some(Ok(line)) => Ok(Some(PyBytes::new(py, &line))),
            Some(Err(error)) => Err(exception(py, &error)),
            None => Ok(None),
        }
    }
}

impl Reading {
    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(Ok(line));
            }
            if self.is_over {
                return None;
            }
            match self.pieces.recv().unwrap_or(Some(Err(Error::Reader))) {
                Some(Ok(piece)) => {
                    let lines = piece.split_inclusive(|byte| *byte == b'\n').map(|line| line.trim_ascii_end().to_vec());
                    self.lines = lines.collect::<Vec<_>>().into_iter();
                }
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => self.is_over = true,
            }
        }
    }
}

/// Hands on whole lines.
struct Pieces {
    held: Vec<u8>,
    to: Sender<Piece>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE_BYTES && self.held.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.held, Vec::with_capacity(PIECE_BYTES));
        self.to.send(Some(Ok(piece))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
