"""What `taskloom winrate` tells, against the same computed from the lake in SQL, and strengths against a maximum of the likelihood that
is searched by small steps."""

import collections
import json
import math
import random
import subprocess

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import program, taskloom

MODELS = ["alpha", "beta", "gamma", "delta"]


def task(draw, number):
    turns = []
    for turn in range(draw.choice([1, 1, 2])):
        models = draw.sample(MODELS, draw.choice([2, 2, 3]))
        messages = [{"role": "user", "content": {"text": "Question"}}]
        for place, model in enumerate(models):
            ratings = [{"key": "quality", "type": "integer", "value": draw.randrange(1, 6)} for _ in range(draw.choice([0, 1, 1, 2]))]
            messages.append({
                "role": "assistant", "source_id": f"source-{place}", "content": {"text": "x" * draw.randrange(1, 9)},
                "model_parameters": {"model": model}, "annotations": ratings,
            })  # fmt: skip
        shuffled = draw.sample(models, len(models))
        groups = [shuffled] if draw.random() < 0.2 else [shuffled[:1], shuffled[1:]]
        annotations = [
            # By the model, or by what is called its source.
            {"key": "best", "type": "category", "value": draw.choice([*models, f"source-{draw.randrange(len(models))}", "nobody"])},
            {"key": "order", "type": "ranked_choices", "value": shuffled},
            {"key": "groups", "type": "ranked_groups", "value": groups},
        ]
        if draw.random() < 0.1:
            annotations.append({"key": "best", "type": "category", "value": models[0], "not_applicable": True})
        turns.append({"id": f"turn-{turn}", "messages": messages, "annotations": annotations})
    at = f"2025-01-{1 + number % 7:02}T00:00:00Z"
    threads = [{"id": "thread", "turns": turns}]
    return {"task_id": f"task-{number:03}", "project": f"p{number % 2}", "created_at": at, "completed_at": at, "threads": threads}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("winrate"), random.Random(4)
    tasks = folder / "tasks.ndjson"
    tasks.write_text("".join(json.dumps(task(draw, number)) + "\n" for number in range(150)), encoding="utf-8")
    taskloom("flatten", tasks, "--out", folder / "lake", "--quiet")
    return folder / "lake"


@pytest.fixture(scope="module")
def database(lake):
    connection = duckdb.connect()
    connection.execute(taskloom("sql", "--engine", "duckdb", "--via", "records", lake))
    connection.execute("""
        CREATE TEMP VIEW answers AS SELECT
            *, coalesce(model, source_id) AS player, length(text) AS characters,
        FROM messages WHERE role = 'assistant';
        CREATE TEMP VIEW pairs AS SELECT
            one.task_id, one.thread_index, one.turn_index, one.project,
            one.player AS one, other.player AS other, one.source_id AS one_source, other.source_id AS other_source,
            one.message_index AS one_index, other.message_index AS other_index,
            one.characters AS one_characters, other.characters AS other_characters,
        FROM answers AS one JOIN answers AS other USING (task_id, thread_index, turn_index)
        WHERE one.message_index < other.message_index
    """)
    return connection


