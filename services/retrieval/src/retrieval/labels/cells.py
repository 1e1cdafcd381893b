"""How much a day a cell of a table says, with what its column, its row and the table's caption say of how often."""

import re
from typing import Literal

from service_contracts.quantity import Quantity

from retrieval.labels.maxima import comparable, maxima, spoken

__all__ = ["AVOID", "cell_amount", "every"]

AVOID: Literal["avoid"] = "avoid"
_AVOID = re.compile(
    r"not recommended|contraindicated|\bavoid\b|do not (?:use|administer)|should not (?:use|be used)", re.I
)
_UNREADABLE = re.compile(
    r"mg\s*/\s*(?:kg|m\b|m2)|mcg\s*/\s*kg|\d\s*%|per kg|units?\s*/\s*kg|\bhalf\b|one-half|footnote|\bsee\b|usual"
    r"|standard"
    r"|insufficient|initial|starting|loading|\bthen\b|individuali[sz]e",
    re.I,
)
_BARE = re.compile(r"(?:\d[\d,.]*\s*(?:to|-|–)\s*)?(?P<value>\d[\d,]*(?:\.\d+)?)\s*[*†‡§a-d]?", re.I)
_WITH_TIMES = re.compile(r"(?P<value>\d[\d,]*(?:\.\d+)?)\s+(?P<often>QD|BID|TID|QID)\s*[*†‡§]?", re.I)
_UNIT_IN_HEADER = re.compile(r"\(?\b(?P<unit>mg|mcg|grams?|g|units)\b(?P<day>\s*/\s*(?:day|24 ?h))?", re.I)
_DAILY = re.compile(
    r"daily dos|/\s*day|per day|once[- ]daily|once a day|every 24 hours|dose/day|daily maximum|24 ?h", re.I
)
_TIME = re.compile(r"day|hour|week", re.I)
# Had every second day or more seldom, all of it on one day: on no day more.
_SELDOM = re.compile(r"every (?:other day|second day|\d+ days|(?:36|48|60|72|96) hours)", re.I)
_EVERY = re.compile(
    r"every (?P<hours>\d{1,2})(?: to \d{1,2})? ?(?:hours|h)\b|q ?(?P<q>\d{1,2}) ?h"
    r"|(?P<once>once(?: a day| daily)?|daily|QD)\b|(?P<twice>twice|two times|BID)\b|(?P<three>three times|3 times"
    r"|TID)\b"
    r"|(?P<four>four times|4 times|QID)\b|(?P<single>single dose)",
    re.I,
)
_TIMES = {"once": 1.0, "twice": 2.0, "three": 3.0, "four": 4.0, "single": 1.0}
_CODES = {"qd": 1, "bid": 2, "tid": 3, "qid": 4}
_UCUM = {"mg": "mg", "mcg": "ug", "g": "g", "gram": "g", "grams": "g", "units": "[iU]"}


def every(cell: str) -> float | None:
    """Return how often a day a cell on frequency says at the most; None for what it does not say."""
    found = []
    for match in _EVERY.finditer(cell):
        hours = match["hours"] or match["q"]
        found.append(24 / int(hours) if hours else next(_TIMES[name] for name in _TIMES if match[name]))
    return max(max(found), 1.0) if found else None


def cell_amount(cell: str, header: str, caption: str, often: float | None) -> Quantity | Literal["avoid"] | None:
    """Return the most a day that a cell says, ``avoid``, or None where it cannot be told.

    ``often`` is what another cell of the row says of how often a day.
    """
    if _UNREADABLE.search(cell):
        return None
    stated = [one.amount for one in maxima(cell) if one.daily]
    if stated:
        return max(stated, key=_size)
    told = list(spoken(cell))
    if not told:
        return AVOID if _AVOID.search(cell) else _bare(cell, header, caption, often)
    largest = max((one.amount for one in told), key=_size)
    if all(one.daily for one in told):
        return largest
    if any(one.daily for one in told) or _TIME.search(cell):
        return largest if _SELDOM.search(cell) else None
    times = often or (1.0 if _DAILY.search(f"{header} {caption}") else None)
    return None if times is None else Quantity(value=largest.value * times, unit=largest.unit)


def _bare(cell: str, header: str, caption: str, often: float | None) -> Quantity | None:
    """Return a number whose unit stands in the header: "Total daily dose (mg/day)"."""
    unit = _UNIT_IN_HEADER.search(header)
    with_times, bare = _WITH_TIMES.fullmatch(cell.strip()), _BARE.fullmatch(cell.strip())
    if unit is None or re.search(r"/\s*(?:kg|m2|\d* ?mL)|\bmL\b", header):
        return None
    ucum = _UCUM[unit["unit"].lower()]
    if with_times is not None:
        return Quantity(value=_number(with_times["value"]) * _CODES[with_times["often"].lower()], unit=ucum)
    if bare is None:
        return None
    times = 1.0 if unit["day"] or _DAILY.search(header) else often or (1.0 if _DAILY.search(caption) else None)
    return None if times is None else Quantity(value=_number(bare["value"]) * times, unit=ucum)


def _size(amount: Quantity) -> float:
    return comparable(amount)[1]


def _number(text: str) -> float:
    return float(text.replace(",", ""))
