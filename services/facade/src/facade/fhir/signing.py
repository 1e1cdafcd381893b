"""The transaction with which a clinician's signature makes a document final."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_contracts.reconciliation import Section

from facade.store.documents import StoredDocument

__all__ = ["Signer", "sign_transaction"]


@dataclass(frozen=True)
class Signer:
    """Who signs: the practitioner's FHIR reference and, where known, a name to show."""

    reference: str
    display: str | None = None


def sign_transaction(
    stored: StoredDocument,
    *,
    sections: Sequence[Section],
    signer: Signer,
    current: Mapping[str, dict[str, Any]],
    request_id: str,
    signed_at: datetime,
) -> dict[str, Any]:
    """Return the transaction Bundle that signs ``stored``.

    ``sections`` is the final text (``facade.decisions.corrected_sections``, or what the clinician typed);
    ``current`` are the resources as they are in the EHR now, by the names of ``StoredDocument.written``
    (``composition``, ``document-reference``, ``issue:FLAG-ID``), each with ``id`` and ``meta.versionId``.
    Composition and DocumentReference become final with the signer as legal attester and authenticator, every
    DetectedIssue final with its mitigation, each updated with ``If-Match``; a second Provenance names the signer
    as verifier and an AuditEvent the update. The AIAST label stays.
    Raises ``ValueError`` when a flag is undecided or a resource is missing from ``current``.

    Most callers want ``facade.pipeline.signing.Signing.sign``, which reads ``current``, sends the transaction and
    marks the document final.
    """
    raise RuntimeError("being written")
