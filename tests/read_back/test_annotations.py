"""What `taskloom annotations` tells, against the same computed from the tasks themselves."""

import collections
import itertools
import json
import random

import pytest
from conftest import taskloom

MODELS = ["model-a", "model-b", "model-c"]
LABELS = {1: "Bad", 2: "Fair", 3: "Good"}


def annotation(key, kind, value, **more):
    return {"key": key, "type": kind, "value": value} | more


def rating(draw, scale=(1, 2, 3)):
    labels = [LABELS.get(value, str(value)) for value in scale]
    more = {"possible_values": list(scale), "labels": labels}
    if draw.random() < 0.1:
        return annotation("quality", "integer", None, not_applicable=True, **more)
    if draw.random() < 0.1:
        return annotation("quality", "integer", draw.choice(scale), cannot_assess=True, **more)
    return annotation("quality", "integer", draw.choice(scale), justification="so", **more)


def message(draw, model, scale):
    annotations = [rating(draw, scale) for _ in range(draw.choice([0, 1, 1, 2, 3]))]
    annotations.append(annotation("is_harmful", "boolean", draw.random() < 0.2))
    if draw.random() < 0.3:
        annotations.append(annotation("rewrite", "text", f"A better answer, number {draw.random()}"))
    if draw.random() < 0.5:
        annotations.append(annotation("score", "number", draw.randrange(1000) / 8))
    topics = draw.sample(["math", "code", "prose"], draw.randrange(3))
    annotations.append(annotation("topics", "category_multiple", topics))
    return {"role": "assistant", "source_id": model, "content": {"text": "Answer"}, "annotations": annotations}


