"""The options that calls have in common, and how the core is told of them."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from .errors import UsageError

_Call = TypeVar("_Call", bound=Callable[..., Any])

Span = dt.timedelta | float | str
"""A span of time: a timedelta, seconds, or words such as "24h", "7d" and "1h 30m"."""

Instant = dt.datetime | dt.date | str
"""An instant: a datetime, which is UTC where it names no zone; a date, which begins at midnight UTC; or either in ISO 8601."""


class StoreOptions(TypedDict, total=False):
    """How a store is talked to."""

    store_options: Mapping[str, str]
    """Settings of the store by their names in object_store, such as `aws_region`; they go before those of the environment."""
    lease: Span
    """A run that has shown no sign of life for so long is taken for dead [24 hours]."""
    store_retry_for: Span
    """A request that fails in a way that may pass is repeated for so long [2 minutes]."""


class RunOptions(StoreOptions, total=False):
    """How a lake is written."""

    overwrite: bool
    """Replace what the lake holds, instead of merging into it [False]."""
    rewrite_unchanged: bool
    """Merging, also write tasks anew whose content the lake has already [False]."""
    conflict_retries: int
    """How often a merge is planned anew because another run committed meanwhile [10]."""
    threads: int
    """Threads that work [all cores]."""
    memory_limit: int | str
    """Bytes that may be buffered and be encoded, or a size such as "512MiB" [512 MiB]; at least 32 MiB."""
    compression_level: int
    """zstd's level, 1 to 22 [2]."""
    date_by: Literal["completed", "created"]
    """Which time of a task names its date; a lake's first run fixes it [completed]."""
    date_grain: Literal["day", "month"]
    """How long a partition's date lasts; a lake's first run fixes it [day]."""
    max_rejects: int | str
    """Fail and commit nothing if more tasks are rejected: a count, or a percentage such as "0.5%" [no limit; of `sync` "1%"]."""
    work_dir: str | os.PathLike[str]
    """Folder for what doesn't fit into memory, and for what an export has received until it is committed [of `export` and `sync` your cache
    folder, else a temporary one]. Those who write on a cluster have one of their own."""


class QueryOptions(TypedDict, total=False):
    """Which tasks the API is asked for."""

    all_projects: bool
    """Tasks of every project of the key's account."""
    project_id: str | Iterable[str]
    """Tasks of these projects."""
    project_name: str | Iterable[str]
    """Tasks of the projects of these names."""
    batch_id: str | Iterable[str]
    """Tasks of these batches."""
    batch_name: str | Iterable[str]
    """Tasks of the batches of these names."""
    status: str | Iterable[str]
    """Only tasks of these statuses."""
    skip_delivery_tasks: bool
    """Leave the table `delivery_tasks` empty, which takes about half the requests [False]."""
    expand: str | Iterable[str]
    """What comes as an object, not as an id [all: project, batch, delivery]."""
    opts: str | Iterable[str]
    """Details to ask for [all: annotation_details, attachment_details, model_parameters, submissions]."""


class ApiOptions(TypedDict, total=False):
    """How the API is reached."""

    api_key: str
    """The key [the variable SCALE_API_KEY]."""
    api_url: str
    """Its address [the variable SCALE_API_URL, or https://api.scale.com]."""
    allow_http: bool
    """Allow http:// to other hosts than this one: the key goes unencrypted [False]."""
    page_size: int
    """Tasks on a page, 1 to 100 [100]."""
    concurrency: int
    """Requests at a time, 1 to 64 [8]."""
    retries: int
    """Further attempts of a request that fails [60]."""
    retry_for: Span
    """Time for all attempts of a request [10 minutes]."""
    max_requests_per_second: float
    """Send no more requests a second than this [no limit]."""
    connect_timeout: Span
    """Time until a connection stands [10 seconds]."""
    read_timeout: Span
    """Time without a byte until an attempt is given up [60 seconds]."""
    restart: bool
    """Drop the pages of an unfinished run and begin anew [False]."""
    keep_raw: bool
    """Keep the JSON as it was received, in `_taskloom/raw` [False]."""
    allow_count_mismatch: bool
    """Commit although a delivery brought another number of tasks than it says [False]."""


class ExportOptions(RunOptions, QueryOptions, ApiOptions, total=False):
    """What `export` takes."""

    delivery_id: str
    """Tasks of this delivery."""
    delivery_name: str
    """Tasks of the delivery of this name, of the one project given."""
    task_id: str | Iterable[str]
    """These tasks."""
    completed_after: Instant
    """Only tasks completed after this."""
    completed_before: Instant
    """Only tasks completed before this [with `completed_after`: now]."""
    reconcile: bool
    """Take away the tasks that the lake holds and the API has no more, of those that are asked for [False]."""
    max_removed: int | str
    """Fail and change nothing where more of the lake's tasks would be taken away: a count, or a percentage ["5%"]."""
    allow_missing: bool
    """Commit although the API has none of the tasks that are asked for by id [False]."""


