"""The kidney functions that a text names: which measure, and from where to where.

"CrCl 15 to 29 mL/min", "eGFR below 30 mL/min/1.73 m2", "creatinine clearance 20 mL/min or less". Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["FUNCTION", "MEASURE", "Range", "bare_range", "measure_of", "ranges"]

Measure = Literal["egfr", "crcl"]

MEASURE = (
    r"(?:(?:estimated|calculated|measured|baseline|corrected|24-hr) )*"
    r"(?:creatinine clearances?(?: rates?)?|glomerular filtration rates?(?:,? GFR)?|CrCl|CL ?cr|CCr|C ?cr\b|e?GFR)"
    r"(?:\s*[\[(]\s*(?:CrCl|CL ?cr|CCr|C ?cr|e?GFR)[*†‡]?\s*[\])])?"
)
_GFR = re.compile(r"gfr|glomerular", re.I)
_UNIT = r"\s*(?:mL\s*(?:/|per)?\s*min(?:ute)?s?\.?(?:\s*(?:/|per)?\s*1\.73\s*m\s*(?:2|²|\^2)?)?)"
_LESS = r"(?:<|≤|less than or equal to|less than|below|under)"
_MORE = r"(?:>|≥|greater than or equal to|greater than|above|at least)"
_NUMBER = r"\d{1,3}(?:\.\d)?"
_BOUNDS = (
    rf"(?:{_MORE}?\s*(?P<least>{_NUMBER})(?:{_UNIT})?\s*(?:to|-|–|and)\s*{_LESS}?\s*(?P<most>{_NUMBER})"
    rf"|{_LESS}\s*(?P<below>{_NUMBER})|(?P<or_less>{_NUMBER})(?=(?:{_UNIT})? or less))"
)
_LINK = r"[\s(=:,\[]*(?:of |is |are |was |falls |between |from |rates? of |levels? )*[\s(]*"
FUNCTION = (
    rf"(?:an? )?{MEASURE}(?:[\s\[(,]+{MEASURE})?{_LINK}{_BOUNDS}{_UNIT}(?: or less)?"
    r"(?:\s*,? (?:by|estimated|as estimated)[\w ,-]*)?\s*[)\]]*"
)
_FUNCTION = re.compile(FUNCTION, re.I)
_MEASURE = re.compile(MEASURE, re.I)
_BARE = re.compile(rf"[\s(]*{_BOUNDS}(?:{_UNIT})?(?P<rest>.*)", re.I | re.S)


@dataclass(frozen=True)
class Range:
    """A range of a kidney function, up to ``below``; ``least`` is None where it has no lower end."""

    measure: Measure
    least: float | None
    below: float
    start: int
    end: int


def ranges(text: str) -> Iterator[Range]:
    """Yield the ranges with an upper end that a text names with their measure."""
    for match in _FUNCTION.finditer(text):
        yield _range(match, measure_of(match[0]) or "crcl", match.start(), match.end())


def bare_range(cell: str, measure: Measure) -> tuple[Range, str] | None:
    """Return the range that a cell begins with, whose measure stands in its header, and what the cell says besides."""
    match = _BARE.match(cell)
    return None if match is None else (_range(match, measure, match.start(), match.start("rest")), match["rest"])


def measure_of(text: str) -> Measure | None:
    """Return the measure that a text names."""
    match = _MEASURE.search(text)
    return None if match is None else "egfr" if _GFR.search(match[0]) else "crcl"


def _range(match: re.Match[str], measure: Measure, start: int, end: int) -> Range:
    least = float(match["least"]) if match["least"] else None
    most = float(match["most"] or match["below"] or match["or_less"])
    if least is not None and least > most:
        least, most = most, least
    if match["most"] and not re.search(r"[<≤]|less", match[0]) and most % 5 == 4:
        # "15 to 29" ends where the next range begins.
        most += 1
    return Range(measure, least, most, start, end)
