"""A run on many machines: led here, written where the tasks are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _core, _settings
from ._report import told

WORKER_MEMORY = "256MiB"
"""The memory limit of one that writes, where nothing else is said."""


@dataclass(frozen=True)
class Share:
    """What one that writes a share of a run has to know. It travels with the code."""

    settings: str = field(repr=False)
    """How the lake is reached and written; its store's options may hold secrets."""
    ticket: bytes = field(repr=False)

    def write(self, records: Iterator[Any] | None, paths: list[str] | None, name: str) -> bytes:
        """Writes files of these tasks, or of what lies there; gives what the lead must hear."""
        return _core.write_shard(self.settings, self.ticket, paths, records, name)


class Lead:
    """A run that has begun. Ended by `commit`, or by `abandon`, which leaves nothing."""

    def __init__(
        self,
        lake: str | os.PathLike[str],
        options: Mapping[str, Any],
        *,
        words: str,
        command: str,
        threads: int,
    ) -> None:
        """Begins it. `threads` are those of one that writes, unless `options` say so; those of the lead are all cores."""
        _settings.check_names(options, _settings.RunOptions, command.rsplit(".", 1)[-1])
        here = {name: value for name, value in options.items() if name not in ("threads", "memory_limit")}
        self._lead = _core.Lead(_settings.dumps(_settings.run(lake, here, command)), words)
        there = {"threads": threads, "memory_limit": WORKER_MEMORY, **options}
        # Who writes has a folder of its own there.
        there = {name: value for name, value in there.items() if name != "work_dir"}
        self.share = Share(_settings.dumps(_settings.run(lake, there, command)), self._lead.ticket())

    def commit(self, shards: Iterable[bytes], on_progress: Callable[[Any], object] | None = None) -> dict[str, Any]:
        """Makes one version of the shards, in this order; gives the report."""
        return told(json.loads(self._lead.commit(list(shards), on_progress)), stacklevel=4)

    def abandon(self) -> None:
        """Ends it without a version."""
        self._lead.abandon()


def groups(files: list[tuple[str, int]], most: int, least_bytes: int) -> list[list[str]]:
    """Files with their sizes as shares of neighbours: at most so many, and none smaller than so many bytes but the last.

    >>> groups([("a", 5), ("b", 5), ("c", 9), ("d", 1)], most=10, least_bytes=8)
    [['a', 'b'], ['c'], ['d']]
    >>> groups([("a", 5), ("b", 5), ("c", 9), ("d", 1)], most=2, least_bytes=1)
    [['a', 'b'], ['c', 'd']]
    """
    wanted = max(least_bytes, -(-sum(size for _, size in files) // max(most, 1)))
    made: list[list[str]] = []
    held = 0
    for path, size in files:
        if not made or held >= wanted:
            made.append([])
            held = 0
        made[-1].append(path)
        held += size
    return made
