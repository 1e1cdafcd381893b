"""What drafting needs of a language model, as a Protocol without any framework."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Engine", "Row", "Written"]


@dataclass(frozen=True)
class Row:
    """One sentence to write. ``guess`` only saves time: the engine sends what the model itself chooses."""

    key: int
    prompt: str
    guess: str = ""


@dataclass(frozen=True)
class Written:
    """One row's outcome. ``whole`` is False when it was not finished within the limits: such a text is no sentence."""

    key: int
    text: str
    whole: bool
    prompt_tokens: int
    generated_tokens: int


class Engine(Protocol):
    """Writes rows with one adapter; greedy, so that the same row gives the same sentence."""

    def size(self, row: Row) -> int:
        """Return what a row costs, in tokens of its first pass."""
        ...

    def write(self, rows: Sequence[Row], stop: Callable[[], bool]) -> Iterator[Written]:
        """Write ``rows`` together and yield each as soon as it is finished.

        Rows never see each other. ``stop`` is asked between passes; when it says so, the rest is given up.
        """
        ...
