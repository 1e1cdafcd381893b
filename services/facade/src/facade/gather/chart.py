"""A chart from the resources of one stay: pure, so that it can be tested on recorded data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from service_contracts.chart import (
    Chart,
    ChartAllergy,
    ChartCondition,
    ChartObservation,
    ChartOrder,
    ChartProcedure,
    OrderKind,
)
from service_contracts.quantity import Quantity

from facade.gather.elements import (
    chart_reference,
    codings,
    has_code,
    instant,
    is_in_error,
    name_of,
    quantity,
    reference_of,
    years_between,
)
from facade.gather.medications import discharge_medications

__all__ = ["DISCHARGE_ORDER_SYSTEM", "OBSERVATION_CODES", "StayResources", "chart_of", "formulary_plan"]

Resource = dict[str, Any]

DISCHARGE_ORDER_SYSTEM = "https://preceptor.health/fhir/CodeSystem/discharge-order"
"""Category of a ServiceRequest that is a discharge order; codes ``activity``, ``diet`` and ``follow-up``."""

OBSERVATION_CODES: dict[str, str] = {
    "2160-0": "creatinine",
    "33914-3": "eGFR",
    "62238-1": "eGFR",
    "98979-8": "eGFR",
    "29463-7": "body weight",
    "2823-3": "potassium",
    "6301-6": "INR",
}
"""LOINC codes of the measurements that checks depend on."""

_LOINC = "http://loinc.org"
_FINAL = frozenset({"final", "amended", "corrected"})
_PRESENT = frozenset({"active", "recurrence", "relapse"})
_NO_ALLERGY = frozenset({"716186003", "409137002", "428607008", "429625007", "428197003"})
_PLAN_CLASS = "plan"


@dataclass(frozen=True)
class StayResources:
    """Everything that was read about a stay."""

    encounter: Resource
    patient: Resource
    conditions: list[Resource] = field(default_factory=list)
    procedures: list[Resource] = field(default_factory=list)
    medication_requests: list[Resource] = field(default_factory=list)
    medications: dict[str, Resource] = field(default_factory=dict)
    allergies: list[Resource] = field(default_factory=list)
    observations: list[Resource] = field(default_factory=list)
    orders: list[Resource] = field(default_factory=list)
    coverages: list[Resource] = field(default_factory=list)


def chart_of(stay: StayResources, as_of: date) -> Chart:
    """Return the chart of a stay; ``as_of`` is the day on which evidence must be in force."""
    encounter = stay.encounter
    period = encounter.get("period") or {}
    admitted, discharged = instant(period.get("start")), instant(period.get("end"))
    reference = f"Encounter/{encounter['id']}"
    return Chart(
        patient=chart_reference(stay.patient),
        encounter=chart_reference(encounter),
        age_years=years_between(stay.patient.get("birthDate"), (discharged.date() if discharged else as_of)),
        sex=_sex(stay.patient),
        admitted=admitted,
        discharged=discharged,
        reason=next((name for name in map(name_of, encounter.get("reasonCode", [])) if name), None),
        conditions=_conditions(stay.conditions, encounter, discharged),
        procedures=_procedures(stay.procedures, reference),
        medications=discharge_medications(
            stay.medication_requests,
            stay.medications,
            encounter=reference,
            admitted=admitted,
            discharged=discharged,
        ),
        allergies=_allergies(stay.allergies),
        observations=_observations(stay.observations, discharged),
        orders=_orders(stay.orders, reference),
        formulary_plan=formulary_plan(stay.coverages),
        as_of=as_of,
    )


def _sex(patient: Resource) -> Literal["female", "male", "other", "unknown"]:
    gender = patient.get("gender")
    return gender if gender in ("female", "male", "other") else "unknown"


def _principal(encounter: Resource) -> str | None:
    """The discharge diagnosis of lowest rank, else the diagnosis of lowest rank, else the reason."""
    diagnoses = encounter.get("diagnosis", [])
    discharge = [diagnosis for diagnosis in diagnoses if has_code(diagnosis.get("use"), "DD")]
    ranked = sorted(discharge or diagnoses, key=lambda diagnosis: diagnosis.get("rank", 1_000))
    if ranked:
        return reference_of(ranked[0].get("condition"))
    return next((reference_of(reason) for reason in encounter.get("reasonReference", [])), None)


def _conditions(
    conditions: Iterable[Resource], encounter: Resource, discharged: datetime | None
) -> tuple[ChartCondition, ...]:
    """Diagnoses of the stay and active problems, the principal one first, each code once."""
    principal = _principal(encounter)
    diagnosed = {reference_of(diagnosis.get("condition")) for diagnosis in encounter.get("diagnosis", [])} | {principal}
    chosen: dict[str, ChartCondition] = {}
    for condition in conditions:
        reference = f"Condition/{condition['id']}"
        name = name_of(condition.get("code"))
        of_stay = reference in diagnosed or (reference_of(condition.get("encounter")) == f"Encounter/{encounter['id']}")
        active = any(has_code(condition.get("clinicalStatus"), status) for status in _PRESENT)
        if name is None or is_in_error(condition) or not (of_stay or active):
            continue
        recorded = instant(condition.get("recordedDate"))
        if not of_stay and recorded and discharged and recorded > discharged:
            continue
        item = ChartCondition(
            source=chart_reference(condition),
            name=name,
            codes=codings(condition.get("code")),
            principal=reference == principal,
        )
        key = item.codes[0].code if item.codes else name.casefold()
        if key not in chosen or item.principal:
            chosen[key] = item
    return tuple(sorted(chosen.values(), key=lambda item: not item.principal))


def _procedures(procedures: Iterable[Resource], encounter: str) -> tuple[ChartProcedure, ...]:
    """Procedures that were completed during the stay, in the order they were done."""
    items = []
    for procedure in procedures:
        name = name_of(procedure.get("code"))
        if procedure.get("status") != "completed" or reference_of(procedure.get("encounter")) != encounter or not name:
            continue
        performed = procedure.get("performedDateTime") or (procedure.get("performedPeriod") or {}).get("start")
        items.append(
            ChartProcedure(
                source=chart_reference(procedure),
                name=name,
                codes=codings(procedure.get("code")),
                performed=instant(performed),
            )
        )
    return tuple(sorted(items, key=lambda item: item.performed.timestamp() if item.performed else float("inf")))


def _allergies(allergies: Iterable[Resource]) -> tuple[ChartAllergy, ...]:
    """Allergies that are not resolved, inactive or refuted; a record of having none is no allergy."""
    items = []
    for allergy in allergies:
        name = name_of(allergy.get("code"))
        status = allergy.get("clinicalStatus")
        gone = has_code(status, "resolved") or has_code(status, "inactive") or is_in_error(allergy)
        if name is None or gone or any(has_code(allergy.get("code"), code) for code in _NO_ALLERGY):
            continue
        manifestations = [
            name_of(manifestation)
            for reaction in allergy.get("reaction", [])
            for manifestation in reaction.get("manifestation", [])
        ]
        items.append(
            ChartAllergy(
                source=chart_reference(allergy),
                name=name,
                codes=codings(allergy.get("code")),
                reaction=", ".join(text for text in manifestations if text) or None,
                criticality=allergy.get("criticality"),
            )
        )
    return tuple(items)


def _observations(observations: Iterable[Resource], discharged: datetime | None) -> tuple[ChartObservation, ...]:
    """The latest value of each measurement, not later than the end of the stay."""
    latest: dict[str, ChartObservation] = {}
    for observation in observations:
        code = next((code for code in OBSERVATION_CODES if has_code(observation.get("code"), code, _LOINC)), None)
        value = quantity(observation.get("valueQuantity"))
        effective = instant(
            observation.get("effectiveDateTime") or (observation.get("effectivePeriod") or {}).get("start")
        )
        if code is None or value is None or observation.get("status") not in _FINAL:
            continue
        if effective and discharged and effective > discharged:
            continue
        held = latest.get(OBSERVATION_CODES[code])
        if held is None or (effective and (held.effective is None or effective >= held.effective)):
            latest[OBSERVATION_CODES[code]] = ChartObservation(
                source=chart_reference(observation),
                name=OBSERVATION_CODES[code],
                codes=codings(observation.get("code")),
                value=value,
                effective=effective,
            )
    return tuple(latest[name] for name in dict.fromkeys(OBSERVATION_CODES.values()) if name in latest)


def _orders(requests: Iterable[Resource], encounter: str) -> tuple[ChartOrder, ...]:
    """Discharge orders about activity, diet and follow-up, in the clinician's words."""
    items = []
    for request in requests:
        if request.get("status") not in ("active", "completed") or reference_of(request.get("encounter")) != encounter:
            continue
        text = (request.get("patientInstruction") or "").strip() or name_of(request.get("code"))
        for kind in OrderKind:
            if text and has_code(request.get("category"), kind, DISCHARGE_ORDER_SYSTEM):
                items.append(ChartOrder(source=chart_reference(request), kind=kind, text=text, within=_within(request)))
    return tuple(items)


def _within(request: Mapping[str, Any]) -> Quantity | None:
    repeat = (request.get("occurrenceTiming") or {}).get("repeat") or {}
    return quantity(repeat.get("boundsDuration") or (repeat.get("boundsRange") or {}).get("high"))


def formulary_plan(coverages: Iterable[Resource]) -> str | None:
    """Return the plan that an active coverage names, None when none does."""
    for coverage in coverages:
        if coverage.get("status") == "active":
            for group in coverage.get("class", []):
                if has_code(group.get("type"), _PLAN_CLASS) and group.get("value"):
                    return str(group["value"])
    return None
