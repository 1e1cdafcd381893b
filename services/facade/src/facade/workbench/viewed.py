"""Records in the EHR that a clinician looked at a document here: what cannot be recorded is not shown."""

from datetime import UTC, datetime

from facade.container import Container
from facade.resources.access_event import AccessParties
from facade.resources.ids import patient_scope
from facade.resources.viewed_document import view_transaction
from facade.smart.sessions import Session
from facade.store.documents import StoredDocument
from facade.store.outbox import Effect

__all__ = ["VIEW_EFFECT", "record_view"]

VIEW_EFFECT = "view"


async def record_view(container: Container, session: Session, stored: StoredDocument, request_id: str) -> None:
    """Keep the AuditEvent (IHE BALP Read) for the EHR in the outbox; raise what the outbox raises."""
    ehr, context = container.ehrs.get(session.ehr_id), session.context
    base = f"{container.settings.public_base_url}/fhir/{ehr.id}"
    name, bundle = view_transaction(
        AccessParties(ehr.launch_client_id, None, context.practitioner, base),
        document_id=stored.id,
        patient=context.patient,
        request_id=request_id,
        at=datetime.now(UTC),
    )
    await container.outbox.add(
        Effect(
            id=name,
            ehr_id=ehr.id,
            document_id=stored.id,
            patient_key=patient_scope(ehr.id, context.patient),
            kind=VIEW_EFFECT,
            encounter=context.encounter,
            bundle=bundle,
            names=("audit-event",),
            request_id=request_id,
        )
    )
    container.written_back.set()
