"""Two lakes, woven by the program from input that is known here, and DuckDB and pyarrow to read them with."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

TABLES_OF_TASKS = [
    "tasks", "task_errors", "sensitive_content_reports", "threads", "submissions", "turns", "rubrics",
    "rubric_criteria", "messages", "reference_texts", "attachments", "chunks", "reasoning", "rubric_evaluations",
    "criterion_evaluations", "annotations",
]  # fmt: skip
TABLES_BESIDE = ["projects", "batches", "deliveries", "delivery_tasks"]
TABLES = TABLES_OF_TASKS + TABLES_BESIDE

REPOSITORY = Path(__file__).parents[2]
# What the tests of several folders have in common.
sys.path.insert(0, str(REPOSITORY / "tests"))
# Where the readers of Delta Lake are installed.
DELTA = REPOSITORY / os.environ.get("TASKLOOM_DELTA_VENV", ".venv-delta")
NULL = "__HIVE_DEFAULT_PARTITION__"


def program():
    """The program that is tested."""
    binary = REPOSITORY / os.environ.get("TASKLOOM_BIN", "target/debug/taskloom")
    assert binary.is_file(), f"expected the program at {binary}: build it with `cargo build`, or set TASKLOOM_BIN"
    return binary


def taskloom(*arguments):
    """Runs the program and returns what it printed. Anything but success, rejected tasks too, fails."""
    done = subprocess.run([program(), *arguments], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"taskloom {arguments} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def partition_columns(table):
    return ["project", "batch", "date"] if table in TABLES_OF_TASKS else ["project"]


@dataclass(eq=False)
class Lake:
    """A lake and the input that it was made from: tasks, or pages with tasks."""

    root: Path
    records: list

    @cached_property
    def tasks(self):
        return [task for record in self.records for task in record.get("tasks", [record])]

    def files(self, table):
        return sorted(self.root.glob(f"{table}/**/*.parquet"))

    @cached_property
    def duckdb(self):
        """A connection with a view for every table."""
        # Nothing is fetched from the network: all that is needed comes with the package.
        connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
        connection.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            kinds = ", ".join(f"{name}: {'DATE' if name == 'date' else 'VARCHAR'}" for name in partition_columns(table))
            connection.execute(
                f"CREATE VIEW {table} AS FROM read_parquet('{self.root}/{table}/**/*.parquet',"
                f" hive_partitioning = true, hive_types = {{{kinds}}})"
            )
        return connection

    def rows(self, query):
        """The rows of a query as tuples."""
        return self.duckdb.execute(query).fetchall()

    def records_of(self, query):
        """The rows of a query as dicts."""
        names = [column[0] for column in self.duckdb.execute(query).description]
        return [dict(zip(names, row)) for row in self.duckdb.fetchall()]

    def dataset(self, table):
        kinds = {"project": pa.string(), "batch": pa.string(), "date": pa.date32()}
        schema = pa.schema([(name, kinds[name]) for name in partition_columns(table)])
        partitioning = ds.partitioning(schema, flavor="hive")
        return ds.dataset(self.root / table, format="parquet", partitioning=partitioning)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """What the program keeps for a later run goes with the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def hand_written(tmp_path_factory):
    """A lake of the tasks in `test_hand_written.py`."""
    import test_hand_written

    folder = tmp_path_factory.mktemp("hand_written")
    tasks, page = folder / "tasks.ndjson", folder / "page.json"
    tasks.write_text("".join(json.dumps(task) + "\n" for task in test_hand_written.TASKS), encoding="utf-8")
    # As people save it: indented, and with its Unicode unescaped.
    page.write_text(json.dumps(test_hand_written.DELIVERY_PAGE, indent=2, ensure_ascii=False), encoding="utf-8")
    taskloom("flatten", tasks, page, "--out", folder / "lake")
    return Lake(folder / "lake", [*test_hand_written.TASKS, test_hand_written.DELIVERY_PAGE])


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """A lake of 300 generated tasks."""
    folder = tmp_path_factory.mktemp("generated")
    tasks = folder / "tasks.ndjson"
    taskloom("generate", "--tasks", "300", "--seed", "1", "--out", tasks)
    taskloom("flatten", tasks, "--out", folder / "lake")
    with tasks.open(encoding="utf-8") as lines:
        return Lake(folder / "lake", [json.loads(line) for line in lines])


@pytest.fixture(params=["hand_written", "generated"])
def lake(request):
    """Each of the lakes in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=TABLES)
def table(request):
    """Each of the tables in turn."""
    return request.param


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A Spark session. Views are its own: a test that opens a lake replaces those of the one before."""
    import engines

    session = engines.start_spark(tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shell_environment(tmp_path_factory):
    """What a user has: the program, the engines, and a Java for Spark."""
    import engines

    folder = tmp_path_factory.mktemp("shell")
    (folder / "taskloom").symlink_to(program())
    # DuckDB fetches its extension when it is first needed: here it is there already.
    (folder / "duckdb").symlink_to(DELTA / "bin" / "duckdb")
    (extension,) = DELTA.glob("lib/python*/site-packages/duckdb_extension_delta/extensions/*/delta.duckdb_extension")
    release = folder / ".duckdb" / "extensions" / extension.parent.name / "linux_amd64"
    release.mkdir(parents=True)
    (release / extension.name).symlink_to(extension)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
    return kept | {"PATH": path, "HOME": str(folder), "JAVA_HOME": str(engines.java.home(folder)), "SPARK_LOCAL_IP": "127.0.0.1"}
