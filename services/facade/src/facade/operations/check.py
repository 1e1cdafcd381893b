"""``$check``: a text that somebody has written, compared claim by claim with the chart of a stay and the evidence."""

from datetime import UTC, datetime
from typing import Any

from fhir_support.identifiers import deterministic_id
from service_contracts.chart import ChartReference
from service_contracts.checks import CheckedText, CheckRequest
from service_contracts.reconciliation import Claim, Flag, Verdict
from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.operations.citations import fact_part
from facade.operations.errors import DeadlineExceeded
from facade.operations.given_sections import Sections, sections_of_composition, sections_of_parameters
from facade.operations.outcomes import warnings
from facade.operations.parameters import Inputs, out, parameters
from facade.operations.prepared import Answered, Prepared
from facade.operations.services import Checking
from facade.operations.stays import OfPatient, Stays
from facade.operations.table import OPERATIONS
from facade.resources.composition import DocumentContext
from facade.resources.detected_issue import detected_issue, issue_name
from facade.resources.ids import resource_id
from facade.resources.narrative import not_checked_line
from facade.resources.vocabulary import ai_meta, reference

__all__ = ["CheckOperation"]

_SPEC = OPERATIONS["check"]


class CheckOperation:
    """See ``definitions/check.json``. Nothing is kept and nothing is written."""

    def __init__(self, stays: Stays, checking: Checking) -> None:
        self._stays = stays
        self._checking = checking

    async def prepare(self, call: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        inputs.exactly_one("section", "composition")
        composition = inputs.first("composition")
        sections = sections_of_composition(composition) if composition else sections_of_parameters(inputs["section"])
        whole = inputs.first("whole")
        is_whole = bool(whole.value) if whole is not None else composition is not None
        as_of = inputs.day("asOf", datetime.now(UTC).date())
        stay = await self._stays.read(call.access, inputs.required("encounter"), "Encounter", "subject", _SPEC.scopes)
        if composition is not None:
            subject = (composition.value.get("subject") or {}).get("reference")
            if subject is not None and call.access.home.patient(subject) != stay.patient:
                raise composition.fault("The composition is about another patient than the stay.", "invariant")

        async def run(deadline: Deadline) -> Answered:
            chart = await self._stays.chart(call.access, stay.reference, as_of)
            if deadline.expired:
                raise DeadlineExceeded("The chart could not be read in time; nothing was checked.")
            request = CheckRequest(
                chart=chart, sections=sections.given, whole=is_whole, budget_ms=deadline.remaining_ms
            )
            return Answered(_answer(call, stay, sections, await self._checking.check(request)))

        return Prepared(stay.patient, _SPEC.budget_ms, run)


def _answer(call: Call, stay: OfPatient, sections: Sections, checked: CheckedText) -> dict[str, Any]:
    base = call.access.home.ehr_base
    facts = {fact.id: fact for fact in checked.facts}
    own_id = deterministic_id("check", call.access.ehr_id, stay.reference)
    context = DocumentContext(
        own_id, f"{base}/{stay.patient}", f"{base}/{stay.reference}", call.request_id, datetime.now(UTC)
    )
    outcome = warnings(_left_out(sections, checked))
    listed = [
        *(out("issue", "resource", _issue(context, base, flag, facts)) for flag in checked.flags),
        *(out("claim", "part", _claim(base, claim)) for claim in checked.claims),
        *(
            out("unread", "part", [out("section", "code", span.section.value), out("quote", "string", span.quote)])
            for span in checked.unread
        ),
        *(out("unread", "part", [out("quote", "string", title)]) for title in sections.unread),
        *(fact_part(fact) for fact in checked.facts),
        *([out("outcome", "resource", outcome)] if outcome else []),
        *([out("evidenceVersion", "string", checked.evidence_version)] if checked.evidence_version else []),
    ]
    return parameters(listed, meta=ai_meta())


def _issue(context: DocumentContext, base: str, flag: Flag, facts: dict[str, Any]) -> dict[str, Any]:
    moved = flag.model_copy(update={"chart": tuple(_absolute(base, one) for one in flag.chart)})
    issue = detected_issue(context, moved, facts.get(flag.fact_id or ""))
    del issue["author"]  # no model wrote this: it is what the rules found
    return {**issue, "id": resource_id(context.document_id, issue_name(flag.id))}


def _absolute(base: str, item: ChartReference) -> ChartReference:
    return ChartReference(reference=f"{base}/{item.reference}", version=item.version)


def _claim(base: str, claim: Claim) -> list[dict[str, Any]]:
    parts = [
        out("kind", "code", claim.kind.value),
        out("assertion", "string", claim.assertion),
        out("verdict", "code", claim.verdict.value),
    ]
    if claim.reason is not None:
        parts.append(out("reason", "code", claim.reason.value))
    if claim.span is not None:
        parts.append(out("section", "code", claim.span.section.value))
        parts.append(out("quote", "string", claim.span.quote))
        parts.append(out("start", "integer", claim.span.start))
    parts += [out("source", "string", fact_id) for fact_id in claim.fact_ids]
    parts += [out("chart", "Reference", reference(_absolute(base, item).reference)) for item in claim.chart]
    return parts


def _left_out(sections: Sections, checked: CheckedText) -> list[str]:
    """What the reader must not take for checked."""
    lines = [not_checked_line(claim) for claim in checked.claims if claim.verdict is Verdict.NOT_CHECKED]
    lines += [f"Not checked, because the section is not one that is checked: {title}." for title in sections.unread]
    if not checked.claims:
        lines.append("No claim was recognised in the text: nothing was checked.")
    return lines
