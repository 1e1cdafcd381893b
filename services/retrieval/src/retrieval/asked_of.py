"""Of whom a text speaks: sex, age group, pregnancy and ages, as far as words say it. Pure.

It is used to tell that a sentence is about others than the question, never that it is about the same.
"""

import re
from collections.abc import Mapping

__all__ = ["about_others", "ages_asked", "says_ages"]

_Groups = Mapping[str, re.Pattern[str]]


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.I)


_SEX: _Groups = {
    "female": _pattern(r"wom[ae]n|females?|girls?|mothers?|(?:non)?pregnan\w+|postmenopausal|postpartum"),
    "male": _pattern(r"m[ae]n|males?|boys?|fathers?"),
}
_AGE: _Groups = {
    "child": _pattern(r"child(?:ren)?|infants?|toddlers?|newborns?|neonates?|(?:girl|boy)s?"),
    "adolescent": _pattern(r"adolescents?|teen(?:ager)?s?"),
    "adult": _pattern(r"adults?|elderly"),
}
_PREGNANCY: _Groups = {
    "pregnant": _pattern(r"pregnan\w+|gestation\w*"),
    "not pregnant": _pattern(r"non-?pregnant|not pregnant"),
}
_AGES_ASKED = re.compile(r"\b(\d{1,3})[- ]years?[- ]old|\bage[ds]?(?: of)? (\d{1,3})\b|\b(\d{1,3}) years of age", re.I)
_YEARS = r"(?:[- ]years?(?: of age)?)?"
_BETWEEN = re.compile(rf"\b(\d{{1,3}}){_YEARS} ?(?:to|through|and|-|–) ?(\d{{1,3}}) years(?! of follow| follow)", re.I)
_FROM = re.compile(r"(?:≥ ?|\b)(\d{1,3}) years (?:of age )?(?:or|and) (?:older|over|above|after)", re.I)
_UP_TO = re.compile(r"\b(\d{1,3}) years (?:of age )?(?:or|and) (?:younger|under)", re.I)
_BELOW = re.compile(r"\b(?:younger than|under|below)(?: age)? (\d{1,3}) years", re.I)
_OLDEST = 150


def about_others(question: str, *texts: str) -> bool:
    """Whether the first of ``texts`` (sentence, section, title) that says of whom it speaks names others."""
    for groups in (_SEX, _AGE, _PREGNANCY):
        asked = _of(groups, question)
        said = next((found for text in texts if (found := _of(groups, text))), None)
        if asked and said and not asked & said:
            return True
    ages = [int(next(filter(None, found))) for found in _AGES_ASKED.findall(question)]
    spans = next((ranges for text in texts if (ranges := _spans(text))), None)
    return spans is not None and any(not any(low <= age <= high for low, high in spans) for age in ages)


def ages_asked(question: str) -> frozenset[str]:
    """Return the numbers of a question that are ages."""
    return frozenset(next(filter(None, found)) for found in _AGES_ASKED.findall(question))


def says_ages(*texts: str) -> bool:
    """Whether any text says for which ages it holds."""
    return any(_spans(text) for text in texts)


def _of(groups: _Groups, text: str) -> frozenset[str]:
    found = frozenset(name for name, words in groups.items() if words.search(text))
    # "nonpregnant" holds "pregnant" and says the opposite.
    return found - {"pregnant"} if groups is _PREGNANCY and not _STRICTLY.search(text) else found


_STRICTLY = re.compile(r"(?<!non)(?<!non-)(?<!not )\b(?:pregnan|gestation)", re.I)


def _spans(text: str) -> list[tuple[int, int]]:
    return [
        *((int(low), int(high)) for low, high in _BETWEEN.findall(text)),
        *((int(low), _OLDEST) for low in _FROM.findall(text)),
        *((0, int(high)) for high in _UP_TO.findall(text)),
        *((0, int(high) - 1) for high in _BELOW.findall(text)),
    ]
