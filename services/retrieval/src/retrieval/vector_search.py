"""Exact search by meaning in memory: blocks of vectors that never change, with what is filtered by beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from retrieval.stored import PassageVector
from retrieval.wanted import ALWAYS, NEVER, Wanted

__all__ = ["VectorSearch"]

_MOST_BLOCKS = 16
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class _Block:
    """Vectors as rows, in the order of their numbers; ``until`` is 0 for what is gone."""

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    since: NDArray[np.int32]
    until: NDArray[np.int32]
    marks: dict[str, NDArray[np.int32]]

    def without(self, numbers: NDArray[np.int64]) -> "_Block":
        """Return the block where none of ``numbers``, which are in order, is found."""
        places = np.searchsorted(self.numbers, numbers)
        places, numbers = places[places < len(self.numbers)], numbers[places < len(self.numbers)]
        places = places[self.numbers[places] == numbers]
        if not len(places):
            return self
        until = self.until.copy()
        until[places] = 0
        return replace(self, until=until)

    @property
    def is_large(self) -> bool:
        return len(self.numbers) > _ROWS_AT_ONCE // 2


class VectorSearch:
    """The vectors of one state of the passages; a later state shares the blocks that did not change."""

    def __init__(self, rows: Iterable[PassageVector] = ()) -> None:
        self._names: dict[str, dict[str, int]] = {"kind": {}, "publisher": {}, "version": {}}
        self._blocks: list[_Block] = []
        self._append(rows)

    def __len__(self) -> int:
        """How many passages can be found by meaning."""
        return sum(int(np.count_nonzero(block.until)) for block in self._blocks)

    def changed(self, gone: Sequence[int], rows: Iterable[PassageVector]) -> "VectorSearch":
        """Return the search of a later state: some passages gone, others new or in the place of what they were."""
        coming = list(rows)
        left = np.unique(np.array([*gone, *(row.number for row in coming)], np.int64))
        later = VectorSearch()
        later._names = {name: dict(codes) for name, codes in self._names.items()}
        later._blocks = [block.without(left) for block in self._blocks]
        later._append(coming)
        if sum(len(one.numbers) for one in later._blocks) > 2 * len(later) + 1000:
            later._blocks = [_merged(later._blocks)]
        elif len(later._blocks) > _MOST_BLOCKS:
            # Large blocks stay: merging copies, and a gigabyte is not copied for some new passages.
            large = [block for block in later._blocks if block.is_large]
            small = [block for block in later._blocks if not block.is_large]
            later._blocks = [*large, _merged(small)] if small else large
        return later

    def _append(self, rows: Iterable[PassageVector]) -> None:
        pending: list[PassageVector] = []
        for row in rows:
            pending.append(row)
            if len(pending) == _ROWS_AT_ONCE:
                self._blocks.append(self._block(pending))
                pending = []
        if pending:
            self._blocks.append(self._block(pending))

    def _block(self, rows: Sequence[PassageVector]) -> _Block:
        rows = sorted(rows, key=lambda row: row.number)
        vectors = np.frombuffer(b"".join(row.data for row in rows), np.float16).reshape(len(rows), -1)
        marks = {"kind": [row.kind for row in rows], "publisher": [row.publisher for row in rows]}
        marks["version"] = [row.version for row in rows]
        return _Block(
            np.array([row.number for row in rows], np.int64),
            vectors.astype(np.float32),
            np.array([_day(row.effective_from, ALWAYS) for row in rows], np.int32),
            np.array([_day(row.superseded_on, NEVER) for row in rows], np.int32),
            {name: self._codes(name, values) for name, values in marks.items()},
        )

    def _codes(self, name: str, values: Sequence[str]) -> NDArray[np.int32]:
        codes = self._names[name]
        return np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)

    def best(self, vector: NDArray[np.float32], depth: int, wanted: Wanted, as_of: date) -> list[int]:
        """Return the numbers of the passages nearest to a unit vector."""
        day = as_of.toordinal()
        chosen = [(name, [self._names[name].get(one, -1) for one in values]) for name, values in wanted.marks()]
        numbers: list[NDArray[np.int64]] = []
        scores: list[NDArray[np.float32]] = []
        for block in self._blocks:
            allowed = (block.since <= day) & (day < block.until)
            for name, codes in chosen:
                allowed &= np.isin(block.marks[name], codes)
            places = np.flatnonzero(allowed)
            if not len(places):
                continue
            # Rows are picked out only where few are left: picking copies them, and multiplying all is faster than that.
            few = len(places) < len(allowed) // 8
            found = block.vectors[places] @ vector if few else (block.vectors @ vector)[places]
            if len(found) > depth:
                top = np.argpartition(found, -depth)[-depth:]
                places, found = places[top], found[top]
            numbers.append(block.numbers[places])
            scores.append(found)
        if not numbers:
            return []
        every, score = np.concatenate(numbers), np.concatenate(scores)
        return [int(one) for one in every[np.lexsort((every, -score))[:depth]]]


def _merged(blocks: Sequence[_Block]) -> _Block:
    """Return one block of what is not gone."""
    kept = [(block, block.until > 0) for block in blocks]
    numbers = np.concatenate([block.numbers[keep] for block, keep in kept])
    order = np.argsort(numbers)
    return _Block(
        numbers[order],
        np.concatenate([block.vectors[keep] for block, keep in kept])[order],
        np.concatenate([block.since[keep] for block, keep in kept])[order],
        np.concatenate([block.until[keep] for block, keep in kept])[order],
        {name: np.concatenate([block.marks[name][keep] for block, keep in kept])[order] for name in blocks[0].marks},
    )


def _day(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else day.toordinal()
