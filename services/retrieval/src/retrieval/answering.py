"""Answers to questions: sentences of passages, word for word, where the words support them. Pure.

The rule of support (an entailment check by words, without a model that could be talked into something):

1. The question's words are its stems without stop words and words that only ask. A word weighs the more the fewer of
   the passages found have it: what sets the question apart must be spoken of.
2. A sentence supports the question when, read under its document's title and section, it speaks of at least
   ``_ENOUGH`` of the question's weight; when at least ``_OWN`` of it, and two words, stand in the sentence itself.
3. None of the question's numbers and drugs may be missing, nor the act that is asked about (screening, treatment). An
   age may stand inside a range of ages.
4. It must not be about others: another sex, age group or age, or the pregnant where they are not.
5. A sentence that asks, that is a heading, that is too short or long to be read alone, or that reports what was
   recommended before, supports nothing.

What no sentence supports is not answered. Documents that are not in force on the day never come this far, and what is
cited is read again out of the version it names (``stands_in``).
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import tantivy
from service_contracts.answers import AnswerSentence
from service_contracts.evidence import Passage, Source

from retrieval.asked_of import about_others, ages_asked, says_ages
from retrieval.documents import in_force
from retrieval.short_forms import COMMON, explained

__all__ = ["stands_in", "supported_sentences"]

_ENOUGH = 0.7
_OWN = 0.5
_ABOUT = 0.15
_RECOMMENDATION, _ADVICE, _REPORT = range(3)
_LEAST_WORDS, _MOST_CHARS = 5, 700
_STOP = """
    a about after against all also am an and any are as at be been before being between both but by can could did do
    does doing done during for from had has have having he her hers him his how i if in into is it its just may me
    might more most must my no nor not now of off on once only or other our out over own same shall she should so
    some such than that the their them then there these they this those through to too under until up upon very was
    we were what when where which while who whom whose why will with would you your
"""
_ASKING = """
    advice advise advised begin clinician clinicians considered enough evidence follow get give given guideline
    guidelines literature long many much need offer offered often patient patients prescribe prescribed receive
    recommend recommended recommendation recommendations routine routinely say says start started studies study
    sufficient take taken tell together use used
"""
# Of whom: told apart by ``asked_of``, and no part of what is asked.
_WHOM = """
    adolescent adolescents adult adults age aged ages boy boys child children female females girl girls infant infants
    male males man men newborn newborns old older people person persons woman women year years young younger
"""
_BOUNDARY = re.compile(r"(?<=[.!?])[\"”’)\]]*\s+(?=[\"“‘(\[]?[A-Z0-9•])|\n+|\s*•\s*")
# "e.g. Warfarin", "vs. Placebo", "Dr. Smith", "J. Smith" end no sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|al|etc|dr|mr|mrs|ms|no|fig|st|approx)|\b[A-Z])\.$", re.I)
_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
# "The 2016 guideline recommended", "in its previous statement": what was said before, and perhaps no longer.
_RECOMMENDING = r"(?:recommend\w*|guidelines?|statements?|conclu\w+)"
_BEFORE = re.compile(
    rf"\b(?:previous(?:ly)?|earlier|former(?:ly)?|prior|old)\b.{{0,40}}\b{_RECOMMENDING}|\bupdates (?:and|the|its)\b"
    rf"|\b((?:19|20)\d\d)\b.{{0,60}}\b{_RECOMMENDING}|\b{_RECOMMENDING}\b.{{0,40}}\b(?:in|from|of) ((?:19|20)\d\d)\b",
    re.I | re.S,
)
# The heading of a recommendation itself, not of what is told about it.
_GRADED = re.compile(r"\(grade [A-DI]\)$|\brecommendations? #\d", re.I)
_RECOMMENDS = re.compile(
    r"\brecommends?\b|\b(?:is|are) (?:not )?(?:recommended|indicated|contraindicated)\b|\b(?:should|must)\b"
    r"|\bevidence is insufficient\b|^(?:do not |never |always )?(?:offer|consider|prescribe|give|avoid|refer|screen|use"
    r"|start|stop|treat|test|check|measure|monitor|advise|ask|assess|discuss|review|repeat|begin|continue)\b",
    re.I,
)
_ASKS_ADVICE = re.compile(r"\b(?:should|must|may|need\w*|recommend\w*|advised?|advisable|offer\w*)\b", re.I)
_NO_SYMPTOMS = re.compile(r"\b(?:without|no|any) symptoms\b", re.I)
_REFERENCE = re.compile(r"\([^()]*\b(?:19|20)\d\d[^()]*\)")


def _analyzer() -> tantivy.TextAnalyzer:
    """The same words that the index searches by."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.stemmer("english")).build()


_STEMS = _analyzer()
# What is to be done: a sentence on another act is about something else, however much of the rest it speaks of.
_ACTS = "screening counseling immunization surgery vaccination treatment"
# Forms of one word that the stemmer leaves apart.
_SAME = {
    "mammogram": "mammographi",
    "pregnanc": "pregnant",
    "prophylact": "prophylaxi",
    "smoker": "smoke",
    "ultrasonographi": "ultrasound",
}
_DONE = frozenset(_STEMS.analyze(_ACTS))
_IGNORED = frozenset(_STEMS.analyze(f"{_STOP} {_ASKING} {_WHOM}"))


@dataclass(frozen=True)
class _Question:
    text: str
    weights: dict[str, float]
    numbers: frozenset[str]
    ages: frozenset[str]
    drugs: frozenset[str]
    short: dict[str, frozenset[str]]

    def read(self, *texts: str) -> frozenset[str]:
        """Return the words of texts, with the short forms that they spell out and what their short forms stand for."""
        words = _words(" ".join(texts))
        for form, spelt in self.short.items():
            if form in words or spelt <= words:
                words |= {form, *spelt}
        return words

    def share(self, words: frozenset[str]) -> float:
        total = sum(self.weights.values())
        return sum(weight for word, weight in self.weights.items() if word in words) / total if total else 0.0


