"""Interactions that a label states, each with its sentence: read narrowly where it bans a pair, else widely.

Narrowly: a sentence that says of this drug and others that they are contraindicated or to be avoided, and nothing
else. Widely: a sentence that names this drug (or is about it by where it stands) with another, and what comes of it.
A wide reading never interrupts: what it holds for may be a condition that was not read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service_contracts.evidence import Interaction

from retrieval.drug_classes import label_classes
from retrieval.drug_names import CLASS_PREFIX, combination_class, spoken_name
from retrieval.interaction_severity import RANK, Level, level_of
from retrieval.labels.lexicon import Lexicon, Mention
from retrieval.labels.text import LabelText, Sentence, sentences, without_references

__all__ = ["Lexicon", "interactions", "spoken_sides"]

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

_WIDE_SECTIONS = (
    "boxed_warning", "contraindications", "warnings", "warnings_and_cautions", "precautions", "drug_interactions",
    "dosage_and_administration", "clinical_pharmacology", "adverse_reactions", "description",
)  # fmt: skip
_LONGEST_WIDE = 1200
_ACTION = re.compile(
    r"\bavoid|contraindicat|not recommended|should not|\bdo not\b|must not|caution|monitor|adjust|close(?:ly)? |careful"
    r"|\blimit|\bexceed|discontinu|withh[eo]ld|withdraw|separate|at least .{1,20} (?:before|after|apart)|observed?\b"
    r"|dos(?:e|age)\w* .{0,60}(?:reduc|decreas|lower|increas)|(?:reduc|decreas|lower|increas)\w* .{0,40}\bdos(?:e|age)"
    r"|should be (?:considered|informed|told|advised|warned|given|taken|used|started|stopped|administered|reduced)",
    re.I,
)
_EFFECT = re.compile(
    r"increas|decreas|potentiat|enhanc|reduc|augment|additive|synerg|inhibit|induc|interact|antagoni[sz]|attenuat|blunt"
    r"|diminish|impair|\brisk|toxic|exposure|concentration|clearance|\bauc\b|\blevels?\b|prolong|hypotens|hypertens"
    r"|hyperkal|hypokal|bleed|hemorrhag|block|elevat|\beffects?\b|result|associated|lead|cause|produc|react|counteract"
    r"|exaggerat|precipitat|metaboli[sz]|absor|bind|displac|bradycardia|failure|collapse|arrest|syndrome|dysfunction"
    r"|raise|lower|rais|interfer|affect|alter|change|sensitiv|respon|excess|severe|intensif|mask|delay|exacerbat|aggravat"
    r"|compromis|deteriorat|worsen|depress|necrosis|obstruct|gout|stud(?:y|ies)|not been",
    re.I,
)
_JOINED = re.compile(
    r"concomitant|concurrent|co-?admin|combin|together|simultan|receiv|taking|treated with|on .{0,30}therapy|with other"
    r"|in the presence of|used with|given with|addition of|added to|interact|in patients (?:on|who)|such as|including",
    re.I,
)
_NEGATED = re.compile(
    r"\bno (?:\w+[ -]){0,4}(?:interactions?|effects?|changes?|differences?|evidence|influence|alterations?|impact)\b"
    r"|\b(?:did|does|do) not (?:\w+ ){0,2}(?:affect|alter|change|influence|increase|decrease|interact|potentiate|modify"
    r"|prolong|produce|appear|seem|impact|have|inhibit|induce)"
    r"|\b(?:has|have|had|with|without|there (?:is|was|were)) no (?:\w+ ){0,3}(?:effect|interaction|influence|change)"
    r"|\bnot (?:\w+ )?(?:affected|altered|changed|influenced|modified|observed|seen|contraindicated|inhibited)\b"
    r"|\bunaffected\b|\bunchanged\b|no dos(?:e|age) adjust|without (?:any )?(?:evidence|apparent|adverse|clinically)"
    r"|have been used (?:safely|concomitantly without)|\bno\b[^.;]{0,60}\bwere (?:found|observed|seen)"
    r"|safely (?:co-?)?(?:administered|given|used)|without (?:observed|any|apparent) |hypersensitiv|allerg(?:y|ic) to",
    re.I,
)
_RUN_ON = re.compile(r"([a-z]{4,}?)(xl|xr|sr|la|cr|cd|er|hct)", re.I)
_OTHER_OF = re.compile(r"\b(?:other|another|second|concomitant|concurrent|additional)\s+(?:[\w-]+\s+)?$", re.I)
_EXAMPLE = re.compile(r"\W*(?:including|such as|like|e\.?g\.?,?)\s+(?:[\w-]+[\s,]+){0,6}", re.I)
_LISTED_ON = re.compile(r"\s*(?:,|/|,?\s*(?:and|or|and/or|/)\s)\s*(?:other |the |a |an |any )?", re.I)
_CLAUSE = re.compile(r";\s|,? (?:but|however|whereas|while|although)\b,? |, with the exception of ", re.I)


@dataclass(frozen=True)
class _Found:
    own: str
    other: str
    level: Level
    why: str | None = None


def interactions(label: LabelText, lexicon: Lexicon) -> list[tuple[Interaction, Sentence]]:
    """Return the interactions that a label states, each pair with the first of the gravest sentences that do."""
    if not label.ingredients:
        return []
    found: dict[tuple[str, str], tuple[_Found, Sentence]] = {}
    for one, sentence in (*_narrow(label, lexicon), *_wide(label, lexicon)):
        kept = found.get((one.own, one.other))
        if kept is None or RANK[one.level.severity] < RANK[kept[0].level.severity]:
            found[one.own, one.other] = one, sentence
    return [(_interaction(one), sentence) for one, sentence in found.values()]


def _interaction(one: _Found) -> Interaction:
    advice = {"contraindicated": "Do not use together", "avoid": "Avoid using together"}
    return Interaction(
        a=one.own,
        b=one.other,
        severity=one.level.severity,
        effect=f"{one.level.words}, {one.why}" if one.why else one.level.words,
        management=advice.get(one.level.published),
    )


def _label_level(published: str) -> Level:
    level = level_of("label", published)
    assert level is not None
    return level


def _forms_of(name: str) -> set[str]:
    """Return a name and how its label shortens it: without the words for its form, with a last syllable set apart."""
    forms = {name, spoken_name(name)}
    run_on = _RUN_ON.fullmatch(name)
    if run_on is not None:
        forms |= {f"{run_on[1]} {run_on[2]}", run_on[1]}
    return {form for form in forms if len(form) > 2}


class _Own:
    """This drug as its label names it: which of its ingredients a name or a class in the text stands for."""

    def __init__(self, label: LabelText, lexicon: Lexicon) -> None:
        self.ingredients = frozenset(label.ingredients)
        self.whole = label.ingredients[0] if len(label.ingredients) == 1 else combination_class(label.ingredients)
        said = {form for name in (*label.ingredients, *label.names) for form in _forms_of(name)}
        if len(label.ingredients) == 1:
            # A brand by its first word alone, where that is no other drug: "Catapres" of "Catapres TTS".
            first = {name.split()[0] for name in label.names if " " in name}
            said |= {word for word in first if len(word) > 4 and not lexicon.mentions(word)}
        names = sorted(said, key=len, reverse=True)
        spaced = (r"[\s®™-]+".join(map(re.escape, re.split(r"[\s-]+", name))) for name in names)
        self._pattern = re.compile(
            rf"(?<![\w-])(?:{'|'.join(spaced)})(?:\s+[a-z]+ide|\s+sodium)?{_FORMS}(?![\w-])", re.I
        )

    def mentions(self, text: str) -> list[tuple[int, int, frozenset[str]]]:
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


def _narrow(label: LabelText, lexicon: Lexicon) -> Iterator[tuple[_Found, Sentence]]:
    if len(label.ingredients) != 1:
        return
    own = _Own(label, lexicon)
    for section in _SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) <= _LONGEST and _WORTH_A_LOOK.search(sentence.text):
                for name, banned, why in _stated(sentence, own, lexicon):
                    if name not in own.ingredients:
                        yield (
                            _Found(own.whole, name, _label_level("contraindicated" if banned else "avoid"), why),
                            sentence,
                        )


def _stated(sentence: Sentence, own: _Own, lexicon: Lexicon) -> Iterable[tuple[str, bool, str | None]]:
    masked, names = _masked(without_references(sentence.text), own, lexicon)
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
    banned = "contraindicated" in match["ban"].lower() or not match["ban"]
    why = match["why"] if match["why"] and "@" not in match["why"] and "#" not in match["why"] else None
    return [(name, banned, why) for name in names[: inside.count("@")]]


def _masked(text: str, own: _Own, lexicon: Lexicon) -> tuple[str, list[str]]:
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


def _wide(label: LabelText, lexicon: Lexicon) -> Iterator[tuple[_Found, Sentence]]:
    own = _Own(label, lexicon)
    for section in _WIDE_SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) <= _LONGEST_WIDE:
                for one in _together(sentence, own, lexicon):
                    yield one, sentence


def _together(sentence: Sentence, own: _Own, lexicon: Lexicon) -> Iterator[_Found]:
    text = sentence.text
    mine = own.mentions(text)
    named = [one for one in lexicon.mentions(text) if not any(a < one.end and one.start < b for a, b, _ in mine)]
    others = [one for one in named if _is_another(one, text, own, mine)]
    if not others:
        return
    action, effect = _ACTION.search(text), _EFFECT.search(text)
    if not action and not effect:
        return
    about = bool(mine) or len(others) < len(named)
    if not about and sentence.section != "drug_interactions" and not _JOINED.search(text):
        return
    level = _label_level("asks for action" if action else "described")
    mates = _mates(mine, named, others, text, own)
    apart = not about and bool(_OTHERS.search(_masked(text, own, lexicon)[0]))
    for one in others:
        if not _NEGATED.search(_clause(text, one)):
            for side in () if apart else _sides(mine, [one for one in named if one not in others], own):
                yield _Found(side, one.name, level)
            for mate in mates:
                if one not in mates and mate.name != one.name:
                    yield _Found(mate.name, one.name, level)


def _is_another(one: Mention, text: str, own: _Own, mine: list[tuple[int, int, frozenset[str]]]) -> bool:
    """Whether a mention is of another drug: a class of this one stands for it, unless "other" or the like is said.

    A class by what its members do stands beside this drug where this drug is named too, and not as its example.
    """
    if not own.of_class(one.name) or _OTHER_OF.search(text[max(0, one.start - 25) : one.start]):
        return True
    group = label_classes().get(one.name.removeprefix(CLASS_PREFIX))
    if group is None or not group.by_effect or not mine:
        return False
    return not any(_EXAMPLE.fullmatch(text[one.end : start]) for start, _, _ in mine if start >= one.end)


def _mates(
    mine: list[tuple[int, int, frozenset[str]]], named: list[Mention], others: list[Mention], text: str, own: _Own
) -> list[Mention]:
    """Return what is listed in one breath with this drug or its class: what is said of the one is said of it too."""
    spans: list[tuple[int, int, Mention | None]] = [(a, b, None) for a, b, _ in mine]
    spans = sorted([*spans, *((one.start, one.end, one) for one in named)], key=lambda span: span[:2])
    runs: list[list[tuple[int, int, Mention | None]]] = []
    for span in spans:
        if runs and _LISTED_ON.fullmatch(text[runs[-1][-1][1] : span[0]]):
            runs[-1].append(span)
        else:
            runs.append([span])
    if not mine and len(others) == len(named):
        # Nothing says that this drug is meant: two others may be told of, one with the other.
        return [one for _, _, one in runs[0] if one is not None]
    return [
        one
        for run in runs
        if any(one is None or (one not in others and own.of_class(one.name)) for _, _, one in run)
        for _, _, one in run
        if one is not None and one in others
    ]


def _sides(mine: list[tuple[int, int, frozenset[str]]], named: list[Mention], own: _Own) -> tuple[str, ...]:
    """Return what of this drug a sentence is about: the ingredients it names or their class, else all of it."""
    if len(own.ingredients) == 1:
        return (own.whole,)
    said = [of for _, _, of in mine if of != own.ingredients] + [own.of_class(one.name) for one in named]
    narrowed = frozenset().union(*said)
    return tuple(sorted(narrowed)) if narrowed else (own.whole,)


def _clause(text: str, mention: Mention) -> str:
    start, end = 0, len(text)
    for match in _CLAUSE.finditer(text):
        if match.end() <= mention.start:
            start = match.end()
        elif match.start() >= mention.end:
            end = min(end, match.start())
    return text[start:end]


def spoken_sides(text: str, label: LabelText, lexicon: Lexicon) -> tuple[str, ...]:
    """Return what a few words in a label name, as a side of a fact: this drug, another one, or a class."""
    own = _Own(label, lexicon)
    mine = own.mentions(text)
    if mine:
        narrowed = frozenset().union(*(of for _, _, of in mine))
        return tuple(sorted(narrowed)) if narrowed != own.ingredients else (own.whole,)
    found = lexicon.mentions(text)
    for one in found:
        inside = own.of_class(one.name)
        if inside:
            return tuple(sorted(inside))
    return tuple(dict.fromkeys(one.name for one in found))
