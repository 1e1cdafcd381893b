"""Reads instructions about medicines: which medicine, take or stop, how much, how often, for how long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service_contracts.chart import MedicationChange
from service_contracts.quantity import Quantity

from reconciliation.drug_names import name_pattern
from reconciliation.grammar import DOSE_UNIT, NUMBER, Amount, amounts, concentration, masked, number_of, route_of
from reconciliation.medication_words import ADVICE, CHANGES, STOP, STOPPED_AFTER, TAKE, names_after_verbs
from reconciliation.rhythm import as_needed, durations, frequency
from reconciliation.statements import Action, Ceiling, Dose, MedicationStatement, Place
from reconciliation.units import compare, in_unit, multiply, unit_of

__all__ = ["clauses", "medication_statements"]

_CLAUSE_END = re.compile(r"(?<!\b[A-Za-z])(?<!\bDr)(?<!\bvs)[.;!?]\s+(?=[A-Z(\d])|\n")
_CEILING = re.compile(
    rf"\b(?:(?:do\s+not|don't|never)\s+(?:take|use|exceed|go\s+over|have)(?:\s+more\s+than)?|(?:no|not)\s+more\s+than"
    rf"|up\s+to(?:\s+a\s+(?:total|maximum)\s+of)?|(?:a\s+)?max(?:imum)?(?:\s+dose)?(?:\s+of)?:?|at\s+most)\s+"
    rf"(?P<n>{NUMBER})\s*(?P<u>{DOSE_UNIT})(?:\s+(?:of|total)\s*[\w\s-]{{0,30}}?)?\s*"
    rf"(?:in|per|a|each|every|/)\s*(?:any\s+|one\s+|a\s+)?(?:single\s+)?(?:day|24[\s-]*hours?(?:\s+period)?)\b",
    re.I,
)
_CONJUNCTION = re.compile(r"\s*(?:,\s*(?:and\s+)?|;\s*|\band\b|\bthen\b|\bplus\b|\bor\b)\s*", re.I)
_EQUALS = re.compile(
    r"\s*(?:\(\s*(?:about\s+|a\s+total\s+of\s+|total\s+|=\s*)?|[=,]?\s*(?:for\s+a\s+total\s+of|or|=)\s*)", re.I
)
_ALIAS = re.compile(r"\s*\(\s*(?:also\s+called\s+|brand\s+name:?\s+)?([A-Za-z][A-Za-z'-]+(?:\s[A-Za-z'-]+)?)\s*\)")


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    certain: bool


def clauses(text: str) -> list[Place]:
    """Return the grammatical sentences of ``text`` as places."""
    found, start = [], 0
    for match in _CLAUSE_END.finditer(text):
        found.append(Place(start, match.start() + 1))
        start = match.end()
    found.append(Place(start, len(text)))
    return [place for place in found if text[place.start : place.end].strip()]


def medication_statements(
    text: str, known_names: Sequence[str], *, medicines_section: bool
) -> tuple[MedicationStatement, ...]:
    """Return what ``text`` tells the patient to take or to stop.

    ``known_names`` are the chart's; other names are taken from the grammar ("Take NAME 400 mg"), outside the
    section on medicines only when a dose or a rhythm stands beside them. A grammatical sentence that names no medicine
    ("Take it twice a day.") goes on about the one before.
    """
    known = tuple(dict.fromkeys(known_names))
    statements: list[MedicationStatement] = []
    for start, end, mentions in _groups(text, known, medicines_section):
        statements.extend(_read_group(text, start, end, mentions))
    return tuple(statements)


def _groups(text: str, known: Sequence[str], medicines_section: bool) -> list[tuple[int, int, list[_Mention]]]:
    groups: list[tuple[int, int, list[_Mention]]] = []
    opening: int | None = None
    for place in clauses(text):
        mentions = _mentions(text, place, known, medicines_section)
        if mentions:
            # "Take 2 tablets every 6 hours. (Acetaminophen 325 mg)": the dose may stand before the name.
            groups.append((place.start if opening is None else opening, place.end, mentions))
            opening = None
        elif not groups and _has_dose(place.of(text)) and not ADVICE.search(place.of(text)):
            opening = place.start if opening is None else opening
        elif groups and not ADVICE.search(place.of(text)):
            groups[-1] = (groups[-1][0], place.end, groups[-1][2])
    return groups


def _mentions(text: str, place: Place, known: Sequence[str], medicines_section: bool) -> list[_Mention]:
    clause = place.of(text)
    found: list[_Mention] = []
    for name in sorted(known, key=len, reverse=True):
        for match in name_pattern(name).finditer(clause):
            _put(found, _Mention(place.start + match.start(), place.start + match.end(), True))
    for start, end, dosed in names_after_verbs(clause, medicines_section):
        _put(found, _Mention(place.start + start, place.start + end, dosed))
    return sorted(found, key=lambda mention: mention.start)


def _put(found: list[_Mention], mention: _Mention) -> None:
    if not any(mention.start < other.end and other.start < mention.end for other in found):
        found.append(mention)


def _read_group(text: str, start: int, end: int, mentions: list[_Mention]) -> list[MedicationStatement]:
    statements: list[MedicationStatement] = []
    action: Action | None = None
    change: MedicationChange | None = None
    previous_end = start
    for position, mention in enumerate(mentions):
        alias = _ALIAS.match(text, mention.end)
        if statements and text[previous_end : mention.start].strip() in {"(", "/"}:
            # "Tylenol (acetaminophen)": a second name of the same medicine.
            statements[-1] = replace(
                statements[-1], aliases=(*statements[-1].aliases, text[mention.start : mention.end])
            )
            previous_end = mention.end
            continue
        lead = text[previous_end : mention.start]
        own_action, own_change = _action(lead, text[mention.end : end])
        change = own_change or change
        action = own_action if own_action is not None or position == 0 or ADVICE.search(lead) else action
        before = _boundary(text, previous_end, mention.start) if position else start
        after = end
        if position + 1 < len(mentions):
            after = _boundary(text, mention.end, mentions[position + 1].start)
        previous_end = mention.end
        if action is None and not _has_dose(text[before:after]):
            continue
        shared = _shared_rhythm(text, after, end)
        statement = _read(text, before, after, mention, action or Action.TAKE, change, shared)
        if alias and alias[1] and mention.end <= alias.start():
            statement = replace(statement, aliases=(*statement.aliases, alias[1]))
        statements.append(statement)
    return statements


def _boundary(text: str, start: int, end: int) -> int:
    joints = list(_CONJUNCTION.finditer(text, start, end))
    return joints[-1].end() if joints else end


def _shared_rhythm(text: str, after: int, end: int) -> str:
    # "aspirin 81 mg and clopidogrel 75 mg once a day": what follows the last medicine holds for all of the list.
    return text[after:end]


def _has_dose(text: str) -> bool:
    return bool(amounts(text)) or frequency(text) is not None


def _action(lead: str, trail: str) -> tuple[Action | None, MedicationChange | None]:
    change = next((meaning for pattern, meaning in CHANGES if pattern.search(lead)), None)
    if STOPPED_AFTER.match(trail):
        return Action.STOP, MedicationChange.STOPPED
    stops, takes = list(STOP.finditer(lead)), list(TAKE.finditer(lead))
    if ADVICE.search(lead):
        return None, change
    if stops and (not takes or stops[-1].end() >= takes[-1].start()):
        return Action.STOP, change
    if takes:
        return Action.TAKE, change
    if change is MedicationChange.STOPPED:
        return Action.STOP, change
    return (Action.TAKE if change is not None else None), change


def _read(
    text: str,
    start: int,
    end: int,
    mention: _Mention,
    action: Action,
    change: MedicationChange | None,
    shared: str,
) -> MedicationStatement:
    part = text[start:end]
    ceilings = list(_CEILING.finditer(part))
    plain = masked(part, [match.span() for match in ceilings])
    rhythm = frequency(plain)
    if rhythm is not None:
        rhythm = replace(rhythm, start=rhythm.start + start, end=rhythm.end + start)
    elif shared:
        later = frequency(shared)
        rhythm = replace(later, start=later.start + end, end=later.end + end) if later else None
    lengths = durations(plain)
    ceiling = None
    if ceilings:
        match = ceilings[0]
        amount = Quantity(value=number_of(match["n"]), unit=unit_of(match["u"]) or match["u"])
        ceiling = Ceiling(Place(start + match.start(), start + match.end()), amount)
    return MedicationStatement(
        name=text[mention.start : mention.end],
        name_place=Place(mention.start, mention.end),
        place=Place(start, start + len(part.rstrip())),
        action=action,
        dose=_dose(plain, start),
        frequency=rhythm,
        as_needed=as_needed(part) or as_needed(shared),
        route=route_of(part),
        duration=lengths[0].latest if lengths else None,
        duration_place=Place(start + lengths[0].start, start + lengths[0].end) if lengths else None,
        ceiling=ceiling,
        change=change,
        certain=mention.certain,
    )


def _dose(text: str, offset: int) -> Dose | None:
    written = amounts(text)
    strengths = [amount for amount in written if not amount.is_count]
    counts = [amount for amount in written if amount.is_count]
    if not written:
        return None
    if not strengths:
        count = counts[0]
        return Dose(Place(offset + count.start, offset + count.end), count.parts, (count.high,))
    plain = [amount for amount in strengths if not amount.per_form]
    first = plain[0] if plain and not counts else strengths[0]
    if len(first.parts) == 1 and len({(amount.parts[0].value, amount.parts[0].unit) for amount in plain}) > 1:
        varying = _varying(text, offset, plain)
        if varying is not None:
            return varying
    liquid = concentration(text)
    if liquid and first.high.unit == "mL":
        parts = (multiply(liquid[2], first.parts[0].value),)
        top = multiply(liquid[2], first.high.value)
        return Dose(_whole(text, offset, first.start, max(first.end, liquid[1])), parts, (top,))
    high = first.parts if len(first.parts) > 1 else (first.high,)
    if first.per_form and first.count != 1.0:
        number = first.count
        return Dose(_spanned(offset, first), _times(first.parts, number), _times(high, number))
    if not counts:
        return Dose(_spanned(offset, first), first.parts, high)
    count = counts[0]
    place = _whole(text, offset, min(first.start, count.start), max(first.end, count.end))
    low_n, high_n = count.parts[0].value, count.high.value
    multiplied = Dose(place, _times(first.parts, low_n), _times(high, high_n))
    if first.per_form:
        return multiplied
    if _in_brackets(text, first, count):
        # "2 tablets (1,000 mg)" and "1,000 mg (2 tablets)" say the same amount twice.
        return Dose(place, first.parts, high)
    return replace(multiplied, other=high if high_n != 1 else None)


def _varying(text: str, offset: int, doses: list[Amount]) -> Dose | None:
    ordered = sorted(doses, key=lambda amount: amount.high.value)
    if compare(ordered[0].high, ordered[-1].high) in (0, None):
        return None
    place = _whole(text, offset, min(one.start for one in doses), max(one.end for one in doses))
    return Dose(place, ordered[0].parts, (ordered[-1].high,), varies=True)


def _whole(text: str, offset: int, start: int, end: int) -> Place:
    # A correction replaces this place, so a bracket opened inside it must be closed inside it.
    closes = text[start:end].count("(") > text[start:end].count(")") and text[end : end + 1] == ")"
    return Place(offset + start, offset + end + (1 if closes else 0))


def _spanned(offset: int, amount: Amount) -> Place:
    return Place(offset + amount.start, offset + amount.end)


def _times(parts: tuple[Quantity, ...], number: float) -> tuple[Quantity, ...]:
    return tuple(multiply(in_unit(part, part.unit) or part, number) for part in parts)


def _in_brackets(text: str, strength: Amount, count: Amount) -> bool:
    first, second = sorted((strength, count), key=lambda amount: amount.start)
    between = text[first.end : second.start]
    return _EQUALS.fullmatch(between) is not None
