"""GET /fhir/metadata: the CapabilityStatement, made of the table that search and routes use."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from facade.fhir.served import COMMON, SERVED, ServedType

__all__ = ["TYPE_INTERACTIONS", "AdvertisedOperation", "capability_statement"]

TYPE_INTERACTIONS = ("read", "vread", "history-instance", "history-type", "search-type")
"""What is done with every served type; ``facade.fhir.routes`` has a route for each."""

_DATE = "2026-11-25"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"


@dataclass(frozen=True)
class AdvertisedOperation:
    """An operation that is really served: its name without ``$``, and the canonical URL of its definition."""

    name: str
    definition: str


def capability_statement(base: str, operations: Sequence[AdvertisedOperation] = ()) -> dict[str, Any]:
    """Return the CapabilityStatement of the server at ``base``."""
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": "Read-only: results change through the operations and in the EHR.",
        "security": {
            "cors": True,
            "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}],
            "description": f"SMART App Launch 2.2 scopes; see {base}/.well-known/smart-configuration.",
        },
        "resource": [_resource(one) for one in SERVED.values()],
        "interaction": [{"code": "batch", "documentation": "Reads, searches and histories only."}],
    }
    if operations:
        rest["resource"].append({"type": "OperationDefinition", "interaction": [{"code": "read"}]})
        rest["operation"] = [{"name": one.name, "definition": one.definition} for one in operations]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Preceptor facade", "version": version("facade")},
        "implementation": {"description": "Results of Preceptor", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [rest],
    }


def _resource(served: ServedType) -> dict[str, Any]:
    parameters = [*COMMON.values(), *served.parameters.values()]
    includes = [f"{served.name}:{code}" for code in served.includes]
    reverse = [f"{other.name}:{code}" for other in SERVED.values() for code in other.includes]
    return {
        "type": served.name,
        "interaction": [{"code": code} for code in TYPE_INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical"],
        **({"searchInclude": includes} if includes else {}),
        "searchRevInclude": reverse,
        "searchParam": [{"name": one.code, "type": one.kind} for one in parameters],
    }
