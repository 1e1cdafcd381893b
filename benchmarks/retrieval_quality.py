"""How well passages are found: SciFact claims and BioASQ questions, by words, by meaning, by both, and read again."""

import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from retrieval.cross_encoder_data import Claim, claims, corpus, literature
from retrieval.documents import IngestedDocument, PassageText
from retrieval.embedded_index import EmbeddedIndex
from retrieval.encoder import Encoder
from retrieval.index import Index
from retrieval.meaning import embed, load_encoder, load_reranker
from retrieval.reranking import READ_AGAIN, Reranker, reranked
from retrieval.wanted import Wanted
from service_contracts.evidence import Passage, PassageQuery, Source

from benchmarks.machine import quantile
from benchmarks.open_literature import Known, bioasq, vectors_of

__all__ = ["Quality", "bioasq_recall", "ndcg", "scifact"]

_ENCODER = Path(__file__).resolve().parents[1] / ".preceptor" / "cache" / "encoder"
_RERANKER = Path(os.environ.get("PRECEPTOR_RETRIEVAL_RERANKER_DIR", _ENCODER.with_name("reranker")))
_AT = 10
_RECALL_AT = 20
Open = Callable[[str], Awaitable[Index]]


@dataclass(frozen=True)
class Quality:
    """A figure of one way of finding on one engine, question by question, and what each second reading took."""

    engine: str
    way: str
    values: list[float]
    times_ms: list[float] = field(default_factory=list)

    def row(self, other: "Quality | None") -> str:
        """Return the row of the table, with the difference to another way, paired by question."""
        low, high = _interval(self.values)
        more = "-"
        if other is not None:
            differences = [one - base for one, base in zip(self.values, other.values, strict=True)]
            least, most = _interval(differences)
            more = f"{np.mean(differences):+.4f} ({least:+.4f} to {most:+.4f})"
        value = f"{np.mean(self.values):.4f} ({low:.4f} to {high:.4f})"
        times = " / ".join(f"{quantile(self.times_ms, share):,.0f}" for share in (0.5, 0.95)) if self.times_ms else "-"
        return f"| {self.engine} | {self.way} | {value} | {more} | {times} |"


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by drawing the questions anew."""
    chance, every = np.random.default_rng(1), np.array(values)
    means = [every[chance.integers(0, len(every), len(every))].mean() for _ in range(5000)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


class _Remembering:
    """A cross-encoder that reads nothing twice, and whose order counts what is wanted."""

    def __init__(self, reranker: Reranker) -> None:
        self.name, self.weight = reranker.name, reranker.weight
        self._reranker = reranker
        self._read: dict[tuple[str, tuple[str, ...]], list[float]] = {}

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the scores of texts."""
        asked = question, tuple(texts)
        if asked not in self._read:
            self._read[asked] = self._reranker.scores(question, texts)
        return self._read[asked]


def ndcg(ranked: Sequence[str], relevant: frozenset[str], depth: int = _AT) -> float:
    """Return the normalised discounted cumulative gain of the first ``depth``; relevant ones are worth the same."""
    gain = sum(1 / math.log2(place + 2) for place, one in enumerate(ranked[:depth]) if one in relevant)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(depth, len(relevant))))


async def scifact(folder: Path, engine: str, open_index: Open) -> list[Quality]:
    """Measure the claims of the half of the development set that is there; nothing was chosen on them."""
    documents = corpus(folder / "scifact" / "corpus_train.csv")
    questions = claims(folder / "scifact" / "claims_validation_dev_half.csv")
    texts = [f"{title}. {abstract}" for title, abstract in documents.values()]
    index = await open_index("scifact")
    try:
        await _write(index, list(literature(documents, "SciFact", "1")))
        found = [Quality(engine, "words", await _gains(index, questions))]
        encoder = _known(texts, [one.text for one in questions])
        await embed(index, encoder, ["literature"])
        index.use_encoder(encoder)
        await index.refresh()
        if isinstance(index, EmbeddedIndex):
            found.append(Quality(engine, "meaning", _gains_by_meaning(index, encoder, questions)))
        found.append(Quality(engine, "words and meaning", await _gains(index, questions)))
        if os.path.isdir(_RERANKER):  # noqa: ASYNC240, PTH112  nothing else runs beside a benchmark
            reranker = _Remembering(load_reranker(_RERANKER))
            times: list[float] = []
            for weight, way in (
                (reranker.weight, "read again"),
                (1.0, "read again, as much"),
                (1e6, "read again, alone"),
            ):
                reranker.weight = weight
                gains = await _gains(index, questions, reranker, times if not times else [])
                found.append(Quality(engine, f"and the best {READ_AGAIN} {way}", gains, times))
    finally:
        await index.close()
    return found


async def bioasq_recall(folder: Path, engine: str, open_index: Open) -> list[Quality]:
    """Measure how many of a question's snippets are among the first 20, of the snippets of all questions."""
    questions, snippets = bioasq(folder)
    source = Source(title="", publisher="BioASQ", identifier="7b-10b", version="1", section="")
    index = await open_index("bioasq")
    try:
        await _write(
            index,
            [
                IngestedDocument(f"snippet/{n}", "literature", source, passages=(PassageText(str(n), "", text),))
                for n, text in enumerate(snippets)
            ],
        )
        found = [Quality(engine, "words", await _recalls(index, questions))]
        encoder = _known(snippets, [one.text for one in questions])
        await embed(index, encoder, ["literature"])
        index.use_encoder(encoder)
        await index.refresh()
        found.append(Quality(engine, "words and meaning", await _recalls(index, questions)))
    finally:
        await index.close()
    return found


def _known(texts: Sequence[str], questions: Sequence[str]) -> Encoder:
    encoder = load_encoder(_ENCODER)
    return Known(encoder.name, {**vectors_of(encoder, texts), **vectors_of(encoder, questions)})


async def _write(index: Index, documents: Sequence[IngestedDocument]) -> None:
    for start in range(0, len(documents), 500):
        await index.write(documents[start : start + 500])
    await index.refresh()


async def _search(index: Index, text: str, limit: int) -> list[Passage]:
    return await index.passages(PassageQuery(text=text, limit=limit, source_kinds=("literature",), budget_ms=60_000))


async def _gains(
    index: Index, questions: Sequence[Claim], reranker: Reranker | None = None, times: list[float] | None = None
) -> list[float]:
    gains = []
    for one in questions:
        found = await _search(index, one.text, READ_AGAIN if reranker else _AT)
        if reranker is not None:
            began = time.perf_counter()
            found = reranked(one.text, found, reranker, _AT)
            if times is not None:
                times.append((time.perf_counter() - began) * 1000)
        gains.append(ndcg([passage.id for passage in found], one.relevant))
    return gains


def _gains_by_meaning(index: EmbeddedIndex, encoder: Encoder, questions: Sequence[Claim]) -> list[float]:
    meaning, today = index._view.passages.meaning, date(2026, 1, 1)
    gains = []
    for one in questions:
        numbers = meaning.best(encoder.encode([one.text])[0], _AT, Wanted(), today)
        rows = [index.store.passage(number) for number in numbers]
        gains.append(ndcg([row[0] for row in rows if row is not None], one.relevant))
    return gains


async def _recalls(index: Index, questions: Sequence[Claim]) -> list[float]:
    recalls = []
    for one in questions:
        found = {passage.id for passage in await _search(index, one.text, _RECALL_AT)}
        recalls.append(len(found & one.relevant) / len(one.relevant))
    return recalls
