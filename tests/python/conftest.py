"""The Python module, installed as a user has it; the program beside it is the independent reader and the API's stand-in."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# What the tests of several folders have in common.
sys.path.insert(0, str(REPOSITORY / "tests"))

import java  # noqa: E402


def program():
    """The program, which reads back what the module wrote."""
    binary = REPOSITORY / os.environ.get("TASKLOOM_BIN", "target/debug/taskloom")
    assert binary.is_file(), f"expected the program at {binary}: build it with `cargo build`, or set TASKLOOM_BIN"
    return binary


def run_program(*arguments):
    done = subprocess.run([program(), *arguments], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"taskloom {arguments} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def restored(place):
    """The tasks of a lake by their ids, as the program gives them back."""
    tasks = [json.loads(line) for line in run_program("restore", place).splitlines()]
    by_id = {task["task_id"]: task for task in tasks}
    assert len(by_id) == len(tasks), "ids are unique"
    return by_id


def assert_whole(place):
    """A lake in a folder, by every byte and row; and nothing lies there that no version names."""
    found = json.loads(run_program("verify", place, "--deep", "--json"))
    assert found["findings"] == []
    named = found["files"]
    there = [path for path in Path(place).rglob("*.parquet")]
    assert len(there) == named, f"{len(there) - named} files that nobody knows"
    assert not list((Path(place) / "_taskloom/running").glob("*"))


def task(id, content=1, project=None, text=None):
    message = {"role": "user", "content": {"text": text or f"text {content}"}}
    return {
        "task_id": f"task-{id:04}", "project": project or f"p/{id % 2}", "batch": "b é" if id % 3 else None, "status": "completed",
        "completed_at": f"2025-01-0{1 + id % 4}T00:00:00Z", "metadata": {"content": content},
        "threads": [{"id": f"thread-{id}", "turns": [{"id": "turn", "messages": [message]}]}],
    }  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """What the module keeps for a later run goes with the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """A file of 150 tasks with everything in them that tasks can have."""
    path = tmp_path_factory.mktemp("generated") / "tasks.ndjson"
    run_program("generate", "--tasks", "150", "--seed", "7", "--out", path)
    return path


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A cluster of two executors, each a process of its own, as `spark-submit` would start them."""
    folder = tmp_path_factory.mktemp("spark")
    os.environ |= {"JAVA_HOME": str(java.home(folder)), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder / "local")}
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "SPARK_WORKER_DIR": str(folder / "work")}
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", False)
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.ui.showConsoleProgress", False).config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def workers():
    """A cluster of Ray with two workers, which keeps the order of blocks."""
    import ray
    import ray.data

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A bucket of moto's server: the options by which a store is found there."""
    log = tmp_path_factory.mktemp("moto") / "log"
    server = subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-p", "0"], stderr=log.open("w"), stdout=subprocess.DEVNULL
    )
    try:
        while not (started := re.search(r"Running on (\S+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        urllib.request.urlopen(urllib.request.Request(f"{started[1]}/lakes", method="PUT"), timeout=60)
        yield {
            "endpoint": started[1], "allow_http": "true", "region": "us-east-1", "access_key_id": "key",
            "secret_access_key": "geheim",
        }  # fmt: skip
    finally:
        server.kill()


@contextmanager
def simulated(folder, *arguments):
    """The simulated API, as it is served while somebody asks: its address."""
    log = folder / "simulate"
    command = [program(), "simulate", "--port", "0", *arguments]
    server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
    try:
        while not (found := re.search(r"http://[\d.:]+", log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[0]
    finally:
        server.kill()


@pytest.fixture
def api(tmp_path):
    with simulated(tmp_path, "--tasks", "60", "--seed", "5") as address:
        yield address
