"""Tasks written by hand, each beside what the lake must make of it."""

import json
from datetime import date, datetime, timezone

import pytest
from conftest import TABLES

BASIC_FILE = {
    "mime_type": "text/plain",
    "name": "a.txt",
    "content": "aSDinaTvuI8=",
    "url": "https://x.test/a?sig=1&k=ü",
}
IMAGE_FILE = {"mime_type": "image/png", "name": "b.png", "scale_url": "https://s.test/b", "file_size_in_bytes": 2**40}
AUDIO_FILE = {
    "mime_type": "audio/wav",
    "url": "https://x.test/c",
    "duration": 12.75,
    "transcript": "Grüß Gott",
    "transcript_url": "https://x.test/c.txt",
    "transcript_start": 0,
    "transcript_end": 12.5,
}

# A task with everything that the API knows, and an annotation on everything that can have one.
WHOLE = {
    "task_id": "whole",
    "project": {
        "id": "project_whole",
        "name": "The whole project",
        "created_at": "2024-12-31T23:00:00-05:00",
        "types": ["Chat", "Ranking"],
        "models": [],
        "team": {"size": 3},
    },
    "batch": {
        "id": "batch_whole",
        "name": "The whole batch",
        "project": "project_whole",
        "created_at": "2025-01-01T00:00:00Z",
        "completed_at": None,
        "status": "in_progress",
        "callback": "https://x.test/back",
        "metadata": {"wave": 3},
    },
    "status": "completed",
    "created_at": "2025-01-01T08:31:03.169Z",
    "completed_at": "2025-01-02T04:00:39.923456+05:30",
    "metadata": {"wave": 7, "names": ["Ада", "愛"], "nested": {"null": None, "yes": True, "half": 0.5}},
    "threads": [
        {
            "id": "thread_0",
            "annotations": [{"id": "a1", "key": "on_thread", "value": "whole"}],
            "submissions": [
                {"submitted_at": "2025-01-01T20:00:00+02:00", "contributor_id": "someone"},
                {"contributor_id": None},
            ],
            "turns": [
                {
                    "id": "turn_0",
                    "annotations": [{"key": "on_turn", "value": 1}, {"key": "on_turn_too", "value": 2}],
                    "rubrics": [
                        {
                            "max_total_score": 10,
                            "criteria_definitions": [
                                {
                                    "id": "criterion_0",
                                    "criterion": "The answer is a table.",
                                    "weight": 2.5,
                                    "annotations": [{"key": "on_rubric_criterion", "value": True}],
                                },
                                {"id": "criterion_1", "criterion": "The answer is short."},
                            ],
                        }
                    ],
                    "messages": [
                        {
                            "role": "user",
                            "source_id": "user",
                            "content": {
                                "text": 'A first prompt\nwith "quotes", \\ and 🧵',
                                "reference_texts": [
                                    {"content": "a text", "category": "news", "url": "https://x.test/r"},
                                    {"content": ""},
                                ],
                                "attachments": [BASIC_FILE, IMAGE_FILE, AUDIO_FILE],
                            },
                            "annotations": [],
                        },
                        {
                            "role": "assistant",
                            "source_id": "model_1",
                            "content": {
                                "text": "An answer",
                                "chunks": [
                                    {"type": "text", "text": "An "},
                                    {
                                        "type": "text",
                                        "text": "answer",
                                        "annotations": [{"key": "on_chunk", "value": 5}],
                                    },
                                ],
                                "reasoning": [{"content": "First"}, {"content": "Then"}],
                            },
                            "model_parameters": {
                                "model": "model-a",
                                "temperature": 0.9,
                                "max_completion_tokens": 9_007_199_254_740_993,
                                "top_p": 1,
                                "top_k": 40,
                            },
                            "annotations": [{"id": "a2", "key": "on_message", "value": 3.5}],
                            "rubric_evaluations": [
                                {
                                    "total_score": 7.5,
                                    "percentage": 75,
                                    "annotations": [{"key": "on_rubric_evaluation", "value": "good"}],
                                    "criteria_evaluations": [
                                        {
                                            "criterion_definition_id": "criterion_0",
                                            "score": 2,
                                            "annotations": [{"key": "on_criterion_evaluation", "value": ["x"]}],
                                        }
                                    ],
                                }
                            ],
                        },
                    ],
                }
            ],
        },
        {"id": "thread_0", "turns": [], "annotations": []},
    ],
    "errors": [{"type": "UNSUPPORTED_LANGUAGE", "message": "No."}, {"type": "A_NEW_ONE"}],
    "sensitive_content_reports": [{"type": "pii", "message": "a name"}],
}

