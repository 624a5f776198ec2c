"""The page of `taskloom overview`: each of its tables against the query that stands under it, asked of the lake."""

import html.parser
import json
import random
import re

import duckdb
import pytest
from conftest import taskloom
from test_dataset import flattened, refused, task

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>' \" & ]]> {{x}}"


class Page(html.parser.HTMLParser):
    """The tables of a page with their queries, by the id of their section."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.section, self.tags, self.seen, self.attributes = {}, None, [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}
        attributes = dict(attributes)
        if tag == "section":
            self.section = self.sections.setdefault(attributes["id"], {"columns": [], "rows": [], "query": ""})
        elif tag == "tr" and "tbody" in self.tags:
            self.section["rows"].append([])
        elif tag in {"td", "th"} and "tbody" in self.tags:
            self.section["rows"][-1].append(float(attributes["data-value"]) if "data-value" in attributes else "")
        elif tag == "th":
            self.section["columns"].append("")
        if tag not in {"meta", "link", "br"}:
            self.tags.append(tag)

    def handle_endtag(self, tag):
        while self.tags and self.tags.pop() != tag:
            pass

    def handle_data(self, data):
        if "code" in self.tags and "pre" in self.tags:
            self.section["query"] += data
        elif "tbody" in self.tags and self.tags[-1] in {"td", "th"} and isinstance(self.section["rows"][-1][-1], str):
            self.section["rows"][-1][-1] += data
        elif "thead" in self.tags and self.tags[-1] == "th":
            self.section["columns"][-1] += data.replace(" ", "_")


@pytest.fixture(scope="module")
def tasks():
    draw = random.Random(21)
    made = [task(draw, number) for number in range(240)]
    for number, one in enumerate(made):
        one["created_at"] = f"2024-12-{1 + number % 30:02}T{number % 24:02}:00:00Z"
        if number % 12 == 0:
            one |= {"status": "error", "errors": [{"type": draw.choice(["PROMPT_INFEASIBLE", "INVALID_CATEGORY"])}], "completed_at": None}
        if number % 40 == 1:
            one |= {"batch": None, "status": None, "sensitive_content_reports": [{"type": "pii"}]}
        for thread in one["threads"]:
            for turn in thread["turns"]:
                for message in turn["messages"]:
                    # Some answers name a model alone, some a source, and some neither.
                    if number % 9 == 0:
                        message.pop("source_id", None)
                    if number % 7 == 0:
                        message.pop("model_parameters", None)
                    for evaluation in message.get("rubric_evaluations", []):
                        evaluation["total_score"] = draw.randrange(11)
    return made


@pytest.fixture(scope="module")
def lake(tmp_path_factory, tasks):
    return flattened(tmp_path_factory.mktemp("overview"), tasks)


@pytest.fixture(scope="module")
def page(lake, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "overview.html"
    taskloom("overview", lake, "--out", file)
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def database(lake):
    connection = duckdb.connect()
    connection.execute(taskloom("sql", "--engine", "duckdb", "--via", "records", lake))
    return connection


def comparable(value):
    if value is None:
        return "-"
    return value if isinstance(value, str) else float(value) if isinstance(value, int | float) or hasattr(value, "as_tuple") else str(value)


SECTIONS = [
    "projects", "batches", "throughput", "turnaround", "statuses", "errors", "turns", "roles", "lengths-user", "lengths-assistant", "models",
    "rating-0", "rating-1", "models-compared", "matches", "rubrics", "agreement",
]  # fmt: skip


def test_every_section_is_there(page):
    sections = Page(page).sections
    assert list(sections) == [*SECTIONS, "runs"]
    assert all(section["rows"] for section in sections.values())


@pytest.mark.parametrize("name", SECTIONS)
def test_a_query_gives_the_numbers_of_its_table(page, database, name):
    section = Page(page).sections[name]
    asked = database.execute(section["query"])
    columns = [column[0] for column in asked.description]
    assert set(columns) <= set(section["columns"])
    places = [section["columns"].index(column) for column in columns]
    found = [[row[place] for place in places] for row in section["rows"]]
    expected = [[comparable(value) for value in row] for row in asked.fetchall()]
    if name == "matches":
        # The stronger one stands first: the query has both ways.
        expected = [row for row in expected if row[:2] in [own[:2] for own in found]]
    order = lambda row: [str(value) for value in row if isinstance(value, str)]  # noqa: E731
    if name in {"models-compared", "matches", "agreement"}:
        found, expected = sorted(found, key=order), sorted(expected, key=order)
    assert len(found) == len(expected) > 0
    for own, other in zip(found, expected, strict=True):
        assert [value if isinstance(value, str) else pytest.approx(value, rel=1e-6, abs=1e-6) for value in other] == own


def test_a_page_asks_for_nothing_whatever_stands_in_the_data(tmp_path, tasks):
    def hostile(value):
        if isinstance(value, dict):
            return {key: f"{item} {HOSTILE}" if key in {"key", "model", "project", "batch", "type"} else hostile(item) for key, item in value.items()}
        return [hostile(item) for item in value] if isinstance(value, list) else value

    lake = flattened(tmp_path, [hostile(task) for task in tasks[:40]])
    taskloom("overview", lake, "--out", tmp_path / "overview.html")
    text = (tmp_path / "overview.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.seen & {"script", "img", "link", "iframe", "object", "svg", "form", "base"}
    assert not {name for name in page.attributes if name.startswith("on") or name in {"src", "srcset", "action"}}
    assert any(HOSTILE[:60] in row[0] for row in page.sections["projects"]["rows"])
    assert all(reference.startswith("#") for reference in re.findall(r'href="([^"]*)"', text)) and "url(" not in text and "@import" not in text


def test_a_page_is_of_one_version_and_the_same_twice(lake, tmp_path):
    for name in ["one", "other"]:
        taskloom("overview", lake, "--at", "1", "--out", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["one", "other"]'


def test_no_result_is_written_into_the_lake(lake):
    file = next(lake.glob("messages/**/*.parquet"))
    before = file.read_bytes()
    for command in [["overview"], ["restore"], ["winrate", "--by", "best"]]:
        failed = refused(*command, lake, "--out", file)
        assert failed.returncode == 2 and "outside of the lake" in failed.stderr, failed.stderr
    assert file.read_bytes() == before
