"""Access tokens of SMART Backend Services: client credentials with a signed assertion."""

import asyncio
import time
from typing import Any

import httpx
from fhir_support.client import FhirAnswerInvalid, FhirRequestRefused, FhirServerUnavailable
from service_runtime.secrets import SecretError

from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.ehr.registry import Ehr

__all__ = ["BackendServicesTokens"]

_RENEW_BEFORE_S = 30.0


class BackendServicesTokens:
    """A ``TokenSource`` for one EHR: one token is shared, and asked for once however many wait for it."""

    def __init__(self, ehr: Ehr, http: httpx.AsyncClient, assertions: ClientAssertions) -> None:
        self._ehr = ehr
        self._http = http
        self._assertions = assertions
        self._lock = asyncio.Lock()
        self._held: tuple[float, str] | None = None
        self._token_url: str | None = None

    async def token(self) -> str:
        """Return a token that is valid for a while; raise ``FhirServerUnavailable`` or ``FhirRequestRefused``."""
        async with self._lock:
            if self._held is None or time.monotonic() >= self._held[0]:
                self._held = await self._request()
            return self._held[1]

    async def renew(self, refused: str) -> str:
        """Return another token than ``refused``; those who wait together get the same one."""
        async with self._lock:
            if self._held is None or self._held[1] == refused:
                self._held = await self._request()
            return self._held[1]

    async def _request(self) -> tuple[float, str]:
        token_url = await self._discover()
        try:
            assertion = await self._assertions.make(client_id=self._ehr.backend_client_id, token_url=token_url)
        except SecretError as error:
            raise FhirServerUnavailable(type(error).__name__) from None
        form = {
            "grant_type": "client_credentials",
            "scope": self._ehr.backend_scopes,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = await self._json("POST", token_url, data=form)
        token = answer.get("access_token")
        if not isinstance(token, str) or str(answer.get("token_type", "")).lower() != "bearer":
            raise FhirAnswerInvalid("the token endpoint gave no bearer token")
        lifetime = float(answer.get("expires_in", 300))
        return time.monotonic() + max(1.0, lifetime - min(_RENEW_BEFORE_S, lifetime / 2)), token

    async def _discover(self) -> str:
        """Return the token endpoint. The base is registered, so what it says about itself is believed."""
        if self._token_url is None:
            answer = await self._json("GET", f"{self._ehr.fhir_base}/.well-known/smart-configuration")
            token_url = answer.get("token_endpoint")
            if not isinstance(token_url, str) or not token_url.startswith(("https://", "http://")):
                raise FhirAnswerInvalid("the SMART configuration names no token endpoint")
            if token_url.startswith("http://") and self._ehr.fhir_base.startswith("https://"):
                raise FhirAnswerInvalid("the token endpoint is not protected by TLS")
            self._token_url = token_url
        return self._token_url

    async def _json(self, method: str, url: str, data: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(
                method, url, data=data, headers={"Accept": "application/json"}, follow_redirects=False
            )
        except httpx.TransportError as error:
            raise FhirServerUnavailable(type(error).__name__) from None
        if response.status_code >= 500 or response.status_code == 429:
            raise FhirServerUnavailable(f"HTTP {response.status_code}")
        if response.status_code != 200:
            raise FhirRequestRefused(response.status_code)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise FhirAnswerInvalid("the authorization server did not answer with a JSON object")
        return answer
