"""``$draft``: the document of a stay, drafted, checked and written back, as a Bundle of what the caller may see."""

from typing import Any

from fhir_support.errors import Forbidden, InternalError, ServiceUnavailable, Unprocessable
from fhir_support.r4 import validated
from service_contracts.reconciliation import ReconciledDocument, Verdict
from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.operations.errors import DeadlineExceeded
from facade.operations.outcomes import warnings
from facade.operations.parameters import Inputs
from facade.operations.prepared import Answered, Prepared
from facade.operations.stays import OfPatient, Stays
from facade.operations.table import OPERATIONS
from facade.pipeline.drafting import Drafting, DraftingFailed
from facade.resources.detected_issue import issue_name
from facade.resources.ids import resource_id
from facade.resources.narrative import not_checked_line
from facade.resources.provenance import device_id
from facade.resources.vocabulary import DOCUMENT_TYPE, reference
from facade.store.documents import StoredDocument
from facade.store.resources import Resources

__all__ = ["DraftOperation"]

_SPEC = OPERATIONS["draft"]
_TASKS = ("discharge-instructions",)


class DraftOperation:
    """See ``definitions/draft.json``."""

    def __init__(self, stays: Stays, drafting: Drafting, resources: Resources) -> None:
        self._stays = stays
        self._drafting = drafting
        self._resources = resources

    async def prepare(self, call: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        if inputs.text("task", _TASKS[0]) not in _TASKS:
            raise inputs.required("task").fault(f"There is: {', '.join(_TASKS)}.", "not-supported")
        stay = await self._stays.read(call.access, inputs.required("encounter"), "Encounter", "subject", _SPEC.scopes)
        if not call.access.sees(_what_would_be_created(call, stay), "c", (stay.patient,)):
            raise Forbidden("The scopes of the token do not allow this document.")

        async def run(_: Deadline) -> Answered:
            return Answered(await self._run(call, stay))

        return Prepared(stay.patient, _SPEC.budget_ms, run)

    async def _run(self, call: Call, stay: OfPatient) -> dict[str, Any]:
        """Draft; the deadline of the task is kept by ``Drafting``, and what it cut off is named in the document."""
        try:
            stored = await self._drafting.draft(call.access.ehr_id, stay.reference, call.request_id)
        except DraftingFailed as failure:
            raise _failed(failure) from None
        entries = [
            {"fullUrl": f"{call.base}/{one['resourceType']}/{one['id']}", "resource": one}
            for one in await self._seen(call, stored)
        ]
        outcome = warnings(_missing(stored.document))
        if outcome is not None:
            entries.append({"fullUrl": f"urn:uuid:{resource_id(stored.id, 'outcome')}", "resource": outcome})
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        validated(bundle)  # judged, and returned as it is: each resource just as a read of it gives it
        return bundle

    async def _seen(self, call: Call, stored: StoredDocument) -> list[dict[str, Any]]:
        """Return the resources of the document as ``/fhir`` has them now, those that the caller may see."""
        wanted = [
            ("Composition", resource_id(stored.id, "composition")),
            ("DocumentReference", resource_id(stored.id, "document-reference")),
            *(("DetectedIssue", resource_id(stored.id, issue_name(flag.id))) for flag in stored.document.flags),
            ("Provenance", resource_id(stored.id, "provenance")),
            ("Device", device_id(stored.document.model)),
            ("Task", resource_id(stored.id, "task")),
        ]
        seen = []
        for resource_type, identifier in wanted:
            found = await self._resources.get(call.access.ehr_id, resource_type, identifier)
            if found is None:
                raise InternalError
            if call.access.sees(found.resource, "r", found.about):
                seen.append(found.resource)
        if not any(one["resourceType"] == "Composition" for one in seen):
            raise Forbidden("The scopes of the token do not allow this document.")
        return seen


def _what_would_be_created(call: Call, stay: OfPatient) -> dict[str, Any]:
    base = call.access.home.ehr_base
    return {
        "resourceType": "Composition",
        "status": "preliminary",
        "type": DOCUMENT_TYPE,
        "subject": reference(f"{base}/{stay.patient}"),
        "encounter": reference(f"{base}/{stay.reference}"),
    }


def _missing(document: ReconciledDocument) -> list[str]:
    late = [f"Missing from the draft: {name}." for name in document.missing]
    return late + [not_checked_line(claim) for claim in document.claims if claim.verdict is Verdict.NOT_CHECKED]


def _failed(failure: DraftingFailed) -> ServiceUnavailable | Unprocessable | DeadlineExceeded:
    if failure.code == "draft-incomplete":
        return DeadlineExceeded(f"There is no draft: {failure.message}.")
    if failure.temporary:
        return ServiceUnavailable(f"There is no draft: {failure.message}.")
    return Unprocessable(f"There is no draft: {failure.message}.")
