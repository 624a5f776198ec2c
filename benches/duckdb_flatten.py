"""DuckDB's best formulation of the main job: read_json with given types into one table, then an unnest COPY a table.

    python benches/duckdb_flatten.py tasks.ndjson lake

Writes eight tables (ours are twenty), partitioned by project, batch and date, zstd level 3. Unknown fields are lost.
"""
import pathlib
import sys

import duckdb

ANNOTATION = """STRUCT(id VARCHAR, "key" VARCHAR, "type" VARCHAR, title VARCHAR, description VARCHAR, labels VARCHAR[],
    metadata JSON, not_applicable BOOLEAN, cannot_assess BOOLEAN, justification VARCHAR, "value" JSON, possible_values JSON)"""
MESSAGE = f"""STRUCT("role" VARCHAR, source_id VARCHAR,
    content STRUCT("text" VARCHAR,
        reference_texts STRUCT(content VARCHAR, category VARCHAR, url VARCHAR)[],
        attachments STRUCT(content VARCHAR, mime_type VARCHAR, scale_url VARCHAR, url VARCHAR, name VARCHAR)[]),
    model_parameters STRUCT(model VARCHAR, temperature DOUBLE, max_completion_tokens BIGINT, top_p DOUBLE, top_k BIGINT),
    annotations {ANNOTATION}[])"""
COLUMNS = {
    "task_id": "VARCHAR",
    "project": "JSON",
    "batch": "JSON",
    "status": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "completed_at": "TIMESTAMPTZ",
    "metadata": "JSON",
    "threads": f"STRUCT(id VARCHAR, turns STRUCT(id VARCHAR, messages {MESSAGE}[], annotations {ANNOTATION}[])[], "
    f"annotations {ANNOTATION}[])[]",
    "errors": 'STRUCT("type" VARCHAR, message VARCHAR)[]',
}
THREADS = """SELECT k.*, task_id, unnest(threads) AS thread, generate_subscripts(threads, 1) - 1 AS thread_index FROM raw"""
QUERIES = {
    "tasks": "SELECT k.*, task_id, status, created_at, completed_at, metadata FROM raw",
    "task_errors": "SELECT k.*, task_id, generate_subscripts(errors, 1) - 1 AS task_error_index, unnest(errors, recursive := true) FROM raw",
    "threads": f"SELECT * EXCLUDE thread, thread.id AS thread_id FROM ({THREADS})",
}
TURNS = f"""SELECT * EXCLUDE thread, thread.id AS thread_id, unnest(thread.turns) AS turn,
    generate_subscripts(thread.turns, 1) - 1 AS turn_index FROM ({THREADS})"""
MESSAGES = f"""SELECT * EXCLUDE turn, turn.id AS turn_id, unnest(turn.messages) AS message,
    generate_subscripts(turn.messages, 1) - 1 AS message_index FROM ({TURNS})"""
QUERIES["turns"] = f"SELECT * EXCLUDE turn, turn.id AS turn_id FROM ({TURNS})"
QUERIES["messages"] = f"""SELECT * EXCLUDE message, message.role, message.source_id, message.content.text AS text,
    message.model_parameters.model, message.model_parameters.temperature, message.model_parameters.max_completion_tokens,
    message.model_parameters.top_p, message.model_parameters.top_k FROM ({MESSAGES})"""
for name in ("reference_texts", "attachments"):
    QUERIES[name] = f"""SELECT * EXCLUDE message, generate_subscripts(message.content.{name}, 1) - 1 AS position,
        unnest(message.content.{name}, recursive := true) FROM ({MESSAGES})"""
KEYS = "project_key, batch_key, date_key, task_id, thread_index, turn_index, message_index"
QUERIES["annotations"] = f"""SELECT {KEYS}, scope, generate_subscripts(annotations, 1) - 1 AS annotation_index,
        unnest(annotations, recursive := false) AS a FROM (
    SELECT project_key, batch_key, date_key, task_id, thread_index, turn_index, message_index, 'message' AS scope,
        message.annotations AS annotations FROM ({MESSAGES})
    UNION ALL SELECT project_key, batch_key, date_key, task_id, thread_index, turn_index, NULL, 'turn', turn.annotations FROM ({TURNS})
    UNION ALL SELECT project_key, batch_key, date_key, task_id, thread_index, NULL, NULL, 'thread', thread.annotations FROM ({THREADS}))"""
QUERIES["annotations"] = f"SELECT * EXCLUDE a, unnest(a) FROM ({QUERIES['annotations']})"


def main(source: str, lake: str) -> None:
    pathlib.Path(lake).mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    connection.execute(
        f"""CREATE TABLE raw AS SELECT *,
            {{'project_key': coalesce(project->>'$.id', project->>'$'), 'batch_key': coalesce(batch->>'$.id', batch->>'$'),
              'date_key': coalesce(completed_at, created_at)::DATE}} AS k
            FROM read_json('{source}', format = 'newline_delimited', columns = {{{columns}}}, maximum_object_size = 33554432)"""
    )
    for table, query in QUERIES.items():
        connection.execute(
            f"""COPY ({query}) TO '{lake}/{table}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3,
                PARTITION_BY (project_key, batch_key, date_key))"""
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
