"""Interactions that a label states in a sentence of its own: drugs it contraindicates or says to avoid together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service_contracts.evidence import Interaction, Severity

from retrieval.labels.text import LabelText, Sentence, sentences, without_references

__all__ = ["Lexicon", "interactions"]

# Words of labels for classes whose members are known (see drug_names.yaml). Other classes are passed over.
_CLASS_WORDS = {
    "nonsteroidal anti-inflammatory drugs": "nsaid",
    "nsaids": "nsaid",
    "monoamine oxidase inhibitors": "maoi",
    "mao inhibitors": "maoi",
    "maois": "maoi",
    "an maoi": "maoi",
    "nitrates": "nitrate",
    "organic nitrates": "nitrate",
    "pde5 inhibitors": "pde5-inhibitor",
    "pde-5 inhibitors": "pde5-inhibitor",
    "phosphodiesterase type 5 inhibitors": "pde5-inhibitor",
    "benzodiazepines": "benzodiazepine",
    "tricyclic antidepressants": "tricyclic-antidepressant",
    "ssris": "ssri",
    "snris": "snri",
    "ace inhibitors": "ace-inhibitor",
    "thiazide diuretics": "thiazide-diuretic",
    "loop diuretics": "loop-diuretic",
    "fibrates": "fibrate",
}
_FORMS = r"(?:\s+(?:tablets?|capsules?|injection|oral solution|oral suspension|extended-release|delayed-release|usp))*"
_LIST = r"[@#](?:(?:\s*,\s*(?:and |or )?|\s+and\s+|\s+or\s+)[@#])*"
_TOGETHER = r"(?:concomitant(?:ly)?|concurrent|simultaneous|combined)"
_USE = rf"(?:{_TOGETHER} (?:use|administration|treatment)|co-?administration|use)"
_BAN = r"(?P<ban>is contraindicated|are contraindicated|is not recommended|are not recommended|should be avoided)"
_TAIL = r"(?:\s*(?:,\s*)?(?P<why>(?:due to|because|as (?:this|it)|since) [^;:]{3,220}?))?\.?"
_HEAD = (
    r"(?:\d+ (?:CONTRAINDICATIONS|DRUG INTERACTIONS) )?"
    r"(?:(?:Intervention|Prevention or Management|Clinical Impact):? )?"
)
_GRAMMAR = tuple(
    re.compile(_HEAD + pattern + _TAIL, re.I)
    for pattern in (
        # Avoid concomitant use of A (and B) with this drug.
        rf"(?P<ban>avoid) (?:the )?{_USE} (?:of|with) {_LIST}(?: (?:with|and) {_LIST})?",
        # A: Avoid concomitant use (with this drug).
        rf"{_LIST}\s*:\s*(?P<ban>avoid) {_USE}(?: (?:of|with) {_LIST}(?: with {_LIST})?)?",
        # Concomitant use of A with this drug is contraindicated.
        rf"{_USE} (?:of|with) {_LIST}(?: (?:with|and) {_LIST})? {_BAN}",
        # This drug is contraindicated with A; in patients taking A.
        rf"# (?P<ban>is contraindicated|are contraindicated)"
        rf" (?:with|in patients (?:taking|receiving)|in combination with) (?:{_TOGETHER} )?{_LIST}",
        # A should not be used (together) with this drug.
        rf"{_LIST} (?P<ban>should not be) (?:used|given|taken|administered|co-?administered)"
        rf"(?: {_TOGETHER}| together| in combination)? with {_LIST}",
    )
)
# A line of the list of contraindications names what must not be taken with this drug.
_LISTED = re.compile(rf"(?P<ban>){_USE} (?:of|with) {_LIST}(?: with {_LIST})?{_TAIL}", re.I)
_OTHERS = re.compile(rf"{_LIST} with {_LIST}", re.I)
_LONGEST = 400
_WORTH_A_LOOK = re.compile(r"\buse\b|\bused\b|administ|contraindicated|avoid|should not be", re.I)
_SECTIONS = ("contraindications", "drug_interactions")


class Lexicon:
    """Ingredient names that are recognised in sentences."""

    def __init__(self, names: Iterable[str]) -> None:
        known = {name.lower() for name in names if len(name) > 3 and not name.startswith("class:")}
        options = sorted((re.escape(name) for name in (*known, *_CLASS_WORDS)), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w-])({'|'.join(options) or '(?!)'})(?![\w-])", re.I)

    def mask(self, text: str, own: Iterable[str]) -> tuple[str, list[str]]:
        """Return ``text`` with this drug as ``#`` and other known drugs as ``@``, and what those are."""
        mine = sorted((re.escape(name) for name in own if name), key=len, reverse=True)
        masked = re.sub(
            rf"(?<![\w-])(?:{'|'.join(mine)})(?:\s+[a-z]+ide|\s+sodium)?{_FORMS}(?![\w-])", "#", text, flags=re.I
        )
        found: list[str] = []

        def note(match: re.Match[str]) -> str:
            word = match[1].lower()
            found.append(f"class:{_CLASS_WORDS[word]}" if word in _CLASS_WORDS else word)
            return "@"

        return self._pattern.sub(note, masked), found


@dataclass(frozen=True)
class _Found:
    other: str
    contraindicated: bool
    why: str | None


def interactions(label: LabelText, lexicon: Lexicon) -> list[tuple[Interaction, Sentence]]:
    """Return the interactions that the label of one ingredient states, each with the first sentence that does."""
    if len(label.ingredients) != 1:
        return []
    own = (*label.ingredients, *label.names)
    found: dict[tuple[str, bool], tuple[Interaction, Sentence]] = {}
    for section in _SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) > _LONGEST or not _WORTH_A_LOOK.search(sentence.text):
                continue
            for one in _stated(sentence, own, lexicon):
                if one.other != label.ingredients[0]:
                    found.setdefault((one.other, one.contraindicated), (_interaction(label, one), sentence))
    # Where a pair is both contraindicated and to be avoided, the stronger statement stands.
    return [pair for (other, banned), pair in found.items() if banned or (other, True) not in found]


def _stated(sentence: Sentence, own: Iterable[str], lexicon: Lexicon) -> list[_Found]:
    masked, names = lexicon.mask(without_references(sentence.text), own)
    if "@" not in masked:
        return []
    match = next((match for pattern in _GRAMMAR if (match := pattern.fullmatch(masked))), None)
    if match is None and sentence.section == "contraindications":
        match = _LISTED.fullmatch(masked)
    if match is None:
        return []
    if "#" not in masked and _OTHERS.search(masked):
        # Two other drugs with each other, not with this one.
        return []
    # Drugs named in the reason are not those that are told apart.
    inside = masked[: match.start("why")] if match["why"] else masked
    contraindicated = "contraindicated" in match["ban"].lower() or not match["ban"]
    why = match["why"] if match["why"] and "@" not in match["why"] and "#" not in match["why"] else None
    return [_Found(name, contraindicated, why) for name in names[: inside.count("@")]]


def _interaction(label: LabelText, one: _Found) -> Interaction:
    what = "The label contraindicates them together" if one.contraindicated else "The label says to avoid them together"
    return Interaction(
        a=label.ingredients[0],
        b=one.other,
        severity=Severity.HIGH if one.contraindicated else Severity.MODERATE,
        effect=f"{what}, {one.why}" if one.why else what,
        management="Do not use together" if one.contraindicated else "Avoid using together",
    )
