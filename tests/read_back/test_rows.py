"""Every row of every table, computed once more from the input and held against what DuckDB and pyarrow read.

What follows is the shape of the API, written down independently of the program: which field of an object goes to which
column, and which arrays are tables of their own. What no column takes is left for `extra`.
"""

import base64
import binascii
import copy
import functools
import hashlib
import json
import re
from datetime import datetime, timezone
from decimal import Decimal

from conftest import TABLES, TABLES_OF_TASKS, partition_columns

INT64 = range(-(2**63), 2**63)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def nearest(number):
    """The nearest double, none where the number is beyond them."""
    try:
        return float(number)
    except OverflowError:
        return None


def is_exact(number):
    """Whether the shortest spelling of the nearest double has the number's value."""
    double = nearest(number)
    return double is not None and Decimal(repr(double)) == Decimal(repr(number))


# Kinds of columns: each takes a JSON value and returns what the column holds, none if it can't hold it.


def text(value):
    return value if isinstance(value, str) else None


def boolean(value):
    return value if isinstance(value, bool) else None


def double(value):
    return float(value) if is_number(value) and is_exact(value) else None


def integer(value):
    return int(value) if is_number(value) and value == int(value) and int(value) in INT64 else None


def instant(value):
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time.replace(tzinfo=time.tzinfo or timezone.utc).astimezone(timezone.utc)


def texts(value):
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


def anything(value):
    return value


def objects(value):
    return value if isinstance(value, list) else None


class Fields:
    """The fields of an object, taken one by one. A path may lead into an inner object of the same row."""

    def __init__(self, source):
        self.left = {key: copy.copy(value) for key, value in source.items() if value is not None}
        self.touched = set()

    def take(self, path, kind):
        outer, _, inner = path.rpartition(".")
        fields = self.left.get(outer) if outer else self.left
        if not isinstance(fields, dict) or fields.get(inner) is None or (taken := kind(fields[inner])) is None:
            return None
        del fields[inner]
        self.touched.add(outer)
        return taken

    def reference(self, key):
        """Id and name of what is an id or an object with both."""
        if isinstance(self.left.get(key), str):
            return self.take(key, text), None
        id = self.take(f"{key}.id", text)
        self.touched.discard(key)
        return id, self.take(f"{key}.name", text)

    def extra(self, *inlined):
        for key in inlined:
            if isinstance(self.left.get(key), dict):
                self.left[key] = {inner: value for inner, value in self.left[key].items() if value is not None}
                if not self.left[key] and key in self.touched:
                    del self.left[key]
        return self.left or None


