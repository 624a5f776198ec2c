"""A lake in a bucket of S3, by moto's server: every engine reads it by the code that `taskloom sql` prints, and every command works."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import duckdb
import engines
import pytest
from conftest import program, taskloom

LAKE = "s3://lakes/some/lake"
PACKAGES = Path(duckdb.__file__).parent.parent


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """A server with a bucket, and the environment in which all find it."""
    log = tmp_path_factory.mktemp("moto") / "log"
    server = subprocess.Popen([Path(sys.executable).parent / "moto_server", "-p", "0"], stderr=log.open("w"), stdout=subprocess.DEVNULL)
    before = dict(os.environ)
    try:
        while not (started := re.search(r"Running on (\S+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        address = started[1]
        urllib.request.urlopen(urllib.request.Request(f"{address}/lakes", method="PUT"), timeout=60)
        os.environ |= {
            "AWS_ENDPOINT": address, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "geheim",
        }  # fmt: skip
        yield address
    finally:
        os.environ.clear()
        os.environ |= before
        server.kill()


def task(id, content):
    message = {"role": "user", "content": {"text": f"text {content}"}, "annotations": [{"key": "k", "type": "integer", "value": content}]}
    return {
        "task_id": f"task-{id}", "project": f"p/{id % 2}", "batch": "b é", "status": "completed",
        "created_at": "2025-01-01T00:00:00Z", "completed_at": f"2025-01-0{1 + id % 4}T00:00:00Z",
        "threads": [{"id": "thread", "turns": [{"id": "turn", "messages": [message]}]}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def texts(endpoint, tmp_path_factory):
    """A lake of three versions; the text that each task must have."""
    tasks = tmp_path_factory.mktemp("buckets") / "tasks.ndjson"
    state = {}
    for brought in [range(8), range(4, 12), [1]]:
        contents = {id: id + 100 * len(state) for id in brought}
        tasks.write_text("".join(json.dumps(task(*pair)) + "\n" for pair in contents.items()))
        report = json.loads(taskloom("flatten", tasks, "--out", LAKE, "--json"))
        assert report["outcome"] == "committed" and report["store_requests"] > 0
        state |= contents
    return {f"task-{id}": f"text {content}" for id, content in state.items()}


def in_duckdb(endpoint):
    connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
    for name in ["httpfs", "delta"]:
        connection.execute(f"LOAD '{next(PACKAGES.glob(f'duckdb_extension_{name}/**/{name}.duckdb_extension'))}'")
    host = endpoint.removeprefix("http://")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID 'key', SECRET 'geheim', ENDPOINT '{host}', URL_STYLE path, USE_SSL false, REGION 'us-east-1')"
    )
    return connection


@pytest.mark.parametrize("via", ["delta", "records"])
def test_duckdb_reads_it(endpoint, texts, via):
    connection = in_duckdb(endpoint)
    connection.execute(taskloom("sql", "--engine", "duckdb", "--via", via, LAKE))
    assert dict(connection.execute("SELECT task_id, text FROM messages").fetchall()) == texts
    found = connection.execute("SELECT DISTINCT project, batch FROM tasks ORDER BY ALL").fetchall()
    assert found == [("p/0", "b é"), ("p/1", "b é")]


@pytest.mark.parametrize("engine", ["polars", "pyarrow", "spark"])
def test_it_is_read_through_delta_lake(endpoint, texts, engine, tmp_path):
    if engine == "spark":
        engines.start_spark(tmp_path)
    code = taskloom("sql", "--engine", engine, LAKE, *(["--at", "3"] if engine == "spark" else []))
    rows = engines.OPEN[engine](code).rows("messages")
    assert {row["task_id"]: row["text"] for row in rows} == texts
    assert {row["batch"] for row in rows} == {"b é"}


def test_every_command_takes_the_address(endpoint, texts, tmp_path):
    restored = [json.loads(line) for line in taskloom("restore", LAKE).splitlines()]
    assert {task["task_id"]: task["threads"][0]["turns"][0]["messages"][0]["content"]["text"] for task in restored} == texts
    again = json.loads(taskloom("restore", LAKE, "--out", tmp_path / "tasks.ndjson", "--json"))
    assert (again["version"], again["tasks"]) == (3, len(texts)) and again["store_requests"] > 0
    for flags in [[], ["--deep"]]:
        verified = json.loads(taskloom("verify", LAKE, "--json", *flags))
        assert verified["findings"] == [] and verified["store_requests"] > 0
    assert [version["version"] for version in json.loads(taskloom("history", LAKE, "--json"))] == [3, 2, 1]
    taskloom("tag", LAKE, "first", "--at", "1")
    assert json.loads(taskloom("vacuum", LAKE, "--retain", "0s", "--json"))["files"] > 0
    assert "version" in taskloom("recover", LAKE)
    taskloom("drift", LAKE)
    folder = tmp_path / "plain"
    taskloom("checkout", LAKE, folder)
    plain = duckdb.sql(f"SELECT task_id, text FROM read_parquet('{folder}/messages/**/*.parquet', hive_partitioning = false)")
    assert dict(plain.fetchall()) == texts
    assert json.loads(taskloom("verify", LAKE, "--deep", "--json"))["findings"] == []
    # Nothing secret is in what it left.
    listed = subprocess.run([program(), "history", LAKE, "--json"], capture_output=True, text=True).stdout
    assert "geheim" not in listed


def names_in(endpoint, prefix):
    listed = urllib.request.urlopen(f"{endpoint}/lakes?list-type=2&prefix={prefix}", timeout=60).read().decode()
    return {name.removeprefix(prefix) for name in re.findall("<Key>([^<]*)</Key>", listed)}


def test_a_training_set_goes_into_a_bucket_and_replaces_an_earlier_one(endpoint, texts, tmp_path):
    place = "s3://lakes/sets/prompts"
    report = json.loads(taskloom("dataset", LAKE, "--for", "grpo", "--split", "0.4", "--out", place, "--json"))
    assert report["train_rows"] + report["test_rows"] == len(texts) and report["test_rows"] > 0
    assert names_in(endpoint, "sets/prompts/") == {"README.md", "taskloom.json", "train-00000.parquet", "test-00000.parquet"}
    connection = in_duckdb(endpoint)
    rows = connection.execute(f"SELECT source.task_id, prompt[1].content FROM read_parquet('{place}/*.parquet')").fetchall()
    assert dict(rows) == texts
    taskloom("dataset", LAKE, "--for", "grpo", "--layout", "openai", "--out", place)
    assert names_in(endpoint, "sets/prompts/") == {"README.md", "taskloom.json", "train.jsonl", "train.sources.jsonl"}
    note = connection.execute(f"SELECT is_whole, report.train_rows FROM read_json('{place}/taskloom.json')").fetchone()
    assert note == (True, len(texts))
    # What is somebody's stays, whoever comes; and a lake is no place for a training set.
    own = urllib.request.Request(f"{endpoint}/lakes/sets/prompts/own.txt", b"keep", method="PUT")
    urllib.request.urlopen(own, timeout=60)
    taskloom("dataset", LAKE, "--for", "grpo", "--out", place)
    assert names_in(endpoint, "sets/prompts/") == {"README.md", "taskloom.json", "train-00000.parquet", "own.txt"}
    failed = subprocess.run([program(), "dataset", LAKE, "--for", "grpo", "--out", f"{LAKE}/set"], capture_output=True, text=True, check=False)
    assert failed.returncode != 0 and "beside the lake" in failed.stderr, failed.stderr
    taskloom("overview", LAKE, "--out", tmp_path / "overview.html")
    assert "Overview of lake" in (tmp_path / "overview.html").read_text(encoding="utf-8")
