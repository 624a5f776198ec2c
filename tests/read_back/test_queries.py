"""The questions that people ask of a lake, answered by DuckDB and counted anew from the input."""

from collections import Counter
from datetime import datetime, timezone

import pyarrow.compute as pc


def messages(task):
    """The messages of a task with their positions."""
    for thread_index, thread in enumerate(task.get("threads") or []):
        for turn_index, turn in enumerate(thread.get("turns") or []):
            for message_index, message in enumerate(turn.get("messages") or []):
                yield (thread_index, turn_index, message_index), message


STRUCTURE = {
    "threads", "turns", "messages", "content", "chunks", "rubrics", "criteria_definitions", "rubric_evaluations",
    "criteria_evaluations",
}  # fmt: skip


def annotation_lists(element):
    """Every list of annotations at any depth, whatever it stands on."""
    if isinstance(element, list):
        for each in element:
            yield from annotation_lists(each)
    elif isinstance(element, dict):
        for key, value in element.items():
            if key == "annotations":
                yield value or []
            elif key in STRUCTURE:
                yield from annotation_lists(value)


def turns(task):
    return [turn for thread in task.get("threads") or [] for turn in thread.get("turns") or []]


def totals(task):
    return len(turns(task)), len(list(messages(task))), sum(map(len, annotation_lists(task)))


def sums(lake):
    return tuple(map(sum, zip(*map(totals, lake.tasks))))


def test_duckdb_counts_what_the_input_holds(lake):
    tables = ["tasks", "turns", "messages", "annotations"]
    assert tuple(lake.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables) == (len(lake.tasks), *sums(lake))


def test_pyarrow_counts_what_the_input_holds(lake):
    tables = ["tasks", "turns", "messages", "annotations"]
    assert tuple(lake.dataset(table).count_rows() for table in tables) == (len(lake.tasks), *sums(lake))


def test_the_totals_of_a_task_are_those_of_the_input(lake):
    expected = {task["task_id"]: totals(task) for task in lake.tasks}
    found = lake.rows("SELECT task_id, turn_count, message_count, annotation_count FROM tasks")
    assert {id: tuple(counts) for id, *counts in found} == expected


def test_the_sums_of_counts_agree_in_both_engines(lake):
    names = ["turn_count", "message_count", "annotation_count"]
    assert lake.rows(f"SELECT {', '.join(f'sum({name})' for name in names)} FROM tasks") == [sums(lake)]
    table = lake.dataset("tasks").to_table(columns=names)
    assert tuple(pc.sum(table[name]).as_py() for name in names) == sums(lake)


def test_messages_join_their_annotations_by_position(lake):
    expected = {
        (task["task_id"], *position): len(message.get("annotations") or [])
        for task in lake.tasks
        for position, message in messages(task)
    }
    found = lake.rows(
        """
        SELECT m.task_id, m.thread_index, m.turn_index, m.message_index, count(a.task_id)
        FROM messages AS m
        LEFT JOIN (FROM annotations WHERE scope = 'message') AS a
            USING (task_id, thread_index, turn_index, message_index)
        GROUP BY ALL
        """
    )
    assert {tuple(position): count for *position, count in found} == expected


def test_ratings_average_by_model(generated):
    """The mean of the numbers under each key and model, as one would ask for it."""
    numbers = {}
    for task in generated.tasks:
        for _, message in messages(task):
            model = (message.get("model_parameters") or {}).get("model")
            for annotation in message.get("annotations") or []:
                value = annotation.get("value")
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    numbers.setdefault((model, annotation.get("key")), []).append(value)
    found = generated.rows(
        """
        SELECT model, key, count(*), avg(value_number)
        FROM messages JOIN annotations USING (task_id, thread_index, turn_index, message_index)
        WHERE scope = 'message' AND value_number IS NOT NULL
        GROUP BY ALL
        """
    )
    assert len(numbers) > 10
    assert {(model, key): (count, round(mean, 9)) for model, key, count, mean in found} == {
        group: (len(values), round(sum(values) / len(values), 9)) for group, values in numbers.items()
    }


