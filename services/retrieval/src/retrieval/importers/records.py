"""What an importer yields: records that can be counted and skipped before any work is done on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retrieval.documents import IngestedDocument

__all__ = ["MAX_FILE_BYTES", "Importer", "Record", "RecordRefused", "read_limited"]

MAX_FILE_BYTES = 256 * 1024 * 1024


class RecordRefused(Exception):
    """A record or file that is not what it should be. The message says why, in words for the report."""


@dataclass(frozen=True)
class Record:
    """One record: where it stands, and how to make a document of it.

    ``convert`` returns None for a record that holds nothing to keep; it raises ``RecordRefused``.
    """

    place: str
    convert: Callable[[], IngestedDocument | None]


class Importer(Protocol):
    """Reads one format. ``name`` and ``edition`` go into the checkpoint: what an older edition read is read again."""

    name: str
    edition: int

    def inputs(self, path: Path) -> list[Path]:
        """Return the inputs that lie at ``path``, each ingested and resumed by itself."""
        ...

    def count(self, path: Path) -> int:
        """Return how many records an input has."""
        ...

    def records(self, path: Path) -> Iterator[Record]:
        """Yield the records of an input in a fixed order; raise ``RecordRefused`` when it cannot be read at all."""
        ...


def read_limited(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a file; raise ``RecordRefused`` when it is larger than ``limit`` or cannot be read."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise RecordRefused(f"{size} bytes are more than the limit of {limit}")
        return path.read_bytes()
    except OSError as error:
        raise RecordRefused(f"cannot be read ({error.strerror})") from None
