"""The questions in `queries`: one text for DuckDB and Spark, asked of tasks whose answers are known."""

import json
from datetime import date

import engines
import pytest
from conftest import REPOSITORY, taskloom

QUERIES = {path.stem: path for path in (REPOSITORY / "queries").glob("*.sql")}


def message(role, text, source_id=None, model=None, annotations=(), **more):
    content = {"text": text, **more.pop("content", {})}
    if model:
        more["model_parameters"] = {"model": model}
    return {"role": role, "content": content, "source_id": source_id, "annotations": list(annotations), **more}


def user(text, **more):
    return message("user", text, "user", **more)


def answer(source_id, text, **more):
    return message("assistant", text, source_id, **more)


def says(key, value, **more):
    """An annotation, as short as the API makes it: without a type."""
    return {"key": key, "value": value, **more}


def turn(*messages, annotations=(), **more):
    return {"id": "turn_0", "messages": list(messages), "annotations": list(annotations), **more}


CHAT = {
    "task_id": "chat",
    "project": "chats",
    "batch": "first",
    "status": "completed",
    "created_at": "2025-01-01T00:00:00Z",
    "completed_at": "2025-01-02T06:30:00.9Z",
    "threads": [
        {
            "id": "thread_0",
            "annotations": [says("selected_model_id", "b"), says("ranking", ["thread"])],
            "submissions": [
                {"contributor_id": "ann", "submitted_at": "2025-01-01T23:59:59.999Z"},
                {"contributor_id": "ann", "submitted_at": "2025-01-02T00:30:00+01:00"},
            ],
            "turns": [
                # The choice is a model, the prompt the last one. A pair needs two different texts.
                turn(
                    message("system", "Be brief.", "system"),
                    user("Name a color.", annotations=[says("accuracy", 1), says("rewrite", "Name two colors.")]),
                    user(
                        "A warm one.",
                        content={
                            "attachments": [
                                {"mime_type": "image/png", "file_size_in_bytes": 1000},
                                {"mime_type": "image/png"},
                                {"mime_type": "text/plain", "content": "aSDinaTvuI8="},
                            ]
                        },
                    ),
                    answer(
                        "a",
                        "Red.",
                        model="alpha",
                        annotations=[
                            says("accuracy", 3),
                            says("rewrite", "Red!"),
                            says("rewrite", "Red, like fire."),
                            says("ranking", ["message"], type="ranked_choices"),
                        ],
                    ),
                    answer(
                        "b",
                        "Orange.",
                        annotations=[says("accuracy", 3.5), says("rewrite", "")],
                        content={
                            "chunks": [
                                {
                                    "type": "text",
                                    "text": "Orange.",
                                    "annotations": [says("accuracy", 5), says("rewrite", "chunk")],
                                }
                            ]
                        },
                    ),
                    answer(
                        "c",
                        "Red.",
                        model="gamma",
                        annotations=[
                            says("accuracy", 1, not_applicable=True),
                            says("accuracy", 1, cannot_assess=True),
                            says("selected_model_id", "c"),
                            says("likert_value", 1),
                        ],
                    ),
                    annotations=[
                        says("selected_model_id", "alpha", type="category"),
                        says("likert_value", 6, type="integer"),
                        says("ranking", ["a", "c", "b"], type="ranked_choices"),
                        says("ranking_with_ties", [["a"], ["c", "b"]], type="ranked_groups"),
                    ],
                ),
                # The choice is a source, and the model of another answer. The strength is no number.
                turn(
                    user("A cold one."),
                    answer("a", "Blue.", model="alpha", annotations=[says("accuracy", 4), says("accuracy", "good")]),
                    answer("b", "Ice."),
                    answer("c", "Gray.", model="b", annotations=[{"id": "an_1", "title": "Tone", "value": 2}]),
                    annotations=[
                        says("selected_model_id", "b"),
                        says("likert_value", "4"),
                        says("ranking", ["b", "a"]),
                        says("ranking_with_ties", [["b"], [], ["a"]]),
                    ],
                ),
                # Nobody is chosen, and the ranking is none.
                turn(
                    user("A dark one."),
                    answer("a", "Black.", model="alpha"),
                    answer("b", "Brown."),
                    annotations=[
                        says("selected_model_id", "tie"),
                        says("likert_value", 4),
                        says("ranking", ["dark"], type="category_multiple"),
                        says("ranking_with_ties", [[]]),
                    ],
                ),
                # Two annotators disagree.
                turn(
                    user("A pale one."),
                    answer("a", "White.", model="alpha"),
                    answer("b", "Cream."),
                    annotations=[
                        says("selected_model_id", "a"),
                        says("selected_model_id", "b"),
                        says("ranking", "a"),
                    ],
                ),
                # The choice fits two answers.
                turn(
                    user("A loud one."),
                    answer("a", "Pink.", model="alpha"),
                    answer("d", "Lime.", model="alpha"),
                    annotations=[says("selected_model_id", "alpha"), says("ranking", [])],
                ),
                # Two annotators agree, and a third could not tell.
                turn(
                    user("A calm one."),
                    answer("a", "Green.", model="alpha"),
                    answer("b", "Teal."),
                    annotations=[
                        says("selected_model_id", "a"),
                        says("likert_value", 2),
                        says("selected_model_id", "a"),
                        says("likert_value", 5),
                        says("selected_model_id", "b", cannot_assess=True),
                        says("likert_value", 7, cannot_assess=True),
                    ],
                ),
                # There is no prompt, and one answer comes from nobody.
                turn(
                    answer("a", "Hello."),
                    answer(None, "Hi.", annotations=[says("accuracy", 2)]),
                    annotations=[says("selected_model_id", "a")],
                ),
            ],
        }
    ],
}

