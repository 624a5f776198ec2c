"""What `taskloom dataset` makes: pairs against the same computed from the lake in SQL, conversations against the tasks themselves."""

import json
import random
import re
import subprocess

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import program, taskloom

MODELS = ["alpha", "beta", "gamma"]
WORDS = ["one", "two", "three", "four", "five", "six"]


def text(draw):
    return " ".join(draw.choice(WORDS) for _ in range(draw.randrange(2, 6)))


def references(draw):
    return [{"content": text(draw), "category": draw.choice(["reference_answer", "guideline"])} for _ in range(draw.randrange(3))]


def annotation(key, kind, value, **others):
    return {"key": key, "type": kind, "value": value, **others}


def turn(draw, number):
    models = draw.sample(MODELS, draw.choice([1, 2, 2, 3]))
    weights = {f"criterion-{place}": draw.choice([1, 2, 3]) for place in range(2)}
    messages = [{"role": "system", "content": {"text": "Be kind"}}] if number == 0 and draw.random() < 0.5 else []
    messages.append({"role": "user", "content": {"text": text(draw), "reference_texts": references(draw)}})
    for place, model in enumerate(models):
        people = draw.choice([1, 1, 2, 3])
        said = [annotation("quality", "integer", draw.randrange(1, 6), possible_values=[1, 2, 3, 4, 5]) for _ in range(people)]
        said.append(annotation("is_harmful", "boolean", draw.random() < 0.3))
        said.append(annotation("helpful", "integer", draw.randrange(0, 11), possible_values=[list(range(11))], justification=text(draw)))
        if draw.random() < 0.2:
            said.append(annotation("rewrite", "text", "better " + text(draw)))
        if draw.random() < 0.1:
            said.append(annotation("quality", "integer", 5, not_applicable=True))
        scores = [{"criterion_definition_id": name, "score": draw.randrange(0, 6)} for name in weights]
        messages.append({
            "role": "assistant", "source_id": f"source-{place}", "annotations": said,
            "content": {"text": text(draw), "reasoning": [{"content": "first"}, {"content": "then"}]},
            "model_parameters": {"model": model}, "rubric_evaluations": [{"criteria_evaluations": scores}],
        })  # fmt: skip
    shuffled = draw.sample(models, len(models))
    groups = [shuffled] if draw.random() < 0.2 else [shuffled[:1], shuffled[1:]]
    said = [
        annotation("best", "category", draw.choice([*models, "source-0", "nobody", "tie"])) for _ in range(draw.choice([1, 1, 2, 3]))
    ]
    said += [
        annotation("order", "ranked_choices", shuffled),
        annotation("groups", "ranked_groups", [group for group in groups if group]),
        annotation("selected_model_id", "category", draw.choice(models)),
    ]
    criteria = [{"id": name, "criterion": f"is {name}", "weight": weight} for name, weight in weights.items()]
    return {"id": f"turn-{number}", "messages": messages, "annotations": said, "rubrics": [{"criteria_definitions": criteria}]}


def task(draw, number):
    threads = [
        {"id": f"thread-{thread}", "turns": [turn(draw, place) for place in range(draw.choice([1, 1, 2, 3]))]}
        for thread in range(draw.choice([1, 1, 2]))
    ]
    at = f"2025-01-{1 + number % 9:02}T00:00:00Z"
    return {
        "task_id": f"task-{number:03}", "project": f"p{number % 3}", "batch": f"b{number % 2}", "created_at": at, "completed_at": at,
        "status": "completed" if number % 10 else "canceled", "metadata": {"group": number % 7}, "threads": threads,
    }  # fmt: skip


@pytest.fixture(scope="module")
def tasks():
    draw = random.Random(16)
    return [task(draw, number) for number in range(200)]


def flattened(folder, tasks):
    file = folder / "tasks.ndjson"
    file.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
    taskloom("flatten", file, "--out", folder / "lake", "--quiet")
    return folder / "lake"


@pytest.fixture(scope="module")
def lake(tmp_path_factory, tasks):
    return flattened(tmp_path_factory.mktemp("dataset"), tasks)


def made(lake, folder, *flags):
    """The rows of both splits, and what was told."""
    report = json.loads(taskloom("dataset", lake, "--out", folder, "--json", *flags))
    rows = {}
    for split in ["train", "test"]:
        files = sorted(folder.glob(f"{split}-*.parquet"))
        rows[split] = [row for file in files for row in pq.read_table(file).to_pylist()]
        assert len(rows[split]) == report[f"{split}_rows"]
    return rows["train"], rows["test"], report


