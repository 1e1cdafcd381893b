"""The subset of UCUM that discharge instructions need, with comparison of quantities across units."""

from typing import NamedTuple

from service_contracts.quantity import Quantity

__all__ = ["MONTH_DAYS", "UNIT_WORDS", "add", "compare", "days", "in_unit", "multiply", "unit_of"]

MONTH_DAYS = 30.0
"""A month in plain instructions. UCUM's mean month (30.4375 d) would make "1 month" later than "30 days"."""


class _Unit(NamedTuple):
    dimension: str
    factor: float


# code: dimension and factor to the dimension's base (g, L, d, g of body weight, mL/min). Countable forms are a
# dimension each: a tablet is never comparable with a puff, nor with a mass.
_UNITS: dict[str, _Unit] = {
    "ng": _Unit("mass", 1e-9),
    "ug": _Unit("mass", 1e-6),
    "mg": _Unit("mass", 1e-3),
    "g": _Unit("mass", 1.0),
    "kg": _Unit("mass", 1e3),
    "[lb_av]": _Unit("mass", 453.59237),
    "[oz_av]": _Unit("mass", 28.349523125),
    "uL": _Unit("volume", 1e-6),
    "mL": _Unit("volume", 1e-3),
    "dL": _Unit("volume", 1e-1),
    "L": _Unit("volume", 1.0),
    "s": _Unit("time", 1 / 86400),
    "min": _Unit("time", 1 / 1440),
    "h": _Unit("time", 1 / 24),
    "d": _Unit("time", 1.0),
    "wk": _Unit("time", 7.0),
    "mo": _Unit("time", MONTH_DAYS),
    "a": _Unit("time", 365.25),
    "[iU]": _Unit("biological activity", 1.0),
    "meq": _Unit("charge", 1.0),
    "mmol": _Unit("substance", 1e-3),
    "mL/min": _Unit("clearance", 1.0),
    "mL/min/{1.73_m2}": _Unit("normalised clearance", 1.0),
    "mg/dL": _Unit("mass concentration", 1.0),
    "umol/L": _Unit("substance concentration", 1.0),
    "mg/m2": _Unit("dose by body surface", 1.0),
    "mg/kg": _Unit("dose by body weight", 1.0),
    "ug/kg": _Unit("dose by body weight", 1e-3),
    "%": _Unit("fraction", 1.0),
    **{f"{{{form}}}": _Unit(form, 1.0) for form in ("tablet", "capsule", "puff", "drop", "patch", "spray")},
    **{f"{{{form}}}": _Unit(form, 1.0) for form in ("suppository", "lozenge", "application", "vial", "packet")},
}

# How words and non-UCUM spellings name a unit, lower case; regular plurals are handled by ``unit_of``.
UNIT_WORDS: dict[str, str] = {
    "mg": "mg", "mgs": "mg", "milligram": "mg",
    "mcg": "ug", "ug": "ug", "µg": "ug", "μg": "ug", "microgram": "ug",
    "g": "g", "gm": "g", "gram": "g", "kg": "kg", "kilogram": "kg", "kilo": "kg",
    "lb": "[lb_av]", "lbs": "[lb_av]", "pound": "[lb_av]", "[lb_av]": "[lb_av]", "oz": "[oz_av]", "ounce": "[oz_av]",
    "ml": "mL", "milliliter": "mL", "millilitre": "mL", "cc": "mL", "l": "L", "liter": "L", "litre": "L",
    "unit": "[iU]", "u": "[iU]", "iu": "[iU]", "[iu]": "[iU]", "international unit": "[iU]",
    "meq": "meq", "milliequivalent": "meq", "mmol": "mmol",
    "tablet": "{tablet}", "tab": "{tablet}", "pill": "{tablet}", "tbl": "{tablet}", "{tbl}": "{tablet}",
    "capsule": "{capsule}", "cap": "{capsule}",
    "puff": "{puff}", "inhalation": "{puff}", "actuation": "{puff}",
    "drop": "{drop}", "patch": "{patch}", "spray": "{spray}", "suppository": "{suppository}",
    "lozenge": "{lozenge}", "application": "{application}", "vial": "{vial}", "packet": "{packet}",
    "second": "s", "minute": "min", "hour": "h", "hr": "h", "day": "d", "week": "wk", "month": "mo", "year": "a",
    "mg/m2": "mg/m2", "mg/m²": "mg/m2", "mg/kg": "mg/kg", "mcg/kg": "ug/kg",
    "ml/min/1.73m2": "mL/min/{1.73_m2}", "ml/min/1.73 m2": "mL/min/{1.73_m2}", "ml/min/1.73m²": "mL/min/{1.73_m2}",
    "ml/min/{1.73_m2}": "mL/min/{1.73_m2}", "ml/min/1.73": "mL/min/{1.73_m2}", "ml/min/{1.73m2}": "mL/min/{1.73_m2}",
    "ml/min/1.73.m2": "mL/min/{1.73_m2}", "mg/dl": "mg/dL", "umol/l": "umol/L", "µmol/l": "umol/L",
}  # fmt: skip


def unit_of(word: str) -> str | None:
    """Return the UCUM code that ``word`` (a code, an abbreviation or an English word) stands for, or None."""
    if word in _UNITS:
        return word
    lower = word.strip().lower().rstrip(".")
    for spelling in (lower, lower.removesuffix("s"), lower.removesuffix("es"), lower.removesuffix("ies") + "y"):
        if spelling in UNIT_WORDS:
            return UNIT_WORDS[spelling]
    return None


def _unit(code: str) -> _Unit | None:
    known = unit_of(code)
    return _UNITS[known] if known else None


def compare(a: Quantity, b: Quantity) -> int | None:
    """Return -1, 0 or 1 as ``a`` is less than, equal to or more than ``b``; None when they do not compare.

    Equality allows for one part in a million, so that 1 g is 1,000 mg in floating point too.
    """
    of_a, of_b = _unit(a.unit), _unit(b.unit)
    if of_a is None or of_b is None or of_a.dimension != of_b.dimension:
        return None
    left, right = a.value * of_a.factor, b.value * of_b.factor
    if abs(left - right) <= 1e-6 * max(abs(left), abs(right)):
        return 0
    return -1 if left < right else 1


def in_unit(quantity: Quantity, code: str) -> Quantity | None:
    """Return ``quantity`` expressed in ``code``, or None when that is another dimension."""
    source, target = _unit(quantity.unit), _unit(code)
    if source is None or target is None or source.dimension != target.dimension:
        return None
    return Quantity(value=quantity.value * source.factor / target.factor, unit=unit_of(code) or code)


def days(quantity: Quantity) -> float | None:
    """Return a time quantity in days, or None when it is not a time."""
    converted = in_unit(quantity, "d")
    return None if converted is None else converted.value


def add(a: Quantity, b: Quantity) -> Quantity | None:
    """Return the sum in ``a``'s unit, or None when the two do not add."""
    converted = in_unit(b, a.unit)
    return None if converted is None else Quantity(value=a.value + converted.value, unit=converted.unit)


def multiply(quantity: Quantity, times: float) -> Quantity:
    """Return ``quantity`` taken ``times`` times."""
    return Quantity(value=quantity.value * times, unit=quantity.unit)