RUBRICS = {
    "task_id": "rubrics",
    "project": "chats",
    "batch": "first",
    "status": "completed",
    "created_at": "2025-01-01T00:00:00Z",
    "completed_at": "2025-02-10T01:00:00Z",
    "threads": [
        {
            "id": "thread_0",
            "annotations": [],
            "submissions": [
                {"contributor_id": "ann", "submitted_at": "2025-02-09T10:00:00Z"},
                {"contributor_id": "ann"},
                {"submitted_at": "2025-02-09T11:00:00Z"},
            ],
            "turns": [
                turn(
                    user(
                        "Draw a table.",
                        content={
                            "attachments": [
                                {"mime_type": "image/png", "file_size_in_bytes": 24},
                                {"url": "https://x.test/a"},
                            ]
                        },
                    ),
                    answer(
                        "a",
                        "| |",
                        model="alpha",
                        rubric_evaluations=[
                            {
                                "criteria_evaluations": [
                                    {"criterion_definition_id": "is_table", "score": 5},
                                    {"criterion_definition_id": "is_short", "score": None},
                                    {"criterion_definition_id": "is_rude", "score": 5},
                                    {"criterion_definition_id": "is_right", "score": 2.5},
                                ],
                                "total_score": 12.5,
                                "percentage": 60,
                            }
                        ],
                    ),
                    answer(
                        "b",
                        "No.",
                        rubric_evaluations=[
                            {"criteria_evaluations": [{"criterion_definition_id": "is_rude", "score": 5}]},
                            {"total_score": 7},
                        ],
                    ),
                    annotations=[says("selected_model_id", "a")],
                    rubrics=[
                        {
                            "criteria_definitions": [
                                {"id": "is_table", "criterion": "It is a table.", "weight": 3},
                                {"id": "is_short", "criterion": "It is short.", "weight": 1},
                                {"id": "is_rude", "criterion": "It is rude.", "weight": -1},
                                {"id": "is_right", "criterion": "It is right."},
                            ]
                        },
                        {"criteria_definitions": [{"id": "is_table", "criterion": "Again.", "weight": 100}]},
                    ],
                ),
                # The same id in another turn, and an id that no rubric has.
                turn(
                    user("Once more."),
                    answer(
                        "a",
                        "|",
                        model="alpha",
                        rubric_evaluations=[
                            {
                                "criteria_evaluations": [
                                    {"criterion_definition_id": "is_table", "score": 4},
                                    {"criterion_definition_id": "is_new", "score": 1},
                                ]
                            }
                        ],
                    ),
                    rubrics=[
                        {"criteria_definitions": [{"id": "is_table", "criterion": "It is a table.", "weight": 2}]}
                    ],
                ),
            ],
        }
    ],
}

REPORTED = {
    "task_id": "reported",
    "project": "chats",
    "batch": "first",
    "status": "completed",
    "created_at": "2025-01-02T00:00:00Z",
    "completed_at": "2025-01-02T02:00:00Z",
    "sensitive_content_reports": [{"type": "pii", "message": "A name."}, {"type": "violence"}],
}

