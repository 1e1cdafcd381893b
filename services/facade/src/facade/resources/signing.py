"""The transaction with which a clinician's signature makes a document final."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_support.identifiers import tag_query
from fhir_support.r4 import validated
from service_contracts.reconciliation import Section

from facade.decisions import latest_decisions, undecided_flags
from facade.resources.audit_event import AuditParties, audit_event
from facade.resources.composition import attachment, composition_sections, urn
from facade.resources.detected_issue import decided_issue, issue_name
from facade.resources.ids import resource_id
from facade.resources.narrative import check_lines, plain_text, xhtml
from facade.resources.provenance import signature_provenance
from facade.resources.transaction import Transaction
from facade.resources.vocabulary import instant_text, reference
from facade.store.documents import StoredDocument

__all__ = ["Signer", "UndecidedFlags", "sign_transaction"]


@dataclass(frozen=True)
class Signer:
    """Who signs: the practitioner's FHIR reference and, where known, a name to show."""

    reference: str
    display: str | None = None


class UndecidedFlags(ValueError):
    """A document cannot be signed before every flag is decided."""


def sign_transaction(
    stored: StoredDocument,
    *,
    sections: Sequence[Section],
    signer: Signer,
    current: Mapping[str, dict[str, Any]],
    parties: AuditParties,
    request_id: str,
    signed_at: datetime,
) -> Transaction:
    """Return the transaction that signs ``stored``.

    ``sections`` is the final text (``facade.decisions.corrected_sections``, or what the clinician typed);
    ``current`` are the resources as they are in the EHR now, by the names of ``StoredDocument.written``
    (``composition``, ``document-reference``, ``issue:FLAG-ID``), each with ``id`` and ``meta.versionId``.
    Composition and DocumentReference become final with the signer as legal attester and authenticator, every
    DetectedIssue final with its mitigation, each updated with ``If-Match``; a second Provenance names the signer
    as verifier and an AuditEvent the update. The AIAST label stays.
    Raises ``UndecidedFlags``, and ``KeyError`` when a resource is missing from ``current``.

    Most callers want ``facade.pipeline.signing.Signing.sign``, which reads ``current``, sends the transaction and
    marks the document final.
    """
    if undecided_flags(stored.document, stored.decisions):
        raise UndecidedFlags("a flag is undecided")
    decisions = latest_decisions(stored.decisions)
    who = reference(signer.reference, signer.display)
    issues = {flag.id: current[issue_name(flag.id)] for flag in stored.document.flags}
    composition, document = current["composition"], current["document-reference"]
    updates = [
        (
            "composition",
            {
                **composition,
                "status": "final",
                "text": xhtml([f"Signed by {signer.display or signer.reference}."]),
                "date": instant_text(signed_at),
                "attester": [{"mode": "legal", "time": instant_text(signed_at), "party": who}],
                "section": composition_sections(
                    sections,
                    check_lines(stored.document),
                    [f"DetectedIssue/{issue['id']}" for issue in issues.values()],
                ),
            },
        ),
        (
            "document-reference",
            {
                **document,
                "docStatus": "final",
                "authenticator": who,
                "content": [{"attachment": attachment(plain_text(sections), signed_at)}],
            },
        ),
        *((issue_name(flag_id), decided_issue(issue, decisions[flag_id])) for flag_id, issue in issues.items()),
    ]
    targets = [f"{resource['resourceType']}/{resource['id']}" for _, resource in updates]
    provenance = signature_provenance(stored.id, targets, who, signed_at)
    audit = audit_event(
        parties,
        tag=resource_id(stored.id, "signature-audit-event"),
        interaction="update",
        patient=stored.patient,
        target=targets[0],
        request_id=request_id,
        at=signed_at,
        user=who,
    )
    entries = [_update(resource) for _, resource in updates]
    entries.append(_create(stored.id, "signature-provenance", provenance))
    entries.append(_create(stored.id, "signature-audit-event", audit))
    names = (*(name for name, _ in updates), "signature-provenance", "signature-audit-event")
    return Transaction({"resourceType": "Bundle", "type": "transaction", "entry": entries}, names)


def _update(resource: dict[str, Any]) -> dict[str, Any]:
    """Replace the version that was read: another change in between makes the whole transaction fail."""
    path = f"{resource['resourceType']}/{resource['id']}"
    match = f'W/"{resource["meta"]["versionId"]}"'
    return {
        "fullUrl": f"urn:uuid:{resource_id(path, 'update')}",
        "resource": validated(resource),
        "request": {"method": "PUT", "url": path, "ifMatch": match},
    }


def _create(document_id: str, name: str, resource: dict[str, Any]) -> dict[str, Any]:
    query = tag_query(resource_id(document_id, name))
    return {
        "fullUrl": urn(document_id, name),
        "resource": validated(resource),
        "request": {"method": "POST", "url": resource["resourceType"], "ifNoneExist": query},
    }
