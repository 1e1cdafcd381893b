"""Answers to questions: sentences of passages, word for word, where the words support them. Pure.

The rule of support (an entailment check by words, without a model that could be talked into something):

1. The question's words are its stems without stop words and words that only ask. A word weighs the more the fewer of
   the passages found have it: what sets the question apart must be spoken of.
2. A sentence supports the question when, read under its document's title and section, it speaks of at least
   ``_ENOUGH`` of the question's weight; when at least ``_OWN`` of it, and two words, stand in the sentence itself;
   and when none of the question's numbers is missing.
3. A sentence that asks, that is a heading, or that is too short or long to be read alone supports nothing.

What no sentence supports is not answered. Documents that are not in force on the day never come this far.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tantivy
from service_contracts.answers import AnswerSentence
from service_contracts.evidence import Passage

__all__ = ["supported_sentences"]

_ENOUGH = 0.7
_OWN = 0.6
_LEAST_WORDS, _MOST_CHARS = 5, 700
_STOP = """
    a about after all also am an and any are as at be been before being between both but by can could did do does doing
    for from had has have having he her hers him his how i if in into is it its just may me might more most must my no
    nor not now of off on once only or other our out over own same shall she should so some such than that the their
    them then there these they this those through to too under until up upon very was we were what when where which
    while who whom whose why will with would you your
"""
_ASKING = """
    advice advise clinician clinicians considered evidence give given guideline guidelines literature long many much
    need often patient patients people recommend recommended recommendation recommendations say says studies study tell
    together
"""
_BOUNDARY = re.compile(r"(?<=[.!?])[\"”’)\]]*\s+(?=[\"“‘(\[]?[A-Z0-9•])|\n+|\s*•\s*")
# "e.g. Warfarin", "vs. Placebo", "Dr. Smith", "J. Smith" end no sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|al|etc|dr|mr|mrs|ms|no|fig|st|approx)|\b[A-Z])\.$", re.I)
_NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def _analyzer() -> tantivy.TextAnalyzer:
    """The same words that the index searches by."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.stemmer("english")).build()


_STEMS = _analyzer()
_IGNORED = frozenset(_STEMS.analyze(f"{_STOP} {_ASKING}"))


@dataclass(frozen=True)
class _Question:
    weights: dict[str, float]
    numbers: frozenset[str]

    def share(self, words: frozenset[str]) -> float:
        total = sum(self.weights.values())
        return sum(weight for word, weight in self.weights.items() if word in words) / total if total else 0.0


def supported_sentences(question: str, passages: Sequence[Passage], limit: int) -> list[AnswerSentence]:
    """Return the sentences of ``passages`` (best passage first) that support ``question``, best first."""
    texts = [_words(f"{one.source.title} {one.source.section} {one.text}") for one in passages]
    asked = _question(question, texts)
    found: dict[str, tuple[float, float, int, AnswerSentence]] = {}
    for rank, passage in enumerate(passages):
        context = _words(f"{passage.source.title} {passage.source.section}")
        for start, end in _sentences(passage.text):
            sentence = _judged(asked, passage, start, end, context)
            if sentence is not None:
                own = asked.share(frozenset(sentence.words))
                found.setdefault(sentence.text, (-sentence.support, -own, rank, sentence))
    ordered = sorted(found.values(), key=lambda one: one[:3])
    return [sentence for *_, sentence in ordered[:limit]]


def _question(text: str, passages: Sequence[frozenset[str]]) -> _Question:
    words = _words(text) - _IGNORED
    weights = {
        word: math.log(1 + (len(passages) + 1) / (1 + sum(word in one for one in passages)))
        for word in words
        if not word.isdecimal() and len(word) > 1
    }
    return _Question(weights, _numbers(text))


def _judged(asked: _Question, passage: Passage, start: int, end: int, context: frozenset[str]) -> AnswerSentence | None:
    text = passage.text[start:end]
    words = _words(text)
    own = frozenset(word for word in asked.weights if word in words)
    if len(own) < min(2, len(asked.weights)) or not asked.weights or asked.share(own) < _OWN:
        return None
    support = asked.share(words | context)
    if support < _ENOUGH or not asked.numbers <= _numbers(text):
        return None
    return AnswerSentence(
        text=text,
        passage_id=passage.id,
        start=start,
        end=end,
        support=round(support, 3),
        words=tuple(sorted(own)),
    )


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of the sentences that can be read alone."""
    begin = 0
    for boundary in _BOUNDARY.finditer(text):
        if _ABBREVIATION.search(text[begin : boundary.start()]) and "\n" not in boundary[0]:
            continue
        yield from _readable(text, begin, boundary.start())
        begin = boundary.end()
    yield from _readable(text, begin, len(text))


def _readable(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    part = part.strip()
    ends = part.rstrip('"”’)]')
    complete = ends.endswith((".", "!", ";", ":")) or part.endswith((".", "!"))
    if complete and len(part.split()) >= _LEAST_WORDS and len(part) <= _MOST_CHARS:
        yield start, start + len(part)


def _words(text: str) -> frozenset[str]:
    return frozenset(_STEMS.analyze(text))


def _numbers(text: str) -> frozenset[str]:
    return frozenset(number.replace(",", "").strip(".") for number in _NUMBER.findall(text))
