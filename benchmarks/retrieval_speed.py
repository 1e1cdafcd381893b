"""How fast passages are found as an index grows, one client, and how fast documents go in.

The passages are sentences of real abstracts in new orders, their vectors real ones moved a little: words are as
rare and vectors as clustered as they are in abstracts. Vectors of questions are known and cost nothing here.
"""

import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from retrieval.cross_encoder_data import claims, corpus
from retrieval.documents import IngestedDocument, PassageText
from retrieval.embedded_index import EmbeddedIndex
from retrieval.index import Index
from retrieval.meaning import load_encoder
from retrieval.wanted import Wanted
from service_contracts.evidence import PassageQuery, Source

from benchmarks.machine import quantile
from benchmarks.open_literature import Known, vectors_of

__all__ = ["Opening", "Speed", "grow", "opened_anew"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_ENCODER = _CHECKOUT / ".preceptor" / "cache" / "encoder"
_SENTENCES, _MOVED = 6, 0.35
_DAY = date(2026, 1, 1)
_PASSAGES_A_DOCUMENT = 10
_QUESTIONS = 150


@dataclass
class Speed:
    """What was measured at one size."""

    engine: str
    passages: int
    ingested_per_s: float
    vectors_per_s: float
    ready_s: float
    new_version_s: float
    hybrid_ms: list[float] = field(default_factory=list)
    filtered_ms: list[float] = field(default_factory=list)
    words_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    memory_mb: int = 0
    opening: "Opening | None" = None

    def row(self) -> str:
        """Return the row of the table."""
        times = " | ".join(
            f"{quantile(values, 0.5):.1f} / {quantile(values, 0.95):.1f}" if values else "-"
            for values in (self.hybrid_ms, self.processor_ms, self.filtered_ms, self.words_ms)
        )
        opened, memory = "-", f"{self.memory_mb:,}"
        if self.opening is not None:
            opened = f"{self.opening.elapsed_s:.1f}"
            memory = f"{self.opening.memory_mb:,} / {self.opening.most_memory_mb:,}"
        return (
            f"| {self.engine} | {self.passages:,} | {times} | {self.ingested_per_s:,.0f} | {self.vectors_per_s:,.0f}"
            f" | {self.ready_s:.1f} | {self.new_version_s:.2f} | {opened} | {memory} |"
        )


@dataclass
class Opening:
    """What it takes another process to open the index as it is now."""

    elapsed_s: float
    memory_mb: int
    most_memory_mb: int


def opened_anew(folder: Path, key: bytes, encoder: str) -> Opening:
    """Open an embedded index in a process that does nothing else."""
    command = [sys.executable, "-m", "benchmarks.retrieval_opening", str(folder), encoder]
    done = subprocess.run(command, input=key.hex(), capture_output=True, text=True, check=True, cwd=_CHECKOUT)
    return Opening(**json.loads(done.stdout.splitlines()[-1]))


class _Material:
    """Passages without end, the same for every run."""

    def __init__(self, folder: Path) -> None:
        documents = corpus(folder / "scifact" / "corpus_train.csv")
        encoder = load_encoder(_ENCODER)
        texts = [f"{title}. {abstract}" for title, abstract in documents.values()]
        self._base = np.stack(list(vectors_of(encoder, texts).values()))
        self._sentences = [one for _, abstract in documents.values() for one in abstract.split(". ") if len(one) > 20]
        questions = [one.text for one in claims(folder / "scifact" / "claims_train.csv")]
        self.questions = questions[:_QUESTIONS]
        self.encoder = Known(encoder.name, vectors_of(encoder, questions))
        self._words = random.Random(1)
        self._noise = np.random.default_rng(1)

    def documents(self) -> Iterator[IngestedDocument]:
        kinds = itertools.cycle(("guideline", "label", "literature"))
        for number in itertools.count():
            yield self.document(number, next(kinds), "1")

    def document(self, number: int, kind: str, version: str) -> IngestedDocument:
        year = 2000 + number % 20
        source = Source(
            title=self._words.choice(self._sentences)[:80],
            publisher=f"Publisher {number % 50}",
            identifier=str(number),
            version=version,
            section="",
            effective_from=date(year + int(version), 1, 1),
        )
        passages = tuple(
            PassageText(f"{number}#{place}", "", ". ".join(self._words.choices(self._sentences, k=_SENTENCES)))
            for place in range(_PASSAGES_A_DOCUMENT)
        )
        return IngestedDocument(f"{kind}/{number}", kind, source, passages=passages)

    def vectors(self, count: int) -> NDArray[np.float32]:
        rows = self._base[self._noise.integers(0, len(self._base), count)]
        noise = self._noise.standard_normal(rows.shape).astype(np.float32)
        moved = rows + _MOVED * noise / np.sqrt(rows.shape[1])
        return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


async def grow(
    folder: Path,
    engine: str,
    index: Index,
    sizes: Sequence[int],
    memory_of: Callable[[], Awaitable[int]] | None = None,
    open_anew: Callable[[str], Opening] | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> list[Speed]:
    """Let one index grow through ``sizes`` and measure at each. ``open_anew`` opens it for vectors of an encoder."""
    material = _Material(folder)
    documents = material.documents()
    index.use_encoder(material.encoder)
    found, have = [], 0
    for size in sizes:
        began = time.perf_counter()
        for _ in range((size - have) // (_PASSAGES_A_DOCUMENT * index.batch)):
            await index.write(list(itertools.islice(documents, index.batch)))
        written_s = time.perf_counter() - began
        said(f"{engine}: {size:,} passages written in {written_s:.0f} s")
        began, made = time.perf_counter(), 0
        while batch := await index.without_vector(material.encoder.name, ["guideline", "label", "literature"], 5000):
            rows = material.vectors(len(batch))
            await index.add_vectors(
                material.encoder.name, [(one.place, row) for one, row in zip(batch, rows, strict=True)]
            )
            made += len(batch)
        vectors_s = time.perf_counter() - began
        said(f"{engine}: {made:,} vectors in {vectors_s:.0f} s")
        began = time.perf_counter()
        await index.refresh()
        ready_s = time.perf_counter() - began
        speed = Speed(engine, size, (size - have) / written_s, made / vectors_s, ready_s, 0.0)
        await _ask(index, material, speed)
        began = time.perf_counter()
        await index.write([material.document(0, "guideline", "2")])
        await index.refresh()
        newest = PassageQuery(text=material.questions[0], version="2", as_of=_DAY, budget_ms=60_000)
        if not await index.passages(newest):
            raise RuntimeError("the new version was not found")
        speed.new_version_s = time.perf_counter() - began
        if memory_of is not None:
            speed.memory_mb = await memory_of()
        if open_anew is not None:
            speed.opening = await asyncio.to_thread(open_anew, material.encoder.name)
        have = size
        found.append(speed)
        said(speed.row())
    return found


async def _ask(index: Index, material: _Material, speed: Speed) -> None:
    everything = [PassageQuery(text=one, limit=10, as_of=_DAY, budget_ms=60_000) for one in material.questions]
    narrowed = [
        one.model_copy(update={"source_kinds": ("guideline",), "publishers": ("Publisher 3", "Publisher 9")})
        for one in everything
    ]
    for query in everything[:20]:
        await index.passages(query)
    for queries, times in ((everything, speed.hybrid_ms), (narrowed, speed.filtered_ms)):
        for query in queries:
            began, used = time.perf_counter(), time.process_time()
            await index.passages(query)
            times.append((time.perf_counter() - began) * 1000)
            if queries is everything:
                speed.processor_ms.append((time.process_time() - used) * 1000)
    if isinstance(index, EmbeddedIndex):
        # The peer: tantivy by itself, as it is without vectors, fusion and reading what was found.
        words = index._view.passages.words
        for text in material.questions:
            began = time.perf_counter()
            await asyncio.to_thread(words.best, text, 50, Wanted(), _DAY)
            speed.words_ms.append((time.perf_counter() - began) * 1000)
