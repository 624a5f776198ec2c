"""The engines agree on a lake, opened by the code that `taskloom sql` prints: what they see is what was sent.

Their sessions stand in another time zone before the code runs, see `engines.py`.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import engines
import pytest
from conftest import TABLES, TABLES_OF_TASKS, Lake, partition_columns, taskloom
from test_hand_written import HARD_IDS, NO_TIMES, TIMES, utc
from test_partitions import expected_partitions
from test_rows import SCOPES, compare, expected_rows
from test_schema import columns

TASK_PARTITIONS = ["project", "batch", "date"]

# The types of `test_schema.DECLARED` in the words of each engine.
TYPES = {
    "duckdb": {},
    "polars": {
        "VARCHAR": "String",
        "JSON": "String",
        "INTEGER": "Int32",
        "BIGINT": "Int64",
        "DOUBLE": "Float64",
        "BOOLEAN": "Boolean",
        "DATE": "Date",
        "TIMESTAMP WITH TIME ZONE": "Datetime(time_unit='us', time_zone='UTC')",
        "VARCHAR[]": "List(String)",
        "VARCHAR[][]": "List(List(String))",
    },
    "spark": {
        "VARCHAR": "string",
        "JSON": "string",
        "INTEGER": "int",
        "BIGINT": "bigint",
        "DOUBLE": "double",
        "BOOLEAN": "boolean",
        "DATE": "date",
        "TIMESTAMP WITH TIME ZONE": "timestamp",
        "VARCHAR[]": "array<string>",
        "VARCHAR[][]": "array<array<string>>",
    },
    "pyarrow": {
        "VARCHAR": "string",
        "JSON": "string",
        "INTEGER": "int32",
        "BIGINT": "int64",
        "DOUBLE": "double",
        "BOOLEAN": "bool",
        "DATE": "date32[day]",
        "TIMESTAMP WITH TIME ZONE": "timestamp[us, tz=UTC]",
        "VARCHAR[]": "list<element: string not null>",
        "VARCHAR[][]": "list<element: list<element: string not null> not null>",
    },
}


@pytest.fixture(scope="session", params=list(engines.OPEN))
def engine(request):
    """Each of the engines in turn."""
    if request.param == "spark":
        request.getfixturevalue("spark")
    return request.param


@pytest.fixture
def opened(engine, lake):
    """Each of the lakes in each of the engines."""
    return engines.opened_once(engine, lake.root)


def names_of(table, *types):
    """The declared columns of these types."""
    return [column.name for column in columns(table) if column.type in types]


def key(table):
    """The columns that tell the rows of a table apart."""
    return [column.name for column in columns(table) if column.is_sorted]


def assert_types(opened, engine, table):
    declared = {column.name: column.type for column in columns(table)}
    of_path = {name: "DATE" if name == "date" else "VARCHAR" for name in partition_columns(table)}
    seen = opened.types(table)
    assert seen == {name: TYPES[engine].get(type, type) for name, type in (declared | of_path).items()}
    assert list(seen)[: len(declared)] == list(declared), "in this order"


def flattened(folder, tasks, *flags):
    """A lake of these tasks in the folder."""
    ndjson = folder.with_name(f"{folder.name}.ndjson")
    ndjson.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
    taskloom("flatten", ndjson, "--out", folder, *flags)
    return Lake(folder, tasks)


def ids(rows):
    return sorted(row["task_id"] for row in rows)


# What a table holds.


def test_every_column_has_the_declared_type(opened, engine, table):
    assert_types(opened, engine, table)


def test_every_row_is_as_it_was_sent(opened, lake, table):
    """Texts, numbers, instants, lists, JSON and nulls."""
    not_sent = [*partition_columns(table), "content_hash"]
    names = [name for name in opened.types(table) if name not in not_sent]
    found = [{name: row[name] for name in names} for row in opened.rows(table)]
    compare(found, expected_rows(lake)[table], names, names_of(table, "JSON"))


def test_content_hashes_are_the_same_everywhere(opened, lake):
    found = {row["task_id"]: row["content_hash"] for row in opened.rows("tasks")}
    assert found == dict(lake.rows("SELECT task_id, content_hash FROM tasks"))


@pytest.mark.parametrize("table", ["tasks", "messages", "attachments", "annotations", "deliveries"])
def test_the_engine_itself_counts_and_sums_what_was_sent(opened, lake, table):
    """Which it may do from the statistics in the files, without reading a row."""
    rows = expected_rows(lake)[table]
    present = [column.name for column in columns(table) if column.name != "content_hash"]
    # The sum of `value_integer` is beyond 64 bits.
    numbers = [name for name in names_of(table, "INTEGER", "BIGINT", "DOUBLE") if name != "value_integer"]
    values = {name: [row[name] for row in rows if row.get(name) is not None] for name in present}
    count, *found = opened.summary(table, present, numbers)
    assert count == len(rows)
    assert dict(zip(present, found)) == {name: len(values[name]) for name in present}
    for name, total in zip(numbers, found[len(present) :]):
        # Of no values, SQL says null, and Polars 0. The order of doubles is the engine's.
        assert math.isclose(total or 0, sum(values[name]), rel_tol=1e-12), name


# Partitions.


def test_partitions_are_those_of_the_input(opened, lake):
    tasks = {row["task_id"]: tuple(row[name] for name in TASK_PARTITIONS) for row in opened.rows("tasks")}
    assert len(tasks) == len(lake.tasks)
    assert tasks.items() >= expected_partitions(lake).items()
    for table in TABLES_OF_TASKS:
        for row in opened.rows(table):
            assert tuple(row[name] for name in TASK_PARTITIONS) == tasks[row["task_id"]], table


def test_hard_ids_look_like_everything_that_engines_guess_and_escape():
    number, words, day = {"0012", "1e5"}, {"true", "null", "NULL"}, {"2025-01-01"}
    escaped = {"a/b", "p=q", "100%", "%2F", "a b", " padded ", "Ünïcödé 愛", "a\\b", "'\"`", "nul\0", "..", ""}
    assert number | words | day | escaped <= set(HARD_IDS)


MORE_HARD_IDS = [
    "a+b", "a%20b", "%", "a,b", "false", "NaN", "-inf", "0x1F", "1_000", "12:30", "None", "[1]", "{}", "9" * 40,
]  # fmt: skip


@pytest.fixture(scope="session")
def lake_of_more_ids(tmp_path_factory):
    pairs = zip(MORE_HARD_IDS, reversed(MORE_HARD_IDS))
    tasks = [{"task_id": f"{n}", "project": project, "batch": batch} for n, (project, batch) in enumerate(pairs)]
    return flattened(tmp_path_factory.mktemp("more_ids") / "lake", tasks)


def test_more_hard_ids_stay_what_they_are(engine, lake_of_more_ids):
    rows = engines.opened(engine, lake_of_more_ids.root, "--table", "tasks").rows("tasks")
    found = {row["task_id"]: tuple(row[name] for name in TASK_PARTITIONS) for row in rows}
    assert found == expected_partitions(lake_of_more_ids)


def test_a_filter_on_partitions_finds_hard_ids(engine, hand_written):
    opened = engines.opened_once(engine, hand_written.root)
    for id in ["0012", "1e5", "a/b", "2025-01-01", "null", "true", "100%", "%2F", " ", "'\"`", "Ünïcödé 愛"]:
        assert f"hard {HARD_IDS.index(id):02}" in opened.tasks_of(id, "2025-05-05"), id
    assert opened.tasks_of("0012", "2025-05-06") == []
    assert opened.tasks_of("12", "2025-05-05") == []


def test_a_filter_on_partitions_opens_only_their_files(engine, hand_written, tmp_path):
    """All others are damaged, but the first, of which some engines take the columns."""
    lake = tmp_path / "lake"
    shutil.copytree(hand_written.root, lake)
    record = json.loads((lake / "_taskloom/commits/00000000000000000001.json").read_bytes())["record"]
    paths = ["tasks/{folder}/{part}".format(**part) for part in record["add"] if "tasks" in part["files"]]
    # DuckDB is given them in the order of their paths, the others in that of the record.
    first = min(paths) if engine == "duckdb" else paths[0]
    for file in lake.glob("tasks/**/*.parquet"):
        if "project=0012" not in file.parts and file != lake / first:
            file.write_bytes(b"damaged")
    opened = engines.opened(engine, lake, "--table", "tasks")
    assert opened.tasks_of("0012", "2025-05-05") == [f"hard {HARD_IDS.index('0012'):02}"]
    # Some fail by a panic.
    with pytest.raises(BaseException):
        opened.rows("tasks")


# Times.


def completed(lake):
    """The instants at which tasks were completed."""
    rows = expected_rows(lake)["tasks"]
    return [row["completed_at"] for row in rows if row["completed_at"] is not None]


def test_the_day_of_an_instant_is_the_date_of_its_partition(engine, opened, lake):
    days = [(at.date(), at.astimezone(ZoneInfo(engines.ELSEWHERE)).date()) for at in completed(lake)]
    assert any(here != elsewhere for here, elsewhere in days), "or this test says nothing"
    if engine == "pyarrow":
        table = opened.datasets["tasks"].to_table(columns=["completed_at", "date"]).drop_null()
        found = Counter(day == date for day, date in zip(*(table[name].cast("date32") for name in table.column_names)))
    else:
        found = Counter(same for (same,) in opened.sql("SELECT CAST(completed_at AS DATE) = date FROM tasks"))
        del found[None]
    assert found == {True: len(days)}


INSTANTS = """
import json, os, sys, engines
for engine in ["duckdb", "polars", "pyarrow"]:
    rows = engines.opened(engine, sys.argv[1], "--table", "submissions").rows("submissions")
    found = {row["submission_index"]: row["submitted_at"] for row in rows if row["task_id"] == "times"}
    print(json.dumps([at and at.isoformat() for _, at in sorted(found.items())]))
