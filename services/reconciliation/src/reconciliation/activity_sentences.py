"""Reads restrictions and permissions: which activity, forbidden or allowed, up to what weight, until or from when."""

import re

from service_contracts.quantity import Quantity

from reconciliation.grammar import NUMBER, RANGE, number_of
from reconciliation.medication_sentences import clauses
from reconciliation.rhythm import TIME_UNIT, time_span
from reconciliation.statements import ActivityStatement, Mode, Place
from reconciliation.units import days, unit_of

__all__ = ["ACTIVITIES", "activity_statements"]

# What each activity is called. Order matters: raising an arm is read before lifting a weight.
ACTIVITIES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (activity, re.compile(pattern, re.I))
    for activity, pattern in (
        ("arm-raising", r"\b(?:rais|lift|mov|reach)\w*\s+(?:up\s+)?(?:your|the|that|either|with\s+your)?\s*(?:left"
                        r"|right|affected)?\s*(?:arms?|elbows?)"
                        r"(?:\s+or\s+elbow)?(?:\s+(?:above|over|higher|up)[\w\s]*?(?:shoulder|head)\w*)?"
                        r"|\breach\w*\s+(?:over|above)\w*|\boverhead\b"),
        ("lifting", r"\b(?:lift|carry|push|pull)(?:ing)?\b|\bpick(?:ing)?\s+up\s+(?:anything|objects|things)"),
        ("driving", r"\bdriv(?:e|ing)\b|\boperat(?:e|ing)\s+(?:a\s+)?(?:car|vehicle|motor\s+vehicle)"),
        ("swimming", r"\bswim(?:ming)?\b|\bpools?\b"),
        ("bathing", r"\b(?:tub\s+)?baths?\b|\bbath(?:e|ing|tub)\b|\bsoak(?:ing)?\b|\bhot\s+tubs?\b|\bsubmerge\w*"),
        ("sex", r"\bsex(?:ual)?\b|\bintercourse\b"),
        ("work", r"\b(?:(?:go(?:ing)?\s+back|return(?:ing)?|back)\s+to|off(?:\s+from)?|resum\w+|start"
                 r"|stay\s+home\s+from|miss)\s+(?:your\s+|the\s+)?work\b|\bno\s+work\b"
                 r"|\bwork(?:ing)?(?=\s+(?:for|until)\b)"),
        ("weight-bearing", r"\bweight[\s-]+bearing\b|\b(?:put|bear)(?:ting|ing)?\s+(?:any\s+|all\s+of\s+your\s+"
                           r"|full\s+|your\s+)?weight\b"),
        ("bending", r"\bbend(?:ing)?\b(?!\s+your\s+knees)"),
        ("flying", r"\bfly(?:ing)?\b|\bair\s+travel\b|\bairplanes?\b|\bplane\b"),
        ("climbing", r"\bclimb(?:ing)?\b|\bladders?\b"),
        ("exercise", r"\bexercis(?:e|es|ing)\b|\bstrenuous\b|\bsports?\b|\bgym\b|\bjog(?:ging)?\b|\bvigorous\b"
                     r"|\bhard\s+activit\w+|\bworkouts?\b"
                     r"|\bwork(?:ing)?\s+out\b"),
        ("any", r"\bno\s+(?:activity\s+)?(?:restrictions|limits)\b|\b(?:all|any|normal|usual|regular"
                r"|full)\s+(?:of\s+your\s+)?(?:daily\s+)?activit(?:y|ies)\b"),
    )
)  # fmt: skip
_FORBID = re.compile(
    r"\b(?:do\s+not|don't|not\s+(?:to|be)|no(?=\s+(?!longer|restrictions|limits|activity\s+(?:restrictions|limits)))"
    r"|avoid(?:ing)?|never|cannot|can't|should\s+not|shouldn't|must\s+not"
    r"|may\s+not|can\s+not|not\s+allowed|stay\s+(?:off|out|away|home)|keep\s+from|refrain|nothing|limit(?!s)"
    r"|off(?=\s+work)|stop|hold\s+off|wait)\b",
    re.I,
)
_PERMIT = re.compile(
    r"\b(?:may|can|ok(?:ay)?\s+to|allowed\s+to|free\s+to|able\s+to|safe\s+to|fine\s+to|start|return\w*\s+to|resum\w+"
    r"|go\s+back\s+to|back\s+to"
    r"|no\s+(?:activity\s+)?(?:restrictions|limits))\b",
    re.I,
)
_SPLIT = re.compile(
    r";|\bbut\b|\bhowever\b|,\s*(?=(?:and\s+)?(?:you\b|do\s+not|don't|no\b|avoid|never))|\band\s+(?=(?:you|do\s+not"
    r"|don't|avoid)\b)",
    re.I,
)
_WEIGHT = re.compile(rf"(?P<n>{NUMBER})[\s-]*(?P<u>pounds?|lbs?|kg|kilograms?|kilos?)\b", re.I)
_HEAVY = re.compile(r"\b(?:heavy|heavier|gallon\s+of\s+milk)\b", re.I)
_COUNT = rf"(?P<n>{NUMBER})(?:{RANGE}(?P<m>{NUMBER}))?[\s-]*(?:(?:full|more)\s+)?(?P<u>{TIME_UNIT})\b"
_FOR = re.compile(
    rf"\b(?:for|until|during|within|in)\s+(?:at\s+least\s+|about\s+|up\s+to\s+"
    rf"|a\s+total\s+of\s+)?(?:the\s+)?(?:next\s+|first\s+)?{_COUNT}",
    re.I,
)
_THE_NEXT = re.compile(
    rf"\b(?:the\s+)?(?:next|first)\s+{_COUNT}"
    rf"|{_COUNT.replace('<n>', '<n2>').replace('<m>', '<m2>').replace('<u>', '<u2>')}\s+(?:off|after\s+(?:surgery"
    rf"|your))",
    re.I,
)
_AFTER = re.compile(
    rf"\b(?:after|in|starting\s+in|from|once)\s+(?:at\s+least\s+|about\s+)?{_COUNT}"
    rf"|{_COUNT.replace('<n>', '<n2>').replace('<m>', '<m2>').replace('<u>', '<u2>')}\s+(?:after|from)\b",
    re.I,
)
_TOMORROW = re.compile(r"\btomorrow\b|\bnext\s+day\b", re.I)
_NOW = re.compile(
    r"\b(?:right\s+away|today|now|immediately|as\s+soon\s+as\s+you\s+(?:get|are)\s+home|at\s+once"
    r"|no\s+(?:activity\s+)?(?:restrictions|limits))\b",
    re.I,
)
_OPEN = re.compile(
    r"\b(?:until|unless|when|once|if|after)\b[^.;]{0,60}?\b(?:doctor|surgeon|provider|care\s+team|nurse|physician"
    r"|cleared|approv\w+|okay|ok|clinic|visit|appointment"
    r"|therapist|check-?up|says?|tells?|seen|off\s+\w+\s+medic\w+)\b",
    re.I,
)
_CONDITIONAL = re.compile(
    r"\b(?:as\s+tolerated|gradual\w*|slow\w*|when\s+you\s+(?:feel|are|can|no\s+longer)|as\s+you\s+feel|a\s+little"
    r"|light|gentle|while\s+(?:you|taking|on)|if\s+you)\b",
    re.I,
)


