"""The encrypted file in which the embedded index keeps documents, facts, passages, names and vectors."""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import sqlcipher3
from service_contracts.evidence import Fact, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.index import Checkpoint, IndexUnreadable, WriteCounts, WrongIndexKey
from retrieval.stored import StoredFact, StoredPassage, last_days, with_last_day

__all__ = ["SqlCipherStore"]

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    effective_from TEXT, superseded_on TEXT, digest TEXT NOT NULL, UNIQUE (key, version));
CREATE TABLE IF NOT EXISTS fact (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (document, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passage (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, id TEXT NOT NULL,
    section TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (document, id));
CREATE TABLE IF NOT EXISTS vector (
    passage INTEGER PRIMARY KEY REFERENCES passage ON DELETE CASCADE, encoder TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS drug_name (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, name TEXT NOT NULL, ingredients TEXT NOT NULL,
    rxcuis TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS drug_name_document ON drug_name (document);
CREATE TABLE IF NOT EXISTS checkpoint (input TEXT PRIMARY KEY, position INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS change (number INTEGER PRIMARY KEY AUTOINCREMENT, made TEXT NOT NULL);
"""


class SqlCipherStore:
    """One connection to one encrypted file; calls from several threads take turns.

    The key is a raw 256-bit key, so that opening derives nothing. It is tried by a read before anything is
    written: a wrong key leaves every byte as it was.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._lock = threading.RLock()
        self._db = sqlcipher3.connect(str(path), timeout=30.0, check_same_thread=False, isolation_level=None)
        try:
            # A wrong key is an error of ours with words of ours, not a line on standard error.
            self._db.execute("PRAGMA cipher_log_level = NONE")
            self._db.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlcipher3.DatabaseError as error:
            self._db.close()
            if isinstance(error, sqlcipher3.OperationalError):
                raise IndexUnreadable("the index file cannot be opened") from None
            raise WrongIndexKey("the key does not open the index file, or the file is damaged") from None
        if found not in (0, _FORMAT):
            self._db.close()
            raise IndexUnreadable(f"the index has format {found}, this release reads format {_FORMAT}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        if found == 0:
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # Also on Ctrl-C: half a batch is never kept.
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def write(self, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None) -> WriteCounts:
        """Store documents and checkpoint in one transaction."""
        added = replaced = unchanged = 0
        with self._transaction():
            for document in documents:
                row = self._db.execute(
                    "SELECT id, digest FROM document WHERE key = ? AND version = ?", (document.key, document.version)
                ).fetchone()
                if row is not None and row[1] == document.digest:
                    unchanged += 1
                    continue
                if row is not None:
                    self._db.execute("DELETE FROM document WHERE id = ?", (row[0],))
                    replaced += 1
                else:
                    added += 1
                self._insert(document)
                self._supersede(document.key)
            if added or replaced:
                self._changed()
            if checkpoint is not None:
                self._db.execute(
                    "INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT (input) DO UPDATE SET"
                    " position = excluded.position, finished = excluded.finished",
                    (checkpoint.input, checkpoint.position, checkpoint.finished),
                )
        return WriteCounts(added, replaced, unchanged)

    def _insert(self, document: IngestedDocument) -> None:
        source = document.source
        cursor = self._db.execute(
            "INSERT INTO document (key, version, kind, source, effective_from, superseded_on, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                document.key,
                document.version,
                document.kind,
                source.model_dump_json(),
                _text(source.effective_from),
                _text(source.superseded_on),
                document.digest,
            ),
        )
        number = cursor.lastrowid
        self._db.executemany(
            "INSERT OR REPLACE INTO fact VALUES (?, ?, ?)",
            [(number, fact.id, fact.model_dump_json()) for fact in document.facts],
        )
        self._db.executemany(
            "INSERT INTO passage (document, id, section, text) VALUES (?, ?, ?, ?)",
            [(number, one.id, one.section, one.text) for one in document.passages],
        )
        self._db.executemany(
            "INSERT INTO drug_name VALUES (?, ?, ?, ?)",
            [(number, one.name, json.dumps(one.ingredients), json.dumps(one.rxcuis)) for one in document.names],
        )

    def _supersede(self, key: str) -> None:
        """Give each version of a document but the last one the day on which the next one took its place."""
        rows = self._db.execute("SELECT id, source FROM document WHERE key = ? ORDER BY id", (key,)).fetchall()
        days = last_days([Source.model_validate_json(source) for _, source in rows], datetime.now(tz=UTC).date())
        for (number, _), until in zip(rows, days, strict=True):
            self._db.execute("UPDATE document SET superseded_on = ? WHERE id = ?", (_text(until), number))

    def remove(self, keys: Sequence[str]) -> int:
        """Delete all versions of documents."""
        with self._transaction():
            count = sum(int(self._db.execute("DELETE FROM document WHERE key = ?", (key,)).rowcount) for key in keys)
            if count:
                self._changed()
        return count

    def add_vectors(self, encoder: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Keep the vectors of passages, given by number."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", [(number, encoder, data) for number, data in vectors]
            )
            self._changed()

    def _changed(self) -> None:
        self._db.execute("INSERT INTO change (made) VALUES (?)", (datetime.now(tz=UTC).isoformat(),))
        self._db.execute("DELETE FROM change WHERE number < (SELECT max(number) FROM change)")

    def change(self) -> int:
        """Return the number of the last change by any process, 0 before the first."""
        return int(self._one("SELECT coalesce(max(number), 0) FROM change")[0])

    def digests(self) -> list[tuple[str, str, str, str | None]]:
        """Return key, version, digest and last day of every document version, in a fixed order."""
        return self._all("SELECT key, version, digest, superseded_on FROM document ORDER BY key, version")

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``."""
        rows = self._all("SELECT DISTINCT key FROM document WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return [row[0] for row in rows]

    def checkpoint(self, input_id: str) -> Checkpoint | None:
        """Return how far an input has come."""
        rows = self._all("SELECT position, finished FROM checkpoint WHERE input = ?", input_id)
        return Checkpoint(input_id, rows[0][0], bool(rows[0][1])) if rows else None

    def facts(self) -> list[StoredFact]:
        """Return every fact in the order of ingestion, with the dates its document has by now."""
        found = []
        for body, start, end in self._all(
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
            for name, ingredients, rxcuis in self._all(
                "SELECT n.name, n.ingredients, n.rxcuis FROM drug_name n JOIN document d ON d.id = n.document"
                " ORDER BY d.kind <> 'starter', d.key, n.name"
            )
        ]

    def passages(self) -> Iterator[StoredPassage]:
        """Yield every passage."""
        for number, kind, source, section, text, start, end in self._all(
            "SELECT p.number, d.kind, d.source, p.section, p.text, d.effective_from, d.superseded_on"
            " FROM passage p JOIN document d ON d.id = p.document"
        ):
            said = json.loads(source)
            days = _date(start), _date(end)
            yield StoredPassage(number, kind, said["title"], section, text, *days, said["publisher"], said["version"])

    def passage(self, number: int) -> tuple[str, str, Source] | None:
        """Return id, text and source of one passage, None when it is gone."""
        rows = self._all(
            "SELECT p.id, p.text, p.section, d.source, d.superseded_on FROM passage p"
            " JOIN document d ON d.id = p.document WHERE p.number = ?",
            number,
        )
        if not rows:
            return None
        passage_id, text, section, source, end = rows[0]
        found = Source.model_validate_json(source)
        return passage_id, text, found.model_copy(update={"section": section, "superseded_on": _date(end)})

    def vectors(self, encoder: str) -> list[tuple[int, bytes]]:
        """Return the vectors made by ``encoder``, by passage number."""
        return self._all("SELECT passage, data FROM vector WHERE encoder = ? ORDER BY passage", encoder)

    def without_vector(self, encoder: str, kinds: Sequence[str], limit: int) -> list[tuple[int, str, str]]:
        """Return number, section and text of passages of ``kinds`` that ``encoder`` has not embedded."""
        marks = ", ".join("?" for _ in kinds)
        return self._all(
            "SELECT p.number, p.section, p.text FROM passage p JOIN document d ON d.id = p.document"  # noqa: S608
            f" LEFT JOIN vector v ON v.passage = p.number AND v.encoder = ? WHERE v.passage IS NULL"
            f" AND d.kind IN ({marks}) ORDER BY p.number LIMIT ?",
            encoder,
            *kinds,
            limit,
        )

    def counts(self) -> dict[str, int]:
        """Return how much of each the index holds."""
        tables = ("document", "fact", "passage", "drug_name", "vector")
        return {table: int(self._one(f"SELECT count(*) FROM {table}")[0]) for table in tables}  # noqa: S608

    def _all(self, statement: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return list(self._db.execute(statement, values).fetchall())

    def _one(self, statement: str, *values: object) -> tuple:  # type: ignore[type-arg]
        return self._all(statement, *values)[0]


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
