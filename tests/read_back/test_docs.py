"""The documentation, run: blocks of SQL and Python in the engine of their page, and walks in a shell."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

import duckdb
import engines
import pytest
from conftest import REPOSITORY, taskloom

BY_HAND = REPOSITORY / "benches" / "duckdb_flatten.py"

DOCS = sorted(REPOSITORY.glob("docs/**/*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", *(page.relative_to(REPOSITORY).as_posix() for page in DOCS)]

ENGINES = {
    "README.md": "duckdb",
    "docs/tables.md": "duckdb",
    "docs/reading/duckdb.md": "duckdb",
    "docs/reading/polars.md": "polars",
    "docs/reading/spark.md": "spark",
    "docs/reading/pyarrow.md": "pyarrow",
}

# Python that needs the module: `tests/python/test_docs.py` runs it.
OF_THE_MODULE = ["docs/python.md", "docs/cluster.md"]

# Questions to a lake that keeps attachments: `test_attachments.py` and `tests/training/test_images.py` ask them.
OF_ATTACHMENTS = ["docs/attachments.md"]

# By page and heading: what lies in the folder where their shell blocks are run.
WALKS = {
    ("docs/reading/duckdb.md", "Open it"): ["lake"],
    ("docs/reading/polars.md", "Open it"): ["lake"],
    ("docs/reading/spark.md", "Open it"): ["lake"],
    ("docs/reading/pyarrow.md", "Open it"): ["lake"],
    ("docs/versions.md", "What was done"): ["lake"],
    ("docs/versions.md", "Reading an older version"): ["lake"],
    ("docs/versions.md", "Going back"): ["lake"],
    ("docs/versions.md", "Proof"): ["lake"],
    ("docs/versions.md", "Letting go"): ["lake"],
    ("docs/forgetting.md", "Forgetting"): ["lake", "ids.txt"],
    ("docs/forgetting.md", "Copies elsewhere"): ["lake"],
    ("docs/versions.md", "A plain folder of one version"): ["lake"],
    ("docs/nightly.md", "What changed"): ["lake"],
    ("docs/nightly.md", "Behind the run"): ["lake"],
    ("docs/nightly.md", "When a newer taskloom comes"): ["lake"],
    ("docs/nightly.md", "How it stands"): ["lake"],
    ("docs/questions.md", "Questions"): ["lake", "queries"],
    ("docs/training.md", "What is there"): ["lake"],
    ("docs/training.md", "All of it on one page"): ["lake"],
    ("docs/training.md", "Model against model"): ["lake"],
    ("docs/training.md", "Training sets"): ["lake"],
    ("docs/exporting.md", "Without a key"): [],
    ("docs/attachments.md", "Without a key"): [],
    ("docs/inputs.md", "Inputs"): [],
    ("docs/inputs.md", "How to mend rejects"): ["lake", "mended.ndjson"],
    ("docs/reports.md", "The report of a run"): [],
    ("docs/reports.md", "Drift"): ["lake"],
    ("docs/guarantees.md", "Nothing is lost"): [],
    ("docs/guarantees.md", "Run after run"): [],
    ("docs/guarantees.md", "The same bytes"): [],
}

# Those that can't be run: they build the program, or ask the API.
NOT_WALKED = [
    ("docs/python.md", "Install"),
    ("docs/cluster.md", "What it takes"),
    ("docs/buckets.md", "In five lines"),
    ("README.md", "Try it"),
    ("docs/exporting.md", "Exporting from the API"),
    ("docs/attachments.md", "Attachments"),
    ("docs/exporting.md", "Again and again"),
    ("docs/nightly.md", "Every night"),
    ("docs/nightly.md", "A first walk of years"),
    ("docs/nightly.md", "Several jobs"),
]


@dataclass(frozen=True)
class Block:
    """A fenced block, and the heading that it stands under."""

    page: str
    heading: str
    language: str
    code: str
    # Behind a marker: held by `tests/it/docs.rs` to where it comes from.
    is_marked: bool

    @property
    def place(self):
        return self.page, self.heading


def blocks_of(page):
    """The blocks of a page, in their order."""
    lines = iter((REPOSITORY / page).read_text(encoding="utf-8").splitlines())
    heading, is_marked = "", False
    for line in lines:
        if line.startswith("```"):
            code = "\n".join(iter(lambda: next(lines), "```"))
            yield Block(page, heading, line.removeprefix("```"), code, is_marked)
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line.startswith("<!-- "):
            is_marked = line.startswith("<!-- from: ")


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def test_every_block_is_of_a_kind_that_is_looked_at():
    assert {block.language for block in BLOCKS} == {"sql", "python", "sh", "text", "json"}
    assert all(json.loads(block.code) for block in BLOCKS if block.language == "json")


# Blocks of SQL and Python.

QUESTIONS = [block for block in BLOCKS if block.language in ("sql", "python") and not block.is_marked and block.page not in OF_THE_MODULE + OF_ATTACHMENTS]


@pytest.mark.parametrize("block", QUESTIONS, ids=lambda block: ": ".join(block.place))
def test_a_question_has_an_answer_in_the_engine_of_its_page(block, generated, request, monkeypatch, capsys):
    monkeypatch.chdir(generated.root.parent)
    engine, lake = ENGINES.get(block.page), generated.root.name
    if engine == "duckdb" and block.language == "sql":
        assert engines.in_duckdb(lake).execute(block.code).fetchall()
    elif engine in ("polars", "spark", "pyarrow") and block.language == "python":
        if engine == "spark":
            request.getfixturevalue("spark")
        exec(compile(block.code, block.page, "exec"), engines.in_python(engine, lake))
        assert capsys.readouterr().out.strip()
    else:
        pytest.fail(f"nothing runs {block.language} of {block.page}: see ENGINES")


def test_every_page_of_an_engine_asks_something():
    assert ENGINES.keys() == {block.page for block in QUESTIONS}
    assert {f"docs/reading/{engine}.md" for engine in engines.OPEN} <= ENGINES.keys()


def test_the_first_question_has_the_answer_that_is_shown(tmp_path):
    tasks, lake = tmp_path / "tasks.ndjson", tmp_path / "lake"
    taskloom("generate", "--tasks", "2000", "--out", tasks)
    taskloom("flatten", tasks, "--out", lake)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    query, shown = re.search(r"```sql\n(.*?)```\n```text\n(.*?)```", readme, re.DOTALL).groups()
    # As the command line prints it, which tells the type of each column.
    answer = engines.in_duckdb(lake).sql(query.rstrip().rstrip(";"))
    assert str(answer).strip() == shown.strip()


# Walks in a shell.


def test_every_shell_block_is_run_or_known_not_to_be():
    places = {block.place for block in BLOCKS if block.language == "sh"}
    assert not WALKS.keys() & set(NOT_WALKED)
    assert places == {*WALKS, *NOT_WALKED}, "see WALKS: where is which block?"


def some_task_of(lake):
    return json.loads(taskloom("changes", lake, "--since", "0").splitlines()[0])["task_id"]


@pytest.fixture
def desk(tmp_path, generated, monkeypatch):
    """Puts into the folder of a walk what it needs."""

    def put(name):
        match name:
            case "lake":
                shutil.copytree(generated.root, tmp_path / name)
            case "queries":
                (tmp_path / name).symlink_to(REPOSITORY / name)
            case "exports":
                (tmp_path / name).mkdir()
                lines = [json.dumps(TASK), json.dumps(BROKEN_TASK)]
                (tmp_path / name / "tasks.ndjson").write_text("\n".join(lines), encoding="utf-8")
            case "ids.txt":
                (tmp_path / name).write_text(some_task_of(tmp_path / "lake") + "\n", encoding="utf-8")
            case "mended.ndjson":
                (tmp_path / name).write_text(json.dumps(BROKEN_TASK | {"threads": []}), encoding="utf-8")

    return put


@pytest.mark.parametrize("place", WALKS, ids=": ".join)
def test_a_walk_can_be_walked(place, desk, tmp_path, shell_environment):
    for name in WALKS[place]:
        desk(name)
    walk = "\n".join(block.code for block in BLOCKS if block.place == place and block.language == "sh")
    # The port of the page may be taken.
    walk = walk.replace("8686", str(free_port()))
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", walk],
        cwd=tmp_path, env=shell_environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = shell.communicate(timeout=120)
    finally:
        end(shell)
    # Who ends by asking for more, as `python3 -i` does, ends well after an error too.
    assert shell.returncode == 0 and not re.search("Error|Traceback", said), said


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end(shell):
    """Ends a shell with all that it left running."""
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


# What is said of the way by hand.


def by_hand(lines, folder):
    (folder / "tasks.ndjson").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, BY_HAND, folder / "tasks.ndjson", folder / "lake"]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


TASK = {"task_id": "t", "project": "p", "created_at": "2025-01-01T00:00:00Z", "a_new_field": "a new value"}
BROKEN_TASK = {"task_id": "broken", "project": "p", "created_at": "2025-01-01T00:00:00Z", "threads": 5}


@pytest.mark.parametrize("who", ["by hand", "taskloom"])
def test_a_field_that_nobody_named_is_kept_by_taskloom_and_gone_by_hand(tmp_path, who):
    if who == "taskloom":
        (tmp_path / "tasks.ndjson").write_text(json.dumps(TASK), encoding="utf-8")
        taskloom("flatten", tmp_path / "tasks.ndjson", "--out", tmp_path / "lake")
    else:
        assert by_hand([json.dumps(TASK)], tmp_path).returncode == 0
    rows = duckdb.sql(f"FROM read_parquet('{tmp_path}/lake/tasks/**/*.parquet') WHERE task_id = 't'").fetchall()
    assert len(rows) == 1
    assert ("a new value" in str(rows)) == (who == "taskloom")


def test_one_line_of_broken_json_fails_the_import_by_hand(tmp_path):
    done = by_hand([json.dumps(TASK), '{"task_id": "torn', json.dumps(TASK)], tmp_path)
    assert done.returncode != 0 and "Malformed JSON" in done.stderr
    assert not list(tmp_path.glob("lake/**/*.parquet"))
