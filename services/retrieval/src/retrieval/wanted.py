"""What a search may find besides its text: the filters that hold inside it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from service_contracts.evidence import PassageQuery

__all__ = ["ALWAYS", "NEVER", "Wanted"]

ALWAYS, NEVER = 0, 9_999_999
"""Before the first and after the last day of any text."""


@dataclass(frozen=True)
class Wanted:
    """Of which kinds, publishers and versions; what is empty filters nothing."""

    kinds: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @staticmethod
    def of(query: PassageQuery) -> "Wanted":
        """Return the filters of a query."""
        return Wanted(query.source_kinds, query.publishers, () if query.version is None else (query.version,))

    def marks(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name and the values of each filter that filters."""
        for name, values in (("kind", self.kinds), ("publisher", self.publishers), ("version", self.versions)):
            if values:
                yield name, values