def refused(*arguments):
    """How a command fails."""
    return subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def database(lake):
    connection = duckdb.connect()
    connection.execute(taskloom("sql", "--engine", "duckdb", "--via", "records", lake))
    connection.execute("""
        CREATE TEMP VIEW answers AS SELECT messages.*, coalesce(model, source_id) AS player FROM messages
        JOIN tasks USING (task_id) WHERE role = 'assistant' AND status = 'completed';
        CREATE TEMP VIEW pairs AS SELECT
            one.task_id, one.thread_index, one.turn_index,
            one.player AS one, other.player AS other, one.source_id AS one_source, other.source_id AS other_source,
            one.message_index AS one_index, other.message_index AS other_index, one.text AS one_text, other.text AS other_text,
        FROM answers AS one JOIN answers AS other USING (task_id, thread_index, turn_index)
        WHERE one.message_index < other.message_index;
        CREATE TEMP VIEW told AS SELECT annotations.*, row_number() OVER (
            PARTITION BY task_id, thread_index, turn_index, message_index, key ORDER BY annotation_index
        ) AS vote FROM annotations WHERE not_applicable IS NOT TRUE;
        CREATE TEMP VIEW rubric_scores AS SELECT
            e.task_id, e.thread_index, e.turn_index, e.message_index, sum(score * weight) / sum(weight) AS score,
        FROM criterion_evaluations AS e JOIN rubric_criteria USING (task_id, thread_index, turn_index, criterion_definition_id)
        GROUP BY ALL
    """)
    return connection


PLACE = "task_id, thread_index, turn_index"


def at(table, index=None):
    """Where an answer stands, as columns of a table."""
    return f"({', '.join(f'{table}.{name}' for name in PLACE.split(', '))}, {index or f'{table}.message_index'})"


def turn_at(table):
    return f"({', '.join(f'{table}.{name}' for name in PLACE.split(', '))})"


# How far the first of two answers is ahead by each judgement.
BALANCES = {
    "best": f"""
        SELECT pairs.*, CASE value_text WHEN 'tie' THEN 0 WHEN one THEN 1 WHEN one_source THEN 1 ELSE -1 END AS balance
        FROM pairs JOIN told USING ({PLACE}) WHERE key = 'best' AND value_text IN (one, other, one_source, other_source, 'tie')
    """,
    "order": f"""
        SELECT pairs.*, CASE WHEN list_position(value_list, one) < list_position(value_list, other) THEN 1 ELSE -1 END AS balance
        FROM pairs JOIN told USING ({PLACE}) WHERE key = 'order'
    """,
    "groups": f"""
        SELECT pairs.*, CASE WHEN list_contains(value_groups[1], one) THEN 1 ELSE 0 END
            - CASE WHEN list_contains(value_groups[1], other) THEN 1 ELSE 0 END AS balance
        FROM pairs JOIN told USING ({PLACE}) WHERE key = 'groups'
    """,
    # As many judgements of the one as of the other belong together; else their means do.
    "quality": f"""
        WITH rated AS (
            SELECT {PLACE}, message_index, list(value_number ORDER BY vote) AS ratings FROM told WHERE key = 'quality' GROUP BY ALL
        ), lists AS (
            SELECT pairs.*, a.ratings AS own, b.ratings AS theirs FROM pairs
            JOIN rated AS a ON {at("a")}
                = {at("pairs", "one_index")}
            JOIN rated AS b ON {at("b")}
                = {at("pairs", "other_index")}
        )
        SELECT lists.* EXCLUDE (own, theirs), unnest(CASE WHEN len(own) = len(theirs)
            THEN list_transform(list_zip(own, theirs), lambda two: two[1] - two[2])
            ELSE [list_avg(own) - list_avg(theirs)] END) AS balance
        FROM lists
    """,
    "@rubric": f"""
        SELECT pairs.*, a.score - b.score AS balance FROM pairs
        JOIN rubric_scores AS a ON {at("a")}
            = {at("pairs", "one_index")}
        JOIN rubric_scores AS b ON {at("b")}
            = {at("pairs", "other_index")}
    """,
}

# Keys whose judgements are numbers: a majority whose mean says the opposite says nothing.
RATED = {"quality", "@rubric"}

# Which of two is better, by all judgements.
DECISIONS = {
    "majority": "sign(won - lost)",
    "mean": "sign(round(middle, 9))",
    "unanimous": "CASE WHEN won = votes THEN 1 WHEN lost = votes THEN -1 ELSE 0 END",
}


def expected_pairs(database, key, aggregate):
    decided = database.execute(f"""
        WITH balances AS ({BALANCES[key]}), counted AS (
            SELECT {PLACE}, one_index, other_index, count(*) AS votes,
                count(*) FILTER (balance > 1e-9) AS won, count(*) FILTER (balance < -1e-9) AS lost, avg(balance) AS middle,
            FROM balances WHERE one_text <> other_text GROUP BY ALL
        ), decided AS (SELECT *, {DECISIONS[aggregate]} AS decision FROM counted)
        SELECT {PLACE}, CASE WHEN decision > 0 THEN one_index ELSE other_index END,
            CASE WHEN decision > 0 THEN other_index ELSE one_index END, votes,
            (CASE WHEN decision > 0 THEN won ELSE lost END + (votes - won - lost) / 2.0) / votes, decision * middle
        FROM decided WHERE decision <> 0 AND ({key not in RATED} OR decision * middle >= -1e-9)
    """)
    return sorted(decided.fetchall())


def path_of(thread):
    """The turns of a conversation that can be reached, each with the lines before its answers, and its answers."""
    lines, turns = [], []
    for place, turn in enumerate(thread["turns"]):
        answers = [(index, message) for index, message in enumerate(turn["messages"]) if message["role"] == "assistant"]
        lines = lines + [message for message in turn["messages"] if message["role"] != "assistant"]
        turns.append((place, lines, answers))
        chosen = next(said["value"] for said in turn["annotations"] if said["key"] == "selected_model_id")
        lines = lines + [message for _, message in answers if message["model_parameters"]["model"] == chosen]
    return turns