WORKSPACE = {
    "workspace_id": "w1",
    "workspace_config": {"workspace_token": "SECRET-1", "image": "python"},
    "output_files": [{"url": "https://x.test/o"}],
    "stdout_output": "ok\n",
}
REDACTED_WORKSPACE = WORKSPACE | {"workspace_config": {"workspace_token": "[redacted]", "image": "python"}}

# An annotation, and which of VALUE_COLUMNS it must fill. All others of them are null.
ANNOTATIONS = [
    # The types of the API.
    (
        {"type": "integer", "value": 3, "possible_values": [1, 2, 3], "labels": ["Bad", "Fair", "Good"]},
        {"value_integer": 3, "value_number": 3.0, "value_label": "Good", "possible_values": [1, 2, 3]},
    ),
    (
        {"type": "boolean", "value": False, "possible_values": [True, False], "labels": ["Yes", "No"]},
        {"value_boolean": False, "value_label": "No", "possible_values": [True, False]},
    ),
    ({"type": "text", "value": "free\twords"}, {"value_text": "free\twords"}),
    (
        {"type": "category", "value": "b", "possible_values": ["a", "b"], "labels": ["The A", "The B"]},
        {"value_text": "b", "value_label": "The B", "possible_values": ["a", "b"]},
    ),
    (
        {"type": "category_multiple", "value": ["b", "a"], "possible_values": ["a", "b"], "labels": ["The A", "The B"]},
        {"value_list": ["b", "a"], "value_labels": ["The B", "The A"], "possible_values": ["a", "b"]},
    ),
    ({"type": "file", "value": BASIC_FILE}, {"value_json": BASIC_FILE}),
    ({"type": "file", "value": [IMAGE_FILE, AUDIO_FILE]}, {"value_json": [IMAGE_FILE, AUDIO_FILE]}),
    ({"type": "ranked_choices", "value": ["best", "worst"]}, {"value_list": ["best", "worst"]}),
    ({"type": "ranked_groups", "value": [["a"], ["b", "c"], []]}, {"value_groups": [["a"], ["b", "c"], []]}),
    (
        {"type": "labeled_text", "value": [{"label": "noun", "text": "tree"}, {"text": "is"}]},
        {"value_json": [{"label": "noun", "text": "tree"}, {"text": "is"}]},
    ),
    (
        {"type": "rubric_criteria", "value": {"weight": 2, "by": "x"}},
        {"value_json": {"weight": 2, "by": "x"}, "value_weight": 2.0},
    ),
    (
        {"type": "rubric_rating", "value": {"score": 0.25, "color": "red", "justification": "so"}},
        {"value_json": {"score": 0.25, "color": "red", "justification": "so"}, "value_score": 0.25},
    ),
    ({"type": "workspace_container", "value": WORKSPACE}, {"value_json": REDACTED_WORKSPACE}),
    # A type says nothing about the value: it may be wrong, new or missing.
    ({"type": "integer", "value": "three"}, {"value_text": "three"}),
    ({"type": "a new one", "value": True}, {"value_boolean": True}),
    ({"value": 3.5}, {"value_number": 3.5}),
    ({"value": None}, {}),
    ({"type": "text"}, {}),
    ({"type": "text", "value": ""}, {"value_text": ""}),
    # Lists.
    ({"value": []}, {"value_list": []}),
    ({"value": ["a", "", "愛"]}, {"value_list": ["a", "", "愛"]}),
    ({"value": [1, 2]}, {"value_json": [1, 2]}),
    ({"value": ["a", None]}, {"value_json": ["a", None]}),
    ({"value": [["a"], "b"]}, {"value_json": [["a"], "b"]}),
    ({"value": [["a", 1]]}, {"value_json": [["a", 1]]}),
    ({"value": [[["a"]]]}, {"value_json": [[["a"]]]}),
    ({"value": {}}, {"value_json": {}}),
    # Numbers, up to and beyond what 64 bits and doubles hold.
    ({"value": 0}, {"value_integer": 0, "value_number": 0.0}),
    ({"value": -(2**63)}, {"value_integer": -(2**63), "value_number": -(2.0**63)}),
    ({"value": 2**63 - 1}, {"value_integer": 2**63 - 1, "value_number": 2.0**63}),
    ({"value": 2**53 + 1}, {"value_integer": 2**53 + 1, "value_number": 2.0**53}),
    ({"value": 2**63 + 1}, {"value_number": 2.0**63, "value_json": 2**63 + 1}),
    (
        {"value": 12345678901234567890123},
        {"value_number": 12345678901234567890123.0, "value_json": 12345678901234567890123},
    ),
    ({"value": 10**30}, {"value_number": 1e30}),
    ({"value": 0.1}, {"value_number": 0.1}),
    ({"value": -1.7976931348623157e308}, {"value_number": -1.7976931348623157e308}),
    ({"value": 5e-324}, {"value_number": 5e-324}),
    ({"value": 10**400}, {"value_json": 10**400}),
    # Labels.
    (
        {"value": 2, "possible_values": [[1, 2]], "labels": ["One", "Two"]},
        {"value_integer": 2, "value_number": 2.0, "value_label": "Two", "possible_values": [[1, 2]]},
    ),
    (
        {"value": 4, "possible_values": [1, 2], "labels": ["One", "Two"]},
        {"value_integer": 4, "value_number": 4.0, "possible_values": [1, 2]},
    ),
    (
        {"value": True, "possible_values": [1, True], "labels": ["One", "True"]},
        {"value_boolean": True, "value_label": "True", "possible_values": [1, True]},
    ),
    (
        {"value": ["a", "z"], "possible_values": ["a"], "labels": ["The A"]},
        {"value_list": ["a", "z"], "possible_values": ["a"]},
    ),
    (
        {"value": "b", "possible_values": ["a", "b"], "labels": ["The A"]},
        {"value_text": "b", "possible_values": ["a", "b"]},
    ),
    # Criteria.
    ({"metadata": {"criteria": "c1", "more": [1]}}, {"criteria": "c1", "metadata": {"criteria": "c1", "more": [1]}}),
    (
        {"metadata": {"criteria": {"id": "c2", "key": "k"}}},
        {"criteria": "c2", "metadata": {"criteria": {"id": "c2", "key": "k"}}},
    ),
    ({"metadata": {"criteria": {"key": "k"}}}, {"criteria": "k", "metadata": {"criteria": {"key": "k"}}}),
    ({"metadata": {"criteria": 5}}, {"metadata": {"criteria": 5}}),
    ({"metadata": {}}, {"metadata": {}}),
    # What no column can hold.
    ({"confidence": 0.5, "key": 7}, {"extra": {"confidence": 0.5, "key": 7}}),
    ({"not_applicable": "no", "labels": ["a", 1]}, {"extra": {"not_applicable": "no", "labels": ["a", 1]}}),
]
VALUE_COLUMNS = [
    "value_text", "value_boolean", "value_number", "value_integer", "value_list", "value_groups", "value_json",
    "value_score", "value_weight", "value_label", "value_labels", "possible_values", "criteria", "metadata", "extra",
]  # fmt: skip
JSON_COLUMNS = ["value_json", "possible_values", "metadata", "extra"]

