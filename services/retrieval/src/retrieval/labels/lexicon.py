"""Names of drugs and words for classes in running text, found by their words without regard to case and hyphens."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from retrieval.drug_classes import classes_in_words, enzyme_words, label_classes, singular, words_of_classes
from retrieval.drug_names import CLASS_PREFIX
from retrieval.starter import starter_names

__all__ = ["Lexicon", "Mention"]

# A word; or an abbreviation in brackets inside a name, "angiotensin converting enzyme (ACE) inhibitors".
_TOKEN = re.compile(r"\(\s*[A-Za-z][\w-]{1,11}\s*\)|[A-Za-z0-9][A-Za-z0-9']*")
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
_PATHWAYS = re.compile(
    r"(?:drugs|agents|medications) (?:that|which) (?:have an )?[ae]ffect(?: on)? "
    r"((?:(?:CYP)?\d[A-Z]\d{1,2},? ?(?:and |or )?)+)metabolic pathways",
    re.I,
)


def _listed_enzymes(text: str) -> list["Mention"]:
    """Return one mention for each enzyme of a list whose noun stands once, at the end."""
    return [
        Mention(f"{CLASS_PREFIX}cyp{enzyme.lower()}-affecting", match.start(), match.end())
        for match in _PATHWAYS.finditer(text)
        for enzyme in re.findall(r"\d[A-Z]\d{1,2}", match[1], re.I)
        if f"cyp{enzyme.lower()}-affecting" in label_classes()
    ]


@dataclass(frozen=True)
class Mention:
    """A drug, or a class written ``class:NAME``, and where it stands."""

    name: str
    start: int
    end: int


class Lexicon:
    """Ingredient names recognised in sentences, beside those of the starter table and the words for classes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._entries: dict[tuple[str, ...], str] = {}
        self._longest: dict[str, int] = {}
        for words, name in words_of_classes().items():
            self._enter(words, f"{CLASS_PREFIX}{name}")
        for name, ingredient in chain(starter_names().items(), ((name, name) for name in names)):
            if len(name) > 3 and not name.startswith(CLASS_PREFIX) and name.lower() not in _NOT_TAKEN:
                words = tuple(word for word in re.split(r"[^a-z0-9']+", name.lower()) if word)
                if words:
                    self._enter(words, ingredient.lower())

    def _enter(self, words: tuple[str, ...], name: str) -> None:
        self._entries.setdefault(words, name)
        self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def mentions(self, text: str) -> list[Mention]:
        """Return what is named in ``text`` in order; where names overlap, the first and longest."""
        found = [
            Mention(f"{CLASS_PREFIX}{name}", match.start(), match.end())
            for match in enzyme_words().finditer(text)
            for name in classes_in_words(match[0])
        ]
        found += _listed_enzymes(text)
        taken = [(one.start, one.end) for one in found]
        tokens = [
            (match.start(), match.end(), match[0].lower())
            for match in _TOKEN.finditer(text)
            if not any(start <= match.start() < end for start, end in taken)
        ]
        found += self._named(tokens, text)
        return sorted(found, key=lambda one: one.start)

    def _named(self, tokens: list[tuple[int, int, str]], text: str) -> Iterator[Mention]:
        place = 0
        while place < len(tokens):
            start, _, first = tokens[place]
            longest = max(self._longest.get(word, 0) for word in {first, singular(first)})
            hit = self._at(tokens, place, longest) if longest else None
            if hit is None:
                short = _SHORTENED.match(text, start)
                if short is not None and first in _DIURETICS:
                    yield Mention(f"{CLASS_PREFIX}{_DIURETICS[first]}", start, start + len(short[1]))
                place += 1
                continue
            name, last = hit
            if name.startswith(CLASS_PREFIX):
                while last + 1 < len(tokens) and singular(tokens[last + 1][2].strip("() ")) in _TAIL:
                    last += 1
            elif _MEASURED.match(text[tokens[last][1] :]) and re.search(r"serum\W*$", text[:start], re.I):
                place = last + 1
                continue
            yield Mention(name, start, tokens[last][1])
            place = last + 1

    def _at(self, tokens: list[tuple[int, int, str]], place: int, longest: int) -> tuple[str, int] | None:
        """Return the longest name that begins at a token, and the number of its last token."""
        words: list[str] = []
        best = None
        at = place
        while at < len(tokens) and len(words) < longest:
            word = tokens[at][2]
            if word.startswith("("):
                if not words:
                    word = word.strip("() ")
                else:
                    at += 1
                    continue
            words.append(word)
            single = tuple(singular(one) for one in words)
            name = self._entries.get(tuple(words)) or self._entries.get(single)
            if name is not None:
                best = name, at
            at += 1
        return best
