"""The pages on Python and on clusters, run from top to bottom."""

import re
import warnings

import pytest
from conftest import REPOSITORY, run_program


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_page_on_python_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    # It shows what becomes of a broken task.
    with warnings.catch_warnings(action="ignore"):
        for block in blocks("docs/python.md"):
            exec(compile(block, "docs/python.md", "exec"), names)
            assert capsys.readouterr().out.strip(), block
    assert len(blocks("docs/python.md")) == 3


@pytest.mark.parametrize("number", range(len(blocks("docs/cluster.md"))))
def test_the_page_on_clusters_does_what_it_says(number, tmp_path, monkeypatch, capsys, request):
    block = blocks("docs/cluster.md")[number]
    monkeypatch.chdir(tmp_path)
    run_program("generate", "--tasks", "50", "--out", tmp_path / "tasks.ndjson")
    if "taskloom.spark" in block:
        request.getfixturevalue("spark")
    if "taskloom.ray" in block:
        request.getfixturevalue("workers")
    exec(compile(block, "docs/cluster.md", "exec"), {})
    assert capsys.readouterr().out.strip()