def task(draw, number):
    models = draw.sample(MODELS, 2)
    scale = (1, 2, 3) if number % 5 else (1, 2, 3, 4, 5)
    turn = {
        "id": "turn",
        "messages": [{"role": "user", "content": {"text": "Question"}}, *(message(draw, model, scale) for model in models)],
        "annotations": [
            annotation("preferred", "category", draw.choice(models), possible_values=models),
            annotation("order", "ranked_choices", draw.sample(models, 2)),
            annotation("groups", "ranked_groups", draw.choice([[models], [[models[0]], [models[1]]]])),
        ],
    }
    submissions = [{"contributor_id": f"person-{draw.randrange(3)}"} for _ in range(draw.randrange(3))]
    at = f"2025-{1 + number % 3:02}-{1 + number % 20:02}T00:00:00Z"
    return {
        "task_id": f"task-{number:03}", "project": f"p{number % 2}", "batch": f"b{number % 3}", "status": "completed",
        "created_at": at, "completed_at": at, "threads": [{"id": "t", "turns": [turn], "submissions": submissions}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def tasks():
    draw = random.Random(16)
    return [task(draw, number) for number in range(120)]


@pytest.fixture(scope="module")
def lake(tasks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotations")
    # Several runs, so that partitions have several parts.
    for run, some in enumerate(chunks(tasks, 50)):
        path = folder / f"{run}.ndjson"
        path.write_text("".join(json.dumps(task) + "\n" for task in some), encoding="utf-8")
        taskloom("flatten", path, "--out", folder / "lake", "--quiet")
    return folder / "lake"


def chunks(items, size):
    return [items[at : at + size] for at in range(0, len(items), size)]


def units(tasks, level):
    """Every turn or message with its task and its annotations."""
    for task in tasks:
        for turn in task["threads"][0]["turns"]:
            for unit in [turn] if level == "turn" else turn["messages"]:
                yield task, unit.get("annotations", [])


def counts(annotation):
    return not annotation.get("not_applicable") and not annotation.get("cannot_assess") and annotation["value"] is not None


def told(lake, *flags):
    return json.loads(taskloom("annotations", lake, "--json", *flags))


def only(report, key):
    [found] = [entry for entry in report["keys"] if entry["key"] == key]
    return found


KEYS = [("quality", "message"), ("is_harmful", "message"), ("score", "message"), ("preferred", "turn"), ("rewrite", "message")]


@pytest.mark.parametrize("project", [None, "p1"])
@pytest.mark.parametrize("key, level", KEYS)
def test_counts_shares_values_and_means_are_those_of_the_tasks(lake, tasks, key, level, project):
    own = [task for task in tasks if project in (None, task["project"])]
    found = only(told(lake, *(["--project", project] if project else [])), key)
    carrying = [(task, [one for one in annotations if one["key"] == key]) for task, annotations in units(own, level)]
    filled = [(task, annotations) for task, annotations in carrying if annotations]
    every = [one for _, annotations in filled for one in annotations]
    values = [one["value"] for one in every if counts(one)]
    assert (found["level"], found["count"], found["units"]) == (level, len(every), len(filled))
    assert found["share_of_units"] == pytest.approx(len(filled) / len(carrying))
    assert found["tasks"] == len({task["task_id"] for task, _ in filled})
    assert found["projects"] == len({task["project"] for task, _ in filled})
    assert found["not_applicable"] == sum(one.get("not_applicable", False) for one in every)
    assert found["cannot_assess"] == sum(one.get("cannot_assess", False) for one in every)
    assert found["justified"] == sum("justification" in one for one in every)
    spelled = collections.Counter(json.dumps(value).strip('"').removesuffix(".0") for value in values)
    assert found["distinct_values"] == len(spelled)
    if key == "rewrite":
        assert found["values"] == [] and found["characters"]["count"] == len(values)
        assert found["characters"]["mean"] == pytest.approx(sum(map(len, values)) / len(values))
    elif key != "score":
        assert {entry["value"]: entry["count"] for entry in found["values"]} == spelled
    if key in ["quality", "score"]:
        numbers = found["numbers"]
        assert (numbers["count"], numbers["least"], numbers["greatest"]) == (len(values), min(values), max(values))
        assert numbers["mean"] == pytest.approx(sum(values) / len(values))
        for bin in numbers["histogram"]:
            assert bin["count"] == sum(bin["from"] <= value < bin["to"] for value in values)
        assert sum(bin["count"] for bin in numbers["histogram"]) == len(values) and len(numbers["histogram"]) <= 12


def alpha(judged, distance):
    """Krippendorff's alpha by its definition: disagreement within units against that over all pairable values."""
    judged = [values for values in judged if len(values) > 1]
    pairable = [value for values in judged for value in values]
    n = len(pairable)
    observed = sum(
        sum(distance(one, other) for one, other in itertools.permutations(values, 2)) / (len(values) - 1) for values in judged
    )
    expected = sum(distance(one, other) for one, other in itertools.permutations(pairable, 2))
    return 1 - (observed / n) / (expected / (n * (n - 1)))


def test_agreement_of_repeated_judgements_is_that_of_its_definition(lake, tasks):
    found = only(told(lake), "quality")["repeated"]
    judged = [[one["value"] for one in own if one["key"] == "quality" and counts(one)] for _, own in units(tasks, "message")]
    several = [values for values in judged if len(values) > 1]
    assert (found["units"], found["most"], found["measurement"]) == (len(several), max(map(len, judged)), "ordinal")
    agree = [sum(a == b for a, b in itertools.permutations(values, 2)) / len(list(itertools.permutations(values, 2))) for values in several]
    assert found["percent_agreement"] == pytest.approx(sum(agree) / len(agree))
    of = collections.Counter(value for values in several for value in values)

    def ordinal(one, other):
        low, high = sorted([one, other])
        return (sum(of[value] for value in of if low <= value <= high) - (of[low] + of[high]) / 2) ** 2 if one != other else 0

    assert found["alpha"] == pytest.approx(alpha(judged, ordinal))


def test_months_scales_labels_and_contributors_are_told_apart(lake, tasks):
    found = only(told(lake), "quality")
    every = [(task, one) for task, own in units(tasks, "message") for one in own if one["key"] == "quality"]
    months = collections.defaultdict(list)
    for task, one in every:
        if counts(one):
            months[task["completed_at"][:7]].append(one["value"])
    assert [month["month"] for month in found["months"]] == sorted(months)
    for month in found["months"]:
        values = months[month["month"]]
        assert month["count"] == len(values) and month["mean"] == pytest.approx(sum(values) / len(values))
    scales = collections.Counter(json.dumps(one["possible_values"], separators=(",", ":")) for _, one in every)
    assert found["distinct_scales"] == 2
    assert {scale["possible_values"]: scale["count"] for scale in found["scales"]} == scales
    assert {value["value"]: value["labels"] for value in found["values"]}["2"] == ["Fair"]
    people = collections.Counter()
    for task, one in every:
        submissions = task["threads"][0]["submissions"]
        if len(submissions) == 1 and counts(one):
            people[submissions[0]["contributor_id"]] += 1
    assert {one["contributor_id"]: one["count"] for one in found["contributors"]} == people


def test_what_annotations_are_good_for_is_told_by_what_they_hold(lake, tasks):
    report = told(lake)
    uses = {entry["key"]: entry["uses"] for entry in report["keys"]}
    assert uses == {
        "quality": ["rating"], "is_harmful": ["flag"], "rewrite": ["rewrite"], "score": ["rating"], "topics": [],
        "preferred": ["choice"], "order": ["ranking"], "groups": ["ranking"],
    }  # fmt: skip
    # Of a ranking the best are counted, of several words each.
    best = collections.Counter(one["value"][0] for _, own in units(tasks, "turn") for one in own if one["key"] == "order")
    assert {value["value"]: value["count"] for value in only(report, "order")["values"]} == best
    topics = collections.Counter(
        topic for _, own in units(tasks, "message") for one in own if one["key"] == "topics" for topic in one["value"]
    )
    assert {value["value"]: value["count"] for value in only(report, "topics")["values"]} == topics


def test_it_is_told_for_people_too_and_hostile_words_stay_on_their_line(lake, tmp_path):
    text = taskloom("annotations", lake)
    assert text.startswith("version 3: 120 tasks, 8 keys\n")
    assert all(len(line) <= 80 for line in text.splitlines()[3:] if line.startswith("    ")), text
    assert "1 (Bad)" in text and "2 sets of possible values" in text and "% agree; alpha" in text
    tasks = tmp_path / "tasks.ndjson"
    hostile = annotation("k\u001b[31m\nx", "te\u0000xt", "v\u001b]0;title\u0007")
    threads = [{"id": "t", "turns": [{"id": "u", "messages": [], "annotations": [hostile]}]}]
    tasks.write_text(json.dumps({"task_id": "t", "threads": threads}), encoding="utf-8")
    taskloom("flatten", tasks, "--out", tmp_path / "lake", "--quiet")
    text = taskloom("annotations", tmp_path / "lake")
    assert not any(ord(character) < 32 and character != "\n" for character in text), repr(text)


def lake_of(folder, *annotations):
    """A lake of one message with these annotations."""
    message = {"role": "assistant", "source_id": "a", "content": {"text": "Answer"}, "annotations": list(annotations)}
    other = {"role": "assistant", "source_id": "b", "content": {"text": "Answer"}}
    threads = [{"id": "t", "turns": [{"id": "u", "messages": [message, other]}]}]
    tasks = folder / "tasks.ndjson"
    tasks.write_text(json.dumps({"task_id": "t", "threads": threads}), encoding="utf-8")
    taskloom("flatten", tasks, "--out", folder / "lake", "--quiet")
    return folder / "lake"


def test_annotations_without_a_key_are_questions_by_their_titles(tmp_path):
    lake = lake_of(tmp_path, *({"title": title, "value": value} for title, value in [("Is it true?", 1), ("Is it kind?", 5), ("Is it true?", 1)]))
    found = {entry["title"]: (entry["key"], entry["count"], entry["repeated"]["units"]) for entry in told(lake)["keys"]}
    assert found == {"Is it true?": (None, 2, 1), "Is it kind?": (None, 1, 0)}


def test_a_ranking_is_known_without_its_type(tmp_path):
    lake = lake_of(tmp_path, {"key": "order", "value": ["a", "b"]}, {"key": "tags", "type": "category_multiple", "value": ["a", "b"]})
    assert {entry["key"]: entry["uses"] for entry in told(lake)["keys"]} == {"order": ["ranking"], "tags": ["choice"]}


def test_many_judgements_of_one_message_take_no_time(tmp_path):
    lake = lake_of(tmp_path, *({"key": "k", "type": "number", "value": value % 400} for value in range(10_000)))
    found = only(told(lake), "k")
    assert found["repeated"]["most"] == 10_000 and abs(found["repeated"]["alpha"]) < 0.01


def test_long_texts_are_not_kept_and_numbers_of_any_size_fit_their_line(tmp_path):
    lake = lake_of(tmp_path, {"key": "big", "value": 1e300}, {"key": "big", "value": -1e-300}, {"key": "text", "value": "long " * 100})
    assert only(told(lake), "text")["distinct_values"] is None
    assert all(len(line) <= 80 for line in taskloom("annotations", lake).splitlines())
