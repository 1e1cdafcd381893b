"""Reciprocal rank fusion: one order from several, without comparing their scores."""

from collections.abc import Hashable, Iterable, Sequence
from itertools import repeat
from typing import TypeVar

__all__ = ["DEEP", "fused"]

_T = TypeVar("_T", bound=Hashable)
# Cormack, Clarke and Buettcher (SIGIR 2009) have 60; two orders that are good alone gain by a smaller constant. It was
# chosen on the training claims of SciFact, where each from 2 to 10 is better than 60.
_CONSTANT = 10
DEEP = 50
"""How many of each order are fused at least."""


def fused(
    rankings: Iterable[Sequence[_T]], limit: int, weights: Iterable[float] = repeat(1.0)
) -> list[tuple[_T, float]]:
    """Return the best ``limit`` of what stands in any of ``rankings`` (each best first), with their scores."""
    scores: dict[_T, float] = {}
    first: dict[_T, int] = {}
    for ranking, weight in zip(rankings, weights, strict=False):
        for rank, one in enumerate(ranking, start=1):
            scores[one] = scores.get(one, 0.0) + weight / (_CONSTANT + rank)
            first.setdefault(one, len(first))
    return sorted(scores.items(), key=lambda one: (-one[1], first[one[0]]))[:limit]
