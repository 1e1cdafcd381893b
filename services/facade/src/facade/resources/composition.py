"""The document itself: a Composition, and a DocumentReference for readers of documents."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_support.identifiers import identifier
from service_contracts.reconciliation import ReconciledDocument, Section

from facade.resources.ids import resource_id
from facade.resources.narrative import PRELIMINARY_NOTICE, check_lines, plain_text, xhtml
from facade.resources.vocabulary import (
    DOCUMENT_TYPE,
    OUR_SYSTEM,
    SECTION_CODES,
    ai_meta,
    coding,
    concept,
    instant_text,
    reference,
)

__all__ = ["DocumentContext", "attachment", "composition", "composition_sections", "document_reference", "urn"]

_TITLE = "Discharge instructions"
_CATEGORY_SYSTEM = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"


@dataclass(frozen=True)
class DocumentContext:
    """Whose document it is, and when and for which request it is written."""

    document_id: str
    patient: str
    encounter: str
    request_id: str
    at: datetime

    def urn(self, name: str) -> str:
        """Return the ``urn:uuid`` of the resource called ``name`` of this document."""
        return urn(self.document_id, name)


def urn(document_id: str, name: str) -> str:
    """Return the ``urn:uuid`` of a resource of a document."""
    return f"urn:uuid:{resource_id(document_id, name)}"


def composition(context: DocumentContext, document: ReconciledDocument, issues: Sequence[str]) -> dict[str, Any]:
    """Return the preliminary Composition; ``issues`` are the references of its DetectedIssues."""
    return {
        "resourceType": "Composition",
        "meta": ai_meta(),
        "text": xhtml([PRELIMINARY_NOTICE]),
        "identifier": identifier(resource_id(context.document_id, "composition")),
        "status": "preliminary",
        "type": DOCUMENT_TYPE,
        "subject": reference(context.patient),
        "encounter": reference(context.encounter),
        "date": instant_text(context.at),
        "author": [reference(context.urn("device"))],
        "title": _TITLE,
        "confidentiality": "N",
        "section": composition_sections(document.sections, check_lines(document), issues),
    }


def composition_sections(
    sections: Sequence[Section], checks: Sequence[str], issues: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the sections that hold text, and last one with the checks, which names the issues it is about."""
    written = [
        {
            "title": section.title,
            "code": concept(SECTION_CODES[section.key], text=section.title),
            "text": xhtml(section.text.splitlines()),
        }
        for section in sections
        if section.text.strip()
    ]
    review: dict[str, Any] = {
        "title": "Checks",
        "code": concept(coding(f"{OUR_SYSTEM}/section", "checks"), text="Checks"),
        "text": xhtml(checks),
    }
    if issues:
        review["entry"] = [reference(issue) for issue in issues]
    return [*written, review]


def document_reference(context: DocumentContext, document: ReconciledDocument) -> dict[str, Any]:
    """Return the preliminary DocumentReference with the draft as plain text."""
    name = resource_id(context.document_id, "document-reference")
    return {
        "resourceType": "DocumentReference",
        "meta": ai_meta(),
        "masterIdentifier": identifier(name),
        "identifier": [identifier(name)],
        "status": "current",
        "docStatus": "preliminary",
        "type": DOCUMENT_TYPE,
        "category": [concept(coding(_CATEGORY_SYSTEM, "clinical-note", "Clinical Note"))],
        "subject": reference(context.patient),
        "date": instant_text(context.at),
        "author": [reference(context.urn("device"))],
        "description": _TITLE,
        "content": [{"attachment": attachment(plain_text(document.sections, document), context.at)}],
        "context": {
            "encounter": [reference(context.encounter)],
            "related": [reference(context.urn("composition"))],
        },
    }


def attachment(text: str, at: datetime) -> Mapping[str, Any]:
    """Return the document's text as an Attachment."""
    raw = text.encode()
    return {
        "contentType": "text/plain; charset=utf-8",
        "language": "en",
        "data": base64.b64encode(raw).decode(),
        "size": len(raw),
        "title": _TITLE,
        "creation": instant_text(at),
    }
