"""The most a day of a label's products, by route, as its section on dosage states it in sentences and in tables.

A label speaks of its own products. What it calls the maximum is that of their strengths and form, and another product
of the same ingredient may have another; so each limit names the products it was stated for.
"""

import re
from collections.abc import Iterator, Sequence

from service_contracts.evidence import DoseLimit
from service_contracts.quantity import Coding, Quantity

from retrieval.labels.maxima import Maximum, comparable, maxima, spoken
from retrieval.labels.statements import MASK, Statement, statements
from retrieval.labels.table_maxima import for_some_rows, table_maxima
from retrieval.labels.text import LabelText, Sentence

__all__ = ["UNII", "dose_limits", "products", "substance"]

UNII = "http://fdasis.nlm.nih.gov"
_ROUTES = {"respiratory (inhalation)": "inhaled"}
_PARENTERAL = frozenset({"intramuscular", "intravenous", "subcutaneous"})
_ROUTE_WORDS = {
    "oral": re.compile(r"(?i:\borally\b|\boral\b)|by mouth|\b[Tt]ablets?\b|\b[Cc]apsules?\b"),
    "intravenous": re.compile(r"(?i:intravenous)|\bI\.?V\.?(?!\w)"),
    "intramuscular": re.compile(r"(?i:intramuscular)|\bI\.?M\.?(?!\w)"),
    "subcutaneous": re.compile(r"(?i:subcutaneous)|\bS\.?C\.?(?!\w)"),
}
# An amount that is named to say that it is not to be had, that something was seen with it, or how to prepare it.
_ABOVE = re.compile(
    r"(?<!not )(?<!no )(?<!never )(?:above|greater than|higher than|exceeding|over|more than"
    r"|in excess of)(?: a)?(?: total)?(?: daily)?"
    r"(?: dos(?:e|age)s?)?(?: of)?(?: DRUG)?\s*$",
    re.I,
)
_NOT = re.compile(r"\bnot?\b|cannot|limited|little", re.I)
_SEEN = re.compile(
    r"\b(?:clinical|controlled)\s+(?:trial|stud)|\bin (?:a|one|two) (?:stud|trial)|overdos|efficacy .{0,60}established"
    r"|(?:further|increased) response",
    re.I,
)
# Of another drug, by the stems of its name (WHO, The use of stems in the selection of INN).
_STEMS = (
    r"\w{2,}(?:azole|mycin|navir|statin|pril|sartan|olol|dipine|tinib|mab|cillin|floxacin|oxetine|amide|triptan|gliptin"
    r"|gliflozin|azepam|tidine|caine|codone|platin)"
)
_OTHER_BEFORE = re.compile(rf"\b{_STEMS}(?: at| of)?\s*$", re.I)
_OTHER_AFTER = re.compile(rf"[\d.,]+\s*(?:to|-|–)?\s*[\d.,]*\s*\w+\s+(?:of )?{_STEMS}\b", re.I)
_PREPARED = re.compile(r"\bvials?\b|reconstitut|dilut|\bbulk\b|\bbags?\b|concentration", re.I)
_OFTEN = re.compile(
    r"twice|\btwo times|three times|four times|[2-6] times|\b[bt]\.?i\.?d\b|q\.?i\.?d\b|divided|every \d{1,2} hours"
    r"|\bq ?\d{1,2} ?h|as needed|per dose|week|every other",
    re.I,
)
_ONLY_ONCE = re.compile(
    r"frequency is (?:once|one \w+) (?:per|a) day|(?:no|not) more than once (?:daily|(?:a|per) day)", re.I
)
_ONCE = re.compile(
    r"once[- ](?:a |per |each )?(?:daily|day|night)|single daily dose|(?:mg|mcg) (?:orally )?(?:daily|/\s*day|per day)"
    r"|once nightly|at bedtime",
    re.I,
)


def dose_limits(label: LabelText) -> list[tuple[DoseLimit, Sentence]]:
    """Return the highest daily maximum that the label of one ingredient states for each route, with its sentence.

    Where a label states several, the highest is above no reading of it. None where a larger amount is spoken of:
    another indication, patient or form may have another limit.
    """
    if len(label.ingredients) != 1 or not label.routes:
        return []
    said = list(statements(label))
    apart = for_some_rows(label)
    found = []
    for route in label.routes:
        here = [one for one in said if _speaks_of(one, route, label.routes)]
        tabled = table_maxima(label) if len(label.routes) == 1 else []
        most = _highest(_candidates(here, apart), tabled, here)
        if most is not None:
            amount, sentence = most
            found.append((_limit(label, route, amount), sentence))
    return found


