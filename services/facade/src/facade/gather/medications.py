"""The medications a patient leaves with, from the MedicationRequests of the EHR.

Only the discharge list (``category`` discharge, this encounter) says what the patient leaves with. Home medications
that are not on it are *not* taken to be stopped, nor to be continued: only an explicit status ``stopped`` during the
stay makes a medication ``stopped``. A stay without any discharge list falls back to the active home medications, each
``continued``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from service_contracts.chart import ChartMedication, MedicationChange
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
)
from facade.gather.sig import Sig, parse_sig

__all__ = ["active_medications", "discharge_medications", "order_medication"]

_Value = TypeVar("_Value")

_PERIOD_DAYS = {"s": 1 / 86_400, "min": 1 / 1_440, "h": 1 / 24, "d": 1.0, "wk": 7.0}
_TIMING_CODES = {"QD": 1.0, "BID": 2.0, "TID": 3.0, "QID": 4.0, "AM": 1.0, "PM": 1.0, "BED": 1.0, "QOD": 0.5}
_TAKEN = frozenset({"active", "completed"})
_ORDERED = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})


def discharge_medications(
    requests: Iterable[Mapping[str, Any]],
    medications: Mapping[str, Mapping[str, Any]],
    *,
    encounter: str,
    admitted: datetime | None,
    discharged: datetime | None,
) -> tuple[ChartMedication, ...]:
    """Return what the patient leaves with, and what was stopped.

    ``requests`` are all MedicationRequests of the patient, ``medications`` the Medication resources they refer to,
    by reference.
    """
    valid = [dict(request) for request in requests if request.get("intent") in _ORDERED and not is_in_error(request)]  # type: ignore[arg-type]
    leaving = [
        request
        for request in valid
        if has_code(request.get("category"), "discharge")
        and reference_of(request.get("encounter")) == encounter
        and request.get("status") in _TAKEN
    ]
    home = _latest_by_drug(
        (
            request
            for request in valid
            if has_code(request.get("category"), "community") and _written_before(request, discharged)
        ),
        medications,
    )
    active_home = {key: request for key, request in home.items() if request.get("status") == "active"}
    stopped = [
        request
        for request in home.values()
        if request.get("status") == "stopped" and _changed_during(request, encounter, admitted, discharged)
    ]
    if leaving:
        listed = [_medication(request, medications, _change(request, active_home, medications)) for request in leaving]
    else:
        listed = [_medication(request, medications, MedicationChange.CONTINUED) for request in active_home.values()]
    taken = {medication.name.casefold() for medication in listed}
    ended = [_medication(request, medications, MedicationChange.STOPPED) for request in stopped]
    return tuple(listed + [medication for medication in ended if medication.name.casefold() not in taken])


def active_medications(
    requests: Iterable[Mapping[str, Any]], medications: Mapping[str, Mapping[str, Any]]
) -> tuple[ChartMedication, ...]:
    """Return what the patient takes now by any order that is active, each drug once, by its latest order."""
    active = (
        dict(request)
        for request in requests
        if request.get("status") == "active"
        and request.get("intent") in _ORDERED
        and not request.get("doNotPerform")
        and not is_in_error(dict(request))
    )
    latest = _latest_by_drug(active, medications).values()
    return tuple(_medication(request, medications, MedicationChange.CONTINUED) for request in latest)


def order_medication(
    request: Mapping[str, Any], medications: Mapping[str, Mapping[str, Any]], change: MedicationChange
) -> ChartMedication:
    """Return one MedicationRequest as a chart item."""
    return _medication(dict(request), medications, change)


def _drug(request: Mapping[str, Any], medications: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the CodeableConcept of the drug, wherever the order keeps it."""
    if "medicationCodeableConcept" in request:
        return dict(request["medicationCodeableConcept"])
    reference = request.get("medicationReference") or {}
    literal = str(reference.get("reference") or "")
    for contained in request.get("contained", []):
        if literal == f"#{contained.get('id')}":
            return dict(contained.get("code") or {})
    code = dict(medications.get(literal, {}).get("code") or {})
    return code or {"text": reference.get("display")}


def _drug_key(request: Mapping[str, Any], medications: Mapping[str, Mapping[str, Any]]) -> str:
    drug = _drug(request, medications)
    for coding in codings(drug):
        if coding.system == "http://www.nlm.nih.gov/research/umls/rxnorm":
            return coding.code
    return (name_of(drug) or str(request["id"])).casefold()


