"""The columns of every table as readers see them, declared anew."""

import base64
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import TABLES, partition_columns

# `name type`, in file order; a column's field id is its place, from 1. SORTED columns order the rows of a file.
DECLARED = {
    "tasks": """
        task_id VARCHAR NOT NULL SORTED
        project_id VARCHAR
        project_name VARCHAR
        batch_id VARCHAR
        batch_name VARCHAR
        status VARCHAR
        created_at TIMESTAMP WITH TIME ZONE
        completed_at TIMESTAMP WITH TIME ZONE
        metadata JSON
        thread_count INTEGER
        turn_count INTEGER NOT NULL
        message_count INTEGER NOT NULL
        annotation_count INTEGER NOT NULL
        task_error_count INTEGER
        sensitive_content_report_count INTEGER
        content_hash VARCHAR NOT NULL
        extra JSON
    """,
    "task_errors": """
        task_id VARCHAR NOT NULL SORTED
        task_error_index INTEGER NOT NULL SORTED
        type VARCHAR
        message VARCHAR
        extra JSON
    """,
    "sensitive_content_reports": """
        task_id VARCHAR NOT NULL SORTED
        sensitive_content_report_index INTEGER NOT NULL SORTED
        type VARCHAR
        message VARCHAR
        extra JSON
    """,
    "threads": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_count INTEGER
        annotation_count INTEGER
        submission_count INTEGER
        extra JSON
    """,
    "submissions": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        submission_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        submitted_at TIMESTAMP WITH TIME ZONE
        contributor_id VARCHAR
        extra JSON
    """,
    "turns": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        message_count INTEGER
        annotation_count INTEGER
        rubric_count INTEGER
        extra JSON
    """,
    "rubrics": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        rubric_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        max_total_score DOUBLE
        rubric_criterion_count INTEGER
        extra JSON
    """,
    "rubric_criteria": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        rubric_index INTEGER NOT NULL SORTED
        rubric_criterion_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        criterion_definition_id VARCHAR
        criterion VARCHAR
        weight DOUBLE
        annotation_count INTEGER
        extra JSON
    """,
    "messages": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        role VARCHAR
        source_id VARCHAR
        text VARCHAR
        model VARCHAR
        temperature DOUBLE
        max_completion_tokens BIGINT
        top_p DOUBLE
        top_k BIGINT
        annotation_count INTEGER
        rubric_evaluation_count INTEGER
        reference_text_count INTEGER
        attachment_count INTEGER
        chunk_count INTEGER
        reasoning_count INTEGER
        extra JSON
    """,
    "reference_texts": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        reference_text_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        content VARCHAR
        category VARCHAR
        url VARCHAR
        extra JSON
    """,
    "attachments": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        attachment_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        mime_type VARCHAR
        name VARCHAR
        content VARCHAR
        url VARCHAR
        scale_url VARCHAR
        file_size_in_bytes BIGINT
        duration DOUBLE
        transcript VARCHAR
        transcript_url VARCHAR
        transcript_start DOUBLE
        transcript_end DOUBLE
        extra JSON
        content_sha256 VARCHAR
        content_bytes BIGINT
        content_state VARCHAR
        content_path VARCHAR
        content_type VARCHAR
        transcript_state VARCHAR
        transcript_path VARCHAR
    """,
    "chunks": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        chunk_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        type VARCHAR
        text VARCHAR
        annotation_count INTEGER
        extra JSON
    """,
    "reasoning": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        reasoning_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        content VARCHAR
        extra JSON
    """,
    "rubric_evaluations": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        rubric_evaluation_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        total_score DOUBLE
        percentage DOUBLE
        criterion_evaluation_count INTEGER
        annotation_count INTEGER
        extra JSON
    """,
    "criterion_evaluations": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER NOT NULL SORTED
        message_index INTEGER NOT NULL SORTED
        rubric_evaluation_index INTEGER NOT NULL SORTED
        criterion_evaluation_index INTEGER NOT NULL SORTED
        thread_id VARCHAR
        turn_id VARCHAR
        criterion_definition_id VARCHAR
        score DOUBLE
        annotation_count INTEGER
        extra JSON
    """,
    "annotations": """
        task_id VARCHAR NOT NULL SORTED
        thread_index INTEGER NOT NULL SORTED
        turn_index INTEGER SORTED
        message_index INTEGER SORTED
        chunk_index INTEGER SORTED
        rubric_index INTEGER SORTED
        rubric_criterion_index INTEGER SORTED
        rubric_evaluation_index INTEGER SORTED
        criterion_evaluation_index INTEGER SORTED
        annotation_index INTEGER NOT NULL SORTED
        scope VARCHAR NOT NULL
        thread_id VARCHAR
        turn_id VARCHAR
        annotation_id VARCHAR
        key VARCHAR
        type VARCHAR
        title VARCHAR
        description VARCHAR
        labels VARCHAR[]
        not_applicable BOOLEAN
        cannot_assess BOOLEAN
        justification VARCHAR
        criteria VARCHAR
        metadata JSON
        value_text VARCHAR
        value_boolean BOOLEAN
        value_number DOUBLE
        value_integer BIGINT
        value_list VARCHAR[]
        value_groups VARCHAR[][]
        value_json JSON
        value_score DOUBLE
        value_weight DOUBLE
        possible_values JSON
        value_label VARCHAR
        value_labels VARCHAR[]
        extra JSON
    """,
    "projects": """
        project_id VARCHAR NOT NULL SORTED
        name VARCHAR
        created_at TIMESTAMP WITH TIME ZONE
        types VARCHAR[]
        models VARCHAR[]
        extra JSON
    """,
    "batches": """
        batch_id VARCHAR NOT NULL SORTED
        name VARCHAR
        project_id VARCHAR
        project_name VARCHAR
        status VARCHAR
        created_at TIMESTAMP WITH TIME ZONE
        completed_at TIMESTAMP WITH TIME ZONE
        callback VARCHAR
        metadata JSON
        extra JSON
    """,
    "deliveries": """
        delivery_id VARCHAR NOT NULL SORTED
        name VARCHAR
        project_id VARCHAR
        project_name VARCHAR
        task_count BIGINT
        delivered_at TIMESTAMP WITH TIME ZONE
        extra JSON
    """,
    "delivery_tasks": """
        delivery_id VARCHAR NOT NULL SORTED
        task_id VARCHAR NOT NULL SORTED
        extra JSON
        delivered_at TIMESTAMP WITH TIME ZONE
        response_schema_id VARCHAR
    """,
}

ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "JSON": pa.json_(pa.string()),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "VARCHAR[]": pa.list_(pa.field("element", pa.string(), nullable=False)),
    "VARCHAR[][]": pa.list_(
        pa.field("element", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False)
    ),
}


