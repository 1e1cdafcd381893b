"""A file of format 1 is read by this release: all it held is there, once, and a second opening changes nothing."""

import json
from datetime import date

import numpy as np
import pytest
import sqlcipher3
from retrieval import sqlcipher_file
from retrieval.embedded_index import EmbeddedIndex
from retrieval.index import Checkpoint
from retrieval.sqlcipher_store import SqlCipherStore
from service_contracts.evidence import PassageQuery

KEY = b"a" * 32
# What the release that wrote format 1 made. Written out, so that no later change of ours can change the past.
FORMAT_1 = """
CREATE TABLE document (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    effective_from TEXT, superseded_on TEXT, digest TEXT NOT NULL, UNIQUE (key, version));
CREATE TABLE fact (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (document, id)) WITHOUT ROWID;
CREATE TABLE passage (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, id TEXT NOT NULL,
    section TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (document, id));
CREATE TABLE vector (
    passage INTEGER PRIMARY KEY REFERENCES passage ON DELETE CASCADE, encoder TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE drug_name (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, name TEXT NOT NULL, ingredients TEXT NOT NULL,
    rxcuis TEXT NOT NULL);
CREATE INDEX drug_name_document ON drug_name (document);
CREATE TABLE checkpoint (input TEXT PRIMARY KEY, position INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE change (number INTEGER PRIMARY KEY AUTOINCREMENT, made TEXT NOT NULL);
PRAGMA user_version = 1
"""
OLDER, NEWER = date(2020, 1, 1), date(2024, 1, 1)


def connected(path):
    db = sqlcipher3.connect(str(path), isolation_level=None)
    db.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    return db


@pytest.fixture
def old(tmp_path, make, topics):
    """A file of format 1 with two versions of a document."""
    path = tmp_path / "index.db"
    db = connected(path)
    db.execute("PRAGMA journal_mode = WAL")
    for statement in FORMAT_1.strip().split(";\n"):
        db.execute(statement)
    for number, (version, start, end) in enumerate((("1", OLDER, NEWER), ("2", NEWER, None)), start=1):
        source = make.source(version, effective_from=start)
        row = (
            number,
            "label/1",
            version,
            "label",
            source.model_dump_json(),
            start.isoformat(),
            end and end.isoformat(),
        )
        db.execute("INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, f"digest-{version}"))
        fact = make.dose(mg=1000.0 * number, fact_id="dose").model_copy(update={"source": source})
        db.execute("INSERT INTO fact VALUES (?, ?, ?)", (number, "dose", fact.model_dump_json()))
        text = f"kidney words of version {version}"
        db.execute("INSERT INTO passage VALUES (?, ?, ?, ?, ?)", (number * 10, number, f"p{version}", "Dosage", text))
        data = topics().encode([text])[0].astype(np.float16).tobytes()
        db.execute("INSERT INTO vector VALUES (?, ?, ?)", (number * 10, "topics", data))
    name = (2, "glucophage", json.dumps(["metformin"]), json.dumps(["6809"]))
    db.execute("INSERT INTO drug_name VALUES (?, ?, ?, ?)", name)
    db.execute("INSERT INTO checkpoint VALUES ('labels', 7, 1)")
    db.execute("INSERT INTO change VALUES (4, '2026-11-01')")
    db.close()
    return path


def held(path):
    db = connected(path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    rows = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables if table != "sqlite_sequence"}
    found = db.execute("PRAGMA user_version").fetchone()[0], rows, db.execute("PRAGMA foreign_key_check").fetchall()
    db.close()
    return found


async def test_all_that_a_file_of_format_1_held_is_answered_from_it(old, make, topics):
    index = EmbeddedIndex(SqlCipherStore(old, KEY), topics())
    assert await index.counts() == {"document": 2, "fact": 2, "passage": 2, "drug_name": 1, "vector": 2}
    for day, mg, version in ((date(2021, 1, 1), 1000, "1"), (date(2025, 1, 1), 2000, "2")):
        (fact,) = (await index.evidence(make.query("Glucophage", as_of=day))).facts
        assert (fact.body.max_daily.value, fact.source.version) == (mg, version)
        (found,) = await index.passages(PassageQuery(text="renal", as_of=day, budget_ms=1000))
        assert (found.id, found.source.version) == (f"p{version}", version)
    assert await index.checkpoint("labels") == Checkpoint("labels", 7, True)
    await index.close()
    found, _, broken = held(old)
    assert (found, broken) == (sqlcipher_file._FORMAT, [])
    assert not any(name.startswith("old_") for name in held(old)[1])


async def test_the_version_is_the_one_of_an_index_that_was_written_by_this_release(old, tmp_path, topics):
    index = EmbeddedIndex(SqlCipherStore(old, KEY), topics())
    rows = index.store.file.all("SELECT key, version, digest, superseded_on FROM document")
    content = sum(sqlcipher_file.content_of(*row) for row in rows) % sqlcipher_file.CONTENT_MODULUS
    assert index.version == f"embedded-{content:064x}"[: len("embedded-") + 16]
    await index.close()


async def test_what_is_written_after_is_found_and_supersedes(old, make, topics):
    index = EmbeddedIndex(SqlCipherStore(old, KEY), topics())
    before = index.version
    written = make.document(
        facts=[make.dose(mg=3000.0)], passages=["kidney"], version="3", effective_from=date(2026, 1, 1)
    )
    await index.write([written])
    assert await index.refresh() and index.version != before
    (fact,) = (await index.evidence(make.query("metformin"))).facts
    assert (fact.body.max_daily.value, fact.source.version) == (3000, "3")
    # A new passage never takes the number of one that was there.
    assert [row[0] for row in index.store.file.all("SELECT number FROM passage ORDER BY number")][:2] == [10, 20]
    assert await index.remove(["label/1"]) == 3
    await index.close()


async def test_a_second_opening_changes_nothing(old):
    SqlCipherStore(old, KEY).close()
    first = held(old)
    SqlCipherStore(old, KEY).close()
    assert held(old) == first


def test_a_migration_that_breaks_off_leaves_the_file_as_it_was(old, monkeypatch):
    before = held(old)
    monkeypatch.setattr(sqlcipher_file, "content_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SqlCipherStore(old, KEY)
    assert held(old) == before
    monkeypatch.undo()
    SqlCipherStore(old, KEY).close()
    assert held(old)[0] == sqlcipher_file._FORMAT
