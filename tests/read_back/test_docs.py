"""What the documentation shows and claims, run."""

import json
import re
import subprocess
import sys

import duckdb
import engines
import pytest
from conftest import REPOSITORY, taskloom

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BY_HAND = REPOSITORY / "benches" / "duckdb_flatten.py"


def test_the_first_question_has_the_answer_that_is_shown(tmp_path):
    tasks, lake = tmp_path / "tasks.ndjson", tmp_path / "lake"
    taskloom("generate", "--tasks", "2000", "--out", tasks)
    taskloom("flatten", tasks, "--out", lake)
    query, shown = re.search(r"```sql\n(.*?)```\n```text\n(.*?)```", README, re.DOTALL).groups()
    # As the command line prints it, which tells the type of each column.
    answer = engines.in_duckdb(lake).sql(query.rstrip().rstrip(";"))
    assert str(answer).strip() == shown.strip()


def by_hand(lines, folder):
    (folder / "tasks.ndjson").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, BY_HAND, folder / "tasks.ndjson", folder / "lake"]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


TASK = {"task_id": "t", "project": "p", "created_at": "2025-01-01T00:00:00Z", "a_new_field": "a new value"}


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
