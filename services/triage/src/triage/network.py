"""The trained adapter over the shared encoder, in numpy: phrase vectors and numbers in, seven logits out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Logits", "Network"]

Matrix = NDArray[np.float32]
LEVELS = 5


@dataclass(frozen=True)
class Logits:
    """One row a patient: five for the level, one for each outcome."""

    level: Matrix
    critical: Matrix
    hospitalisation: Matrix


class Network:
    """A projection of the phrases (the first one, and all of them by sum and maximum), then two hidden layers."""

    TENSORS = ("first", "every", "hidden1", "hidden2", "out")

    def __init__(self, tensors: Mapping[str, Matrix]) -> None:
        wanted = {f"{name}.{part}" for name in self.TENSORS for part in ("weight", "bias")}
        if set(tensors) != wanted:
            raise ValueError("the network's tensors are not those of this version")
        self._t = {name: np.asarray(value, dtype=np.float32) for name, value in tensors.items()}

    @property
    def width(self) -> int:
        """Length of a phrase vector."""
        return int(self._t["first.weight"].shape[1])

    def complaint(self, phrases: Matrix) -> Matrix:
        """Return the projection of the phrases of one patient (one vector a row, perhaps none)."""
        first = self._t["first.bias"] if not len(phrases) else self._dense(phrases[:1], "first")[0]
        inner = int(self._t["every.bias"].shape[0])
        # Padding of the training is a zero vector too: a patient without complaint has the bias of the first.
        every = _gelu(self._dense(phrases, "every")) if len(phrases) else np.zeros((1, inner), np.float32)
        total, most = every.sum(0), np.maximum(every.max(0), 0)
        return np.concatenate([_gelu(first), total, most], dtype=np.float32)

    def __call__(self, numbers: Matrix, complaints: Sequence[Matrix]) -> Logits:
        """Return logits for rows of numbers and the projection of each one's complaint."""
        x = np.concatenate([numbers, np.stack(complaints)], axis=1, dtype=np.float32)
        x = _gelu(self._dense(x, "hidden1"))
        x = _gelu(self._dense(x, "hidden2"))
        out = self._dense(x, "out")
        return Logits(out[:, :LEVELS], out[:, LEVELS], out[:, LEVELS + 1])

    def _dense(self, x: Matrix, name: str) -> Matrix:
        product: Matrix = x @ self._t[f"{name}.weight"].T + self._t[f"{name}.bias"]
        return product


def _gelu(x: Matrix) -> Matrix:
    half = np.float32(0.5)
    inner = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x))
    result: Matrix = half * x * (1 + inner)
    return result