def _limit(label: LabelText, route: str, amount: Quantity) -> DoseLimit:
    return DoseLimit(
        ingredient=label.ingredients[0], code=substance(label), products=products(label),
        route=_ROUTES.get(route, route), max_daily=amount,
    )  # fmt: skip


def _speaks_of(one: Statement, route: str, routes: Sequence[str]) -> bool:
    """Whether a statement may be about a route: it or its heading names it, or no other of the label's."""
    if len(routes) == 1:
        return True
    for text in (one.plain, one.heading):
        named = {name for name in routes if name in _ROUTE_WORDS and _ROUTE_WORDS[name].search(text)}
        if named:
            return route in named
    return route in _PARENTERAL and set(routes) <= _PARENTERAL


def _candidates(said: Sequence[Statement], apart: Sequence[tuple[int, int]]) -> Iterator[tuple[Maximum, Statement]]:
    once = _once_a_day(said)
    for one in said:
        if one.restricted or any(start < one.end and one.start < end for start, end in apart):
            continue
        for maximum in maxima(one.plain):
            if (maximum.daily or once) and (maximum.named is None or maximum.named.startswith(MASK)):
                yield maximum, one


def _once_a_day(said: Sequence[Statement]) -> bool:
    """Whether the drug is only ever had once a day: then an amount is one a day, though that is said elsewhere."""
    whole = " ".join(one.plain for one in said)
    if _ONLY_ONCE.search(whole):
        return True
    return _ONCE.search(whole) is not None and _OFTEN.search(whole) is None


def _highest(
    stated: Iterator[tuple[Maximum, Statement]], tabled: Sequence[tuple[Quantity, Sentence]], said: Sequence[Statement]
) -> tuple[Quantity, Sentence] | None:
    """Return the highest maximum and where it stands, unless something larger is spoken of.

    A statement that follows others about some patients only may be one of those: it counts where no amount at all of
    the section is larger and a usual dose is told apart from it. So does how far a dose may be raised.
    """
    sure: list[tuple[Quantity, Sentence]] = list(tabled)
    unsure: list[tuple[Quantity, Sentence]] = []
    for maximum, one in stated:
        if one.for_others:
            continue
        to = unsure if one.under_restriction or maximum.up_to or not maximum.daily else sure
        to.append((maximum.amount, one.sentence()))
    if sure:
        most = max(sure, key=_rank)
        if not _larger(most[0], said):
            return most
    if unsure:
        most = max([*sure, *unsure], key=_rank)
        if not _larger(most[0], said, strict=True) and _usual(most, said):
            return most
    return None


def _rank(one: tuple[Quantity, Sentence]) -> tuple[float, int]:
    return comparable(one[0])[1], -len(one[1].text)


def _larger(most: Quantity, said: Sequence[Statement], *, strict: bool = False) -> bool:
    """Whether a larger amount of the drug is spoken of as one that may be had; when ``strict``, for whatever reason."""
    unit, limit = comparable(most)
    for one in said:
        if not strict and (_PREPARED.search(one.plain) or (_SEEN.search(one.plain) and "recommended" not in one.plain)):
            continue
        for other in spoken(one.plain):
            kind, value = comparable(other.amount)
            if kind != unit or value <= limit * 1.0001:
                continue
            if _OTHER_BEFORE.search(one.plain, 0, other.start) or _OTHER_AFTER.match(one.plain, other.start):
                continue
            if strict or not (_ABOVE.search(one.plain, 0, other.start) and _NOT.search(one.plain)):
                return True
    return False


def _usual(most: tuple[Quantity, Sentence], said: Sequence[Statement]) -> bool:
    """Whether an amount of the same kind is told of all patients in another statement."""
    kind = comparable(most[0])[0]
    return any(
        comparable(other.amount)[0] == kind
        for one in said
        if one.text != most[1].text and not one.restricted and not one.under_restriction
        for other in spoken(one.plain)
    )


def substance(label: LabelText) -> Coding | None:
    """Return the substance as the label names it, with its salt."""
    return Coding(system=UNII, code=label.uniis[0]) if len(label.uniis) == 1 else None


def products(label: LabelText) -> tuple[str, ...]:
    """Return what the products of the label are known by; a label without codes and brands is known by its set id."""
    brands = tuple(name for name in label.names if name not in label.ingredients)
    return (*label.rxcuis, *brands) or (label.set_id,)
