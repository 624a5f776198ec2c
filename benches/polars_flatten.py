"""Polars' best formulation of the main job: scan_ndjson with a given schema, explode, partitioned sinks.

    python benches/polars_flatten.py tasks.ndjson lake

Writes the tables of `duckdb_flatten.py`, partitioned by project, batch and date, zstd level 3. Unknown fields are lost.

The scan takes most of the time, so it is collected once: sinks on a lazy scan run it several times, for more than twice the CPU
time. On what is collected, `write_parquet(partition_by=...)` and a frame a partition are slower than sinks, and one sink after
the other is as fast as all together. `str.json_decode` can't read values of any kind, such as an annotation's `value`.
"""
import io
import sys

import polars as pl


def struct(texts: str, **others: pl.DataType) -> pl.Struct:
    return pl.Struct({name: pl.String for name in texts.split()} | others)


ANNOTATIONS = pl.List(
    struct(
        "id key type title description metadata justification value possible_values",
        labels=pl.List(pl.String), not_applicable=pl.Boolean, cannot_assess=pl.Boolean,
    )
)
CONTENT = struct(
    "text",
    reference_texts=pl.List(struct("content category url")),
    attachments=pl.List(struct("content mime_type scale_url url name")),
)
PARAMETERS = struct("model", temperature=pl.Float64, max_completion_tokens=pl.Int64, top_p=pl.Float64, top_k=pl.Int64)
MESSAGE = struct("role source_id", content=CONTENT, model_parameters=PARAMETERS, annotations=ANNOTATIONS)
TURN = struct("id", messages=pl.List(MESSAGE), annotations=ANNOTATIONS)
THREAD = struct("id", turns=pl.List(TURN), annotations=ANNOTATIONS)
TASK = struct(
    "task_id project batch status created_at completed_at metadata",
    threads=pl.List(THREAD), errors=pl.List(struct("type message")),
)
PARTITION = ["project_key", "batch_key", "date_key"]


def compact(batch: pl.DataFrame) -> pl.DataFrame:
    """The batch in new buffers: the reader leaves one of 8 KB for each list of strings, 6 GB in all for 400 MB of JSON."""
    buffer = io.BytesIO()
    batch.write_ipc(buffer)
    buffer.seek(0)
    return pl.read_ipc(buffer)


def identity(name: str) -> pl.Expr:
    """The id behind a field that is an id or an object with one."""
    is_object = pl.col(name).str.starts_with("{")
    return pl.when(is_object).then(pl.col(name).str.json_path_match("$.id")).otherwise(name).alias(f"{name}_key")


def tasks(source: str) -> pl.LazyFrame:
    scan = pl.scan_ndjson(source, schema=dict(TASK)).map_batches(compact, streamable=True)
    times = scan.with_columns(pl.col("created_at", "completed_at").str.to_datetime(time_unit="us", time_zone="UTC"))
    day = pl.coalesce("completed_at", "created_at").dt.date().alias("date_key")
    return times.with_columns(identity("project"), identity("batch"), day).collect(engine="streaming").lazy()


def elements(frame: pl.LazyFrame, keys: list[str], value: pl.Expr, index: str) -> pl.LazyFrame:
    """A row for each element of a list, as `element`."""
    lists = frame.select(*keys, value.alias("element")).with_columns(pl.int_ranges(pl.col("element").list.len()).alias(index))
    return lists.explode("element", index, empty_as_null=False, keep_nulls=False)


def field(path: str) -> pl.Expr:
    value = pl.col("element")
    for name in path.split("."):
        value = value.struct.field(name)
    return value


def tables(raw: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    keys = [*PARTITION, "task_id"]
    errors = elements(raw, keys, pl.col("errors"), "task_error_index").unnest("element")
    threads = elements(raw, keys, pl.col("threads"), "thread_index").with_columns(field("id").alias("thread_id"))
    thread_keys = [*keys, "thread_index", "thread_id"]
    turns = elements(threads, thread_keys, field("turns"), "turn_index").with_columns(field("id").alias("turn_id"))
    turn_keys = [*thread_keys, "turn_index", "turn_id"]
    messages = elements(turns, turn_keys, field("messages"), "message_index")
    message_keys = [*turn_keys, "message_index"]
    parameters = [field(f"model_parameters.{parameter.name}") for parameter in PARAMETERS.fields]
    pieces = {
        name: elements(messages, message_keys, field(f"content.{name}"), "position").unnest("element")
        for name in ("reference_texts", "attachments")
    }
    return {
        "tasks": raw.select(*keys, "status", "created_at", "completed_at", "metadata"),
        "task_errors": errors,
        "threads": threads.select(thread_keys),
        "turns": turns.select(turn_keys),
        "messages": messages.select(*message_keys, field("role"), field("source_id"), field("content.text"), *parameters),
        "annotations": pl.concat(annotations(keys, thread=threads, turn=turns, message=messages)),
    } | pieces


def annotations(keys: list[str], **levels: pl.LazyFrame) -> list[pl.LazyFrame]:
    found = []
    indexes = [f"{level}_index" for level in levels]
    for depth, (scope, frame) in enumerate(levels.items(), 1):
        nulls = [pl.lit(None, pl.Int64).alias(index) for index in indexes[depth:]]
        placed = frame.with_columns(*nulls, scope=pl.lit(scope))
        of_level = elements(placed, [*keys, *indexes, "scope"], field("annotations"), "annotation_index")
        found.append(of_level.unnest("element"))
    return found


def main(source: str, lake: str) -> None:
    sinks = [
        rows.sink_parquet(
            pl.PartitionBy(f"{lake}/{table}", key=PARTITION, include_key=False),
            compression="zstd", compression_level=3, maintain_order=False, mkdir=True, lazy=True,
        )
        for table, rows in tables(tasks(source)).items()
    ]
    pl.collect_all(sinks, engine="streaming")


if __name__ == "__main__":
    main(*sys.argv[1:])
