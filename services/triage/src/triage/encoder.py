"""The shared sentence encoder (MiniLM, six layers) in numpy, so that serving needs no torch: one phrase, one vector.

All weights stay as they are in the file that retrieval uses too. Columns are tokens, because a weight matrix times a
few columns is the fastest product of small widths that BLAS has.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

__all__ = ["EncoderRefused", "NumpyEncoder", "PhraseEncoder", "RememberingEncoder"]

Vector = NDArray[np.float32]
_MOST_TOKENS = 32
"""A phrase of a complaint has two to ten; what is longer is cut, so that its time is bounded."""


class PhraseEncoder(Protocol):
    """Makes vectors of phrases."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def digest(self) -> str:
        """``sha256:`` of the weights."""
        ...

    @property
    def width(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, phrases: Sequence[str]) -> Vector:
        """Return one unit vector a row."""
        ...


class EncoderRefused(Exception):
    """The encoder's files are not those of a sentence encoder that can be computed here; the text says why."""


class NumpyEncoder:
    """``PhraseEncoder`` from the files of a BERT sentence encoder: mean of the last hidden states, as a unit vector."""

    def __init__(self, folder: Path) -> None:
        try:
            config = json.loads((folder / "config.json").read_text())
            self._name = Path(config.get("_name_or_path") or folder.name).name
            self._heads = int(config["num_attention_heads"])
            self._layers = int(config["num_hidden_layers"])
            self._width = int(config["hidden_size"])
            self._epsilon = float(config["layer_norm_eps"])
            bert = (config["model_type"], config["hidden_act"]) == ("bert", "gelu")
            weights = folder / "model.safetensors"
            self._digest = f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
            tensors = load_file(weights)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
            raise EncoderRefused("the encoder cannot be read") from None
        if not bert:
            raise EncoderRefused("the encoder is not a BERT model with gelu")
        self._w: dict[str, Vector] = {
            name: np.ascontiguousarray(value, dtype=np.float32)
            for name, value in tensors.items()
            if value.dtype.kind == "f" and not name.startswith("pooler")
        }
        self._tokenizer = _tokenizer(folder / "tokenizer.json")

    @property
    def name(self) -> str:
        """See ``PhraseEncoder.name``."""
        return self._name

    @property
    def digest(self) -> str:
        """See ``PhraseEncoder.digest``."""
        return self._digest

    @property
    def width(self) -> int:
        """See ``PhraseEncoder.width``."""
        return self._width

    def encode(self, phrases: Sequence[str]) -> Vector:
        """See ``PhraseEncoder.encode``."""
        rows = [self._encode(self._tokenizer.encode(phrase).ids) for phrase in phrases]
        return np.stack(rows) if rows else np.zeros((0, self._width), np.float32)

    def _encode(self, tokens: Sequence[int]) -> Vector:
        w, count = self._w, len(tokens)
        x = (
            w["embeddings.word_embeddings.weight"][tokens]
            + w["embeddings.position_embeddings.weight"][:count]
            + w["embeddings.token_type_embeddings.weight"][0]
        ).T
        x = self._normalised(x, "embeddings.LayerNorm")
        for layer in range(self._layers):
            at = f"encoder.layer.{layer}."
            x = self._normalised(
                x + self._linear(self._attended(x, at), f"{at}attention.output.dense"),
                f"{at}attention.output.LayerNorm",
            )
            inner = _gelu(self._linear(x, f"{at}intermediate.dense"))
            x = self._normalised(x + self._linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
        mean: Vector = x.mean(1)
        return mean / np.float32(np.linalg.norm(mean))

    def _linear(self, x: Vector, name: str) -> Vector:
        product: Vector = self._w[f"{name}.weight"] @ x
        product += self._w[f"{name}.bias"][:, None]
        return product

    def _attended(self, x: Vector, at: str) -> Vector:
        size = self._width // self._heads
        query, key, value = (
            self._linear(x, f"{at}attention.self.{part}").reshape(self._heads, size, -1)
            for part in ("query", "key", "value")
        )
        scores = query.transpose(0, 2, 1) @ key / np.float32(np.sqrt(size))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        attended: Vector = (value @ scores.transpose(0, 2, 1)).reshape(self._width, -1)
        return attended

    def _normalised(self, x: Vector, name: str) -> Vector:
        centred = x - x.mean(0)
        scaled = centred / np.sqrt((centred * centred).mean(0) + np.float32(self._epsilon))
        normalised: Vector = scaled * self._w[f"{name}.weight"][:, None] + self._w[f"{name}.bias"][:, None]
        return normalised


def _tokenizer(file: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    # The library raises ``Exception`` itself, for a file that is not there and for one that it cannot read.
    except Exception:  # noqa: BLE001
        raise EncoderRefused("the encoder's tokenizer cannot be read") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    return tokenizer


def _gelu(x: Vector) -> Vector:
    """The tanh form; vectors differ by less than 0.0005 from those of the exact one."""
    inner = x * x * x
    inner *= np.float32(0.044715)
    inner += x
    inner *= np.float32(0.7978845608)
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    inner *= x
    inner *= np.float32(0.5)
    return inner


class RememberingEncoder:
    """``PhraseEncoder`` that keeps the vectors of the phrases it met last: complaints repeat, patients do not.

    A phrase is remembered in memory only, without whom it was about, and is forgotten when newer ones come.
    """

    def __init__(self, encoder: PhraseEncoder, most: int = 4096) -> None:
        self._encoder = encoder
        self._most = most
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """See ``PhraseEncoder.name``."""
        return self._encoder.name

    @property
    def digest(self) -> str:
        """See ``PhraseEncoder.digest``."""
        return self._encoder.digest

    @property
    def width(self) -> int:
        """See ``PhraseEncoder.width``."""
        return self._encoder.width

    def encode(self, phrases: Sequence[str]) -> Vector:
        """See ``PhraseEncoder.encode``."""
        if not phrases:
            return np.zeros((0, self.width), np.float32)
        return np.stack([self._vector(phrase) for phrase in phrases])

    def _vector(self, phrase: str) -> Vector:
        with self._lock:
            found = self._known.get(phrase)
            if found is not None:
                self._known.move_to_end(phrase)
                return found
        vector: Vector = self._encoder.encode([phrase])[0]
        with self._lock:
            self._known[phrase] = vector
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return vector
