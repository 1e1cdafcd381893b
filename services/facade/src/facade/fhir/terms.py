"""What a resource can be found by: the terms and dates that our search parameters read from it. Pure.

Search in the database and granular scopes use the same terms, so that they cannot disagree.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from facade.fhir.home import Home
from facade.fhir.served import COMMON, SERVED, Parameter

__all__ = ["COMPARTMENT", "DateRange", "Term", "date_range", "patients_of", "resource_dates", "resource_terms"]

Term = tuple[str, ...]
"""A parameter's code, what kind of term, and its parts."""

COMPARTMENT = "_compartment"
"""The code under which the patients are kept whose compartment a resource is in."""

_COLUMNS = frozenset({"_id", "_lastUpdated"})
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


@dataclass(frozen=True)
class DateRange:
    """The moments a date of some precision stands for, in microseconds since 1970: ``low`` up to before ``high``."""

    low: int
    high: int


def resource_terms(resource: Mapping[str, Any], home: Home) -> frozenset[Term]:
    """Return every term of ``resource``; its compartment is not among them (see ``patients_of``)."""
    return frozenset(term for parameter in _parameters(resource) for term in _terms(resource, parameter, home))


def resource_dates(resource: Mapping[str, Any]) -> tuple[tuple[str, DateRange], ...]:
    """Return the dates of ``resource`` by parameter."""
    found = []
    for parameter in _parameters(resource):
        if parameter.kind == "date":
            for value in _values(resource, parameter):
                span = _date_of(value)
                if span is not None:
                    found.append((parameter.code, span))
    return tuple(found)


def patients_of(resource: Mapping[str, Any], home: Home) -> frozenset[str]:
    """Return the patients (``Patient/ID``) in whose compartment ``resource`` is, by its own elements."""
    served = SERVED.get(str(resource.get("resourceType")))
    if served is None:
        return frozenset()
    names = (home.patient(reference) for path in served.compartment for reference in _references(resource, path))
    return frozenset(name for name in names if name is not None)


def date_range(text: str) -> DateRange | None:
    """Return the moments that a FHIR date, dateTime or instant stands for; without a zone it is UTC."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        low = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        if zone and zone != "Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            low = low - offset if zone[0] == "+" else low + offset
        if fraction:
            digits = fraction[1:7]
            low += timedelta(microseconds=int(digits.ljust(6, "0")))
            high = low + timedelta(microseconds=10 ** (6 - len(digits)))
        elif second:
            high = low + timedelta(seconds=1)
        elif hour:
            high = low + timedelta(minutes=1)
        elif day:
            high = low + timedelta(days=1)
        elif month:
            high = low.replace(year=low.year + low.month // 12, month=low.month % 12 + 1)
        else:
            high = low.replace(year=low.year + 1)
    except (ValueError, OverflowError):
        return None
    return DateRange(_microseconds(low), _microseconds(high))


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _parameters(resource: Mapping[str, Any]) -> Iterator[Parameter]:
    served = SERVED.get(str(resource.get("resourceType")))
    if served is not None:
        yield from served.parameters.values()
        yield from (one for one in COMMON.values() if one.code not in _COLUMNS)


def _terms(resource: Mapping[str, Any], parameter: Parameter, home: Home) -> Iterator[Term]:
    code = parameter.code
    if parameter.kind == "token":
        for value in _values(resource, parameter):
            for system, token in _tokens(value):
                yield (code, "code", token)
                yield (code, "pair", system, token)
                if system:
                    yield (code, "system", system)
    elif parameter.kind == "uri":
        yield from ((code, "uri", value) for value in _values(resource, parameter) if isinstance(value, str))
    elif parameter.kind == "reference":
        for path in parameter.paths:
            for reference in _references(resource, path):
                canonical = home.canonical(reference)
                kind, _, identifier = canonical.rpartition("/")
                if parameter.only is None or kind == parameter.only:
                    yield (code, "reference", canonical)
                    yield (code, "id", identifier)


def _tokens(value: Any) -> Iterator[tuple[str, str]]:
    """Yield system and code of whatever a token parameter may look at."""
    if isinstance(value, bool):
        yield "", "true" if value else "false"
    elif isinstance(value, str):
        yield "", value
    elif isinstance(value, Mapping):
        if isinstance(value.get("coding"), list):
            for one in value["coding"]:
                yield from _tokens(one)
        text = value.get("code", value.get("value"))
        if isinstance(text, str):
            yield str(value.get("system", "")), text


def _references(resource: Mapping[str, Any], path: str) -> Iterator[str]:
    for value in _walk(resource, path.split(".")):
        if isinstance(value, Mapping) and isinstance(value.get("reference"), str):
            yield value["reference"]


def _values(resource: Mapping[str, Any], parameter: Parameter) -> Iterator[Any]:
    for path in parameter.paths:
        yield from _walk(resource, path.split("."))


def _walk(value: Any, names: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, names)
    elif not names:
        if value is not None:
            yield value
    elif isinstance(value, Mapping) and names[0] in value:
        yield from _walk(value[names[0]], names[1:])


def _date_of(value: Any) -> DateRange | None:
    if isinstance(value, str):
        return date_range(value)
    if isinstance(value, Mapping):
        start, end = (date_range(str(value[name])) if name in value else None for name in ("start", "end"))
        return DateRange(start.low if start else -(2**62), end.high if end else 2**62)
    return None