class SyncOptions(RunOptions, QueryOptions, ApiOptions, total=False):
    """What `sync` takes."""

    job: str
    """The job's name; jobs of one lake that ask for different tasks have different names ["default"]."""
    overlap: Span
    """How long before what is known to be in a run begins to ask, for what shows late [24 hours]."""
    reconcile_every: Span
    """How often everything is asked for again, and what the API has no more is taken away; 0 for never [7 days]."""
    reconcile: bool
    """Do that now [False]."""
    commit_every: dt.timedelta | str | int
    """Commit a first walk slice by slice: of so long a time, or of about so many tasks [all at once]."""
    max_removed: int | str
    """Fail and change nothing where more of the lake's tasks would be taken away: a count, or a percentage ["5%"]."""
    compact: bool
    """Join small files, where there are many [True]."""
    vacuum: bool
    """Remove the files of old versions [True]."""
    retain: Span
    """How long what was replaced can still be read [7 days]."""
    checkout: str | os.PathLike[str]
    """Keep a plain folder of the newest version here [none]."""


def explained(kind: type) -> Callable[[_Call], _Call]:
    """Puts what options mean, as it stands in their class, at the end of what a call says of itself."""

    def explain(call: _Call) -> _Call:
        try:
            meanings = _meanings(kind)
        except OSError:  # A package without its sources explains less.
            return call
        call.__doc__ = inspect.cleandoc(call.__doc__ or "") + "\n\nOptions:\n" + "\n".join(meanings)
        return call

    return explain


def _meanings(kind: type) -> list[str]:
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    bases = [base.id for base in body.bases if isinstance(base, ast.Name) and base.id != "TypedDict"]
    inherited = [line for base in bases for line in _meanings(globals()[base])]
    own = []
    for field, text in zip(body.body, body.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            own.append(f"    {ast.unparse(field.target)}: {ast.unparse(field.annotation)}\n        {' '.join(str(text.value.value).split())}")
    return inherited + own


def check_names(options: Mapping[str, object], known: type, call: str) -> None:
    """Raises a TypeError for an option that is none of a call's, as Python does."""
    names = sorted(get_type_hints(known))
    for name in options:
        if name not in names:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}; it takes {', '.join(names)}")


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds(name: str, span: Span | None) -> float | None:
    """A span in seconds.

    >>> seconds("lease", "1h 30m"), seconds("lease", 5)
    (5400.0, 5.0)
    """
    if isinstance(span, dt.timedelta):
        return span.total_seconds()
    if isinstance(span, str):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", span)
        is_whole = re.fullmatch(r"\s*(\d+(\.\d+)?\s*[a-z]+\s*)+", span)
        if not is_whole or any(unit not in _SECONDS for _, unit in parts):
            raise UsageError(f'{name}: expected seconds, a timedelta, or a span such as "24h" or "7d", found {span!r}')
        return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
    return None if span is None else float(span)


def micros(name: str, instant: Instant | None) -> int | None:
    """An instant in microseconds since 1970."""
    if instant is None:
        return None
    if isinstance(instant, str):
        try:
            instant = dt.datetime.fromisoformat(instant)
        except ValueError:
            raise UsageError(f"{name}: expected an instant in ISO 8601, found {instant!r}") from None
    if not isinstance(instant, dt.date):
        raise UsageError(f"{name}: expected a datetime, a date, or ISO 8601, found {instant!r}")
    if not isinstance(instant, dt.datetime):
        instant = dt.datetime(instant.year, instant.month, instant.day)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=dt.timezone.utc)
    return (instant - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def words(value: str | Iterable[str] | None) -> list[str]:
    """One word or several, as several."""
    return [] if value is None else [value] if isinstance(value, str) else [str(word) for word in value]


_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}b": factor for unit, factor in _UNITS.items() if len(unit) == 1 and unit != "b"}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def size(name: str, value: int | str | None) -> int | None:
    """A size in bytes.

    >>> size("memory_limit", "512MiB"), size("memory_limit", "2 GB")
    (536870912, 2000000000)
    """
    if value is None or isinstance(value, int):
        return value
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value)
    if parts is None or parts[2].lower() not in _UNITS:
        raise UsageError(f'{name}: expected a size such as "512MiB", found {value!r}')
    return int(float(parts[1]) * _UNITS[parts[2].lower()])


def store(options: Mapping[str, Any]) -> dict[str, Any]:
    """How the core is told of a store."""
    given = options.get("store_options") or {}
    if not isinstance(given, Mapping):
        raise UsageError(f"store_options: expected settings by their names, found {type(given).__name__}")
    return {
        "options": {key: str(value) for key, value in given.items()},
        "lease_seconds": seconds("lease", options.get("lease")),
        "retry_seconds": seconds("store_retry_for", options.get("store_retry_for")),
    }


