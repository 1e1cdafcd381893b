"""The most of a medicine a day, as a sentence of a label states it: the amounts it names, and what it says of whom.

Read are clauses that name a maximum ("to a maximum of 40 mg daily", "not to exceed 12 grams a day"); steps of a
titration, first doses, what was seen in trials and what seldom is needed are none. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service_contracts.quantity import Quantity

__all__ = ["Maximum", "Spoken", "amounts", "comparable", "in_mg", "maxima", "spoken"]

_VALUE = r"\d[\d,]*(?:\.\d+)?"
_UNIT = r"(?:mg|milligrams?|gm?|grams?|mcg|µg|μg|micrograms?|(?:international )?units?|IU|mEq)"
_AMOUNT = (
    rf"(?:(?P<other>{_VALUE})\s*(?P<other_unit>{_UNIT})?\s*(?:to|-|–|or)\s*)?"
    rf"(?P<value>{_VALUE})\s*-?\s*(?P<unit>{_UNIT})\b"
    r"(?!\s*/\s*(?:kg|m\b|m2|hour|h\b|min|[dm]?L)| per (?:kg|kilogram|hour|min|mL))"
)
_ASIDE = r"(?:\s*\([^()]{0,60}\))?"
_NUMBER = r"(?:two|three|four|five|six|eight|[2-8])"
_COUNT = rf"(?P<times>once|one time|twice|(?:{_NUMBER}(?: to | or |-|–))?{_NUMBER} times)"
_LATIN = r"(?P<latin>[bqt]\.?i\.?d\b|q\.?d\b)"
_A_DAY = (
    r"(?:(?:orally |by mouth )?(?:daily|per day|a day|/\s*day|each day|every day|once per day|per 24 hours)"
    r"|(?:in|over|within|during|per) (?:a |any |each )?24[- ]hours?(?: period)?)"
)
_OFTEN = (
    rf"(?:\s*,?(?:\s+of DRUG)?\s*{_ASIDE}\s*"
    r"(?:tablets? |capsules? |orally |taken |given |administered |injected |subcutaneously |intravenously "
    r"|intramuscularly |by mouth "
    r"|should be |in (?:two |three |2 |3 )?(?:equally )?divided doses |,? ?as a single dose )*"
    rf"(?:{_COUNT}\s+(?:a |per |each |every )?(?:daily|day)|(?P<day>{_A_DAY})|{_LATIN}"
    r"|(?P<total>(?:total |maximum )?daily (?:dose|dosage))|(?P<night>(?:once )?(?:nightly|at (?:night|bedtime)))"
    r"|every (?P<hours>\d{1,2}|two|three|four|six|eight|twelve)(?:(?: to | or |-|–)\w+)? ?(?:hours|hrs?)\b"
    r"|q ?(?P<q>\d{1,2}) ?(?:h|hr|hours?)\b))?"
)
_DOSE = r"(?:doses?|dosages?|amounts?)"
_KIND = (
    r"(?:(?:recommended|total|allowable|permitted|approved|adult|oral|usual|target|suggested|maintenance|labeled"
    r"|parenteral|advisable)\s+)*"
)
# The name of the drug between "dose" and "is": of another one when it is not masked by the caller.
_OF = r"(?:\s+(?:of\s+(?P<named>[A-Za-z][\w .,'-]{1,60}?)|for\s+[A-Za-z][\w .,'()-]{1,80}?|recommended|allowed))??"
_IS = (
    r"(?:\s*\b(?:is|are|of|should be|should not exceed|is not to exceed|not to exceed|must not exceed)|\s*:|\s*,)?"
    r"\s*(?:limited )?(?:to )?(?:administered as )?(?:DRUG,? )?(?:a total of )?"
)
_DAILY = r"(?P<daily>daily |24[- ]hour )?"
_ABOVE = r"(?:greater than|above|higher than|exceeding|(?:of )?more than|in excess of|over)"
_MAXIMUM = (
    # A maximum of 4 g should not be exceeded during a 24-hour period.
    rf"(?P<daily2>daily )?(?:(?:{_DOSE}|maximum) of )?{_AMOUNT}{_OFTEN} should not be exceeded(?: "
    rf"(?P<daily>{_A_DAY}))?",
    # The maximum recommended daily dose (of X) is 40 mg; to a maximum of 30 mg once daily
    rf"(?:maximum|maximal|highest) {_KIND}{_DAILY}{_KIND}(?:{_DOSE}{_OF})?{_IS}{_AMOUNT}{_OFTEN}",
    # a daily maximum of 250 mg
    rf"(?P<daily>daily )maximum(?: dose| dosage)?{_IS}{_AMOUNT}{_OFTEN}",
    # recommended maximum: the same with the words the other way round
    rf"(?:maximum|maximal) {_KIND}{_DOSE}{_OF} (?P<daily>per day|in a 24[- ]hour period|a day)\s*(?:is|:)\s*"
    rf"{_AMOUNT}{_OFTEN}",
    # (total) daily dose should not exceed 40 mg; doses should not exceed 40 mg a day; not to exceed 12 g daily
    rf"(?:(?P<daily>daily )?(?:{_DOSE}{_OF} )?(?P<daily3>(?:with)?in (?:a )?24[- ]hours?(?: period)? )?(?:should|must"
    r"|may|is|are|do|can|to)?\s*(?:not|never|without)(?: to| be)? "
    rf"exceed(?:ing)?(?: a)?(?: (?:total|maximum|recommended))*(?P<daily2> daily)?(?: (?:total |maximum )?{_DOSE})?"
    rf"(?: of)?(?: DRUG)?) {_AMOUNT}{_OFTEN}",
    rf"(?:no|not) (?:more than|in excess of|greater than) (?:a total of )?{_AMOUNT}{_OFTEN}",
    # (Daily) doses above 40 mg (daily) are not recommended
    rf"(?P<daily>daily )?(?:{_DOSE}(?:{_OF})?|(?:{_DOSE} )?(?:escalation|titration|increases?)(?: to (?:a )?{_DOSE})?)"
    rf"(?: of)? {_ABOVE} {_AMOUNT}{_OFTEN}"
    r"(?:(?: [\w()]+){0,6} (?:are|is|have|has|should|cannot|must)(?: been)? (?:not|no)\b"
    r"|[^.]{0,120}? (?:not recommended|should not be exceeded))",
    # a maximum of 2 tablets (5 mg) once daily; not to exceed 12 teaspoonfuls daily (6 mg)
    r"(?:maximum[\w ]{0,40}? (?:of|is|exceed)|(?:no|not) (?:more than|to exceed|exceed|take more than|use more than))"
    rf" {_VALUE} (?:\w+ ){{1,8}}?\({_AMOUNT}[^()]{{0,40}}\)(?P<daily2> (?:once )?{_A_DAY})?",
    rf"not (?:indicated|recommended)(?: for use)? (?:in|at) (?P<daily>daily )?{_DOSE} {_ABOVE} {_AMOUNT}{_OFTEN}",
)
_PATTERNS = tuple(re.compile(pattern, re.I) for pattern in _MAXIMUM)
# How far a dose may be raised, which is a maximum where nothing larger is spoken of.
_UP_TO = re.compile(
    rf"(?:increas|titrat|adjust|rais|escalat|(?P<daily2>daily )?{_DOSE}\b)(?:[^.;()]"
    rf"|\([^()]*\)){{0,80}}?\bup to (?:a (?:total )?)?(?P<daily>daily )?(?:{_DOSE} of )?"
    rf"{_AMOUNT}{_OFTEN}",
    re.I,
)
_LATIN_TIMES = {"bid": 2, "tid": 3, "qid": 4, "qd": 1}
_TIMES = {
    "once": 1,
    "one time": 1,
    "twice": 2,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "eight": 8,
    "twelve": 12,
}
_UCUM = {"mg": "mg", "milligram": "mg", "g": "g", "gm": "g", "gram": "g", "meq": "meq"}
_UCUM |= dict.fromkeys(("mcg", "µg", "μg", "microgram"), "ug") | dict.fromkeys(
    ("unit", "international unit", "iu"), "[iU]"
)
# Directly before or inside the clause: a step, a first dose or one time of giving, not what may be had in a day.
_STEP = re.compile(r"increment|increas\w+ by|reduc\w+ by", re.I)
_ONE_TIME = re.compile(
    r"initial|starting|loading|first|single|bolus|per (?:dose|injection)|each dose|individual dose|\brate\b|infus"
    r"|cumulative"
    r"|course",
    re.I,
)
_APART = re.compile(r"[,;]|\bwith\b|\band\b", re.I)
# What the steps lead to: "in increments of 15 mg up to a maximum of 45 mg".
_LEADS_TO = re.compile(r"\bto (?:a|an|the|achieve the) (?:total )?$", re.I)
# The amount is had every second day, or by the week.
_SELDOM = re.compile(
    r"[^.;]{0,30}?(?:every (?:other|\w+ days?|second|\d+ (?:days|weeks))|(?:per|a|each|every|once) ?week|weekly"
    r"|a month|monthly)",
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
    r"stud(?:y|ies|ied)|trials?\b|seldom|rarely|usually|generally|not been|(?:have|has) been (?:used|given"
    r"|administered)|beneficial|additional benefit"
    r"|(?:been|was|were) demonstrated|demonstrated in|been (?:well )?tolerated|tolerated (?:by|in|daily)"
    r"|some patients|most patients|increased incidence|unless|may be exceeded|if needed to exceed|experience",
    re.I,
)
# One of these stands in every clause that is read; most statements have none.
_A_MOST = re.compile(r"maxim|highest|exceed|above|than|up to|over|excess", re.I)
_STILL_A_RULE = re.compile(
    r"(?:are|is) not recommended|should not be exceeded|maximum (?:recommended )?(?:daily )?dos(?:e"
    r"|age)(?: recommended)? is",
    re.I,
)
_SPOKEN = re.compile(_AMOUNT + _OFTEN, re.I)
_DAILY_BEFORE = re.compile(r"\bdaily (?:dose|dosage)(?: of| is|:)?\s*$", re.I)


@dataclass(frozen=True)
class Maximum:
    """The most that a clause states; ``named`` is what it says the dose is of.

    ``daily`` is False where it is not said how often the amount is had; ``up_to`` says that the clause does not name a
    maximum, but how far a dose may be raised.
    """

    amount: Quantity
    named: str | None = None
    daily: bool = True
    up_to: bool = False


@dataclass(frozen=True)
class Spoken:
    """An amount that is spoken of, a day where that is said, and where it stands."""

    amount: Quantity
    start: int
    daily: bool


def maxima(plain: str) -> Iterator[Maximum]:
    """Yield what a statement, without its references and with its drug masked, states as the most."""
    if not _A_MOST.search(plain) or (_NOT_A_RULE.search(plain) and not _STILL_A_RULE.search(plain)):
        return
    taken: list[tuple[int, int]] = []
    for pattern in (*_PATTERNS, _UP_TO):
        for match in pattern.finditer(plain):
            if any(match.start() < end and start < match.end() for start, end in taken) or not _is_limit(match, plain):
                continue
            taken.append(match.span())
            found = match.groupdict()
            times = _times(found)
            said = any(found.get(name) for name in ("daily", "daily2", "daily3")) or re.search(
                r"\bdaily\b", match[0], re.I
            )
            yield Maximum(
                _amount(match, times),
                found.get("named"),
                daily=times is not None or bool(said),
                up_to=pattern is _UP_TO,
            )


def _is_limit(match: re.Match[str], plain: str) -> bool:
    """Whether a clause is not a step of a titration, a first dose, one time of giving or about another drug."""
    if match[0][0].isupper() and _OTHER_HEADING.fullmatch(plain[: match.start()].strip()):
        return False
    if _BY.search(plain[: match.start()]) or _SELDOM.match(plain, match.end()):
        return False
    clause = plain[match.start() : match.start("value")]
    before = _APART.split(plain[max(0, match.start() - 30) : match.start()])[-1]
    steps = clause if _LEADS_TO.search(before) else before + clause
    return not _STEP.search(steps) and not _ONE_TIME.search(before + clause)


def _times(found: dict[str, str | None]) -> float | None:
    """Return how often a day an amount is had, None when that is not said."""
    if found.get("day") or found.get("night") or found.get("total"):
        return 1
    if latin := found.get("latin"):
        return _LATIN_TIMES[latin.lower().replace(".", "")]
    if hours := found.get("hours") or found.get("q"):
        return 24 / (_TIMES.get(hours.lower()) or int(hours))
    if times := found.get("times"):
        # Of "three to four times" the most.
        word = re.split(r" to | or |-|–", times.lower().removesuffix(" times"))[-1]
        return _TIMES.get(word) or float(word)
    return None


def amounts(text: str) -> Iterator[Quantity]:
    """Yield every amount that is spoken of, a day where that is said, but for those by weight, surface or volume."""
    return (one.amount for one in spoken(text))


def spoken(text: str) -> Iterator[Spoken]:
    """Yield what ``amounts`` does, with its place and whether it is said how often it is had."""
    for match in _SPOKEN.finditer(text):
        times = _times(match.groupdict())
        daily = times is not None or _DAILY_BEFORE.search(text, 0, match.start()) is not None
        yield Spoken(_amount(match, times), match.start(), daily)


def _amount(match: re.Match[str], times: float | None) -> Quantity:
    """Return the larger of "500 mg or 250 mg", a day where it is said how often; a range ends in its larger."""
    told = [(match["value"], match["unit"])]
    if match["other_unit"]:
        told.append((match["other"], match["other_unit"]))
    amounts = [
        Quantity(value=_number(value) * max(times or 1, 1), unit=_UCUM[of.lower().removesuffix("s")])
        for value, of in told
    ]
    return max(amounts, key=lambda one: comparable(one)[1])


def in_mg(amount: Quantity) -> float | None:
    """Return a mass in mg, None for what is not a mass."""
    factor = {"mg": 1.0, "g": 1000.0, "ug": 0.001}.get(amount.unit)
    return None if factor is None else amount.value * factor


def comparable(amount: Quantity) -> tuple[str, float]:
    """Return what an amount is measured in and how much it is: masses in mg, others in their own unit."""
    mg = in_mg(amount)
    return (amount.unit, amount.value) if mg is None else ("mg", mg)


def _number(text: str) -> float:
    return float(text.replace(",", ""))
