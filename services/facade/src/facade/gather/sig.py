"""Reading the free text of a medication order ("500mg PO q6h PRN") without guessing.

A part that is not stated, or stated in two ways, stays None: ranges ("40-50mg"), combination strengths
("875/125mg") and "q4-6h" have no single value. Whether the text *states* a dose or a rhythm at all is kept apart,
so that it can be compared with the order's structured fields.
"""

import re
from dataclasses import dataclass

from service_contracts.quantity import Quantity

__all__ = ["Sig", "parse_sig"]

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_UNITS: dict[str, str] = {
    "mg/m2": "mg/m2",
    "mg/m²": "mg/m2",
    "mg/kg": "mg/kg",
    "mcg/kg": "ug/kg",
    "mg": "mg",
    "mcg": "ug",
    "ug": "ug",
    "µg": "ug",
    "g": "g",
    "ml": "mL",
    "l": "L",
    "meq": "meq",
    "mmol": "mmol",
    "iu": "[iU]",
    "international units": "[iU]",
    "units": "[iU]",
    "unit": "[iU]",
    "tablets": "{tablet}",
    "tablet": "{tablet}",
    "tabs": "{tablet}",
    "tab": "{tablet}",
    "capsules": "{capsule}",
    "capsule": "{capsule}",
    "caps": "{capsule}",
    "cap": "{capsule}",
    "puffs": "{puff}",
    "puff": "{puff}",
    "drops": "[drp]",
    "drop": "[drp]",
    "patches": "{patch}",
    "patch": "{patch}",
}
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_DOSE = re.compile(
    rf"(?<![\d/.,-])(?P<first>{_NUMBER})(?:\s*(?:/|-|–|to)\s*(?P<second>{_NUMBER}))?\s*(?P<unit>{_UNIT})(?![\w²/])",
    re.I,
)
_ROUTES = (
    (r"po|by mouth|orally|oral", "oral"),
    (r"sl|sublingually|sublingual", "sublingual"),
    (r"sc|sq|subq|subcut|subcutaneously|subcutaneous", "subcutaneous"),
    (r"iv|intravenously|intravenous", "intravenous"),
    (r"im|intramuscularly|intramuscular", "intramuscular"),
    (r"inh|inhaled|inhalation|by inhalation", "inhaled"),
    (r"pr|rectally|rectal", "rectal"),
    (r"top|topically|topical", "topical"),
    (r"ophth|ophthalmic", "ophthalmic"),
    (r"nasal|intranasal|intranasally", "nasal"),
)
_ROUTE = tuple((re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I), route) for pattern, route in _ROUTES)
_WORDS = {"once": 1.0, "one time": 1.0, "twice": 2.0, "two times": 2.0, "three times": 3.0, "four times": 4.0}
_RHYTHMS: tuple[tuple[str, float], ...] = (
    (r"bid|b\.i\.d\.?|q12h", 2.0),
    (r"tid|t\.i\.d\.?|q8h", 3.0),
    (r"qid|q\.i\.d\.?|q6h", 4.0),
    (r"every other day|qod", 0.5),
    (r"once (?:a |per )?week(?:ly)?|weekly", 1 / 7),
    (r"qhs|at bedtime|nightly|every (?:morning|evening|night)|qam|qpm", 1.0),
)
_RHYTHM = tuple((re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I), value) for pattern, value in _RHYTHMS)
_TIMES_A_DAY = re.compile(rf"(?<!\w)({'|'.join(_WORDS)}|\d+ times)\s+(?:daily|a day|per day|each day)(?!\w)", re.I)
_DAILY = re.compile(r"(?<!\w)(?:daily|every day|each day|q\.?d\.?|qday)(?!\w)", re.I)
_EVERY_HOURS = re.compile(r"(?<!\w)(?:q\s*|every\s+)(\d+)(?:\s*(?:-|–|to)\s*(\d+))?\s*(?:h|hr|hrs|hours?)(?!\w)", re.I)
_AS_NEEDED = re.compile(r"(?<!\w)(?:prn|as needed|if needed|when needed)(?!\w)", re.I)
_DURATION = re.compile(
    rf"(?:\bfor\s+|(?<!\w)x\s*)({_NUMBER})(?:\s*(?:-|–|to)\s*({_NUMBER}))?\s*(d|days?|wks?|weeks?|months?)(?!\w)", re.I
)


@dataclass(frozen=True)
class Sig:
    """What the text of an order says. ``route`` is a plain word; units are UCUM."""

    dose: Quantity | None = None
    states_dose: bool = False
    route: str | None = None
    times_per_day: float | None = None
    states_rhythm: bool = False
    as_needed: bool = False
    duration: Quantity | None = None


def parse_sig(text: str | None) -> Sig:
    """Return what ``text`` says; an empty or unknown text says nothing."""
    if not text:
        return Sig()
    dose, states_dose = _dose(text)
    times_per_day, states_rhythm = _rhythm(text)
    return Sig(
        dose=dose,
        states_dose=states_dose,
        route=_route(text),
        times_per_day=times_per_day,
        states_rhythm=states_rhythm,
        as_needed=bool(_AS_NEEDED.search(text)),
        duration=_duration(text),
    )


def _dose(text: str) -> tuple[Quantity | None, bool]:
    matches = list(_DOSE.finditer(text))
    if not matches:
        # "mg/m2" written with another denominator, or a bare number: stated, but not understood.
        return None, bool(re.search(r"\d\s*(?:mg|mcg|g|ml|units?)\b", text, re.I))
    if len(matches) > 1 or matches[0]["second"]:
        return None, True
    value = float(matches[0]["first"].replace(",", ""))
    return Quantity(value=value, unit=_UNITS[matches[0]["unit"].lower()]), True


def _route(text: str) -> str | None:
    found = {route for pattern, route in _ROUTE if pattern.search(text)}
    return found.pop() if len(found) == 1 else None


def _rhythm(text: str) -> tuple[float | None, bool]:
    found: set[float | None] = {value for pattern, value in _RHYTHM if pattern.search(text)}
    for match in _EVERY_HOURS.finditer(text):
        hours = int(match[1])
        found.add(24 / hours if match[2] is None and hours > 0 else None)
    counted = _TIMES_A_DAY.search(text)
    if counted:
        words = counted[1].lower()
        found.add(_WORDS[words] if words in _WORDS else float(words.split()[0]))
    elif _DAILY.search(text) and not found:
        found.add(1.0)
    if len(found) == 1:
        return found.pop(), True
    return None, bool(found)


def _duration(text: str) -> Quantity | None:
    matches = list(_DURATION.finditer(text))
    if len(matches) != 1 or matches[0][2]:
        return None
    unit = {"d": "d", "w": "wk", "m": "mo"}[matches[0][3][0].lower()]
    return Quantity(value=float(matches[0][1].replace(",", "")), unit=unit)
