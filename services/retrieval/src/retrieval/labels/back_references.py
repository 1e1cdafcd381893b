"""Words that point back: "these agents", "either drug" are those of the sentence before."""

import re

from retrieval.labels.lexicon import Lexicon, Mention

__all__ = ["pointed_back"]

_POINTING = re.compile(
    r"\b(?:(?:these|those|such|both|either|the (?:latter|above|aforementioned|two))\s+"
    r"(?:two\s+|three\s+|other\s+|types of\s+)?(?:classes of\s+)?"
    r"(?:drugs?|agents?|medications?|medicines?|medicinal products?|compounds?|products?|substances?"
    r"|classes|inhibitors|inducers|antibiotics|diuretics|combinations?)|this (?:class|combination))\b",
    re.I,
)
# Without one of these nothing points back; looking for them first is ten times as fast.
_SIGNS = ("hese", "hose", "uch ", "oth ", "ither", "latter", "above", "aforem", "he two", "his c")
_END = re.compile(r"(?<=[.!?])\s+|\n")


def pointed_back(text: str, before: str, lexicon: Lexicon) -> list[Mention]:
    """Return what words of ``text`` that point back mean, each at the place of those words.

    It is what the last sentence of ``before`` names that names anything.
    """
    pointing = _POINTING.search(text) if any(word in text for word in _SIGNS) else None
    if pointing is None:
        return []
    for sentence in reversed(_END.split(before)):
        found = lexicon.mentions(sentence)
        if found:
            names = dict.fromkeys(one.name for one in found)
            return [Mention(name, pointing.start(), pointing.end()) for name in names]
    return []
