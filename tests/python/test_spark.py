"""Spark with two executors that are processes of their own: what they write is what one machine makes, whatever fails."""

import json
import os
import signal
import threading
import time

import pyarrow as pa
import pytest
from conftest import assert_whole, restored, task

import taskloom
import taskloom.spark


@pytest.fixture(scope="module")
def lines():
    """Tasks of many partitions, some of them twice."""
    return [json.dumps(task(id % 700, content=id)) for id in range(900)]


def alone(lines, place):
    taskloom.flatten(lines, place)
    return restored(place)


def frame_of(spark, lines, partitions):
    """A frame whose partitions hold the lines in their order."""
    numbered = spark.sparkContext.parallelize([(line,) for line in lines], partitions)
    return spark.createDataFrame(numbered, "json string")


def test_a_frame_comes_to_the_lake_of_one_machine(spark, lines, tmp_path):
    report = taskloom.spark.flatten(frame_of(spark, lines, 5), tmp_path / "lake")
    assert (report["version"], report["tasks_read"], report["superseded"]) == (1, 900, 200)
    assert restored(tmp_path / "lake") == alone(lines, tmp_path / "alone")
    assert_whole(tmp_path / "lake")
    assert [entry["source"] for entry in taskloom.Lake(tmp_path / "lake").log()] == ["a DataFrame of Spark"]


def test_files_come_to_the_lake_of_one_machine(spark, lines, tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.ndjson").write_text("\n".join(lines[number * 150 : number * 150 + 150]))
    (tmp_path / "6.ndjson").write_text("{broken\n")
    with pytest.warns(taskloom.RejectedWarning, match="1 tasks"):
        report = taskloom.spark.flatten(tmp_path, tmp_path / "lake", spark=spark, shards=3)
    assert report["rejected"] == 1 and "6.ndjson" in open(report["rejects_file"]).read()
    assert restored(tmp_path / "lake") == alone(lines, tmp_path / "alone")
    assert_whole(tmp_path / "lake")


def test_an_executor_that_is_killed_and_a_task_that_fails_leave_nothing(spark, lines, tmp_path):
    place = tmp_path / "lake"
    killed, failed = tmp_path / "killed", tmp_path / "failed"

    def disturbed(batches):
        """Hands on what comes, but fails once in one task, and waits in another one until its executor is killed."""
        from pyspark import TaskContext

        number = TaskContext.get().partitionId()
        for batch in batches:
            yield batch
        if number == 1 and not failed.exists():
            failed.touch()
            raise RuntimeError("as asked for")
        if number == 3 and not killed.exists():
            killed.write_text(str(os.getppid()))
            time.sleep(600)

    def kill():
        until = time.monotonic() + 120
        while not killed.exists() or not killed.read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        # The parent of Python's workers is their daemon; its parent is the executor.
        daemon = int(killed.read_text())
        stat = open(f"/proc/{daemon}/stat").read()
        os.kill(int(stat.rsplit(")", 1)[1].split()[1]), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    frame = frame_of(spark, lines, 6).mapInArrow(disturbed, "json string")
    report = taskloom.spark.flatten(frame, place)
    killer.join()
    assert failed.exists() and report["version"] == 1
    assert restored(place) == alone(lines, tmp_path / "alone")
    assert_whole(place)


def test_a_run_that_fails_for_good_leaves_nothing(spark, lines, tmp_path):
    def broken(batches):
        yield from batches
        raise RuntimeError("always")

    frame = frame_of(spark, lines, 3).mapInArrow(broken, "json string")
    with pytest.raises(Exception, match="always"):
        taskloom.spark.flatten(frame, tmp_path / "lake")
    assert not list((tmp_path / "lake").rglob("*.parquet")) and not list((tmp_path / "lake/_taskloom/running").glob("*"))


def test_a_lake_in_a_bucket_is_merged_into(spark, s3, lines, tmp_path):
    place = "s3://lakes/spark/lake"
    taskloom.flatten(lines[:300], place, store_options=s3)
    report = taskloom.spark.flatten(frame_of(spark, lines[200:], 4), place, store_options=s3)
    assert report["version"] == 2 and report["merged"]["tasks_unchanged"] == 100
    lake = taskloom.Lake(place, store_options=s3)
    assert {task["task_id"]: task for task in lake.restore()} == alone(lines, tmp_path / "alone")
    assert lake.verify(deep=True)["findings"] == []


def test_one_large_project_and_one_large_task_fit_into_small_executors(spark, tmp_path):
    large = json.dumps(task(10_000, project="large", text="word " * 20_000_000))
    assert len(large) > 100_000_000
    most = [json.dumps(task(id, project="large", text="some text " * 500)) for id in range(1800)]
    rest = [json.dumps(task(id, project=f"small {id % 7}")) for id in range(1800, 2000)]
    (tmp_path / "a.ndjson").write_text("\n".join([*most[:900], *rest]))
    (tmp_path / "b.ndjson").write_text("\n".join([large, *most[900:]]))
    frame = spark.read.text(str(tmp_path / "*.ndjson"))
    report = taskloom.spark.flatten(frame, tmp_path / "lake", memory_limit="64MiB")
    assert report["tables"]["tasks"]["rows"] == 2001
    lake = taskloom.Lake(tmp_path / "lake")
    sizes = [len(text.as_py()) for batch in pa.table(lake.table("messages", ["text"])).to_batches() for text in batch.column(0)]
    assert sorted(sizes)[-2:] == [5_000, 100_000_000]
    parts = len(list((tmp_path / "lake/tasks/project=large").rglob("*.parquet")))
    assert parts > 2, "a part has no more than its share of memory"
    assert_whole(tmp_path / "lake")


def test_views_have_every_row_and_pinned_types(spark, lines, tmp_path):
    taskloom.flatten(lines, tmp_path / "lake")
    lake = taskloom.Lake(tmp_path / "lake")
    taskloom.flatten([json.dumps(task(5_000))], tmp_path / "lake")
    frames = taskloom.spark.views(spark, lake, prefix="v_")
    assert set(frames) == {*lake.tables, "task_changes"}
    for name in ("tasks", "messages", "projects", "annotations"):
        own = [tuple(row) for row in spark.sql(f"SELECT * FROM v_{name}").collect()]
        table = pa.table(lake.table(name))
        assert frames[name].columns == table.schema.names and len(own) == table.num_rows
    found = spark.sql("SELECT project, batch, date, count(*) FROM v_tasks GROUP BY ALL").collect()
    groups = pa.table(lake.table("tasks")).group_by(["project", "batch", "date"]).aggregate([([], "count_all")]).to_pylist()
    assert sorted(map(str, map(tuple, found))) == sorted(str(tuple(group.values())) for group in groups)
    newest = taskloom.spark.views(spark, str(tmp_path / "lake"))
    assert newest["tasks"].count() == lake.table("tasks").num_rows + 1


def test_what_cannot_be_meant_is_told(spark, tmp_path):
    frame = spark.createDataFrame([("a", "b")], "one string, other string")
    with pytest.raises(taskloom.UsageError, match="one, other"):
        taskloom.spark.flatten(frame, tmp_path / "lake")
    with pytest.raises(taskloom.UsageError, match="none.json"):
        taskloom.spark.flatten(tmp_path / "none.json", tmp_path / "lake", spark=spark)
    with pytest.raises(TypeError, match="thread"):
        taskloom.spark.flatten(frame, tmp_path / "lake", column="one", thread=1)
    assert not (tmp_path / "lake").exists()
