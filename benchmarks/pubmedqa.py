"""PubMedQA: is the abstract a question was made from found, and how far do simple means answer yes, no or maybe."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from retrieval.cross_encoder_data import corpus, literature
from retrieval.documents import IngestedDocument, PassageText
from retrieval.encoder import Encoder
from retrieval.index import Index
from service_contracts.evidence import PassageQuery, Source

from benchmarks.open_literature import Known, vectors_of

__all__ = ["Answers", "Found", "Question", "answered", "found_first", "read_questions"]

_CHOICES = ("yes", "no", "maybe")
_FOLDS, _INNER = 10, 5
_PENALTIES = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0)
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A question, the abstract it was made from without its conclusion, and the label where there is one."""

    id: str
    text: str
    abstract: str
    label: str | None


@dataclass(frozen=True)
class Found:
    """Among how many abstracts, by what, and for how many questions the own one is the first, or in the first three."""

    abstracts: int
    way: str
    first: int
    in_three: int
    questions: int


def read_questions(folder: Path) -> list[Question]:
    """Return all questions of the expert-labelled set. A title is not given: it is mostly the question itself."""
    raw = json.loads((folder / "pubmedqa" / "ori_pqal_test_labels_removed.json").read_text("utf-8"))
    return [
        Question(number, one["QUESTION"], "\n".join(one["CONTEXTS"]), one.get("final_decision"))
        for number, one in raw.items()
    ]


async def found_first(index: Index, encoder: Encoder, folder: Path, questions: Sequence[Question]) -> list[Found]:
    """Look each question up among the abstracts of all of them, then with those of SciFact beside."""
    known = vectors_of(encoder, [one.text for one in questions])
    known |= vectors_of(encoder, [one.abstract for one in questions])
    await index.write(_documents(questions))
    await index.refresh()
    found = [await _look_up(index, questions, "words")]
    others = corpus(folder / "scifact" / "corpus_train.csv")
    known |= vectors_of(encoder, [f"{title}. {abstract}" for title, abstract in others.values()])
    ready = Known(encoder.name, known)
    await _embed(index, ready)
    found.append(await _look_up(index, questions, "words and MiniLM"))
    batch = list(literature(others, "SciFact", "1"))
    for start in range(0, len(batch), 500):
        await index.write(batch[start : start + 500])
    await _embed(index, ready)
    found.append(await _look_up(index, questions, "words and MiniLM", len(batch)))
    return found


def _documents(questions: Sequence[Question]) -> list[IngestedDocument]:
    source = Source(title="", publisher="PubMedQA", identifier="", version="1", section="")
    return [
        IngestedDocument(
            f"literature/pubmedqa/{one.id}",
            "literature",
            source.model_copy(update={"identifier": one.id}),
            passages=(PassageText(f"pubmedqa-{one.id}", "", one.abstract),),
        )
        for one in questions
    ]


async def _embed(index: Index, encoder: Known) -> None:
    waiting = await index.without_vector(encoder.name, ["literature"], 100_000)
    rows = encoder.encode([one.text for one in waiting])
    await index.add_vectors(encoder.name, [(one.place, row) for one, row in zip(waiting, rows, strict=True)])
    index.use_encoder(encoder)
    await index.refresh()


async def _look_up(index: Index, questions: Sequence[Question], way: str, others: int = 0) -> Found:
    first = in_three = 0
    for one in questions:
        query = PassageQuery(text=one.text, limit=3, source_kinds=("literature",), budget_ms=60_000)
        ids = [passage.id for passage in await index.passages(query)]
        first += ids[:1] == [f"pubmedqa-{one.id}"]
        in_three += f"pubmedqa-{one.id}" in ids
    return Found(len(questions) + others, way, first, in_three, len(questions))


@dataclass(frozen=True)
class Answers:
    """How many labelled questions there are, and how many the most frequent label and the head get right."""

    questions: int
    majority: int
    head: int
    majority_f1: float
    head_f1: float


def answered(encoder: Encoder, questions: Sequence[Question]) -> Answers:
    """Cross-validate a linear head on the vectors of question and abstract, over the questions whose label is at hand.

    Ten folds, each with the penalty chosen by five folds inside the other nine: nothing is chosen on what is counted.
    """
    labelled = [one for one in questions if one.label is not None]
    asked = vectors_of(encoder, [one.text for one in questions])
    read = vectors_of(encoder, [one.abstract for one in questions])
    q = np.stack([asked[one.text] for one in labelled]).astype(np.float64)
    a = np.stack([read[one.abstract] for one in labelled]).astype(np.float64)
    features = np.hstack([q, a, q * a * math.sqrt(q.shape[1]), np.abs(q - a)])
    labels = np.array([_CHOICES.index(one.label or "") for one in labelled])
    folds = np.random.default_rng(7).permutation(len(labels)) % _FOLDS
    guessed, usual = np.zeros_like(labels), np.zeros_like(labels)
    for fold in range(_FOLDS):
        inside = folds != fold
        usual[~inside] = Counter(labels[inside].tolist()).most_common(1)[0][0]
        penalty = max(_PENALTIES, key=lambda one: _inner(features[inside], labels[inside], one))
        guessed[~inside] = _predict(_fit(features[inside], labels[inside], penalty), features[~inside])
    return Answers(
        len(labels),
        int((usual == labels).sum()),
        int((guessed == labels).sum()),
        _f1(usual, labels),
        _f1(guessed, labels),
    )


def _inner(features: Matrix, labels: NDArray[np.int64], penalty: float) -> float:
    folds = np.arange(len(labels)) % _INNER
    right = 0
    for fold in range(_INNER):
        inside = folds != fold
        weights = _fit(features[inside], labels[inside], penalty)
        right += int((_predict(weights, features[~inside]) == labels[~inside]).sum())
    return right / len(labels)


def _fit(features: Matrix, labels: NDArray[np.int64], penalty: float) -> Matrix:
    """Return the weights of a ridge regression on the labels, one column for each."""
    x = np.hstack([features, np.ones((len(features), 1))])
    wanted = np.eye(len(_CHOICES))[labels]
    ridge = x @ x.T + penalty * len(x) * np.eye(len(x))
    return np.asarray(x.T @ np.linalg.solve(ridge, wanted), np.float64)


def _predict(weights: Matrix, features: Matrix) -> NDArray[np.int64]:
    x = np.hstack([features, np.ones((len(features), 1))])
    return np.asarray((x @ weights).argmax(axis=1), np.int64)


def _f1(guessed: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    total = 0.0
    for choice in range(len(_CHOICES)):
        both = int(((guessed == choice) & (labels == choice)).sum())
        total += 2 * both / max(1, int((guessed == choice).sum()) + int((labels == choice).sum()))
    return total / len(_CHOICES)
