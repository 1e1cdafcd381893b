"""How evidence is cited in FHIR: the source as a RelatedArtifact, a passage as a DocumentReference. Pure."""

import base64
import hashlib
from datetime import date, timedelta
from typing import Any

from fhir_support.identifiers import deterministic_id, identifier
from service_contracts.evidence import Fact, Passage, Source

from facade.operations.parameters import out
from facade.resources.narrative import source_text
from facade.resources.vocabulary import concept

__all__ = ["citation", "document_of", "fact_part", "in_force", "passage_id", "source_parts"]

_ADDRESS = ("http://", "https://", "urn:")


def citation(source: Source) -> dict[str, Any]:
    """Return the source as the RelatedArtifact that is cited; its place is the section."""
    cited: dict[str, Any] = {
        "type": "citation",
        "display": f"{source.title}, version {source.version}",
        "citation": source_text(source),
    }
    if source.section.strip():
        cited["label"] = source.section
    if source.identifier.startswith(_ADDRESS):
        cited["url"] = source.identifier
    return cited


def in_force(source: Source) -> dict[str, Any] | None:
    """Return the days on which a version is in force, as far as they are known; Period.end is the last of them."""
    period = {}
    if source.effective_from is not None:
        period["start"] = source.effective_from.isoformat()
    if source.superseded_on is not None:
        period["end"] = (source.superseded_on - timedelta(days=1)).isoformat()
    return period or None


def source_parts(source: Source) -> list[dict[str, Any]]:
    """Return the parts by which every answer cites: the citation, the version and its days."""
    period = in_force(source)
    return [
        out("citation", "RelatedArtifact", citation(source)),
        out("version", "string", source.version),
        *([out("inForce", "Period", period)] if period else []),
    ]


def fact_part(fact: Fact) -> dict[str, Any]:
    """Return a fact as the parameter ``source``."""
    parts = [
        out("id", "string", fact.id),
        out("statement", "string", fact.statement),
        out("verbatim", "boolean", fact.verbatim),
        *source_parts(fact.source),
    ]
    return out("source", "part", parts)


def passage_id(passage: Passage) -> str:
    """Return the UUID of a passage of a version of a document."""
    return deterministic_id("passage", passage.id, passage.source.version)


def document_of(passage: Passage, today: date) -> dict[str, Any]:
    """Return a passage, whole, as a DocumentReference. It is a quotation: nothing in it is written by software."""
    source, raw = passage.source, passage.text.encode()
    superseded = source.superseded_on is not None and source.superseded_on <= today
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": passage_id(passage),
        "masterIdentifier": identifier(passage_id(passage)),
        "status": "superseded" if superseded else "current",
        "type": concept(text="Passage of a published document"),
        "description": source_text(source),
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(raw).decode(),
                    "size": len(raw),
                    "hash": base64.b64encode(hashlib.sha1(raw).digest()).decode(),  # noqa: S324  the R4 element is a SHA-1
                    "title": f"{source.title}: {source.section}".rstrip(": "),
                    **({"url": source.identifier} if source.identifier.startswith("http") else {}),
                }
            }
        ],
    }
    period = in_force(source)
    if period:
        resource["context"] = {"period": period}
    return resource
