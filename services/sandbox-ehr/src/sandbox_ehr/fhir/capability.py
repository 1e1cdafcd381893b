"""Makes the CapabilityStatement of the embedded server true for what the front lets through."""

from typing import Any

from sandbox_ehr.fhir.interactions import SERVED_OPERATIONS

__all__ = ["capability_statement"]

_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def capability_statement(statement: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return ``statement`` with SMART security, and without messaging, XML and operations that are not served."""
    kept = {name: value for name, value in statement.items() if name != "messaging"}
    rest = dict(statement["rest"][0])
    rest["operation"] = [operation for operation in rest.get("operation", []) if _served(operation)]
    rest["resource"] = [_resource(resource) for resource in rest["resource"]]
    rest["security"] = {
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}],
        "extension": [
            {
                "url": _OAUTH_URIS,
                "extension": [
                    {"url": "authorize", "valueUri": f"{base_url}/auth/authorize"},
                    {"url": "token", "valueUri": f"{base_url}/auth/token"},
                    {"url": "introspect", "valueUri": f"{base_url}/auth/introspect"},
                    {"url": "revoke", "valueUri": f"{base_url}/auth/revoke"},
                ],
            }
        ],
    }
    return kept | {
        "id": "sandbox-ehr",
        "name": "PreceptorSandboxEhr",
        "implementation": {"description": "Preceptor sandbox EHR, synthetic patients only", "url": f"{base_url}/fhir"},
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    }


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    operations = [operation for operation in resource.get("operation", []) if _served(operation)]
    kept = {name: value for name, value in resource.items() if name != "operation"}
    return kept | ({"operation": operations} if operations else {})


def _served(operation: dict[str, Any]) -> bool:
    return f"${operation['name']}" in SERVED_OPERATIONS