# A time as the API may write it, and the instant.
TIMES = [
    ("2025-01-02T04:00:39.923Z", (2025, 1, 2, 4, 0, 39, 923000)),
    ("2025-01-02T04:00:39.923456Z", (2025, 1, 2, 4, 0, 39, 923456)),
    ("2025-01-02T04:00:39.923456789Z", (2025, 1, 2, 4, 0, 39, 923456)),
    ("2025-01-02T04:00:39", (2025, 1, 2, 4, 0, 39)),
    ("2025-01-02T04:00:39+05:30", (2025, 1, 1, 22, 30, 39)),
    ("2025-01-01T23:59:59.999999-12:00", (2025, 1, 2, 11, 59, 59, 999999)),
    ("1969-12-31T23:59:59.999999Z", (1969, 12, 31, 23, 59, 59, 999999)),
    ("1969-12-31T23:59:59.9999999Z", (1969, 12, 31, 23, 59, 59, 999999)),
    ("1970-01-01T00:00:00Z", (1970, 1, 1)),
    ("0001-01-01T00:00:00Z", (1, 1, 1)),
    ("9999-12-31T23:59:59.999999Z", (9999, 12, 31, 23, 59, 59, 999999)),
]
NO_TIMES = ["soon", "", "2025-02-30T00:00:00Z", 1735689600, {"at": "2025-01-01T00:00:00Z"}]

