"""Attachments that were fetched from the simulated API: the files against the rows, the rows against the tasks, and the page that tells of
them, run."""

import base64
import hashlib
import os
import subprocess

import engines
import pytest
from conftest import REPOSITORY, Lake, program, taskloom
from test_docs import blocks_of

PAGE = "docs/attachments.md"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A lake that keeps what the attachments of 200 generated tasks are."""
    folder = tmp_path_factory.mktemp("attachments")
    arguments = ["simulate", "--tasks", "200", "--attachments", "--port", "0"]
    with subprocess.Popen([program(), *arguments], stdout=subprocess.PIPE, encoding="utf-8") as server:
        address, key = (word.split("=", 1)[1] for word in server.stdout.readline().split()[1:])
        os.environ |= {"SCALE_API_URL": address, "SCALE_API_KEY": key}
        flags = ["--fetch-attachments", "--attachment-host", "127.0.0.1", "--quiet"]
        taskloom("export", "--all-projects", "--out", folder / "lake", *flags)
        server.terminate()
    return Lake(folder / "lake", [])


def test_each_row_tells_of_the_bytes_that_are_there(kept):
    rows = kept.records_of("FROM attachments")
    assert {row["content_state"] for row in rows} == {"stored", "copied", "unsupported"}
    named = set()
    for row in rows:
        if row["content_path"] is None:
            # Scale's own scheme, and no other address beside it.
            assert (row["content_state"], row["url"], row["content"]) == ("unsupported", None, None)
            assert row["content_sha256"] is row["content_bytes"] is row["content_type"] is None
            continue
        named.add(row["content_path"])
        found = (kept.root / row["content_path"]).read_bytes()
        assert hashlib.sha256(found).hexdigest() == row["content_sha256"] == row["content_path"].rsplit("/")[-1]
        assert len(found) == row["content_bytes"]
        if row["content_state"] == "copied":
            assert base64.b64decode(row["content"]) == found
        else:
            kinds = {"image/png": b"\x89PNG", "audio/mpeg": b"ID3", "application/pdf": b"%PDF"}
            assert row["content_type"] == row["mime_type"] and found.startswith(kinds[row["mime_type"]])
    there = {path.relative_to(kept.root).as_posix() for path in (kept.root / "_taskloom/attachments").glob("*/*")}
    assert there == named


BLOCKS = {block.language: block.code for block in blocks_of(PAGE) if block.heading == "Reading them" and "datasets" not in block.code}


def test_duckdb_and_polars_read_them_as_the_page_says(kept, monkeypatch, capsys):
    monkeypatch.chdir(kept.root.parent)
    rows = engines.in_duckdb("lake").execute(BLOCKS["sql"]).fetchall()
    assert len(rows) == 5 and all(kind == "image/png" and length > 2_000 for _, kind, length in rows)
    exec(compile(BLOCKS["python"], PAGE, "exec"), engines.in_python("polars", "lake"))
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert REPOSITORY.joinpath(PAGE).is_file()
