"""AuditEvents by IHE Basic Audit Log Patterns 1.1.4.

For Create and Update the client is the source (110153) and the server the destination (110152); for Read it would be
the other way round. There is one patient entity, and X-Request-Id has an entity of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fhir_support.identifiers import effect_tag

from facade.resources.vocabulary import coding, concept, instant_text, reference

__all__ = ["AuditParties", "audit_event"]

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_AUDIT = "http://terminology.hl7.org/CodeSystem"
_URI_ADDRESS = "5"


@dataclass(frozen=True)
class AuditParties:
    """The two ends of a write: what the EHR knows us as and where we are, its name and where it is."""

    client_id: str
    client_address: str
    server_name: str
    server_address: str


def audit_event(
    parties: AuditParties,
    *,
    tag: str,
    interaction: Literal["create", "update"],
    patient: str,
    target: str,
    request_id: str,
    at: datetime,
    user: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event of writing ``target``; ``user`` is the practitioner who asked for it, if one did."""
    agents = [
        _agent("110153", "Source Role ID", parties.client_id, parties.client_address, requestor=user is None),
        _agent("110152", "Destination Role ID", parties.server_name, parties.server_address, requestor=False),
    ]
    if user is not None:
        participation = coding(f"{_AUDIT}/v3-ParticipationType", "IRCP", "information recipient")
        agents.append({"type": concept(participation), "who": user, "requestor": True})
    return {
        "resourceType": "AuditEvent",
        "meta": {"tag": [effect_tag(tag)]},
        "type": coding(f"{_AUDIT}/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [coding("http://hl7.org/fhir/restful-interaction", interaction, interaction)],
        "action": "C" if interaction == "create" else "U",
        "recorded": instant_text(at),
        "outcome": "0",
        "agent": agents,
        "source": {
            "observer": {"display": "Preceptor facade", "identifier": {"value": parties.client_id}},
            "type": [coding(f"{_AUDIT}/security-source-type", "4", "Application Server")],
        },
        "entity": [
            {
                "what": reference(patient),
                "type": coding(f"{_AUDIT}/audit-entity-type", "1", "Person"),
                "role": coding(f"{_AUDIT}/object-role", "1", "Patient"),
            },
            {
                "what": reference(target),
                "type": coding(f"{_AUDIT}/audit-entity-type", "2", "System Object"),
                "role": coding(f"{_AUDIT}/object-role", "4", "Domain Resource"),
            },
            {
                "what": {"identifier": {"value": request_id}},
                "type": coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"),
            },
        ],
    }


def _agent(role: str, display: str, name: str, address: str, *, requestor: bool) -> dict[str, Any]:
    return {
        "type": concept(coding(_DICOM, role, display)),
        "who": {"identifier": {"value": name}, "display": name},
        "requestor": requestor,
        "network": {"address": address, "type": _URI_ADDRESS},
    }
