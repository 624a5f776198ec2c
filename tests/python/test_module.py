"""The module on one machine, against the program and against DuckDB's own look at the files."""

import datetime as dt
import doctest
import importlib
import itertools
import json
import multiprocessing
import pickle
import pkgutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import REPOSITORY, assert_whole, restored, run_program, simulated, task

import taskloom


@pytest.fixture(scope="module")
def lake(generated, tmp_path_factory):
    place = tmp_path_factory.mktemp("module") / "lake"
    taskloom.flatten(generated, place)
    return taskloom.Lake(place)


@pytest.fixture(scope="module")
def lines(generated):
    return generated.read_text().splitlines()


def in_files(lake, table):
    """DuckDB's own look at a table."""
    partitions = "{'project': 'VARCHAR', 'batch': 'VARCHAR', 'date': 'DATE'}"
    if table in ("projects", "batches", "deliveries", "delivery_tasks"):
        partitions = "{'project': 'VARCHAR'}"
    return (
        f"read_parquet('{lake.address}/{table}/project=*/**/*.parquet', hive_partitioning = true, hive_types = {partitions})"
    )


def difference(connection, one, other):
    """How many rows only one of two relations has, with how often."""
    return connection.sql(f"SELECT count(*) FROM ((FROM {one} EXCEPT ALL FROM {other}) UNION ALL (FROM {other} EXCEPT ALL FROM {one}))").fetchall()[0][0]


def test_each_table_is_what_duckdb_finds_in_the_files(lake):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    assert len(lake.tables) == 20
    for name in lake.tables:
        table = lake.table(name)
        own = connection.sql(f"FROM {in_files(lake, name)}")
        assert sorted(table.columns) == sorted(own.columns), name
        assert table.num_rows == len(own), name
        connection.register("own", pa.table(table))
        # JSON is JSON to DuckDB, and text to Arrow.
        kinds = dict(zip(own.columns, map(str, own.types)))
        texts = [f"CAST({column} AS VARCHAR) AS {column}" if kinds[column] == "JSON" else column for column in table.columns]
        assert difference(connection, "own", f"(SELECT {', '.join(texts)} FROM {in_files(lake, name)})") == 0, name


def test_every_reader_takes_a_table_as_it_is(lake):
    messages = lake.table("messages", columns=["task_id", "text", "date"])
    rows = pa.table(messages)
    assert rows.schema.names == ["task_id", "text", "date"] and rows.num_rows == messages.num_rows > 0
    assert rows.schema.field("date").type == pa.date32()
    assert pl.DataFrame(messages).to_arrow().to_pylist() == rows.to_pylist()
    assert duckdb.sql("FROM messages").fetchall() == [tuple(row.values()) for row in rows.to_pylist()]
    assert pd.DataFrame.from_arrow(messages)["task_id"].tolist() == rows["task_id"].to_pylist()
    assert pa.schema(messages) == rows.schema
    # Once more, from the same object.
    assert pa.table(messages) == rows


