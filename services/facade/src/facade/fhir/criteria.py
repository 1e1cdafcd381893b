"""What a search asks for: criteria that a resource meets or does not. Pure.

Only what is understood completely becomes a criterion; everything else is refused, never guessed at.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_support.errors import BadRequest, NotSupported

from facade.fhir.home import Home
from facade.fhir.served import COMMON, SERVED, Parameter
from facade.fhir.terms import DateRange, Term, date_range

__all__ = ["Criterion", "DateTest", "Facts", "Limit", "criteria", "criterion", "parameter_of", "split_values"]

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d.*)", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_MAX_VALUES = 50


@dataclass(frozen=True)
class Facts:
    """What of a resource criteria look at."""

    id: str
    updated: DateRange
    terms: frozenset[Term]
    dates: tuple[tuple[str, DateRange], ...]


@dataclass(frozen=True)
class DateTest:
    """A comparison with a date, by its R4 prefix."""

    prefix: str
    span: DateRange

    def holds(self, other: DateRange) -> bool:
        """Whether ``other``, the resource's date, passes."""
        inside = self.span.low <= other.low and other.high <= self.span.high
        return {
            "eq": inside,
            "ne": not inside,
            "gt": other.high > self.span.high,
            "ge": other.high > self.span.high or inside,
            "lt": other.low < self.span.low,
            "le": other.low < self.span.low or inside,
            "sa": other.low >= self.span.high,
            "eb": other.high <= self.span.low,
        }[self.prefix]


@dataclass(frozen=True)
class Criterion:
    """One parameter of a search: one of its terms, ids or dates must be the resource's."""

    code: str
    terms: tuple[Term, ...] = ()
    ids: tuple[str, ...] = ()
    dates: tuple[DateTest, ...] = ()

    def met(self, facts: Facts) -> bool:
        """Whether the resource meets it."""
        if self.code == "_id":
            return facts.id in self.ids
        if self.dates:
            spans = (
                [facts.updated]
                if self.code == "_lastUpdated"
                else [span for code, span in facts.dates if code == self.code]
            )
            return any(test.holds(span) for test in self.dates for span in spans)
        return not facts.terms.isdisjoint(self.terms)


@dataclass(frozen=True)
class Limit:
    """What one scope lets be found: of ``patient`` only (None: of anybody), and only what meets ``criteria``."""

    patient: str | None
    criteria: tuple[Criterion, ...]


def criteria(resource_type: str, pairs: Iterable[tuple[str, str]], home: Home) -> tuple[Criterion, ...]:
    """Return a criterion for every pair; raise ``NotSupported`` or ``BadRequest``."""
    return tuple(criterion(resource_type, name, value, home) for name, value in pairs)


def criterion(resource_type: str, name: str, value: str, home: Home) -> Criterion:
    """Return the criterion of one parameter; raise ``NotSupported`` for one we do not have, else ``BadRequest``."""
    parameter, modifier = parameter_of(resource_type, name)
    values = split_values(value)
    if parameter.code == "_id":
        if not all(_ID.fullmatch(one) for one in values):
            raise BadRequest("_id is not an id.")
        return Criterion("_id", ids=tuple(values))
    if parameter.kind == "date":
        return Criterion(parameter.code, dates=tuple(_date_test(one, parameter.code) for one in values))
    if parameter.kind == "reference":
        return Criterion(parameter.code, tuple(_reference_term(parameter, modifier, one, home) for one in values))
    if parameter.kind == "uri":
        return Criterion(parameter.code, tuple((parameter.code, "uri", one) for one in values))
    return Criterion(parameter.code, tuple(_token_term(parameter.code, one) for one in values))


def parameter_of(resource_type: str, name: str) -> tuple[Parameter, str | None]:
    """Return the parameter that ``name`` means, and its modifier; raise ``NotSupported``."""
    code, _, modifier = name.partition(":")
    known: Mapping[str, Parameter] = {**COMMON, **SERVED[resource_type].parameters}
    parameter = known.get(code)
    if parameter is None or (modifier and (parameter.kind != "reference" or not _is_type(modifier))):
        raise NotSupported(f"{_shown(name)} is not a search parameter of {resource_type} here.")
    return parameter, modifier or None


def split_values(value: str) -> list[str]:
    """Return the alternatives of a value; a backslash escapes comma, bar, dollar and backslash (R4, 3.1.1.4.2)."""
    values, current, escaped = [], "", False
    for character in value:
        if escaped:
            current += character if character in ",$" else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            values.append(current)
            current = ""
        else:
            current += character
    values.append(current)
    if escaped or "" in values or len(values) > _MAX_VALUES:
        raise BadRequest("A search parameter has no value, an unfinished one, or too many.")
    return values


def _token_term(code: str, value: str) -> Term:
    bar = re.search(r"(?<!\\)\|", value)
    if bar is None:
        return (code, "code", _unescaped(value))
    system, token = _unescaped(value[: bar.start()]), _unescaped(value[bar.end() :])
    if not token:
        if not system:
            raise BadRequest("A token has neither system nor code.")
        return (code, "system", system)
    return (code, "pair", system, token)


def _reference_term(parameter: Parameter, modifier: str | None, value: str, home: Home) -> Term:
    value = _unescaped(value)
    if modifier is not None:
        value = value if "/" in value else f"{modifier}/{value}"
        if home.canonical(value).rpartition("/")[0].rpartition("/")[2] != modifier:
            raise BadRequest("The reference is not of the type its modifier says.")
    if _ID.fullmatch(value):
        return (parameter.code, "id", value)
    return (parameter.code, "reference", home.canonical(value))


def _date_test(value: str, code: str) -> DateTest:
    match = _PREFIX.fullmatch(value)
    span = date_range(match[2].replace(" ", "+")) if match else None
    if match is None or span is None:
        raise BadRequest(f"{code} is not a date.")
    if match[1] == "ap":
        raise NotSupported("The prefix ap is not supported here.")
    return DateTest(match[1] or "eq", span)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _is_type(modifier: str) -> bool:
    return re.fullmatch(r"[A-Z][A-Za-z]{1,63}", modifier, re.ASCII) is not None


def _shown(name: str) -> str:
    """A name is repeated only when it looks like one of FHIR's: what somebody typed may be about a patient."""
    return name if re.fullmatch(r"_?[a-z][A-Za-z-]{0,40}(:[A-Za-z-]{1,40})?", name, re.ASCII) else "What was sent"