# What the first of two answers won, by key.
WON = {
    "best": """
        SELECT pairs.*, (value_text IN (one, one_source))::INT AS won
        FROM pairs JOIN annotations USING (task_id, thread_index, turn_index)
        WHERE key = 'best' AND not_applicable IS NOT TRUE AND scope = 'turn' AND value_text IN (one, other, one_source, other_source)
    """,
    "order": """
        SELECT pairs.*, (list_position(value_list, one) < list_position(value_list, other))::INT AS won
        FROM pairs JOIN annotations USING (task_id, thread_index, turn_index) WHERE key = 'order' AND scope = 'turn'
    """,
    "groups": """
        SELECT pairs.*, CASE
            WHEN list_contains(value_groups[1], one) AND list_contains(value_groups[1], other) THEN 0.5
            WHEN list_contains(value_groups[1], one) THEN 1
            WHEN list_contains(value_groups[1], other) THEN 0
            ELSE 0.5
        END AS won
        FROM pairs JOIN annotations USING (task_id, thread_index, turn_index) WHERE key = 'groups' AND scope = 'turn'
    """,
    "quality": """
        WITH rated AS (
            SELECT task_id, thread_index, turn_index, message_index, avg(value_integer) AS rating
            FROM annotations WHERE key = 'quality' AND scope = 'message' GROUP BY ALL
        )
        SELECT pairs.*, CASE WHEN a.rating > b.rating THEN 1 WHEN a.rating < b.rating THEN 0 ELSE 0.5 END AS won
        FROM pairs
        JOIN rated AS a ON (a.task_id, a.thread_index, a.turn_index, a.message_index)
            = (pairs.task_id, pairs.thread_index, pairs.turn_index, one_index)
        JOIN rated AS b ON (b.task_id, b.thread_index, b.turn_index, b.message_index)
            = (pairs.task_id, pairs.thread_index, pairs.turn_index, other_index)
    """,
}


def told(lake, key, *flags):
    better = ["--better", "higher"] if key == "quality" else []
    return json.loads(taskloom("winrate", lake, "--by", key, "--json", *better, *flags))


def results(database, key, project=None):
    rows = database.execute(f"SELECT one, other, won, one_characters, other_characters, task_id, project FROM ({WON[key]})").fetchall()
    return [row for row in rows if project in (None, row[6])]


@pytest.mark.parametrize("project", [None, "p1"])
@pytest.mark.parametrize("key", WON)
def test_matches_are_those_of_the_lake(lake, database, key, project):
    rates = told(lake, key, *(["--project", project] if project else []))
    rows = results(database, key, project)
    assert rates["comparisons"] == len(rows) > 50
    assert rates["ties"] == sum(row[2] == 0.5 for row in rows)
    assert rates["tasks"] == len({row[5] for row in rows})
    won = collections.defaultdict(list)
    for one, other, share, *_ in rows:
        won[one, other].append(float(share))
        won[other, one].append(1 - float(share))
    assert len(rates["matches"]) == len(won) / 2
    for match in rates["matches"]:
        own = won[match["one"], match["other"]]
        assert match["comparisons"] == len(own)
        assert [match["won"], match["tied"], match["lost"]] == [own.count(1.0), own.count(0.5), own.count(0.0)]
        assert match["win_rate"] == pytest.approx(sum(own) / len(own))
        assert match["interval"]["low"] <= match["win_rate"] <= match["interval"]["high"]
    for player in rates["players"]:
        own = [share for (one, _), shares in won.items() if one == player["name"] for share in shares]
        assert (player["comparisons"], player["won"], player["lost"]) == (len(own), own.count(1.0), own.count(0.0))
        assert player["win_rate"] == pytest.approx(sum(own) / len(own))
    first = [float(row[2]) for row in rows]
    assert rates["position"]["win_rate"] == pytest.approx(sum(first) / len(first))
    longer = [float(won) if one > other else 1 - float(won) for _, _, won, one, other, *_ in rows if one != other]
    assert rates["length"]["comparisons"] == len(longer)
    assert rates["length"]["win_rate"] == pytest.approx(sum(longer) / len(longer))


@pytest.mark.parametrize("key", WON)
def test_strengths_are_the_most_likely_ones(lake, database, key):
    scores = {player["name"]: player["score"] for player in told(lake, key)["players"]}
    assert scores.keys() == set(MODELS) and sum(scores.values()) == pytest.approx(0, abs=1e-9)
    rows = [(one, other, float(won)) for one, other, won, *_ in results(database, key)]

    def likelihood(scores):
        total = 0
        for one, other, won in rows:
            share = 1 / (1 + math.exp(scores[other] - scores[one]))
            total += won * math.log(share) + (1 - won) * math.log(1 - share)
        return total

    best = likelihood(scores)
    for model in MODELS:
        for step in [-1e-3, 1e-3]:
            assert likelihood(scores | {model: scores[model] + step}) < best, (model, step)


