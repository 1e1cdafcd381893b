"""What an importer yields: records that can be counted and skipped before any work is done on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from retrieval.documents import IngestedDocument

__all__ = ["MAX_FILE_BYTES", "MISSHAPEN", "Importer", "Ordered", "Record", "RecordRefused", "Removal", "read_limited"]

MAX_FILE_BYTES = 256 * 1024 * 1024


MISSHAPEN = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
"""What reading raises where something is of another shape than its format says: a list for an object, a day for none.

Whoever runs an importer refuses the record then, in place of ending the run; importers need not look at every shape."""


class RecordRefused(Exception):
    """A record or file that is not what it should be. The message says why, in words for the report."""


@dataclass(frozen=True)
class Removal:
    """What a record may be instead of a document: the publisher took documents back, whatever their version.

    ``nothing_to_keep`` is said of a record that is empty by now, so that what it held before is not to stay.
    """

    keys: tuple[str, ...]
    nothing_to_keep: bool = False


@dataclass(frozen=True)
class Record:
    """One record: where it stands, and how to make a document of it.

    ``convert`` returns None for a record that holds nothing to keep; it raises ``RecordRefused``. It is to be called
    before the next record is asked for.
    """

    place: str
    convert: Callable[[], IngestedDocument | Removal | None]


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


@runtime_checkable
class Ordered(Protocol):
    """An importer whose inputs replace each other: one that comes before another is not to be read after it."""

    def place(self, path: Path) -> int | None:
        """Return where an input stands in its publisher's order, None for one that has no place in it."""
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
