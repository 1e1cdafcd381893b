"""Text that somebody has written, as sentences to check, each with its place in the text as it was given. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from service_contracts.checks import GivenSection
from service_contracts.drafts import SectionKey
from service_contracts.reconciliation import Claim, Flag, Span

from reconciliation.document import Document, Sentence

__all__ = ["GivenText"]

# A line ends a sentence unless it only wraps: it ends without a full stop and the next one goes on in lower case.
_WRAPPED = re.compile(r"(?<![.!?:;\n])[ \t]*\r?\n(?=[ \t]*[a-z0-9(])")
_END = re.compile(r"(?<=[.!?])[ \t]+(?=[\"'(]?[A-Z])|[\r\n]+")
# "Dr. Adams", "approx. 5": no sentence ends there.
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|approx|e\.g|i\.e|vs|no)\.$", re.I)
_BULLET = re.compile(r"^[\s•*\-–]+")


@dataclass(frozen=True)
class GivenText:
    """The sentences of the given sections, and the way back from places in them to places in the sections."""

    sections: tuple[GivenSection, ...]
    sentences: tuple[Sentence, ...] = field(init=False)
    _wholes: tuple[Span, ...] = field(init=False)
    _starts: dict[SectionKey, list[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        found = [(section.key, *one) for section in self.sections for one in _sentences(section.text)]
        counts: dict[SectionKey, int] = {}
        sentences: list[Sentence] = []
        places: dict[tuple[SectionKey, int], int] = {}
        for key, start, text in found:
            index = counts.get(key, 0)
            counts[key] = index + 1
            sentences.append(Sentence(key, index, text))
            places[key, index] = start
        document = Document(sentences)
        starts: dict[SectionKey, list[tuple[int, int]]] = {}
        for sentence in document.sentences:
            begins = document.whole(sentence).start
            starts.setdefault(sentence.section, []).append((begins, places[sentence.section, sentence.index]))
        object.__setattr__(self, "_wholes", tuple(document.whole(one) for one in document.sentences))
        object.__setattr__(self, "sentences", tuple(sentences))
        object.__setattr__(self, "_starts", starts)

    def place(self, span: Span) -> Span:
        """Return the span in the section as it was given; the words of a wrapped line keep their number."""
        begins, given = max(one for one in self._starts[span.section] if one[0] <= span.start)
        moved = given - begins
        return span.model_copy(update={"start": span.start + moved, "end": span.end + moved})

    def placed_claims(self, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        """Return the claims with their spans in the sections as they were given."""
        return tuple(one.model_copy(update={"span": self.place(one.span)}) if one.span else one for one in claims)

    def placed_flags(self, flags: Iterable[Flag]) -> tuple[Flag, ...]:
        """Return the flags with their spans in the sections as they were given."""
        return tuple(one.model_copy(update={"span": self.place(one.span)}) if one.span else one for one in flags)

    def unread(self, claims: Iterable[Claim]) -> tuple[Span, ...]:
        """Return the sentences in which none of ``claims`` (spans not yet placed) stands, placed."""
        spans = [one.span for one in claims if one.span is not None]
        return tuple(
            self.place(whole)
            for whole in self._wholes
            if not any(
                span.section is whole.section and whole.start < span.end and span.start < whole.end for span in spans
            )
        )


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield place and words of each sentence; every character but a line's end stays where it was."""
    joined = _WRAPPED.sub(lambda match: " " * len(match[0]), text).replace("\t", " ")
    begin = 0
    for end in _END.finditer(joined):
        if "\n" not in end[0] and _ABBREVIATION.search(joined[begin : end.start()]):
            continue
        yield from _trimmed(joined, begin, end.start())
        begin = end.end()
    yield from _trimmed(joined, begin, len(joined))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    part = text[start:end]
    bullet = _BULLET.match(part)
    start += bullet.end() if bullet else 0
    words = text[start:end].rstrip()
    if words:
        yield start, words
