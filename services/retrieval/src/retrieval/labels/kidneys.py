"""Below what kidney function a label says not to use its drug, or how much a day at the most."""

import re
from collections.abc import Iterator, Sequence

from service_contracts.evidence import RenalLimit
from service_contracts.quantity import Quantity

from retrieval.labels.kidney_ranges import FUNCTION, MEASURE, Range, ranges
from retrieval.labels.kidney_tables import FULL, KidneyDose, kidney_doses
from retrieval.labels.limits import products, substance
from retrieval.labels.maxima import comparable, maxima, spoken
from retrieval.labels.statements import DOSAGE, MASK, Statement, for_some_else, statements
from retrieval.labels.text import LabelText, Sentence

__all__ = ["renal_limits"]

_SECTIONS = ("contraindications", "warnings_and_cautions", "warnings", DOSAGE)
_IMPAIRED = (
    r"(?:end[- ]stage|(?:chronic,? )?(?:(?:moderate|mild|more) (?:to|or) severe|a more severe|severe|moderate"
    r"|severely impaired))"
    r" (?:renal|kidney) (?:impairment|dysfunction|disease|insufficiency|failure|function)"
)
# What is added by "or" widens the statement and leaves this part of it as it is.
_ALSO = (
    r"(?:,? (?:or|and|including|and in|or in)(?: in)? (?:those |patients )?(?:with |on |who are on |undergoing "
    r"|requiring )?"
    r"(?:end[- ]stage (?:renal|kidney) disease|ESRD|(?:hemo|peritoneal )?dialysis|acute kidney injury|kidney failure)"
    r"(?: \(ESRD\))?(?: (?:who are )?(?:requiring|on|undergoing) (?:hemo)?dialysis)?)*"
    r"(?: with or without dialysis)?(?:,? and should be used with caution [^.]*)?(?: (?:because|due) [^.]*)?"
)
_WHO = (
    rf"(?:an? )?(?:{_IMPAIRED},?\s*[(\[]?\s*)?(?:ESRD[:,] )?(?:defined as |indicated by )?(?:{FUNCTION})[)\]]*{_ALSO}"
)
_IN = rf"(?:in|to|for) (?:adult |adult (?:or|and) pediatric )?(?:patients|adults|those|individuals) with {_WHO}"
_NAME = r"(?:the )?(?:use of )?(?:DRUG|it)"
_NO = (
    r"(?:is|are) (?:also )?(?:contraindicated|not recommended)(?: for use)?|should not be (?:used|administered|given)"
    r"|should be avoided"
)
# A whole sentence, so that no condition is overlooked.
_AVOIDED = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"(?:CONTRAINDICATIONS )?(?:{_NAME}) (?:{_NO}) {_IN}\.?",
        rf"(?:CONTRAINDICATIONS )?(?:{_NAME}) (?:is|are) contraindicated in (?:patients with )?(?:the following"
        r"(?: \w+)?)?:? ?"
        rf"{_WHO}\.?",
        rf"(?:avoid|do not use|do not administer)(?: (?:the )?use)?(?: of)?(?: DRUG)? {_IN}\.?",
        rf"{_IN},? (?:avoid (?:the )?use(?: of DRUG)?|do not use DRUG|(?:the )?(?:use of )?DRUG (?:{_NO}))\.?",
        rf"{_WHO}\s*[:–-]\s*(?:avoid (?:use|administration)(?: of DRUG)?|do not use(?: DRUG)?|not recommended"
        r"|contraindicated"
        rf"|(?:{_NAME}) (?:{_NO}))(?: (?:in|for) (?:(?:these|such) )?patients(?: with ESRD)?)?\.?",
        rf"(?:as |because )?DRUG (?:has|have) not been studied {_IN},? (?:and (?:is|are)|use is"
        r"|and use is) not recommended"
        r" (?:in|for) (?:these|such|this) (?:patients?|populations?)\.?",
    )
)
_LISTED = re.compile(
    rf"(?:CONTRAINDICATIONS )?(?:[\w ]*contraindicated in (?:patients with|the following \w+):? )?(?:patients with )?"
    rf"(?:an? )?{_IMPAIRED},?\s*[(\[]?\s*{FUNCTION}[)\]]*{_ALSO}\.?",
    re.I,
)
_MEASURED = re.compile(rf"{MEASURE}(?!\s*[\[(,]+\s*{MEASURE})(?!\s*[\])])", re.I)
_MOST = 90.0
_CONTEXT_CHARS = 120
# A line of a list: "CrCl 30 to 50 mL/min: 50 mg once daily".
_LISTED_DOSE = re.compile(rf"{FUNCTION}\s*[:–-]", re.I)
_RENAL_HEAD = re.compile(r"^[•\s]*(?:severe )?(?:renal|kidney) (?:impairment|insufficiency|disease)\s*:\s*", re.I)
_FIRST = re.compile(r"\b(?:initial|starting|start|begin|first|loading|initiat)", re.I)
_DOSED = re.compile(
    r"recommended|reduc|limit|should (?:be|receive)|is suitable|target dose|adjust|decrease|administer|do not exceed"
    r"|not exceed",
    re.I,
)
_NOTE = re.compile(r"\. \*.*|\bcalculated (?:using|by|with) .*", re.S)
_MORE_THAN = re.compile(r"(?:above|greater than|higher than|exceeding|more than|over)\s*$", re.I)
_OTHERS = re.compile(r"impair|renal|kidney|\b(?:mild|moderate|severe)\b", re.I)
_NOT_TO_USE = re.compile(r"contraindicated|not recommended|avoid|do not (?:use|administer)", re.I)
_THEY = re.compile(r"\b(?:in|for) (?:these|such) patients", re.I)
_CONTINUED = re.compile(
    r"(?:[\w ,]{3,60}, )?(?:the |this |these )?(?:recommended |total |maximum |daily )*(?:dose|dosage)|(?:do"
    r"|should) not exceed|thereafter",
    re.I,
)


