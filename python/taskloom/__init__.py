"""taskloom turns Scale GenAI tasks (conversations with models, labelled by people) into columnar tables.

`flatten`, `export` and `sync` write a lake: twenty Parquet tables at one version. `Lake` reads one: each table is an Arrow stream that Polars,
DuckDB, pyarrow and pandas take without a copy. `tables` does it in memory. `taskloom.spark` and `taskloom.ray` do it on many machines.
"""

from ._core import __version__
from ._lake import Lake, Table
from ._runs import OnProgress, Progress, Report, Tables, Task, export, flatten, schema, sync, tables
from .errors import (
    BugError,
    BusyError,
    ConflictError,
    DamagedError,
    Error,
    IncompleteWarning,
    InputError,
    LakeError,
    OutputError,
    RefusedError,
    RejectedError,
    RejectedWarning,
    UnavailableError,
    UsageError,
)

__all__ = [
    "BugError",
    "BusyError",
    "ConflictError",
    "DamagedError",
    "Error",
    "IncompleteWarning",
    "InputError",
    "Lake",
    "LakeError",
    "OnProgress",
    "OutputError",
    "Progress",
    "RefusedError",
    "RejectedError",
    "RejectedWarning",
    "Report",
    "Table",
    "Tables",
    "Task",
    "UnavailableError",
    "UsageError",
    "__version__",
    "export",
    "flatten",
    "schema",
    "sync",
    "tables",
]
