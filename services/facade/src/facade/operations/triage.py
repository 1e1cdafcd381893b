"""``$triage``: the level that is proposed for a patient who has just arrived, kept as a RiskAssessment.

What a nurse enters goes straight to the triage service; with an encounter, what is not entered is read from its chart.
No clinical rule is here: values go on as they came, and what the service finds is put into FHIR.
"""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from fhir_support.client import FhirClientError
from fhir_support.errors import Forbidden, NotFound, ServiceUnavailable, Unprocessable
from pydantic import ValidationError
from service_contracts.quantity import Quantity
from service_contracts.triage import (
    MeasurementKind,
    MentalStatus,
    TriageAnswer,
    TriageCondition,
    TriageMeasurement,
    TriageModel,
    TriageRequest,
)
from service_runtime.deadline import Deadline

from facade.ehr.connections import EhrConnections
from facade.fhir.audit import Call
from facade.gather.elements import codings, name_of, quantity
from facade.gather.triage import gather_visit, triage_request_of
from facade.operations.outcomes import warnings
from facade.operations.parameters import Given, Inputs, out
from facade.operations.prepared import Answered, Prepared
from facade.operations.stays import OfPatient, Stays
from facade.operations.table import OPERATIONS
from facade.operations.triage_service import TriageService
from facade.resources.risk_assessment import (
    NOT_SCORED_WORDS,
    AssessmentContext,
    assessment_of,
    triage_device,
    triage_provenance,
)
from facade.resources.vocabulary import ai_meta, reference
from facade.store.resources import Resources
from facade.store.triage import TriageRecords, record_of

__all__ = ["TriageOperation"]

_SPEC = OPERATIONS["triage"]
_KEEP_MS = 120
"""What is kept back of the deadline to put the answer together and to keep it."""
_Code = TypeVar("_Code", bound=StrEnum)