LONG_ID = "long/" * 60
ALSO_LONG_ID = LONG_ID[:-1] + "!"
LONG_WIDE_ID = "長い" * 150
HARD_IDS = [
    "..", ".", "a/b", "p=q", "100%", "%2F", "CON", "🧵", "0012", "1e5", "true", "null", "NULL", "a b", " ", " padded ",
    "Ünïcödé 愛", "a~b", "a\\b", "a:b*c?", "#{[^]}", "'\"`", "<&|>;$(x)", "line\nbreak", "tab\t", "nul\0",
    "2025-01-01", "-", "_hidden", ".hidden", "x" * 200, "", "__HIVE_DEFAULT_PARTITION__",
    LONG_ID, ALSO_LONG_ID, LONG_WIDE_ID,
]  # fmt: skip


def about_annotations(index):
    """The n-th annotation. The title finds it again; it has no key, as Scale's published samples show."""
    return {"title": f"annotation {index}"} | ANNOTATIONS[index][0]


TASKS = [
    WHOLE,
    {
        "task_id": "values",
        "project": "project_values",
        "batch": "batch_values",
        "status": "completed",
        "completed_at": "2025-01-02T00:00:00Z",
        "threads": [
            {
                "turns": [
                    {"messages": [{"annotations": [about_annotations(index) for index in range(len(ANNOTATIONS))]}]}
                ]
            }
        ],
    },
    # Child arrays that are absent, null and empty.
    {"task_id": "absent", "project": "project_counts"},
    {
        "task_id": "null",
        "project": "project_counts",
        "batch": None,
        "status": None,
        "created_at": None,
        "completed_at": None,
        "metadata": None,
        "threads": None,
        "errors": None,
        "sensitive_content_reports": None,
    },
    {
        "task_id": "empty",
        "project": "project_counts",
        "metadata": {},
        "threads": [],
        "errors": [],
        "sensitive_content_reports": [],
    },
    {
        "task_id": "empty below",
        "project": "project_counts",
        "threads": [
            {},
            {"turns": None, "annotations": None, "submissions": None},
            {"turns": [], "annotations": [], "submissions": []},
            {
                "turns": [
                    {},
                    {"messages": [], "annotations": [], "rubrics": []},
                    {
                        "rubrics": [
                            {},
                            {"criteria_definitions": []},
                            {"criteria_definitions": [{}, {"annotations": []}]},
                        ],
                        "messages": [
                            {},
                            {"content": {}, "annotations": [], "rubric_evaluations": []},
                            {"content": {"reference_texts": [], "attachments": [], "chunks": [], "reasoning": []}},
                            {"content": {"chunks": [{}, {"annotations": []}]}},
                            {"rubric_evaluations": [{}, {"criteria_evaluations": [], "annotations": []}]},
                        ],
                    },
                ]
            },
        ],
    },
    # What no column can hold.
    {
        "task_id": "unknown",
        "project": {"id": "project_unknown", "owner": "someone"},
        "batch": 7,
        "status": {"word": "completed"},
        "created_at": "2025-03-01T00:00:00Z",
        "priority": 5,
        "nothing": None,
        "empty": {},
        "threads": [
            {
                "id": 12,
                "colour": ["red"],
                "submissions": [{"submitted_at": "soon", "contributor_id": "c"}],
                "turns": [
                    {
                        "locale": "de",
                        "messages": [
                            {
                                "role": 3,
                                "content": {"text": ["not", "text"], "lang": "de"},
                                "model_parameters": {
                                    "temperature": "hot",
                                    "seed": 42,
                                    "top_k": 2.5,
                                    "max_completion_tokens": 2048.0,
                                },
                            },
                            {"role": "system", "content": "a bare text", "model_parameters": {}},
                            {"role": "function", "content": {"chunks": [{"type": "image", "text": 1, "alt": "x"}]}},
                        ],
                    }
                ],
            }
        ],
        "errors": [{"type": "X", "code": 17}],
        "sensitive_content_reports": [{"severity": "high"}],
    },
    {
        "task_id": "texts",
        "project": "project_texts",
        "metadata": {"workspace_token": "SECRET-2", "deep": [{"workspace_token": {"also": "SECRET-3"}}]},
        "workspace_token": "SECRET-4",
        "threads": [
            {
                "workspace_token": None,
                "turns": [
                    {
                        "messages": [
                            {"role": "user", "content": {"text": text}}
                            for text in [
                                "",
                                "nul \0 inside",
                                "🧵 loom – λόγος – לוּם",
                                "\u2028 \u0085 \ufeff",
                                "e\u0301 é",
                                "x" * 100_000,
                                "\ud7ff\U0010ffff",
                            ]
                        ]
                    }
                ],
            }
        ],
    },
    {
        "task_id": "times",
        "project": "project_times",
        "created_at": "1969-12-31T23:30:00-01:00",
        "completed_at": "1960-02-29T22:30:00.000001-02:00",
        "threads": [{"submissions": [{"submitted_at": text} for text in [time for time, _ in TIMES] + NO_TIMES]}],
    },
    # Its day is the one of `created_at`, in UTC, as long as it isn't completed.
    {
        "task_id": "pending",
        "project": "project_times",
        "status": "pending",
        "created_at": "2025-03-01T20:00:00-08:00",
        "threads": [],
    },
    *[
        {
            "task_id": f"hard {index:02}",
            "project": project,
            "batch": batch,
            "completed_at": "2025-05-05T05:05:05Z",
            "threads": [{"turns": [{"messages": [{"role": "user", "content": {"text": project}}]}]}],
        }
        for index, (project, batch) in enumerate(zip(HARD_IDS, reversed(HARD_IDS)))
    ],
]

