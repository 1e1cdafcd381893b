"""Names of drugs and words for classes in running text, found by their words without regard to case and hyphens."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from retrieval.class_descriptions import Target
from retrieval.drug_classes import label_classes, other_names, words_of_classes
from retrieval.drug_names import CLASS_PREFIX
from retrieval.labels.descriptions import described, enzymes_before, first_words
from retrieval.labels.forms import NearNames
from retrieval.labels.substances import SUBSTANCES, taken
from retrieval.labels.words import Phrases, Token, keys_of, tokens_of
from retrieval.starter import starter_names

__all__ = ["Lexicon", "Mention"]

_PROPERTY = re.compile(
    r"\s+(?:(?:and|or)\s+[\w-]+\s+)?(?:effects?|actions?|activity|response|potency|efficacy|effectiveness|properties)\b",
    re.I,
)
_THINGS_WITH = re.compile(
    r"\b(?:drugs?|agents?|medications?|medicines?|products?|substances?|compounds?|that|which)"
    r" (?:with|having|has|have|possess\w*)\s+(?:[\w-]+\s+){0,2}$",
    re.I,
)
_REMEMBERED = 4096
_TAIL = frozenset({"agent", "drug", "medication", "medicine", "therapy", "compound", "preparation", "product"})
# Names of substances that labels mostly name as something measured or made by the body, not as what is taken.
_NOT_TAKEN = frozenset(
    {
        "potassium",
        "calcium",
        "sodium",
        "magnesium",
        "phosphate",
        "glucose",
        "oxygen",
        "water",
        "urea",
        "zinc",
        "iron",
        "chloride",
        "carbon",
        "dioxide",
        "protein",
        "albumin",
        "creatinine",
        "bicarbonate",
        "dextrose",
        "lactose",
        "fibrinogen",
        "thrombin",
        "sulfur",
        "oil",
        "gel",
        "nitrogen",
        "cholesterol",
        "histamine",
    }
)
_MEASURED = re.compile(r"^\W*(?:levels?|concentrations?|ions?)\b", re.I)

# "loop, potassium-sparing and thiazide diuretics": the noun stands once, at the end.
_SHORTENED = re.compile(
    r"(loop|thiazide|potassium[- ]sparing)(?=(?:,|\s+and|\s+or)+\s+(?:(?:loop|thiazide|potassium[- ]sparing)"
    r"(?:,|\s+and|\s+or)*\s+){0,2}(?:loop|thiazide|potassium[- ]sparing)\s+diuretics?)",
    re.I,
)
_DIURETICS = {
    "loop": "loop-diuretic",
    "thiazide": "thiazide-diuretic",
    "potassium": "potassium-sparing-diuretic",
}


@dataclass(frozen=True)
class Mention:
    """A drug, or a class written ``class:NAME``, and where it stands."""

    name: str
    start: int
    end: int


class Lexicon:
    """Ingredient names recognised in sentences, beside those of the starter table and the words for classes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._entries: Phrases[str] = Phrases()
        self._single_names: dict[str, str] = {}
        for words, name in words_of_classes().items():
            self._entries.enter(words, f"{CLASS_PREFIX}{name}")
        members = {name: name for one in label_classes().values() for name in one.members}
        members |= {name: name for name in other_names()}
        for name, ingredient in chain(starter_names().items(), members.items(), ((name, name) for name in names)):
            if len(name) > 3 and not name.startswith(CLASS_PREFIX) and name.lower() not in _NOT_TAKEN:
                words = keys_of(name)
                if words:
                    self._entries.enter(words, ingredient.lower())
                    if len(words) == 1:
                        self._single_names.setdefault(words[0], ingredient.lower())
        self._near = NearNames(self._single_names)
        self._first = self._entries.first_words() | first_words()
        self._read = lru_cache(maxsize=_REMEMBERED)(self._mentions)

    def mentions(self, text: str, before: str = "") -> tuple[Mention, ...]:
        """Return what is named in ``text`` in order; where names overlap, the first and longest.

        ``before`` is what stands before ``text``: what "this enzyme" points back to.
        """
        return self._read(text, enzymes_before(text, before))

    def _mentions(self, text: str, back: tuple[Target, ...]) -> tuple[Mention, ...]:
        return tuple(self._named(tokens_of(text), text, back))

    def _named(self, tokens: list[Token], text: str, back: tuple[Target, ...]) -> Iterator[Mention]:
        place = 0
        while place < len(tokens):
            if tokens[place].key.strip("() ") not in self._first:
                yield from self._single(tokens[place], text)
                place += 1
                continue
            start = tokens[place].start
            hit = self._known(tokens, place, text)
            told = described(tokens, place, text, back)
            if told is not None and (hit is None or told[1] > hit[1]):
                for name in told[0]:
                    yield Mention(f"{CLASS_PREFIX}{name}", start, tokens[told[1]].end)
                place = told[1] + 1
            elif hit is not None:
                end = tokens[hit[1]].end
                if not _measured(text, start, end) and not _is_property(hit[0], text, start, end):
                    yield Mention(hit[0], start, end)
                place = hit[1] + 1
            else:
                yield from self._single(tokens[place], text)
                place += 1

    def _single(self, token: Token, text: str) -> Iterator[Mention]:
        """Yield what one word names that is no name by itself."""
        if token.key in SUBSTANCES:
            if taken(text, token.start, token.end):
                yield Mention(f"{CLASS_PREFIX}{SUBSTANCES[token.key]}", token.start, token.end)
            return
        meant = self._near.meant(token.key)
        if meant is not None:
            yield Mention(self._single_names[meant], token.start, token.end)
        else:
            yield from _shortened(token, text)

    def _known(self, tokens: list[Token], place: int, text: str) -> tuple[str, int] | None:
        """Return the longest name at a word and its last word, that of a class with the noun after it."""
        hit = self._entries.at(tokens, place)
        if hit is None or not hit[0].startswith(CLASS_PREFIX):
            return hit
        name, last = hit
        while last + 1 < len(tokens) and tokens[last + 1].key.strip("() ") in _TAIL:
            if "." in text[tokens[last].end : tokens[last + 1].start]:
                break
            last += 1
        return name, last


def _measured(text: str, start: int, end: int) -> bool:
    """Whether a name is that of something measured: "serum digoxin levels"."""
    return bool(_MEASURED.match(text[end:]) and re.search(r"serum\W*$", text[:start], re.I))


def _is_property(name: str, text: str, start: int, end: int) -> bool:
    """Whether a word for a class is that of what something does ("the antihypertensive effect"), and names no medicine.

    "Drugs with antihypertensive effects" are the class.
    """
    if not name.startswith(CLASS_PREFIX) or not _PROPERTY.match(text, end):
        return False
    return not _THINGS_WITH.search(text[max(0, start - 60) : start])


def _shortened(token: Token, text: str) -> Iterator[Mention]:
    short = _SHORTENED.match(text, token.start) if token.key in _DIURETICS else None
    if short is not None:
        yield Mention(f"{CLASS_PREFIX}{_DIURETICS[token.key]}", token.start, token.start + len(short[1]))
