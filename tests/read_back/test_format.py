"""What a lake keeps of its versions is as `schemas/lake` says, and the rules of docs/lake-format.md lead to the same state."""

import json
import shutil
import subprocess
import time

import jsonschema
import pyarrow as pa
import pytest
from conftest import REPOSITORY, program, taskloom


def schema(name):
    schema = json.loads((REPOSITORY / "schemas" / "lake" / f"{name}.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def check(name, value):
    jsonschema.Draft202012Validator(schema(name)).validate(value)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """One of fifty versions and more, with names and with files that are gone."""
    folder = tmp_path_factory.mktemp("format")
    lake, tasks = folder / "lake", folder / "tasks.ndjson"
    # What is known of an export stands in the first record.
    taskloom("demo", "--tasks", "40", "--out", lake, "--quiet")
    flags = ["--date-grain", "month", "--overwrite", "--quiet"]
    for version in range(50):
        tasks.write_text(f'{{"task_id": "{version}", "project": "p/{version % 3}", "created_at": "2025-01-02"}}\n')
        taskloom("flatten", tasks, "--out", lake, *flags)
    taskloom("tag", lake, "one", "--at", "30")
    taskloom("tag", lake, "other")
    taskloom("tag", lake, "other", "--remove")
    taskloom("vacuum", lake, "--retain", "0s")
    return lake


@pytest.fixture(scope="module")
def anew(lake, tmp_path_factory):
    """The same, whose history begins anew."""
    folder = tmp_path_factory.mktemp("anew")
    anew, tasks = folder / "lake", folder / "tasks.ndjson"
    shutil.copytree(lake, anew)
    taskloom("forget", anew, "--task-id", "49", "--contributor-id", "somebody")
    tasks.write_text('{"task_id": "50", "project": "p/1", "created_at": "2025-01-02"}\n')
    taskloom("flatten", tasks, "--out", anew, "--date-grain", "month", "--quiet")
    return anew


@pytest.fixture(scope="module")
def widened(tmp_path_factory):
    """One of an older schema, of which a part came to the newest."""
    widened = tmp_path_factory.mktemp("widened") / "lake"
    shutil.copytree(REPOSITORY / "tests" / "schema_1" / "lake", widened)
    taskloom("upgrade", widened)
    return widened


def records(lake):
    return [json.loads(path.read_bytes()) for path in sorted(lake.glob("_taskloom/commits/*.json"))]


def snapshots(lake):
    for path in sorted(lake.glob("_taskloom/snapshots/*.json.zst")):
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as unpacked:
            yield int(path.name.split(".")[0]), json.loads(unpacked.read())


def test_records_and_snapshots_are_as_their_schemas_say(lake, anew, widened):
    seen = set()
    for record in records(lake) + records(anew) + records(widened):
        check("record", record)
        seen |= record["record"].keys()
    for own in [lake, anew]:
        [(_, snapshot)] = snapshots(own)
        check("snapshot", snapshot)
    # Nothing is declared that never comes.
    assert seen == schema("record")["properties"]["record"]["properties"].keys()


def test_a_field_more_or_less_is_noticed(lake):
    record = records(lake)[0]
    for change in [{"format": 3}, {"more": 1}, {"version": "1"}]:
        with pytest.raises(jsonschema.ValidationError):
            check("record", record | {"record": record["record"] | change})
    for name in ["requires", "add", "counts"]:
        with pytest.raises(jsonschema.ValidationError):
            check("record", record | {"record": {key: value for key, value in record["record"].items() if key != name}})


def replay(lake, last):
    """The state at a version, by the rules of docs/lake-format.md."""
    parts, tags, oldest, parent = {}, {}, 1, ""
    for number, sealed in enumerate(records(lake)[:last], start=1):
        record = sealed["record"]
        assert record["version"] == number
        if "begins" in record:
            parts, tags = {}, {}
        elif record["operation"] == "erased":
            assert not record["add"] and not record["remove"] and not parts
        else:
            assert record["parent"] == parent
            for part in record["remove"]:
                assert parts.pop(part["part"])["folder"] == part["folder"]
        parent = sealed["checksum"]
        parts |= {part["part"]: part for part in record["add"]}
        tags = {name: version for name, version in (tags | record["tags"]).items() if version is not None}
        oldest = record.get("oldest_version", oldest)
    return parts, tags, oldest


@pytest.mark.parametrize("which", ["lake", "anew", "widened"])
def test_records_in_order_give_the_state_of_a_snapshot_and_the_files_that_are_there(which, request):
    lake = request.getfixturevalue(which)
    for version, snapshot in snapshots(lake):
        state = snapshot["record"]
        parts, tags, oldest = replay(lake, version)
        assert list(parts.values()) == sorted(state["parts"], key=lambda part: list(parts).index(part["part"]))
        assert (state["version"], state["tags"], state["oldest_version"]) == (version, tags, oldest)
    newest = len(records(lake))
    _, tags, oldest = replay(lake, newest)
    kept = [replay(lake, version)[0] for version in [*tags.values(), *range(oldest, newest + 1)]]
    expected = {
        f"{table}/{part['folder']}/{part['part']}": file["bytes"]
        for parts in kept
        for part in parts.values()
        for table, file in part["files"].items()
    }
    found = lake.glob("*/project=*/**/*.parquet")
    assert {str(path.relative_to(lake)): path.stat().st_size for path in found} == expected


def test_a_run_says_who_it_is_while_it_writes(lake, tmp_path):
    run = subprocess.Popen(
        [program(), "flatten", "-", "--out", lake, "--date-grain", "month", "--overwrite", "--quiet"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    entries = []
    while not entries and run.poll() is None:
        time.sleep(0.01)
        entries = list(lake.glob("_taskloom/running/*.json"))
    entry = json.loads(entries[0].read_bytes())
    check("running", entry)
    assert (entry["process"], entry["run"]) == (run.pid, entries[0].stem)
    run.communicate(b'{"task_id": "last"}\n')
    assert run.returncode == 0 and not entries[0].exists()
    newest = records(lake)[-1]["record"]
    assert newest["run"] == entry["run"] and all(part["part"].startswith(entry["files"]) for part in newest["add"])


def test_a_checkout_says_what_it_is(lake, tmp_path):
    taskloom("checkout", lake, tmp_path / "out", "--at", "one")
    note = json.loads((tmp_path / "out/_checkout.json").read_bytes())
    check("checkout", note)
    files = list((tmp_path / "out").glob("*/**/*.parquet"))
    assert (note["version"], note["files"]) == (30, len(files))
    assert note["bytes"] == sum(path.stat().st_size for path in files)


def test_the_page_explains_every_field():
    page = (REPOSITORY / "docs" / "lake-format.md").read_text(encoding="utf-8")

    def names(value):
        if isinstance(value, dict):
            yield from value.get("properties", {})
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            yield from names(inner)

    for name in ["record", "snapshot", "running", "checkout"]:
        missing = {field for field in names(schema(name)) if f"`{field}`" not in page}
        assert not missing, f"docs/lake-format.md says nothing of {missing} of {name}"
