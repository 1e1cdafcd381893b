"""Access tokens of SMART Backend Services: client credentials with a signed assertion."""

import asyncio
import time

import httpx
from fhir_support.client import FhirAnswerInvalid, FhirRequestRefused, FhirServerUnavailable
from service_runtime.secrets import SecretError

from facade.ehr.asking import AskFailed, ServerRefused, ask
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr

__all__ = ["BackendServicesTokens"]

_RENEW_BEFORE_S = 30.0
_NO_LIFETIME_S = 300.0


class BackendServicesTokens:
    """A ``TokenSource`` for one EHR: one token is shared, and asked for once however many wait for it."""

    def __init__(
        self, ehr: Ehr, http: httpx.AsyncClient, authentication: ClientAuthentication, discovery: Discovery
    ) -> None:
        self._ehr = ehr
        self._http = http
        self._authentication = authentication
        self._discovery = discovery
        self._lock = asyncio.Lock()
        self._held: tuple[float, str] | None = None

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
        try:
            token_url = (await self._discovery.smart(self._ehr)).token_endpoint
            proof = await self._authentication.backend(self._ehr, token_url)
            form = {"grant_type": "client_credentials", "scope": self._ehr.backend_scopes, **proof.form}
            answer = await ask(self._http, "POST", token_url, form=form, headers=proof.headers)
        except ServerRefused as error:
            self._discovery.forget(self._ehr)
            if error.status == 200:
                raise FhirAnswerInvalid(error.reason) from None
            raise FhirRequestRefused(error.status, (error.reason,)) from None
        except (AskFailed, SecretError) as error:
            raise FhirServerUnavailable(type(error).__name__) from None
        token, lifetime = answer.get("access_token"), answer.get("expires_in", _NO_LIFETIME_S)
        if not isinstance(token, str) or not token or str(answer.get("token_type", "")).lower() != "bearer":
            raise FhirAnswerInvalid("the token endpoint gave no bearer token")
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not lifetime > 0:
            raise FhirAnswerInvalid("the token endpoint gave no lifetime")
        return time.monotonic() + max(1.0, lifetime - min(_RENEW_BEFORE_S, lifetime / 2)), token
