"""What is written into the file of the embedded index, each change with its number."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument
from retrieval.index import Checkpoint, WriteCounts
from retrieval.sqlcipher_file import SqlCipherFile
from retrieval.stored import CONTENT_MODULUS, content_of, last_days

__all__ = ["add_vectors", "remove_documents", "write_documents"]

# A reader that is further behind reads everything anew.
_CHANGES_KEPT = 1000


def write_documents(
    file: SqlCipherFile, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None
) -> WriteCounts:
    """Store documents and checkpoint in one transaction."""
    added = replaced = unchanged = delta = 0
    knowledge = False
    with file.transaction():
        change = _next_change(file)
        for document in documents:
            row = file.all(
                "SELECT id, digest FROM document WHERE key = ? AND version = ?", document.key, document.version
            )
            if row and row[0][1] == document.digest:
                unchanged += 1
                continue
            delta -= _content(file, document.key)
            knowledge = knowledge or _has_knowledge(file, document.key) or bool(document.facts or document.names)
            if row:
                file.run("DELETE FROM document WHERE id = ?", row[0][0])
                replaced += 1
            else:
                added += 1
            _insert(file, document, change)
            _supersede(file, document.key, change)
            delta += _content(file, document.key)
        if added or replaced:
            _changed(file, change, delta, knowledge)
        if checkpoint is not None:
            file.run(
                "INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT (input) DO UPDATE SET"
                " position = excluded.position, finished = excluded.finished",
                checkpoint.input,
                checkpoint.position,
                checkpoint.finished,
            )
    return WriteCounts(added, replaced, unchanged)


def remove_documents(file: SqlCipherFile, keys: Sequence[str]) -> int:
    """Delete all versions of documents."""
    count = delta = 0
    knowledge = False
    with file.transaction():
        change = _next_change(file)
        for key in keys:
            delta -= _content(file, key)
            knowledge = knowledge or _has_knowledge(file, key)
            count += file.run("DELETE FROM document WHERE key = ?", key)[1]
        if count:
            _changed(file, change, delta, knowledge)
    return count


def add_vectors(file: SqlCipherFile, encoder: str, vectors: Iterable[tuple[int, bytes]]) -> None:
    """Keep the vectors of passages, given by number; a passage that is gone by now needs none."""
    with file.transaction():
        change = _next_change(file)
        file.run_each(
            "INSERT OR REPLACE INTO vector SELECT number, ?, ?, ? FROM passage WHERE number = ?",
            ((encoder, data, change, number) for number, data in vectors),
        )
        _changed(file, change, 0, knowledge=False)


def _insert(file: SqlCipherFile, document: IngestedDocument, change: int) -> None:
    source = document.source
    number, _ = file.run(
        "INSERT INTO document (key, version, kind, source, effective_from, superseded_on, digest, change)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        document.key,
        document.version,
        document.kind,
        source.model_dump_json(),
        _text(source.effective_from),
        _text(source.superseded_on),
        document.digest,
        change,
    )
    file.run_each(
        "INSERT OR REPLACE INTO fact VALUES (?, ?, ?)",
        ((number, fact.id, fact.model_dump_json()) for fact in document.facts),
    )
    file.run_each(
        "INSERT INTO passage (document, id, section, text) VALUES (?, ?, ?, ?)",
        ((number, one.id, one.section, one.text) for one in document.passages),
    )
    file.run_each(
        "INSERT INTO drug_name VALUES (?, ?, ?, ?)",
        ((number, one.name, json.dumps(one.ingredients), json.dumps(one.rxcuis)) for one in document.names),
    )


def _supersede(file: SqlCipherFile, key: str, change: int) -> None:
    """Give each version of a document but the last one the day on which the next one took its place."""
    rows = file.all("SELECT id, source FROM document WHERE key = ? ORDER BY id", key)
    days = last_days([Source.model_validate_json(source) for _, source in rows], datetime.now(tz=UTC).date())
    file.run_each(
        "UPDATE document SET superseded_on = ?1, change = ?2 WHERE id = ?3 AND superseded_on IS NOT ?1",
        ((_text(until), change, number) for (number, _), until in zip(rows, days, strict=True)),
    )


def _content(file: SqlCipherFile, key: str) -> int:
    rows = file.all("SELECT key, version, digest, superseded_on FROM document WHERE key = ?", key)
    return sum(content_of(*row) for row in rows)


def _has_knowledge(file: SqlCipherFile, key: str) -> bool:
    return bool(
        file.all(
            "SELECT 1 FROM document d WHERE key = ? AND (EXISTS (SELECT 1 FROM fact WHERE document = d.id)"
            " OR EXISTS (SELECT 1 FROM drug_name WHERE document = d.id)) LIMIT 1",
            key,
        )
    )


def _next_change(file: SqlCipherFile) -> int:
    return int(file.one("SELECT coalesce(max(number), 0) + 1 FROM change")[0])


def _changed(file: SqlCipherFile, change: int, delta: int, knowledge: bool) -> None:
    before = file.all("SELECT content FROM change ORDER BY number DESC LIMIT 1")
    total = int(before[0][0], 16) if before else 0
    content = f"{(total + delta) % CONTENT_MODULUS:064x}"
    made = datetime.now(tz=UTC).isoformat()
    file.run("INSERT INTO change VALUES (?, ?, ?, ?)", change, made, content, knowledge)
    file.run("DELETE FROM change WHERE number <= ?", change - _CHANGES_KEPT)
    file.run("DELETE FROM gone WHERE change <= ?", change - _CHANGES_KEPT)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
