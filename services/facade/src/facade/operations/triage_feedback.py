"""``$triage-feedback``: what a nurse decided on a proposal, with the reason, or what came of the visit."""

from datetime import UTC, datetime

from fhir_support.errors import NotFound
from fhir_support.r4 import validated
from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.operations.errors import InvalidParameters, Issue
from facade.operations.parameters import Given, Inputs, out, parameters
from facade.operations.prepared import Answered, Prepared
from facade.operations.table import OPERATIONS
from facade.resources.risk_assessment import decided
from facade.store.resources import Resources, StoredResource
from facade.store.triage import TriageFeedback, TriageRecords

__all__ = ["TriageFeedbackOperation"]

_SPEC = OPERATIONS["triage-feedback"]
_NONE = "There is no such assessment for this token."
_MOST_WORDS = 2_000


class TriageFeedbackOperation:
    """See ``definitions/triage-feedback.json``."""

    def __init__(self, resources: Resources, records: TriageRecords) -> None:
        self._resources = resources
        self._records = records

    async def prepare(self, call: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        given = inputs.required("assessment")
        stored = await self._assessment(call, given)
        proposed = await self._records.proposed(call.access.ehr_id, stored.id)
        if proposed is None:
            raise NotFound(_NONE)
        feedback = _feedback(inputs, proposed["level"])
        [patient] = stored.about

        async def run(_: Deadline) -> Answered:
            now = datetime.now(UTC)
            standing = {name: value for name, value in stored.resource.items() if name != "meta"}
            standing["meta"] = {k: v for k, v in stored.resource["meta"].items() if k in ("security", "tag", "profile")}
            if feedback.level is not None:
                standing = decided(standing, feedback.level, feedback.reason, call.access.user, now)
            kept = validated(standing)
            prepared = await self._resources.prepare(call.access.ehr_id, kept, patient=patient, at=now)
            await self._records.add_feedback(call.access.ehr_id, stored.id, patient, feedback, [prepared])
            return Answered(parameters([out("assessment", "resource", kept)]))

        return Prepared(patient, _SPEC.budget_ms, run)

    async def _assessment(self, call: Call, given: Given) -> StoredResource:
        literal = given.value.get("reference") if isinstance(given.value, dict) else None
        canonical = call.access.home.canonical(literal) if isinstance(literal, str) else ""
        kind, _, identifier = canonical.partition("/")
        if kind != "RiskAssessment" or not identifier:
            raise given.fault("A reference to one RiskAssessment of this server is needed.")
        stored = await self._resources.get(call.access.ehr_id, kind, identifier)
        if stored is None or not all(
            call.access.sees(stored.resource, letter, stored.about) for letter, _ in _SPEC.scopes
        ):
            raise NotFound(_NONE)
        return stored


def _feedback(inputs: Inputs, proposed: int | None) -> TriageFeedback:
    level, reason = inputs.first("level"), inputs.text("reason").strip() or None
    if level is not None and (not isinstance(level.value, int) or not 1 <= level.value <= 5):
        raise level.fault("A level is a number from 1 to 5.")
    if reason is not None and len(reason) > _MOST_WORDS:
        raise inputs.required("reason").fault(f"A reason has at most {_MOST_WORDS} characters.")
    if level is not None and level.value != proposed and reason is None:
        raise level.fault("Another level than the proposed one needs a reason.", "required")
    critical, hospitalised = inputs.first("critical"), inputs.first("hospitalised")
    if level is None and critical is None and hospitalised is None:
        text = "One of these is needed: level, critical, hospitalised."
        raise InvalidParameters([Issue("required", text, "Parameters.parameter")])
    return TriageFeedback(
        level=level.value if level else None,
        reason=reason,
        critical=critical.value if critical else None,
        hospitalised=hospitalised.value if hospitalised else None,
    )
