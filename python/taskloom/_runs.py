"""Runs: from files, from tasks at hand, and from the API."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Protocol, TypedDict, Unpack

from . import _core, _settings
from ._lake import Table
from ._report import told
from .errors import UsageError


class ArrowArray(Protocol):
    """An array of Arrow's, such as pyarrow's and Polars' have it."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Its schema and its values, as capsules."""


class ArrowStream(Protocol):
    """A stream of such, such as a chunked array."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream, as a capsule."""


Task = str | bytes | Mapping[str, Any] | ArrowArray
"""A task: its JSON, or what `json.loads` makes of it. An Arrow array of JSON is as many tasks as it has values."""

Tasks = Task | ArrowStream | Iterable[Task]
"""One task, or several."""

Report = dict[str, Any]
"""What a run did, as `taskloom flatten --json` prints it: `version`, `tasks_read`, `rejected`, `tables`, `seconds` and so on."""


class Progress(TypedDict):
    """What a run has done so far. Counts are of the whole run."""

    stage: str
    """`reading`, `building`, `merging` or `committing`."""
    total_bytes: int | None
    """Bytes of all inputs as they lie; None where one has no size."""
    read_bytes: int
    """How many of them are read."""
    buffered_bytes: int
    """Bytes of JSON, decompressed, that wait in buffers or have left them."""
    built_bytes: int
    """How many of these are in files."""
    tasks: int
    """Tasks read."""
    expected_tasks: int | None
    """How many tasks there will be, where it is known."""
    parts: int
    """Parts that a merge looks into or writes, as far as they are known."""
    done_parts: int
    """How many of them are done."""
    requests: int
    """Requests to the API."""
    pages: int
    """Pages that came of them."""
    retries: int
    """Attempts behind the first ones."""


OnProgress = Callable[[Progress], object]
"""Called about five times a second, by the thread that called; an exception in it stops the run with nothing visible."""


@_settings.explained(_settings.RunOptions)
def flatten(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Tasks,
    lake: str | os.PathLike[str],
    *,
    on_progress: OnProgress | None = None,
    **options: Unpack[_settings.RunOptions],
) -> Report:
    """Flattens tasks into a lake, and gives the report of the run.

    `inputs` are files, folders or patterns, each also as an address such as `s3://bucket/tasks/*.json.gz`: NDJSON, JSON, saved pages of the
    API, plain or compressed with gzip or zstd. Or they are the tasks themselves: dicts, JSON as bytes or as text that begins with `{`, Arrow
    arrays of JSON; one, or an iterable of them. Into a lake that is there it merges: a task that comes again takes the place of its old rows.

    What can't be read is set aside in `_taskloom/rejects`, and a `RejectedWarning` tells of it; `max_rejects` makes it an error.
    Ctrl-C stops the run with nothing visible. The interpreter's lock is released while it works.

    >>> import tempfile, taskloom
    >>> lake = tempfile.mkdtemp() + "/lake"
    >>> task = {"task_id": "t1", "project": "p1", "status": "completed", "threads": [{"id": "h1", "turns": []}]}
    >>> report = taskloom.flatten([task], lake)
    >>> report["version"], report["tables"]["threads"]["rows"]
    (1, 1)
    """
    _settings.check_names(options, _settings.RunOptions, "flatten")
    settings = _settings.dumps(_settings.run(lake, options, "taskloom.flatten in Python"))
    paths, records = apart(inputs)
    report = _core.flatten(settings, paths, records, "tasks from Python", on_progress)  # type: ignore[arg-type]
    return told(json.loads(report), stacklevel=3)


@_settings.explained(_settings.ExportOptions)
def export(
    lake: str | os.PathLike[str],
    *,
    on_progress: OnProgress | None = None,
    **options: Unpack[_settings.ExportOptions],
) -> Report:
    """Exports tasks from the Scale API into a lake, and gives the report of the run.

    Pages are written down as they come: a run that ends early goes on from there when the same call is made again. Nothing is visible before
    the end. `taskloom.export("lake", all_projects=True)`
    """
    _settings.check_names(options, _settings.ExportOptions, "export")
    api, key = _settings.api(options)
    completed_before, is_until_now = options.get("completed_before"), False
    if options.get("completed_after") and completed_before is None:
        # An open end would let a later attempt of this run see more than this one.
        completed_before, is_until_now = dt.datetime.now(dt.timezone.utc), True
    settings = {
        "run": _settings.run(lake, options, "taskloom.export in Python", work_dir=_settings.work_dir()),
        "api": api,
        "query": _settings.query({**options, "completed_before": completed_before}),
        "is_until_now": is_until_now,
        "reconcile": options.get("reconcile", False),
        "max_removed": str(options.get("max_removed", "5%")),
    }
    report = _core.export(_settings.dumps(settings), key, on_progress)  # type: ignore[arg-type]
    return told(json.loads(report), stacklevel=3)


