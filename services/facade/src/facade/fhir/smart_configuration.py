"""GET /fhir/.well-known/smart-configuration: where a client of this base gets its tokens.

We issue none ourselves: the endpoints are those of the registered EHR's authorization server, read from its own
configuration and kept for a while. Each EHR has a base of its own, so there is never a choice between two.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

import httpx
from fhir_support.errors import ServiceUnavailable

from facade.ehr.asking import AskFailed, ServerRefused, ask
from facade.ehr.discovery import require_registered
from facade.ehr.registry import Ehr
from facade.fhir.served import SERVED

__all__ = ["AuthorizationServers", "smart_configuration"]

_KEEP_S = 300.0
_KEEP_WITHOUT_ANSWER_S = 86_400.0
# What is true of our base when it is true of the authorization server. Launch contexts, banners and styles are the
# EHR's own affair: it does not launch apps into this base.
_CAPABILITIES = (
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
)
_OURS = ("permission-v1", "permission-v2")
_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "management_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
)
_LISTS = (
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "response_types_supported",
)


class AuthorizationServers:
    """What the authorization servers of registered EHRs say of themselves."""

    def __init__(self, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._held: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def configuration(self, ehr: Ehr) -> Mapping[str, Any]:
        """Return the SMART configuration of ``ehr``; raise ``ServiceUnavailable`` when it was never to be had."""
        held, now = self._held.get(ehr.id), self._clock()
        if held is not None and now - held[0] < _KEEP_S:
            return held[1]
        try:
            answer = await self._read(ehr)
        except AskFailed:
            if held is not None and now - held[0] < _KEEP_WITHOUT_ANSWER_S:
                return held[1]
            raise ServiceUnavailable("The authorization server cannot be asked now.") from None
        self._held[ehr.id] = (now, answer)
        return answer

    async def _read(self, ehr: Ehr) -> Mapping[str, Any]:
        """Return the document with absolute addresses, and none of an origin that is not registered."""
        answer = dict(await ask(self._http, "GET", f"{ehr.fhir_base}/.well-known/smart-configuration"))
        for name in (*_ENDPOINTS, "issuer", "jwks_uri"):
            if isinstance(answer.get(name), str):
                answer[name] = urljoin(f"{ehr.fhir_base}/", answer[name])
                require_registered(ehr, answer[name])
        if not all(_is_url(answer.get(name)) for name in _ENDPOINTS[:2]):
            raise ServerRefused("smart-configuration-incomplete")
        if "S256" not in _texts(answer, "code_challenge_methods_supported"):
            raise ServerRefused("pkce-s256-not-supported")
        return answer


def smart_configuration(server: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document for our base, made of what the authorization server says and what we serve."""
    offered = _texts(server, "capabilities")
    capabilities = [name for name in _CAPABILITIES if name in offered]
    if not (_is_url(server.get("issuer")) and _is_url(server.get("jwks_uri"))):
        capabilities = [name for name in capabilities if name != "sso-openid-connect"]
    grants = [one for one in _texts(server, "grant_types_supported") if one != "password"]
    document: dict[str, Any] = {name: server[name] for name in _ENDPOINTS if _is_url(server.get(name))}
    if "sso-openid-connect" in capabilities:
        document |= {"issuer": server["issuer"], "jwks_uri": server["jwks_uri"]}
    document |= {name: _texts(server, name) for name in _LISTS if _texts(server, name)}
    return document | {
        "grant_types_supported": grants if "authorization_code" in grants else ["authorization_code", *grants],
        "scopes_supported": [f"{context}/{name}.rs" for context in ("patient", "user", "system") for name in SERVED],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [*capabilities, *_OURS],
    }


def _texts(server: Mapping[str, Any], name: str) -> list[str]:
    listed = server.get(name)
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))
