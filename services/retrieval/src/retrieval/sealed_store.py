"""Where sealed rows about patients are kept: the Protocol, and the embedded engine's side of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from retrieval.embedded_index import one_at_a_time
from retrieval.index_key import PATIENTS_FILE
from retrieval.sqlcipher_file import SqlCipherFile

__all__ = ["EmbeddedSealedStore", "SealedStore", "open_embedded_sealed_store"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS sealed (patient TEXT NOT NULL, id TEXT NOT NULL, blob BLOB NOT NULL,"
    " PRIMARY KEY (patient, id)) WITHOUT ROWID"
)


class SealedStore(Protocol):
    """Rows that only their patient's key opens. ``patient`` is a tag from which nobody can tell who it is."""

    async def put(self, patient: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep sealed rows by id; the same id again replaces its row."""
        ...

    async def rows(self, patient: str) -> list[tuple[str, bytes]]:
        """Return the sealed rows of a patient."""
        ...

    async def remove(self, patient: str, row_ids: Sequence[str]) -> None:
        """Delete rows of a patient."""
        ...

    async def destroy(self, patient: str) -> int:
        """Delete all rows of a patient and return how many there were; nothing of them stays where it was."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


class EmbeddedSealedStore:
    """See ``SealedStore``; in an encrypted file beside that of the index, so that rows are sealed twice."""

    def __init__(self, file: SqlCipherFile) -> None:
        self._file = file
        file.run(_SCHEMA)
        # What is deleted is overwritten.
        file.run("PRAGMA secure_delete = ON")

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

    async def remove(self, patient: str, row_ids: Sequence[str]) -> None:
        """See ``SealedStore.remove``."""
        values = [(patient, row_id) for row_id in row_ids]
        await asyncio.to_thread(self._file.run_each, "DELETE FROM sealed WHERE patient = ? AND id = ?", values)

    async def destroy(self, patient: str) -> int:
        """See ``SealedStore.destroy``."""

        def forget() -> int:
            _, gone = self._file.run("DELETE FROM sealed WHERE patient = ?", patient)
            # The log held it too.
            self._file.forget_log()
            return gone

        return await asyncio.to_thread(forget)

    async def close(self) -> None:
        """See ``SealedStore.close``."""
        self._file.close()


def open_embedded_sealed_store(directory: Path, key: bytes) -> EmbeddedSealedStore:
    """Open the file of sealed rows in ``directory`` with the key of the index there."""
    with one_at_a_time(directory):
        return EmbeddedSealedStore(SqlCipherFile(directory / PATIENTS_FILE, key))
