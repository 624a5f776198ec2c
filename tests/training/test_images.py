"""What `datasets` makes of attachments that a lake keeps, by the code of the page that tells of them."""

import json
import os
import pathlib
import re
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ["TASKLOOM_BIN"]).resolve()
# A picture of one red point.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.fixture
def lake(tmp_path):
    content = {"text": "look", "attachments": [{"content": PNG, "mime_type": "image/png"}, {"content": "aGVsbG8="}]}
    task = {"task_id": "t", "threads": [{"turns": [{"messages": [{"role": "user", "content": content}]}]}]}
    (tmp_path / "tasks.ndjson").write_text(json.dumps(task), encoding="utf-8")
    command = [PROGRAM, "flatten", tmp_path / "tasks.ndjson", "--out", tmp_path / "lake", "--fetch-attachments", "--attachment-content", "move"]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "lake"


def test_a_picture_is_one_for_datasets(lake, monkeypatch, capsys):
    monkeypatch.chdir(lake.parent)
    page = (REPOSITORY / "docs/attachments.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "datasets" in code)
    names = {}
    exec(compile(code, "docs/attachments.md", "exec"), names)
    assert capsys.readouterr().out.strip() == "(1, 1)"
    assert len(names["images"]) == 1 and names["images"][0]["image"].convert("RGB").getpixel((0, 0)) == (255, 0, 0)