def said(messages):
    return [{"role": message["role"], "content": message["content"]["text"]} for message in messages]


@pytest.mark.parametrize("aggregate", DECISIONS)
@pytest.mark.parametrize("key", BALANCES)
def test_pairs_are_those_of_sql(lake, database, tmp_path, key, aggregate):
    better = ["--better", "higher"] if key == "quality" else []
    flags = ["--for", "dpo", "--by", key, "--aggregate", aggregate, "--tie", "tie", "--history-by", "selected_model_id"]
    rows, _, _ = made(lake, tmp_path / "out", *flags, *better)
    found = []
    for row in rows:
        source = row["source"]
        place = [source[name] for name in ["task_id", "thread_index", "turn_index", "chosen_index", "rejected_index"]]
        found.append((*place, row["votes"], row["p_chosen"], row["margin"]))
    expected = expected_pairs(database, key, aggregate)
    assert len(expected) > 50
    assert [row[:6] for row in sorted(found)] == [row[:6] for row in expected]
    for own, other in zip(sorted(found), expected, strict=True):
        assert own[6] == pytest.approx(other[6])
        assert own[7] == (pytest.approx(other[7]) if key in RATED else None)


def test_a_pair_has_the_history_that_the_conversation_went_on_with(lake, tasks, tmp_path):
    rows, _, _ = made(lake, tmp_path / "out", "--for", "dpo", "--by", "order", "--history-by", "selected_model_id")
    by_id = {task["task_id"]: task for task in tasks}
    longest = 0
    for row in rows:
        source = row["source"]
        task = by_id[source["task_id"]]
        _, lines, answers = path_of(task["threads"][source["thread_index"]])[source["turn_index"]]
        answers = dict(answers)
        assert row["prompt"] == said(lines)
        assert row["chosen"] == said([answers[source["chosen_index"]]])
        assert row["rejected"] == said([answers[source["rejected_index"]]])
        assert source["chosen_model"] == answers[source["chosen_index"]]["model_parameters"]["model"]
        assert (source["project_id"], source["batch_id"], source["keys"]) == (task["project"], task["batch"], ["order"])
        longest = max(longest, len(lines))
    assert longest >= 5


def test_conversations_hold_the_answers_that_they_went_on_with(lake, tasks, tmp_path):
    rows, _, report = made(lake, tmp_path / "out", "--for", "sft", "--reasoning", "keep")
    expected = []
    for task in tasks:
        for index, thread in enumerate(task["threads"] if task["status"] == "completed" else []):
            place, lines, answers = path_of(thread)[-1]
            chosen = next(said["value"] for said in thread["turns"][place]["annotations"] if said["key"] == "selected_model_id")
            answer = next(message for _, message in answers if message["model_parameters"]["model"] == chosen)
            expected.append((task["task_id"], index, said([*lines, answer])))
    steps = {"assistant": "first\nthen"}
    for row in rows:
        assert all(message.pop("reasoning_content") == steps.get(message["role"]) for message in row["messages"])
    found = sorted((row["source"]["task_id"], row["source"]["thread_index"], row["messages"]) for row in rows)
    assert found == sorted(expected)
    assert report["left_out"] == {"not_selected": 20}


def test_the_best_answer_and_its_rewrite_are_learnt(lake, tasks, tmp_path):
    flags = ["--for", "sft", "--by", "quality", "--better", "higher", "--aggregate", "mean", "--rewrite-by", "rewrite", "--turns", "last"]
    rows, _, _ = made(lake, tmp_path / "out", *flags)
    expected = {}
    for task in tasks:
        for index, thread in enumerate(task["threads"] if task["status"] == "completed" else []):
            _, _, answers = path_of(thread)[-1]
            means = {}
            for _, message in answers:
                values = [said["value"] for said in message["annotations"] if said["key"] == "quality" and not said.get("not_applicable")]
                means[message["content"]["text"]] = (sum(values) / len(values), message)
            best = [message for mean, message in means.values() if mean == max(mean for mean, _ in means.values())]
            if len(best) == 1 and len(means) == len(answers):
                rewrites = [said["value"] for said in best[0]["annotations"] if said["key"] == "rewrite"]
                expected[task["task_id"], index] = rewrites[-1] if rewrites else best[0]["content"]["text"]
    found = {(row["source"]["task_id"], row["source"]["thread_index"]): row["messages"][-1]["content"] for row in rows}
    assert found == expected
    assert any(text.startswith("better") for text in found.values())


@pytest.mark.parametrize(("better", "good"), [("higher", True), ("lower", False)])
def test_flags_label_answers(lake, tasks, tmp_path, better, good):
    rows, _, _ = made(lake, tmp_path / "out", "--for", "kto", "--by", "is_harmful", "--better", better)
    by_id = {task["task_id"]: task for task in tasks}
    answers = 0
    for row in rows:
        source = row["source"]
        turn = by_id[source["task_id"]]["threads"][source["thread_index"]]["turns"][source["turn_index"]]
        message = turn["messages"][source["chosen_index"]]
        flag = next(said["value"] for said in message["annotations"] if said["key"] == "is_harmful")
        assert row["label"] == (flag == good)
        assert row["completion"] == said([message])
        answers += 1
    completed = [task for task in tasks if task["status"] == "completed"]
    turns = [turn for task in completed for thread in task["threads"] for turn in thread["turns"]]
    texts = [[line["content"]["text"] for line in turn["messages"] if line["role"] == "assistant"] for turn in turns]
    # The same text can't be good and not good.
    assert answers == sum(own.count(text) == 1 for own in texts for text in own)


