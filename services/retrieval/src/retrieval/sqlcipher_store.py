"""What the embedded index keeps in its encrypted file: documents, facts, passages, names and vectors."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from service_contracts.evidence import Fact, Source

from retrieval.documents import DrugName, IngestedDocument, PassageText
from retrieval.index import Checkpoint, WriteCounts
from retrieval.sqlcipher_file import SqlCipherFile
from retrieval.sqlcipher_writing import add_vectors, remove_documents, write_documents
from retrieval.stored import PassageVector, StoredFact, StoredPassage, with_last_day

__all__ = ["SqlCipherStore", "State"]

_MARKS = "d.kind, d.source, d.effective_from, d.superseded_on"


@dataclass(frozen=True)
class State:
    """Up to where the file has been read: the last change, and the sum of what it holds."""

    change: int
    content: str


class SqlCipherStore:
    """The rows of one file, in the terms of the index."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.file = SqlCipherFile(path, key)
        self._embedded_before: dict[tuple[str, tuple[str, ...]], int] = {}

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def write(self, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None) -> WriteCounts:
        """Store documents and checkpoint in one transaction."""
        return write_documents(self.file, documents, checkpoint)

    def remove(self, keys: Sequence[str]) -> int:
        """Delete all versions of documents."""
        return remove_documents(self.file, keys)

    def add_vectors(self, encoder: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Keep the vectors of passages, given by number."""
        add_vectors(self.file, encoder, vectors)

    def state(self) -> State:
        """Return the last change by any process, number 0 before the first."""
        rows = self.file.all("SELECT number, content FROM change ORDER BY number DESC LIMIT 1")
        return State(int(rows[0][0]), rows[0][1]) if rows else State(0, "0" * 64)

    def knows_since(self, change: int) -> bool:
        """Whether what changed since can be told."""
        oldest = self.file.one("SELECT coalesce(min(number), 0) FROM change")[0]
        return change > 0 and oldest <= change + 1

    def knowledge_since(self, change: int) -> bool:
        """Whether facts or names changed since."""
        return bool(self.file.all("SELECT 1 FROM change WHERE number > ? AND knowledge LIMIT 1", change))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``."""
        rows = self.file.all("SELECT DISTINCT key FROM document WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return [row[0] for row in rows]

    def checkpoint(self, input_id: str) -> Checkpoint | None:
        """Return how far an input has come."""
        rows = self.file.all("SELECT position, finished FROM checkpoint WHERE input = ?", input_id)
        return Checkpoint(input_id, rows[0][0], bool(rows[0][1])) if rows else None

    def facts(self) -> list[StoredFact]:
        """Return every fact in the order of ingestion, with the dates its document has by now."""
        found = []
        for body, start, end in self.file.all(
            "SELECT f.body, d.effective_from, d.superseded_on FROM fact f JOIN document d ON d.id = f.document"
            " ORDER BY d.id"
        ):
            until = _date(end)
            found.append(StoredFact(with_last_day(Fact.model_validate_json(body), until), _date(start), until))
        return found

    def names(self) -> list[DrugName]:
        """Return every drug name, those of the starter table first."""
        return [
            DrugName(name, tuple(json.loads(ingredients)), tuple(json.loads(rxcuis)))
            for name, ingredients, rxcuis in self.file.all(
                "SELECT n.name, n.ingredients, n.rxcuis FROM drug_name n JOIN document d ON d.id = n.document"
                " ORDER BY d.kind <> 'starter', d.key, n.name"
            )
        ]

    def passages(self, since: int = 0) -> Iterator[StoredPassage]:
        """Yield every passage whose document is new or has other dates since a change."""
        for number, section, text, kind, source, start, end in self.file.each(
            f"SELECT p.number, p.section, p.text, {_MARKS} FROM passage p JOIN document d ON d.id = p.document"  # noqa: S608
            " WHERE d.change > ?",
            since,
        ):
            title, publisher, version = _said(source)
            yield StoredPassage(number, kind, title, section, text, _date(start), _date(end), publisher, version)

    def vectors(self, encoder: str, since: int = 0) -> Iterator[PassageVector]:
        """Yield the vectors made by ``encoder`` that are new since a change, or whose documents have other dates."""
        changed = (
            " AND v.passage IN (SELECT passage FROM vector WHERE change > ? UNION ALL"
            " SELECT c.number FROM document e CROSS JOIN passage c ON c.document = e.id WHERE e.change > ?)"
        )
        for number, data, kind, source, start, end in self.file.each(
            f"SELECT v.passage, v.data, {_MARKS} FROM vector v JOIN passage p ON p.number = v.passage"  # noqa: S608
            f" JOIN document d ON d.id = p.document WHERE v.encoder = ?{changed if since else ''} ORDER BY v.passage",
            encoder,
            *((since, since) if since else ()),
        ):
            _, publisher, version = _said(source)
            yield PassageVector(number, data, kind, _date(start), _date(end), publisher, version)

    def gone(self, since: int) -> list[int]:
        """Return the numbers of passages that went since a change."""
        return [row[0] for row in self.file.all("SELECT passage FROM gone WHERE change > ?", since)]

    def passage(self, number: int) -> tuple[str, str, Source] | None:
        """Return id, text and source of one passage, None when it is gone."""
        rows = self.file.all(
            "SELECT p.id, p.text, p.section, d.source, d.superseded_on FROM passage p"
            " JOIN document d ON d.id = p.document WHERE p.number = ?",
            number,
        )
        if not rows:
            return None
        passage_id, text, section, source, end = rows[0]
        found = Source.model_validate_json(source)
        return passage_id, text, found.model_copy(update={"section": section, "superseded_on": _date(end)})

    def whole(self, passage_id: str, version: str) -> tuple[IngestedDocument, str, date | None] | None:
        """Return the version of a document that a passage stands in: passages alone, its digest and its last day."""
        rows = self.file.all(
            "SELECT d.id, d.key, d.kind, d.source, d.digest, d.superseded_on FROM passage p"
            " JOIN document d ON d.id = p.document WHERE p.id = ? AND d.version = ?",
            passage_id,
            version,
        )
        if len(rows) != 1:
            return None
        number, key, kind, source, digest, end = rows[0]
        passages = self.file.all("SELECT id, section, text FROM passage WHERE document = ? ORDER BY number", number)
        kept = tuple(PassageText(*row) for row in passages)
        return IngestedDocument(key, kind, Source.model_validate_json(source), (), kept), digest, _date(end)

    def without_vector(self, encoder: str, kinds: Sequence[str], limit: int) -> list[tuple[int, str, str]]:
        """Return number, section and text of passages of ``kinds`` that ``encoder`` has not embedded."""
        asked = encoder, tuple(kinds)
        # Passages below the first that lacked one have theirs: without this, embedding n passages looks at n * n.
        first = self._embedded_before.get(asked, 0)
        found = self._without_vector(encoder, kinds, limit, first)
        if not found and first:
            # Unless another process gave them to another encoder since.
            found = self._without_vector(encoder, kinds, limit, 0)
        self._embedded_before[asked] = found[0][0] if found else 0
        return found

    def _without_vector(self, encoder: str, kinds: Sequence[str], limit: int, first: int) -> list[tuple[int, str, str]]:
        marks = ", ".join("?" for _ in kinds)
        return self.file.all(
            "SELECT p.number, p.section, p.text FROM passage p JOIN document d ON d.id = p.document"  # noqa: S608
            f" LEFT JOIN vector v ON v.passage = p.number AND v.encoder = ? WHERE v.passage IS NULL"
            f" AND p.number >= ? AND d.kind IN ({marks}) ORDER BY p.number LIMIT ?",
            encoder,
            first,
            *kinds,
            limit,
        )

    def counts(self) -> dict[str, int]:
        """Return how much of each the index holds."""
        tables = ("document", "fact", "passage", "drug_name", "vector")
        return {table: int(self.file.one(f"SELECT count(*) FROM {table}")[0]) for table in tables}  # noqa: S608


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


@lru_cache(maxsize=256)
def _said(source: str) -> tuple[str, str, str]:
    """Read what a search needs of a source; passages of a document come one after the other."""
    said = json.loads(source)
    return said["title"], said["publisher"], said["version"]
