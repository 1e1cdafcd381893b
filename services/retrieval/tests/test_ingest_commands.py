"""``preceptor ingest`` before it touches an index: its help, its guide, and what it refuses to begin."""

import re
from pathlib import Path

import pytest
from retrieval.commands import app
from typer.testing import CliRunner

GUIDE = Path(__file__).parents[3] / "docs" / "ingesting.md"
ABOUT_THE_INDEX = {"prepare", "vectors", "train-reranker", "forget", "status"}


def names():
    return {one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands}


def test_the_guide_tells_each_command_that_reads_and_no_other():
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| ")]
    told = {found for row in rows for found in re.findall(r"`preceptor ingest ([\w-]+)", row.split("|")[4])}
    assert told == names() - ABOUT_THE_INDEX


def test_the_help_says_of_each_command_what_it_reads():
    ended = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert ended.exit_code == 0
    assert all(re.search(rf"^. {name} ", ended.output, re.M) for name in names())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["formularies"], "either files or --url"),
        (["formularies", "--url", "https://payer.example/fhir", str(Path(__file__).parent)], "either files or --url"),
        (["formularies", "--url", "http://payer.example/fhir"], "must begin with https"),
        (["formularies", "--url", "https://me:secret@payer.example/fhir"], "without password"),
        (["guidelines", "--publisher", "X", "--policy", "--literature", str(Path(__file__))], "not both"),
        (["icd10cm", "--effective-from", "soon", str(Path(__file__))], "does not match"),
        (["pubmed", "/nowhere/at/all"], "does not exist"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(arguments, says, monkeypatch, tmp_path):
    monkeypatch.setenv("PRECEPTOR_RETRIEVAL_INDEX_DIR", str(tmp_path / "index"))
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert ended.exit_code == 2 and says in ended.output
    assert "secret" not in ended.output and not (tmp_path / "index").exists()
