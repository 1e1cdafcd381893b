"""Interactions that a label states, each with its sentence: read narrowly where it bans a pair, else widely.

Narrowly: a sentence that says of this drug and others that they are contraindicated or to be avoided, and nothing
else. Widely: a sentence that names this drug (or is about it by where it stands) with another, and what comes of it.
A wide reading never interrupts: what it holds for may be a condition that was not read.
"""

import re
from collections.abc import Iterable, Iterator

from service_contracts.evidence import Interaction

from retrieval.drug_classes import is_broad
from retrieval.interaction_severity import RANK
from retrieval.labels.lexicon import Lexicon
from retrieval.labels.own_drug import OwnDrug, masked, spoken_sides
from retrieval.labels.text import LabelText, Sentence, sentences, without_references
from retrieval.labels.wide_reading import Found, label_level, wide

__all__ = ["Lexicon", "interactions", "spoken_sides"]

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


def interactions(label: LabelText, lexicon: Lexicon) -> list[tuple[Interaction, Sentence]]:
    """Return the interactions that a label states, each pair with the first of the gravest sentences that do."""
    if not label.ingredients:
        return []
    found: dict[tuple[str, str], tuple[Found, Sentence]] = {}
    own = OwnDrug(label, lexicon)
    for one, sentence in (*_narrow(label, own, lexicon), *wide(label, own, lexicon)):
        kept = found.get((one.own, one.other))
        if kept is None or RANK[one.level.severity] < RANK[kept[0].level.severity]:
            found[one.own, one.other] = one, sentence
    return [(_interaction(one), sentence) for one, sentence in found.values()]


def _interaction(one: Found) -> Interaction:
    advice = {"contraindicated": "Do not use together", "avoid": "Avoid using together"}
    return Interaction(
        a=one.own,
        b=one.other,
        severity=one.level.severity,
        effect=f"{one.level.words}, {one.why}" if one.why else one.level.words,
        management=advice.get(one.level.published),
    )


def _narrow(label: LabelText, own: OwnDrug, lexicon: Lexicon) -> Iterator[tuple[Found, Sentence]]:
    if len(label.ingredients) != 1:
        return
    for section in _SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) <= _LONGEST and _WORTH_A_LOOK.search(sentence.text):
                for name, banned, why in _stated(sentence, own, lexicon):
                    # A ban of a broad class is for the wide reading: it warns and does not interrupt.
                    if name not in own.ingredients and not is_broad(name):
                        yield (
                            Found(own.whole, name, label_level("contraindicated" if banned else "avoid"), why),
                            sentence,
                        )


def _stated(sentence: Sentence, own: OwnDrug, lexicon: Lexicon) -> Iterable[tuple[str, bool, str | None]]:
    text, names = masked(without_references(sentence.text), own, lexicon)
    if "@" not in text:
        return []
    match = next((match for pattern in _GRAMMAR if (match := pattern.fullmatch(text))), None)
    if match is None and sentence.section == "contraindications":
        match = _LISTED.fullmatch(text)
    if match is None:
        return []
    if "#" not in text and _OTHERS.search(text):
        # Two other drugs with each other, not with this one.
        return []
    # Drugs named in the reason are not those that are told apart.
    inside = text[: match.start("why")] if match["why"] else text
    banned = "contraindicated" in match["ban"].lower() or not match["ban"]
    why = match["why"] if match["why"] and "@" not in match["why"] and "#" not in match["why"] else None
    return [(name, banned, why) for name in names[: inside.count("@")]]
