"""A label as text, its sentences as they stand, and its passages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from retrieval.documents import PassageText
from retrieval.labels.tables import Table

__all__ = ["LabelText", "Sentence", "passages", "sentence_spans", "sentences", "without_references"]

_PASSAGE_CHARS = 900
# A sentence ends before a capital, a bullet, a bracket, or the number of the next subsection. Common abbreviations do
# not end one.
_END = re.compile(
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!\bSt\.)(?<!\bvs\.)(?<!\bDr\.)\s+(?=[A-Z•●(\[]|\d+\.\d+\s+[A-Z])|\s+(?=[•●])"
)
_REFERENCE = re.compile(r"\[\s*see [^\]]*\]|\(\s*see [^)]*\)|\(\s*\d+(?:\.\d+)?(?:\s*,\s*\d+(?:\.\d+)?)*\s*\)", re.I)


@dataclass(frozen=True)
class LabelText:
    """One version of one label. ``sections`` are openFDA's names of sections with their text.

    ``rxcuis`` are codes of its products, ``uniis`` of its substances. ``tables`` are those of the section on dosage:
    what their cells say stands in the section's text too.
    """

    set_id: str
    version: str
    title: str
    publisher: str
    ingredients: tuple[str, ...]
    names: tuple[str, ...]
    rxcuis: tuple[str, ...]
    routes: tuple[str, ...]
    sections: dict[str, str]
    published: date | None = None
    effective_from: date | None = None
    identifier: str | None = None
    uniis: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Sentence:
    """A sentence word for word, the section it stands in, and what stood before it."""

    text: str
    section: str
    before: str


def sentences(section: str, text: str) -> Iterator[Sentence]:
    """Yield the sentences of a section's text in order."""
    for start, end in sentence_spans(text):
        if text[start:end].strip():
            yield Sentence(text[start:end].strip(), section, text[max(0, start - 400) : start])


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the sentences of a text stand, in order."""
    start = 0
    for end in _END.finditer(text):
        yield start, end.start()
        start = end.end()
    yield start, len(text)


def without_references(text: str) -> str:
    """Return a sentence without its cross-references and bullet, with plain spaces."""
    return re.sub(r"\s+", " ", _REFERENCE.sub(" ", text)).strip(" •●").replace(" .", ".").replace(" ,", ",")


def passages(key: str, sections: dict[str, str]) -> Iterator[PassageText]:
    """Yield the text of each section in spans of whole sentences."""
    for section, text in sections.items():
        for number, span in enumerate(_spans(text)):
            yield PassageText(f"{key}/{section}/{number}", section, span)


def _spans(text: str) -> Iterator[str]:
    span = ""
    for part in _END.split(text):
        while len(part) > 2 * _PASSAGE_CHARS:
            cut = part.rfind(" ", 0, _PASSAGE_CHARS)
            cut = cut if cut > 0 else _PASSAGE_CHARS
            if span:
                yield span
                span = ""
            yield part[:cut].strip()
            part = part[cut:]
        if span and len(span) + len(part) > _PASSAGE_CHARS:
            yield span
            span = ""
        span = f"{span} {part}".strip()
    if span:
        yield span
