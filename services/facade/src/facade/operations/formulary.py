"""``$formulary``: what the formulary of a plan, in force on the day, says of a medication. Nothing is covered by
default."""

from datetime import UTC, date, datetime
from typing import Any

from service_contracts.evidence import Evidence, EvidenceQuery, Fact, FactKind, FormularyStatus, Subject, SubjectKind
from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.gather.chart import formulary_plan
from facade.gather.elements import codings, name_of
from facade.operations.citations import source_parts
from facade.operations.parameters import Given, Inputs, out, parameters
from facade.operations.prepared import Answered, Prepared
from facade.operations.services import Knowing
from facade.operations.stays import Stays
from facade.operations.table import OPERATIONS
from facade.resources.vocabulary import coding, concept

__all__ = ["FormularyOperation"]

_SPEC = OPERATIONS["formulary"]
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_COVERED, _NOT_COVERED, _VARIES, _UNKNOWN = "covered", "not-covered", "varies", "unknown"
_SAYS = {
    _COVERED: "The plan's formulary lists the medication.",
    _NOT_COVERED: "The plan's formulary does not list the medication at present.",
    _VARIES: "Whether the plan's formulary lists the medication depends on its strength or form.",
}
_WHY = {
    "no-formulary-in-force": "No formulary of the plan is in force on {day}; nothing is known of the coverage.",
    "medication-unknown": "The medication is not known; nothing is known of the coverage.",
    "no-entry": "The plan's formulary that is in force on {day} has no entry for the medication; nothing says that it"
    " is covered.",
}


class FormularyOperation:
    """See ``definitions/formulary.json``."""

    def __init__(self, stays: Stays, knowing: Knowing) -> None:
        self._stays = stays
        self._knowing = knowing

    async def prepare(self, call: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        inputs.exactly_one("plan", "coverage")
        subject = _subject(inputs.required("medication"))
        as_of = inputs.day("asOf", datetime.now(UTC).date())
        plan, patient = await self._plan(call, inputs)

        async def run(deadline: Deadline) -> Answered:
            query = EvidenceQuery(subjects=(subject,), as_of=as_of, plan=plan, budget_ms=deadline.remaining_ms)
            return Answered(_answer(await self._knowing.evidence(query), as_of))

        return Prepared(patient, _SPEC.budget_ms, run)

    async def _plan(self, call: Call, inputs: Inputs) -> tuple[str, str | None]:
        """Return the plan, and whose coverage names it."""
        given = inputs.first("coverage")
        if given is None:
            return inputs.text("plan").strip(), None
        found = await self._stays.read(call.access, given, "Coverage", "beneficiary", _SPEC.scopes)
        plan = formulary_plan([found.resource])
        if plan is None:
            raise given.fault("The coverage is not active, or names no plan.", "not-found")
        return plan, found.patient


def _subject(medication: Given) -> Subject:
    codes = codings(medication.value)
    name = name_of(medication.value) or next((one.code for one in codes if one.system == _RXNORM), None)
    if name is None:
        raise medication.fault("A medication needs an RxNorm code or a name.", "required")
    return Subject(kind=SubjectKind.DRUG, text=name[:500], codes=codes)


def _answer(evidence: Evidence, as_of: date) -> dict[str, Any]:
    resolved = evidence.resolved[0] if evidence.resolved else None
    wanted = frozenset(resolved.fact_ids) if resolved else frozenset()
    entries = [
        (fact, fact.body) for fact in evidence.facts if isinstance(fact.body, FormularyStatus) and fact.id in wanted
    ]
    reason = None
    if FactKind.FORMULARY_STATUS not in evidence.searched:
        coverage, reason, entries = _UNKNOWN, "no-formulary-in-force", []
    elif entries:
        listed = [body.covered for _, body in entries]
        coverage = _COVERED if all(listed) else _VARIES if any(listed) else _NOT_COVERED
    else:
        coverage, reason = _UNKNOWN, "no-entry" if resolved and resolved.ingredients else "medication-unknown"
    statement = _WHY[reason].format(day=as_of.isoformat()) if reason else _SAYS[coverage]
    return parameters(
        [
            out("coverage", "code", coverage),
            *([out("reason", "code", reason)] if reason else []),
            out("statement", "string", statement),
            *(out("entry", "part", _entry(fact, body)) for fact, body in entries),
            out("asOf", "date", as_of.isoformat()),
            out("evidenceVersion", "string", evidence.index_version),
        ]
    )


def _entry(fact: Fact, body: FormularyStatus) -> list[dict[str, Any]]:
    product = concept(*([coding(_RXNORM, body.rxcui)] if body.rxcui else []), text=body.drug)
    return [
        out("drug", "CodeableConcept", product),
        out("covered", "boolean", body.covered),
        *([out("tier", "string", body.tier)] if body.tier else []),
        out("priorAuthorization", "boolean", body.prior_authorization),
        out("stepTherapy", "boolean", body.step_therapy),
        out("quantityLimit", "boolean", body.quantity_limit),
        out("statement", "string", fact.statement),
        *source_parts(fact.source),
    ]
