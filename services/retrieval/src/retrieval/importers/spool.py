"""Rows of published lists put in order on disk: they come drug by drug, are wanted plan by plan, and are too many.

The file is anonymous, holds nothing about patients, and is gone when the spool is closed.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, Self

__all__ = ["Spool"]

_ROWS_AT_ONCE = 5000


class Spool:
    """Rows by key, given back in the order in which they came."""

    def __init__(self) -> None:
        # An empty name is a temporary file that SQLite deletes itself.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE row (key TEXT, body TEXT)")
        self._file.execute("BEGIN")
        self._waiting: list[tuple[str, str]] = []

    def put(self, key: str, row: Any) -> None:
        """Keep a row (anything that is JSON) under a key."""
        self._waiting.append((key, json.dumps(row, separators=(",", ":"))))
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def keys(self) -> list[str]:
        """Return the keys in order; call it when all rows are there."""
        self._flush()
        self._file.execute("CREATE INDEX IF NOT EXISTS by_key ON row (key)")
        return [row[0] for row in self._file.execute("SELECT DISTINCT key FROM row ORDER BY key")]

    def rows(self, key: str) -> Iterator[Any]:
        """Yield the rows of a key."""
        self._flush()
        for (body,) in self._file.execute("SELECT body FROM row WHERE key = ? ORDER BY rowid", (key,)):
            yield json.loads(body)

    def _flush(self) -> None:
        if self._waiting:
            self._file.executemany("INSERT INTO row VALUES (?, ?)", self._waiting)
            self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
