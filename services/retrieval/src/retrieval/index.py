"""The small Protocol behind which an index lives, and what can go wrong with one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery

from retrieval.documents import IngestedDocument

__all__ = [
    "Checkpoint",
    "Index",
    "IndexFailure",
    "IndexKeyMissing",
    "IndexUnreadable",
    "WriteCounts",
    "WrongIndexKey",
]


class IndexFailure(Exception):
    """Base of what can go wrong with an index.

    IndexFailure
    ├── WrongIndexKey     the key of the secret store does not open it; nothing was changed
    ├── IndexKeyMissing   the index is there and its wrapped key is not
    └── IndexUnreadable   damaged, or written by a newer release
    """


class WrongIndexKey(IndexFailure):
    """The key does not open this index; nothing was changed."""


class IndexKeyMissing(IndexFailure):
    """The wrapped key that belongs beside the index is not there."""


class IndexUnreadable(IndexFailure):
    """The index is damaged or of an unknown format; nothing was changed."""


@dataclass(frozen=True)
class Checkpoint:
    """How far the ingestion of one input has come: records read, and whether that was all of them."""

    input: str
    position: int
    finished: bool = False


@dataclass(frozen=True)
class WriteCounts:
    """What a write changed."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        return WriteCounts(self.added + other.added, self.replaced + other.replaced, self.unchanged + other.unchanged)


class Index(Protocol):
    """Keeps documents in versions and finds the facts and passages of those in force on a day.

    What is written is found after the next ``refresh``, in this process and in others.
    """

    @property
    def version(self) -> str:
        """A digest of what is searched now; it goes into every answer."""
        ...

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """Return all facts in force on ``query.as_of`` about its subjects."""
        ...

    async def passages(self, query: PassageQuery) -> list[Passage]:
        """Return the best passages in force on ``query.as_of`` (today when None), best first."""
        ...

    async def write(self, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None = None) -> WriteCounts:
        """Store documents and the checkpoint together, all or nothing. The same version again replaces itself."""
        ...

    async def remove(self, keys: Sequence[str]) -> int:
        """Forget all versions of documents; return how many versions there were."""
        ...

    async def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of the documents that begin with ``prefix``."""
        ...

    async def checkpoint(self, input_id: str) -> Checkpoint | None:
        """Return how far the ingestion of an input has come, None when it never began."""
        ...

    async def ingredients(self) -> frozenset[str]:
        """Return every ingredient that has a name in the index."""
        ...

    async def refresh(self) -> bool:
        """Search what was written since, also by other processes; return whether that is something new."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...
