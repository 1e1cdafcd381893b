"""What the triage service is asked, from the resources of a visit that has just begun: pure, and a few reads.

Nothing is judged here: values go on as they were measured, in whatever unit they have.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from fhir_support.client import FhirClient
from pydantic import AwareDatetime
from service_contracts.quantity import Quantity
from service_contracts.triage import MeasurementKind, MentalStatus, TriageCondition, TriageMeasurement, TriageRequest

from facade.gather.elements import chart_reference, codings, has_code, instant, is_in_error, name_of, quantity

__all__ = ["VisitResources", "gather_visit", "triage_request_of"]

Resource = dict[str, Any]
_LOINC = "http://loinc.org"
_SNOMED = "http://snomed.info/sct"
_VITALS: Mapping[str, MeasurementKind] = {
    "8310-5": MeasurementKind.TEMPERATURE,
    "8867-4": MeasurementKind.PULSE,
    "9279-1": MeasurementKind.RESPIRATIONS,
    "8480-6": MeasurementKind.SYSTOLIC,
    "8462-4": MeasurementKind.DIASTOLIC,
    "2708-6": MeasurementKind.OXYGEN_SATURATION,
    "59408-5": MeasurementKind.OXYGEN_SATURATION,
    "72514-3": MeasurementKind.PAIN,
}
_PANEL, _COMPLAINT, _TRANSPORT, _AVPU = "85354-9", "8661-1", "11459-5", "67775-7"
_STATUS: Mapping[str, MentalStatus] = {
    "alert": MentalStatus.ALERT,
    "confus": MentalStatus.CONFUSED,
    "verbal": MentalStatus.VOICE,
    "voice": MentalStatus.VOICE,
    "pain": MentalStatus.PAIN,
    "unresponsive": MentalStatus.UNRESPONSIVE,
}
_FINAL = frozenset({"preliminary", "final", "amended", "corrected"})
_ADMIT_SOURCES: Mapping[str, Literal["hospital", "nursing-home"]] = {
    "hosp-trans": "hospital",
    "nursing": "nursing-home",
}
_PRESENT = ("active", "recurrence", "relapse")
_MOST_COMPLAINTS = 5
_MOST_CONDITIONS = 200


@dataclass(frozen=True)
class VisitResources:
    """Everything that was read about a visit."""

    encounter: Resource
    patient: Resource
    observations: list[Resource] = field(default_factory=list)
    conditions: list[Resource] = field(default_factory=list)


async def gather_visit(client: FhirClient, encounter: Resource, patient: str) -> VisitResources:
    """Read what the request of ``encounter`` is made from; raise ``FhirClientError`` when a part cannot be read."""
    codes = ",".join(f"{_LOINC}|{code}" for code in (*_VITALS, _PANEL, _COMPLAINT, _TRANSPORT, _AVPU))
    of_patient = ("patient", patient.partition("/")[2])
    person, observations, conditions = await asyncio.gather(
        client.read(patient),
        client.search(
            "Observation",
            [of_patient, ("encounter", f"Encounter/{encounter['id']}"), ("code", codes), ("_count", "200")],
        ),
        client.search("Condition", [of_patient, ("_count", "200")]),
    )
    return VisitResources(encounter, person, observations, conditions)


def triage_request_of(visit: VisitResources, budget_ms: int) -> TriageRequest:
    """Return the request of a visit."""
    usable = [one for one in visit.observations if one.get("status") in _FINAL]
    arrived = instant((visit.encounter.get("period") or {}).get("start"))
    gender = visit.patient.get("gender")
    conditions = tuple(_conditions(visit.conditions))
    return TriageRequest(
        age=_age(visit.patient.get("birthDate"), (arrived or datetime.now(UTC)).date()),
        sex=gender if gender in ("female", "male", "other") else "unknown",
        arrival=_arrival(usable),
        came_from=_came_from(visit.encounter),
        complaints=tuple(_complaints(visit.encounter, usable))[:_MOST_COMPLAINTS],
        measurements=tuple(_measurements(usable))[:40],
        mental_status=_mental_status(usable),
        conditions=conditions[:_MOST_CONDITIONS],
        budget_ms=budget_ms,
    )


def _age(birth_date: str | None, on: date) -> Quantity | None:
    """Age in days up to two years, then in years; None when only the year or month of birth is known."""
    try:
        born = date.fromisoformat(birth_date or "")
    except ValueError:
        return None
    days = (on - born).days
    if days < 0:
        return None
    if days < 730:
        return Quantity(value=days, unit="d")
    return Quantity(value=on.year - born.year - ((on.month, on.day) < (born.month, born.day)), unit="a")


def _measurements(observations: Iterable[Resource]) -> Iterable[TriageMeasurement]:
    for observation in observations:
        effective = instant(
            observation.get("effectiveDateTime")
            or (observation.get("effectivePeriod") or {}).get("start")
            or observation.get("effectiveInstant")
        )
        for part in (observation, *observation.get("component", [])):
            kind = next((kind for code, kind in _VITALS.items() if has_code(part.get("code"), code, _LOINC)), None)
            value = _value(part)
            if kind is not None and value is not None:
                yield _measurement(kind, value, observation, effective)


def _measurement(
    kind: MeasurementKind, value: Quantity, observation: Resource, effective: AwareDatetime | None
) -> TriageMeasurement:
    return TriageMeasurement(kind=kind, value=value, source=chart_reference(observation), effective=effective)


def _value(part: Mapping[str, Any]) -> Quantity | None:
    if isinstance(part.get("valueInteger"), int):
        return Quantity(value=part["valueInteger"], unit="{score}")
    return quantity(part.get("valueQuantity"))


def _complaints(encounter: Resource, observations: Iterable[Resource]) -> Iterable[str]:
    for observation in observations:
        if has_code(observation.get("code"), _COMPLAINT, _LOINC):
            text = observation.get("valueString") or name_of(observation.get("valueCodeableConcept"))
            if text:
                yield str(text)[:200]
    yield from (name[:200] for name in map(name_of, encounter.get("reasonCode", [])) if name)


def _arrival(observations: Iterable[Resource]) -> Literal["ambulance", "other", "unknown"]:
    for observation in observations:
        if has_code(observation.get("code"), _TRANSPORT, _LOINC):
            concept = observation.get("valueCodeableConcept")
            words = (observation.get("valueString") or name_of(concept) or "").casefold()
            ambulance = any(word in words for word in ("ambulance", "helicopter", "ems"))
            return "ambulance" if ambulance or has_code(concept, "44613004", _SNOMED) else "other"
    return "unknown"


def _came_from(encounter: Resource) -> Literal["home", "nursing-home", "hospital", "other", "unknown"]:
    source = (encounter.get("hospitalization") or {}).get("admitSource")
    return next((place for code, place in _ADMIT_SOURCES.items() if has_code(source, code)), "unknown")


def _mental_status(observations: Iterable[Resource]) -> MentalStatus | None:
    for observation in observations:
        if has_code(observation.get("code"), _AVPU, _LOINC):
            concept = observation.get("valueCodeableConcept")
            words = (name_of(concept) or observation.get("valueString") or "").casefold()
            # "Unresponsive" and "responds to pain" before "alert": the graver word decides.
            for word in ("unresponsive", "pain", "voice", "verbal", "confus", "alert"):
                if word in words:
                    return _STATUS[word]
    return None


def _conditions(conditions: Iterable[Resource]) -> Iterable[TriageCondition]:
    for condition in conditions:
        active = any(has_code(condition.get("clinicalStatus"), status) for status in _PRESENT)
        if active and not is_in_error(condition):
            name = name_of(condition.get("code"))
            yield TriageCondition(codes=codings(condition.get("code")), name=name[:400] if name else None)
