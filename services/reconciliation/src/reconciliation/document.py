"""The drafted document: sentences in their sections, and where their words stand in each section's text."""

from collections.abc import Iterable
from dataclasses import dataclass

from service_contracts.chart import ChartReference
from service_contracts.drafts import SECTION_TITLES, SectionKey
from service_contracts.reconciliation import Section, Span

from reconciliation.statements import Place

__all__ = ["Document", "Sentence"]

_ORDER = {key: position for position, key in enumerate(SectionKey)}


@dataclass(frozen=True)
class Sentence:
    """One sentence of the draft and the chart items it was written from."""

    section: SectionKey
    index: int
    text: str
    sources: tuple[ChartReference, ...] = ()


class Document:
    """Sentences in document order. A section's text is its sentences, one per line."""

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        self.sentences = tuple(sorted(sentences, key=lambda s: (_ORDER[s.section], s.index)))
        self._starts: dict[tuple[SectionKey, int], int] = {}
        lines: dict[SectionKey, list[str]] = {}
        for sentence in self.sentences:
            before = lines.setdefault(sentence.section, [])
            self._starts[sentence.section, sentence.index] = sum(len(line) + 1 for line in before)
            before.append(sentence.text)
        self.sections = tuple(
            Section(key=key, title=SECTION_TITLES[key], text="\n".join(texts)) for key, texts in lines.items()
        )

    def span(self, sentence: Sentence, place: Place) -> Span:
        """Return where ``place`` of ``sentence`` stands in its section's text."""
        start = self._starts[sentence.section, sentence.index]
        return Span(
            section=sentence.section, start=start + place.start, end=start + place.end, quote=place.of(sentence.text)
        )

    def whole(self, sentence: Sentence) -> Span:
        """Return the span of the whole sentence."""
        return self.span(sentence, Place(0, len(sentence.text)))