def test_partitions_and_columns_narrow_a_table(lake):
    days = duckdb.sql(f"SELECT DISTINCT date FROM {in_files(lake, 'tasks')} WHERE date IS NOT NULL ORDER BY 1").fetchall()
    [first, second] = [days[len(days) // 3][0], days[2 * len(days) // 3][0]]
    project = duckdb.sql(f"SELECT mode(project) FROM {in_files(lake, 'tasks')}").fetchall()[0][0]
    quoted = project.replace("'", "''")
    for where, arguments in [
        (f"project = '{quoted}'", {"project": project}),
        (f"project = '{quoted}' OR project IS NULL", {"project": [project, None]}),
        ("batch IS NULL", {"batch": None}),
        (f"date = '{first}'", {"date": first}),
        (f"date = '{first}'", {"date": str(first)}),
        (f"date BETWEEN '{first}' AND '{second}'", {"date": (first, second)}),
        (f"date >= '{second}' AND project = '{quoted}'", {"date": (second, None), "project": [project]}),
        ("false", {"project": "nobody's"}),
        ("false", {"project": []}),
        ("date IS NULL", {"date": None}),
    ]:
        expected = duckdb.sql(f"SELECT turn_index, task_id FROM {in_files(lake, 'turns')} WHERE {where} ORDER BY ALL").fetchall()
        table = lake.table("turns", ["turn_index", "task_id"], **arguments)
        assert connected(table).sql("FROM narrowed ORDER BY ALL").fetchall() == expected, where
        assert table.num_rows == len(expected), where


def connected(table):
    connection = duckdb.connect()
    connection.register("narrowed", pa.table(table))
    return connection


def test_tasks_come_back_as_they_came(lake, lines):
    as_came = restored(lake.address)
    back = list(lake.restore())
    assert {task["task_id"]: task for task in back} == as_came and len(back) == len(as_came)
    assert [json.loads(line) for line in lake.restore(raw=True)] == back
    assert set(as_came) == {json.loads(line)["task_id"] for line in lines}


def test_tasks_at_hand_come_to_the_same_as_their_file(lake, lines, tmp_path):
    spread = [json.loads(line) for line in lines]
    pretty = [json.dumps(task, indent=2) for task in spread]
    arrays = [pa.array(lines[:40]), pa.array([line.encode() for line in lines[40:]], pa.large_binary())]
    mixed = [*spread[:20], *[line.encode() for line in lines[20:]]]
    for number, tasks in enumerate([iter(lines), pretty, arrays, mixed, (task for task in spread)]):
        place = tmp_path / str(number)
        taskloom.flatten(tasks, place, threads=number % 3 + 1)
        assert restored(place) == restored(lake.address), number
        assert_whole(place)


def test_in_memory_there_are_the_same_rows(lake, lines):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = taskloom.tables(lines)
    assert list(tables) == lake.tables
    for name, table in tables.items():
        key = [(name, "ascending") for name in pa.schema(table).names if name.endswith("_id") or name.endswith("_index")]
        assert pa.table(table).sort_by(key) == pa.table(lake.table(name)).sort_by(key), name


def test_what_cannot_be_read_is_told_of_and_kept(tmp_path):
    tasks = [task(1), "{broken", task(2), "null", {"task_id": "none", "threads": float("nan")}]
    with pytest.warns(taskloom.RejectedWarning, match="3 tasks"):
        tables = taskloom.tables(tasks)
    assert tables["tasks"].num_rows == 2
    assert [reject["raw"] for reject in tables.rejects] == ["{broken", "null", '{"task_id": "none", "threads": NaN}']
    with pytest.warns(taskloom.RejectedWarning, match="rejects"):
        report = taskloom.flatten(tasks, tmp_path / "lake")
    assert report["rejected"] == 3 and "broken" in Path(report["rejects_file"]).read_text()
    with pytest.raises(taskloom.RejectedError) as refused:
        taskloom.flatten(tasks, tmp_path / "other", max_rejects="10%")
    assert refused.value.kind == "rejected" and not refused.value.is_retryable


def test_a_lake_object_stays_at_its_version(tmp_path):
    taskloom.flatten([task(1), task(2)], tmp_path / "lake")
    lake = taskloom.Lake(tmp_path / "lake")
    table = lake.table("tasks")
    taskloom.flatten([task(2, 5), task(3)], tmp_path / "lake")
    assert (lake.version, pa.table(table).num_rows) == (1, 2)
    assert taskloom.Lake(tmp_path / "lake", 1).version == 1
    assert lake.refresh().version == 2 and lake.table("tasks").num_rows == 3
    changes = {(change["task_id"], change["change"]) for change in lake.changes(since=1)}
    assert changes == {("task-0002", "replaced"), ("task-0003", "added")}
    assert [entry["operation"] for entry in lake.log()] == ["flatten", "flatten"]
    assert lake.verify(deep=True)["findings"] == []
    [damaged] = sorted((tmp_path / "lake/threads").rglob("*.parquet"))[-1:]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert lake.verify()["findings"] != []


def test_errors_are_classes_with_a_kind(tmp_path, lake):
    place = str(tmp_path / "lake")
    for call, kind, words in [
        (lambda: taskloom.Lake(tmp_path), taskloom.LakeError, "is no lake"),
        (lambda: taskloom.Lake(lake.address, 99), taskloom.UsageError, "99"),
        (lambda: lake.table("nothing"), taskloom.UsageError, "expected one of tasks"),
        (lambda: lake.table("tasks", ["nothing"]), taskloom.UsageError, "task_id"),
        (lambda: lake.table("projects", batch="b"), taskloom.UsageError, "not partitioned"),
        (lambda: lake.table("tasks", date="2025-13-01"), taskloom.UsageError, "one that fits"),
        (lambda: taskloom.flatten(tmp_path / "none.json", place), taskloom.UsageError, "none.json"),
        (lambda: taskloom.flatten("s4://bucket/x", place), taskloom.UsageError, "s4"),
        (lambda: taskloom.flatten([task(1)], place, memory_limit="1MiB"), taskloom.UsageError, "memory_limit"),
        (lambda: taskloom.flatten([task(1)], place, memory_limit="much"), taskloom.UsageError, "512MiB"),
        (lambda: taskloom.flatten([task(1)], place, compression_level=99), taskloom.UsageError, "1 to 22"),
        (lambda: taskloom.flatten([task(1)], place, threads=10**9), taskloom.UsageError, "1024"),
        (lambda: taskloom.flatten([task(1)], place, date_by="guess"), taskloom.UsageError, "completed"),
        (lambda: taskloom.flatten([task(1)], lake.address, date_grain="month"), taskloom.LakeError, "day"),
        (lambda: taskloom.flatten([task(1), 7], place), TypeError, "found int"),
        (lambda: taskloom.flatten([task(1)], place, thread=1), TypeError, "thread"),
        (lambda: taskloom.flatten([task(1)], ""), taskloom.UsageError, "empty"),
        (lambda: taskloom.flatten([task(1)], place, lease="long"), taskloom.UsageError, "lease"),
        (lambda: taskloom.flatten([task(1)], place, on_progress=5), TypeError, "callable"),
        (lambda: taskloom.tables("tasks.ndjson"), taskloom.UsageError, "paths"),
        (lambda: taskloom.sync(place, all_projects=True, api_key="k", job="../x"), taskloom.UsageError, "letters, digits"),
        (lambda: taskloom.export(place), taskloom.UsageError, "all_projects"),
        (lambda: taskloom.export(place, all_projects=True, batch_id="b"), taskloom.UsageError, "batch_id"),
        (lambda: taskloom.export(place, all_projects=True, api_key="k", api_url="http://example.com"), taskloom.UsageError, "unencrypted"),
        (lambda: lake.dataset("dpo", tmp_path / "set", by="nothing", better="most"), taskloom.UsageError, "higher"),
    ]:
        with pytest.raises(kind, match=words) as raised:
            call()
        assert issubclass(kind, TypeError) or raised.value.kind == kind.kind
    assert not Path(place).exists() or not list(Path(place).rglob("*.parquet"))


def test_a_lake_that_is_gone_is_not_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taskloom.flatten([task(1)], "lake")
    lake = taskloom.Lake("lake")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pa.table(lake.table("tasks")).num_rows == 1 and pickle.loads(pickle.dumps(lake)).version == 1
    (tmp_path / "lake").rename(tmp_path / "moved")
    for call in (lake.verify, lake.log):
        with pytest.raises(taskloom.LakeError, match="no lake"):
            call()


def test_a_span_in_a_lake_by_months_has_the_months_of_its_days(tmp_path):
    days = [("a", "2025-01-31"), ("b", "2025-02-01"), ("c", "2025-03-15")]
    tasks = [{**task(1), "task_id": id, "completed_at": f"{day}T00:00:00Z"} for id, day in days]
    taskloom.flatten(tasks, tmp_path / "lake", date_grain="month")
    lake = taskloom.Lake(tmp_path / "lake")
    ids = lambda date: sorted(pa.table(lake.table("tasks", ["task_id"], date=date))["task_id"].to_pylist())
    assert [ids("2025-01-15"), ids(("2025-01-31", "2025-02-10")), ids(("2025-02-15", None)), ids("2025-04-01")] == [["a"], ["a", "b"], ["b", "c"], []]


def test_a_job_of_one_project_takes_away_no_task_of_another(tmp_path):
    tasks = [{**task(id), "task_id": f"p{id}", "project": "P", "batch": "bp"} for id in range(40)]
    tasks += [{**task(id), "task_id": f"q{id}", "project": "Q", "batch": "bq"} for id in range(2)]
    # The object of a batch names a project, and that of one task is odd.
    tasks[0]["batch"] = {"id": "bq", "name": "a batch", "project": "Q"}
    (tmp_path / "tasks.ndjson").write_text("\n".join(map(json.dumps, tasks)))
    with simulated(tmp_path, "--from", tmp_path / "tasks.ndjson") as api:
        reach = {"api_url": api, "api_key": "test_simulated"}
        taskloom.sync(tmp_path / "lake", all_projects=True, job="all", **reach)
        report = taskloom.sync(tmp_path / "lake", project_id="P", job="one", **reach)
    assert report.get("merged", {}).get("tasks_removed", 0) == 0
    assert len(restored(tmp_path / "lake")) == 42


def test_help_tells_what_every_option_means():
    for call, names in [(taskloom.flatten, ["memory_limit", "store_options"]), (taskloom.sync, ["overlap", "api_key", "status", "threads"])]:
        assert all(f"    {name}: " in call.__doc__ for name in names), call


def test_what_is_raised_in_what_the_caller_gave_comes_back_to_the_caller(tmp_path):
    def tasks():
        yield from (task(id) for id in range(50))
        raise LookupError("the source has no more")

    def stop(progress):
        raise LookupError(progress["stage"])

    with pytest.raises(LookupError, match="no more"):
        taskloom.flatten(tasks(), tmp_path / "lake")
    with pytest.raises(LookupError, match="reading"):
        taskloom.flatten(endless(), tmp_path / "lake", on_progress=stop)
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def endless():
    yield from map(task, itertools.count())


def test_who_is_slow_or_has_nothing_for_a_while_is_not_at_the_end(tmp_path):
    def tasks():
        for id in range(4):
            yield pa.array([], pa.string())
            # Longer than lines are waited for.
            time.sleep(0.06)
            yield json.dumps(task(id))

    assert taskloom.flatten(tasks(), tmp_path / "lake")["tasks_read"] == 4


def test_an_exception_behind_the_commit_changes_nothing_of_it(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: heard.append(unraisable.exc_value))

    def stop(progress):
        if (tmp_path / "lake/_taskloom/commits").exists():
            raise LookupError("too late")

    report = taskloom.flatten([task(1)], tmp_path / "lake", on_progress=stop)
    assert report["version"] == 1 and [str(error) for error in heard] == ["too late"]
    with pytest.raises(LookupError, match="too late"):
        taskloom.flatten([task(2)], tmp_path / "lake", on_progress=stop)
    assert taskloom.Lake(tmp_path / "lake").version == 1


def test_odd_arrays_and_single_tasks_are_tasks_too(tmp_path):
    line = json.dumps(task(1))
    for given in [
        task(1), line, line.encode(), pa.array([line]), pa.chunked_array([[line]]), pa.array([line]).dictionary_encode(),
        pl.Series([line]), [pa.array([line], pa.string_view())],
    ]:  # fmt: skip
        assert taskloom.tables(given)["tasks"].num_rows == 1, type(given)
    with pytest.warns(taskloom.RejectedWarning, match="2 tasks"):
        assert taskloom.tables([pa.nulls(2), line])["tasks"].num_rows == 1
    with pytest.warns(taskloom.RejectedWarning, match="1 tasks"):
        broken = taskloom.tables(['{"task_id": "a\nb", "threads": []}', line])
    assert broken["tasks"].num_rows == 1, "a line break in a text is no JSON, and must not become something that is"


def test_a_lake_goes_to_other_processes(lake):
    opened = pickle.loads(pickle.dumps(lake))
    assert (opened.version, pa.table(opened.table("tasks"))) == (lake.version, pa.table(lake.table("tasks")))
    # What all threads of a process share is gone in a child.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for call in (verified, rows_of, keys_of):
            assert pool.apply_async(call, (lake,)).get(timeout=60) == call(lake)


def verified(lake):
    return lake.verify()["files"]


def rows_of(lake):
    return pa.table(lake.table("turns")).num_rows


def keys_of(lake):
    return len(lake.annotations()["keys"])


def test_progress_is_told_and_other_threads_go_on_meanwhile(lines, tmp_path):
    told, beats, is_over = [], 0, threading.Event()

    def beat():
        nonlocal beats
        while not is_over.wait(0.001):
            beats += 1

    def tell(progress):
        told.append((progress, beats))

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        taskloom.flatten(lines * 3, tmp_path / "lake", on_progress=tell, threads=1)
    finally:
        is_over.set()
        beating.join()
    assert told[-1][0]["tasks"] == 3 * len(lines) and told[-1][0]["stage"] == "committing"
    # Between two calls, which hold the lock for moments, nobody else had it.
    spans = [later[1] - earlier[1] for earlier, later in zip(told, told[1:])]
    assert len(spans) > 1 and max(spans) > 20, spans


def test_ctrl_c_stops_a_run_with_nothing_visible(tmp_path):
    code = """
    import itertools, sys, taskloom
    def tasks():
        for id in itertools.count():
            if id == 100:
                print("begun", flush=True)
            # Ctrl-C has to be heard while the caller's code runs, and while it does not.
            yield {"task_id": f"t{id}", "threads": []}
    try:
        taskloom.flatten(tasks(), sys.argv[1])
    except KeyboardInterrupt:
        print("stopped", flush=True)
    """
    run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), tmp_path / "lake"], stdout=subprocess.PIPE, encoding="utf-8")
    assert run.stdout.readline() == "begun\n"
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=60)[0] == "stopped\n" and run.returncode == 0
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_export_and_sync_bring_what_the_api_has(api, tmp_path):
    reach = {"api_url": api, "api_key": "test_simulated"}
    report = taskloom.export(tmp_path / "lake", all_projects=True, **reach)
    assert report["fetch"]["pages"] > 0 and report["tables"]["delivery_tasks"]["rows"] > 0
    generated = run_program("generate", "--tasks", "60", "--seed", "5")
    expected = {json.loads(line)["task_id"] for line in generated.splitlines()}
    assert set(restored(tmp_path / "lake")) == expected
    first = taskloom.sync(tmp_path / "synced", all_projects=True, job="nightly", **reach)
    assert first["outcome"] == "committed" and first["upkeep"]["removed_files"] == 0
    assert restored(tmp_path / "synced") == restored(tmp_path / "lake")
    later = taskloom.sync(tmp_path / "synced", all_projects=True, job="nightly", overlap=dt.timedelta(hours=1), **reach)
    assert later["outcome"] == "nothing_new" or later["tables"]["tasks"]["rows"] == 0
    one = json.loads(generated.splitlines()[0])
    some = taskloom.export(tmp_path / "some", project_id=one["project"] if isinstance(one["project"], str) else one["project"]["id"],
                           completed_after="2020-01-01", **reach)  # fmt: skip
    assert 0 < some["tasks_read"] < 60
    with pytest.raises(taskloom.RefusedError) as refused:
        taskloom.export(tmp_path / "none", all_projects=True, api_url=api, api_key="test_other_secret")
    assert "test_other_secret" not in str(refused.value)


