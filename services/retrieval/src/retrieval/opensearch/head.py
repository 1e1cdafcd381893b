"""The one row that says what of an index counts. It is changed by compare-and-set, so that a change is whole or not.

Every row of documents and passages says by which change it was added, and later by which it was removed. A change is
made in rows that nobody sees yet; it counts from the moment the head names it. A writer that dies leaves rows of a
change that never counts: the next one takes the lease over, lists that change as aborted and clears its rows away. A
writer that was only slow finds the head changed when it comes to name its own change, and is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from retrieval.stored import CONTENT_MODULUS

__all__ = ["EMPTY", "Head", "Lease"]


@dataclass(frozen=True)
class Lease:
    """Who writes now, under which number, and until when nobody else may (seconds since 1970)."""

    writer: str
    change: int
    until: float


@dataclass(frozen=True)
class Head:
    """``change`` is the newest that counts, ``allocated`` the newest that was begun.

    ``content`` is the sum of the digests of all document versions, the same whatever the way there. ``aborted``
    lists changes that never count and ``garbage`` those that removed rows, with the times, until these are cleared;
    ``forgotten`` is the newest whose removed rows are: who read an older state cannot tell what went since.
    """

    change: int = 0
    allocated: int = 0
    content: str = "0" * 64
    aborted: tuple[tuple[int, float], ...] = ()
    garbage: tuple[tuple[int, float], ...] = ()
    forgotten: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    lease: Lease | None = None

    @property
    def version(self) -> str:
        """What goes into answers."""
        return f"opensearch-{self.content[:16]}"

    @property
    def uncounted(self) -> list[int]:
        """The numbers of the changes that never count."""
        return [number for number, _ in self.aborted]

    def leased(self, writer: str, now: float, seconds: float) -> "Head":
        """Return the head with a new change begun by ``writer``; one that another left unfinished is aborted."""
        aborted = self.aborted if self.lease is None else (*self.aborted, (self.lease.change, now))
        change = self.allocated + 1
        return replace(self, allocated=change, aborted=aborted, lease=Lease(writer, change, now + seconds))

    def committed(self, delta: int, counts: Mapping[str, int], removed: bool, now: float) -> "Head":
        """Return the head after the change of its lease."""
        assert self.lease is not None
        change = self.lease.change
        summed = {name: self.counts.get(name, 0) + counts.get(name, 0) for name in {*self.counts, *counts}}
        return replace(
            self,
            change=change,
            content=f"{(int(self.content, 16) + delta) % CONTENT_MODULUS:064x}",
            counts=summed,
            garbage=(*self.garbage, (change, now)) if removed else self.garbage,
            lease=None,
        )

    def renewed(self, until: float) -> "Head":
        """Return the head with more time for its lease."""
        assert self.lease is not None
        return replace(self, lease=replace(self.lease, until=until))

    def abandoned(self, now: float) -> "Head":
        """Return the head after the change of its lease failed."""
        assert self.lease is not None
        return replace(self, aborted=(*self.aborted, (self.lease.change, now)), lease=None)

    def released(self) -> "Head":
        """Return the head after a change that changed nothing."""
        return replace(self, lease=None)

    def cleared(self, numbers: Collection[int]) -> "Head":
        """Return the head without changes whose rows are cleared away."""
        deleted = [number for number, _ in self.garbage if number in numbers]
        return replace(
            self,
            forgotten=max([self.forgotten, *deleted]),
            aborted=tuple(one for one in self.aborted if one[0] not in numbers),
            garbage=tuple(one for one in self.garbage if one[0] not in numbers),
        )

    def dump(self) -> dict[str, Any]:
        """Return the row."""
        dumped: dict[str, Any] = _HEAD.dump_python(self, mode="json")
        return dumped

    @staticmethod
    def load(row: Mapping[str, Any]) -> "Head":
        """Return the head of a row."""
        return _HEAD.validate_python(row)


_HEAD = TypeAdapter(Head)
EMPTY = Head()
