"""The types we serve, and by which search parameters: the one table that routes, search and CapabilityStatement use.

Every parameter is R4's own (4.0.1, SearchParameter resources) and is about an element that our results carry. Paths
are element names from the resource's root; lists are walked through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["COMMON", "SERVED", "Kind", "Parameter", "ServedType", "is_served"]

Kind = Literal["token", "reference", "date", "uri"]


@dataclass(frozen=True)
class Parameter:
    """One search parameter: its ``code``, what kind it is and the elements it looks at.

    ``only`` narrows a reference parameter to references of that type (``Task.for.where(resolve() is Patient)``).
    """

    code: str
    kind: Kind
    paths: tuple[str, ...]
    only: str | None = None


@dataclass(frozen=True)
class ServedType:
    """One type: its parameters, and which elements put it into a patient's compartment.

    ``compartment`` is that of R4's CompartmentDefinition; ``includes`` are the reference parameters that may point at
    a resource of ours.
    """

    name: str
    parameters: Mapping[str, Parameter]
    compartment: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


def _token(code: str, *paths: str) -> Parameter:
    return Parameter(code, "token", paths or (code,))


def _date(code: str, *paths: str) -> Parameter:
    return Parameter(code, "date", paths or (code,))


def _reference(code: str, *paths: str, only: str | None = None) -> Parameter:
    return Parameter(code, "reference", paths or (code,), only)


def _type(
    name: str, *parameters: Parameter, compartment: tuple[str, ...] = (), includes: tuple[str, ...] = ()
) -> ServedType:
    return ServedType(name, {one.code: one for one in parameters}, compartment, includes)


COMMON: Mapping[str, Parameter] = {
    one.code: one
    for one in (
        _token("_id", "id"),
        _date("_lastUpdated", "meta.lastUpdated"),
        _token("_tag", "meta.tag"),
        _token("_security", "meta.security"),
        Parameter("_profile", "uri", ("meta.profile",)),
    )
}
"""Parameters of every type. ``_id`` and ``_lastUpdated`` are columns of the store, not terms of the index."""

SERVED: Mapping[str, ServedType] = {
    one.name: one
    for one in (
        _type(
            "Composition",
            _reference("attester", "attester.party"),
            _reference("author"),
            _token("category"),
            _token("confidentiality"),
            _date("date"),
            _reference("encounter"),
            _reference("entry", "section.entry"),
            _token("identifier"),
            _reference("patient", "subject", only="Patient"),
            _token("section", "section.code"),
            _token("status"),
            _reference("subject"),
            _token("type"),
            compartment=("subject", "author", "attester.party"),
            includes=("author", "entry"),
        ),
        _type(
            "DocumentReference",
            _reference("authenticator"),
            _reference("author"),
            _token("category"),
            _token("contenttype", "content.attachment.contentType"),
            _date("date"),
            _reference("encounter", "context.encounter"),
            _token("identifier", "masterIdentifier", "identifier"),
            _token("language", "content.attachment.language"),
            _reference("patient", "subject", only="Patient"),
            _reference("related", "context.related"),
            _token("security-label", "securityLabel"),
            _token("status"),
            _reference("subject"),
            _token("type"),
            compartment=("subject", "author"),
            includes=("author", "related"),
        ),
        _type(
            "DetectedIssue",
            _reference("author"),
            _token("code"),
            _date("identified", "identifiedDateTime", "identifiedPeriod"),
            _token("identifier"),
            _reference("implicated"),
            _reference("patient"),
            compartment=("patient",),
            includes=("author", "implicated"),
        ),
        _type(
            "RiskAssessment",
            _reference("condition"),
            _date("date", "occurrenceDateTime"),
            _reference("encounter"),
            _token("identifier"),
            _token("method"),
            _reference("patient", "subject", only="Patient"),
            _reference("performer"),
            _token("risk", "prediction.qualitativeRisk"),
            _reference("subject"),
            compartment=("subject",),
            includes=("performer",),
        ),
        _type(
            "Provenance",
            _reference("agent", "agent.who"),
            _token("agent-role", "agent.role"),
            _token("agent-type", "agent.type"),
            _reference("entity", "entity.what"),
            _reference("patient", "target", only="Patient"),
            _date("recorded"),
            _token("signature-type", "signature.type"),
            _reference("target"),
            _date("when", "occurredDateTime"),
            compartment=("target",),
            includes=("agent", "entity", "target"),
        ),
        _type(
            "AuditEvent",
            _token("action"),
            _reference("agent", "agent.who"),
            _token("agent-role", "agent.role"),
            _date("date", "recorded"),
            _reference("entity", "entity.what"),
            _token("entity-role", "entity.role"),
            _token("entity-type", "entity.type"),
            _token("outcome"),
            _reference("patient", "agent.who", "entity.what", only="Patient"),
            _token("subtype"),
            _token("type"),
            compartment=("agent.who", "entity.what"),
            includes=("entity",),
        ),
        _type(
            "Task",
            _date("authored-on", "authoredOn"),
            _reference("based-on", "basedOn"),
            _token("code"),
            _reference("encounter"),
            _reference("focus"),
            _token("identifier"),
            _token("intent"),
            _date("modified", "lastModified"),
            _reference("owner"),
            _reference("patient", "for", only="Patient"),
            _token("priority"),
            _reference("requester"),
            _token("status"),
            _reference("subject", "for"),
            # R4 leaves Task out of the compartment, but ``for`` says whose it is: without it an app that is held to
            # one patient could never see the work on that patient's document.
            compartment=("for",),
            includes=("focus",),
        ),
        _type(
            "Device",
            _token("identifier"),
            _token("status"),
            _token("type"),
        ),
    )
}


def is_served(resource_type: str) -> bool:
    """Whether resources of this type are ours to serve."""
    return resource_type in SERVED
