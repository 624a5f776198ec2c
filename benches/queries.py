"""Ten questions in DuckDB, asked of our files and of DuckDB's own files of the same rows, in turn.

    python benches/queries.py [--runs 7] [--tasks 20500] [--folder DIR]

DuckDB writes what it reads from ours, table by table, in the same folders: zstd level 3, its own pages, dictionaries and statistics.
Every question runs in a connection of its own, whose first run is not counted. Answers must be the same.
"""
import argparse
import pathlib
import statistics
import sys
import time

import duckdb

from measured import flatten, folder_parser, generate, machine, mb, our_version, run, scratch, table

TABLES = "tasks threads turns messages reference_texts attachments annotations".split()
PROJECT_OF_MOST = "(SELECT project_id FROM tasks GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1)"
QUESTIONS = {
    "tasks by status": "SELECT status, count(*) FROM tasks GROUP BY ALL ORDER BY ALL",
    "tasks a day and project": "SELECT project, date, count(*) FROM tasks GROUP BY ALL ORDER BY ALL",
    "annotations by key": "SELECT key, count(*) FROM annotations GROUP BY ALL ORDER BY ALL",
    "annotations by key and scope, with their values": """SELECT key, scope, count(*), count(value_number), avg(value_number)
        FROM annotations GROUP BY ALL ORDER BY ALL""",
    "ratings by model": """SELECT m.model, a.key, count(*), avg(a.value_number) FROM annotations a
        JOIN messages m USING (task_id, thread_index, turn_index, message_index)
        WHERE a.scope = 'message' AND a.value_number IS NOT NULL GROUP BY ALL ORDER BY ALL""",
    "mean length of answers by model": "SELECT model, count(*), sum(length(text)) FROM messages WHERE role = 'assistant' GROUP BY ALL ORDER BY ALL",
    "a word in all texts": "SELECT count(*) FROM messages WHERE text ILIKE '%because%'",
    "one task's messages": """SELECT thread_index, turn_index, message_index, role, text FROM messages
        WHERE task_id = (SELECT max(task_id) FROM tasks) ORDER BY ALL""",
    "a month of one project": f"""SELECT count(*), sum(length(text)) FROM messages WHERE project = {PROJECT_OF_MOST}
        AND date BETWEEN (SELECT min(date) FROM tasks) AND (SELECT min(date) + 30 FROM tasks)""",
    "turns a thread, messages a turn": """SELECT turn_count, count(*) FROM threads GROUP BY ALL
        UNION ALL SELECT -message_count, count(*) FROM turns GROUP BY ALL ORDER BY ALL""",
}


def connect(lake: pathlib.Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in TABLES:
        # DuckDB takes the first file for what all are like, and our partition of nulls, without rows, is no measure for its joins.
        files = sorted(map(str, (lake / name).glob("project=*/**/*.parquet")), key=lambda path: ("__HIVE_DEFAULT" in path, path))
        connection.execute(f"""CREATE VIEW {name} AS SELECT * FROM read_parquet({files},
            hive_partitioning = true, hive_types = {{'project': VARCHAR, 'batch': VARCHAR, 'date': DATE}})""")
    return connection


def write_anew(ours: duckdb.DuckDBPyConnection, to: pathlib.Path) -> None:
    ours.execute("SET preserve_insertion_order = true")
    for name in TABLES:
        ours.execute(f"COPY {name} TO '{to}/{name}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARTITION_BY (project, batch, date))")


def compare(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    lake, theirs = folder / "lake", folder / "duckdb"
    run(flatten(generate(folder / "tasks.ndjson", arguments.tasks or 20_500), lake))
    theirs.mkdir()
    write_anew(connect(lake), theirs)
    connections = {"ours": connect(lake), "duckdb": connect(theirs)}
    print(f"{our_version()} and DuckDB {duckdb.__version__}, {machine()}")
    sizes = [sum(mb(place / name) for name in TABLES) for place in (lake, theirs)]
    print(f"ours {sizes[0]:.0f} MB, DuckDB's {sizes[1]:.0f} MB; medians of {arguments.runs or 7} runs in turn")
    rows, sums = [], {who: 0.0 for who in connections}
    for name, question in QUESTIONS.items():
        seconds: dict[str, list[float]] = {who: [] for who in connections}
        for turn in range((arguments.runs or 7) + 1):
            answers = []
            for who, connection in connections.items():
                start = time.perf_counter()
                answers.append(connection.execute(question).fetchall())
                seconds[who] += [time.perf_counter() - start] * bool(turn)
            if str(answers[0]) != str(answers[1]):
                sys.exit(f"{name}: {str(answers[0])[:300]} and {str(answers[1])[:300]}")
        medians = {who: statistics.median(taken) for who, taken in seconds.items()}
        for who, taken in medians.items():
            sums[who] += taken
        rows.append([name, *(f"{taken * 1000:.1f}" for taken in medians.values()), f"{medians['ours'] / medians['duckdb']:.2f}"])
    rows.append(["all", *(f"{taken * 1000:.1f}" for taken in sums.values()), f"{sums['ours'] / sums['duckdb']:.2f}"])
    table("question | our files, ms | DuckDB's files, ms | ratio", rows)


def main() -> None:
    arguments = folder_parser(__doc__, ["compare"]).parse_args(["compare", *sys.argv[1:]])
    with scratch(arguments) as folder:
        compare(folder, arguments)


if __name__ == "__main__":
    main()
