"""Questions and documents of the open data beside the project, and vectors of them, which are kept."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from retrieval.cross_encoder_data import Claim
from retrieval.encoder import Encoder

__all__ = ["ARCHIVE", "KEPT", "Known", "bioasq", "unpacked", "vectors_of"]

_CHECKOUT = Path(__file__).resolve().parents[1]
ARCHIVE = _CHECKOUT.parent / "shared" / "data" / "literature.tar.xz"
KEPT = _CHECKOUT / ".preceptor" / "cache" / "benchmark"
_BATCH = 32


class Known:
    """An encoder that has read everything before: what it costs is then not part of what is measured."""

    def __init__(self, name: str, vectors: dict[str, NDArray[np.float32]]) -> None:
        self.name = name
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts that were read before."""
        return np.stack([self._vectors[text] for text in texts])


@contextmanager
def unpacked() -> Iterator[Path]:
    """Give the folder of the literature; raise ``FileNotFoundError`` when the data is not there."""
    with TemporaryDirectory(prefix="preceptor-") as folder, tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder) / "literature"


def bioasq(folder: Path) -> tuple[list[Claim], list[str]]:
    """Return the questions of BioASQ 7b to 10b with the places of their snippets, and the snippets, each once."""
    places: dict[str, int] = {}
    questions: dict[str, Claim] = {}
    for path in sorted((folder / "mirage_raw" / "rawdata" / "bioasq").glob("Task*/*_golden.json")):
        for one in json.loads(path.read_text("utf-8"))["questions"]:
            texts = dict.fromkeys(" ".join(snippet["text"].split()) for snippet in one.get("snippets", []))
            relevant = frozenset(str(places.setdefault(text, len(places))) for text in texts if text)
            if relevant:
                questions[one["id"]] = Claim(one["id"], one["body"], relevant)
    return list(questions.values()), list(places)


def vectors_of(
    encoder: Encoder, texts: Sequence[str], advance: Callable[[int], None] = lambda _: None
) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of texts; they are made once and kept under a digest of encoder and texts."""
    digest = hashlib.sha256(repr((encoder.name, list(texts))).encode()).hexdigest()[:24]
    path = KEPT / f"{digest}.npy"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        rows: list[NDArray[np.float32] | None] = [None] * len(texts)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            for place, row in zip(batch, encoder.encode([texts[one] for one in batch]), strict=True):
                rows[place] = row
            advance(len(batch))
        draft = path.with_suffix(".new.npy")
        np.save(draft, np.stack([row for row in rows if row is not None]))
        draft.rename(path)
    kept: NDArray[np.float32] = np.load(path)
    return dict(zip(texts, kept, strict=True))