def test_lower_is_better_turns_ratings_round(lake):
    higher, lower = (
        json.loads(taskloom("winrate", lake, "--by", "quality", "--json", "--better", better)) for better in ["higher", "lower"]
    )
    scores = [{player["name"]: player["score"] for player in rates["players"]} for rates in [higher, lower]]
    assert scores[0] == pytest.approx({name: -score for name, score in scores[1].items()})


def test_what_is_left_out_is_told_by_reason(lake, database):
    left_out = told(lake, "best")["left_out"]
    [(nobody,)] = database.execute("SELECT count(*) FROM annotations WHERE value_text = 'nobody'").fetchall()
    [(none,)] = database.execute("SELECT count(*) FROM annotations WHERE key = 'best' AND not_applicable").fetchall()
    assert left_out == {"no_such_answer": nobody, "no_value": none}


def test_matches_are_written_as_parquet(lake, tmp_path):
    file = tmp_path / "matches.parquet"
    taskloom("winrate", lake, "--by", "order", "--out", file)
    rates = told(lake, "order")
    scores = {player["name"]: player["score"] for player in rates["players"]}
    expected = [
        {name: match[name] for name in ["one", "other", "comparisons", "won", "tied", "lost", "win_rate"]}
        | match["interval"]
        | {"one_score": scores[match["one"]], "other_score": scores[match["other"]]}
        for match in rates["matches"]
    ]
    assert pq.read_table(file).to_pylist() == expected


def test_a_rating_wants_to_be_told_what_is_better_and_a_key_must_be_there(lake):
    for flags, words in [(["--by", "quality"], "--better"), (["--by", "nothing"], "taskloom annotations")]:
        done = subprocess.run([program(), "winrate", lake, *flags], capture_output=True, encoding="utf-8")
        assert done.returncode == 2 and words in done.stderr


def test_it_is_told_for_people_too(lake):
    text = taskloom("winrate", lake, "--by", "groups")
    assert text.startswith("groups: ") and "the longer answer won" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def lake_of(folder, *turns):
    """A lake of one task with these turns."""
    tasks = folder / "tasks.ndjson"
    tasks.write_text(json.dumps({"task_id": "t", "threads": [{"id": "thread", "turns": list(turns)}]}), encoding="utf-8")
    taskloom("flatten", tasks, "--out", folder / "lake", "--quiet")
    return folder / "lake"


def said(role, model=None, **more):
    return {"role": role, "source_id": model, "content": {"text": "text"}} | more


def test_answers_that_follow_each_other_are_not_compared(tmp_path):
    best = [{"key": "best", "type": "category", "value": "beta"}]
    messages = [said("user"), said("assistant", "alpha"), said("function"), said("assistant", "beta"), said("assistant", "gamma")]
    rates = told(lake_of(tmp_path, {"id": "turn", "messages": messages, "annotations": best}), "best")
    assert [(match["one"], match["other"], match["won"]) for match in rates["matches"]] == [("beta", "gamma", 1)]


def test_judgements_that_compare_nothing_are_told(tmp_path):
    one = [{"key": "best", "type": "category", "value": "alpha"}]
    turns = [
        {"id": "alone", "messages": [said("user"), said("assistant", "alpha")], "annotations": one},
        {"id": "same", "messages": [said("assistant", "alpha"), said("assistant", "alpha")], "annotations": one},
        {"id": "without messages", "messages": [], "annotations": one},
        {"id": "nameless", "messages": [said("assistant", "alpha"), said("assistant")], "annotations": one},
        {"id": "flag", "messages": [said("user")], "annotations": [{"key": "best", "type": "boolean", "value": True}]},
    ]
    rates = told(lake_of(tmp_path, *turns), "best")
    assert rates["comparisons"] == 0 and rates["players"] == []
    # Of two that are called alpha it is not known which one is meant.
    reasons = ["no_other_answer", "ambiguous_answer", "other_level", "no_model", "no_comparison"]
    assert rates["left_out"] == dict.fromkeys(reasons, 1)


