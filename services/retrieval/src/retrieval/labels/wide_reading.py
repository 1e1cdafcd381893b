"""Sentences of a label that name its drug (or are about it by where they stand) with another, and what comes of it."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.drug_classes import is_broad, label_classes
from retrieval.drug_names import CLASS_PREFIX
from retrieval.interaction_severity import Level, level_of
from retrieval.labels.back_references import pointed_back
from retrieval.labels.clauses import denied
from retrieval.labels.lexicon import Lexicon, Mention
from retrieval.labels.own_drug import OwnDrug, OwnMention, masked
from retrieval.labels.text import LabelText, Sentence, sentences

__all__ = ["Found", "label_level", "wide"]

_WIDE_SECTIONS = (
    "boxed_warning", "contraindications", "warnings", "warnings_and_cautions", "precautions", "drug_interactions",
    "dosage_and_administration", "clinical_pharmacology", "adverse_reactions", "description",
)  # fmt: skip
_LONGEST_WIDE = 1200
_LONGEST_OF_OTHERS = 400
_ACTION = re.compile(
    r"\bavoid|contraindicat|not (?:generally )?recommended|to recommend|should not|\bdo not\b|must not"
    r"|caution|monitor|adjust|close(?:ly)? |careful"
    r"|\bnot to (?:use|take|be)\b"
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
    r"|(?:hyper|hypo)[a-z]{4,}|\boccur|higher|greater"
    r"|compromis|deteriorat|worsen|depress|necrosis|obstruct|gout|stud(?:y|ies)|not been",
    re.I,
)
_JOINED = re.compile(
    r"concomitant|concurrent|co-?admin|combin|together|simultan|receiv|taking|treated with|on .{0,30}therapy|with other"
    r"|in the presence of|used with|given with|is also"
    r"|addition of|added to|interact|in patients (?:on|who)|such as|including",
    re.I,
)
_OTHER_OF = re.compile(r"\b(?:other|another|second|concomitant|concurrent|additional)\s+(?:[\w-]+\s+)?$", re.I)
_AVOIDED = re.compile(
    r"\bavoid|contraindicat|not (?:generally )?recommended|should not|\bdo not\b|must not|\bnot to (?:use|take)\b", re.I
)
_RELATION = re.compile(
    r"\b(?:with|to|of|on|by|in|may|can|could|might|will|has|have|increas|decreas|reduc|inhibit|potentiat|enhanc|affect"
    r"|alter|interfer|displac|impair|rais|lower|block|antagoni|attenuat|diminish|prolong|sensiti)",
    re.I,
)
# "ACE inhibitors, including lisinopril", "the ACE inhibitor lisinopril"
_APPOSED = re.compile(
    r"[\s(]*(?:[\s,(]*(?:including|such as|like|e\.?g\.?,?)\s+(?:(?!with\b)[\w-]+[\s,]+){0,6})?", re.I
)
# "as with other ACE inhibitors"
_LIKENED = re.compile(r"\b(?:as with|like|unlike|similar to|than|as do)\s+(?:[\w-]+\s+){0,2}$", re.I)
# "the effect of ACE inhibitors"
_OF = re.compile(r"\bof\s+(?:[\w-]+\s+){0,2}$", re.I)
# "lisinopril, an ACE inhibitor", "lisinopril is a long-acting ACE inhibitor"
_CALLED = re.compile(
    r"\W*(?:(?:is|are|as|and|,|\()\W*)?(?:an?|the)?\s*(?:(?!with\b|to\b|by\b|or\b|and\b)[\w-]+\s+){0,3}", re.I
)
_ONE_WITH_OTHER = re.compile(r"\s+(?:concomitantly |concurrently |together )?with\s+(?:other |an? |the )?", re.I)
_LISTED_ON = re.compile(r"\s*(?:,|/|,?\s*(?:and|or|and/or|/)\s)\s*(?:other |the |a |an |any )?", re.I)
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


def wide(label: LabelText, own: OwnDrug, lexicon: Lexicon) -> Iterator[tuple[Found, Sentence]]:
    """Yield what the sentences of a label are read to state, gravest and mildest alike."""
    for section in _WIDE_SECTIONS:
        for sentence in sentences(section, label.sections.get(section, "")):
            if len(sentence.text) <= _LONGEST_WIDE:
                for one in _together(sentence, own, lexicon):
                    yield one, sentence


def _together(sentence: Sentence, own: OwnDrug, lexicon: Lexicon) -> Iterator[Found]:
    text = sentence.text
    mine, named = _mentioned(sentence, own, lexicon)
    back = [one for one in pointed_back(text, sentence.before, lexicon) if not own.of_class(one.name)]
    others = [one for one in named if _is_another(one, text, own, mine)]
    named, others = [*named, *back], [*others, *back]
    if not others:
        return
    action, effect = _ACTION.search(text), _EFFECT.search(text)
    if not action and not effect:
        return
    about = bool(mine) or len(others) < len(named)
    if not about and sentence.section != "drug_interactions" and not _JOINED.search(text):
        return
    mates = _mates(mine, named, others, text, own)
    listed = {mate.name for mate in mates}
    apart = not about and bool(_WITH_EACH_OTHER.search(masked(text, own, lexicon)[0]))
    for one in others:
        if denied(text, one.start, one.end):
            continue
        level = _level(text, one, action)
        for side in () if apart else _sides(mine, [one for one in named if one not in others], own):
            yield Found(side, one.name, level)
        for mate in mates:
            if one.name in listed or _same(mate, one):
                continue
            if about:
                yield Found(mate.name, one.name, level)
            elif len(text) <= _LONGEST_OF_OTHERS and _told_apart(text, mate, one):
                yield _of_others(text, mate, one)
    if about:
        for one, other in itertools.pairwise(others):
            if _ONE_WITH_OTHER.fullmatch(text[one.end : other.start]) and not denied(text, one.start, other.end):
                yield _of_others(text, one, other)


def _of_others(text: str, one: Mention, other: Mention) -> Found:
    """Return what is said of two other drugs: it warns only where they are not to be taken."""
    return Found(one.name, other.name, _level(text, other, _AVOIDED.search(text)))


def _mentioned(sentence: Sentence, own: OwnDrug, lexicon: Lexicon) -> tuple[list[OwnMention], list[Mention]]:
    """Return where this drug is named, and what else is: of names that overlap the longer."""
    mine, found = own.mentions(sentence.text), lexicon.mentions(sentence.text, sentence.before)
    longer = [one for one in found if one.name.startswith(CLASS_PREFIX)]
    mine = [span for span in mine if not any(_inside(span, one) and not own.of_class(one.name) for one in longer)]
    return mine, [one for one in found if not any(a < one.end and one.start < b for a, b, _ in mine)]


def _inside(span: OwnMention, one: Mention) -> bool:
    return one.start <= span[0] and span[1] <= one.end and one.end - one.start > span[1] - span[0]


def _level(text: str, one: Mention, action: re.Match[str] | None) -> Level:
    """Return how grave it is: of a broad class, action is asked for only where it is to be avoided."""
    return label_level("asks for action" if (_AVOIDED.search(text) if is_broad(one.name) else action) else "described")


def _is_another(one: Mention, text: str, own: OwnDrug, mine: list[OwnMention]) -> bool:
    """Whether a mention is of another drug: a class of this one stands for it, unless "other" or the like is said.

    Where this drug is named too, its class is another of the class, unless the one stands for the other or is likened
    to it. A class by what its members do is always another, but for its example.
    """
    if not own.of_class(one.name):
        return True
    if any(_APPOSED.fullmatch(text[one.end : start]) for start, _, _ in mine if start >= one.end):
        return False
    before = text[max(0, one.start - 60) : one.start]
    if _OTHER_OF.search(before):
        return not _LIKENED.search(before)
    group = label_classes().get(one.name.removeprefix(CLASS_PREFIX))
    if group is None or group.by_effect:
        return group is not None
    called = any(_CALLED.fullmatch(text[end : one.start]) for _, end, _ in mine if end <= one.start)
    return bool(mine) and not (called or _LIKENED.search(before) or _OF.search(before))


def _told_apart(text: str, one: Mention, other: Mention) -> bool:
    """Whether something is said of one and the other, not of both in one list."""
    between = text[min(one.end, other.end) : max(one.start, other.start)]
    # What follows "such as" is of the list until something is said of it.
    listed = re.split(r"such as|includ\w+|e\.g\.|for example|like", between)[-1]
    return bool(_RELATION.search(listed))


def _same(one: Mention, other: Mention) -> bool:
    """Whether one is the other, or an example of it."""
    a, b = (_members(mention.name) for mention in (one, other))
    return one.name == other.name or one.name in b or other.name in a


def _members(name: str) -> tuple[str, ...]:
    group = label_classes().get(name.removeprefix(CLASS_PREFIX)) if name.startswith(CLASS_PREFIX) else None
    return group.members if group else ()


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
