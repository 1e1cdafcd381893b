"""What an EHR's authorization server says about itself, and the exchange of a code for tokens."""

from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from service_runtime.secrets import SecretError

from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.ehr.registry import Ehr
from facade.smart.errors import EhrRefused, EhrUnavailable, IdentityRefused

__all__ = ["AuthorizationServer", "SmartConfiguration", "TokenResponse"]

_MAX_BYTES = 262_144


class SmartConfiguration(BaseModel):
    """The members of ``.well-known/smart-configuration`` that a launch needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    code_challenge_methods_supported: tuple[str, ...] = ()


class TokenResponse(BaseModel):
    """A token response with its launch context (SMART App Launch 2.2, "Obtain access token")."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    access_token: str
    token_type: str
    expires_in: int = 300
    scope: str
    id_token: str | None = None
    refresh_token: str | None = None
    patient: str | None = None
    encounter: str | None = None
    need_patient_banner: bool = True


class AuthorizationServer:
    """Speaks to the authorization servers of registered EHRs; redirects are never followed."""

    def __init__(self, http: httpx.AsyncClient, assertions: ClientAssertions) -> None:
        self._http = http
        self._assertions = assertions

    async def configuration(self, ehr: Ehr) -> SmartConfiguration:
        """Read the SMART configuration; raise ``EhrRefused`` or ``EhrUnavailable``."""
        answer = await self._json("GET", f"{ehr.issuer}/.well-known/smart-configuration")
        try:
            configuration = SmartConfiguration.model_validate(answer)
        except ValidationError:
            raise EhrRefused("smart-configuration-incomplete") from None
        if "S256" not in configuration.code_challenge_methods_supported:
            raise EhrRefused("pkce-s256-not-supported")
        for url in (configuration.authorization_endpoint, configuration.token_endpoint, configuration.issuer):
            _require_protected(url, ehr)
        return configuration

    async def exchange(self, ehr: Ehr, token_endpoint: str, form: dict[str, str]) -> TokenResponse:
        """Send a token request with a fresh client assertion; raise ``EhrRefused`` or ``EhrUnavailable``."""
        try:
            assertion = await self._assertions.make(client_id=ehr.launch_client_id, token_url=token_endpoint)
        except SecretError:
            raise EhrUnavailable("secret-store-unavailable") from None
        signed = {**form, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        try:
            response = TokenResponse.model_validate(await self._json("POST", token_endpoint, signed))
        except ValidationError:
            raise EhrRefused("token-response-incomplete") from None
        if response.token_type.lower() != "bearer":
            raise EhrRefused("token-type-unknown")
        return response

    async def signing_keys(self, ehr: Ehr, issuer: str) -> dict[str, Any]:
        """Return the JWK Set of the OpenID provider ``issuer``; raise ``IdentityRefused`` when it names another."""
        provider = await self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if provider.get("issuer") != issuer:
            raise IdentityRefused("openid-issuer-differs")
        jwks_uri = provider.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise IdentityRefused("openid-jwks-missing")
        _require_protected(jwks_uri, ehr)
        return await self._json("GET", jwks_uri)

    async def _json(self, method: str, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(
                method, url, data=form, headers={"Accept": "application/json"}, follow_redirects=False
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise EhrUnavailable(type(error).__name__) from None
        if response.status_code >= 500 or response.status_code == 429:
            raise EhrUnavailable(f"http-{response.status_code}")
        if response.status_code != 200 or len(response.content) > _MAX_BYTES:
            raise EhrRefused(f"http-{response.status_code}")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EhrRefused("answer-is-not-json")
        return answer


def _require_protected(url: str, ehr: Ehr) -> None:
    """What an EHR reached by https names must be reached by https too."""
    if not url.startswith(("https://", "http://")) or (url.startswith("http://") and ehr.issuer.startswith("https://")):
        raise EhrRefused("endpoint-not-protected")