def run(lake: str | os.PathLike[str], options: Mapping[str, Any], command: str, **defaults: Any) -> dict[str, Any]:
    """How the core is told of a run."""
    options = {**defaults, **options}
    max_rejects = options.get("max_rejects")
    work_dir = options.get("work_dir")
    return {
        "lake": place(lake),
        "store": store(options),
        "work_dir": None if work_dir is None else os.fspath(work_dir),
        "overwrite": options.get("overwrite", False),
        "rewrite_unchanged": options.get("rewrite_unchanged", False),
        "conflict_retries": options.get("conflict_retries", 10),
        "threads": options.get("threads"),
        "memory_limit": size("memory_limit", options.get("memory_limit")),
        "compression_level": options.get("compression_level", 2),
        "date_by": options.get("date_by"),
        "date_grain": options.get("date_grain"),
        "max_rejects": None if max_rejects is None else str(max_rejects),
        "command": command,
    }


def place(lake: str | os.PathLike[str]) -> str:
    """Where a lake is, whatever the current folder becomes."""
    given = os.fspath(lake)
    if not given:
        raise UsageError("the lake: expected a folder or an address, found an empty text")
    return given if "://" in given else os.path.abspath(given)


def work_dir() -> str | None:
    """Where programs of this user keep what can be made anew; None for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return os.fspath((Path(cache) if cache else Path.home() / ".cache") / "taskloom")
    except RuntimeError:
        return None


def api(options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """How the core is told of the API, and the key."""
    settings = {
        "url": options.get("api_url") or os.environ.get("SCALE_API_URL") or "https://api.scale.com",
        "allow_http": options.get("allow_http", False),
        "page_size": options.get("page_size", 100),
        "concurrency": options.get("concurrency", 8),
        "retries": options.get("retries"),
        "retry_seconds": seconds("retry_for", options.get("retry_for")),
        "max_requests_per_second": options.get("max_requests_per_second"),
        "connect_seconds": seconds("connect_timeout", options.get("connect_timeout")),
        "read_seconds": seconds("read_timeout", options.get("read_timeout")),
        "restart": options.get("restart", False),
        "keep_raw": options.get("keep_raw", False),
        "allow_count_mismatch": options.get("allow_count_mismatch", False),
        "allow_missing": options.get("allow_missing", False),
    }
    return settings, options.get("api_key") or os.environ.get("SCALE_API_KEY", "")


_PROJECTS = ("project_id", "project_name")
_BATCHES = ("batch_id", "batch_name")
_DELIVERIES = ("delivery_id", "delivery_name")
_FILTERS = ("status", "completed_after", "completed_before")


def query(options: Mapping[str, Any]) -> dict[str, Any]:
    """How the core is told which tasks."""
    named = ("all_projects", *_PROJECTS, *_BATCHES, *_DELIVERIES, "task_id")
    given = [name for name in named if options.get(name)]
    if not given:
        raise UsageError(f"which tasks: expected one of {', '.join(named)}, found none")
    is_of_one_project = sum(len(words(options.get(name))) for name in _PROJECTS) == 1
    if "delivery_name" in given and not is_of_one_project:
        raise UsageError("delivery_name: expected one project_id or project_name beside it")
    kinds = [{"all_projects"}, set(_PROJECTS), set(_BATCHES), {"delivery_id"}, {"delivery_name"}]
    kinds = [kind & set(given) for kind in kinds if kind & set(given)]
    if len(kinds) > 1 and not ("delivery_name" in given and set(given) <= {"delivery_name", *_PROJECTS}):
        raise UsageError(f"which tasks: expected one kind of selection, found {', '.join(given)} beside each other")
    filters = [name for name in _FILTERS if options.get(name)]
    if filters and set(given) & {"task_id", *_DELIVERIES}:
        raise UsageError(f"{', '.join(filters)}: expected filters beside projects or batches, found them beside {given[-1]}")
    return {
        "all_projects": options.get("all_projects", False),
        **{name: words(options.get(name)) for name in (*_PROJECTS, *_BATCHES, "task_id", "status")},
        **{name: options.get(name) for name in _DELIVERIES},
        "completed_after": micros("completed_after", options.get("completed_after")),
        "completed_before": micros("completed_before", options.get("completed_before")),
        "skip_delivery_tasks": options.get("skip_delivery_tasks", False),
        "expand": words(options.get("expand", ("project", "batch", "delivery"))),
        "opts": words(options.get("opts", ("annotation_details", "attachment_details", "model_parameters", "submissions"))),
    }


def dumps(settings: Mapping[str, Any]) -> str:
    """Settings as the core takes them."""
    return json.dumps(settings)