@_settings.explained(_settings.SyncOptions)
def sync(
    lake: str | os.PathLike[str],
    *,
    on_progress: OnProgress | None = None,
    **options: Unpack[_settings.SyncOptions],
) -> Report:
    """Keeps a lake up to date with the Scale API, and gives the report of the run, with what was done behind it as `upkeep`.

    The first run exports everything. Later ones ask for what was completed since the last, less an overlap, and for every task that is not
    completed; now and then for everything again. How far it has come stands in the lake itself.
    `taskloom.sync("lake", all_projects=True)`
    """
    _settings.check_names(options, _settings.SyncOptions, "sync")
    api, key = _settings.api(options)
    every = options.get("commit_every")
    is_span = isinstance(every, dt.timedelta | str)
    checkout = options.get("checkout")
    settings = {
        "run": _settings.run(lake, options, "taskloom.sync in Python", work_dir=_settings.work_dir(), max_rejects="1%"),
        "api": api,
        "query": _settings.query(options),
        "job": options.get("job", "default"),
        "overlap_seconds": _settings.seconds("overlap", options.get("overlap", "24h")),
        "reconcile_every_seconds": _settings.seconds("reconcile_every", options.get("reconcile_every", "7d")),
        "reconcile": options.get("reconcile", False),
        "commit_every_seconds": _settings.seconds("commit_every", every) if is_span else None,
        "commit_every_tasks": None if is_span else every,
        "max_removed": str(options.get("max_removed", "5%")),
        "compact": options.get("compact", True),
        "retain_seconds": (
            _settings.seconds("retain", options.get("retain", "7d")) if options.get("vacuum", True) else None
        ),
        "checkout": None if checkout is None else os.fspath(checkout),
    }
    report, upkeep = _core.sync(_settings.dumps(settings), key, on_progress)  # type: ignore[arg-type]
    return {**told(json.loads(report), stacklevel=3), "upkeep": json.loads(upkeep)}


class Tables(Mapping[str, Table]):
    """The tables of some tasks, by their names; each hands out an Arrow stream, as often as it is asked to."""

    def __init__(self, tables: Mapping[str, Table], report: Report, rejects: list[dict[str, Any]]) -> None:
        self._tables = tables
        self.report = report
        """What was done, as `flatten` tells it."""
        self.rejects = rejects
        """What could not be read, each with its `reason` and its text."""

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {table.num_rows}" for name, table in self.items() if table.num_rows)
        return f"Tables({rows})"


@_settings.explained(_settings.RunOptions)
def tables(
    tasks: Tasks, *, on_progress: OnProgress | None = None, **options: Unpack[_settings.RunOptions]
) -> Tables:
    """Flattens tasks in memory, without a lake: the twenty tables by their names, each an Arrow stream.

    What can't be read stands in `.rejects`, and a `RejectedWarning` tells of it; `max_rejects` makes it an error.

    >>> import taskloom
    >>> tables = taskloom.tables([{"task_id": "t1", "project": "p1", "threads": [{"id": "h1", "turns": []}]}])
    >>> len(tables), tables["threads"].num_rows
    (20, 1)
    """
    _settings.check_names(options, _settings.RunOptions, "tables")
    # What is only read back once need not be small.
    settings = _settings.dumps(_settings.run("memory", options, "taskloom.tables in Python", compression_level=1))
    lake, report, rejects = _core.in_memory(settings, records(tasks), "tasks from Python", on_progress)  # type: ignore[arg-type]
    made = {name: Table(lake, name, {}) for name in table_names()}
    # The lake goes with the tables, and what it set aside stands there.
    whole = told({**json.loads(report), "rejects_file": None}, stacklevel=3)
    return Tables(made, whole, [json.loads(line) for line in rejects.splitlines()])


def table_names() -> tuple[str, ...]:
    """The names of the twenty tables, parents first."""
    return tuple(entry["name"] for entry in schema())


def schema(table: str | None = None) -> list[dict[str, Any]]:
    """What the tables hold, or one of them: for each its columns with their types, nullability, meaning and source.

    >>> import taskloom
    >>> taskloom.schema("threads")[0]["columns"][0]["name"]
    'task_id'
    """
    parsed = json.loads(_core.schema(table))
    return parsed if isinstance(parsed, list) else [parsed]


def apart(inputs: Any) -> tuple[list[str] | None, Iterator[Any] | None]:
    """Inputs as paths, or as tasks."""
    if isinstance(inputs, os.PathLike) or isinstance(inputs, str) and not _is_json(inputs):
        return [os.fspath(inputs)], None
    items = records(inputs)
    for first in items:
        if isinstance(first, os.PathLike) or isinstance(first, str) and not _is_json(first):
            return [os.fspath(path) for path in chain([first], items)], None
        return None, chain([first], items)
    return None, iter(())


def records(tasks: Any) -> Iterator[Any]:
    """One task or several, as an iterator."""
    if isinstance(tasks, str) and not _is_json(tasks):
        raise UsageError(f"tasks: expected tasks, found the text {tasks[:40]!r}, which is no JSON of one; `flatten` takes paths")
    if isinstance(tasks, str | bytes | Mapping) or hasattr(tasks, "__arrow_c_array__"):
        return iter([tasks])
    if hasattr(tasks, "__arrow_c_stream__"):
        import pyarrow

        return iter(pyarrow.chunked_array(tasks).chunks)
    return iter(tasks)


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")
