"""Spark: tasks are flattened by its executors, into one lake with one commit; and a lake's tables as Spark's views.

taskloom must be installed where executors run their Python. What one executor needs, and what limits a run, stands in docs/cluster.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from . import _core, _settings
from ._cluster import Lead, Share, groups
from ._lake import Lake
from .errors import UsageError

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

_SHARDS = "number bigint, shard binary"

_BATCH_ROWS, _BATCH_BYTES = 512, 16 * 1024 * 1024
"""Rows and bytes that an executor hands to Python at a time: Spark's own 10,000 rows can be gigabytes of tasks."""

_LEAST_BYTES = 64 * 1024 * 1024
"""Files that have less are taken together."""


@_settings.explained(_settings.RunOptions)
def flatten(
    frame_or_paths: DataFrame | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    *,
    column: str | None = None,
    spark: SparkSession | None = None,
    shards: int | None = None,
    **options: Unpack[_settings.RunOptions],
) -> dict[str, Any]:
    """Flattens tasks on Spark's executors into a lake, which all machines must reach; gives the report of the run.

    Either a DataFrame with a column of task JSON (`column`; its only column of text or bytes, where none is named), each partition of which is
    one share; or files, folders, patterns or addresses as `taskloom.flatten` takes them, each file a share or a part of one (about `shards`).
    Of two copies of a task the one counts that comes later: in a later partition or file, or later in the same one.

    `threads` and `memory_limit` are those of one running task of Spark: as many threads as `spark.task.cpus`, and 256 MiB, where nothing is said.
    An attempt that fails is made anew by Spark's own rules; what it wrote goes at the end of the run, and by the next `vacuum` what it wrote
    behind that. While it runs the session hands tasks to Python in small batches.
    """
    session = _session(frame_or_paths, spark)
    threads = int(session.conf.get("spark.task.cpus", "1") or 1)
    is_frame = hasattr(frame_or_paths, "mapInArrow")
    if is_frame and shards is not None:
        raise UsageError("shards: expected it beside files, found it beside a frame: frame.repartition(n) has n shares")
    work, paths = (
        (_frame(frame_or_paths, column), None)
        if is_frame
        else _files(session, frame_or_paths, shards, options)
    )
    words = "a DataFrame of Spark" if paths is None else "files, by Spark"
    lead = Lead(lake, options, words=words, command="taskloom.spark.flatten", threads=threads)
    try:
        with _small_batches(session):
            rows = work.mapInArrow(_Writer(lead.share, paths), _SHARDS).collect()
        return lead.commit(row.shard for row in sorted(rows, key=lambda row: row.number))
    finally:
        # Nothing is left to abandon behind a commit.
        lead.abandon()


class _Writer:
    """What runs on an executor: a partition in, a row a shard out."""

    def __init__(self, share: Share, paths: list[list[str]] | None) -> None:
        self.share, self.paths = share, paths

    def __call__(self, batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow
        from pyspark import TaskContext

        def row(number: int, shard: bytes) -> pyarrow.RecordBatch:
            columns = [pyarrow.array([number], pyarrow.int64()), pyarrow.array([shard], pyarrow.binary())]
            return pyarrow.RecordBatch.from_arrays(columns, names=["number", "shard"])

        if self.paths is not None:
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    yield row(number, self.share.write(None, self.paths[number], "files"))
            return
        context = TaskContext.get()
        number = context.partitionId() if context else 0
        yield row(number, self.share.write((batch.column(0) for batch in batches), None, f"partition {number}"))


def views(
    spark: SparkSession,
    lake: str | os.PathLike[str] | Lake,
    *,
    version: int | str | None = None,
    prefix: str = "",
    **options: Unpack[_settings.StoreOptions],
) -> dict[str, DataFrame]:
    """Registers every table of a lake at one version as a temporary view of its name, with types pinned; gives them by their names.

    The session's time zone is set to UTC, and files are listed by the driver alone. Of a lake at `s3://` Spark reads the same files at `s3a://`.
    """
    if isinstance(lake, Lake) and (version is not None or options):
        raise UsageError("version: expected it beside an address, found it beside a Lake, which has one")
    from pyspark.sql.functions import expr

    lake = lake if isinstance(lake, Lake) else Lake(lake, version, **options)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    # Files are listed here, not in a job with a task a file, which takes ten times as long.
    spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", "1000000")
    place = "s3a://" + lake.address.removeprefix("s3://") if lake.address.startswith("s3://") else lake.address
    made = {}
    for name, columns in json.loads(_core.spark_columns()).items():
        # The files are named one by one: what would be a pattern in their paths is none.
        reader = spark.read.schema(columns).option("basePath", f"{place}/{name}").option("__globPaths__", "false")
        files = [f"{place}/{path}" for path in lake._lake.files(name)]
        frame = reader.parquet(*files) if files else spark.createDataFrame([], columns)
        # Of what is escaped in a path Spark makes a character of each byte: so here they become bytes again.
        ids = [column for column in ("project", "batch") if column in frame.columns]
        frame = frame.withColumns({id: expr(f"decode(encode({id}, 'ISO-8859-1'), 'UTF-8')") for id in ids})
        frame.createOrReplaceTempView(prefix + name)
        made[name] = frame
    return made


def _session(frame_or_paths: Any, spark: SparkSession | None) -> SparkSession:
    session = spark or getattr(frame_or_paths, "sparkSession", None)
    if session is None:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
    if session is None:
        raise UsageError("spark: expected a session, as spark= or an active one, found none")
    return session


def _frame(frame: Any, column: str | None) -> DataFrame:
    if column is None:
        texts = [name for name, kind in frame.dtypes if kind in ("string", "binary")]
        if len(texts) != 1:
            found = ", ".join(texts) or "none"
            raise UsageError(f"column: expected the column of task JSON, or a frame with one of text, found {found}")
        [column] = texts
    if column not in frame.columns:
        raise UsageError(f"column: expected one of {', '.join(frame.columns)}, found {column}")
    quoted = column.replace("`", "``")
    return frame.select(f"`{quoted}`")  # type: ignore[no-any-return]


def _files(
    session: SparkSession, paths: Any, shards: int | None, options: Mapping[str, Any]
) -> tuple[DataFrame, list[list[str]]]:
    """A frame with a number a share, and the files of each."""
    if shards is not None and shards < 1:
        raise UsageError(f"shards: expected 1 or more, found {shards}")
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    whole = [path if "://" in path else os.path.abspath(path) for path in given]
    files = _core.resolve(whole, json.dumps(_settings.store(options)))
    made = groups(files, shards or len(files), 0 if shards else _LEAST_BYTES)
    return session.range(0, len(made), 1, max(len(made), 1)), made


@contextmanager
def _small_batches(session: SparkSession) -> Iterator[None]:
    wanted: dict[str, str] = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_BATCH_ROWS),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(_BATCH_BYTES),
    }
    before: dict[str, str | None] = {name: session.conf.get(name, None) for name in wanted}
    try:
        for name, value in wanted.items():
            session.conf.set(name, value)
        yield
    finally:
        for name, earlier in before.items():
            session.conf.unset(name) if earlier is None else session.conf.set(name, earlier)


__all__ = ["flatten", "views"]
