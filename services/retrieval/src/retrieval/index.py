"""The small Protocol behind which an index lives, and what can go wrong with one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery

from retrieval.documents import IngestedDocument
from retrieval.encoder import Encoder
from retrieval.stored import Unembedded

__all__ = [
    "Checkpoint",
    "Index",
    "IndexBusy",
    "IndexFailure",
    "IndexKeyMissing",
    "IndexUnavailable",
    "IndexUnreadable",
    "Vector",
    "WriteCounts",
    "WrongIndexKey",
]

Vector = NDArray[np.float32]


class IndexFailure(Exception):
    """Base of what can go wrong with an index.

    IndexFailure
    ├── WrongIndexKey     the key of the secret store does not open it; nothing was changed
    ├── IndexKeyMissing   the index is there and its wrapped key is not
    ├── IndexUnreadable   damaged, or written by a newer release
    ├── IndexUnavailable  the engine does not answer, or not all of it: try again later
    └── IndexBusy         another process writes, or took the writing over: nothing was kept
    """


class WrongIndexKey(IndexFailure):
    """The key does not open this index; nothing was changed."""


class IndexKeyMissing(IndexFailure):
    """The wrapped key that belongs beside the index is not there."""


class IndexUnreadable(IndexFailure):
    """The index is damaged or of an unknown format; nothing was changed."""


class IndexUnavailable(IndexFailure):
    """The engine did not answer whole and in time."""


class IndexBusy(IndexFailure):
    """Another process is writing; nothing of this write was kept."""


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

    @property
    def batch(self) -> int:
        """How many documents a write is best given at once."""
        ...

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """Return all facts in force on ``query.as_of`` about its subjects."""
        ...

    async def passages(self, query: PassageQuery) -> list[Passage]:
        """Return the best passages in force on ``query.as_of`` (today when None), best first."""
        ...

    async def quoted(self, passage: Passage) -> Passage | None:
        """Return a passage that was found as it came in with its version, read from what is kept.

        None when that version has no such passage by now, or is not whole: nothing of it is to be cited.
        """
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

    async def counts(self) -> dict[str, int]:
        """Return how much there is of each: document, fact, passage, drug_name and vector."""
        ...

    def use_encoder(self, encoder: Encoder) -> None:
        """Find passages by meaning too from the next refresh on; for an encoder that took long to load."""
        ...

    async def without_vector(self, encoder: str, kinds: Sequence[str], limit: int) -> list[Unembedded]:
        """Return passages of ``kinds`` that ``encoder`` has not embedded."""
        ...

    async def add_vectors(self, encoder: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        """Keep vectors of passages, each with the place that ``without_vector`` gave. Other encoders' ones go."""
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
