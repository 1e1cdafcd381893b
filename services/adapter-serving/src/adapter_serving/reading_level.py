"""The Flesch-Kincaid grade: the US school grade that can read a text.

grade = 0.39 words/sentences + 11.8 syllables/words - 15.59 (Kincaid and others, 1975, "Derivation of new readability
formulas", Navy Research Branch Report 8-75). Syllables are counted by rule; names of medicines are long and cannot be
made shorter, so callers may have them counted as words of two syllables.
"""

import re
from collections.abc import Iterable

__all__ = ["grade", "syllables"]

_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|\d+(?:[.,/]\d+)*")
_SENTENCE = re.compile(r"[.!?](?=\s|$)|\n")
_NAME_SYLLABLES = 2


def syllables(word: str) -> int:
    """Count the syllables of an English word by its groups of vowels; a number counts as one."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    if not plain:
        return 1
    groups = len(re.findall(r"[aeiouy]+", plain))
    if (
        plain.endswith(("es", "ed"))
        and not plain.endswith(("ses", "zes", "ces", "ges", "ches", "shes", "ted", "ded", "ied"))
    ) or (plain.endswith("e") and not plain.endswith(("le", "ee", "ye"))):
        groups -= 1
    return max(1, groups)


def grade(text: str, names: Iterable[str] = ()) -> float:
    """Return the grade of ``text``; the words of ``names`` count as ``_NAME_SYLLABLES`` syllables each."""
    named = {word.lower() for name in names for word in _WORD.findall(name)}
    words = _WORD.findall(text)
    sentences = max(1, sum(1 for part in _SENTENCE.split(text) if part.strip()))
    if not words:
        return 0.0
    total = sum(_NAME_SYLLABLES if word.lower() in named else syllables(word) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * total / len(words) - 15.59
