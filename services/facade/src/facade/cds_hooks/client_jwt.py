"""Who calls a CDS service: the JWT of a registered client, checked before anything of the request's body is read.

CDS Hooks 2.0, "Trusting CDS Clients", and no looser where it is silent: a token that is right in every way is taken
once, for one endpoint, for at most five minutes. What is wrong is said in the log only, by the name of the rule.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from facade.ehr.registry import CdsClient, Ehr
from facade.jwt_keys import KeySetUnavailable, RemoteKeySets, UnknownKey, VerificationKey
from facade.store.used_assertions import UsedAssertions

__all__ = ["Caller", "ClientJwts", "ClientRefused"]

_ALGORITHMS: Mapping[object, type[RSAKey] | type[ECKey]] = {"ES384": ECKey, "RS384": RSAKey}
_EMBEDDED = frozenset({"jwk", "x5c", "x5u", "x5t", "x5t#S256"})
"""Header parameters by which a token brings its own key: only a registered key counts."""
_CHANGING = frozenset({"crit", "b64", "zip", "enc", "cty"})
"""Header parameters that would make it another kind of token than a signed JWT."""
_MAX_CHARACTERS = 8_192
_MAX_HEADER_CHARACTERS = 2_048
_MAX_JTI_CHARACTERS = 255
_MAX_LIFETIME_S = 300
_CLOCK_SKEW_S = 60
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PURPOSE = "cds-hooks"
_REGISTRY = jws.JWSRegistry(algorithms=["ES384", "RS384"], strict_check_header=False)
"""Header parameters that mean nothing to us are let be (RFC 7515, section 4); those that do are checked before."""


class ClientRefused(Exception):
    """The caller is not a registered client, or cannot show it; ``reason`` is for the log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Caller:
    """A CDS client and the EHR it speaks for."""

    ehr: Ehr
    issuer: str


class ClientJwts:
    """Verifies the tokens of the CDS clients of ``ehrs``; raises ``ValueError`` when two share an issuer."""

    def __init__(
        self,
        ehrs: Iterable[Ehr],
        keys: RemoteKeySets,
        used: UsedAssertions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients: dict[str, tuple[Ehr, CdsClient]] = {}
        for ehr in ehrs:
            for client in ehr.cds_clients:
                if client.issuer in self._clients:
                    raise ValueError("two CDS clients share an issuer")
                self._clients[client.issuer] = (ehr, client)
        self._keys = keys
        self._used = used
        self._clock = clock

    async def verify(self, unverified_authorization: str | None, endpoint: str) -> Caller:
        """Return who calls ``endpoint`` (its whole URL); raise ``ClientRefused``, or ``SQLAlchemyError``.

        A token is used up by the call that it opens, also when that call fails afterwards.
        """
        unverified_token = _bearer(unverified_authorization)
        unverified_header, unverified_claims = _parts(unverified_token)
        algorithm, kid = _checked_header(unverified_header)
        ehr, client = self._registered(unverified_claims.get("iss"))
        if "jku" in unverified_header and unverified_header["jku"] != client.jwks_uri:
            raise ClientRefused("jku-not-registered")
        key = await self._key(client, kid, algorithm)
        claims = _verified(unverified_token, key, algorithm)
        expires_at = _checked_claims(claims, client.issuer, endpoint, self._clock())
        if not await self._used.use(_PURPOSE, client.issuer, claims["jti"], expires_at + _CLOCK_SKEW_S):
            raise ClientRefused("replayed")
        return Caller(ehr, client.issuer)

    def _registered(self, unverified_issuer: object) -> tuple[Ehr, CdsClient]:
        if not isinstance(unverified_issuer, str) or unverified_issuer not in self._clients:
            raise ClientRefused("issuer-not-registered")
        return self._clients[unverified_issuer]

    async def _key(self, client: CdsClient, kid: str, algorithm: str) -> VerificationKey:
        try:
            key = await self._keys.key(client.jwks_uri, kid)
        except UnknownKey:
            raise ClientRefused("key-unknown") from None
        except KeySetUnavailable:
            raise ClientRefused("keys-unavailable") from None
        if not isinstance(key, _ALGORITHMS[algorithm]) or (isinstance(key, ECKey) and key.curve_name != "P-384"):
            raise ClientRefused("key-of-another-kind")
        return key


def _bearer(unverified: str | None) -> str:
    scheme, _, token = (unverified or "").partition(" ")
    if scheme.lower() != "bearer" or len(token) > _MAX_CHARACTERS or not _COMPACT.fullmatch(token):
        raise ClientRefused("no-signed-jwt")
    return token


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    if len(header) > _MAX_HEADER_CHARACTERS:
        raise ClientRefused("header-too-long")
    return _object(header), _object(payload)


def _object(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = json.loads(raw, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise ClientRefused("not-json") from None
    if not isinstance(value, dict):
        raise ClientRefused("not-json")
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name sent twice could be read in two ways (RFC 7515, section 4; RFC 7519, section 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _no_constant(_: str) -> None:
    raise ValueError("not JSON")


def _checked_header(header: Mapping[str, Any]) -> tuple[str, str]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise ClientRefused("algorithm")
    if header.get("typ") != "JWT":
        raise ClientRefused("type")
    if not isinstance(kid, str) or not kid:
        raise ClientRefused("no-kid")
    if _EMBEDDED & header.keys():
        raise ClientRefused("embedded-key")
    if _CHANGING & header.keys():
        raise ClientRefused("header-not-understood")
    return algorithm, kid


def _verified(token: str, key: VerificationKey, algorithm: str) -> dict[str, Any]:
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[algorithm], registry=_REGISTRY).payload
    except (JoseError, ValueError):
        raise ClientRefused("signature") from None
    claims: dict[str, Any] = json.loads(payload)
    return claims


def _checked_claims(claims: Mapping[str, Any], issuer: str, endpoint: str, now: float) -> float:
    """Return ``exp``; every claim the standard asks for must be there and right."""
    audience, jti = claims.get("aud"), claims.get("jti")
    listed = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer:
        raise ClientRefused("issuer-not-registered")
    if endpoint not in listed or not all(isinstance(one, str) for one in listed):
        raise ClientRefused("audience")
    expires_at, issued_at = _moment(claims, "exp"), _moment(claims, "iat")
    if expires_at <= now:
        raise ClientRefused("expired")
    if issued_at > now + _CLOCK_SKEW_S or ("nbf" in claims and _moment(claims, "nbf") > now + _CLOCK_SKEW_S):
        raise ClientRefused("not-yet-valid")
    if expires_at > now + _MAX_LIFETIME_S + _CLOCK_SKEW_S or expires_at - issued_at > _MAX_LIFETIME_S:
        raise ClientRefused("valid-too-long")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_CHARACTERS:
        raise ClientRefused("no-jti")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise ClientRefused(f"no-{name}")
    return float(value)
