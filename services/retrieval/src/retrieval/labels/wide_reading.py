"""Sentences of a label that name its drug (or are about it by where they stand) with another, and what comes of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.drug_classes import label_classes
from retrieval.drug_names import CLASS_PREFIX
from retrieval.interaction_severity import Level, level_of
from retrieval.labels.lexicon import Lexicon, Mention
from retrieval.labels.own_drug import OwnDrug, OwnMention, masked
from retrieval.labels.text import LabelText, Sentence, sentences

__all__ = ["Found", "label_level", "wide"]

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
_OTHER_OF = re.compile(r"\b(?:other|another|second|concomitant|concurrent|additional)\s+(?:[\w-]+\s+)?$", re.I)
_EXAMPLE = re.compile(r"\W*(?:including|such as|like|e\.?g\.?,?)\s+(?:[\w-]+[\s,]+){0,6}", re.I)
_LISTED_ON = re.compile(r"\s*(?:,|/|,?\s*(?:and|or|and/or|/)\s)\s*(?:other |the |a |an |any )?", re.I)
_CLAUSE = re.compile(r";\s|,? (?:but|however|whereas|while|although)\b,? |, with the exception of ", re.I)
_WITH_EACH_OTHER = re.compile(r"@(?:(?:\s*,\s*(?:and |or )?|\s+and\s+|\s+or\s+)@)* with @")


@dataclass(frozen=True)
class Found:
    """A statement about a pair: this drug's side, the other, how grave, and the reason that is given."""

    own: str
    other: str
    level: Level
    why: str | None = None


def label_level(published: str) -> Level:
    """Return a level of labels in the table of severities."""
    level = level_of("label", published)
    assert level is not None
    return level


def wide(label: LabelText, lexicon: Lexicon) -> Iterator[tuple[Found, Sentence]]:
    """Yield what the sentences of a label are read to state, gravest and mildest alike."""
    own = OwnDrug(label, lexicon)
    for section in _WIDE_SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) <= _LONGEST_WIDE:
                for one in _together(sentence, own, lexicon):
                    yield one, sentence


def _together(sentence: Sentence, own: OwnDrug, lexicon: Lexicon) -> Iterator[Found]:
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
    level = label_level("asks for action" if action else "described")
    mates = _mates(mine, named, others, text, own)
    apart = not about and bool(_WITH_EACH_OTHER.search(masked(text, own, lexicon)[0]))
    for one in others:
        if not _NEGATED.search(_clause(text, one)):
            for side in () if apart else _sides(mine, [one for one in named if one not in others], own):
                yield Found(side, one.name, level)
            for mate in mates:
                if one not in mates and mate.name != one.name:
                    yield Found(mate.name, one.name, level)


def _is_another(one: Mention, text: str, own: OwnDrug, mine: list[OwnMention]) -> bool:
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
    mine: list[OwnMention], named: list[Mention], others: list[Mention], text: str, own: OwnDrug
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


def _sides(mine: list[OwnMention], named: list[Mention], own: OwnDrug) -> tuple[str, ...]:
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
