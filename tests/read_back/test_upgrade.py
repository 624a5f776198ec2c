"""A lake of the first schema, in each engine: as it is, mixed with rows of the newest schema, and upgraded."""

import json
import shutil
from datetime import UTC, datetime

import engines
import pyarrow.dataset as ds
import pytest
from conftest import REPOSITORY, taskloom

HOME = REPOSITORY / "tests" / "schema_1"
# printf hello | sha256sum
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
# printf '' | sha256sum
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """One of which an older schema wrote all, one to which a newer one added, and that one upgraded."""
    folder = tmp_path_factory.mktemp("upgrade")
    old, mixed, upgraded = (folder / name for name in ["old", "mixed", "upgraded"])
    shutil.copytree(HOME / "lake", old)
    shutil.copytree(old, mixed)
    more = (HOME / "second.ndjson").read_text(encoding="utf-8").splitlines()[1].replace("task-6", "task-7")
    task = json.loads(more)
    delivered = {"task_id": "task-7", "delivery_id": "d9", "delivered_at": "2025-02-01T00:00:00Z", "response_schema_id": "s"}
    tasks = folder / "tasks.ndjson"
    tasks.write_text("".join(json.dumps(line) + "\n" for line in [task, {"docs": [delivered], "total": 1}]), encoding="utf-8")
    taskloom("flatten", tasks, "--out", mixed, "--quiet")
    shutil.copytree(mixed, upgraded)
    taskloom("upgrade", upgraded)
    return old, mixed, upgraded


@pytest.fixture(scope="module", params=engines.OPEN)
def engine(request, tmp_path_factory):
    if request.param == "spark":
        engines.start_spark(tmp_path_factory.mktemp("spark"))
    return request.param


def attachments(opened):
    rows = opened.rows("attachments")
    return sorted((row["task_id"], row["attachment_index"], row["content_sha256"], row["content_bytes"]) for row in rows)


def deliveries(opened):
    rows = opened.rows("delivery_tasks")
    return sorted((row["delivery_id"], row["task_id"], row["delivered_at"], row["response_schema_id"]) for row in rows)


def filtered(opened):
    """The tasks of attachments of one content, and how many memberships tell no time."""
    if isinstance(opened, engines.InPyarrow):
        tables = opened.datasets
        same = tables["attachments"].to_table(columns=["task_id"], filter=ds.field("content_sha256") == HELLO)
        return same["task_id"].to_pylist(), tables["delivery_tasks"].count_rows(filter=ds.field("delivered_at").is_null())
    [(without,)] = opened.sql("SELECT count(*) FROM delivery_tasks WHERE delivered_at IS NULL")
    same = opened.sql(f"SELECT task_id FROM attachments WHERE content_sha256 = '{HELLO}'")
    return [id for (id,) in same], without


def test_a_mixed_lake_has_the_new_columns_where_a_newer_schema_wrote(engine, lakes):
    _, mixed, _ = lakes
    opened = engines.opened(engine, mixed)
    known = {id: (sha256, size) for id, _, sha256, size in attachments(opened) if sha256}
    assert known == {"task-7": (HELLO, 5)}
    assert len(opened.rows("attachments")) == 8
    at = datetime(2025, 2, 1, tzinfo=UTC)
    assert deliveries(opened) == [
        ("d1", "task-1", None, None), ("d1", "task-2", None, None), ("d2", "task-4", None, None), ("d9", "task-7", at, "s")
    ]  # fmt: skip
    # As a filter, which may not be where a file lacks the column.
    assert filtered(opened) == (["task-7"], 3)


def test_an_upgraded_lake_has_them_everywhere(engine, lakes):
    _, mixed, upgraded = lakes
    opened = engines.opened(engine, upgraded)
    assert attachments(opened) == [
        ("task-1", 0, HELLO, 5), ("task-1", 1, None, None), ("task-2", 0, HELLO, 5), ("task-3", 0, None, None),
        ("task-4", 0, NOTHING, 0), ("task-4", 1, HELLO, 5), ("task-6", 0, HELLO, 5), ("task-7", 0, HELLO, 5),
    ]  # fmt: skip
    assert deliveries(opened) == [
        ("d1", "task-1", datetime(2025, 1, 10, microsecond=500_000, tzinfo=UTC), "schema_p"),
        ("d1", "task-2", None, None),
        ("d2", "task-4", datetime(2025, 1, 10, 22, tzinfo=UTC), None),
        ("d9", "task-7", datetime(2025, 2, 1, tzinfo=UTC), "s"),
    ]
    extra = {row["task_id"]: json.loads(row["extra"] or "{}") for row in opened.rows("delivery_tasks")}
    assert extra["task-1"] == {"created_at": "2024-12-31T23:59:59Z", "note": "as sent"}
    assert (extra["task-2"]["delivered_at"], extra["task-2"]["response_schema_id"]) == ("yesterday", {"id": 5})
    # All else is what it was, and no task changed.
    before = engines.opened(engine, mixed)
    for table in ["tasks", "messages", "annotations"]:
        rows = [sorted(map(repr, lake.rows(table))) for lake in [before, opened]]
        assert rows[0] == rows[1], table


def test_versions_before_are_read_as_they_were(engine, lakes):
    old, _, upgraded = lakes
    now, then = (engines.opened(engine, lake, "--at", "4") for lake in [upgraded, old])
    for table in ["tasks", "attachments", "delivery_tasks"]:
        assert sorted(map(repr, now.rows(table))) == sorted(map(repr, then.rows(table))), table
    assert len(now.rows("attachments")) == 7