def test_rubric_scores_join_their_criteria_by_id(hand_written):
    found = hand_written.rows(
        """
        SELECT criterion, score, weight, score * weight
        FROM criterion_evaluations
        JOIN rubric_criteria USING (task_id, thread_index, turn_index, criterion_definition_id)
        """
    )
    assert found == [("The answer is a table.", 2.0, 2.5, 5.0)]


def test_json_columns_can_be_taken_apart(hand_written):
    def one(expression, source):
        return hand_written.rows(f"SELECT {expression} FROM {source}")

    whole = "tasks WHERE task_id = 'whole'"
    assert one("metadata->>'wave', metadata->>'$.names[1]', (metadata->'$.nested.half')::DOUBLE", whole) == [
        ("7", "愛", 0.5)
    ]
    assert one("json_type(metadata, '$.nested.null'), json_array_length(metadata, '$.names')", whole) == [("NULL", 2)]
    assert one("extra->>'$.project.team.size'", whole) == [("3",)]
    labeled = "annotations WHERE task_id = 'values' AND type = 'labeled_text'"
    assert one("value_json->>'$[0].label', json_extract_string(value_json, '$[*].text')", labeled) == [
        ("noun", ["tree", "is"])
    ]
    rating = "annotations WHERE task_id = 'values' AND type = 'rubric_rating'"
    assert one("value_json->>'color', value_score", rating) == [("red", 0.25)]
    ranked = "annotations WHERE task_id = 'values' AND type = 'integer' AND value_integer = 3"
    assert one("possible_values::INTEGER[]", ranked) == [([1, 2, 3],)]


def test_every_value_of_a_json_column_is_valid_json(lake, table):
    names = [row[0] for row in lake.rows(f"DESCRIBE {table}") if row[1] == "JSON"]
    for name in names:
        assert lake.rows(f"SELECT count(*) FROM {table} WHERE NOT json_valid({name}::VARCHAR)") == [(0,)]


def test_lists_can_be_searched_indexed_and_unnested(hand_written):
    values = "FROM annotations WHERE task_id = 'values'"
    assert hand_written.rows(f"SELECT value_list[1], len(value_list) {values} AND type = 'ranked_choices'") == [
        ("best", 2)
    ]
    groups = f"SELECT value_groups[2], value_groups[2][1], len(value_groups) {values} AND type = 'ranked_groups'"
    assert hand_written.rows(groups) == [(["b", "c"], "b", 3)]
    assert hand_written.rows(f"SELECT title, unnest(value_list) {values} AND list_contains(value_labels, 'The A')") == [
        ("annotation 4", "b"),
        ("annotation 4", "a"),
    ]
    assert hand_written.rows("SELECT types[2] FROM projects WHERE len(types) = 2 AND models = []") == [("Ranking",)]


def text_list(value):
    """Lists with anything but strings in them stand in `extra`."""
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else []


def test_labels_count_the_same_in_python_and_in_duckdb(generated):
    expected = Counter(
        label
        for task in generated.tasks
        for annotations in annotation_lists(task)
        for annotation in annotations
        for label in text_list(annotation.get("labels"))
    )
    assert expected.total() > 1000
    found = generated.rows(
        "SELECT label, count(*) FROM (SELECT unnest(labels) AS label FROM annotations) GROUP BY label"
    )
    assert dict(found) == expected


def test_instants_are_right_in_every_time_zone(lake):
    expected = {
        task["task_id"]: datetime.fromisoformat(task["completed_at"]).astimezone(timezone.utc)
        for task in lake.tasks
        if task.get("completed_at")
    }
    query = "SELECT task_id, completed_at, completed_at::VARCHAR FROM tasks WHERE completed_at IS NOT NULL"
    lake.duckdb.execute("SET TimeZone = 'America/Los_Angeles'")
    try:
        found = lake.rows(query)
        at_home = lake.rows("SELECT count(*) FROM tasks WHERE CAST(completed_at AT TIME ZONE 'UTC' AS DATE) <> date")
        elsewhere = lake.rows("SELECT count(*) > 0 FROM tasks WHERE completed_at::DATE <> date")
    finally:
        lake.duckdb.execute("SET TimeZone = 'UTC'")
    assert {id: at for id, at, _ in found} == expected
    assert all(text.endswith(("-07", "-08")) for *_, text in found)
    assert (at_home, elsewhere) == ([(0,)], [(True,)]), "the session's zone moves days, the named one doesn't"