@dataclass
class Column:
    name: str
    type: str
    is_nullable: bool
    is_sorted: bool


def columns(table):
    lines = [
        re.fullmatch(r"(\w+) (.+?)( NOT NULL)?( SORTED)?", line.strip()) for line in DECLARED[table].strip().split("\n")
    ]
    return [Column(line[1], line[2], line[3] is None, line[4] is not None) for line in lines]


def test_every_table_is_declared():
    assert list(DECLARED) == TABLES


def test_a_lake_has_the_declared_tables_and_no_other_folder(lake):
    assert {path.name for path in lake.root.iterdir()} == {*TABLES, "task_changes", "_taskloom"}


def test_duckdb_sees_the_declared_types(lake, table):
    seen = {row[0]: row[1] for row in lake.rows(f"DESCRIBE {table}")}
    expected = {column.name: column.type for column in columns(table)}
    partitions = {name: "DATE" if name == "date" else "VARCHAR" for name in partition_columns(table)}
    assert seen == expected | partitions
    assert list(seen)[: len(expected)] == list(expected), "in this order"


def test_pyarrow_sees_the_declared_types_in_every_file(lake, table):
    expected = [(column.name, ARROW_TYPES[column.type], column.is_nullable) for column in columns(table)]
    for file in lake.files(table):
        schema = pq.ParquetFile(file).schema_arrow
        assert [(field.name, field.type, field.nullable) for field in schema] == expected, file


def test_elements_of_lists_are_named_as_the_parquet_specification_says(hand_written):
    schema = pq.ParquetFile(hand_written.files("annotations")[0]).schema
    paths = {schema.column(index).path for index in range(len(schema.names))}
    assert {"labels.list.element", "value_groups.list.element.list.element"} <= paths


def test_the_embedded_arrow_schema_says_string_where_parquet_says_json(lake, table):
    """Polars fails on an `arrow.json` extension in it."""
    expected = [ARROW_TYPES["VARCHAR" if column.type == "JSON" else column.type] for column in columns(table)]
    for file in lake.files(table):
        embedded = base64.b64decode(pq.read_metadata(file).metadata[b"ARROW:schema"])
        schema = pa.ipc.read_schema(pa.py_buffer(embedded))
        assert [field.type for field in schema] == expected, file
        assert not any(b"ARROW:extension:name" in (field.metadata or {}) for field in schema), file


def test_a_pyarrow_dataset_has_the_declared_types(lake, table):
    schema = lake.dataset(table).schema
    # Datasets keep Arrow's extension types out.
    expected = {
        column.name: ARROW_TYPES["VARCHAR" if column.type == "JSON" else column.type] for column in columns(table)
    }
    partitions = {name: pa.date32() if name == "date" else pa.string() for name in partition_columns(table)}
    assert {field.name: field.type for field in schema} == expected | partitions


def test_field_ids_count_from_one(lake, table):
    for file in lake.files(table):
        ids = [int(field.metadata[b"PARQUET:field_id"]) for field in pq.ParquetFile(file).schema_arrow]
        assert ids == list(range(1, len(columns(table)) + 1)), file


def test_json_columns_carry_parquets_logical_type(lake, table):
    expected = {column.name for column in columns(table) if column.type == "JSON"}
    for file in lake.files(table):
        schema = pq.ParquetFile(file).schema
        leaves = [schema.column(index) for index in range(len(schema.names))]
        assert {leaf.path for leaf in leaves if leaf.logical_type.type == "JSON"} == expected, file


def test_files_declare_the_columns_that_their_rows_are_sorted_by(lake, table):
    sorted_by = [index for index, column in enumerate(columns(table)) if column.is_sorted]
    expected = tuple(pq.SortingColumn(index, descending=False, nulls_first=True) for index in sorted_by)
    for file in lake.files(table):
        metadata = pq.read_metadata(file)
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        assert [group.sorting_columns for group in groups] == [expected] * len(groups), file


def test_rows_of_a_file_are_sorted_and_no_two_have_the_same_key(lake, table):
    names = [column.name for column in columns(table) if column.is_sorted]
    for file in lake.files(table):
        rows = pq.ParquetFile(file).read(columns=names).to_pylist()
        keys = [tuple((row[name] is not None, row[name]) for name in names) for row in rows]
        assert all(before < after for before, after in zip(keys, keys[1:])), file
