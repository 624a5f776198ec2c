"""A lake that was asked to forget, in each engine: what is left is read whole, what went is in no file, and a copy elsewhere can follow."""

import hashlib
import json
import re

import duckdb
import engines
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY, taskloom

FORGOTTEN = ["task-03", "task-07"]
CONTRIBUTOR = "person-5"
RUNS, TASKS = 4, 20


def task(number, run):
    submission = {"submitted_at": "2025-01-02T03:04:05Z", "contributor_id": f"person-{number % 6}"}
    message = {"role": "user", "content": {"text": f"message of {run}"}}
    thread = {"id": "thread", "turns": [{"id": "turn", "messages": [message]}], "submissions": [submission]}
    return {
        "task_id": f"task-{number:02}", "project": f"p{number % 2}", "created_at": "2025-01-02T03:04:05Z",
        "metadata": {"run": run}, "threads": [thread],
    }  # fmt: skip


def lines(tasks):
    return "".join(json.dumps(task) + "\n" for task in tasks)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forget")
    made, tasks = folder / "lake", folder / "tasks.ndjson"
    for run in range(RUNS):
        tasks.write_text(lines(task(number, run) for number in range(TASKS)), encoding="utf-8")
        taskloom("flatten", tasks, "--out", made, "--quiet")
    taskloom("tag", made, "paper", "--at", "2")
    copy = copied(made)
    ids = [flag for id in FORGOTTEN for flag in ["--task-id", id]]
    taskloom("forget", made, *ids, "--contributor-id", CONTRIBUTOR)
    # All comes once more, and one that is new.
    tasks.write_text(lines(task(number, RUNS - 1) for number in range(TASKS + 1)), encoding="utf-8")
    taskloom("flatten", tasks, "--out", made, "--quiet", "--rewrite-unchanged")
    return made, copy


def copied(lake):
    """The ids of tasks in a copy, and the version that it was made of."""
    state = duckdb.connect()
    state.execute(taskloom("sql", "--engine", "duckdb", "--via", "records", lake))
    return [id for (id,) in state.execute("SELECT task_id FROM tasks").fetchall()], newest(lake)


def newest(lake):
    return max(int(path.stem) for path in lake.glob("_taskloom/commits/*.json"))


def left():
    return {f"task-{number:02}" for number in range(TASKS + 1)} - set(FORGOTTEN)


@pytest.fixture(scope="module", params=list(engines.OPEN))
def engine(request):
    if request.param == "spark":
        request.getfixturevalue("spark")
    return request.param


@pytest.mark.parametrize("at", [[], ["--at", str(RUNS + 2)]])
def test_what_is_left_is_read_whole(engine, lake, at):
    made, _ = lake
    expected = left() if not at else left() - {f"task-{TASKS:02}"}
    opened = engines.opened(engine, made, "--table", "tasks", "--table", "messages", "--table", "submissions", *at)
    assert {row["task_id"] for row in opened.rows("tasks")} == expected
    assert {row["text"] for row in opened.rows("messages")} == {f"message of {RUNS - 1}"}
    people = {row["task_id"]: row["contributor_id"] for row in opened.rows("submissions")}
    named = {id: person for id, person in people.items() if person is not None}
    assert len(people) == len(expected)
    assert named == {id: f"person-{int(id[5:]) % 6}" for id in expected if int(id[5:]) % 6 != 5}


def everything(lake):
    """Whatever lies in a lake, unpacked, as text."""
    for path in lake.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            rows = pq.ParquetFile(path)
            yield path, json.dumps(rows.read().to_pylist(), default=str) + str(rows.metadata.to_dict())
        elif path.suffix == ".zst":
            with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as unpacked:
                yield path, unpacked.read().decode()
        else:
            yield path, content.decode()


def test_no_file_names_it(lake):
    made, _ = lake
    words = [*FORGOTTEN, CONTRIBUTOR]
    found = [(path, word) for path, text in everything(made) for word in words if word in text]
    assert found == []
    assert any("task-04" in text for _, text in everything(made)), "others are found in this way"
    assert json.loads(taskloom("verify", made, "--deep", "--forgotten", "--json"))["findings"] == []


def test_a_copy_follows_by_what_the_page_says(lake, tmp_path):
    made, (ids, version) = lake
    page = (REPOSITORY / "docs/forgetting.md").read_text(encoding="utf-8")
    [statements] = [block for block in re.findall(r"```text\n(.*?)```", page, re.S) if "forget_key" in block]
    changes = tmp_path / "changes.ndjson"
    changes.write_text(taskloom("changes", made, "--since", str(version)), encoding="utf-8")
    told = [json.loads(line) for line in changes.read_text(encoding="utf-8").splitlines()]
    records = [json.loads(path.read_text())["record"] for path in sorted(made.glob("_taskloom/commits/*.json"))]
    [begins] = [record for record in records if "begins" in record]
    copy = duckdb.connect()
    copy.execute("CREATE TABLE my_copy AS SELECT unnest(?) AS task_id", [ids])
    copy.execute(statements.replace("'lake/", f"'{made}/").replace("'changes.ndjson'", f"'{changes}'"))
    kept = {id for (id,) in copy.execute("SELECT task_id FROM my_copy").fetchall()}
    assert kept | {row["task_id"] for row in told if row["change"] == "added"} == left()
    hashes = {hashlib.sha256((begins["forget_key"] + id).encode()).hexdigest() for id in FORGOTTEN}
    assert hashes == set(begins["tombstones"]) == {row["task_id"] for row in told if row["change"] == "forgotten"}