def test_thresholds_label_answers_by_how_people_agree(lake, database, tmp_path):
    flags = ["--for", "kto", "--by", "quality", "--better", "higher", "--threshold", "4"]
    rows, _, _ = made(lake, tmp_path / "out", *flags)
    counted = database.execute(f"""
        SELECT {PLACE}, message_index, count(*) FILTER (value_number >= 4) AS good, count(*) AS votes
        FROM told JOIN answers USING ({PLACE}, message_index) WHERE key = 'quality' AND NOT EXISTS (
            SELECT 1 FROM answers AS same WHERE {turn_at("same")} = {turn_at("answers")}
            AND same.text = answers.text AND same.message_index <> answers.message_index
        ) GROUP BY ALL HAVING good <> votes - good
    """).fetchall()
    expected = {tuple(place): (good > votes - good, votes, pytest.approx(good / votes)) for *place, good, votes in counted}
    names = ["task_id", "thread_index", "turn_index", "chosen_index"]
    found = {tuple(row["source"][name] for name in names): (row["label"], row["votes"], row["p_true"]) for row in rows}
    assert found == expected


def test_prompts_come_with_what_answers_are_held_against(lake, tasks, tmp_path):
    rows, _, _ = made(lake, tmp_path / "out", "--for", "grpo")
    by_id = {task["task_id"]: task for task in tasks}
    for row in rows:
        source = row["source"]
        thread = by_id[source["task_id"]]["threads"][source["thread_index"]]
        _, lines, _ = path_of(thread)[source["turn_index"]]
        turn = thread["turns"][source["turn_index"]]
        assert row["prompt"] == said(lines)
        texts = [text for message in turn["messages"] for text in message["content"].get("reference_texts", [])]
        assert row["references"] == [{"content": text["content"], "category": text["category"], "url": None} for text in texts]
        assert row["reference_answers"] == [text["content"] for text in texts if text["category"] == "reference_answer"]
        assert row["rubric"] == turn["rubrics"][0]["criteria_definitions"]


def test_neither_a_task_nor_a_prompt_stands_on_both_sides(lake, tmp_path):
    flags = ["--for", "sft", "--split", "0.2"]
    train, test, report = made(lake, tmp_path / "out", *flags)
    first = {
        split: {re.sub(r"\s+", " ", next(line["content"] for line in row["messages"] if line["role"] == "user")).lower() for row in rows}
        for split, rows in [("train", train), ("test", test)]
    }
    ids = {split: {row["source"]["task_id"] for row in rows} for split, rows in [("train", train), ("test", test)]}
    assert test and train and not first["train"] & first["test"] and not ids["train"] & ids["test"]
    assert report["left_out"]["both_sides"] > 0
    # By metadata whole groups are kept, and each task where it was.
    train, test, _ = made(lake, tmp_path / "out", *flags, "--split-by", "metadata.group")
    groups = [{int(row["source"]["task_id"][5:]) % 7 for row in rows} for rows in [train, test]]
    assert not groups[0] & groups[1]


def test_a_prompt_keeps_its_side_when_tasks_come(tmp_path, tasks):
    sides = []
    for count in [100, 200]:
        (tmp_path / str(count)).mkdir()
        small = flattened(tmp_path / str(count), tasks[:count])
        train, test, _ = made(small, tmp_path / f"out-{count}", "--for", "sft", "--split", "0.3")
        place = lambda row: (row["source"]["task_id"], row["source"]["thread_index"])  # noqa: E731
        sides.append({place(row): split for split, rows in enumerate([train, test]) for row in rows})
    assert sides[0] and sides[0].items() <= sides[1].items()


def test_equal_prompts_stand_once(tmp_path, tasks):
    copies = [{**task, "task_id": f"{task['task_id']}-{copy}"} for task in tasks[:60] for copy in range(2)]
    lake = flattened(tmp_path, copies)
    whole, _, _ = made(lake, tmp_path / "whole", "--for", "dpo", "--by", "order", "--history-by", "selected_model_id")
    rows, _, report = made(lake, tmp_path / "out", "--for", "dpo", "--by", "order", "--history-by", "selected_model_id", "--dedupe")
    turns = {}
    for row in rows:
        source = row["source"]
        turns.setdefault(source["prompt_hash"], set()).add((source["task_id"], source["thread_index"], source["turn_index"]))
    assert all(len(places) == 1 for places in turns.values())
    assert turns.keys() == {row["source"]["prompt_hash"] for row in whole}
    assert report["left_out"]["same_prompt"] == len(whole) - len(rows) > 0


