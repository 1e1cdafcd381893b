"""A label's own drug in running text: where it is named, by which of its ingredients, and what else is."""

import re

from retrieval.drug_classes import label_classes
from retrieval.drug_names import CLASS_PREFIX, combination_class, spoken_name
from retrieval.labels.back_references import pointed_back
from retrieval.labels.lexicon import Lexicon
from retrieval.labels.text import LabelText

__all__ = ["OwnDrug", "OwnMention", "masked", "spoken_sides"]

OwnMention = tuple[int, int, frozenset[str]]
"""Where this drug is named, and the ingredients that the name stands for."""

_FORMS = r"(?:\s+(?:tablets?|capsules?|injection|oral solution|oral suspension|extended-release|delayed-release|usp))*"
# An active form of this drug stands for it: "desethylamiodarone", "ramiprilat".
_ACTIVE = r"(?:(?:[no]-)?(?:des(?:ethyl|methyl)|hydroxy|nor)[- ]?)?"
_EXPLAINED_WITHIN = 3000
_RUN_ON = re.compile(r"([a-z]{4,}?)(xl|xr|sr|la|cr|cd|er|hct)", re.I)


def _forms_of(name: str) -> set[str]:
    """Return a name and how its label shortens it: without the words for its form, with a last syllable set apart."""
    forms = {name, spoken_name(name)}
    run_on = _RUN_ON.fullmatch(name)
    if run_on is not None:
        forms |= {f"{run_on[1]} {run_on[2]}", run_on[1]}
    forms |= {f"{form}at" for form in forms if form.endswith("pril")}
    return {form for form in forms if len(form) > 2}


def _short_forms(label: LabelText) -> set[str]:
    """Return the short forms that the label explains: "acetohydroxamic acid (AHA)"."""
    explained = re.compile(rf"(?i:{re.escape(label.ingredients[0])})(?: [a-z]+)?\s*\(([A-Z]{{3,6}})\)")
    heads = (text[:_EXPLAINED_WITHIN] for text in label.sections.values())
    return {match[1].lower() for head in heads for match in explained.finditer(head)}


class OwnDrug:
    """This drug as its label names it: which of its ingredients a name or a class in the text stands for."""

    def __init__(self, label: LabelText, lexicon: Lexicon) -> None:
        self.ingredients = frozenset(label.ingredients)
        self.whole = label.ingredients[0] if len(label.ingredients) == 1 else combination_class(label.ingredients)
        said = {form for name in (*label.ingredients, *label.names) for form in _forms_of(name)}
        if len(label.ingredients) == 1:
            # A brand by its first word alone, where that is no other drug: "Catapres" of "Catapres TTS".
            first = {name.split()[0] for name in label.names if " " in name}
            said |= {word for word in first if len(word) > 4 and not lexicon.mentions(word)}
            said |= _short_forms(label)
        names = sorted(said, key=len, reverse=True)
        spaced = (r"[\s®™-]+".join(map(re.escape, re.split(r"[\s-]+", name))) for name in names)
        self._pattern = re.compile(
            rf"(?<![\w-]){_ACTIVE}(?:{'|'.join(spaced)})(?:\s+[a-z]+ide|\s+sodium)?{_FORMS}(?![\w-])", re.I
        )

    def mentions(self, text: str) -> list[OwnMention]:
        """Return where this drug is named, and by which of its ingredients."""
        found = []
        for match in self._pattern.finditer(text):
            said = match[0].lower()
            named = frozenset(one for one in self.ingredients if said.startswith(one))
            found.append((match.start(), match.end(), named or self.ingredients))
        return found

    def of_class(self, name: str) -> frozenset[str]:
        """Return the ingredients that are of a class."""
        group = label_classes().get(name.removeprefix(CLASS_PREFIX)) if name.startswith(CLASS_PREFIX) else None
        return self.ingredients & frozenset(group.members) if group else self.ingredients & {name}


def masked(text: str, own: OwnDrug, lexicon: Lexicon) -> tuple[str, list[str]]:
    """Return ``text`` with this drug as ``#`` and other drugs and classes as ``@``, and what those are."""
    mine = own.mentions(text)
    others = [one for one in lexicon.mentions(text) if not any(a < one.end and one.start < b for a, b, _ in mine)]
    spans = sorted([(a, b, "#") for a, b, _ in mine] + [(one.start, one.end, "@") for one in others])
    parts, place = [], 0
    for start, end, mark in spans:
        # Several enzymes in one breath are several classes at one place.
        parts += [" and " if start < place else text[place:start], mark]
        place = end
    return "".join((*parts, text[place:])), [one.name for one in others]


def spoken_sides(
    text: str, label: LabelText, lexicon: Lexicon, sentence: str = "", before: str = ""
) -> tuple[str, ...]:
    """Return what a few words in a label name, as a side of a fact: this drug, another one, or a class.

    ``sentence`` is where they stand, and ``before`` what is said before it: what they may point back to.
    """
    own = OwnDrug(label, lexicon)
    mine = own.mentions(text)
    if mine:
        narrowed = frozenset().union(*(of for _, _, of in mine))
        return tuple(sorted(narrowed)) if narrowed != own.ingredients else (own.whole,)
    at = sentence.find(text)
    earlier = f"{before}\n{sentence[: max(at, 0)]}"
    found = lexicon.mentions(text, earlier)
    found = found or tuple(one for one in pointed_back(text, earlier, lexicon) if not own.of_class(one.name))
    if not found and at >= 0:
        # By the words around it: "potassium" alone may be what is measured.
        around = lexicon.mentions(sentence, before)
        found = tuple(one for one in around if one.start < at + len(text) and at < one.end)
    for one in found:
        inside = own.of_class(one.name)
        if inside:
            return tuple(sorted(inside))
    return tuple(dict.fromkeys(one.name for one in found))
