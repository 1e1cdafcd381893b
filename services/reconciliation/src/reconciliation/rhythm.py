"""The typed grammar of time in instructions: how often, for how long, as needed, and how soon."""

import re
from dataclasses import dataclass

from service_contracts.quantity import Quantity

from reconciliation.grammar import NUMBER, RANGE, number_of
from reconciliation.units import MONTH_DAYS, unit_of

__all__ = ["TIME_UNIT", "Duration", "Frequency", "as_needed", "durations", "frequency", "time_span"]

TIME_UNIT = r"(?:minutes?|mins?|hours?|hrs?|days?|weeks?|wks?|months?|years?)"
# Labels repeat numbers in words: "every 6 (six) hours".
_COUNT = rf"(?P<n>{NUMBER})(?:\s*\([a-z]+\))?(?:{RANGE}(?P<m>{NUMBER})(?:\s*\([a-z]+\))?)?"
_A_DAY = r"(?:(?:a|per|each|every|in\s+a|in|/)\s*(?:day|24\s*hours)\b|daily\b)"


@dataclass(frozen=True)
class Frequency:
    """Times per day, as a range; None when the words give a rhythm that is not a daily one (every 5 minutes)."""

    start: int
    end: int
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Duration:
    """A length of time as written; ``latest`` is the upper end of a range."""

    start: int
    end: int
    earliest: Quantity
    latest: Quantity


# Explicit rhythms. The meaning is either a number of times a day or how the written numbers give one.
_EXPLICIT: tuple[tuple[re.Pattern[str], str | float], ...] = tuple(
    (re.compile(pattern, re.I), meaning)
    for pattern, meaning in (
        (rf"\b(?:every|each)\s*{_COUNT}\s*-?(?:hours?|hrs?|h)\b", "24/n"),
        (r"\bq\s*(?P<n>\d+)(?:\s*(?:-|–|to)\s*(?P<m>\d+))?\s*(?:hours?|hrs?|h)\b", "24/n"),
        (rf"\b(?:every|each)\s*{_COUNT}\s*(?:minutes?|mins?)\b", "unknown"),
        (rf"\bevery\s*{_COUNT}\s*days?\b|\bq\s*(?P<q>\d+)\s*(?:days?|d)\b", "1/n"),
        (rf"\bevery\s*{_COUNT}\s*weeks?\b|\bq\s*(?P<q>\d+)\s*(?:weeks?|wks?)\b", "1/7n"),
        (rf"{_COUNT}\s*(?:times?|x)\s*(?:(?:a|per|each|every|/)\s*(?:week|wk)\b|weekly\b)", "n/7"),
        (r"\btwice\s*(?:(?:a|per|each|every)\s*week\b|weekly\b)", 2 / 7),
        (
            r"\bonce\s*(?:(?:a|per|each|every)\s*week\b|weekly\b)|\b(?:every\s+|q\s*)(?:week|wk)\b"
            r"|(?<!once )(?<!twice )\bweekly\b",
            1 / 7,
        ),
        (r"\b(?:every|each)\s+(?:mon|tues|wednes|thurs|fri|satur|sun)day\b", 1 / 7),
        (r"\bevery\s+(?:other|second)\s+(?:day|morning|evening|night)\b|\balternate\s+days\b|\bqod\b", 1 / 2),
        (r"\bonce\s*(?:a|per|each|every)\s*month\b|\bmonthly\b|\bevery\s+month\b", 1 / MONTH_DAYS),
        (rf"\btwice\s*-?\s*{_A_DAY}|\bb\.?i?\.?d\b", 2.0),
        (r"\bt\.?[id]\.?[ds]\b", 3.0),
        (r"\bq\.?[id]\.?[ds]\b", 4.0),
        (rf"{_COUNT}\s*(?:times?|x)\s*{_A_DAY}", "n"),
        (rf"\bonce\s*-?\s*{_A_DAY}", 1.0),
        (r"\b(?:a|per)\s+day\b", 1.0),
        (
            r"\b(?:every|each)\s+day\b|(?<!once )(?<!twice )(?<!times )(?<!time )(?<!x )\bdaily\b|\bq\.?\s*d(?:ay)?\b",
            1.0,
        ),
    )
)
# Times of the day that each mean one administration when no explicit rhythm is given. Two names for one time
# ("every night at bedtime") are one administration.
_MOMENTS = re.compile(
    r"\b(?:(?:(?:every|each|in\s+the|at)\s+(?P<a>morning|afternoon|evening|night))|(?:every|each)\s+(?P<b>bedtime|noon)"
    r"|(?:at\s+|before\s+)(?P<c>bed)(?:time)?|at\s+(?P<d>noon)|(?:with|before|after)\s+(?P<e>breakfast|lunch|dinner|supper)"
    r"|q\.?\s*(?P<f>h\.?s|a\.?m|p\.?m|morning|evening|night)|(?P<g>nightly|nocte|mane)|(?<=\band\s)(?P<h>evening|night|bedtime|breakfast|lunch|dinner))\b",
    re.I,
)
_SAME_TIME = {
    "morning": "morning", "breakfast": "morning", "noon": "noon", "lunch": "noon", "afternoon": "noon",
    "evening": "evening", "dinner": "evening", "supper": "evening",
    "am": "morning", "a.m": "morning", "mane": "morning", "pm": "evening", "p.m": "evening",
}  # fmt: skip
_WEEKDAYS = re.compile(r"\bon\s+(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b(?:[\s,]|\band\b|\w+days?\b)*", re.I)
_MEALS = re.compile(r"\b(?:with|before|after)\s+(?:each\s+|every\s+|your\s+)?meals?\b|\bthree\s+meals\b", re.I)
_AS_NEEDED = re.compile(
    r"\b(?:as|if|when|only\s+when|only\s+if)\s+(?:you\s+)?need(?:ed)?(?:\s+it)?\b|\bp\.?r\.?n\b"
    r"|\b(?:only\s+)?(?:if|when)\s+you\s+(?:have|feel|are)\b",
    re.I,
)
_DURATION = re.compile(
    rf"\b(?:for\s+(?:up\s+to\s+|at\s+least\s+|about\s+|only\s+|another\s+)?(?:the\s+)?(?:next\s+|first\s+)?"
    rf"|x\s*){_COUNT}[\s-]*"
    rf"(?P<more>more\s+)?(?P<u>{TIME_UNIT})\b(?!\s*(?:before|after)\s+(?:eat|meal|bed))",
    re.I,
)


