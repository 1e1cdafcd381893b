"""What an EHR says it can do, compared with what a registration needs of it, in words for an administrator."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin

import httpx

from facade.ehr.asking import AskFailed, ServerRefused, ServerSilent, ask
from facade.ehr.origins import origin_of
from facade.ehr.registration import ClientType, Ehr

__all__ = ["Finding", "Level", "probe"]


class Level(StrEnum):
    """How much a finding matters."""

    FINE = "fine"
    MISSING = "missing"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """``wrong`` keeps us from working with the EHR, ``missing`` from a part of it."""

    level: Level
    text: str


_AUTH_METHOD = {
    ClientType.PUBLIC: None,
    ClientType.SYMMETRIC: "client_secret_basic",
    ClientType.ASYMMETRIC: "private_key_jwt",
}
_NEEDED = {
    "launch-ehr": "launch from the EHR",
    "sso-openid-connect": "telling who the clinician is",
    "context-ehr-patient": "telling which patient is open",
}
_WANTED = {
    "launch-standalone": "launch from outside the EHR",
    "context-ehr-encounter": "telling which stay is open (the clinician is asked)",
    "permission-user": "permissions of the clinician",
    "permission-v2": "scopes in the syntax of SMART 2",
}
_USED = {"Composition": {"create"}, "Encounter": {"read", "search-type"}, "Subscription": {"create"}}
_METADATA_BYTES = {"max_bytes": 16_777_216, "total_s": 20.0}


async def probe(ehr: Ehr, http: httpx.AsyncClient) -> list[Finding]:
    """Read the discovery documents and the CapabilityStatement of ``ehr`` and say what is there and what is not."""
    return [*await _smart(ehr, http), *await _metadata(ehr, http)]


async def _smart(ehr: Ehr, http: httpx.AsyncClient) -> list[Finding]:
    url = f"{ehr.fhir_base}/.well-known/smart-configuration"
    try:
        said = await ask(http, "GET", url)
    except AskFailed as error:
        return [Finding(Level.WRONG, f"{url} {_why(error)}")]
    found = [Finding(Level.FINE, "the SMART configuration can be read")]
    found += [*_addresses(ehr, said), *_methods(ehr, said), *_capabilities(said)]
    issuer = said.get("issuer")
    if isinstance(issuer, str) and not any("issuer" in one.text and one.level is Level.WRONG for one in found):
        found += await _openid(ehr, issuer, http)
    return found


def _addresses(ehr: Ehr, said: dict[str, Any]) -> Iterator[Finding]:
    for name in ("issuer", "authorization_endpoint", "token_endpoint"):
        value = said.get(name)
        if not isinstance(value, str):
            yield Finding(Level.WRONG, f"{name} is missing")
            continue
        yield from _registered(ehr, name, value if name == "issuer" else urljoin(f"{ehr.fhir_base}/", value))


def _registered(ehr: Ehr, name: str, url: str) -> Iterator[Finding]:
    try:
        origin = origin_of(url)
    except ValueError:
        yield Finding(Level.WRONG, f"{name} is not an address that can be used")
        return
    if origin not in ehr.allowed_origins:
        yield Finding(Level.WRONG, f"{name} is at {origin}, which is not registered: add --origin {_short(origin)}")


def _methods(ehr: Ehr, said: dict[str, Any]) -> Iterator[Finding]:
    challenge, methods, algorithms, grants = (
        _words(said, name)
        for name in (
            "code_challenge_methods_supported",
            "token_endpoint_auth_methods_supported",
            "token_endpoint_auth_signing_alg_values_supported",
            "grant_types_supported",
        )
    )
    if "S256" not in challenge:
        yield Finding(Level.WRONG, "PKCE with S256 is not offered; a launch would be refused")
    if "plain" in challenge:
        yield Finding(Level.MISSING, "PKCE with plain is offered, which SMART forbids; it is never used")
    for who, method in (("the launched app", _AUTH_METHOD[ehr.launch_client_type]), ("the backend", "private_key_jwt")):
        if method is not None and methods and method not in methods:
            yield Finding(Level.WRONG, f"{method} for {who} is not among the ways to prove a client: {_list(methods)}")
    if algorithms and str(ehr.signing_algorithm) not in algorithms:
        yield Finding(Level.WRONG, f"{ehr.signing_algorithm} is not among the algorithms: {_list(algorithms)}")
    for grant in ("authorization_code", "client_credentials"):
        if grants and grant not in grants:
            yield Finding(Level.MISSING, f"the grant {grant} is not offered")


def _capabilities(said: dict[str, Any]) -> Iterator[Finding]:
    capabilities = _words(said, "capabilities")
    for name, meaning in _NEEDED.items():
        if name not in capabilities:
            yield Finding(Level.WRONG, f"{name} is not among the capabilities: {meaning}")
    for name, meaning in _WANTED.items():
        if name not in capabilities:
            yield Finding(Level.MISSING, f"{name} is not among the capabilities: {meaning}")


async def _openid(ehr: Ehr, issuer: str, http: httpx.AsyncClient) -> list[Finding]:
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        provider = await ask(http, "GET", url)
    except AskFailed as error:
        return [Finding(Level.WRONG, f"{url} {_why(error)}; no clinician could be identified")]
    found = []
    if provider.get("issuer") != issuer:
        found.append(Finding(Level.WRONG, "the OpenID provider calls itself by another issuer"))
    jwks_uri = provider.get("jwks_uri")
    if isinstance(jwks_uri, str):
        found += _registered(ehr, "jwks_uri", jwks_uri)
    else:
        found.append(Finding(Level.WRONG, "the OpenID provider names no keys"))
    return found


async def _metadata(ehr: Ehr, http: httpx.AsyncClient) -> list[Finding]:
    url = f"{ehr.fhir_base}/metadata"
    try:
        answer = await http.get(url, headers={"Accept": "application/fhir+json"}, extensions=_METADATA_BYTES)
        statement = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        return [Finding(Level.WRONG, f"{url} cannot be read ({type(error).__name__})")]
    if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
        return [Finding(Level.WRONG, f"{url} is not answered with a CapabilityStatement")]
    found = []
    version = str(statement.get("fhirVersion"))
    if not version.startswith("4.0"):
        found.append(Finding(Level.WRONG, f"it speaks FHIR {version}; 4.0.1 is needed"))
    rest: dict[str, Any] = next((one for one in statement.get("rest", []) if one.get("mode") == "server"), {})
    if not any(one.get("code") == "transaction" for one in rest.get("interaction", [])):
        found.append(Finding(Level.WRONG, "it takes no transactions; documents are written as one"))
    served = {one.get("type"): {i.get("code") for i in one.get("interaction", [])} for one in rest.get("resource", [])}
    for name, codes in (
        ("Composition", {"create"}),
        ("Encounter", {"read", "search-type"}),
        ("Subscription", {"create"}),
    ):
        if not codes <= served.get(name, set()):
            level = Level.MISSING if name == "Subscription" else Level.WRONG
            found.append(Finding(level, f"{name} cannot be used by {_list(sorted(codes))}"))
    return found or [Finding(Level.FINE, f"FHIR {version} with transactions, Encounter, Composition and Subscription")]


def _why(error: AskFailed) -> str:
    if isinstance(error, ServerSilent):
        return f"does not answer ({error.reason})"
    return f"cannot be used ({error.reason})" if isinstance(error, ServerRefused) else "failed"


def _words(said: dict[str, Any], name: str) -> list[str]:
    value = said.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _list(words: list[str]) -> str:
    return ", ".join(words) or "none"


def _short(origin: str) -> str:
    """Return an origin as it is registered, without the port that its scheme has anyway."""
    return origin.removesuffix(":443") if origin.startswith("https:") else origin.removesuffix(":80")