# Failed by its status, by its errors, and by both.
FAILED = [
    {
        "task_id": f"failed_{number}",
        "project": "chats",
        "batch": "first",
        "created_at": "2025-01-02T00:00:00Z",
        "threads": [],
        **how,
    }
    for number, how in enumerate(
        [
            {"status": "error"},
            {"status": "pending", "errors": [{"type": "INVALID_CATEGORY"}]},
            {"status": "error", "errors": [{"type": "PROMPT_INFEASIBLE"}, {"message": "Too hard."}]},
        ]
    )
]

# Without a batch, completed before it was created.
ALONE = {
    "task_id": "alone",
    "project": "other",
    "batch": None,
    "status": "completed",
    "created_at": "2025-01-03T10:00:00Z",
    "completed_at": "2025-01-03T08:45:36Z",
    "errors": [],
    "threads": [
        {
            "id": "thread_0",
            "turns": [],
            "annotations": [],
            "submissions": [
                {"contributor_id": "ann", "submitted_at": "2025-01-01T12:00:00Z"},
                {"contributor_id": "bea", "submitted_at": "2025-01-01T12:00:00Z"},
            ],
        }
    ],
}

TASKS = [CHAT, RUBRICS, REPORTED, *FAILED, ALONE]

ANSWERS = {
    "preference_pairs": [
        ("chat", 0, 0, 3, 4, "A warm one.", "Red.", "Orange.", "alpha", "b", 6.0),
        ("chat", 0, 1, 2, 1, "A cold one.", "Ice.", "Blue.", "b", "alpha", None),
        ("chat", 0, 1, 2, 3, "A cold one.", "Ice.", "Gray.", "b", "b", None),
        ("chat", 0, 5, 1, 2, "A calm one.", "Green.", "Teal.", "alpha", "b", 3.5),
        ("rubrics", 0, 0, 1, 2, "Draw a table.", "| |", "No.", "alpha", "b", None),
    ],
    "sft_chats": [
        ("chat", 0, 0, 0, "system", "Be brief.", False, 3),
        ("chat", 0, 0, 1, "user", "Name a color.", False, 3),
        ("chat", 0, 0, 2, "user", "A warm one.", False, 3),
        ("chat", 0, 0, 3, "assistant", "Red, like fire.", True, 3),
        ("chat", 0, 0, 4, "assistant", "Orange.", False, 3),
        ("chat", 0, 0, 5, "assistant", "Red.", False, 3),
        ("chat", 0, 1, 0, "user", "A cold one.", False, 3),
        ("chat", 0, 1, 1, "assistant", "Blue.", False, 3),
        ("chat", 0, 1, 2, "assistant", "Ice.", False, 3),
        ("chat", 0, 1, 3, "assistant", "Gray.", False, 3),
        ("chat", 0, 2, 0, "user", "A dark one.", False, 2),
        ("chat", 0, 2, 1, "assistant", "Black.", False, 2),
        ("chat", 0, 2, 2, "assistant", "Brown.", False, 2),
        ("chat", 0, 3, 0, "user", "A pale one.", False, 2),
        ("chat", 0, 3, 1, "assistant", "White.", False, 2),
        ("chat", 0, 3, 2, "assistant", "Cream.", False, 2),
        ("chat", 0, 4, 0, "user", "A loud one.", False, 2),
        ("chat", 0, 4, 1, "assistant", "Pink.", False, 2),
        ("chat", 0, 4, 2, "assistant", "Lime.", False, 2),
        ("chat", 0, 5, 0, "user", "A calm one.", False, 2),
        ("chat", 0, 5, 1, "assistant", "Green.", False, 2),
        ("chat", 0, 5, 2, "assistant", "Teal.", False, 2),
        ("chat", 0, 6, 0, "assistant", "Hello.", False, 2),
        ("chat", 0, 6, 1, "assistant", "Hi.", False, 2),
        ("rubrics", 0, 0, 0, "user", "Draw a table.", False, 2),
        ("rubrics", 0, 0, 1, "assistant", "| |", False, 2),
        ("rubrics", 0, 0, 2, "assistant", "No.", False, 2),
        ("rubrics", 0, 1, 0, "user", "Once more.", False, 1),
        ("rubrics", 0, 1, 1, "assistant", "|", False, 1),
    ],
    "mean_rating": [
        ("b", "Tone", 1, 2.0),
        ("alpha", "accuracy", 2, 3.5),
        ("b", "accuracy", 1, 3.5),
        (None, "accuracy", 1, 2.0),
        ("gamma", "likert_value", 1, 1.0),
    ],
    "rubric_scores": [
        ("rubrics", 0, 0, 1, 0, "alpha", 3, 1, 12.5, 20.0, 0.625, 12.5, 60.0),
        ("rubrics", 0, 0, 2, 0, "b", 1, 0, -5.0, 0.0, None, None, None),
        ("rubrics", 0, 0, 2, 1, "b", 0, 0, None, None, None, 7.0, None),
        ("rubrics", 0, 1, 1, 0, "alpha", 2, 0, 9.0, 15.0, 0.6, None, None),
    ],
    "ranked_choices": [
        ("chat", 0, 0, 2, 1, "a"),
        ("chat", 0, 0, 2, 2, "c"),
        ("chat", 0, 0, 2, 3, "b"),
        ("chat", 0, 1, 2, 1, "b"),
        ("chat", 0, 1, 2, 2, "a"),
    ],
    "ranked_groups": [
        ("chat", 0, 0, 3, 1, "a", False),
        ("chat", 0, 0, 3, 2, "b", True),
        ("chat", 0, 0, 3, 2, "c", True),
        ("chat", 0, 1, 3, 1, "b", False),
        ("chat", 0, 1, 3, 3, "a", False),
    ],
    "error_rate": [
        ("chats", "first", date(2025, 1, 1), 2, 0, 0.0),
        ("chats", "first", date(2025, 1, 2), 4, 3, 0.75),
        ("other", None, date(2025, 1, 3), 1, 0, 0.0),
    ],
    "throughput": [
        ("ann", date(2025, 1, 1), 3, 2),
        ("ann", date(2025, 2, 9), 1, 1),
        ("ann", None, 1, 1),
        ("bea", date(2025, 1, 1), 1, 1),
        (None, date(2025, 2, 9), 1, 1),
    ],
    # Of 2, 30.5 and 961 hours.
    "turnaround": [("chats", "first", 3, 30.5, 774.9), ("other", None, 1, -1.24, -1.24)],
    "reported_tasks": [
        ("chats", "first", date(2025, 1, 2), "reported", "completed", 0, "pii", "A name."),
        ("chats", "first", date(2025, 1, 2), "reported", "completed", 1, "violence", None),
    ],
    "attachments": [("image/png", 3, 2, 1024, 2), ("text/plain", 1, 1, 8, 1), (None, 1, 0, None, 1)],
    # One of the two that it says it has.
    "delivery_completeness": [("d1", "the first", None, 2, 1, 1, False)],
}