def frequency(text: str) -> Frequency | None:
    """Return how often a day, from the explicit words if there are any, else from the times of day named.

    "every 4 to 6 hours, up to 4 times a day" is 4 to 4 at most: each limit narrows what is allowed.
    """
    found: list[Frequency] = []
    for pattern, meaning in _EXPLICIT:
        for match in pattern.finditer(text):
            if any(match.start() < f.end and f.start < match.end() for f in found):
                continue
            low, high = _meant(match, meaning)
            found.append(Frequency(match.start(), match.end(), low, high))
    if found:
        found.sort(key=lambda f: f.start)
        highs = [f.high for f in found if f.high is not None]
        if any(f.high is None for f in found):
            return Frequency(found[0].start, found[-1].end, None, None)
        lows = [f.low for f in found if f.low is not None]
        return Frequency(found[0].start, found[0].end if len(found) == 1 else found[-1].end, min(lows), min(highs))
    moments = list(_MOMENTS.finditer(text))
    if moments:
        often = float(_distinct(text, moments))
        return Frequency(moments[0].start(), moments[-1].end(), often, often)
    weekdays = _WEEKDAYS.search(text)
    if weekdays:
        often = len(set(re.findall(r"(\w+)days?\b", weekdays[0].lower()))) / 7
        return Frequency(weekdays.start(), weekdays.start() + len(weekdays[0].rstrip(" ,")), often, often)
    meals = _MEALS.search(text)
    # "with meals" says how, and only where a number of meals is meant does it say how often.
    if meals and re.search(r"each|every|three", meals[0], re.I):
        return Frequency(meals.start(), meals.end(), 3.0, 3.0)
    return None


def _distinct(text: str, moments: list[re.Match[str]]) -> int:
    times: list[str] = []
    for position, match in enumerate(moments):
        word = next(one for one in match.groups() if one).lower()
        joined = position > 0 and not text[moments[position - 1].end() : match.start()].strip()
        if not joined:
            times.append(_SAME_TIME.get(word, "night"))
    return len(set(times))


def _meant(match: re.Match[str], meaning: str | float) -> tuple[float | None, float | None]:
    if isinstance(meaning, float):
        return meaning, meaning
    if meaning == "unknown":
        return None, None
    written = match.groupdict()
    first = number_of(written["n"] or written["q"])
    second = number_of(written["m"]) if written["m"] else first
    if not first or not second:
        return None, None
    low, high = min(first, second), max(first, second)
    by_meaning = {
        "24/n": (24 / high, 24 / low),
        "1/n": (1 / high, 1 / low),
        "1/7n": (1 / (7 * high), 1 / (7 * low)),
        "n/7": (low / 7, high / 7),
        "n": (low, high),
    }
    return by_meaning[meaning]


def as_needed(text: str) -> bool:
    """Whether the words leave it to the patient's need."""
    return _AS_NEEDED.search(text) is not None


def time_span(low: str, high: str | None, unit: str) -> tuple[Quantity, Quantity]:
    """Return the earliest and latest of a written span of time such as "7 to 14 days"."""
    code = unit_of(unit) or "d"
    first = number_of(low)
    second = number_of(high) if high else first
    return Quantity(value=min(first, second), unit=code), Quantity(value=max(first, second), unit=code)


def durations(text: str) -> list[Duration]:
    """Return the lengths of time ("for 5 days", "x 7 days") in reading order."""
    found = []
    for match in _DURATION.finditer(text):
        earliest, latest = time_span(match["n"], match["m"], match["u"])
        found.append(Duration(match.start(), match.end(), earliest, latest))
    return found
