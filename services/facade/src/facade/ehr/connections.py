"""One FHIR client per registered EHR, with the facade's own identity."""

from collections.abc import Callable

import httpx
from fhir_support.client import FhirClient, TokenSource
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id

from facade.ehr.backend_services import BackendServicesTokens
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr, EhrRegistry

__all__ = ["EhrConnections"]


class EhrConnections:
    """Hands out clients that share connections and tokens."""

    def __init__(
        self,
        ehrs: EhrRegistry,
        http: httpx.AsyncClient,
        authentication: ClientAuthentication,
        discovery: Discovery,
        tokens: Callable[[Ehr], TokenSource] | None = None,
    ) -> None:
        self._ehrs = ehrs
        make_tokens = tokens or (lambda ehr: BackendServicesTokens(ehr, http, authentication, discovery))
        self._clients = {ehr.id: FhirClient(ehr.fhir_base, http, make_tokens(ehr)) for ehr in ehrs}

    def client(self, ehr_id: str) -> FhirClient:
        """Return a client for ``ehr_id`` that sends the current X-Request-Id; raise ``UnknownEhr``."""
        client = self._clients[self._ehrs.get(ehr_id).id]
        request_id = current_request_id()
        return client.with_headers({REQUEST_ID_HEADER: request_id}) if request_id else client
