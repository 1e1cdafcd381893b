"""The transaction Bundles that write a draft, or the news that there is none, to the EHR.

Everything of one document is created in one transaction, each resource conditionally on its deterministic tag: sent
again, the bundle creates nothing. It is the tag and not the identifier, which some types lack and some servers do not
search on types that have it; ``_tag`` is a parameter of every type. The Task alone is updated conditionally by the
document and created conditionally by the failure, so that they may arrive in either order.
"""

from dataclasses import dataclass
from typing import Any

from fhir_support.identifiers import effect_tag, tag_query
from fhir_support.r4 import validated

from facade.resources.audit_event import AuditParties, audit_event
from facade.resources.composition import DocumentContext, composition, document_reference
from facade.resources.detected_issue import detected_issue, issue_name
from facade.resources.ids import resource_id
from facade.resources.provenance import device, device_id, draft_provenance
from facade.resources.task import completed_task, failed_task
from facade.store.documents import StoredDocument

__all__ = ["Transaction", "document_transaction", "failure_transaction", "revision_transaction"]


@dataclass(frozen=True)
class Transaction:
    """A transaction Bundle and, entry by entry, what each resource is called in ``StoredDocument.written``."""

    bundle: dict[str, Any]
    names: tuple[str, ...]


def document_transaction(stored: StoredDocument, parties: AuditParties, *, request_id: str) -> Transaction:
    """Return the transaction that writes a preliminary document.

    The Task is updated where there is one, because drafting failed before, and created where there is none.
    Raises ``ResourceInvalid`` when a resource is not valid R4.
    """
    document = stored.document
    context = DocumentContext(stored.id, stored.patient, stored.encounter, request_id, stored.created_at)
    facts = {fact.id: fact for fact in document.facts}
    names = {flag.id: issue_name(flag.id) for flag in document.flags}
    issues = [context.urn(name) for name in names.values()]
    targets = [context.urn("composition"), context.urn("document-reference"), *issues]
    entries = [
        _create(context, "composition", composition(context, document, issues)),
        _create(context, "document-reference", document_reference(context, document)),
        *(
            _create(context, names[flag.id], detected_issue(context, flag, facts.get(flag.fact_id or "")))
            for flag in document.flags
        ),
        _create(context, "device", device(document.model), unique_id=device_id(document.model)),
        _create(context, "provenance", draft_provenance(context, document, stored.chart, targets)),
        _create(context, "audit-event", _audit(context, parties, "audit-event", context.urn("composition"))),
        _task_entry(context, completed_task(context), update=True),
    ]
    return _transaction(entries)


def revision_transaction(
    stored: StoredDocument, former: StoredDocument, parties: AuditParties, *, revision: str, request_id: str
) -> Transaction:
    """Return the transaction that replaces a preliminary document which the EHR has as ``former``.

    What is there is updated under ``If-Match``; a flag that no longer holds is cancelled, not removed. ``revision``
    names the new version, so that its Provenance and AuditEvent are created once. Raises ``ResourceInvalid``.
    """
    document = stored.document
    context = DocumentContext(stored.id, stored.patient, stored.encounter, request_id, stored.created_at)
    facts = {fact.id: fact for fact in (*former.document.facts, *document.facts)}
    issues = [context.urn(issue_name(flag.id)) for flag in document.flags]
    targets = [context.urn("composition"), context.urn("document-reference"), *issues]
    present = {flag.id for flag in document.flags}
    resources = {
        "composition": composition(context, document, issues),
        "document-reference": document_reference(context, document),
        **{
            issue_name(flag.id): detected_issue(context, flag, facts.get(flag.fact_id or "")) for flag in document.flags
        },
        **{
            issue_name(flag.id): {
                **detected_issue(context, flag, facts.get(flag.fact_id or "")),
                "status": "cancelled",
            }
            for flag in former.document.flags
            if flag.id not in present
        },
    }
    audit_name = f"audit-event-{revision}"
    audit = audit_event(
        parties,
        tag=resource_id(context.document_id, audit_name),
        interaction="update",
        patient=context.patient,
        target=context.urn("composition"),
        request_id=context.request_id,
        at=context.at,
    )
    entries = [
        *(_replaced(former, *_create(context, name, resource)) for name, resource in resources.items()),
        _create(context, "device", device(document.model), unique_id=device_id(document.model)),
        _create(context, f"provenance-{revision}", draft_provenance(context, document, stored.chart, targets)),
        _create(context, audit_name, audit),
        _task_entry(context, completed_task(context), update=True),
    ]
    return _transaction(entries)


def failure_transaction(context: DocumentContext, parties: AuditParties, reason: str) -> Transaction:
    """Return the transaction that tells the EHR that no document could be drafted, and why."""
    return _transaction(
        [
            _task_entry(context, failed_task(context, reason), update=False),
            _create(context, "task-audit-event", _audit(context, parties, "task-audit-event", context.urn("task"))),
        ]
    )


def _audit(context: DocumentContext, parties: AuditParties, name: str, target: str) -> dict[str, Any]:
    return audit_event(
        parties,
        tag=resource_id(context.document_id, name),
        interaction="create",
        patient=context.patient,
        target=target,
        request_id=context.request_id,
        at=context.at,
    )


_Entry = tuple[str, dict[str, Any]]


def _create(context: DocumentContext, name: str, resource: dict[str, Any], *, unique_id: str | None = None) -> _Entry:
    unique_id = unique_id or resource_id(context.document_id, name)
    tagged = {**resource, "meta": {**resource.get("meta", {}), "tag": [effect_tag(unique_id)]}}
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": tag_query(unique_id)}
    return name, {"fullUrl": context.urn(name), "resource": validated(tagged), "request": request}


def _replaced(former: StoredDocument, name: str, entry: dict[str, Any]) -> _Entry:
    """Return the entry as an update of what the EHR holds under that name; as it is when it holds nothing."""
    reference = former.written.get(name)
    if reference is None:
        return name, entry
    request = {"method": "PUT", "url": reference}
    if name in former.versions:
        request["ifMatch"] = f'W/"{former.versions[name]}"'
    resource = {**entry["resource"], "id": reference.partition("/")[2]}
    return name, {**entry, "resource": resource, "request": request}


def _task_entry(context: DocumentContext, task: dict[str, Any], *, update: bool) -> _Entry:
    name, entry = _create(context, "task", task)
    if update:
        entry["request"] = {"method": "PUT", "url": f"Task?{entry['request']['ifNoneExist']}"}
    return name, entry


def _transaction(entries: list[_Entry]) -> Transaction:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry for _, entry in entries]}
    return Transaction(bundle, tuple(name for name, _ in entries))
