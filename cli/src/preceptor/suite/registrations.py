"""Who knows whom in the local suite: the clients of the sandbox EHR and the EHRs of the facade, as their files."""

import json
from typing import Any

from preceptor.private_files import write_private
from preceptor.suite.settings import CHECKOUT, SuiteSettings

__all__ = ["CLI_CLIENT", "CLI_SCOPES", "EHR_ID", "write_clients", "write_ehrs"]

EHR_ID = "sandbox"
CLI_CLIENT = "preceptor-cli"
_SHOWN = ("Composition", "DetectedIssue", "DocumentReference", "Encounter", "Patient", "Provenance", "Task")
CLI_SCOPES = " ".join(f"system/{name}.rs" for name in (*_SHOWN, "Subscription"))
_CLIENTS = CHECKOUT / "services" / "sandbox-ehr" / "src" / "sandbox_ehr" / "development_clients.json"


def write_clients(settings: SuiteSettings, cli_key: dict[str, Any]) -> None:
    """Write the sandbox EHR's clients file: its development clients and the command line, which proves itself by
    the public JWK ``cli_key``. No secret is in it."""
    development = _development(settings)
    clients = development["clients"]
    clients.append(
        {
            "client_id": CLI_CLIENT,
            "client_name": "Preceptor command line",
            "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"],
            "scope": CLI_SCOPES,
            "jwks": {"keys": [cli_key]},
        }
    )
    write_private(settings.state / "sandbox-ehr-clients.json", json.dumps(development, indent=2).encode())


def write_ehrs(settings: SuiteSettings) -> None:
    """Write the sandbox EHR into the facade's EHR registry; what an administrator registered there stays."""
    registered = {one["client_id"]: one for one in _development(settings)["clients"]}
    ehr = {
        "id": EHR_ID,
        "name": "Sandbox EHR",
        "issuer": f"{settings.ehr_url}/fhir",
        "fhir_base": f"{settings.ehr_url}/fhir",
        "backend_client_id": "preceptor-backend",
        # Everything it was registered for; a launch asks for no more than the page reads.
        "backend_scopes": registered["preceptor-backend"]["scope"],
        "launch_client_id": "preceptor",
        "launch_scopes": "openid fhirUser launch patient/Patient.rs patient/Encounter.rs user/Practitioner.rs",
        # The sandbox EHR issues tokens for our own FHIR server too; a revoked one is found out by asking.
        "access_tokens": {
            "issuer": f"{settings.ehr_url}/fhir",
            "jwks_uri": f"{settings.ehr_url}/auth/jwks",
            "introspection_endpoint": f"{settings.ehr_url}/auth/introspect",
            "introspection_client_id": "preceptor-backend",
        },
        # It asks our CDS services before an order is signed.
        "cds_clients": [{"issuer": settings.ehr_url, "jwks_uri": f"{settings.ehr_url}/cds/jwks"}],
        "frame_ancestors": [settings.ehr_url],
        "encounter_topic": "http://sekmet.dev/fhir/SubscriptionTopic/encounter-complete",
        "encounter_filters": ["Encounter?class=IMP"],
    }
    file = settings.state / "facade-ehrs.json"
    others = json.loads(file.read_text()) if file.exists() else []
    ehrs = [ehr, *(one for one in others if one["id"] != EHR_ID)]
    write_private(file, json.dumps(ehrs, indent=2).encode())


def _development(settings: SuiteSettings) -> dict[str, Any]:
    text = _CLIENTS.read_text().replace("http://localhost:8000", settings.facade_url)
    development: dict[str, Any] = json.loads(text.replace("http://localhost:8100", settings.ehr_url))
    return development