def test_the_logger_hears_what_the_run_says(tmp_path, caplog):
    caplog.set_level("INFO", logger="taskloom")
    taskloom.flatten([task(1)], tmp_path / "lake")
    assert any("version=1" in record.message for record in caplog.records)


def test_annotations_and_training_sets_are_those_of_the_program(lake, tmp_path):
    assert lake.annotations() == json.loads(run_program("annotations", lake.address, "--json"))
    for method, arguments, flags in [("sft", {}, []), ("sft", {"split": 0.2, "turns": "last"}, ["--split", "0.2", "--turns", "last"])]:
        report = lake.dataset(method, tmp_path / "module", **arguments)
        told = json.loads(run_program("dataset", lake.address, "--for", method, "--out", tmp_path / "program", *flags, "--json"))
        assert report == told
        files = lambda folder: {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert files(tmp_path / "module") == files(tmp_path / "program") and report["train_rows"] > 0


def test_a_lake_in_a_bucket_is_written_and_read(s3, lines, lake):
    place = "s3://lakes/module/lake"
    taskloom.flatten(lines, place, store_options=s3)
    there = taskloom.Lake(place, store_options=s3)
    assert sorted(there.restore(raw=True)) == sorted(lake.restore(raw=True))
    assert pa.table(there.table("messages")) == pa.table(lake.table("messages"))


def test_files_in_a_bucket_are_inputs_too(s3, lines, tmp_path):
    import boto3
    import gzip

    client = boto3.client("s3", endpoint_url=s3["endpoint"], region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="geheim")
    for key, body in [
        ("in/a.ndjson", "\n".join(lines[:50]).encode()),
        ("in/deep/b c.json.gz", gzip.compress("\n".join(lines[50:]).encode())),
        ("in/.hidden.json", b"no task"),
        ("in/notes.txt", b"no task"),
        ("in/empty.json", b""),
        ("odd/a[1].json", lines[0].encode()),
        ("odd/a1.json", lines[1].encode()),
    ]:
        client.put_object(Bucket="lakes", Key=key, Body=body)
    for number, words in enumerate(["s3://lakes/in/", ["s3://lakes/in/a.ndjson", "s3://lakes/in/deep/b c.json.gz"], "s3://lakes/in/**/*json*"]):
        report = taskloom.flatten(words, tmp_path / str(number), store_options=s3)
        assert (report["tasks_read"], report["rejected"]) == (len(lines), 0)
        assert restored(tmp_path / str(number)) == restored(tmp_path / "0")
    # What could be a pattern is first of all a name.
    assert taskloom.flatten("s3://lakes/odd/a[1].json", tmp_path / "odd", store_options=s3)["tasks_read"] == 1
    assert set(restored(tmp_path / "odd")) == {json.loads(lines[0])["task_id"]}
    with pytest.raises(taskloom.UsageError, match="none") as refused:
        taskloom.flatten("s3://lakes/in/none.json?signature=geheim", tmp_path / "none", store_options=s3)
    assert "geheim" not in str(refused.value)


def test_what_a_lead_leaves_that_dies_goes_with_the_next_run(tmp_path):
    code = """
    import json, os, sys
    from taskloom import _cluster
    lead = _cluster.Lead(sys.argv[1], {}, words="a test", command="taskloom.test", threads=1)
    lead.share.write(iter([json.dumps({"task_id": "t1", "threads": []}), "{broken"]), None, "a shard")
    os._exit(9)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path / "lake"])
    left = {path.suffix for path in (tmp_path / "lake").rglob("*")}
    assert died.returncode == 9 and {".ndjson", ".parquet"} <= left
    taskloom.flatten([task(2)], tmp_path / "lake")
    assert set(restored(tmp_path / "lake")) == {"task-0002"}
    assert_whole(tmp_path / "lake")
    assert not list((tmp_path / "lake/_taskloom/rejects").glob("*"))


def test_the_package_is_typed_and_its_examples_hold():
    package = Path(taskloom.__file__).parent
    assert (package / "py.typed").exists() and (package / "_core.pyi").exists()
    # What is installed mypy takes for granted: so it looks at what that was made from.
    sources = REPOSITORY / "python/taskloom"
    checked = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", sources], capture_output=True, encoding="utf-8")
    assert checked.returncode == 0, checked.stdout
    examples = 0
    for module in pkgutil.iter_modules([str(package)]):
        if module.name in ("_core", "spark", "ray"):
            continue
        result = doctest.testmod(importlib.import_module(f"taskloom.{module.name}"))
        assert result.failed == 0
        examples += result.attempted
    assert examples >= 8


def test_the_program_comes_with_the_module():
    script = Path(sys.executable).parent / "taskloom"
    assert subprocess.run([script, "--version"], capture_output=True, encoding="utf-8").stdout.split() == ["taskloom", taskloom.__version__]