DELIVERY_PAGE = {
    "delivery": {
        "id": "delivery_1",
        "name": "First delivery",
        "task_count": 2**33,
        "delivered_at": "2025-06-01T00:00:00.5+02:00",
        "project": {"id": "project_delivered", "name": "Delivered", "created_at": "2025-01-01T00:00:00Z"},
        "note": "with a note",
    },
    "tasks": [
        {"task_id": "delivered 2", "project": "project_delivered", "completed_at": "2025-06-01T00:00:00Z"},
        {"task_id": "delivered 1", "project": "a/b", "batch": {"id": "bare"}, "completed_at": "2025-06-01T00:00:00Z"},
    ],
    "next_token": None,
}


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


def decoded(row, *names):
    """The row with its JSON columns decoded."""
    return row | {name: None if row[name] is None else json.loads(row[name]) for name in names}


def only(rows):
    assert len(rows) == 1
    return rows[0]


def test_a_task_fills_its_row(hand_written):
    row = only(hand_written.records_of("SELECT * EXCLUDE content_hash FROM tasks WHERE task_id = 'whole'"))
    assert decoded(row, "metadata", "extra") == {
        "task_id": "whole",
        "project_id": "project_whole",
        "project_name": "The whole project",
        "batch_id": "batch_whole",
        "batch_name": "The whole batch",
        "status": "completed",
        "created_at": utc(2025, 1, 1, 8, 31, 3, 169000),
        "completed_at": utc(2025, 1, 1, 22, 30, 39, 923456),
        "metadata": {"wave": 7, "names": ["Ада", "愛"], "nested": {"null": None, "yes": True, "half": 0.5}},
        "thread_count": 2,
        "turn_count": 1,
        "message_count": 2,
        "annotation_count": 8,
        "task_error_count": 2,
        "sensitive_content_report_count": 1,
        "extra": {
            "project": {
                "created_at": "2024-12-31T23:00:00-05:00",
                "types": ["Chat", "Ranking"],
                "models": [],
                "team": {"size": 3},
            },
            "batch": {
                "project": "project_whole",
                "created_at": "2025-01-01T00:00:00Z",
                "status": "in_progress",
                "callback": "https://x.test/back",
                "metadata": {"wave": 3},
            },
        },
        "project": "project_whole",
        "batch": "batch_whole",
        "date": date(2025, 1, 1),
    }


