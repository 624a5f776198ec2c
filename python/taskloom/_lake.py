"""A lake, and its tables as Arrow streams."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any, Literal, Unpack

from . import _core, _settings
from .errors import UsageError


class Table:
    """Rows of a table at one version of a lake: an object with `__arrow_c_stream__`, which Polars, DuckDB, pyarrow and pandas take without a
    copy. `polars.DataFrame(table)`, `duckdb.sql("FROM table")`, `pyarrow.table(table)`. Each time it is asked, it reads anew.
    """

    def __init__(self, lake: _core.Lake, name: str, settings: Mapping[str, Any]) -> None:
        self._lake, self.name = lake, name
        empty = dict.fromkeys(("columns", "project", "batch", "days", "threads"))
        self._settings = json.dumps({**empty, **settings})
        # A column that is not there is told of here, not when the first engine reads.
        self._columns = lake.columns(name, self._settings)

    @property
    def columns(self) -> list[str]:
        """The names of its columns, those of its partitions last."""
        return list(self._columns)

    @property
    def num_rows(self) -> int:
        """How many rows it has: the lake's records tell it, so nothing is read."""
        return self._lake.rows(self.name, self._settings)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._lake.scan(self.name, self._settings)

    def __arrow_c_schema__(self) -> object:
        return self._lake.schema(self.name, self._settings)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {self.num_rows} rows, {len(self._columns)} columns)"


