"""A hospital of software by others: where each part listens, what it is told, and how the facade is known there."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .processes import free_port
from .signing_proxy import ISSUER

__all__ = [
    "CLINICIAN",
    "LAUNCHED",
    "LAUNCH_SECRET",
    "READER_SECRET",
    "SCOPES",
    "STAYS",
    "Addresses",
    "facade_environment",
    "oauth",
    "registration",
    "sekmet",
]

ROOT = Path(__file__).parents[2]

CLINICIAN = "Practitioner/dr-1"
LAUNCHED = {
    "oauth": {"launch_client_type": "confidential-asymmetric", "signing_algorithm": "ES384"},
    "oauth-rs384": {"launch_client_type": "confidential-asymmetric", "signing_algorithm": "RS384"},
    "oauth-secret": {"launch_client_type": "confidential-symmetric"},
    "oauth-public": {"launch_client_type": "public"},
}
"""The EHRs at the OAuth server, one for each way in which an app may prove itself; each has a FHIR base of its own."""

LAUNCH_SECRET = "a secret & of <the> EHR: 100%"
STAYS = {"launch-1": {"patient": "pat-1", "encounter": "enc-1"}, "launch-2": {"patient": "pat-2", "encounter": "enc-2"}}
"""The stays that may be launched at the OAuth server, by the value of ``launch``."""

READER_SECRET = "a secret of the test"
"""How clients by others prove themselves where they come to read our results."""

(_EXAMPLE,) = json.loads((ROOT / "services/facade/examples/ehrs.sandbox.json").read_text())
_BACKEND_SCOPES: str = _EXAMPLE["backend_scopes"]
# Whoever sends a transaction to it must be allowed to create everything.
_STRICT_SCOPES = f"{_BACKEND_SCOPES} system/*.c"
_LAUNCH_SCOPES = "openid fhirUser launch online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"
_NOT_GRANTED = "patient/Flag.rs"
_READ_SCOPES = "system/*.rs system/*.cruds user/*.rs patient/*.rs system/Composition.rs system/Composition.read"
SCOPES = " ".join([_BACKEND_SCOPES, _LAUNCH_SCOPES.partition("online_access ")[2], _READ_SCOPES])


@dataclass(frozen=True)
class Addresses:
    """The ports of all parts, chosen before any of them starts, because each must know the others."""

    facade_port: int
    reconciliation_port: int
    open_port: int
    strict_port: int
    oauth_port: int
    behind_port: int
    gateway_port: int
    retrieval_port: int

    @classmethod
    def chosen(cls) -> "Addresses":
        """Return free ports."""
        return cls(*(free_port() for _ in range(8)))

    @property
    def facade(self) -> str:
        return f"http://localhost:{self.facade_port}"

    @property
    def jwks(self) -> str:
        return f"{self.facade}/.well-known/jwks.json"

    @property
    def oauth(self) -> str:
        return f"http://localhost:{self.oauth_port}"

    def fhir_base(self, ehr_id: str) -> str:
        """Return the base of the EHR called ``ehr_id``: ``open``, ``strict`` or one of ``LAUNCHED``."""
        if ehr_id in LAUNCHED:
            name = ehr_id.removeprefix("oauth").replace("-", "/")
            return f"{self.oauth}{name}/fhir"
        ports = {"open": self.open_port, "strict": self.strict_port}
        return f"http://localhost:{ports[ehr_id]}/fhir"

    def own_base(self, ehr_id: str) -> str:
        """Return the base of our own FHIR server for that EHR."""
        return f"{self.facade}/fhir/{ehr_id}"


def sekmet(folder: Path, addresses: Addresses, name: str, ward_keys: dict[str, Any]) -> list[str]:
    """Write the settings of one sekmet-fhir and return its command: ``open``, ``strict``, or ``behind`` the gate."""
    port = {"open": addresses.open_port, "strict": addresses.strict_port, "behind": addresses.behind_port}[name]
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "base_url": addresses.fhir_base("oauth" if name == "behind" else name),
        "data_dir": str(folder / name),
        "simulator": {"enabled": False, "auto": []},
        "server_auth": {
            "types": ["smart"] if name == "strict" else ["none"],
            # Shorter than a test is long, so that tokens are renewed while it runs.
            "token_lifetime": 5,
            "smart_clients": [
                {"client_id": "preceptor-backend", "jwks_url": addresses.jwks, "scopes": _STRICT_SCOPES},
                {"client_id": "ward", "jwks": ward_keys, "scopes": "system/*.*"},
            ],
        },
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(settings))
    return ["sekmet", "serve", "--config", str(file)]


def oauth(folder: Path, addresses: Addresses) -> Path:
    """Write the settings of the OAuth server and return their file."""
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": addresses.jwks}
    backend: dict[str, Any] = {"redirect_uris": [], "response_types": []}
    settings = {
        "port": addresses.oauth_port,
        "issuer": addresses.oauth,
        "fhirBases": [addresses.fhir_base(ehr_id) for ehr_id in LAUNCHED],
        "behind": f"http://127.0.0.1:{addresses.behind_port}/fhir",
        "scopes": SCOPES,
        "user": CLINICIAN,
        "launches": STAYS,
        "resources": {
            # Less than what a session keeps in hand, so that every use of it asks for a new one.
            **{addresses.fhir_base(ehr_id): {"ttl": 25} for ehr_id in LAUNCHED},
            # A token without a form can only be asked about.
            addresses.own_base("strict"): {"format": "opaque"},
        },
        "clients": [
            *(_launched_client(addresses, ehr_id) for ehr_id in LAUNCHED),
            {"client_id": "preceptor-backend", **keys, **backend, "grant_types": ["client_credentials"]},
            {"client_id": "preceptor-introspection", **keys, **backend, "grant_types": []},
            {
                "client_id": "reader",
                "client_secret": READER_SECRET,
                "token_endpoint_auth_method": "client_secret_basic",
                **backend,
                "grant_types": ["client_credentials"],
            },
        ],
    }
    file = folder / "oauth.json"
    file.write_text(json.dumps(settings))
    return file


def _launched_client(addresses: Addresses, ehr_id: str) -> dict[str, Any]:
    """Return how the OAuth server knows our app, by the way in which it proves itself at that EHR."""
    proofs = {
        "oauth": {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES384"},
        "oauth-rs384": {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "RS384"},
        "oauth-secret": {"token_endpoint_auth_method": "client_secret_basic", "client_secret": LAUNCH_SECRET},
        "oauth-public": {"token_endpoint_auth_method": "none"},
    }
    proof = proofs[ehr_id]
    keys = {"jwks_uri": addresses.jwks} if proof["token_endpoint_auth_method"] == "private_key_jwt" else {}
    return {
        "client_id": f"preceptor-{ehr_id}",
        **proof,
        **keys,
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"{addresses.facade}/smart/callback"],
        "id_token_signed_response_alg": "RS256" if ehr_id == "oauth-rs384" else "ES384",
    }


def registration(addresses: Addresses, ehr_id: str, **more: Any) -> dict[str, Any]:
    base = addresses.fhir_base(ehr_id)
    addressed = {"id": ehr_id, "name": ehr_id, "issuer": base, "fhir_base": base, "frame_ancestors": []}
    return {**_EXAMPLE, "cds_clients": [], "access_tokens": None, **addressed, **more}


def facade_environment(folder: Path, addresses: Addresses) -> dict[str, str]:
    """Write the registrations of all EHRs and return the facade's environment, without that of its secrets."""
    signed = {"issuer": addresses.oauth, "jwks_uri": f"{addresses.oauth}/jwks"}
    asked = {
        "issuer": addresses.oauth,
        "introspection_endpoint": f"{addresses.oauth}/token/introspection",
        "introspection_client_id": "preceptor-introspection",
    }
    gateway = {"issuer": ISSUER, "jwks_uri": f"http://localhost:{addresses.gateway_port}/jwks.json"}
    ehrs = [
        registration(addresses, "open", access_tokens=signed, cds_clients=[gateway]),
        registration(addresses, "strict", backend_scopes=_STRICT_SCOPES, access_tokens=asked),
    ]
    for ehr_id, proof in LAUNCHED.items():
        client = {"launch_client_id": f"preceptor-{ehr_id}", "launch_scopes": f"{_LAUNCH_SCOPES} {_NOT_GRANTED}"}
        # All of them are one hospital: notifications are wanted from it once.
        nobody = {} if ehr_id == "oauth" else {"backend_client_id": "nobody"}
        ehrs.append(registration(addresses, ehr_id, **proof, **client, **nobody, access_tokens=signed))
    file = folder / "ehrs.json"
    file.write_text(json.dumps(ehrs))
    return {
        "PRECEPTOR_FACADE_PUBLIC_BASE_URL": addresses.facade,
        "PRECEPTOR_FACADE_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'facade.sqlite3'}",
        "PRECEPTOR_FACADE_EHRS_FILE": str(file),
        "PRECEPTOR_FACADE_RECONCILIATION_URL": f"http://127.0.0.1:{addresses.reconciliation_port}",
        "PRECEPTOR_FACADE_RETRIEVAL_URL": f"http://127.0.0.1:{addresses.retrieval_port}",
        "PRECEPTOR_FACADE_PORT": str(addresses.facade_port),
        "PRECEPTOR_FACADE_INSTANCE": "interop",
        "PRECEPTOR_FACADE_POLL_S": "0.2",
        "PRECEPTOR_FACADE_SUBSCRIPTION_CHECK_S": "2",
        "PRECEPTOR_FACADE_RETRY_BASE_S": "0.2",
        "PRECEPTOR_FACADE_RETRY_MAX_S": "1",
    }