def test_errors_reports_threads_and_submissions_fill_their_rows(hand_written):
    def rows(table):
        return hand_written.rows(
            f"SELECT * EXCLUDE (project, batch, date) FROM {table} WHERE task_id = 'whole' ORDER BY ALL"
        )

    assert rows("task_errors") == [
        ("whole", 0, "UNSUPPORTED_LANGUAGE", "No.", None),
        ("whole", 1, "A_NEW_ONE", None, None),
    ]
    assert rows("sensitive_content_reports") == [("whole", 0, "pii", "a name", None)]
    assert rows("threads") == [
        ("whole", 0, "thread_0", 1, 1, 2, None),
        ("whole", 1, "thread_0", 0, 0, None, None),
    ]
    assert rows("submissions") == [
        ("whole", 0, 0, "thread_0", utc(2025, 1, 1, 18), "someone", None),
        ("whole", 0, 1, "thread_0", None, None, None),
    ]


def test_turns_rubrics_and_evaluations_fill_their_rows(hand_written):
    def rows(table):
        return hand_written.rows(
            f"SELECT * EXCLUDE (project, batch, date) FROM {table} WHERE task_id = 'whole' ORDER BY ALL"
        )

    ids = ("thread_0", "turn_0")
    assert rows("turns") == [("whole", 0, 0, *ids, 2, 2, 1, None)]
    assert rows("rubrics") == [("whole", 0, 0, 0, *ids, 10.0, 2, None)]
    assert rows("rubric_criteria") == [
        ("whole", 0, 0, 0, 0, *ids, "criterion_0", "The answer is a table.", 2.5, 1, None),
        ("whole", 0, 0, 0, 1, *ids, "criterion_1", "The answer is short.", None, None, None),
    ]
    assert rows("rubric_evaluations") == [("whole", 0, 0, 1, 0, *ids, 7.5, 75.0, 1, 1, None)]
    assert rows("criterion_evaluations") == [("whole", 0, 0, 1, 0, 0, *ids, "criterion_0", 2.0, 1, None)]


def test_messages_and_their_content_fill_their_rows(hand_written):
    def rows(table):
        ids = "project, batch, date, task_id, thread_id, turn_id"
        return hand_written.rows(f"SELECT * EXCLUDE ({ids}) FROM {table} WHERE task_id = 'whole' ORDER BY ALL")

    first, second = (0, 0, 0), (0, 0, 1)
    no_model, model = (None,) * 5, ("model-a", 0.9, 9_007_199_254_740_993, 1.0, 40)
    assert rows("messages") == [
        (
            *first,
            "user",
            "user",
            'A first prompt\nwith "quotes", \\ and 🧵',
            *no_model,
            0,
            None,
            2,
            3,
            None,
            None,
            None,
        ),
        (*second, "assistant", "model_1", "An answer", *model, 1, 1, None, None, 2, 2, None),
    ]
    assert rows("reference_texts") == [
        (*first, 0, "a text", "news", "https://x.test/r", None),
        (*first, 1, "", None, None, None),
    ]
    no_audio, audio = (None,) * 5, (12.75, "Grüß Gott", "https://x.test/c.txt", 0.0, 12.5)
    # printf 'aSDinaTvuI8=' | base64 -d | sha256sum
    digest = ("2ae25c5d9e8fecb56c85d266474dffd0162b4ceedc0d5b1326451767cddaaad9", 8)
    # Nobody asked for the others.
    kept = (None,) * 5
    assert rows("attachments") == [
        (*first, 0, "text/plain", "a.txt", "aSDinaTvuI8=", "https://x.test/a?sig=1&k=ü", None, None, *no_audio, None, *digest, *kept),
        (*first, 1, "image/png", "b.png", None, None, "https://s.test/b", 2**40, *no_audio, None, None, None, *kept),
        (*first, 2, "audio/wav", None, None, "https://x.test/c", None, None, *audio, None, None, None, *kept),
    ]
    assert rows("chunks") == [(*second, 0, "text", "An ", None, None), (*second, 1, "text", "answer", 1, None)]
    assert rows("reasoning") == [(*second, 0, "First", None), (*second, 1, "Then", None)]