def supported_sentences(
    question: str, passages: Sequence[Passage], drugs: frozenset[str] = frozenset(), *, advice: bool = False
) -> list[tuple[AnswerSentence, Passage]]:
    """Return the sentences of ``passages`` (best passage first) that support ``question``, best first, each once.

    ``drugs`` are names of ingredients: one that is asked about must be spoken of. Where ``advice`` is asked for,
    recommendations come before sentences that recommend, and these before those that report, if they speak of about
    as much; a report answers no question of what should be done.
    """
    asked = _question(question, passages, drugs)
    found: dict[str, tuple[int, float, int, AnswerSentence, Passage]] = {}
    for rank, passage in enumerate(passages):
        for start, end in _sentences(passage.text):
            sentence = _judged(asked, passage, start, end)
            if sentence is not None:
                own = asked.share(frozenset(sentence.words))
                order = _order(sentence, passage) if advice else _ADVICE
                if advice and order == _REPORT and _ASKS_ADVICE.search(question):
                    continue
                entry = order, -own, rank, sentence, passage
                known = found.get(sentence.text)
                found[sentence.text] = entry if known is None or order < known[0] else known
    best = max((sentence.support for *_, sentence, _ in found.values()), default=0.0)
    ordered = sorted(
        found.values(), key=lambda one: (one[3].support < best - _ABOUT, one[0], -one[3].support, *one[1:3])
    )
    return [(sentence, passage) for *_, sentence, passage in ordered]


def _order(sentence: AnswerSentence, passage: Passage) -> int:
    recommends = _RECOMMENDS.search(sentence.text) is not None
    if _GRADED.search(passage.source.section) or (recommends and _GRADED.search(passage.source.title)):
        return _RECOMMENDATION
    return _ADVICE if recommends else _REPORT


def stands_in(sentence: AnswerSentence, found: Passage, kept: Passage, as_of: date) -> bool:
    """Whether ``kept``, read again, holds the sentence where it was found, under the same headings, and is in force."""
    headings = [(one.source.title, one.source.section, one.source.version) for one in (found, kept)]
    return (
        kept.text[sentence.start : sentence.end] == sentence.text != ""
        and headings[0] == headings[1]
        and in_force(kept.source.effective_from, kept.source.superseded_on, as_of)
    )


def _question(text: str, found: Sequence[Passage], drugs: frozenset[str]) -> _Question:
    texts = [f"{one.source.title} {one.source.section} {one.text}" for one in found]
    ages = ages_asked(text)
    asked = _Question(text, {}, _numbers(text) - ages, ages, _drugs(text, drugs), _short_forms([text, *texts]))
    passages = [asked.read(one) for one in texts]
    words = _words(_NO_SYMPTOMS.sub("asymptomatic", text)) - _IGNORED
    weights = {
        word: math.log(1 + (len(passages) + 1) / (1 + sum(word in one for one in passages)))
        for word in words
        if not word.isdecimal() and len(word) > 1
    }
    return replace(asked, weights=weights)


def _short_forms(texts: Sequence[str]) -> dict[str, frozenset[str]]:
    return {form.lower(): _words(spelt) for form, spelt in (COMMON | explained(texts)).items()}


def _drugs(text: str, drugs: frozenset[str]) -> frozenset[str]:
    """Return the stems of the drugs that a text names."""
    spoken = re.findall(r"[a-z][a-z-]+", text.lower())
    names = {" ".join(spoken[at : at + length]) for length in (1, 2, 3) for at in range(len(spoken))}
    return frozenset(stem for name in names & drugs for stem in _words(name))


def _judged(asked: _Question, passage: Passage, start: int, end: int) -> AnswerSentence | None:
    text, title, section = passage.text[start:end], passage.source.title, passage.source.section
    words, spoken = asked.read(text), asked.read(title, section, text)
    own = frozenset(word for word in asked.weights if word in words)
    if len(own) < min(2, len(asked.weights)) or not asked.weights or asked.share(own) < _OWN:
        return None
    support = asked.share(spoken)
    missing = (asked.drugs | (_DONE & asked.weights.keys())) - spoken
    if support < _ENOUGH or missing or _reports_earlier(text, passage.source):
        return None
    numbers = asked.numbers if says_ages(text, section) else asked.numbers | asked.ages
    if not numbers <= _numbers(text) or about_others(asked.text, text, section, title):
        return None
    return AnswerSentence(
        text=text,
        passage_id=passage.id,
        start=start,
        end=end,
        support=round(support, 3),
        words=tuple(sorted(own)),
    )


def _reports_earlier(text: str, source: Source) -> bool:
    """Whether a sentence tells what was recommended before its own document, by words or by an earlier year."""
    first = source.effective_from or source.published
    for found in _BEFORE.finditer(_REFERENCE.sub("", text)):
        year = found[1] or found[2]
        if year is None or first is None or int(year) < first.year:
            return True
    return False


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
    # The last one of a passage may have lost its full stop.
    complete = complete or (end == len(text) and _RECOMMENDS.search(part) is not None)
    if complete and len(part.split()) >= _LEAST_WORDS and len(part) <= _MOST_CHARS:
        yield start, start + len(part)


def _words(text: str) -> frozenset[str]:
    return frozenset(_SAME.get(stem, stem) for stem in _STEMS.analyze(text))


def _numbers(text: str) -> frozenset[str]:
    return frozenset(number.replace(",", "").strip(".") for number in _NUMBER.findall(text))