class TriageOperation:
    """See ``definitions/triage.json``."""

    def __init__(
        self,
        stays: Stays,
        connections: EhrConnections,
        service: TriageService,
        resources: Resources,
        records: TriageRecords,
    ) -> None:
        self._stays = stays
        self._connections = connections
        self._service = service
        self._resources = resources
        self._records = records
        self._devices: set[tuple[str, TriageModel]] = set()

    async def prepare(self, call: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        inputs.exactly_one("encounter", "patient")
        given = _given(inputs)
        stay: OfPatient | None = None
        if inputs.first("encounter") is not None:
            stay = await self._stays.read(
                call.access, inputs.required("encounter"), "Encounter", "subject", _SPEC.scopes
            )
            patient = stay.patient
        else:
            patient = _patient(call, inputs.required("patient"))

        async def run(deadline: Deadline) -> Answered:
            request = given if stay is None else await self._gathered(call, stay, given)
            budget_ms = max(1, deadline.remaining_ms - _KEEP_MS)
            asked = request.model_copy(update={"budget_ms": budget_ms})
            answer, _ = await asyncio.gather(
                self._service.assess(asked), self._resources.warm(call.access.ehr_id, patient)
            )
            return await self._answered(call, patient, stay, answer)

        return Prepared(patient, OPERATIONS[_SPEC.name].budget_ms, run)

    async def _gathered(self, call: Call, stay: OfPatient, given: TriageRequest) -> TriageRequest:
        """Return what the chart says, with what was given in its place."""
        try:
            client = self._connections.client(call.access.ehr_id)
            visit = await gather_visit(client, stay.resource, stay.patient)
            found = triage_request_of(visit, given.budget_ms)
        except FhirClientError:
            raise ServiceUnavailable("The chart of the visit cannot be read; nothing was checked.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            # What an EHR sends can be wrong in ways no table lists; the error's text would repeat it.
            raise Unprocessable("The chart of the visit cannot be understood.") from None
        measured = {one.kind for one in given.measurements}
        kept = tuple(one for one in found.measurements if one.kind not in measured)
        stated = {name: getattr(given, name) for name in given.model_fields_set if getattr(given, name)}
        return found.model_copy(update={**stated, "measurements": (*kept[: 40 - len(measured)], *given.measurements)})

    async def _answered(self, call: Call, patient: str, stay: OfPatient | None, answer: TriageAnswer) -> Answered:
        base = call.access.home.ehr_base
        now = datetime.now(UTC)
        encounter = f"{base}/{stay.reference}" if stay else None
        context = AssessmentContext(str(uuid.uuid4()), f"{base}/{patient}", encounter, now)
        assessment = assessment_of(context, answer, base)
        if not call.access.sees(assessment, "c"):
            raise Forbidden("The scopes of the token do not allow this assessment.")
        written = [assessment]
        if "performer" in assessment and answer.model is not None:
            inputs = [f"{base}/{one.source.reference}" for one in answer.used if one.source is not None]
            sources = [one for one in (encounter, f"{base}/{patient}") if one]
            written.append(triage_provenance(context, answer.model, [*sources, *dict.fromkeys(inputs)]))
            await self._name_device(call.access.ehr_id, answer.model, now)
        prepared = [await self._resources.prepare(call.access.ehr_id, one, patient=patient, at=now) for one in written]
        keep = await self._records.keeping(record_of(call.access.ehr_id, context.id, answer, now), prepared)
        return Answered(_answer(assessment, answer, base), keep)

    async def _name_device(self, ehr_id: str, model: TriageModel, now: datetime) -> None:
        """Keep the model as a Device, before the first answer that names it."""
        if (ehr_id, model) not in self._devices:
            device = await self._resources.prepare(ehr_id, triage_device(model), patient=None, at=now)
            await self._resources.put(device)
            self._devices.add((ehr_id, model))


def _given(inputs: Inputs) -> TriageRequest:
    """Return what was given; raise ``InvalidParameters``."""
    values: dict[str, Any] = {}
    if (age := inputs.first("age")) is not None:
        values["age"] = _quantity(age)
    for name, field, allowed in (
        ("sex", "sex", ("female", "male", "other", "unknown")),
        ("arrival", "arrival", ("ambulance", "other", "unknown")),
        ("cameFrom", "came_from", ("home", "nursing-home", "hospital", "other", "unknown")),
    ):
        if (one := inputs.first(name)) is not None:
            if one.value not in allowed:
                raise one.fault(f"One of these is needed: {', '.join(allowed)}.", "code-invalid")
            values[field] = one.value
    values["complaints"] = tuple(_short(one) for one in inputs.get("complaint", ()))
    values["measurements"] = tuple(_measurement(one) for one in inputs.get("measurement", ()))
    if (status := inputs.first("mentalStatus")) is not None:
        values["mental_status"] = _code(status, MentalStatus)
    values["conditions"] = tuple(
        TriageCondition(codes=codings(one.value), name=(name_of(one.value) or "")[:400] or None)
        for one in inputs.get("condition", ())
    )
    values["signs"] = tuple(str(one.value) for one in inputs.get("sign", ()))
    try:
        return TriageRequest(**{name: value for name, value in values.items() if value})
    except ValidationError:
        first = next(iter(inputs.get("sign", inputs.get("complaint", ()))), None)
        raise (first.fault("It is not written as it must be.") if first else Unprocessable()) from None


def _patient(call: Call, given: Given) -> str:
    literal = given.value.get("reference") if isinstance(given.value, dict) else None
    patient = call.access.home.patient(literal) if isinstance(literal, str) and "/" in literal else None
    if patient is None:
        raise given.fault("A literal reference to one Patient of the EHR is needed.")
    for letter, resource_type in _SPEC.scopes:
        if not any(limit.patient in (None, patient) for limit in call.access.limits(letter, resource_type)):
            raise NotFound("There is no such resource for this token.")
    return patient


def _quantity(given: Given) -> Quantity:
    try:
        value = quantity(given.value)
    except (ValueError, TypeError, OverflowError):
        value = None
    if value is None or len(value.unit) > 30:
        raise given.fault("A value with a UCUM unit and without a comparator is needed.")
    return value


def _short(given: Given) -> str:
    text = str(given.value).strip()
    if not text or len(text) > 200:
        raise given.fault("A complaint has 1 to 200 characters.")
    return text


def _measurement(given: Given) -> TriageMeasurement:
    parts: Inputs = given.value
    kind = _code(parts.required("kind"), MeasurementKind)
    return TriageMeasurement(kind=kind, value=_quantity(parts.required("value")))


def _code(given: Given, of: Callable[[str], _Code]) -> _Code:
    try:
        return of(str(given.value))
    except ValueError:
        raise given.fault("It is not one of the codes that the definition lists.", "code-invalid") from None


def _answer(assessment: dict[str, Any], answer: TriageAnswer, base: str) -> dict[str, Any]:
    lines = [NOT_SCORED_WORDS[answer.not_scored]] if answer.not_scored is not None else []
    lines += answer.warnings
    lines += [f"Corrected: {one.name}, {one.given} was taken as {one.taken}." for one in answer.corrections]
    outcome = warnings(lines)
    listed = [
        out("assessment", "resource", assessment),
        *([out("level", "integer", answer.level)] if answer.level is not None else []),
        *([out("modelLevel", "integer", answer.model_level)] if answer.model_level is not None else []),
        *([out("notScored", "code", answer.not_scored.value)] if answer.not_scored is not None else []),
        *(
            out("probability", "part", [out("level", "integer", level), out("value", "decimal", float(one))])
            for level, one in enumerate(answer.probabilities, start=1)
        ),
        *(out("predictionSet", "integer", one) for one in answer.prediction_set),
        *([out("coverage", "decimal", answer.coverage)] if answer.coverage is not None else []),
        *(
            out("risk", "part", [out("outcome", "code", one.outcome), out("value", "decimal", one.probability)])
            for one in answer.risks
        ),
        *(
            out(
                "reason",
                "part",
                [
                    out("input", "code", one.input),
                    out("words", "string", one.words),
                    out("direction", "code", one.direction),
                    out("weight", "decimal", one.weight),
                ],
            )
            for one in answer.reasons
        ),
        *(
            out(
                "floorRule",
                "part",
                [
                    out("id", "code", one.id),
                    out("level", "integer", one.level),
                    out("words", "string", one.words),
                    out("title", "string", one.source.title),
                    out("publisher", "string", one.source.publisher),
                    out("version", "string", one.source.version),
                    out("section", "string", one.source.section),
                ],
            )
            for one in answer.floor_rules
        ),
        *(
            out(
                "used",
                "part",
                [
                    out("name", "code", one.name),
                    out("value", "string", one.value),
                    *([out("unit", "string", one.unit)] if one.unit else []),
                    *([out("source", "Reference", reference(f"{base}/{one.source.reference}"))] if one.source else []),
                ],
            )
            for one in answer.used
        ),
        *(out("missing", "code", one) for one in answer.missing),
        *(
            out(
                "correction",
                "part",
                [
                    out("name", "code", one.name),
                    out("given", "string", one.given),
                    out("taken", "string", one.taken),
                    out("why", "string", one.why),
                ],
            )
            for one in answer.corrections
        ),
        out("posture", "code", answer.posture.value),
        *([out("outcome", "resource", outcome)] if outcome else []),
    ]
    # Not put through the structural check, which takes longer than everything else of an answer and would say the same
    # each time: names and types are fixed here, and the tests judge them by it and by the official validator.
    return {"resourceType": "Parameters", "meta": ai_meta(), "parameter": listed}
