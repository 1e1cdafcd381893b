"""Reads questions with their relevant documents and a corpus, and makes of them what a cross-encoder is trained on."""

import csv
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument, PassageText
from retrieval.reranking import TrainingGroup

__all__ = ["Claim", "claims", "corpus", "document_text", "literature", "title_groups", "training_groups"]

_OTHERS = 3
_LONG = 200
_FOUND = 20
_STRING = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.S)


@dataclass(frozen=True)
class Claim:
    """A question or claim, and the ids of the documents that speak of it."""

    id: str
    text: str
    relevant: frozenset[str]


def corpus(path: Path) -> dict[str, tuple[str, str]]:
    """Return title and abstract of each document of a SciFact corpus in CSV."""
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8", newline="") as file:
        return {row["doc_id"]: (row["title"], _joined(row["abstract"])) for row in csv.DictReader(file)}


def claims(path: Path) -> list[Claim]:
    """Return the claims of a SciFact CSV, which has a row for each piece of evidence, in their order."""
    found: dict[str, tuple[str, set[str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            _, relevant = found.setdefault(row["id"], (row["claim"], set()))
            relevant.update(re.findall(r"\d+", row["cited_doc_ids"]))
    return [Claim(claim, text, frozenset(relevant)) for claim, (text, relevant) in found.items()]


def literature(documents: dict[str, tuple[str, str]], publisher: str, version: str) -> Iterator[IngestedDocument]:
    """Yield the documents of a corpus as literature, each one passage."""
    for identifier, (title, abstract) in documents.items():
        source = Source(title=title, publisher=publisher, identifier=identifier, version=version, section="")
        yield IngestedDocument(
            f"literature/{identifier}", "literature", source, passages=(PassageText(identifier, title, abstract),)
        )


def document_text(document: tuple[str, str]) -> str:
    """Return a document as it is read with a question."""
    return ". ".join(part for part in document if part)


async def training_groups(
    questions: Sequence[Claim],
    documents: dict[str, tuple[str, str]],
    search: Callable[[str, int], Awaitable[Sequence[str]]],
    seed: int,
) -> list[TrainingGroup]:
    """Return for each relevant document a group: it, and others that ``search`` puts high for the question."""
    chance = random.Random(seed)  # noqa: S311  picks examples, keeps no secret
    groups = []
    for one in questions:
        found = [other for other in await search(one.text, _FOUND) if other not in one.relevant]
        for relevant in sorted(one.relevant)[:2]:
            others = chance.sample(found, min(_OTHERS, len(found)))
            texts = tuple(document_text(documents[place]) for place in (relevant, *others))
            groups.append(TrainingGroup(one.text, texts))
    return groups


async def title_groups(
    documents: dict[str, tuple[str, str]],
    without: frozenset[str],
    search: Callable[[str, int], Awaitable[Sequence[str]]],
    count: int,
    seed: int,
) -> list[TrainingGroup]:
    """Return groups in which a title asks for its text, among texts that ``search`` finds for it; none of ``without``.

    Titles of articles say what was found, as claims do. The texts stand without theirs: it would give them away.
    """
    chance = random.Random(seed)  # noqa: S311  picks examples, keeps no secret
    able = [one for one, (title, text) in documents.items() if one not in without and title and len(text) >= _LONG]
    groups = []
    for one in chance.sample(able, min(count, len(able))):
        title, text = documents[one]
        found = [other for other in await search(title, _FOUND) if other != one]
        others = chance.sample(found, min(_OTHERS, len(found)))
        groups.append(TrainingGroup(title.rstrip("."), (text, *(documents[other][1] for other in others))))
    return groups


def _joined(array: str) -> str:
    """Read an array of strings as numpy prints it: without commas."""
    strings = (single or double for single, double in _STRING.findall(array))
    return " ".join(one.replace("\\'", "'").replace("\\n", " ") for one in strings)
