"""Rows lie in the partition of their project, batch and day, however hard the ids are."""

import re
from datetime import datetime, timezone

import pyarrow.dataset as ds
import pytest
from conftest import NULL, TABLES_OF_TASKS, partition_columns
from test_hand_written import ALSO_LONG_ID, HARD_IDS, LONG_ID, LONG_WIDE_ID

LONG_IDS = [LONG_ID, ALSO_LONG_ID, LONG_WIDE_ID]


def id_of(reference):
    id = reference.get("id") if isinstance(reference, dict) else reference
    return id if isinstance(id, str) else None


def ids_of(task):
    return id_of(task.get("project")), id_of(task.get("batch"))


def partition_of(id):
    """The value that a reader must see: none for what Hive can't tell from a null."""
    return None if id in ("", NULL) else id


def day(task):
    time = task.get("completed_at") or task.get("created_at")
    return time and datetime.fromisoformat(time).astimezone(timezone.utc).date()


def expected_partitions(lake):
    """Project, batch and date of each task, but of those with ids that are too long for a path."""
    return {
        task["task_id"]: (*map(partition_of, ids_of(task)), day(task))
        for task in lake.tasks
        if not set(ids_of(task)) & set(LONG_IDS)
    }


def test_duckdb_reads_partitions_that_equal_the_ids(lake):
    found = {id: tuple(values) for id, *values in lake.rows("SELECT task_id, project, batch, date FROM tasks")}
    assert len(found) == len(lake.tasks)
    assert found.items() >= expected_partitions(lake).items()


def test_pyarrow_reads_partitions_that_equal_the_ids(lake):
    rows = lake.dataset("tasks").to_table(columns=["task_id", "project", "batch", "date"]).to_pylist()
    assert len(rows) == len(lake.tasks)
    found = {row["task_id"]: (row["project"], row["batch"], row["date"]) for row in rows}
    assert found.items() >= expected_partitions(lake).items()


def test_the_exact_ids_stand_in_the_row_however_long(lake):
    found = {id: tuple(ids) for id, *ids in lake.rows("SELECT task_id, project_id, batch_id FROM tasks")}
    assert found == {task["task_id"]: ids_of(task) for task in lake.tasks}


def test_a_task_is_found_by_its_hard_partition(hand_written):
    for index, id in enumerate(HARD_IDS):
        if id not in LONG_IDS and partition_of(id) is not None:
            query = "SELECT task_id FROM messages WHERE project = ? AND text = project"
            assert hand_written.duckdb.execute(query, [id]).fetchall() == [(f"hard {index:02}",)], id


def test_a_long_id_is_cut_and_hashed(hand_written):
    found = dict(hand_written.rows("SELECT DISTINCT project_id, project FROM tasks"))
    for id in LONG_IDS:
        prefix, hashed = re.fullmatch(r"(.+)~([0-9a-f]{32})", found[id]).groups()
        assert id.startswith(prefix)
    assert len({found[id] for id in LONG_IDS}) == len(LONG_IDS), (
        "ids with the same beginning have partitions of their own"
    )
    assert "x" * 200 in found.values(), "200 bytes are not too long"


def test_no_part_of_a_path_is_longer_than_a_file_system_allows(hand_written):
    parts = {
        part for file in hand_written.root.rglob("*.parquet") for part in file.relative_to(hand_written.root).parts
    }
    assert max(len(part.encode()) for part in parts) <= 255


def test_paths_are_escaped_as_hive_does(hand_written):
    folders = {path.name for path in (hand_written.root / "tasks").iterdir()}
    assert {
        "project=..",
        "project=a%2Fb",
        "project=p%3Dq",
        "project=100%25",
        "project=%252F",
        "project=CON",
        "project=%F0%9F%A7%B5",
    } <= folders
    assert {"project=a%20b", "project=%C3%9Cn%C3%AFc%C3%B6d%C3%A9%20%E6%84%9B", "project=line%0Abreak", "project=0012"} <= folders
    assert f"project={NULL}" in folders
    assert "project=" not in folders


def test_nothing_lies_outside_its_table(hand_written):
    for file in hand_written.root.rglob("*.parquet"):
        table, *partitions, _ = file.relative_to(hand_written.root).parts
        assert [part.split("=")[0] for part in partitions] == partition_columns(table), file


def test_rows_of_one_task_lie_in_one_partition(lake):
    union = " UNION ".join(f"SELECT task_id, project, batch, date FROM {table}" for table in TABLES_OF_TASKS)
    assert lake.rows(f"SELECT task_id, count(*) FROM ({union}) GROUP BY task_id HAVING count(*) > 1") == []


def test_the_date_is_the_day_of_completion_in_utc(lake):
    query = """
        SELECT count(*), count(*) FILTER (day IS DISTINCT FROM date)
        FROM (SELECT CAST(coalesce(completed_at, created_at) AT TIME ZONE 'UTC' AS DATE) AS day, date FROM tasks)
    """
    assert lake.rows(query) == [(len(lake.tasks), 0)]


@pytest.mark.parametrize("table", ["projects", "batches", "deliveries"])
def test_what_names_its_project_lies_with_it(hand_written, table):
    found = hand_written.rows(f"SELECT project, project_id FROM {table} WHERE project_id IS NOT NULL")
    assert len(found) > 0
    assert all(project == project_id for project, project_id in found)


def test_a_batch_without_a_project_lies_with_the_task_that_named_it(hand_written):
    assert hand_written.rows("SELECT project, project_id FROM batches WHERE batch_id = 'bare'") == [("a/b", None)]


def test_a_reader_of_one_partition_gets_its_rows_alone(generated):
    project = id_of(generated.tasks[0]["project"])
    expected = sum(id_of(task["project"]) == project for task in generated.tasks)
    assert 0 < expected < len(generated.tasks)
    assert generated.rows(f"SELECT count(*) FROM tasks WHERE project = '{project}'") == [(expected,)]
    assert generated.dataset("tasks").count_rows(filter=ds.field("project") == project) == expected
