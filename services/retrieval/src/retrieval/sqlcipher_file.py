"""The encrypted file of the embedded index: opened by a raw key, in one format, changed in transactions."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlcipher3

from retrieval.index import IndexUnreadable, WrongIndexKey
from retrieval.stored import CONTENT_MODULUS, content_of

__all__ = ["SqlCipherFile"]

_FORMAT = 2
# Numbers of passages are never given twice: what was found under one is that passage or gone. Every change has a
# number; a document has that of its last one, and a passage that goes leaves its own, so that readers can catch up.
_SCHEMA = """
CREATE TABLE document (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    effective_from TEXT, superseded_on TEXT, digest TEXT NOT NULL, change INTEGER NOT NULL, UNIQUE (key, version));
CREATE INDEX document_change ON document (change);
CREATE TABLE fact (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (document, id)) WITHOUT ROWID;
CREATE TABLE passage (
    number INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    id TEXT NOT NULL, section TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (document, id));
CREATE TABLE vector (
    passage INTEGER PRIMARY KEY REFERENCES passage ON DELETE CASCADE, encoder TEXT NOT NULL, data BLOB NOT NULL,
    change INTEGER NOT NULL);
CREATE INDEX vector_change ON vector (change);
CREATE TABLE drug_name (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE, name TEXT NOT NULL, ingredients TEXT NOT NULL,
    rxcuis TEXT NOT NULL);
CREATE INDEX drug_name_document ON drug_name (document);
CREATE TABLE checkpoint (input TEXT PRIMARY KEY, position INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE change (
    number INTEGER PRIMARY KEY AUTOINCREMENT, made TEXT NOT NULL, content TEXT NOT NULL, knowledge INTEGER NOT NULL);
CREATE TABLE gone (passage INTEGER NOT NULL, change INTEGER NOT NULL);
CREATE INDEX gone_change ON gone (change);
CREATE TRIGGER passage_goes AFTER DELETE ON passage BEGIN
    INSERT INTO gone VALUES (old.number, (SELECT coalesce(max(number), 0) + 1 FROM change)); END
"""
_CACHE_KB = 32_768
_TABLES = ("document", "fact", "passage", "vector", "drug_name", "checkpoint")


class SqlCipherFile:
    """Two connections to one encrypted file; calls from several threads take turns.

    The second one is for snapshots: reading a state takes as long as the file is large, and nobody waits for it.

    The key is a raw 256-bit key, so that opening derives nothing. It is tried by a read before anything is
    written: a wrong key leaves every byte as it was.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._lock, self._snapshot_lock = threading.RLock(), threading.Lock()
        self._in_snapshot = threading.local()
        self._db = _connected(path, key)
        try:
            self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlcipher3.DatabaseError as error:
            self._db.close()
            if isinstance(error, sqlcipher3.OperationalError):
                raise IndexUnreadable("the index file cannot be opened") from None
            raise WrongIndexKey("the key does not open the index file, or the file is damaged") from None
        if found not in (0, 1, _FORMAT):
            self._db.close()
            raise IndexUnreadable(f"the index has format {found}, this release reads format {_FORMAT}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if found != _FORMAT:
            with self.transaction():
                self._make(found)
        # Came later, and is of use to any release.
        self._db.execute("CREATE INDEX IF NOT EXISTS passage_id ON passage (id)")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._reader = _connected(path, key)
        for connection in (self._db, self._reader):
            # Pages are decrypted again when they have left this cache, which is 2 MB unless told otherwise.
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")

    def _make(self, found: int) -> None:
        """Make the tables; those of format 1 give their rows and go. All rows then belong to change 1."""
        if found == 1:
            for table in _TABLES:
                self._db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
            self._db.execute("DROP TABLE change")
            self._db.execute("DROP INDEX drug_name_document")
        for statement in _SCHEMA.split(";\n"):
            self._db.execute(statement)
        if found == 1:
            for table in _TABLES:
                one = ", 1" if table in ("document", "vector") else ""
                self._db.execute(f"INSERT INTO {table} SELECT *{one} FROM old_{table}")  # noqa: S608  our own names
            rows = self._db.execute("SELECT key, version, digest, superseded_on FROM document").fetchall()
            content = sum(content_of(*row) for row in rows) % CONTENT_MODULUS
            self._db.execute("INSERT INTO change VALUES (1, '', ?, 1)", (f"{content:064x}",))
            for table in reversed(_TABLES):
                self._db.execute(f"DROP TABLE old_{table}")
        self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def close(self) -> None:
        """Close the file."""
        with self._snapshot_lock, self._lock:
            self._reader.close()
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all of what is done in the block, or none of it."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # Also on Ctrl-C: half a batch is never kept.
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of this thread in the block see the same state."""
        with self._snapshot_lock:
            self._reader.execute("BEGIN")
            self._in_snapshot.now = True
            try:
                yield
            finally:
                self._in_snapshot.now = False
                self._reader.execute("COMMIT")

    def forget_log(self) -> None:
        """Write the log into the file and empty it; what was overwritten is then nowhere."""
        with self._snapshot_lock, self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def run(self, statement: str, *values: object) -> tuple[int, int]:
        """Execute one statement; return the id of the row it inserted and how many rows it changed."""
        with self._lock:
            cursor = self._db.execute(statement, values)
            return int(cursor.lastrowid or 0), int(cursor.rowcount)

    def run_each(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Execute one statement for each row."""
        with self._lock:
            self._db.executemany(statement, list(rows))

    def all(self, statement: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        """Return all rows of a query."""
        if getattr(self._in_snapshot, "now", False):
            return list(self._reader.execute(statement, values).fetchall())
        with self._lock:
            return list(self._db.execute(statement, values).fetchall())

    def each(self, statement: str, *values: object) -> Iterator[tuple]:  # type: ignore[type-arg]
        """Yield the rows of a query; inside a snapshot they are never all in memory."""
        if not getattr(self._in_snapshot, "now", False):
            yield from self.all(statement, *values)
            return
        yield from self._reader.execute(statement, values)

    def one(self, statement: str, *values: object) -> tuple:  # type: ignore[type-arg]
        """Return the first row of a query."""
        return self.all(statement, *values)[0]


def _connected(path: Path, key: bytes) -> Any:
    db = sqlcipher3.connect(str(path), timeout=30.0, check_same_thread=False, isolation_level=None)
    # A wrong key is an error of ours with words of ours, not a line on standard error.
    db.execute("PRAGMA cipher_log_level = NONE")
    db.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    db.execute("PRAGMA temp_store = MEMORY")
    return db