def test_whole_threads_are_compared(tmp_path):
    def thread(model, answers, *annotations):
        turns = [
            {"id": str(place), "messages": [
                {"role": "user", "content": {"text": f"question {place}"}},
                {"role": "assistant", "source_id": model, "content": {"text": answer}},
            ]}
            for place, answer in enumerate(answers)
        ]  # fmt: skip
        return {"id": model, "turns": turns, "annotations": list(annotations)}

    both = {"id": "both", "annotations": [annotation("overall", "category", "b")], "turns": [
        {"id": "0", "messages": [
            {"role": "user", "content": {"text": "hello"}},
            {"role": "assistant", "source_id": "a", "content": {"text": "a0"}},
            {"role": "assistant", "source_id": "b", "content": {"text": "b0"}},
        ]},
        {"id": "1", "messages": [
            {"role": "user", "content": {"text": "more"}},
            {"role": "assistant", "source_id": "b", "content": {"text": "b1"}},
            {"role": "assistant", "source_id": "a", "content": {"text": "a1"}},
        ]},
    ]}  # fmt: skip
    rate = lambda value: annotation("overall", "integer", value)  # noqa: E731
    threads = {
        "rated": [thread("x", ["x0", "x1"], rate(2)), thread("y", ["y0", "y1"], rate(5))],
        "within": [both],
        "named": [thread("x", ["x0"], annotation("overall", "category", "y")), thread("y", ["y0"])],
        "apart": [thread("x", ["x0"], rate(1)), {**thread("y", ["y0"], rate(2)), "turns": [{"id": "0", "messages": [
            {"role": "user", "content": {"text": "another question"}}, {"role": "assistant", "source_id": "y", "content": {"text": "y0"}},
        ]}]}],
    }  # fmt: skip
    lake = flattened(tmp_path, [{"task_id": name, "status": "completed", "threads": threads} for name, threads in threads.items()])
    rows, _, report = made(lake, tmp_path / "out", "--for", "dpo", "--by", "overall", "--better", "higher")
    found = {
        row["source"]["task_id"]: [[line["content"] for line in row[name]] for name in ["prompt", "chosen", "rejected"]] for row in rows
    }
    assert found == {
        "rated": [["question 0"], ["y0", "question 1", "y1"], ["x0", "question 1", "x1"]],
        "within": [["hello"], ["b0", "more", "b1"], ["a0", "more", "a1"]],
        "named": [["question 0"], ["y0"], ["x0"]],
    }
    assert report["left_out"] == {"other_prompt": 1, "unjudged": 1}
    margins = {row["source"]["task_id"]: (row["margin"], row["source"]["scores"]) for row in rows}
    assert margins["rated"] == (3.0, [{"key": "overall", "chosen": 5.0, "rejected": 2.0}])
    assert margins["within"][0] is None


def test_what_can_not_be_learnt_is_counted(tmp_path):
    def task(name, *turns):
        turns = [{"id": str(place), **turn} for place, turn in enumerate(turns)]
        return {"task_id": name, "status": "completed", "threads": [{"id": "t", "turns": turns}]}

    def line(role, text, **others):
        return {"role": role, "content": {"text": text, **others}, "source_id": others.get("source", text)}

    def turn(*messages, best=None, **others):
        said = [annotation("best", "category", best)] if best else []
        return {"messages": list(messages), "annotations": said, **others}

    user, two = line("user", "hi"), [line("assistant", "a"), line("assistant", "b")]
    image = {"mime_type": "image/png", "content": "iVBORw0KGgo="}
    chunks = {"chunks": [{"type": "text", "text": "look"}, {"type": "image"}]}
    tasks = [
        task("good", turn(user, *two, best="a")),
        task("chunk", turn({"role": "user", "content": chunks}, *two, best="a")),
        task("silent", turn(user, *two)),
        task("alone", turn(user, two[0], best="a")),
        task("ambiguous", turn(user, *[{**line, "model_parameters": {"model": "m"}} for line in two], best="m")),
        task("unclear", turn(user, *two), turn(user, *two, best="a")),
        task("no_prompt", turn(*two, best="a")),
        task("no_text", turn(user, line("assistant", "a"), line("assistant", " "), best="a")),
        task("same_text", turn(user, line("assistant", "a"), {**line("assistant", "a"), "source_id": "b"}, best="a")),
        task("attachment", turn(line("user", "look", attachments=[image]), *two, best="a")),
        task("role", turn(user, line("narrator", "x"), *two, best="a")),
        task("function", turn(user, line("assistant", "calls"), line("function", "gave"), *two, best="b")),
        task("tie", turn(user, *two, best="tie")),
        task("nobody", turn(user, *two, best="nobody")),
        task("disagree", {**turn(user, *two), "annotations": [annotation("best", "category", name) for name in "ab"]}),
        {**task("reported", turn(user, *two, best="a")), "sensitive_content_reports": [{"type": "pii"}]},
        {**task("pending", turn(user, *two, best="a")), "status": "pending"},
    ]
    lake = flattened(tmp_path, tasks)
    flags = ["--for", "dpo", "--by", "best", "--tie", "tie", "--exclude-reported"]
    rows, _, report = made(lake, tmp_path / "out", *flags)
    left_out = {
        "unclear_history": 1, "no_prompt": 1, "no_text": 1, "same_text": 1, "attachment": 2, "unknown_role": 1, "tie": 1,
        "no_such_answer": 1, "disagreement": 1, "reported": 1, "not_selected": 1, "ambiguous_answer": 1, "no_other_answer": 1,
        "unjudged": 2,
    }  # fmt: skip
    assert report["left_out"] == left_out
    assert {row["source"]["task_id"] for row in rows} == {"good", "function"}
    tools = next(row["prompt"] for row in rows if row["source"]["task_id"] == "function")
    assert [message["role"] for message in tools] == ["user", "assistant", "tool"]
    # A target without a place for what functions gave back.
    report = json.loads(taskloom("dataset", lake, "--out", tmp_path / "openai", "--layout", "openai", "--json", *flags))
    assert report["left_out"] == {**left_out, "function_message": 1}
    told = taskloom("dataset", lake, "--out", tmp_path / "out", *flags)
    assert re.search(r"^unclear history +1$", told, re.MULTILINE), told