def renal_limits(label: LabelText) -> list[tuple[RenalLimit, Sentence]]:
    """Return below what kidney function a label of one ingredient says not to use it or how much, with what says so.

    Of several amounts below one function the largest; where it is not to be used below one function and limited below
    a lower one, or the same, it is only some use that is to be avoided.
    """
    if len(label.ingredients) != 1:
        return []
    limited: dict[tuple[str, float], tuple[Quantity, Sentence]] = {}
    avoided: dict[tuple[str, float], Sentence] = {}
    for one, where in (*_stated(label), *kidney_doses(label)):
        key = (one.measure, one.below)
        if one.most is None:
            avoided.setdefault(key, where)
        elif key not in limited or comparable(one.most)[1] > comparable(limited[key][0])[1]:
            limited[key] = (one.most, where)
    found = [
        (_limit(label, key, None, where.section), where)
        for key, where in avoided.items()
        if not any(measure == key[0] and below <= key[1] for measure, below in limited)
    ]
    told = _told_of_one_range(label) if limited else []
    found += [
        (_limit(label, key, most, where.section), where)
        for key, (most, where) in limited.items()
        if not any(of == key and _larger(most, plain) for of, plain in told)
    ]
    return sorted(found, key=lambda one: (one[0].measure, -one[0].below.value))


def _told_of_one_range(label: LabelText) -> list[tuple[tuple[str, float], str]]:
    """Return statements about one range each, of whomever; but for those that are rows of a table."""
    rows = [row.place for table in label.tables for row in table.rows if row.place is not None]
    found: list[tuple[tuple[str, float], str]] = []
    for one in statements(label):
        of = list(ranges(one.plain))
        if len(of) == 1 and not any(start < one.end and one.start < end for start, end in rows):
            found.append(((of[0].measure, of[0].below), one.plain))
    return found


def _limit(label: LabelText, key: tuple[str, float], most: Quantity | None, section: str) -> RenalLimit:
    """Return the limit; a contraindication holds for the drug, all else for the products that it was stated for."""
    measure, below = key
    return RenalLimit.model_validate(
        {
            "ingredient": label.ingredients[0],
            "code": substance(label),
            "products": () if section == "contraindications" else products(label),
            "measure": measure,
            "below": {"value": below, "unit": "mL/min/{1.73_m2}" if measure == "egfr" else "mL/min"},
            "action": "limit" if most else "avoid",
            "max_daily": most,
        }
    )


def _stated(label: LabelText) -> Iterator[tuple[KidneyDose, Sentence]]:
    """Yield what sentences state."""
    for section in _SECTIONS:
        text = label.sections.get(section, "")
        if not _MEASURED.search(text):
            continue
        said = list(statements(label, section))
        for place, one in enumerate(said):
            if not _MEASURED.search(one.plain):
                continue
            for of in _avoided(one, section):
                yield KidneyDose(of.measure, of.below, None), one.sentence()
            if section == DOSAGE:
                yield from _limited(one, said[place + 1 : place + 3], text)


