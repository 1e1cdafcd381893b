"""Small readings of FHIR elements that the chart is made from; every one is pure and tolerates absence."""

import re
from datetime import UTC, date, datetime
from typing import Any

from service_contracts.chart import ChartReference
from service_contracts.quantity import Coding, Quantity

__all__ = [
    "chart_reference",
    "codings",
    "has_code",
    "instant",
    "is_in_error",
    "name_of",
    "quantity",
    "reference_of",
    "years_between",
]

_NO_NAMES = frozenset({"display unavailable", "no display", "no display available"})
_UCUM = "http://unitsofmeasure.org"
_INACTIVE_VERIFICATION = frozenset({"refuted", "entered-in-error"})


def chart_reference(resource: dict[str, Any]) -> ChartReference:
    """Return where a resource was read from, and its version."""
    version = resource.get("meta", {}).get("versionId")
    return ChartReference(reference=f"{resource['resourceType']}/{resource['id']}", version=version)


def codings(concept: dict[str, Any] | None) -> tuple[Coding, ...]:
    """Return the codings of a CodeableConcept that have a system and a code."""
    return tuple(
        Coding(system=coding["system"], code=coding["code"], display=coding.get("display"))
        for coding in (concept or {}).get("coding", [])
        if coding.get("system") and coding.get("code")
    )


def name_of(concept: dict[str, Any] | None) -> str | None:
    """Return how a CodeableConcept is called: its text, else the display of a coding.

    Some servers write that they have no display in its place; that is no name for a patient to read.
    """
    if not concept:
        return None
    said = [concept.get("text"), *(coding.get("display") for coding in concept.get("coding", []))]
    names = [str(one).strip() for one in said if one]
    return next((name for name in names if name and name.casefold().strip("()[]. ") not in _NO_NAMES), None)


def has_code(concepts: Any, code: str, system: str | None = None) -> bool:
    """Whether a CodeableConcept, or one of a list of them, has a coding with ``code``."""
    listed = concepts if isinstance(concepts, list) else [concepts or {}]
    return any(
        coding.get("code") == code and (system is None or coding.get("system") == system)
        for concept in listed
        for coding in concept.get("coding", [])
    )


def is_in_error(resource: dict[str, Any]) -> bool:
    """Whether a resource says of itself that it is not true."""
    verification = resource.get("verificationStatus")
    return resource.get("status") == "entered-in-error" or any(
        has_code(verification, code) for code in _INACTIVE_VERIFICATION
    )


def reference_of(element: dict[str, Any] | None) -> str | None:
    """Return the literal reference of a Reference."""
    return (element or {}).get("reference")


def quantity(element: dict[str, Any] | None) -> Quantity | None:
    """Return a FHIR Quantity with its UCUM code; None when it has a comparator or no value or unit."""
    if not element or element.get("value") is None or element.get("comparator"):
        return None
    coded = element.get("code") if element.get("system") in (None, _UCUM) else None
    unit = coded or element.get("unit")
    return Quantity(value=float(element["value"]), unit=str(unit)) if unit else None


def instant(text: str | None) -> datetime | None:
    """Return a FHIR dateTime as an aware time; a date alone is its start in UTC, a year or month is None."""
    if not text or not re.match(r"\d{4}-\d{2}-\d{2}", text):
        return None
    value = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def years_between(birth_date: str | None, on: date) -> int | None:
    """Return whole years of age; None when only the year or month of birth is known."""
    if not birth_date or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", birth_date):
        return None
    born = date.fromisoformat(birth_date)
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return years if years >= 0 else None
