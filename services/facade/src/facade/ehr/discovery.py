"""What an EHR says about its authorization server (SMART App Launch 2.2, ".well-known/smart-configuration").

Every address it names must have an origin of that EHR's registration. So neither a forged document nor another
registered EHR can lead a browser, a code or an assertion elsewhere.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from facade.ehr.asking import ServerRefused, ask
from facade.ehr.origins import origin_of
from facade.ehr.registration import Ehr

__all__ = ["Discovery", "SmartConfiguration", "require_registered"]

_KEEP_S = 300.0


class SmartConfiguration(BaseModel):
    """The members that we use; addresses are absolute and of registered origins."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str
    authorization_response_iss_parameter_supported: bool = False
    capabilities: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()


@dataclass
class _Kept:
    document: dict[str, Any] | None = None
    until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Discovery:
    """Reads discovery documents and keeps them for five minutes; those who wait for one share one question."""

    def __init__(self, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def smart(self, ehr: Ehr) -> SmartConfiguration:
        """Return the SMART configuration of ``ehr``; raise ``AskFailed``."""
        base = ehr.fhir_base
        raw = dict(await self._read(f"{base}/.well-known/smart-configuration"))
        for name in ("authorization_endpoint", "token_endpoint"):
            if isinstance(raw.get(name), str):
                # SMART 2.2, conformance: a relative address is meant relative to the FHIR base.
                raw[name] = urljoin(f"{base}/", raw[name])
        try:
            configuration = SmartConfiguration.model_validate(raw)
        except ValidationError:
            raise ServerRefused("smart-configuration-incomplete") from None
        for url in (configuration.authorization_endpoint, configuration.token_endpoint, configuration.issuer):
            if url is not None:
                require_registered(ehr, url)
        return configuration

    async def openid_keys(self, ehr: Ehr, issuer: str) -> str:
        """Return ``jwks_uri`` of the OpenID provider ``issuer``; raise ``AskFailed``."""
        require_registered(ehr, issuer)
        provider = await self._read(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if provider.get("issuer") != issuer:
            # OpenID Connect Discovery, 4.3: MUST be identical.
            raise ServerRefused("openid-issuer-differs")
        jwks_uri = provider.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise ServerRefused("openid-jwks-missing")
        require_registered(ehr, jwks_uri)
        return jwks_uri

    async def _read(self, url: str) -> dict[str, Any]:
        kept = self._kept.setdefault(url, _Kept())
        async with kept.lock:
            if kept.document is None or self._clock() >= kept.until:
                kept.document = await ask(self._http, "GET", url)
                kept.until = self._clock() + _KEEP_S
            return kept.document

    def forget(self, ehr: Ehr) -> None:
        """Read the documents of ``ehr`` anew next time, because what they said did not work."""
        self._kept.pop(f"{ehr.fhir_base}/.well-known/smart-configuration", None)


def require_registered(ehr: Ehr, url: str) -> None:
    """Raise ``ServerRefused`` unless ``url`` has an origin that ``ehr`` is registered with, and no tricks in it."""
    try:
        origin = origin_of(url)
    except ValueError:
        origin = ""
    if origin not in ehr.allowed_origins or "#" in url or "\\" in url:
        raise ServerRefused("endpoint-origin-not-registered")
