"""How the Parquet files are made and where they lie."""

import re
from collections import Counter

import pyarrow.parquet as pq
from conftest import NULL, TABLES, partition_columns

# Smaller columns may stay as they are: a zstd context costs more than it saves.
WORTH_COMPRESSING_BYTES = 4096


def chunks(file):
    """The column chunks of a file."""
    metadata = pq.read_metadata(file)
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            yield metadata.row_group(group).column(column)


def all_chunks(lake):
    return [(file, chunk) for table in TABLES for file in lake.files(table) for chunk in chunks(file)]


def test_every_table_has_exactly_one_file_without_rows_in_the_partition_of_nulls(lake, table):
    empty = [file.parent.relative_to(lake.root) for file in lake.files(table) if pq.read_metadata(file).num_rows == 0]
    partition = "/".join(f"{name}={NULL}" for name in partition_columns(table))
    assert [path.as_posix() for path in empty] == [f"{table}/{partition}"]


def test_every_file_tells_which_program_table_and_schema_version_made_it(lake, table):
    for file in lake.files(table):
        told = pq.read_metadata(file).metadata
        assert told[b"taskloom.table"] == table.encode()
        assert re.fullmatch(rb"\d+\.\d+\.\d+\S*", told[b"taskloom.version"])
        assert told[b"taskloom.schema_version"] == b"2"


def test_files_of_one_part_have_one_name_in_all_tables(generated):
    def parts(table):
        return {file.relative_to(generated.root / table) for file in generated.files(table)}

    assert parts("messages") <= parts("turns") <= parts("threads") <= parts("tasks")


def test_zstd_is_used_where_it_pays(lake):
    compressions = Counter()
    for file, chunk in all_chunks(lake):
        compressions[chunk.compression] += 1
        if chunk.total_uncompressed_size > WORTH_COMPRESSING_BYTES:
            assert chunk.compression == "ZSTD", (file, chunk.path_in_schema)
    assert set(compressions) == {"ZSTD", "UNCOMPRESSED"}


def test_what_is_tiny_is_not_compressed(hand_written):
    tiny = [chunk for file in hand_written.files("delivery_tasks") for chunk in chunks(file)]
    assert {chunk.compression for chunk in tiny} == {"UNCOMPRESSED"}


def test_texts_become_smaller(generated):
    texts = [
        chunk for _, chunk in all_chunks(generated) if chunk.path_in_schema == "text" and chunk.compression == "ZSTD"
    ]
    assert sum(chunk.total_compressed_size for chunk in texts) < 0.6 * sum(
        chunk.total_uncompressed_size for chunk in texts
    )


def test_ids_of_tasks_have_a_bloom_filter_and_nothing_else_has(lake):
    filtered = Counter(
        (file.relative_to(lake.root).parts[0], chunk.path_in_schema)
        for file, chunk in all_chunks(lake)
        if chunk.bloom_filter_offset
    )
    assert set(filtered) == {("tasks", "task_id")}
    assert filtered.total() == sum(pq.read_metadata(file).num_row_groups for file in lake.files("tasks"))


def test_the_bloom_filters_know_their_tasks_and_few_others(generated):
    for file in generated.files("tasks"):
        for task_id in pq.ParquetFile(file).read(columns=["task_id"])["task_id"].to_pylist():
            probe = f"SELECT bool_or(bloom_filter_excludes) FROM parquet_bloom_probe('{file}', 'task_id', '{task_id}')"
            assert generated.rows(probe) == [(False,)], (file, task_id)
    probe = f"FROM parquet_bloom_probe('{generated.root}/tasks/**/*.parquet', 'task_id', 'no such task')"
    excluded = [is_excluded for *_, is_excluded in generated.rows(probe)]
    assert sum(excluded) > 0.9 * len(excluded) > 0


def test_positions_and_ids_have_a_page_index(lake):
    for file, chunk in all_chunks(lake):
        assert chunk.has_offset_index, (file, chunk.path_in_schema)
        if chunk.path_in_schema.endswith(("task_id", "_index")):
            assert chunk.has_column_index, (file, chunk.path_in_schema)


def test_statistics_name_the_least_and_the_greatest_position(lake):
    for file in lake.files("messages"):
        values = pq.ParquetFile(file).read(columns=["message_index"])["message_index"].to_pylist()
        found = [chunk.statistics for chunk in chunks(file) if chunk.path_in_schema == "message_index"]
        expected = [(min(values), max(values), 0)] if values else []
        assert [(one.min, one.max, one.null_count) for one in found] == expected, file
