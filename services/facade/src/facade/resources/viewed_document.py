"""The transaction that tells an EHR that a clinician looked at a document here."""

import uuid
from datetime import datetime
from typing import Any

from fhir_support.identifiers import effect_tag, tag_query
from fhir_support.r4 import validated

from facade.resources.access_event import AccessParties, access_event
from facade.resources.ids import resource_id

__all__ = ["view_transaction"]


def view_transaction(
    parties: AccessParties, *, document_id: str, patient: str, request_id: str, at: datetime
) -> tuple[str, dict[str, Any]]:
    """Return the name of one look at a document (of ours, at ``parties.base``) and the transaction that records it.

    The name is new each time: were it made of X-Request-Id, which a client may send, a second look could go
    unrecorded.
    """
    name = str(uuid.uuid4())
    event = access_event(
        parties,
        "read",
        patient=patient,
        target=f"{parties.base}/Composition/{resource_id(document_id, 'composition')}",
        request_id=request_id,
        at=at,
    )
    event.pop("id")
    resource = validated({**event, "meta": {"tag": [effect_tag(name)]}})
    request = {"method": "POST", "url": "AuditEvent", "ifNoneExist": tag_query(name)}
    entry = {"fullUrl": f"urn:uuid:{name}", "resource": resource, "request": request}
    return name, {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
