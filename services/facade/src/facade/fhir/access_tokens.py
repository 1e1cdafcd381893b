"""Whether an access token is valid at a tenant's base: by its signature, by introspection, or by both.

What a token says is believed only from the registered issuer, for our own base (``aud``), before it expires. None of
its headers leads anywhere: keys come from the registered address, and a header that brings or names others is refused.
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from fhir_support.errors import ServiceUnavailable
from joserfc import jws, jwt
from joserfc.errors import JoseError

from facade.ehr.registry import Ehr
from facade.fhir.home import Home
from facade.fhir.introspection import Introspection
from facade.jwt_keys import KeySetUnavailable, RemoteKeySets, UnknownKey

__all__ = ["AccessTokenVerifier", "TokenClaims"]

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,8192}=*)", re.ASCII | re.IGNORECASE)
# Asymmetric ones only: with a MAC, whoever knows the public key could sign.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
# RFC 9068 says at+jwt; many authorization servers still say JWT, or nothing. An id_token has another audience.
_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", None})
_REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_MAX_HEADER = 1_024
_LEEWAY_S = 60
_MAX_AUDIENCES = 20


@dataclass(frozen=True)
class TokenClaims:
    """What a verified token says. ``scope`` is space-separated; ``patient`` is an id or a reference."""

    client_id: str
    subject: str | None
    user: str | None
    patient: str | None
    scope: str
    expires_at: float


class AccessTokenVerifier:
    """Verifies the bearer tokens of all tenants, each by its own registration."""

    def __init__(
        self, keys: RemoteKeySets, introspection: Introspection, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._introspection = introspection
        self._clock = clock

    async def verify(self, ehr: Ehr, home: Home, unverified_authorization: str) -> TokenClaims | None:
        """Return what the token says, or None when it is not valid here; raise ``ServiceUnavailable``."""
        match = _BEARER.fullmatch(unverified_authorization)
        registered = ehr.access_tokens
        if match is None or registered is None:
            return None
        token = match[1]
        signed: Mapping[str, Any] | None = None
        if registered.jwks_uri is not None:
            signed = await self._signed(token, registered.jwks_uri)
            if signed is None or not self._is_for_us(signed, registered.issuer, home, ("iss", "aud")):
                return None
        if registered.introspection_endpoint is None:
            return _claims(signed) if signed is not None else None
        introspected = await self._introspection.ask(ehr, token)
        # RFC 7662 leaves the audience out where it likes. Without one, and without a signature that names one, a token
        # for any other server of the same issuer would open ours.
        required = ("aud",) if signed is None else ()
        if introspected is None or not self._is_for_us(introspected, registered.issuer, home, required):
            return None
        return _claims(introspected) if signed is None else _both(signed, introspected)

    async def _signed(self, unverified_token: str, jwks_uri: str) -> Mapping[str, Any] | None:
        """Return the claims when a registered key signed them."""
        if len(unverified_token.partition(".")[0]) > _MAX_HEADER:
            return None
        try:
            header = jws.extract_compact(unverified_token.encode()).headers()
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in _ALGORITHMS or not isinstance(kid, str) or _REFUSED_HEADERS & header.keys():
            return None
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            return None
        try:
            key = await self._keys.key(jwks_uri, kid)
        except UnknownKey:
            return None
        except KeySetUnavailable:
            raise ServiceUnavailable("The keys of the authorization server cannot be had now.") from None
        if key.get("alg") not in (None, algorithm):
            return None
        try:
            claims = jwt.decode(unverified_token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        return claims if isinstance(claims, dict) else None

    def _is_for_us(self, claims: Mapping[str, Any], issuer: str, home: Home, required: tuple[str, ...]) -> bool:
        """Whether issuer, audience and times are right; those of ``required``, and the expiry, may not be missing."""
        now = self._clock()
        if any(name not in claims for name in required) or claims.get("iss", issuer) != issuer:
            return False
        if "aud" in claims and not _is_audience(claims["aud"], home):
            return False
        expires_at = claims.get("exp")
        if not _is_number(expires_at) or not expires_at > now:
            return False
        return all(
            _is_number(claims[name]) and claims[name] <= now + _LEEWAY_S for name in ("nbf", "iat") if name in claims
        )


def _is_audience(unverified: object, home: Home) -> bool:
    audiences = unverified if isinstance(unverified, list) else [unverified]
    return len(audiences) <= _MAX_AUDIENCES and any(base in audiences for base in home.bases)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _claims(claims: Mapping[str, Any]) -> TokenClaims | None:
    scope = claims.get("scope", "")
    if isinstance(scope, list):
        scope = " ".join(one for one in scope if isinstance(one, str))
    texts = [claims.get(name) for name in ("sub", "fhirUser", "patient")]
    client = claims.get("client_id", claims.get("azp"))
    if not isinstance(scope, str) or not isinstance(client, str) or not client:
        return None
    if any(text is not None and not isinstance(text, str) for text in texts):
        return None
    subject, user, patient = texts
    return TokenClaims(client, subject, user, patient, scope, float(claims["exp"]))


def _both(signed: Mapping[str, Any], introspected: Mapping[str, Any]) -> TokenClaims | None:
    """Return what both say: scopes that both name, and one client and one patient that neither denies."""
    one, other = _claims({**introspected, **signed}), _claims({**signed, **introspected})
    if one is None or other is None or (one.client_id, one.patient) != (other.client_id, other.patient):
        return None
    left, right = one.scope.split(" "), set(other.scope.split(" "))
    return TokenClaims(
        one.client_id,
        one.subject,
        one.user or other.user,
        one.patient,
        " ".join(scope for scope in left if scope in right),
        min(one.expires_at, other.expires_at),
    )
