"""Ray: tasks are flattened by its workers, into one lake with one commit.

taskloom must be installed where workers run. What one of them needs, and what limits a run, stands in docs/cluster.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

from ray.data import Datasink as _Datasink
from ray.data.block import Block, BlockAccessor

from . import _settings
from ._cluster import Lead, Share
from .errors import UsageError

if TYPE_CHECKING:
    import pyarrow
    import ray.data


class Datasink(_Datasink[Any]):
    """Where a dataset with a column of task JSON is written to: `dataset.write_datasink(taskloom.ray.Datasink("s3://bucket/lake"))`.

    The run begins with this object, and is committed when all is written; `report` tells what it did. Without a commit nothing of it is left.
    """

    def __init__(
        self, lake: str | os.PathLike[str], *, column: str | None = None, **options: Unpack[_settings.RunOptions]
    ) -> None:
        """`column` holds the JSON; the dataset's only column of text or bytes, where none is named.

        `threads` and `memory_limit` are those of one task of Ray: 1, and 256 MiB, where nothing is said.
        """
        self._lead: Lead | None = Lead(
            lake, options, words="a dataset of Ray", command="taskloom.ray.Datasink", threads=1
        )
        self._share: Share = self._lead.share
        self._column = column
        self.report: dict[str, Any] | None = None
        """What was done, as `taskloom.flatten` tells it; None before the commit."""

    def __getstate__(self) -> dict[str, Any]:
        # The run is led here alone.
        return {**self.__dict__, "_lead": None}

    def on_write_start(self, schema: Any = None) -> None:
        """The run has begun with this object; it can be written once."""
        if self._lead is None:
            raise UsageError("a Datasink: expected one that has not been written to, found one that has")

    def write(self, blocks: Iterable[Block], ctx: Any) -> list[tuple[int, bytes]]:
        """Writes a share, on a worker."""
        number = int(ctx.task_idx)
        return [(number, self._share.write(self._columns(blocks), None, f"block {number}"))]

    def on_write_complete(self, write_result: Any) -> None:
        """Commits what was written, on the driver."""
        if self._lead is None:
            raise UsageError("a Datasink: expected one that has not been written to, found one that has")
        returned = [pair for pairs in write_result.write_returns for pair in pairs or []]
        lead, self._lead = self._lead, None
        self.report = lead.commit(shard for _, shard in sorted(returned))

    def on_write_failed(self, error: Exception) -> None:
        """Leaves nothing."""
        if self._lead is not None:
            self._lead.abandon()
            self._lead = None

    def get_name(self) -> str:
        """What Ray calls the tasks that write."""
        return "taskloom"

    def _columns(self, blocks: Iterable[Block]) -> Iterator[pyarrow.Array]:
        for block in blocks:
            table = BlockAccessor.for_block(block).to_arrow()
            if table.num_rows:
                column = self._column or _only_text(table)
                if column not in table.column_names:
                    raise UsageError(f"column: expected one of {', '.join(table.column_names)}, found {column}")
                yield from table.column(column).chunks


@_settings.explained(_settings.RunOptions)
def flatten(
    dataset: ray.data.Dataset,
    lake: str | os.PathLike[str],
    *,
    column: str | None = None,
    **options: Unpack[_settings.RunOptions],
) -> dict[str, Any]:
    """Flattens a dataset with a column of task JSON into a lake, which all machines must reach; gives the report of the run.

    Of two copies of a task the one counts that lies in a later block; set `ray.data.DataContext`'s `execution_options.preserve_order` where blocks
    are to keep their order.
    """
    sink = Datasink(lake, column=column, **options)
    try:
        dataset.write_datasink(sink)
    except BaseException as error:
        sink.on_write_failed(error if isinstance(error, Exception) else RuntimeError(str(error)))
        raise
    return sink.report or {}


def _only_text(table: pyarrow.Table) -> str:
    import pyarrow

    def is_text(kind: pyarrow.DataType) -> bool:
        types = pyarrow.types
        return bool(
            types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
        )

    texts = [field.name for field in table.schema if is_text(field.type)]
    # A block without a value does not tell what its columns hold.
    texts = texts or [field.name for field in table.schema if pyarrow.types.is_null(field.type)]
    if len(texts) != 1:
        found = ", ".join(texts) or "none"
        raise UsageError(f"column: expected the column of task JSON, or a dataset with one of text, found {found}")
    return str(texts[0])


__all__ = ["Datasink", "flatten"]