def activity_statements(text: str) -> tuple[ActivityStatement, ...]:
    """Return the restrictions and permissions in ``text``, in reading order."""
    found: list[ActivityStatement] = []
    for clause in clauses(text):
        start = clause.start
        for part in [*_SPLIT.finditer(text, clause.start, clause.end), None]:
            end = part.start() if part else clause.end
            found.extend(_read(text, start, end))
            start = part.end() if part else end
    return tuple(found)


def _read(text: str, start: int, end: int) -> list[ActivityStatement]:
    words = text[start:end]
    named = _activities(words)
    if not named:
        return []
    forbid, permit = _FORBID.search(words), _PERMIT.search(words)
    if forbid is None and permit is None:
        return []
    mode = Mode.FORBID if forbid else Mode.PERMIT
    stripped = len(words.rstrip())
    lead = len(words) - len(words.lstrip())
    place = Place(start + lead, start + stripped)
    open_ended = _OPEN.search(words) is not None
    for_days = from_days = None
    if mode is Mode.FORBID:
        for_days = _length(_FOR.search(words) or _THE_NEXT.search(words), longest=False)
        if for_days is None and _TOMORROW.search(words):
            for_days = 1.0
    else:
        from_days = _length(_AFTER.search(words), longest=False)
        if from_days is None and _TOMORROW.search(words):
            from_days = 1.0
        if from_days is None and (_NOW.search(words) or not (open_ended or _CONDITIONAL.search(words))):
            from_days = 0.0
    statements = []
    for activity in named:
        if activity == "any" and not (_NOW.search(words) or (mode is Mode.PERMIT and from_days)):
            continue
        weight = _WEIGHT.search(words) if activity in {"lifting", "weight-bearing"} else None
        limit = Quantity(value=number_of(weight["n"]), unit=unit_of(weight["u"]) or "[lb_av]") if weight else None
        vague = activity == "lifting" and weight is None and _HEAVY.search(words) is not None
        statements.append(ActivityStatement(activity, mode, place, limit, for_days, from_days, open_ended, vague))
    return statements


def _activities(words: str) -> list[str]:
    named, rest = [], words
    for activity, pattern in ACTIVITIES:
        if pattern.search(rest):
            named.append(activity)
            rest = pattern.sub(lambda match: "\0" * len(match[0]), rest)
    return named


def _length(match: re.Match[str] | None, *, longest: bool) -> float | None:
    if match is None:
        return None
    groups = match.groupdict()
    low, high, unit = (groups.get(name) or groups.get(f"{name}2") for name in ("n", "m", "u"))
    if low is None or unit is None:
        return None
    earliest, latest = time_span(low, high, unit)
    return days(latest if longest else earliest)
