"""A lake of many versions that was vacuumed and moved, in each engine: what is kept of it is read whole, and nobody else writes to it."""

import json
import subprocess

import engines
import pytest
from conftest import program, taskloom

# Runs come with versions 1 to 56, 59 and 60; one of them gets a name by version 57, and 58 lets go of all that is older and has none.
TAGGED, OLDEST, LAST = 52, 57, 60
CONTENT = {TAGGED: TAGGED, OLDEST: 56, 58: 56, 59: 59, LAST: LAST}

def task(version, number):
    turn = {"id": "turn", "messages": [{"role": "user", "content": {"text": f"message of {version}"}}]}
    thread = {"id": "thread", "turns": [turn], "annotations": [{"key": "quality", "type": "integer", "value": version}]}
    # One project stays, and one comes with each version.
    project = "stays" if number else f"a/b {version}% 😀"
    return {"task_id": f"{version}-{number}", "project": project, "created_at": "2025-01-02T03:04:05Z", "threads": [thread]}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    made, tasks = folder / "made", folder / "tasks.ndjson"

    def run(version):
        tasks.write_text("".join(json.dumps(task(version, number)) + "\n" for number in range(3)), encoding="utf-8")
        taskloom("flatten", tasks, "--out", made, "--quiet", "--overwrite")

    for version in range(1, 57):
        run(version)
    taskloom("tag", made, "paper", "--at", str(TAGGED))
    assert json.loads(taskloom("vacuum", made, "--retain", "0s", "--json"))["oldest_version"] == OLDEST
    for version in [59, 60]:
        run(version)
    assert json.loads(taskloom("verify", made, "--deep", "--json"))["findings"] == []
    logs = sorted(log.name for log in made.glob("messages/_delta_log/*.json"))
    assert logs[0] == f"{50:020}.json", "older ones are gone"
    # A lake that is moved is the same lake.
    moved = folder / "elsewhere" / "lake"
    moved.parent.mkdir()
    made.rename(moved)
    return moved


@pytest.fixture(scope="module", params=list(engines.OPEN))
def engine(request):
    if request.param == "spark":
        request.getfixturevalue("spark")
    return request.param


@pytest.mark.parametrize("version", [*CONTENT, None])
def test_a_version_that_is_kept_is_read_whole(engine, lake, version):
    at = [] if version is None else ["--at", "paper" if version == TAGGED else str(version)]
    opened = engines.opened(engine, lake, "--table", "tasks", "--table", "messages", "--table", "annotations", *at)
    version = CONTENT[version or LAST]
    read = {row["task_id"]: row["project"] for row in opened.rows("tasks")}
    assert read == {f"{version}-{number}": task(version, number)["project"] for number in range(3)}
    assert {row["text"] for row in opened.rows("messages")} == {f"message of {version}"}
    assert opened.summary("annotations", ["key", "value_number"], ["value_number"]) == (3, 3, 3, 3.0 * version)


def test_a_version_that_is_gone_is_told_of(lake):
    with pytest.raises(AssertionError, match="are gone"):
        taskloom("sql", "--engine", "duckdb", lake, "--at", "5")


def contents(lake):
    return {path.relative_to(lake): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


@pytest.mark.skipif(engines.VIA != "delta", reason="only readers of Delta Lake could write by its logs")
class TestNobodyElseWrites:
    @pytest.fixture(autouse=True)
    def nothing_is_committed(self, lake):
        before = contents(lake)
        yield
        after = contents(lake)
        # Some write their files before they find that they may not commit: these are nobody's.
        new = {str(path) for path in after.keys() - before.keys()}
        assert not any("_delta_log" in path for path in new)
        assert {path: after.get(path) for path in before} == before
        done = subprocess.run([program(), "verify", lake, "--json"], capture_output=True)
        found = json.loads(done.stdout)["findings"]
        assert {finding["path"] for finding in found} == new and all(finding["fault"] == "stranger" for finding in found)
        for path in new:
            (lake / path).unlink()

    @pytest.mark.parametrize("table", ["tasks", "messages"])
    def test_deltalake(self, lake, table):
        import deltalake

        opened = deltalake.DeltaTable(str(lake / table))
        for act in [
            lambda: deltalake.write_deltalake(opened, opened.to_pyarrow_table(), mode="append"),
            lambda: deltalake.write_deltalake(opened, opened.to_pyarrow_table(), mode="overwrite"),
            lambda: opened.delete("task_id = '60-0'"),
            lambda: opened.update(updates={"task_id": "'x'"}),
            lambda: opened.optimize.compact(),
        ]:
            with pytest.raises(Exception, match="taskloom|riter"):
                act()

    def test_duckdb(self, lake):
        connection = engines.connect()
        connection.execute(f"ATTACH '{lake}/tasks' AS tasks (TYPE delta)")
        with pytest.raises(Exception, match="."):
            connection.execute("INSERT INTO tasks SELECT * FROM tasks")

    def test_sail(self, lake, spark):
        frame = spark.read.format("delta").load(f"{lake}/tasks")
        for mode in ["append", "overwrite"]:
            with pytest.raises(Exception, match="."):
                frame.write.format("delta").mode(mode).save(f"{lake}/tasks")
