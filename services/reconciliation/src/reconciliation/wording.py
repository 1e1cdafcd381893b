"""How quantities, intervals and lists are written for a reader at a sixth-grade level."""

from collections.abc import Sequence

from service_contracts.quantity import Quantity

from reconciliation.units import compare, days, unit_of

__all__ = ["dose_words", "duration", "joined", "number", "quantity", "times"]

_SHOWN = {
    "ug": "mcg", "[lb_av]": "pound", "[oz_av]": "ounce", "[iU]": "unit", "h": "hour", "d": "day", "wk": "week",
    "mo": "month", "a": "year", "min": "minute", "s": "second", "mL/min/{1.73_m2}": "mL/min/1.73 m2", "meq": "mEq",
}  # fmt: skip
_PLURAL = frozenset({"pound", "ounce", "unit", "hour", "day", "week", "month", "year", "minute", "second"})


def number(value: float) -> str:
    """Write a number with thousands separators and no more than three decimals: 4,000; 6.25; 0.5."""
    text = f"{round(value, 3):,.3f}".rstrip("0").rstrip(".")
    return text or "0"


def quantity(amount: Quantity) -> str:
    """Write an amount with a word a reader knows: 4,000 mg; 10 pounds; 2 tablets."""
    code = unit_of(amount.unit) or amount.unit
    shown = _SHOWN.get(code, code)
    countable = code.startswith("{")
    if countable:
        shown = code.strip("{}")
    if (countable or shown in _PLURAL) and amount.value != 1:
        shown += "es" if shown.endswith("ch") else "s"
    return f"{number(amount.value)} {shown}"


def dose_words(low: Sequence[Quantity], high: Sequence[Quantity]) -> str:
    """Write a dose: 500 mg; 40 to 50 mg; 5/325 mg."""
    if len(high) > 1:
        return "/".join(number(part.value) for part in high) + " " + quantity(high[-1]).split(" ", 1)[1]
    if compare(low[0], high[0]) == 0:
        return quantity(high[0])
    return f"{number(low[0].value)} to {quantity(high[0])}"


def duration(time: Quantity) -> str:
    """Write a length of time: 42 days is 6 weeks, 14 days stays 14 days, 1 day is 24 hours only when given so."""
    length = days(time)
    if length is not None and (unit_of(time.unit) in {"d", "wk"}) and length >= 21 and length % 7 == 0:
        return quantity(Quantity(value=length / 7, unit="wk"))
    if unit_of(time.unit) == "wk" and length is not None and length < 21:
        return quantity(Quantity(value=length, unit="d")) if length % 7 else quantity(time)
    return quantity(time)


def times(per_day: float) -> str:
    """Write a frequency: once a day, 3 times a day, once a week, every other day."""
    if per_day >= 1:
        return "once a day" if per_day == 1 else f"{number(per_day)} times a day"
    interval = 1 / per_day
    if abs(interval - 2) < 1e-6:
        return "every other day"
    weekly = per_day * 7
    if abs(weekly - round(weekly)) < 1e-6:
        return "once a week" if round(weekly) == 1 else f"{number(weekly)} times a week"
    return f"every {number(interval)} days"


def joined(words: Sequence[str]) -> str:
    """Write a list: a; a and b; a, b and c."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