def test_an_annotation_tells_what_it_stands_on(hand_written):
    found = hand_written.rows(
        """
        SELECT key, scope, thread_index, turn_index, message_index, chunk_index, rubric_index, rubric_criterion_index,
            rubric_evaluation_index, criterion_evaluation_index, annotation_index, turn_id
        FROM annotations WHERE task_id = 'whole'
        """
    )
    assert sorted(found) == [
        ("on_chunk", "chunk", 0, 0, 1, 1, None, None, None, None, 0, "turn_0"),
        ("on_criterion_evaluation", "criterion_evaluation", 0, 0, 1, None, None, None, 0, 0, 0, "turn_0"),
        ("on_message", "message", 0, 0, 1, None, None, None, None, None, 0, "turn_0"),
        ("on_rubric_criterion", "rubric_criterion", 0, 0, None, None, 0, 0, None, None, 0, "turn_0"),
        ("on_rubric_evaluation", "rubric_evaluation", 0, 0, 1, None, None, None, 0, None, 0, "turn_0"),
        ("on_thread", "thread", 0, None, None, None, None, None, None, None, 0, None),
        ("on_turn", "turn", 0, 0, None, None, None, None, None, None, 0, "turn_0"),
        ("on_turn_too", "turn", 0, 0, None, None, None, None, None, None, 1, "turn_0"),
    ]


@pytest.mark.parametrize("index", range(len(ANNOTATIONS)), ids=lambda index: json.dumps(ANNOTATIONS[index][0])[:60])
def test_an_annotation_lands_in_the_right_columns(hand_written, index):
    annotation, expected = ANNOTATIONS[index]
    row = only(hand_written.records_of(f"FROM annotations WHERE task_id = 'values' AND annotation_index = {index}"))
    row = decoded(row, *JSON_COLUMNS)
    found = {name: row[name] for name in VALUE_COLUMNS if row[name] is not None}
    # Python takes True for 1 and 1.0 for 1, so the spelling is compared too.
    assert found == expected
    assert repr(sorted(found.items())) == repr(sorted(expected.items()))
    assert (row["title"], row["type"]) == (f"annotation {index}", annotation.get("type"))


def test_absent_and_null_arrays_are_null_and_empty_ones_zero(hand_written):
    columns = "thread_count, task_error_count, sensitive_content_report_count, metadata"
    counts = f"SELECT {columns} FROM tasks WHERE task_id = '{{}}'"
    assert hand_written.rows(counts.format("absent")) == [(None, None, None, None)]
    assert hand_written.rows(counts.format("null")) == [(None, None, None, None)]
    assert hand_written.rows(counts.format("empty")) == [(0, 0, 0, "{}")]

    def below(table, columns):
        return hand_written.rows(f"SELECT {columns} FROM {table} WHERE task_id = 'empty below' ORDER BY ALL")

    assert below("threads", "thread_index, turn_count, annotation_count, submission_count") == [
        (0, None, None, None),
        (1, None, None, None),
        (2, 0, 0, 0),
        (3, 3, None, None),
    ]
    assert below("turns", "turn_index, message_count, annotation_count, rubric_count") == [
        (0, None, None, None),
        (1, 0, 0, 0),
        (2, 5, None, 3),
    ]
    assert below("rubrics", "rubric_index, rubric_criterion_count") == [(0, None), (1, 0), (2, 2)]
    assert below("rubric_criteria", "rubric_index, rubric_criterion_index, annotation_count") == [
        (2, 0, None),
        (2, 1, 0),
    ]
    assert below("messages", "message_index, COLUMNS('_count$'), extra") == [
        (0, None, None, None, None, None, None, None),
        (1, 0, 0, None, None, None, None, '{"content":{}}'),
        (2, None, None, 0, 0, 0, 0, None),
        (3, None, None, None, None, 2, None, None),
        (4, None, 2, None, None, None, None, None),
    ]
    assert below("chunks", "chunk_index, annotation_count") == [(0, None), (1, 0)]
    assert below("rubric_evaluations", "rubric_evaluation_index, criterion_evaluation_count, annotation_count") == [
        (0, None, None),
        (1, 0, 0),
    ]


def test_what_no_column_holds_stands_in_extra(hand_written):
    def extra(table):
        rows = hand_written.records_of(f"FROM {table} WHERE task_id = 'unknown' ORDER BY ALL")
        return [decoded(row, "extra")["extra"] for row in rows]

    assert extra("tasks") == [
        {"project": {"owner": "someone"}, "batch": 7, "status": {"word": "completed"}, "priority": 5, "empty": {}}
    ]
    assert extra("task_errors") == [{"code": 17}]
    assert extra("sensitive_content_reports") == [{"severity": "high"}]
    assert extra("threads") == [{"id": 12, "colour": ["red"]}]
    assert extra("submissions") == [{"submitted_at": "soon"}]
    assert extra("turns") == [{"locale": "de"}]
    assert extra("messages") == [
        {
            "role": 3,
            "content": {"text": ["not", "text"], "lang": "de"},
            "model_parameters": {"temperature": "hot", "seed": 42, "top_k": 2.5},
        },
        {"content": "a bare text", "model_parameters": {}},
        None,
    ]
    assert extra("chunks") == [{"text": 1, "alt": "x"}]
    columns = "max_completion_tokens, temperature, top_k, text, role"
    first = f"SELECT {columns} FROM messages WHERE task_id = 'unknown' AND message_index = 0"
    assert hand_written.rows(first) == [(2048, None, None, None, None)]


