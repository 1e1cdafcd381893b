"""What turns text into vectors: the Protocol behind which an encoder lives."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encoder"]


class Encoder(Protocol):
    """Turns texts into unit vectors; ``name`` tells vectors of different encoders apart."""

    @property
    def name(self) -> str:
        """The encoder and its digest."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a row."""
        ...
