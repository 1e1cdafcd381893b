"""The parts of the sandbox EHR, made once per process."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from service_runtime.log import LogCode, log

from sandbox_ehr.auth.authorize import AuthorizationServer
from sandbox_ehr.auth.client_authentication import ClientAuthentication
from sandbox_ehr.auth.client_keys import ClientKeys
from sandbox_ehr.auth.clients import Clients
from sandbox_ehr.auth.grants import Grants
from sandbox_ehr.auth.seen_assertions import SeenAssertions
from sandbox_ehr.auth.token import TokenEndpoint
from sandbox_ehr.auth.tokens import Tokens
from sandbox_ehr.cds_hooks.client import CdsHooksClient
from sandbox_ehr.fhir.server import FhirServer
from sandbox_ehr.pages.ward import Ward
from sandbox_ehr.patients.store import STAYS, patients
from sandbox_ehr.settings import SandboxEhrSettings

__all__ = ["Container"]


@dataclass(frozen=True)
class Container:
    """What the routes are built from."""

    settings: SandboxEhrSettings
    clients: Clients
    grants: Grants
    tokens: Tokens
    seen: SeenAssertions
    http: httpx.AsyncClient
    fhir: FhirServer
    authorization: AuthorizationServer
    token_endpoint: TokenEndpoint
    ward: Ward
    cds: CdsHooksClient

    @classmethod
    def build(cls, settings: SandboxEhrSettings) -> "Container":
        """Read the clients, open the records and fill them when there are none."""
        clients = Clients.read(settings.clients_file)
        grants = Grants(settings.code_ttl_s, settings.launch_ttl_s, settings.refresh_token_ttl_s)
        tokens = Tokens(settings.fhir_base, grants, resource_servers=clients.resource_servers)
        http = httpx.AsyncClient(timeout=settings.jwks_timeout_s, follow_redirects=False)
        fhir = FhirServer(settings.state_dir, settings.fhir_base, settings.subscription_attempts)
        seen = SeenAssertions(settings.state_dir / "assertions.sqlite3")
        token_url = f"{settings.base_url}/auth/token"
        authentication = ClientAuthentication(clients, ClientKeys(http), seen, token_url)
        endpoint = TokenEndpoint(
            authentication,
            grants,
            tokens,
            access_ttl_s=settings.access_token_ttl_s,
            backend_ttl_s=settings.backend_token_ttl_s,
            style_url=f"{settings.base_url}/smart-style.json",
            introspection_url=f"{settings.base_url}/auth/introspect",
        )
        if not fhir.holds("Encounter", STAYS[0].encounter):
            log(LogCode.PATIENTS_LOADED, count=fhir.load(patients(datetime.now(UTC))))
        return cls(
            settings=settings,
            clients=clients,
            grants=grants,
            tokens=tokens,
            seen=seen,
            http=http,
            fhir=fhir,
            authorization=AuthorizationServer(clients, grants, settings.fhir_base),
            token_endpoint=endpoint,
            ward=Ward(fhir),
            cds=CdsHooksClient(http, fhir, settings.base_url, clients.cds_services),
        )

    async def close(self) -> None:
        """Close connections and files."""
        await self.http.aclose()
        await self.fhir.close()
        self.seen.close()