# The objects of a task: columns with their fields, and columns that count an array, with the array and its table.
LEVELS = {
    "task_errors": ({"type": ("type", text), "message": ("message", text)}, {}),
    "sensitive_content_reports": ({"type": ("type", text), "message": ("message", text)}, {}),
    "threads": (
        {"thread_id": ("id", text)},
        {
            "turn_count": ("turns", "turns"),
            "annotation_count": ("annotations", "annotations"),
            "submission_count": ("submissions", "submissions"),
        },
    ),
    "submissions": ({"submitted_at": ("submitted_at", instant), "contributor_id": ("contributor_id", text)}, {}),
    "turns": (
        {"turn_id": ("id", text)},
        {
            "message_count": ("messages", "messages"),
            "annotation_count": ("annotations", "annotations"),
            "rubric_count": ("rubrics", "rubrics"),
        },
    ),
    "rubrics": (
        {"max_total_score": ("max_total_score", double)},
        {"rubric_criterion_count": ("criteria_definitions", "rubric_criteria")},
    ),
    "rubric_criteria": (
        {"criterion_definition_id": ("id", text), "criterion": ("criterion", text), "weight": ("weight", double)},
        {"annotation_count": ("annotations", "annotations")},
    ),
    "messages": (
        {
            "role": ("role", text),
            "source_id": ("source_id", text),
            "text": ("content.text", text),
            "model": ("model_parameters.model", text),
            "temperature": ("model_parameters.temperature", double),
            "max_completion_tokens": ("model_parameters.max_completion_tokens", integer),
            "top_p": ("model_parameters.top_p", double),
            "top_k": ("model_parameters.top_k", integer),
        },
        {
            "annotation_count": ("annotations", "annotations"),
            "rubric_evaluation_count": ("rubric_evaluations", "rubric_evaluations"),
            "reference_text_count": ("content.reference_texts", "reference_texts"),
            "attachment_count": ("content.attachments", "attachments"),
            "chunk_count": ("content.chunks", "chunks"),
            "reasoning_count": ("content.reasoning", "reasoning"),
        },
    ),
    "reference_texts": ({"content": ("content", text), "category": ("category", text), "url": ("url", text)}, {}),
    "attachments": (
        {
            "mime_type": ("mime_type", text),
            "name": ("name", text),
            "content": ("content", text),
            "url": ("url", text),
            "scale_url": ("scale_url", text),
            "file_size_in_bytes": ("file_size_in_bytes", integer),
            "duration": ("duration", double),
            "transcript": ("transcript", text),
            "transcript_url": ("transcript_url", text),
            "transcript_start": ("transcript_start", double),
            "transcript_end": ("transcript_end", double),
        },
        {},
    ),
    "chunks": ({"type": ("type", text), "text": ("text", text)}, {"annotation_count": ("annotations", "annotations")}),
    "reasoning": ({"content": ("content", text)}, {}),
    "rubric_evaluations": (
        {"total_score": ("total_score", double), "percentage": ("percentage", double)},
        {
            "criterion_evaluation_count": ("criteria_evaluations", "criterion_evaluations"),
            "annotation_count": ("annotations", "annotations"),
        },
    ),
    "criterion_evaluations": (
        {"criterion_definition_id": ("criterion_definition_id", text), "score": ("score", double)},
        {"annotation_count": ("annotations", "annotations")},
    ),
    "annotations": (
        {
            "annotation_id": ("id", text),
            "key": ("key", text),
            "type": ("type", text),
            "title": ("title", text),
            "description": ("description", text),
            "labels": ("labels", texts),
            "not_applicable": ("not_applicable", boolean),
            "cannot_assess": ("cannot_assess", boolean),
            "justification": ("justification", text),
            "metadata": ("metadata", anything),
            "value": ("value", anything),
            "possible_values": ("possible_values", anything),
        },
        {},
    ),
}

INDEXES = {
    "task_errors": "task_error_index",
    "sensitive_content_reports": "sensitive_content_report_index",
    "threads": "thread_index",
    "submissions": "submission_index",
    "turns": "turn_index",
    "rubrics": "rubric_index",
    "rubric_criteria": "rubric_criterion_index",
    "messages": "message_index",
    "reference_texts": "reference_text_index",
    "attachments": "attachment_index",
    "chunks": "chunk_index",
    "reasoning": "reasoning_index",
    "rubric_evaluations": "rubric_evaluation_index",
    "criterion_evaluations": "criterion_evaluation_index",
    "annotations": "annotation_index",
}

SCOPES = {
    "threads": "thread",
    "turns": "turn",
    "messages": "message",
    "chunks": "chunk",
    "rubric_criteria": "rubric_criterion",
    "rubric_evaluations": "rubric_evaluation",
    "criterion_evaluations": "criterion_evaluation",
}