# A page of a delivery.
DELIVERED = {"delivery": {"id": "d1", "name": "the first", "task_count": 2}, "tasks": [CHAT]}


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """The folder of a lake of the tasks above."""
    folder = tmp_path_factory.mktemp("known")
    tasks = folder / "tasks.ndjson"
    tasks.write_text("".join(json.dumps(task) + "\n" for task in [*TASKS, DELIVERED]), encoding="utf-8")
    taskloom("flatten", tasks, "--out", folder / "lake")
    return folder / "lake"


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def ask_known(request, known):
    """Asks an engine a question about the tasks above."""
    if request.param == "duckdb":
        return asker_of_duckdb(known)
    return asker_of_spark(known, request.getfixturevalue("spark"))


def asker_of_duckdb(lake):
    connection = engines.in_duckdb(lake)
    return lambda question: connection.sql(text(question)).fetchall()


def asker_of_spark(lake, spark):
    engines.in_python("spark", lake)
    return lambda question: [tuple(row) for row in spark.sql(text(question)).collect()]


def text(question):
    return QUERIES[question].read_text(encoding="utf-8")


def about(rows):
    """Rows that are equal to these but for the last digits of numbers: engines add them up in another order."""
    return [pytest.approx(row) for row in rows]


def test_every_query_has_a_known_answer():
    assert QUERIES.keys() == ANSWERS.keys()


@pytest.mark.parametrize("question", ANSWERS)
def test_an_engine_gives_the_known_answer(question, ask_known):
    assert ask_known(question) == about(ANSWERS[question])


def test_duckdb_and_spark_agree_on_every_question(generated, spark):
    ask_duckdb, ask_spark = asker_of_duckdb(generated.root), asker_of_spark(generated.root, spark)
    for question in QUERIES:
        rows = ask_duckdb(question)
        # What is generated was not delivered.
        assert rows or question == "delivery_completeness", f"nothing answers {question}"
        assert ask_spark(question) == about(rows), question
