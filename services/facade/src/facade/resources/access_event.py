"""AuditEvents of accesses to our own FHIR server, by IHE Basic Audit Log Patterns 1.1.4.

For Read the server is the source (110153) and the client the destination (110152); for Query the other way round. An
event names one patient, or none; X-Request-Id has an entity of its own; a search is kept as base64.
"""

import base64
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facade.resources.vocabulary import coding, concept, instant_text, reference

__all__ = ["AccessParties", "access_event"]

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_AUDIT = "http://terminology.hl7.org/CodeSystem"
_ADDRESS_IP, _ADDRESS_URI = "2", "5"
_SOURCE, _DESTINATION = ("110153", "Source Role ID"), ("110152", "Destination Role ID")


@dataclass(frozen=True)
class AccessParties:
    """Who asked (client, its network address, and the person it acts for) and the base that answered."""

    client_id: str
    client_address: str | None
    user: str | None
    base: str


def access_event(
    parties: AccessParties,
    interaction: str,
    *,
    patient: str | None,
    target: str | None = None,
    query: str | None = None,
    request_id: str,
    at: datetime,
    outcome: str = "0",
) -> dict[str, Any]:
    """Return the event of one access; ``target`` is what was read, ``query`` what was searched for.

    ``interaction`` is a code of restful-interaction, ``patient`` a reference, ``outcome`` 0, or 4 for a refusal.
    """
    client_role, server_role = (_DESTINATION, _SOURCE) if query is None else (_SOURCE, _DESTINATION)
    agents = [
        {
            "type": concept(coding(_DICOM, *client_role)),
            "who": {"identifier": {"value": parties.client_id}, "display": parties.client_id},
            "requestor": parties.user is None,
            **({"network": _network(parties.client_address, _ADDRESS_IP)} if parties.client_address else {}),
        },
        {
            "type": concept(coding(_DICOM, *server_role)),
            "who": {"display": "Preceptor facade"},
            "requestor": False,
            "network": _network(parties.base, _ADDRESS_URI),
        },
    ]
    if parties.user is not None:
        role = coding(f"{_AUDIT}/v3-ParticipationType", "IRCP", "information recipient")
        agents.append({"type": concept(role), "who": _person(parties.user), "requestor": True})
    return {
        "resourceType": "AuditEvent",
        "id": str(uuid.uuid4()),
        "type": coding(f"{_AUDIT}/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [coding("http://hl7.org/fhir/restful-interaction", interaction, interaction)],
        "action": "R" if query is None else "E",
        "recorded": instant_text(at),
        "outcome": outcome,
        "agent": agents,
        "source": {
            "observer": {"display": "Preceptor facade"},
            "type": [coding(f"{_AUDIT}/security-source-type", "4", "Application Server")],
        },
        "entity": [
            *([_entity(reference(patient), ("1", "Person"), ("1", "Patient"))] if patient else []),
            *([_entity(reference(target), ("2", "System Object"), ("4", "Domain Resource"))] if target else []),
            *([_query(query)] if query is not None else []),
            {
                "what": {"identifier": {"value": request_id}},
                "type": coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"),
            },
        ],
    }


def _entity(what: dict[str, str], kind: tuple[str, str], role: tuple[str, str]) -> dict[str, Any]:
    return {
        "what": what,
        "type": coding(f"{_AUDIT}/audit-entity-type", *kind),
        "role": coding(f"{_AUDIT}/object-role", *role),
    }


def _query(text: str) -> dict[str, Any]:
    return {
        "type": coding(f"{_AUDIT}/audit-entity-type", "2", "System Object"),
        "role": coding(f"{_AUDIT}/object-role", "24", "Query"),
        "query": base64.b64encode(text.encode()).decode(),
    }


def _person(user: str) -> dict[str, Any]:
    """A fhirUser is a reference, a subject just a name that the authorization server gives."""
    return reference(user) if "/" in user else {"identifier": {"value": user}}


def _network(address: str, kind: str) -> dict[str, str]:
    return {"address": address, "type": kind}
