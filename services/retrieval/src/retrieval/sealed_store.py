"""Where sealed rows about patients are kept: the Protocol, and the embedded engine's side of it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from retrieval.sqlcipher_file import SqlCipherFile

__all__ = ["EmbeddedSealedStore", "SealedStore"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS sealed_key (patient TEXT PRIMARY KEY, wrapped TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sealed (patient TEXT NOT NULL, id TEXT NOT NULL, blob BLOB NOT NULL,"
    " PRIMARY KEY (patient, id)) WITHOUT ROWID",
)


class SealedStore(Protocol):
    """Rows that only their patient's key opens. ``patient`` is a tag from which nobody can tell who it is."""

    async def key(self, patient: str) -> str | None:
        """Return the wrapped key of a patient, None when there is none or it was destroyed."""
        ...

    async def keep_key(self, patient: str, wrapped: str) -> str:
        """Keep a wrapped key unless there is one, and return the one that is kept."""
        ...

    async def put(self, patient: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep sealed rows by id; the same id again replaces its row."""
        ...

    async def rows(self, patient: str) -> list[tuple[str, bytes]]:
        """Return the sealed rows of a patient."""
        ...

    async def destroy(self, patient: str) -> None:
        """Destroy the key, then the rows; nothing of the key stays in the engine's files."""
        ...


class EmbeddedSealedStore:
    """See ``SealedStore``; in the encrypted file of the embedded index, so that rows are sealed twice."""

    def __init__(self, file: SqlCipherFile) -> None:
        self._file = file
        for statement in _SCHEMA:
            file.run(statement)

    async def key(self, patient: str) -> str | None:
        """See ``SealedStore.key``."""
        rows = await asyncio.to_thread(self._file.all, "SELECT wrapped FROM sealed_key WHERE patient = ?", patient)
        return str(rows[0][0]) if rows else None

    async def keep_key(self, patient: str, wrapped: str) -> str:
        """See ``SealedStore.keep_key``."""
        keep = "INSERT OR IGNORE INTO sealed_key VALUES (?, ?)"
        await asyncio.to_thread(self._file.run, keep, patient, wrapped)
        kept = await self.key(patient)
        return kept or wrapped

    async def put(self, patient: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """See ``SealedStore.put``."""

        def keep() -> None:
            with self._file.transaction():
                values = [(patient, row_id, blob) for row_id, blob in rows]
                self._file.run_each("INSERT OR REPLACE INTO sealed VALUES (?, ?, ?)", values)

        await asyncio.to_thread(keep)

    async def rows(self, patient: str) -> list[tuple[str, bytes]]:
        """See ``SealedStore.rows``."""
        return await asyncio.to_thread(self._file.all, "SELECT id, blob FROM sealed WHERE patient = ?", patient)

    async def destroy(self, patient: str) -> None:
        """See ``SealedStore.destroy``."""

        def forget() -> None:
            # What is deleted is overwritten, and so is the log that held it.
            self._file.run("PRAGMA secure_delete = ON")
            self._file.run("DELETE FROM sealed_key WHERE patient = ?", patient)
            self._file.run("DELETE FROM sealed WHERE patient = ?", patient)
            self._file.all("PRAGMA wal_checkpoint(TRUNCATE)")

        await asyncio.to_thread(forget)
