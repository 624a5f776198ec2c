"""`taskloom demo`, and the questions that it prints, pasted into a shell."""

import re
import subprocess

import pytest
from conftest import taskloom


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    return taskloom("demo", "--tasks", "300", "--out", tmp_path_factory.mktemp("demo") / "a lake")


@pytest.mark.parametrize(
    "engine, expected",
    [("DuckDB", r"ember-1|model_a"), ("Polars", r"assistant.*\d"), ("Spark", r"\|project_000\|completed *\| +\d+\|")],
)
def test_the_printed_questions_can_be_pasted(printed, shell_environment, engine, expected):
    pasted = re.search(rf"^# {engine}:[^\n]*\n(.*?)\n(?:\n|\Z)", printed, re.DOTALL | re.MULTILINE).group(1)
    done = subprocess.run(["sh", "-c", pasted], env=shell_environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout


def test_the_demo_says_what_it_did(printed):
    assert re.search(r"serves 300 tasks of 4 projects", printed)
    assert re.search(r"^tasks +300 ", printed, re.MULTILINE)
    assert re.search(r"pages: \d+, requests: \d+", printed)
