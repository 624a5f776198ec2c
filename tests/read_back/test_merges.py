"""A lake that is fed run after run, in DuckDB: each version holds what its runs brought, in every table."""

import json
import random

import engines
import pytest
from conftest import taskloom

RUNS = 8


def task(id, home, content):
    message = {"role": "user", "content": {"text": f"text {content}"}, "annotations": [{"key": "k", "type": "integer", "value": content}]}
    threads = [{"id": "thread", "turns": [{"id": "turn", "messages": [message]}]} for _ in range(content % 3)]
    return {
        "task_id": f"task-{id}", "project": f"p/{home % 2}", "batch": f"b {home % 3}", "status": "completed",
        "created_at": "2025-01-01T00:00:00Z", "completed_at": f"2025-01-0{1 + home % 4}T00:00:00Z", "threads": threads,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lake_and_states(tmp_path_factory):
    """A lake, and of each version the tasks that it must hold."""
    folder = tmp_path_factory.mktemp("merges")
    lake, tasks = folder / "lake", folder / "tasks.ndjson"
    draw, states, state = random.Random(13), {}, {}
    for run in range(RUNS):
        brought = [task(draw.randrange(12), draw.randrange(6), draw.randrange(5)) for _ in range(draw.randrange(1, 9))]
        tasks.write_text("".join(json.dumps(task) + "\n" for task in brought))
        report = json.loads(taskloom("flatten", tasks, "--out", lake, "--json"))
        state = state | {task["task_id"]: task for task in brought}
        assert report["outcome"] == "committed" or states[report["version"]] == state
        states[report["version"]] = state
        assert json.loads(taskloom("verify", lake, "--deep", "--json"))["findings"] == []
    assert len(states) > 4
    return lake, states


def test_each_version_holds_what_its_runs_brought_in_every_table(lake_and_states):
    lake, states = lake_and_states
    for version, state in states.items():
        opened = engines.opened("duckdb", lake, "--at", str(version))
        found = {(row["task_id"], row["project"], row["batch"], str(row["date"])) for row in opened.rows("tasks")}
        expected = {(task["task_id"], task["project"], task["batch"], task["completed_at"][:10]) for task in state.values()}
        assert found == expected and len(opened.rows("tasks")) == len(state)
        texts = {
            (task["task_id"], thread): message["content"]["text"]
            for task in state.values()
            for thread, inner in enumerate(task["threads"])
            for message in inner["turns"][0]["messages"]
        }
        assert {(row["task_id"], row["thread_index"]): row["text"] for row in opened.rows("messages")} == texts
        for table in ["threads", "turns", "messages", "annotations"]:
            assert len(opened.rows(table)) == len(texts), table


def test_the_newest_version_is_that_of_one_run_over_all_that_it_holds(lake_and_states, tmp_path):
    lake, states = lake_and_states
    tasks = tmp_path / "tasks.ndjson"
    tasks.write_text("".join(json.dumps(task) + "\n" for task in states[max(states)].values()))
    taskloom("flatten", tasks, "--out", tmp_path / "lake", "--quiet")
    fed, once = (engines.opened("duckdb", root) for root in [lake, tmp_path / "lake"])
    for table in ["tasks", "threads", "turns", "messages", "annotations"]:
        rows = [sorted(map(repr, opened.rows(table))) for opened in [fed, once]]
        assert rows[0] == rows[1], table