def test_no_secret_is_anywhere_in_the_lake(hand_written):
    assert any("SECRET-" in json.dumps(task) for task in TASKS), "or this test says nothing"
    for file in hand_written.root.rglob("*"):
        assert not file.is_file() or b"SECRET-" not in file.read_bytes(), file
    # Compressed bytes hide words, so the rows are searched too.
    for table in TABLES:
        assert hand_written.rows(
            f"SELECT count(*) FROM {table} AS row WHERE to_json(row)::VARCHAR LIKE '%SECRET-%'"
        ) == [(0,)]


def test_a_secret_leaves_its_place_behind(hand_written):
    row = only(hand_written.records_of("FROM tasks WHERE task_id = 'texts'"))
    row = decoded(row, "metadata", "extra")
    assert row["metadata"] == {"workspace_token": "[redacted]", "deep": [{"workspace_token": "[redacted]"}]}
    assert row["extra"] == {"workspace_token": "[redacted]"}


def test_texts_come_back_character_by_character(hand_written):
    task = next(task for task in TASKS if task["task_id"] == "texts")
    expected = [message["content"]["text"] for message in task["threads"][0]["turns"][0]["messages"]]
    found = hand_written.rows("SELECT text FROM messages WHERE task_id = 'texts' ORDER BY message_index")
    assert [text for (text,) in found] == expected


def test_times_are_floored_to_microseconds_of_utc(hand_written):
    found = hand_written.rows(
        "SELECT submitted_at, extra FROM submissions WHERE task_id = 'times' ORDER BY submission_index"
    )
    assert found[: len(TIMES)] == [(utc(*parts), None) for _, parts in TIMES]
    rest = [(at, json.loads(extra)) for at, extra in found[len(TIMES) :]]
    assert rest == [(None, {"submitted_at": text}) for text in NO_TIMES]


def test_an_expanded_project_and_batch_have_rows_of_their_own(hand_written):
    project = only(hand_written.records_of("FROM projects WHERE project_id = 'project_whole'"))
    assert decoded(project, "extra") == {
        "project_id": "project_whole",
        "name": "The whole project",
        "created_at": utc(2025, 1, 1, 4),
        "types": ["Chat", "Ranking"],
        "models": [],
        "extra": {"team": {"size": 3}},
        "project": "project_whole",
    }
    batch = only(hand_written.records_of("FROM batches WHERE batch_id = 'batch_whole'"))
    assert decoded(batch, "metadata") == {
        "batch_id": "batch_whole",
        "name": "The whole batch",
        "project_id": "project_whole",
        "project_name": None,
        "status": "in_progress",
        "created_at": utc(2025, 1, 1),
        "completed_at": None,
        "callback": "https://x.test/back",
        "metadata": {"wave": 3},
        "extra": None,
        "project": "project_whole",
    }


def test_a_delivery_page_fills_deliveries_and_their_tasks(hand_written):
    delivery = only(hand_written.records_of("FROM deliveries"))
    assert decoded(delivery, "extra") == {
        "delivery_id": "delivery_1",
        "name": "First delivery",
        "project_id": "project_delivered",
        "project_name": "Delivered",
        "task_count": 2**33,
        "delivered_at": utc(2025, 5, 31, 22, 0, 0, 500000),
        "extra": {"note": "with a note", "project": {"created_at": "2025-01-01T00:00:00Z"}},
        "project": "project_delivered",
    }
    assert hand_written.rows("FROM delivery_tasks ORDER BY task_id") == [
        ("delivery_1", "delivered 1", None, None, None, "a/b"),
        ("delivery_1", "delivered 2", None, None, None, "project_delivered"),
    ]
    assert hand_written.rows("SELECT name FROM projects WHERE project_id = 'project_delivered'") == [("Delivered",)]