def value_columns(value):
    """An annotation's value, spread over columns by what its JSON is."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"value_text": value}
    if isinstance(value, bool):
        return {"value_boolean": value}
    if isinstance(value, int) and value in INT64:
        return {"value_integer": value, "value_number": float(value)}
    if is_number(value):
        return {"value_number": nearest(value)} | ({} if is_exact(value) else {"value_json": value})
    if isinstance(value, dict):
        numbers = {key: value.get(key) for key in ("score", "weight") if is_number(value.get(key))}
        return {"value_json": value} | {f"value_{key}": nearest(number) for key, number in numbers.items()}
    if texts(value) is not None:
        return {"value_list": value}
    if all(texts(each) is not None for each in value):
        return {"value_groups": value}
    return {"value_json": value}


def label_of(value, possible_values, labels):
    flat = [each for outer in possible_values for each in (outer if isinstance(outer, list) else [outer])]
    places = [
        place for place, each in enumerate(flat) if each == value and isinstance(each, bool) == isinstance(value, bool)
    ]
    return labels[places[0]] if places and places[0] < len(labels) else None


def label_columns(row):
    value, possible_values, labels = row["value"], row["possible_values"], row["labels"]
    if not isinstance(possible_values, list) or labels is None or value is None:
        return {}
    columns = {"value_label": label_of(value, possible_values, labels)}
    if texts(value) is not None:
        each = [label_of(one, possible_values, labels) for one in value]
        columns["value_labels"] = each if None not in each else None
    return columns


def criteria_of(metadata):
    criteria = metadata.get("criteria") if isinstance(metadata, dict) else None
    if isinstance(criteria, dict):
        return text(criteria.get("id")) or text(criteria.get("key"))
    return text(criteria)


def redacted(value):
    if isinstance(value, list):
        return [redacted(each) for each in value]
    if isinstance(value, dict):
        return {
            key: "[redacted]" if key == "workspace_token" and each is not None else redacted(each)
            for key, each in value.items()
        }
    return value


def digest_of(content):
    """What is computed of a content in base64."""
    try:
        bytes = base64.b64decode("!" if content is None else content, validate=True)
    except binascii.Error:
        return {"content_sha256": None, "content_bytes": None}
    return {"content_sha256": hashlib.sha256(bytes).hexdigest(), "content_bytes": len(bytes)}


class Expected:
    """The rows of all tables."""

    def __init__(self, records):
        self.rows = {table: [] for table in TABLES}
        self.beside = {table: {} for table in ["projects", "batches", "deliveries"]}
        for record in redacted(records):
            for task in record.get("tasks", [record]):
                self.task(task)
            if isinstance(record.get("delivery"), dict):
                self.delivery(record["delivery"])
                for task in record["tasks"]:
                    ids = {"delivery_id": record["delivery"]["id"], "task_id": task["task_id"]}
                    self.rows["delivery_tasks"].append(ids | {"extra": None})
        for table, rows in self.beside.items():
            self.rows[table] = list(rows.values())

    def task(self, task):
        fields = Fields(task)
        keys = {"task_id": fields.take("task_id", text)}
        project_id, project_name = fields.reference("project")
        batch_id, batch_name = fields.reference("batch")
        names = ["turns", "messages", "annotations"]
        before = [len(self.rows[name]) for name in names]
        arrays = {
            "thread_count": ("threads", "threads"),
            "task_error_count": ("errors", "task_errors"),
            "sensitive_content_report_count": ("sensitive_content_reports", "sensitive_content_reports"),
        }
        counts = {column: self.children("tasks", fields, path, child, keys) for column, (path, child) in arrays.items()}
        turns, messages, annotations = (len(self.rows[name]) - count for name, count in zip(names, before))
        self.rows["tasks"].append(
            keys
            | {"project_id": project_id, "project_name": project_name, "batch_id": batch_id, "batch_name": batch_name}
            | {"turn_count": turns, "message_count": messages, "annotation_count": annotations}
            | {
                "status": fields.take("status", text),
                "created_at": fields.take("created_at", instant),
                "completed_at": fields.take("completed_at", instant),
                "metadata": fields.take("metadata", anything),
                "extra": fields.extra("project", "batch"),
            }
            | counts
        )
        self.project(task.get("project"))
        self.batch(task.get("batch"))

    def children(self, table, fields, path, child, keys):
        """Adds the rows of an array and returns its length."""
        elements = fields.take(path, objects)
        for index, element in enumerate(elements or []):
            scope = {"scope": SCOPES[table]} if child == "annotations" else {}
            self.row(child, element, keys | {INDEXES[child]: index} | scope)
        return None if elements is None else len(elements)

    def row(self, table, element, keys):
        columns, arrays = LEVELS[table]
        fields = Fields(element)
        row = keys | {column: fields.take(path, kind) for column, (path, kind) in columns.items()}
        below = keys | {id: row[id] for id in ("thread_id", "turn_id") if id in row}
        row |= {column: self.children(table, fields, path, child, below) for column, (path, child) in arrays.items()}
        row["extra"] = fields.extra("content", "model_parameters") if table == "messages" else fields.extra()
        if table == "annotations":
            row |= value_columns(row["value"]) | label_columns(row) | {"criteria": criteria_of(row["metadata"])}
            del row["value"]
        if table == "attachments":
            row |= digest_of(row["content"])
            # Nobody asked for attachments.
            row |= dict.fromkeys(["content_state", "content_path", "content_type", "transcript_state", "transcript_path"])
        self.rows[table].append(row)

    def project(self, source):
        if isinstance(source, dict) and isinstance(source.get("id"), str):
            fields = Fields(source)
            kinds = {"name": text, "created_at": instant, "types": texts, "models": texts}
            id = fields.take("id", text)
            columns = {name: fields.take(name, kind) for name, kind in kinds.items()}
            self.beside["projects"][id] = {"project_id": id, **columns, "extra": fields.extra()}

    def batch(self, source):
        if isinstance(source, dict) and isinstance(source.get("id"), str):
            kinds = {"name": text, "status": text, "created_at": instant, "completed_at": instant, "callback": text}
            self.project_member("batches", "batch_id", source, kinds | {"metadata": anything})

    def delivery(self, source):
        kinds = {"name": text, "task_count": integer, "delivered_at": instant}
        self.project_member("deliveries", "delivery_id", source, kinds)

    def project_member(self, table, id_name, source, kinds):
        fields = Fields(source)
        id = fields.take("id", text)
        project_id, project_name = fields.reference("project")
        columns = {name: fields.take(name, kind) for name, kind in kinds.items()}
        ids = {id_name: id, "project_id": project_id, "project_name": project_name}
        self.beside[table][id] = ids | columns | {"extra": fields.extra("project")}
        self.project(source.get("project"))


@functools.cache
def expected_rows(lake):
    return Expected(lake.records).rows


def sort_key(row):
    """By the ids and the positions, nulls first."""
    ids = ("task_id", "delivery_id", "batch_id", "project_id")
    keys = [(name, value) for name, value in sorted(row.items()) if name in ids or name.endswith("_index")]
    return [(name, value is not None, value) for name, value in keys]


def compare(found, expected, columns, json_columns):
    """Row by row and column by column, so that a failure names the one that differs."""
    assert len(found) == len(expected)
    assert all(set(row) <= set(columns) for row in expected), "every expected column is there"
    expected = sorted(({name: row.get(name) for name in columns} for row in expected), key=sort_key)
    for found_row, expected_row in zip(sorted(found, key=sort_key), expected):
        for name in json_columns:
            found_row[name] = None if found_row[name] is None else json.loads(found_row[name])
        differing = {
            name: (found_row[name], expected_row[name])
            for name in columns
            if not is_same(found_row[name], expected_row[name])
        }
        assert not differing, f"found and expected differ at {sort_key(expected_row)}"


def is_same(one, other):
    # Python takes True for 1, and 1.0 for 1; the lake must not.
    return one == other and (type(one) is type(other) or isinstance(one, datetime))


def test_duckdb_reads_every_row_as_it_was_sent(lake, table):
    described = {row[0]: row[1] for row in lake.rows(f"DESCRIBE {table}")}
    columns = [name for name in described if name not in [*partition_columns(table), "content_hash"]]
    found = lake.records_of(f"SELECT {', '.join(columns)} FROM {table}")
    compare(found, expected_rows(lake)[table], columns, [name for name in columns if described[name] == "JSON"])


def test_pyarrow_reads_every_row_as_it_was_sent(lake, table):
    json_columns = {row[0] for row in lake.rows(f"DESCRIBE {table}") if row[1] == "JSON"}
    dataset = lake.dataset(table)
    columns = [name for name in dataset.schema.names if name not in [*partition_columns(table), "content_hash"]]
    found = dataset.to_table(columns=columns).to_pylist()
    compare(found, expected_rows(lake)[table], columns, json_columns)


def test_no_table_stays_untested(hand_written, generated):
    def filled(lake):
        return {table for table in TABLES if lake.rows(f"SELECT count(*) > 0 FROM {table}") == [(True,)]}

    assert filled(hand_written) == set(TABLES)
    assert filled(generated) == {*TABLES_OF_TASKS, "projects", "batches"}, "generated tasks come without deliveries"


def test_a_content_hash_has_128_bits_and_differs_from_task_to_task(lake):
    hashes = [hash for (hash,) in lake.rows("SELECT content_hash FROM tasks")]
    assert all(re.fullmatch("[0-9a-f]{32}", hash) for hash in hashes)
    assert len(set(hashes)) == len(lake.tasks)
