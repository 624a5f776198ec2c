"""Ray with two workers: what they write is what one machine makes."""

import json

import pyarrow as pa
import pytest
from conftest import assert_whole, restored, task

import ray
import ray.data
import taskloom
import taskloom.ray

pytestmark = pytest.mark.usefixtures("workers")


@pytest.fixture
def lines():
    return [json.dumps(task(id % 300, content=id)) for id in range(400)]


def test_a_dataset_comes_to_the_lake_of_one_machine(lines, tmp_path):
    dataset = ray.data.from_arrow([pa.table({"json": lines[at : at + 50], "n": range(50)}) for at in range(0, 400, 50)])
    report = taskloom.ray.flatten(dataset, tmp_path / "lake")
    assert (report["version"], report["tasks_read"], report["superseded"]) == (1, 400, 100)
    taskloom.flatten(lines, tmp_path / "alone")
    assert restored(tmp_path / "lake") == restored(tmp_path / "alone")
    assert_whole(tmp_path / "lake")


def test_a_datasink_merges_and_tells_what_it_did(lines, tmp_path):
    taskloom.flatten(lines[:100], tmp_path / "lake")
    sink = taskloom.ray.Datasink(tmp_path / "lake", column="json")
    ray.data.from_items([{"json": line, "other": "text"} for line in lines], override_num_blocks=4).write_datasink(sink)
    assert sink.report["version"] == 2
    taskloom.flatten(lines, tmp_path / "alone")
    assert restored(tmp_path / "lake") == restored(tmp_path / "alone")
    assert_whole(tmp_path / "lake")


def test_a_write_that_fails_leaves_nothing(lines, tmp_path):
    def broken(batch):
        raise RuntimeError("as asked for")

    dataset = ray.data.from_items([{"json": line} for line in lines], override_num_blocks=4).map_batches(broken)
    with pytest.raises(Exception, match="as asked for"):
        taskloom.ray.flatten(dataset, tmp_path / "lake")
    assert not list((tmp_path / "lake").rglob("*.parquet")) and not list((tmp_path / "lake/_taskloom/running").glob("*"))


def test_a_dataset_without_one_column_of_text_is_refused(tmp_path):
    dataset = ray.data.from_items([{"one": "a", "other": "b"}])
    with pytest.raises(Exception, match="one, other"):
        taskloom.ray.flatten(dataset, tmp_path / "lake")
    assert not list((tmp_path / "lake").rglob("*.parquet"))
