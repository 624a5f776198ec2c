//! What Python iterates over, as a stream of lines: tasks as JSON, as dicts, or as Arrow arrays of JSON.
//!
//! Only the thread that called iterates: iterators may be bound to it, and no other thread of ours ever needs the interpreter's lock.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayData, AsArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::pyarrow::FromPyArrow;
use crossbeam_channel::{Receiver, Sender, bounded};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyIterator, PyString};
use taskloom::Lines;

/// Tasks that Python has still to hand out, and where their lines go.
pub(crate) struct Records<'py> {
    records: Bound<'py, PyIterator>,
    /// Where they go; the end is told by this going.
    pub(crate) to: Sender<Vec<u8>>,
}

/// Bytes that are taken from Python at a time.
const TAKEN_BYTES: usize = 1024 * 1024;

/// How long it may take: who is slow is to hear signals, and to be told of progress, none the less.
const TAKEN_FOR: Duration = Duration::from_millis(50);

/// Lines of what an iterator gives, called so; and what has to hand them out.
pub(crate) fn lines<'py>(name: &str, records: Bound<'py, PyIterator>) -> (Lines, Records<'py>) {
    let (to, pieces) = bounded(1);
    let stream = Stream { pieces, held: Vec::new(), at: 0 };
    (Lines::new(name, stream), Records { records, to })
}

impl Records<'_> {
    /// The next lines, as many as come in a while, at times none; `None` at the end.
    pub(crate) fn take(&mut self) -> PyResult<Option<Vec<u8>>> {
        let (mut taken, begun) = (Vec::new(), Instant::now());
        while taken.len() < TAKEN_BYTES && begun.elapsed() < TAKEN_FOR {
            match self.records.next() {
                Some(record) => append(&record?, &mut taken)?,
                None if taken.is_empty() => return Ok(None),
                // It is asked once more.
                None => break,
            }
        }
        Ok(Some(taken))
    }
}

struct Stream {
    pieces: Receiver<Vec<u8>>,
    held: Vec<u8>,
    at: usize,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.held.len() {
            // Whoever goes without an end has stopped the run before.
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.held, self.at) = (piece, 0);
        }
        let mut left = self.held.get(self.at..).unwrap_or_default();
        let length = left.read(buffer)?;
        self.at += length;
        Ok(length)
    }
}

fn append(record: &Bound<'_, PyAny>, to: &mut Vec<u8>) -> PyResult<()> {
    if let Ok(text) = record.cast::<PyString>() {
        append_line(text.to_str()?.as_bytes(), to);
    } else if let Ok(bytes) = record.cast::<PyBytes>() {
        append_line(bytes.as_bytes(), to);
    } else if record.hasattr("__arrow_c_array__")? {
        append_array(record, to)?;
    } else if let Ok(bytes) = record.cast::<PyByteArray>() {
        append_line(&bytes.to_vec(), to);
    } else if record.hasattr("keys")? {
        // Any mapping: JSON is made of dicts alone.
        let dict = record.py().get_type::<PyDict>().call1((record,))?;
        let json = record.py().import("json")?.call_method1("dumps", (dict,))?;
        append_line(json.cast::<PyString>()?.to_str()?.as_bytes(), to);
    } else {
        let found = record.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "expected a task as str, bytes or dict, or an Arrow array of JSON, found {found}"
        )));
    }
    Ok(())
}

/// A record is a line. Between the tokens of JSON a tab does as well as a line break, and in a text it is as wrong.
fn append_line(record: &[u8], to: &mut Vec<u8>) {
    to.extend(record.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b'\t' } else { *byte }));
    to.push(b'\n');
}

fn append_array(record: &Bound<'_, PyAny>, to: &mut Vec<u8>) -> PyResult<()> {
    let array = make_array(ArrayData::from_pyarrow_bound(record)?);
    let failed = |error: ArrowError| PyTypeError::new_err(error.to_string());
    let plain = match array.data_type() {
        DataType::Dictionary(_, value) => cast(&array, value).map_err(failed)?,
        _ => Arc::clone(&array),
    };
    let is_json = matches!(
        plain.data_type(),
        DataType::Null
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    );
    if !is_json {
        let found = array.data_type();
        return Err(PyTypeError::new_err(format!("expected an Arrow array of JSON as text or bytes, found {found}")));
    }
    let wide = cast(&plain, &DataType::LargeBinary).map_err(failed)?;
    let wide = wide.as_binary::<i64>();
    for row in 0..wide.len() {
        // A null is no task: it is told of as one that can't be read.
        append_line(if wide.is_null(row) { b"null" } else { wide.value(row) }, to);
    }
    Ok(())
}
