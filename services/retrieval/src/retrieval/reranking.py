"""A second reading of the best passages: question and passage together, by a cross-encoder. No I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service_contracts.evidence import Passage

from retrieval.fusion import fused
from retrieval.stored import heading

__all__ = [
    "READ_AGAIN",
    "TRAINED_WEIGHT",
    "Reranker",
    "RerankerRefused",
    "Training",
    "TrainingGroup",
    "pair_text",
    "reranked",
]

READ_AGAIN = 20
"""How many passages are read again: each costs about 30 ms on one core."""
TRAINED_WEIGHT = 0.1
"""What the order of a model of our own training counts: on claims held out of its training more did harm."""
_AT_ONCE = 4


class RerankerRefused(Exception):
    """A folder holds no cross-encoder that can be trusted; the message says why."""


class Reranker(Protocol):
    """Says how well passages answer a question; ``name`` is the model and its digest."""

    @property
    def name(self) -> str:
        """The model and its digest."""
        ...

    @property
    def weight(self) -> float:
        """How much its order counts beside that of the search, which counts 1."""
        ...

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher for a better one."""
        ...


@dataclass(frozen=True)
class TrainingGroup:
    """A question and passages as they are read: the relevant one first, then others that search finds for it."""

    question: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """How a cross-encoder is trained."""

    epochs: int = 2
    learning_rate: float = 1.5e-4
    groups_a_step: int = 8
    frozen_layers: int = 3
    """Layers from below that stay as the sentence encoder has them, its words with them: a third less work."""
    threads: int = 1
    seed: int = 7


def pair_text(passage: Passage) -> str:
    """Return a passage as the cross-encoder reads it: under its title and heading."""
    return f"{heading(passage.source.title, passage.source.section)}. {passage.text}"


def reranked(
    question: str,
    passages: Sequence[Passage],
    reranker: Reranker,
    limit: int,
    stop: Callable[[], bool] = lambda: False,
) -> list[Passage]:
    """Return the best ``limit`` of ``passages`` (best first) after the first of them are read again.

    The order of the search and that of the second reading are fused, so that neither alone can turn a list over.
    Once ``stop`` says so the order stays that of the search: half a reading would put what was read first.
    """
    texts = [pair_text(one) for one in passages[:READ_AGAIN]]
    scores: list[float] = []
    for start in range(0, len(texts), _AT_ONCE):
        if stop():
            return list(passages[:limit])
        scores += reranker.scores(question, texts[start : start + _AT_ONCE])
    by_score = sorted(range(len(texts)), key=lambda place: -scores[place])
    best = fused([range(len(passages)), by_score], limit, (1.0, reranker.weight))
    return [passages[place].model_copy(update={"score": score}) for place, score in best]
