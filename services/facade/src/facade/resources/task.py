"""The Task that tells the EHR's users whether the document was drafted."""

from typing import Any

from fhir_support.identifiers import identifier

from facade.resources.composition import DocumentContext
from facade.resources.ids import resource_id
from facade.resources.vocabulary import OUR_SYSTEM, coding, concept, instant_text, reference

__all__ = ["completed_task", "failed_task"]


def completed_task(context: DocumentContext) -> dict[str, Any]:
    """Return the Task of a document that was drafted."""
    output = {
        "type": concept(coding(f"{OUR_SYSTEM}/task-output", "document"), text="Document"),
        "valueReference": reference(context.urn("composition")),
    }
    return {**_task(context), "status": "completed", "output": [output]}


def failed_task(context: DocumentContext, reason: str) -> dict[str, Any]:
    """Return the Task of a document that could not be drafted; it is updated once it can."""
    return {**_task(context), "status": "failed", "statusReason": concept(text=reason)}


def _task(context: DocumentContext) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "identifier": [identifier(resource_id(context.document_id, "task"))],
        "status": "requested",
        "intent": "order",
        "code": concept(coding(f"{OUR_SYSTEM}/task", "discharge-instructions"), text="Draft discharge instructions"),
        "focus": reference(context.encounter),
        "for": reference(context.patient),
        "encounter": reference(context.encounter),
        "authoredOn": instant_text(context.at),
        "lastModified": instant_text(context.at),
        "owner": {"display": "Preceptor"},
    }
