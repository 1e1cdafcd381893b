"""The most of a medicine a day, as a sentence of a label states it: the amounts it names, and what it says of whom.

Read are clauses that name a maximum ("to a maximum of 40 mg daily", "not to exceed 12 grams a day"); steps of a
titration, first doses, what was seen in trials and what seldom is needed are none. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service_contracts.quantity import Quantity

__all__ = ["FOR_SOME", "Maximum", "amounts", "in_mg", "maxima"]

_AMOUNT = (
    r"(?P<value>\d[\d,]*(?:\.\d+)?)\s*-?\s*(?P<unit>mg|g|grams?|mcg|micrograms|units|mEq)\b"
    r"(?!\s*/\s*(?:kg|m\b|m2|hour|h\b|mL))"
)
_ASIDE = r"(?:\s*\([^()]{0,60}\))?"
_NUMBER = r"(?:two|three|four|five|six|[2-6])"
_COUNT = rf"(?P<times>once|one time|twice|(?:{_NUMBER}(?: to | or ))?{_NUMBER} times)"
_LATIN = r"(?P<latin>[bqt]\.?i\.?d\b|q\.?d\b)"
_A_DAY = (
    r"(?:(?:orally |by mouth )?(?:daily|per day|a day|/\s*day|each day|every day|once per day|per 24 hours)"
    r"|(?:in|over|within|during|per) (?:a |any |each )?24[- ]hours?(?: period)?)"
)
_OFTEN = (
    rf"(?:\s*{_ASIDE}\s*(?:orally |taken |given |administered |by mouth )*"
    rf"(?:{_COUNT}\s+(?:a |per |each |every )?(?:daily|day)|(?P<day>{_A_DAY})|{_LATIN}"
    rf"|every (?P<hours>\d{{1,2}}) hours))?"
)
_DOSE = r"(?:doses?|dosages?|amounts?)"
_KIND = r"(?:(?:recommended|total|allowable|permitted|approved|adult|oral|usual|target|suggested)\s+)*"
# The name of the drug between "dose" and "is": of another one when it is not masked by the caller.
_OF = r"(?:\s+(?:of|for)\s+(?P<named>[A-Za-z][\w .,'-]{1,60}?))??"
_IS = r"(?:\s+(?:is|are|was|of|should not exceed|is not to exceed|not to exceed|must not exceed)|\s*:|\s*,)?\s*(?:to )?"
_MAXIMUM = (
    # The maximum recommended daily dose (of X) is 40 mg; to a maximum of 30 mg once daily
    rf"(?:maximum|maximal|highest) {_KIND}(?P<daily>daily )?{_KIND}(?:{_DOSE}{_OF})?{_IS}{_AMOUNT}{_OFTEN}",
    # recommended maximum: the same with the words the other way round
    rf"(?:maximum|maximal) {_KIND}{_DOSE}{_OF} (?P<daily>per day|in a 24[- ]hour period|a day)\s*(?:is|:)\s*"
    rf"{_AMOUNT}{_OFTEN}",
    # (total) daily dose should not exceed 40 mg; doses should not exceed 40 mg a day; not to exceed 12 g daily
    rf"(?:(?P<daily>daily )?(?:{_DOSE}{_OF} )?(?:should|must|may|is|are|do|can|to)?\s*(?:not|never)(?: to| be)? exceed"
    rf"(?: a)?(?: (?:total|maximum|recommended))*(?P<daily2> daily)?(?: (?:total |maximum )?{_DOSE})?(?: of)?) "
    rf"{_AMOUNT}{_OFTEN}",
    rf"no more than (?:a total of )?{_AMOUNT}{_OFTEN}",
    # (Daily) doses above 40 mg (daily) are not recommended
    rf"(?P<daily>daily )?{_DOSE} (?:greater than|above|higher than|exceeding|of more than|in excess of|over) "
    rf"{_AMOUNT}{_OFTEN}"
    r"(?: \w+){0,3} (?:are|is|have|has|should|cannot|must)(?: been)? (?:not|no)\b",
)
_PATTERNS = tuple(re.compile(pattern, re.I) for pattern in _MAXIMUM)
_LATIN_TIMES = {"bid": 2, "tid": 3, "qid": 4, "qd": 1}
_TIMES = {"once": 1, "one time": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_UNITS = {
    "mg": "mg",
    "g": "g",
    "gram": "g",
    "grams": "g",
    "mcg": "ug",
    "micrograms": "ug",
    "units": "[iU]",
    "meq": "meq",
}
# Directly before or inside the clause: a step, a first dose or one time of giving, not what may be had in a day.
_STEP = re.compile(
    r"increment|increas\w+ by|initial|starting|loading|first|single|bolus|per (?:dose|injection)"
    r"|each dose|individual dose|reduc\w+ by|\brate|infus|cumulative|course",
    re.I,
)
_BY = re.compile(r"\bby (?:a |no )?$|increments? of (?:a |no )?$", re.I)
# A name alone before the clause ("Teriflunomide Do not exceed 10 mg") is that of a drug taken beside this one, or of
# some other case.
_OTHER_HEADING = re.compile(
    r"(?!.*(?:dos(?:e|age|ing)|maxim|adult|daily|administration))[A-Z][\w/-]*(?: [\w/-]+){0,3}", re.I
)
# It says what happened, not what is allowed; or that there is more.
_NOT_A_RULE = re.compile(
    r"stud(?:y|ies|ied)|trials?\b|seldom|rarely|usually|generally|not been|have been used|beneficial|additional benefit"
    r"|some patients|most patients|increased incidence|unless|may be exceeded|if needed to exceed|experience",
    re.I,
)
FOR_SOME = re.compile(
    r"impair|renal|kidney|hepat|liver|cirrho|creatinine|\bCL ?cr|CrCl|eGFR|dialysis|pediatric|paediatric|child"
    r"|adolescent|infant|neonat|\bage[ds]?\b|years|elderly|geriatric|older|debilitated|kg\b|body weight|weighing"
    r"|concomit|coadmin|co-admin|taking|receiving|in combination|combined with|used with|inhibitor|inducer"
    r"|metaboli[sz]er|\bpoor\b|prophyla|Specific Populations|Drug Interactions|these (?:patients|populations)"
    r"|such patients|other (?:patients|drugs)|pregnan|women|males",
    re.I,
)
"""What makes a limit one for some patients only, in a sentence or shortly before it."""
_SPOKEN = re.compile(_AMOUNT + _OFTEN, re.I)


@dataclass(frozen=True)
class Maximum:
    """The most a day that a clause states; ``named`` is what it says the dose is of."""

    amount: Quantity
    named: str | None


def maxima(plain: str) -> Iterator[Maximum]:
    """Yield what a sentence, without its references, states as the most a day."""
    if _NOT_A_RULE.search(plain):
        return
    taken: list[tuple[int, int]] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            found = match.groupdict()
            times = _times(found)
            daily = found.get("daily") or found.get("daily2") or re.search(r"\bdaily\b", match[0], re.I)
            if times is None and not daily:
                continue
            if match[0][0].isupper() and _OTHER_HEADING.fullmatch(plain[: match.start()].strip()):
                continue
            if _BY.search(plain[: match.start()]):
                continue
            if _STEP.search(plain[max(0, match.start() - 30) : match.start("value")]):
                continue
            taken.append(match.span())
            value = _number(match["value"]) * (times or 1)
            yield Maximum(Quantity(value=value, unit=_UNITS[match["unit"].lower()]), found.get("named"))


def _times(found: dict[str, str | None]) -> float | None:
    """Return how often a day an amount is had, None when that is not said."""
    if found.get("day"):
        return 1
    if latin := found.get("latin"):
        return _LATIN_TIMES[latin.lower().replace(".", "")]
    if hours := found.get("hours"):
        return 24 / int(hours)
    if times := found.get("times"):
        # Of "three to four times" the most.
        word = times.lower().removesuffix(" times").replace(" or ", " to ").split(" to ")[-1]
        return _TIMES.get(word) or float(word)
    return None


def amounts(text: str) -> Iterator[Quantity]:
    """Yield every amount that is spoken of, a day where that is said, but for those by weight, surface or volume."""
    for match in _SPOKEN.finditer(text):
        times = max(_times(match.groupdict()) or 1, 1)
        yield Quantity(value=_number(match["value"]) * times, unit=_UNITS[match["unit"].lower()])


def in_mg(amount: Quantity) -> float | None:
    """Return a mass in mg, None for what is not a mass."""
    factor = {"mg": 1.0, "g": 1000.0, "ug": 0.001}.get(amount.unit)
    return None if factor is None else amount.value * factor


def _number(text: str) -> float:
    return float(text.replace(",", ""))