def test_a_key_must_judge_what_rows_are_made_of(tmp_path):
    def thread(name, answer, rating, flags):
        said = [annotation("good", "boolean", flag) for flag in flags]
        messages = [{"role": "user", "content": {"text": "hi"}}, {"role": "assistant", "source_id": name, "content": {"text": answer}, "annotations": said}]
        return {"id": name, "turns": [{"id": "0", "messages": messages}], "annotations": [annotation("overall", "integer", rating)]}

    threads = [thread("x", "a", 5, [True, False]), thread("y", "b", 1, [True])]
    lake = flattened(tmp_path, [{"task_id": "t", "status": "completed", "threads": threads}])
    for method in ["sft", "kto"]:
        failed = refused("dataset", lake, "--for", method, "--by", "overall", "--better", "higher", "--out", tmp_path / "out")
        assert failed.returncode == 2 and "other level (2)" in failed.stderr, failed.stderr
    # As many yes as no say nothing.
    rows, _, report = made(lake, tmp_path / "out", "--for", "kto", "--by", "good", "--better", "higher", "--aggregate", "mean")
    assert [row["completion"][0]["content"] for row in rows] == ["b"] and report["left_out"] == {"tie": 1}
    for flags in [["--rewrite-by", "nothing"], ["--history-by", "nothing"], ["--split", "0.1", "--split-by", "metadata.nothing"]]:
        failed = refused("dataset", lake, "--for", "sft", "--out", tmp_path / "out", *flags)
        assert failed.returncode == 2 and "nothing" in failed.stderr, failed.stderr


def test_scores_by_rubrics_are_compared_where_they_are_of_the_same_criteria(tmp_path):
    def task(name, first, second, **others):
        criteria = [{"id": f"c{place}", "key": f"c{place}", "type": "rubric_criteria", "value": {"weight": weight}} for place, weight in enumerate([1, 3])]
        answers = [
            {"role": "assistant", "source_id": source, "content": {"text": source}, "annotations": [
                {"key": f"{criterion}_rating", "type": "rubric_rating", "value": {"score": score}, "metadata": {"criteria": criterion}, **more}
                for criterion, score, more in scores
            ]}
            for source, scores in [("a", first), ("b", second)]
        ]  # fmt: skip
        turn = {"id": "u", "messages": [{"role": "user", "content": {"text": name}}, *answers], "annotations": criteria}
        return {"task_id": name, "status": "completed", "threads": [{"id": "t", "turns": [turn]}]}

    not_applicable = {"not_applicable": True}
    # A rating that names a criterion too is no score of a rubric.
    other = task("other", [], [])
    for line, value in zip(other["threads"][0]["turns"][0]["messages"][1:], [1, 2], strict=True):
        line["annotations"] = [annotation("quality", "integer", value, metadata={"criteria": "quality"})]
    lake = flattened(tmp_path, [
        other,
        task("whole", [("c0", 1, {}), ("c1", 0, {})], [("c0", 0, {}), ("c1", 1, {})]),
        task("twice", [("c0", 1, {}), ("c0", 0, {}), ("c1", 1, {})], [("c0", 0, {}), ("c1", 1, {})]),
        task("partly", [("c0", 1, {})], [("c0", 1, {}), ("c1", 0, {})]),
        task("aside", [("c0", 1, {}), ("c1", 0, not_applicable)], [("c0", 0.9, {})]),
    ])  # fmt: skip
    rows, _, report = made(lake, tmp_path / "out", "--for", "dpo", "--by", "@rubric")
    found = {row["source"]["task_id"]: (row["chosen"][0]["content"], pytest.approx(row["margin"])) for row in rows}
    assert found == {"whole": ("b", 0.5), "twice": ("a", 0.125), "aside": ("a", 0.1)}
    assert report["left_out"] == {"unjudged": 2}
    rows, _, _ = made(lake, tmp_path / "quality", "--for", "dpo", "--by", "quality", "--better", "higher")
    assert [row["source"]["task_id"] for row in rows] == ["other"]
    failed = refused("dataset", lake, "--for", "dpo", "--by", "@rubric", "--by", "quality", "--better", "higher", "--out", tmp_path / "both")
    assert failed.returncode == 2 and "no row" in failed.stderr, failed.stderr