def _latest_by_drug(
    requests: Iterable[dict[str, Any]], medications: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    latest: dict[str, dict[str, Any]] = {}
    for request in requests:
        key = _drug_key(request, medications)
        if key not in latest or str(request.get("authoredOn", "")) >= str(latest[key].get("authoredOn", "")):
            latest[key] = request
    return latest


def _written_before(request: Mapping[str, Any], moment: datetime | None) -> bool:
    written = instant(request.get("authoredOn"))
    return moment is None or written is None or written <= moment


def _changed_during(
    request: Mapping[str, Any], encounter: str, admitted: datetime | None, discharged: datetime | None
) -> bool:
    """R4 has no date of stopping: the order's encounter, else its last update, says when it was."""
    if reference_of(request.get("encounter")) == encounter:
        return True
    updated = instant(request.get("meta", {}).get("lastUpdated"))
    if updated is None or admitted is None:
        return False
    return admitted <= updated and (discharged is None or updated <= discharged)


def _change(
    request: dict[str, Any], home: Mapping[str, dict[str, Any]], medications: Mapping[str, Mapping[str, Any]]
) -> MedicationChange:
    """Compare with the home medication: changed only when both state a value and the values differ."""
    before = home.get(_drug_key(request, medications))
    if before is None:
        return MedicationChange.NEW
    was, now = _dosage(before), _dosage(request)
    for old, new in ((was.dose, now.dose), (was.times_per_day, now.times_per_day)):
        if old is not None and new is not None and old != new:
            return MedicationChange.CHANGED
    return MedicationChange.CONTINUED


def _medication(
    request: dict[str, Any], medications: Mapping[str, Mapping[str, Any]], change: MedicationChange
) -> ChartMedication:
    drug = _drug(request, medications)
    sig = _dosage(request)
    return ChartMedication(
        source=chart_reference(request),
        name=name_of(drug) or "unnamed medication",
        codes=codings(drug),
        dose=sig.dose,
        route=sig.route,
        times_per_day=sig.times_per_day,
        as_needed=sig.as_needed,
        duration=sig.duration,
        text=_text(request),
        reason=next((name_of(reason) for reason in request.get("reasonCode", [])), None),
        change=change,
    )


def _text(request: Mapping[str, Any]) -> str | None:
    lines = [str(dosage["text"]).strip() for dosage in request.get("dosageInstruction", []) if dosage.get("text")]
    return "; ".join(lines) or None


def _dosage(request: Mapping[str, Any]) -> Sig:
    """Return the order's dosage: its structured fields, completed from its text.

    Where both state a dose or a rhythm and differ, neither is taken: structured doses derived from texts such as
    "875/125mg" are known to hold one ingredient's strength or one end of a range. Several dosage instructions (a taper)
    have no single dose.
    """
    instructions = request.get("dosageInstruction") or []
    if len(instructions) != 1:
        return Sig(as_needed=any(_as_needed(instruction) for instruction in instructions))
    instruction = instructions[0]
    said = parse_sig(instruction.get("text"))
    dose, dose_given = _structured_dose(instruction)
    times, times_given = _structured_rhythm(instruction)
    route = instruction.get("route") or {}
    return Sig(
        dose=_agreed(dose, dose_given, said.dose, said.states_dose),
        route=parse_sig(route.get("text") or name_of(route)).route or name_of(route) or said.route,
        times_per_day=_agreed(times, times_given, said.times_per_day, said.states_rhythm),
        as_needed=_as_needed(instruction) or said.as_needed,
        duration=_bounds(instruction) or said.duration,
    )


def _agreed(structured: _Value | None, given: bool, said: _Value | None, states: bool) -> _Value | None:
    if given and states:
        return structured if structured == said else None
    return structured if given else said


def _as_needed(instruction: Mapping[str, Any]) -> bool:
    return bool(instruction.get("asNeededBoolean") or instruction.get("asNeededCodeableConcept"))


def _structured_dose(instruction: Mapping[str, Any]) -> tuple[Quantity | None, bool]:
    given = [item for item in instruction.get("doseAndRate", []) if "doseQuantity" in item or "doseRange" in item]
    if len(given) != 1:
        return None, bool(given)
    return quantity(given[0].get("doseQuantity")), True


def _structured_rhythm(instruction: Mapping[str, Any]) -> tuple[float | None, bool]:
    timing = instruction.get("timing") or {}
    repeat = timing.get("repeat") or {}
    if repeat.get("frequencyMax") or repeat.get("periodMax"):
        return None, True
    moments = repeat.get("timeOfDay") or repeat.get("when") or []
    if moments:
        return float(len(moments)), True
    if repeat.get("period") and repeat.get("periodUnit") in _PERIOD_DAYS:
        days = float(repeat["period"]) * _PERIOD_DAYS[repeat["periodUnit"]]
        return float(repeat.get("frequency", 1)) / days, True
    for coding in (timing.get("code") or {}).get("coding", []):
        if coding.get("code") in _TIMING_CODES:
            return _TIMING_CODES[coding["code"]], True
    return None, False


def _bounds(instruction: Mapping[str, Any]) -> Quantity | None:
    repeat = (instruction.get("timing") or {}).get("repeat") or {}
    return quantity(repeat.get("boundsDuration"))
