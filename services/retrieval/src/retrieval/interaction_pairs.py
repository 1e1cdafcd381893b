"""Interactions of drugs by the ingredients on their sides, and what all sources together say of a pair; no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

from service_contracts.evidence import Fact, Interaction, InteractionPair, StatedSeverity

from retrieval.documents import in_force
from retrieval.drug_names import CLASS_PREFIX, NameTable, combined
from retrieval.interaction_severity import RANK
from retrieval.stored import StoredFact

__all__ = ["FoundPair", "InteractionPairs", "Pair", "fused", "fused_pairs", "stated_by"]


@dataclass(frozen=True)
class Side:
    """One side of an interaction: its ingredients, of which a query holds any, or ``together`` all."""

    name: str
    members: frozenset[str]
    together: bool = False

    def within(self, drugs: frozenset[str]) -> frozenset[str]:
        """Return the ingredients of ``drugs`` that stand on this side."""
        found = self.members & drugs
        return found if not self.together or found == self.members else frozenset()


@dataclass(frozen=True)
class Pair:
    """An interaction with its sides resolved."""

    one: StoredFact
    a: Side
    b: Side
    stated: StatedSeverity


FoundPair = tuple[Pair, frozenset[str], frozenset[str]]
"""An interaction with the drugs asked about that stand on its one side, and on its other."""


class InteractionPairs:
    """All interactions of an index."""

    def __init__(self, names: NameTable) -> None:
        self._names = names
        self._pairs: list[Pair] = []
        # The numbers of the pairs that an ingredient stands on the one or the other side of.
        self._on_a: dict[str, list[int]] = {}
        self._on_b: dict[str, list[int]] = {}

    def add(self, one: StoredFact, body: Interaction) -> None:
        """Add the interaction that a fact states."""
        pair = Pair(one, self._side(body.a), self._side(body.b), stated_by(one.fact, body))
        for side, numbers in ((pair.a, self._on_a), (pair.b, self._on_b)):
            for ingredient in side.members:
                numbers.setdefault(ingredient, []).append(len(self._pairs))
        self._pairs.append(pair)

    def between(self, drugs: frozenset[str], as_of: date) -> list[FoundPair]:
        """Return the interactions in force that have two different drugs of ``drugs`` on their sides, and which."""
        on_a = set(chain.from_iterable(self._on_a.get(drug, ()) for drug in drugs))
        on_b = set(chain.from_iterable(self._on_b.get(drug, ()) for drug in drugs))
        found = []
        for number in sorted(on_a & on_b):
            pair = self._pairs[number]
            first, second = pair.a.within(drugs), pair.b.within(drugs)
            current = in_force(pair.one.effective_from, pair.one.superseded_on, as_of)
            if current and first and second and len(first | second) > 1:
                found.append((pair, first, second))
        return found

    def _side(self, side: str) -> Side:
        name = side.lower()
        parts = combined(side)
        if parts:
            return Side(name, frozenset(self._names.canonical(part) for part in parts), together=True)
        if name.startswith(CLASS_PREFIX):
            return Side(name, self._names.members(side))
        return Side(name, frozenset({self._names.canonical(side)}))


def fused_pairs(pairs: Sequence[FoundPair]) -> tuple[InteractionPair, ...]:
    """Return what all sources together say of each pair of drugs."""
    stated: dict[tuple[str, str], dict[str, StatedSeverity]] = {}
    for pair, first, second in pairs:
        for a, b in ((a, b) for a in first for b in second if a != b):
            stated.setdefault((min(a, b), max(a, b)), {})[pair.one.fact.id] = pair.stated
    return tuple(fused(a, b, found.values()) for (a, b), found in sorted(stated.items()))


def stated_by(fact: Fact, body: Interaction) -> StatedSeverity:
    """Return who says how grave an interaction is."""
    return StatedSeverity(
        fact_id=fact.id,
        title=fact.source.title,
        publisher=fact.source.publisher,
        version=fact.source.version,
        severity=body.severity,
    )


def fused(a: str, b: str, stated: Iterable[StatedSeverity]) -> InteractionPair:
    """Return what sources say of a pair, gravest first: none is dropped, and the strictest severity decides."""
    found = sorted(stated, key=lambda one: (RANK[one.severity], one.title, one.fact_id))
    # Made of what was validated when it was read, and made hundreds of times for one answer.
    return InteractionPair.model_construct(
        a=a,
        b=b,
        severity=found[0].severity,
        stated=tuple(found),
        disputed=found[-1].severity is not found[0].severity,
    )