def test_scales_that_differ_are_refused_or_normalised(tmp_path):
    def task(name, most, ratings):
        answers = [
            {"role": "assistant", "source_id": f"s{place}", "content": {"text": f"answer {place}"},
             "annotations": [annotation("quality", "integer", rating, possible_values=[list(range(1, most + 1))])]}
            for place, rating in enumerate(ratings)
        ]  # fmt: skip
        messages = [{"role": "user", "content": {"text": f"question of {name}"}}, *answers]
        return {"task_id": name, "status": "completed", "threads": [{"id": "t", "turns": [{"id": "u", "messages": messages}]}]}

    lake = flattened(tmp_path, [task("three", 3, [1, 3]), task("five", 5, [4, 2])])
    flags = ["--for", "reward", "--by", "quality", "--better", "higher"]
    failed = refused("dataset", lake, "--out", tmp_path / "out", *flags)
    assert failed.returncode == 2 and "`quality` is 1 to 3, `quality` is 1 to 5" in failed.stderr, failed.stderr
    assert not (tmp_path / "out").exists()
    rows, _, _ = made(lake, tmp_path / "out", *flags, "--normalise")
    assert {row["source"]["task_id"]: row["margin"] for row in rows} == {"three": 1.0, "five": 0.5}
    rows, _, _ = made(lake, tmp_path / "out", *flags, "--normalise", "--min-margin", "0.75")
    assert [row["source"]["task_id"] for row in rows] == ["three"]
    for wrong in [["--for", "reward", "--by", "quality"], ["--for", "kto", "--by", "quality", "--better", "higher", "--normalise"]]:
        failed = refused("dataset", lake, "--out", tmp_path / "out", *wrong)
        assert failed.returncode == 2 and re.search("--better|--threshold", failed.stderr)


def test_keys_are_added_up_by_their_weights(lake, database, tmp_path):
    flags = ["--for", "dpo", "--by", "helpful:2", "--by", "is_harmful:-1", "--better", "higher", "--normalise", "--aggregate", "mean"]
    rows, _, _ = made(lake, tmp_path / "out", *flags)
    expected = database.execute(f"""
        WITH scored AS (
            SELECT {PLACE}, message_index,
                (2 * max(value_number / 10) FILTER (key = 'helpful') - max(value_boolean::INT) FILTER (key = 'is_harmful')) / 3 AS score
            FROM told GROUP BY ALL
        )
        SELECT {PLACE}, a.message_index, b.message_index, a.score - b.score
        FROM scored AS a JOIN scored AS b USING ({PLACE})
        JOIN pairs USING ({PLACE})
        WHERE a.score > b.score + 1e-9 AND one_text <> other_text
            AND least(a.message_index, b.message_index) = one_index AND greatest(a.message_index, b.message_index) = other_index
    """).fetchall()
    names = ["task_id", "thread_index", "turn_index", "chosen_index", "rejected_index"]
    found = {tuple(row["source"][name] for name in names): row["margin"] for row in rows}
    assert found == {tuple(place): pytest.approx(margin) for *place, margin in expected}
    source = rows[0]["source"]
    assert [score["key"] for score in source["scores"]] == ["helpful", "is_harmful"] and source["justification"]


def test_selections_narrow_a_set_and_are_told(lake, tasks, tmp_path):
    ids = tmp_path / "ids.csv"
    ids.write_text("task_id\n" + "".join(task["task_id"] + "\n" for task in tasks[:50]), encoding="utf-8")
    flags = ["--for", "sft", "--task-ids", ids, "--batch", "b1", "--completed-after", "2025-01-03", "--completed-before", "2025-01-06"]
    rows, _, report = made(lake, tmp_path / "out", *flags, "--project", "p1", "--project", "p2")
    wanted = {
        task["task_id"] for task in tasks[:50]
        if task["batch"] == "b1" and "2025-01-03" <= task["completed_at"] < "2025-01-06" and task["project"] in {"p1", "p2"}
        and task["status"] == "completed"
    }  # fmt: skip
    assert {row["source"]["task_id"] for row in rows} == wanted
    assert report["tasks"] == len(wanted) and report["left_out"]["not_selected"] > 0
    rows, _, report = made(lake, tmp_path / "out", "--for", "sft", "--model", "alpha")
    assert {row["source"]["chosen_model"] for row in rows} == {"alpha"} and report["left_out"]["other_model"] > 0
    # Where the last turn's answer is another model's, the conversation ends before it.
    ends = {}
    for task in tasks:
        for index, thread in enumerate(task["threads"] if task["status"] == "completed" else []):
            chosen = [next(said["value"] for said in turn["annotations"] if said["key"] == "selected_model_id") for turn in thread["turns"]]
            if "alpha" in chosen:
                ends[task["task_id"], index] = max(place for place, model in enumerate(chosen) if model == "alpha")
    place = lambda row: (row["source"]["task_id"], row["source"]["thread_index"])  # noqa: E731
    assert {place(row): row["source"]["turn_index"] for row in rows} == ends and len(rows) == len(ends)
    rows, _, report = made(lake, tmp_path / "out", "--for", "sft", "--max-chars", "60", "--min-chars", "40")
    assert all(40 <= sum(len(line["content"]) for line in row["messages"]) <= 60 for row in rows) and report["left_out"]["length"] > 0
    rows, _, _ = made(lake, tmp_path / "out", "--for", "sft", "--status", "canceled")
    assert {row["source"]["task_id"] for row in rows} == {task["task_id"] for task in tasks if task["status"] == "canceled"}