class Lake:
    """A lake at one version: whatever others commit meanwhile, all of its tables are of that version.

    >>> import tempfile, taskloom
    >>> place = tempfile.mkdtemp() + "/lake"
    >>> _ = taskloom.flatten([{"task_id": "t1", "project": "p1", "threads": []}], place)
    >>> lake = taskloom.Lake(place)
    >>> lake.version, len(lake.tables), lake.table("tasks", columns=["task_id", "project"])
    (1, 20, Table('tasks', 1 rows, 2 columns))
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        version: int | str | None = None,
        **options: Unpack[_settings.StoreOptions],
    ) -> None:
        """Opens the lake in a folder, or at an address such as `s3://bucket/lake`.

        `version` is a number, or a name that was given to one; without it, the newest.
        """
        _settings.check_names(options, _settings.StoreOptions, "Lake")
        word = None if version is None else str(version)
        self._options = options
        self._lake = _core.Lake(_settings.place(address), word, json.dumps(_settings.store(options)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens it anew, at the same version.
        return _open, (self.address, self.version, self._options)

    @property
    def address(self) -> str:
        """Where it is."""
        return self._lake.place

    @property
    def version(self) -> int:
        """The version that this object is of."""
        return self._lake.version

    @property
    def tables(self) -> list[str]:
        """The names of its tables, parents first."""
        from ._runs import table_names

        return list(table_names())

    def refresh(self) -> Lake:
        """Goes on to the newest version; gives itself."""
        self._lake = self._lake.newest()
        return self

    def log(self) -> list[dict[str, Any]]:
        """Every version, the oldest first: `version`, `created_at`, `operation`, `counts` and so on."""
        return list(json.loads(self._lake.log()))

    def changes(self, since: int = 0) -> list[dict[str, Any]]:
        """What happened to which task behind a version: `task_id`, `change` (added, replaced, removed, forgotten), `version` and so on."""
        return list(json.loads(self._lake.changes(since)))

    def verify(self, *, deep: bool = False) -> dict[str, Any]:
        """Holds what lies there against the lake's records; `deep`: every byte and every row. What is wrong stands in `findings`."""
        return dict(json.loads(self._lake.verify(deep)))

    def table(
        self,
        name: str,
        columns: str | Iterable[str] | None = None,
        *,
        project: str | None | Iterable[str | None] | EllipsisType = ...,
        batch: str | None | Iterable[str | None] | EllipsisType = ...,
        date: str | dt.date | Sequence[str | dt.date | None] | None | EllipsisType = ...,
        threads: int | None = None,
    ) -> Table:
        """Rows of a table, with the columns `project`, `batch` and `date` of its partitions; projects, batches and deliveries have `project`.

        `columns`: these, in this order. `project`, `batch`: only rows of this id, or of these; None means rows without one. `date`: only
        partitions that have this day, or a day from one to another, both with it, None for an open end; None alone means rows without a day. A
        partition of a month has all of its days: what is read then is the whole month.
        What is not given is not narrowed, and partitions that are not meant are not read.
        """
        settings = {
            "columns": None if columns is None else _settings.words(columns),
            "project": _ids(project),
            "batch": _ids(batch),
            "days": _days(date),
            "threads": threads,
        }
        return Table(self._lake, name, settings)

    def restore(self, *, raw: bool = False) -> Iterator[Any]:
        """Every task as the API sends it, rebuilt from the tables, in no particular order: as a dict, or with `raw` as JSON in bytes."""
        lines = self._lake.restore()
        return lines if raw else map(json.loads, lines)

    def annotations(
        self, project: str | None = None, *, on_progress: Callable[[Any], object] | None = None
    ) -> dict[str, Any]:
        """What people were asked and what they answered: every annotation key with its values, agreement and uses, as
        `taskloom annotations --json` prints it."""
        return dict(json.loads(self._lake.annotations(project, on_progress)))

    def dataset(
        self,
        method: Literal["sft", "dpo", "reward", "kto", "grpo"],
        out: str | os.PathLike[str],
        *,
        by: str | Iterable[str] | Mapping[str, float] = (),
        layout: Literal["trl", "axolotl", "llamafactory", "openai"] = "trl",
        better: Literal["higher", "lower"] | None = None,
        ties: str | Iterable[str] = (),
        aggregate: Literal["unanimous", "majority", "mean", "all"] = "majority",
        normalise: bool = False,
        min_margin: float | None = None,
        threshold: float | None = None,
        rewrite_by: str | None = None,
        history_by: str | None = None,
        project: str | Iterable[str] = (),
        batch: str | Iterable[str] = (),
        status: str | Iterable[str] = (),
        completed_after: _settings.Instant | None = None,
        completed_before: _settings.Instant | None = None,
        task_ids: str | Iterable[str] | None = None,
        exclude_reported: bool = False,
        model: str | Iterable[str] = (),
        turns: Literal["all", "last"] = "all",
        reasoning: Literal["keep", "drop"] = "drop",
        images: bool = False,
        min_chars: int | None = None,
        max_chars: int | None = None,
        split: float = 0.0,
        split_by: str = "prompt",
        dedupe: bool = False,
        store_options: Mapping[str, str] | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> dict[str, Any]:
        """Makes a training set in a folder, or at an address; gives what was made and what was left out, by reason.

        `by` names the annotation keys that judge, each with a weight where it is a mapping; `@rubric` stands for scores of rubrics. The other
        parameters are the flags of `taskloom dataset`, which docs/training.md explains.
        """
        weights = by if isinstance(by, Mapping) else {key: 1.0 for key in _settings.words(by)}
        settings = {
            "method": method,
            "target": layout,
            "by": [{"key": key, "weight": float(weight)} for key, weight in weights.items()],
            "history_by": history_by,
            "rewrite_by": rewrite_by,
            "better": better,
            "ties": _settings.words(ties),
            "aggregate": aggregate,
            "min_margin": min_margin,
            "threshold": threshold,
            "normalises": normalise,
            "selection": {
                "projects": _settings.words(project),
                "batches": _settings.words(batch),
                "statuses": _settings.words(status),
                "completed_from": _settings.micros("completed_after", completed_after),
                "completed_before": _settings.micros("completed_before", completed_before),
                "task_ids": None if task_ids is None else _settings.words(task_ids),
                "excludes_reported": exclude_reported,
            },
            "models": _settings.words(model),
            "turns": turns,
            "reasoning": reasoning,
            "carries_images": images,
            "min_chars": min_chars,
            "max_chars": max_chars,
            "tokenizer": None,
            "min_tokens": None,
            "max_tokens": None,
            "split": split,
            "split_by": {"metadata": split_by.removeprefix("metadata.")} if split_by.startswith("metadata.") else split_by,
            "dedupes": dedupe,
        }
        store = json.dumps(_settings.store({"store_options": store_options}))
        return dict(json.loads(self._lake.dataset(os.fspath(out), json.dumps(settings), store, on_progress)))

    def __repr__(self) -> str:
        return f"Lake({self.address!r}, version={self.version})"


def _open(address: str, version: int, options: _settings.StoreOptions) -> Lake:
    return Lake(address, version, **options)


def _ids(value: str | None | Iterable[str | None] | EllipsisType) -> list[str | None] | None:
    if isinstance(value, EllipsisType):
        return None
    return [value] if value is None or isinstance(value, str) else list(value)


def _days(date: Any) -> dict[str, Any] | None:
    if isinstance(date, EllipsisType):
        return None
    if date is None:
        return {"is_unknown": True, "from": None, "to": None}
    between = (date, date) if isinstance(date, str | dt.date) else tuple(date)
    if len(between) != 2:
        raise UsageError(f"date: expected a day, or a first and a last one, found {len(between)} of them")
    return {"is_unknown": False, "from": _day(between[0]), "to": _day(between[1])}


def _day(day: str | dt.date | None) -> str | None:
    return day if day is None or isinstance(day, str) else day.strftime("%Y-%m-%d")