def _avoided(one: Statement, section: str) -> Iterator[Range]:
    plain = one.unheaded
    told = [*ranges(plain)]
    if len(told) == 1 and (
        any(pattern.fullmatch(_RENAL_HEAD.sub("", plain)) for pattern in _AVOIDED)
        or (section == "contraindications" and _LISTED.fullmatch(plain))
    ):
        yield told[0]


def _limited(one: Statement, following: Sequence[Statement], text: str) -> Iterator[tuple[KidneyDose, Sentence]]:
    named = list(ranges(one.plain))
    told = [of for of in named if of.below <= _MOST and (of.least is None or of.least < FULL)]
    if not told or len({of.measure for of in told}) > 1 or _named_times(one.plain) > len(named):
        return
    if for_some_else(one.plain) or for_some_else(one.heading):
        return
    each = _each(one.plain, named)
    if each:
        yield from ((dose, one.sentence()) for dose in each if any(of.below == dose.below for of in told))
        return
    widest = max(told, key=lambda of: of.below)
    most = _most(one, single=len(named) > 1)
    if most is not None:
        yield KidneyDose(widest.measure, widest.below, most), one.sentence()
    elif not _NOT_TO_USE.search(one.plain) and (not any(spoken(one.plain)) or _FIRST.search(one.plain)):
        yield from _followed(one, widest, following, text)


def _named_times(plain: str) -> int:
    """Return how often a measure is named, but for notes on how it is estimated."""
    return len(_MEASURED.findall(_NOTE.sub("", plain)))


def _each(plain: str, told: Sequence[Range]) -> list[KidneyDose]:
    """Return the doses of a list of ranges that are each followed by their dose, or by none at all."""
    near = max(0, told[0].start - _CONTEXT_CHARS)
    if len(told) < 2 or any(spoken(plain[near : told[0].start])) or _FIRST.search(plain, near):
        return []
    found = []
    for of, end in zip(told, [*(after.start for after in told[1:]), len(plain)], strict=True):
        amounts = list(spoken(plain[of.end : end]))
        if not all(amount.daily for amount in amounts):
            return []
        if amounts:
            found.append(KidneyDose(of.measure, of.below, max((amount.amount for amount in amounts), key=_size)))
    return found if len(found) > 1 else []


def _followed(
    one: Statement, of: Range, following: Sequence[Statement], text: str
) -> Iterator[tuple[KidneyDose, Sentence]]:
    """Yield the maximum that the next sentences name for the patients of this one."""
    for after in following:
        if (
            _OTHERS.search(after.plain)
            or _MEASURED.search(after.plain)
            or for_some_else(_THEY.sub(" ", after.plain))
            or after.heading != one.heading
        ):
            return
        stated = [maximum for maximum in maxima(after.plain) if maximum.daily]
        if len(stated) == 1 and _CONTINUED.match(after.plain):
            if not _larger(stated[0].amount, one.plain, after.plain):
                both = Sentence(text[one.start : after.end], one.section, "")
                yield KidneyDose(of.measure, of.below, stated[0].amount), both
            return
        if not _FIRST.search(after.plain):
            return


def _most(one: Statement, *, single: bool) -> Quantity | None:
    """Return the most a day that a sentence about a range allows: its maximum, or the largest dose it recommends."""
    told = list(spoken(one.plain))
    stated = [maximum for maximum in maxima(one.plain) if maximum.named is None or maximum.named.startswith(MASK)]
    daily = [maximum.amount for maximum in stated if maximum.daily]
    if not stated and (_FIRST.search(one.plain) or _FIRST.search(one.before[-_CONTEXT_CHARS:])):
        return None
    if not stated and any(_MORE_THAN.search(one.plain, 0, amount.start) for amount in told):
        return None
    if not stated and not _DOSED.search(one.plain) and not _LISTED_DOSE.search(one.plain):
        return None
    most = max([*daily, *(amount.amount for amount in told if amount.daily)], key=_size, default=None)
    if most is None or _larger(most, one.plain) or (single and len({_size(amount.amount) for amount in told}) > 1):
        return None
    return most


def _size(amount: Quantity) -> float:
    return comparable(amount)[1]


def _larger(most: Quantity, *texts: str) -> bool:
    return any(_size(one.amount) > _size(most) for text in texts for one in spoken(text))
