"""Which facts speak of a condition or procedure: by the words that name it, or by the beginning of its code."""

import re
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from service_contracts.quantity import Coding

__all__ = ["TermIndex"]

_T = TypeVar("_T")
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
# "heart failure" is not what "hypertensive heart disease without heart failure" has.
_DENIAL = re.compile(r"\b(?:without|no|not|denies|absence of|negative for|ruled out|family history of)\b")
_ICD_10 = {"http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"}


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


def _code(coding: Coding) -> tuple[str, str]:
    system = "icd-10" if coding.system in _ICD_10 else coding.system
    return system, coding.code.replace(".", "").upper()


class TermIndex(Generic[_T]):
    """Entries under terms and code stems. A term matches as whole words, in order, case ignored."""

    def __init__(self) -> None:
        self._terms: dict[str, list[tuple[tuple[str, ...], _T]]] = {}
        self._codes: dict[str, list[tuple[str, _T]]] = {}

    def add(self, terms: Iterable[str], codes: Iterable[Coding], entry: _T) -> None:
        """Enter something under its terms and codes."""
        for term in terms:
            words = _words(term)
            if words:
                self._terms.setdefault(words[0], []).append((words, entry))
        for coding in codes:
            system, stem = _code(coding)
            self._codes.setdefault(system, []).append((stem, entry))

    def find(self, text: str, codes: Sequence[Coding] = ()) -> list[_T]:
        """Return the entries that ``text`` or one of ``codes`` names, each once."""
        found: dict[int, _T] = {}
        for coding in codes:
            system, code = _code(coding)
            for stem, entry in self._codes.get(system, ()):
                if code.startswith(stem):
                    found[id(entry)] = entry
        denial = _DENIAL.search(text.lower())
        words = _words(text[: denial.start()] if denial else text)
        for place, word in enumerate(words):
            for term, entry in self._terms.get(word, ()):
                if words[place : place + len(term)] == term:
                    found[id(entry)] = entry
        return list(found.values())
