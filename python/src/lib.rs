//! The Python module `taskloom._core`: what Python's side of the package is built on. Settings come and results go as JSON, rows as Arrow
//! streams. It has neither a command line nor an allocator of its own, and a panic in it is an exception.
//!
//! ```text
//!  taskloom/*.py ──settings as JSON──▶ settings ──▶ job: a thread that works, while this one hears Ctrl-C
//!                                       lines: what Python iterates over, as a stream
//!                                       lake, rows: tables as Arrow streams, tasks as JSON
//!                                       cluster: runs that are led here and written elsewhere
//! ```

mod cluster;
mod failure;
mod job;
mod lake;
mod lines;
mod log;
mod rows;
mod runs;
mod settings;

use pyo3::prelude::*;

/// What Python's side of the package is built on.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::cluster::{Lead, write_shard};
    #[pymodule_export]
    use crate::lake::{Lake, resolve, schema, spark_columns};
    #[pymodule_export]
    use crate::rows::Tasks;
    #[pymodule_export]
    use crate::runs::{export, flatten, in_memory, sync};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::log::begin();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