def test_files_for_openai_are_what_is_published(lake, tmp_path):
    from jsonschema import Draft202012Validator

    roles = lambda *names: {"enum": list(names)}  # noqa: E731
    message = lambda role: {  # noqa: E731
        "type": "object", "required": ["role", "content"], "additionalProperties": False,
        "properties": {"role": role, "content": {"type": "string", "minLength": 1}},
    }  # fmt: skip
    chat = {"type": "array", "minItems": 1, "items": message(roles("system", "user", "assistant"))}
    answer = {"type": "array", "minItems": 1, "maxItems": 1, "items": message(roles("assistant"))}
    schemas = {
        "sft": {"required": ["messages"], "properties": {"messages": chat}},
        "dpo": {
            "required": ["input", "preferred_output", "non_preferred_output"],
            "properties": {
                "input": {
                    "required": ["messages"], "additionalProperties": False,
                    "properties": {"messages": chat, "tools": {"type": "array"}, "parallel_tool_calls": {"type": "boolean"}},
                },
                "preferred_output": answer, "non_preferred_output": answer,
            },
        },
        "grpo": {
            "required": ["messages"],
            "properties": {
                "messages": {"type": "array", "items": message(roles("developer", "user", "assistant"))},
                "reference_answers": {"type": "array"}, "references": {"type": "array"}, "rubric": {"type": "array"},
            },
        },
    }  # fmt: skip
    for method, schema in schemas.items():
        by = ["--by", "order"] if method == "dpo" else []
        taskloom("dataset", lake, "--for", method, "--layout", "openai", "--out", tmp_path / method, "--split", "0.1", *by)
        validator = Draft202012Validator({**schema, "type": "object", "additionalProperties": False})
        for split in ["train", "test"]:
            lines = (tmp_path / method / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            sources = (tmp_path / method / f"{split}.sources.jsonl").read_text(encoding="utf-8").splitlines()
            assert len(lines) == len(sources) > 10 and json.loads(sources[0])["task_id"]
            for line in lines:
                validator.validate(json.loads(line))
                messages = json.loads(line).get("input", json.loads(line))["messages"]
                assert messages[-1]["role"] == ("assistant" if method == "sft" else "user")


def test_the_same_lake_gives_the_same_bytes_and_a_card_that_fits(lake, tmp_path):
    flags = ["--for", "dpo", "--by", "quality", "--better", "higher", "--split", "0.1"]
    for folder in ["one", "other"]:
        made(lake, tmp_path / folder, *flags)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["README.md", "taskloom.json", "test-00000.parquet", "train-00000.parquet"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name
    _, front, text = (tmp_path / "one" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["configs"][0]["data_files"] == [
        {"split": "train", "path": "train-*.parquet"}, {"split": "test", "path": "test-*.parquet"},
    ]  # fmt: skip
    columns = pq.read_schema(tmp_path / "one" / "train-00000.parquet").names
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == columns
    note = json.loads((tmp_path / "one" / "taskloom.json").read_text(encoding="utf-8"))
    assert note["is_whole"] and note["settings"]["by"] == [{"key": "quality", "weight": 1.0}]


def test_a_set_is_replaced_whole_and_nothing_else_is(lake, tmp_path):
    out = tmp_path / "out"
    made(lake, out, "--for", "sft", "--split", "0.1")
    rows, tests, _ = made(lake, out, "--for", "grpo")
    assert rows and not tests and not list(out.glob("test*"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    # What fails leaves the earlier one.
    failed = refused("dataset", lake, "--for", "sft", "--out", out, "--model", "nobody")
    assert failed.returncode == 2 and "other model" in failed.stderr and "prompt" in pq.read_schema(out / "train-00000.parquet").names
    for own in ["notes.txt", "train-00001.parquet"]:
        (out / own).write_text("keep", encoding="utf-8")
        failed = refused("dataset", lake, "--for", "sft", "--out", out)
        assert failed.returncode != 0 and own in failed.stderr and (out / own).exists()
        (out / own).unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", encoding="utf-8")
    for folder, words in [(tmp_path / "mine", "no training set"), (lake / "set", "outside of the lake")]:
        failed = refused("dataset", lake, "--for", "sft", "--out", folder)
        assert failed.returncode != 0 and words in failed.stderr, failed.stderr
    assert (tmp_path / "mine" / "notes.txt").read_text(encoding="utf-8") == "keep"


def test_a_section_of_a_file_holds_the_flags(lake, tmp_path):
    config = tmp_path / "sets.toml"
    config.write_text(
        f'[job.nightly]\nout = "elsewhere"\n\n[dataset.pairs]\nfor = "dpo"\nby = ["order", "best:2"]\nsplit = 0.1\nout = "{tmp_path}/out"\n',
        encoding="utf-8",
    )
    taskloom("dataset", lake, "--config", config, "--name", "pairs")
    note = json.loads((tmp_path / "out" / "taskloom.json").read_text(encoding="utf-8"))
    assert note["settings"]["by"] == [{"key": "order", "weight": 1.0}, {"key": "best", "weight": 2.0}]
    taskloom("dataset", lake, "--config", config, "--name", "pairs", "--split", "0")
    assert not list((tmp_path / "out").glob("test*"))
    failed = refused("dataset", lake, "--config", config, "--name", "other")
    assert failed.returncode == 2 and "--name with one of `pairs`" in failed.stderr
