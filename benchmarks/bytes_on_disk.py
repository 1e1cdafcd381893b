"""What can be read out of the bytes of files: sentences, runs of four words of them, and vectors. Pure."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "fourgrams", "look"]

_WORDS = 4
_RUN = re.compile(rb"(?<![a-z0-9'-])[a-z0-9'-]++(?:[ .,;:]{1,2}[a-z0-9'-]++){3,}")
_WORD = re.compile(rb"[a-z0-9'-]+")
_DECIMALS = re.compile(rb"-?\d\.\d+(?:[eE]-?\d+)?(?:\s*,\s*-?\d\.\d+(?:[eE]-?\d+)?){31,}")
_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64,}+")
# Numbers of a unit vector are between -1 and 1. In noise half of all numbers are; a run of 32 is one in 4 thousand
# million, so that only runs are compared. Of a vector of 384 numbers a run of 35 is what a cosine of 0.3 needs.
_LEAST_RUN = 32
# A planted vector is there: no other one makes it worse.
_ENOUGH = 0.999
_LARGEST = 2.0
_NOTHING, _GAP = 1e-7, 8
_FORMATS = tuple((kind, shift) for kind in ("<f2", "<f4", ">f2", ">f4") for shift in range(int(kind[-1])))


@dataclass(frozen=True)
class Found:
    """How many of the planted were seen in ``size`` bytes; ``cosine`` is the highest with any planted vector."""

    size: int
    sentences: int
    fourgrams: int
    cosine: float
    runs: int


def fourgrams(sentences: Iterable[str]) -> frozenset[bytes]:
    """Return the runs of four words that stand in one sentence only."""
    seen = Counter(gram for one in sentences for gram in {*_grams(_WORD.findall(one.lower().encode()))})
    return frozenset(gram for gram, times in seen.items() if times == 1)


def look(files: Iterable[Path], sentences: Sequence[str], vectors: NDArray[np.float32]) -> Found:
    """Look through files, and through what their runs of Base64 stand for."""
    wanted = fourgrams(sentences)
    texts = {one.lower().encode(): fourgrams([one]) & wanted for one in sentences}
    assert all(texts.values()), "a sentence has no run of words of its own"
    grams: set[bytes] = set()
    seen: set[bytes] = set()
    size, highest, runs = 0, 0.0, 0
    for path in files:
        content = path.read_bytes()
        size += len(content)
        for part in (content, *_decoded(content)):
            lowered = part.lower()
            here: set[bytes] = set()
            for run in _RUN.finditer(lowered):
                here |= wanted.intersection(_grams(_WORD.findall(run[0])))
            grams |= here
            # A sentence that stands there whole has left runs of its own; the others need not be looked for.
            seen |= {text for text, own in texts.items() if own & here and text in lowered}
            for numbers in _number_runs(part):
                runs += 1
                if highest < _ENOUGH:
                    highest = max(highest, _cosine(numbers, vectors))
    return Found(size, len(seen), len(grams), highest, runs)


def _grams(words: Sequence[bytes]) -> Iterator[bytes]:
    for start in range(len(words) - _WORDS + 1):
        yield b" ".join(words[start : start + _WORDS])


def _decoded(content: bytes) -> Iterator[bytes]:
    """Yield what runs of Base64 stand for, at each of the four places where one may begin."""
    runs = _BASE64.findall(content)
    for shift in range(4):
        parts = [run[shift : shift + (len(run) - shift) // 4 * 4] for run in runs]
        if parts:
            yield b"\xff".join(base64.b64decode(part) for part in parts)


def _number_runs(content: bytes) -> Iterator[NDArray[np.float64]]:
    """Yield what may be a vector or a good part of one: as decimals in text, or as numbers that begin at any byte."""
    for match in _DECIMALS.finditer(content):
        yield np.array([float(one) for one in match[0].split(b",")])
    for kind, shift in _FORMATS:
        width = int(kind[-1])
        numbers = np.frombuffer(content[shift : shift + (len(content) - shift) // width * width], kind)
        with np.errstate(all="ignore"):
            size = np.abs(numbers)
            plausible = (size <= _LARGEST) & ~_gaps(size <= _NOTHING)
        edges = _edges(plausible)
        starts, ends = edges[::2], edges[1::2]
        long = ends - starts >= _LEAST_RUN
        for start, end in zip(starts[long], ends[long], strict=True):
            yield numbers[start:end].astype(np.float64)


def _gaps(nothing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where nothing stands many times in a row: one number of a vector may be zero, many are what is unused."""
    edges = _edges(nothing)
    lengths = edges[1::2] - edges[::2]
    gaps = np.zeros(len(nothing) + 1, np.int8)
    long = lengths >= _GAP
    gaps[edges[::2][long]] += 1
    gaps[edges[1::2][long]] -= 1
    return np.cumsum(gaps[:-1]) > 0


def _edges(where: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where runs begin and end, in turn."""
    return np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))


def _cosine(numbers: NDArray[np.float64], vectors: NDArray[np.float32]) -> float:
    """Return the highest cosine of a vector with a stretch of ``numbers`` as long as it, or with what there is."""
    width = vectors.shape[1]
    padded = np.concatenate([np.zeros(width - _LEAST_RUN), numbers, np.zeros(width - _LEAST_RUN)])
    highest = 0.0
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    for start in range(0, len(windows), 4096):
        block = windows[start : start + 4096].astype(np.float32)
        norms = np.linalg.norm(block, axis=1)
        norms[norms == 0] = np.inf
        highest = max(highest, float(np.max(np.abs(block @ vectors.T) / norms[:, None])))
    return highest