# The threads of some that read Delta Lake abort a process that ends.
sys.stdout.flush()
os._exit(0)
"""


def test_instants_are_the_same_in_a_process_elsewhere(hand_written):
    """But for Spark, whose Java stands elsewhere in all tests."""
    command = [sys.executable, "-c", INSTANTS, hand_written.root]
    environment = os.environ | {"TZ": engines.ELSEWHERE}
    done = subprocess.run(command, cwd=Path(__file__).parent, env=environment, capture_output=True, check=True)
    expected = [utc(*parts).isoformat() for _, parts in TIMES] + [None] * len(NO_TIMES)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [expected] * 3


# The views by scope.


@pytest.mark.parametrize("owner", SCOPES)
def test_annotations_of_a_scope_join_their_owners_by_all_positions_they_share(engine, opened, lake, owner):
    view = f"{SCOPES[owner]}_annotations"
    expected = sum(row["scope"] == SCOPES[owner] for row in expected_rows(lake)["annotations"])
    assert expected > 0
    if engine == "pyarrow":
        # Whose filtered datasets keep all columns.
        assert opened.datasets[view].count_rows() == expected
        return
    shared = [name for name in opened.types(view) if name in key("annotations") and name != "annotation_index"]
    assert shared == key(owner)
    idle = {"scope", *key("annotations")} - {*shared, "annotation_index"}
    assert opened.types(view).keys() == opened.types("annotations").keys() - idle
    assert opened.sql(f"SELECT count(*) AS rows FROM {view} JOIN {owner} USING ({', '.join(shared)})") == [(expected,)]


# Versions.


def task(id):
    thread = {"annotations": [{"key": "k", "value": 1}], "turns": [{"messages": [{"role": "user"}]}]}
    return {"task_id": id, "project": f"project {id}", "batch": "b", "threads": [thread]}


TABLES_OF_ONE = ["tasks", "threads", "turns", "messages", "annotations"]
ONLY = [word for table in TABLES_OF_ONE for word in ("--table", table)]


def test_the_code_sees_one_version_of_all_tables(engine, tmp_path):
    lake = flattened(tmp_path / "lake", [task("one"), task("two")]).root
    opened = engines.opened(engine, lake, *ONLY)
    assert "part-" not in opened.code, "files have no names in it"
    assert [ids(opened.rows(table)) for table in TABLES_OF_ONE] == [["one", "two"]] * len(TABLES_OF_ONE)
    flattened(lake, [task("three")], "--overwrite")
    # As a run leaves it that was killed before its commit.
    old = next(lake.glob("tasks/project=project%20one/**/*.parquet"))
    shutil.copy(old, old.with_name("part-0123456789abcdef-000000.parquet"))
    opened = engines.opened(engine, lake, *ONLY)
    assert [ids(opened.rows(table)) for table in TABLES_OF_ONE] == [["three"]] * len(TABLES_OF_ONE)
    earlier = engines.opened(engine, lake, *ONLY, "--at", "1")
    assert [ids(earlier.rows(table)) for table in TABLES_OF_ONE] == [["one", "two"]] * len(TABLES_OF_ONE)


@pytest.mark.skipif(engines.VIA == "delta", reason="the logs of Delta Lake have no versions of their own")
@pytest.mark.parametrize("change", [{"format": 3}, {"requires": ["something new"]}])
def test_the_code_refuses_a_lake_that_is_too_new_for_it(engine, tmp_path, change):
    lake = flattened(tmp_path / "lake", [task("one")]).root
    code = engines.printed_code(engine, lake, "--table", "tasks")
    record = lake / "_taskloom/commits/00000000000000000001.json"
    sealed = json.loads(record.read_bytes())
    sealed["record"] |= change
    record.write_text(json.dumps(sealed))
    with pytest.raises(Exception, match="newer taskloom"):
        engines.OPEN[engine](code).rows("tasks")


def test_tables_without_rows_have_their_columns_too(engine, tmp_path):
    opened = engines.opened(engine, flattened(tmp_path / "lake", [{"task_id": "alone"}]).root)
    for table in TABLES:
        assert_types(opened, engine, table)
        assert len(opened.rows(table)) == (table == "tasks"), table
    assert [opened.rows("tasks")[0][name] for name in TASK_PARTITIONS] == [None, None, None]


# Where a lake lies.

HARD_NAMES = [
    "it's \"a\" lake", "100%41 #1", "a:b, $HOME, ~", "Ünï 愛", "a[bc]d", "a*d", "a?d", "${a,b}", "back\\slash",
    "new\nline", "team=b", "status=nightly", "DATE=2024-05-05", "project=x", "task_id=1/a=1/a=2", "tag=é%20x",
]  # fmt: skip


@pytest.fixture(scope="session")
def lakes_by_name(tmp_path_factory):
    """The same lake under every name, beside another that some of the names would be patterns of."""
    folder = tmp_path_factory.mktemp("names")
    lakes = {name: folder / name / "lake" for name in HARD_NAMES}
    (folder / "abd").mkdir()
    flattened(folder / "abd" / "lake", [task("another")])
    first, *others = lakes.values()
    first.parent.mkdir(parents=True)
    flattened(first, [task("one"), task("two")])
    for lake in others:
        shutil.copytree(first, lake)
    return lakes


@pytest.mark.skipif(engines.VIA == "delta", reason="readers of Delta Lake fail on some: see the next test")
@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_lake_is_read_wherever_it_lies(engine, lakes_by_name, name):
    if (engine, name) == ("duckdb", "back\\slash"):
        # Its patterns take a backslash for a slash, and there is no other way to list files.
        with pytest.raises(Exception, match="."):
            engines.opened(engine, lakes_by_name[name])
        return
    opened = engines.opened(engine, lakes_by_name[name], "--table", "tasks")
    assert ids(opened.rows("tasks")) == ["one", "two"]
    assert_types(opened, engine, "tasks")
    read = [[row[column] for column in ["project", "batch", "date", "status"]] for row in opened.rows("tasks")]
    assert sorted(read) == [["project one", "b", None, None], ["project two", "b", None, None]]
    assert opened.tasks_of("project one", "2025-01-01") == []


def test_code_goes_by_the_logs_of_delta_lake_where_readers_take_the_path(lakes_by_name, tmp_path):
    plain = tmp_path.with_name("plain-1_2.3") / "lake"
    shutil.copytree(lakes_by_name["team=b"], plain)
    for engine in ["duckdb", "polars", "pyarrow"]:
        of_plain = taskloom("sql", "--engine", engine, plain)
        assert of_plain == taskloom("sql", "--engine", engine, "--via", "delta", plain) and "_taskloom" not in of_plain
        for lake in lakes_by_name.values():
            assert "_taskloom" in taskloom("sql", "--engine", engine, lake), lake
