"""Records in the EHR that a clinician looked at a document here: what cannot be recorded is not shown."""

from datetime import UTC, datetime

from fhir_support.identifiers import deterministic_id, effect_tag, tag_query
from fhir_support.r4 import validated

from facade.container import Container
from facade.resources.access_event import AccessParties, access_event
from facade.resources.ids import patient_scope, resource_id
from facade.smart.sessions import Session
from facade.store.documents import StoredDocument
from facade.store.outbox import Effect

__all__ = ["VIEW_EFFECT", "record_view"]

VIEW_EFFECT = "view"


async def record_view(container: Container, session: Session, stored: StoredDocument, request_id: str) -> None:
    """Keep the AuditEvent (IHE BALP Read) for the EHR in the outbox; raise what the outbox raises."""
    ehr, context = container.ehrs.get(session.ehr_id), session.context
    base = f"{container.settings.public_base_url}/fhir/{ehr.id}"
    tag = deterministic_id("view", session.window, request_id)
    event = access_event(
        AccessParties(ehr.launch_client_id, None, context.practitioner, base),
        "read",
        patient=context.patient,
        target=f"{base}/Composition/{resource_id(stored.id, 'composition')}",
        request_id=request_id,
        at=datetime.now(UTC),
    )
    event.pop("id")
    resource = validated({**event, "meta": {"tag": [effect_tag(tag)]}})
    request = {"method": "POST", "url": "AuditEvent", "ifNoneExist": tag_query(tag)}
    await container.outbox.add(
        Effect(
            id=tag,
            ehr_id=ehr.id,
            document_id=stored.id,
            patient_key=patient_scope(ehr.id, context.patient),
            kind=VIEW_EFFECT,
            encounter=context.encounter,
            bundle={
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"fullUrl": f"urn:uuid:{tag}", "resource": resource, "request": request}],
            },
            names=("audit-event",),
            request_id=request_id,
        )
    )
    container.written_back.set()