def turn(models, **annotations):
    """A turn with an answer of each, and what is said of it by key: a value, or an annotation."""
    wholes = [value if isinstance(value, dict) else {"value": value} for value in annotations.values()]
    said_of = [{"key": key} | whole for key, whole in zip(annotations, wholes)]
    return {"id": "turn", "messages": [said("user"), *(said("assistant", model) for model in models)], "annotations": said_of}


def wins(rates):
    return {(match["one"], match["other"]): (match["won"], match["tied"], match["lost"]) for match in rates["matches"]}


def test_a_list_without_its_type_is_a_ranking_and_a_choice_of_several_is_none(tmp_path):
    both = {"type": "category_multiple", "value": ["a", "b"]}
    lake = lake_of(tmp_path, turn("abc", order=["b", "a", "c"], good=both))
    assert wins(told(lake, "order")) == {("b", "a"): (1, 0, 0), ("b", "c"): (1, 0, 0), ("a", "c"): (1, 0, 0)}
    assert wins(told(lake, "good")) == {("a", "b"): (0, 1, 0), ("a", "c"): (1, 0, 0), ("b", "c"): (1, 0, 0)}


def test_words_for_a_tie_are_told_by_whoever_asks(lake, tmp_path):
    lake = lake_of(tmp_path, turn("ab", best="a"), turn("ab", best="about the same"), turn("ab", best="nobody"))
    assert told(lake, "best")["left_out"] == {"no_such_answer": 2}
    rates = told(lake, "best", "--tie", "about the same")
    assert (wins(rates), rates["left_out"]) == ({("a", "b"): (1, 1, 0)}, {"no_such_answer": 1})


def test_a_name_is_that_of_a_source_before_it_is_that_of_a_model(tmp_path):
    swapped = turn([], best="x")
    for source, model in [("x", "y"), ("y", "x")]:
        swapped["messages"].append(said("assistant", source, model_parameters={"model": model}))
    assert wins(told(lake_of(tmp_path, swapped), "best")) == {("y", "x"): (1, 0, 0)}


def test_means_that_differ_by_rounding_alone_are_equal_and_what_is_not_rated_is_told(tmp_path):
    rated = turn("abc", best=None)
    for message, ratings in zip(rated["messages"][1:], [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], []]):
        message["annotations"] = [{"key": "q", "type": "number", "value": value} for value in ratings]
    zeros = turn("ab", best=None)
    for message, rating in zip(zeros["messages"][1:], [-0.0, 0.0]):
        message["annotations"] = [{"key": "q", "type": "number", "value": rating}]
    rates = told(lake_of(tmp_path, rated, zeros), "q", "--better", "higher")
    assert (wins(rates), rates["left_out"]) == ({("a", "b"): (0, 2, 0)}, {"unrated_answer": 1})


def test_an_empty_name_is_none(tmp_path):
    nameless = turn("ab", best="a")
    for message in nameless["messages"]:
        message["model_parameters"] = {"model": ""}
    assert wins(told(lake_of(tmp_path, nameless), "best")) == {("a", "b"): (1, 0, 0)}


def test_one_task_tells_nothing_of_others(tmp_path):
    rates = told(lake_of(tmp_path, *(turn("ab", best=best) for best in "aaaaaaabbb")), "best")
    [match] = rates["matches"]
    assert match["won"] == 7 and match["interval"]["high"] - match["interval"]["low"] > 0.8
    assert all(player["score"] is not None and player["interval"] is None for player in rates["players"])


def test_many_who_never_met_take_no_time(tmp_path):
    turns = [turn([f"source-{index}-{side}" for side in "ab"], best=f"source-{index}-a") for index in range(1500)]
    rates = told(lake_of(tmp_path, *turns), "best")
    assert len(rates["players"]) == 3000 and all(player["score"] is None for player in rates["players"])
