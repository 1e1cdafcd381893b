"""The signing key, access tokens and id_tokens.

The key is made when the process starts and never leaves its memory: no secret on disk, no rotation to plan, and
what a lost laptop could leak ends with the process. The price, that sessions end on a restart, is right for a
sandbox.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from sandbox_ehr.auth.grants import Grant, Grants, LaunchContext
from sandbox_ehr.auth.scopes import ResourceScope, resource_scopes

__all__ = ["AccessToken", "InvalidToken", "Tokens"]

# OpenID Connect Core, 15.1: RS256 is the algorithm every provider must support.
_ALGORITHM = "RS256"
_ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  a media type (RFC 9068), not a secret


class InvalidToken(Exception):
    """The access token is malformed, expired, revoked or not ours."""


@dataclass(frozen=True)
class AccessToken:
    """A verified access token."""

    client_id: str
    scopes: tuple[str, ...]
    resource_scopes: tuple[ResourceScope, ...]
    context: LaunchContext | None
    expires_at: int
    grant_id: str
    subject: str
    audience: str

    @property
    def patient(self) -> str | None:
        """The patient that ``patient/`` scopes are held to."""
        return self.context.patient if self.context else None


class Tokens:
    """Issues and verifies tokens of ``issuer``, which is also the FHIR base they are for, unless a grant is for one of
    ``resource_servers``."""

    def __init__(
        self,
        issuer: str,
        grants: Grants,
        clock: Callable[[], float] = time.time,
        resource_servers: tuple[str, ...] = (),
    ) -> None:
        self._issuer = issuer
        self.resource_servers = resource_servers
        self._grants = grants
        self._clock = clock
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": _ALGORITHM}, auto_kid=True)

    @property
    def issuer(self) -> str:
        """The ``iss`` of every token."""
        return self._issuer

    def jwks(self) -> dict[str, Any]:
        """The public key set."""
        return {"keys": [self._key.as_dict(private=False)]}

    def access_token(self, grant: Grant, scopes: tuple[str, ...], ttl_s: int) -> str:
        """Sign an access token (RFC 9068) for ``scopes`` of the grant."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": grant.audience or self._issuer,
            "sub": grant.context.practitioner if grant.context else grant.client_id,
            "client_id": grant.client_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + ttl_s,
            "jti": secrets.token_urlsafe(16),
            "grant": grant.id,
        }
        if grant.audience is not None and grant.context is not None:
            # Another server cannot look the launch context up as this one does.
            claims |= {"patient": grant.context.patient} if grant.context.patient else {}
            if "fhirUser" in scopes:
                claims["fhirUser"] = f"{self._issuer}/Practitioner/{grant.context.practitioner}"
        return jwt.encode({"alg": _ALGORITHM, "typ": _ACCESS_TOKEN_TYPE, "kid": self._key.kid}, claims, self._key)

    def id_token(self, grant: Grant, scopes: tuple[str, ...], ttl_s: int) -> str:
        """Sign an id_token; ``fhirUser`` is an absolute URL and present when that scope was granted."""
        assert grant.context is not None
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": grant.context.practitioner,
            "aud": grant.client_id,
            "iat": now,
            "exp": now + ttl_s,
        }
        if "fhirUser" in scopes:
            claims["fhirUser"] = f"{self._issuer}/Practitioner/{grant.context.practitioner}"
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        return jwt.encode({"alg": _ALGORITHM, "typ": "JWT", "kid": self._key.kid}, claims, self._key)

    def verify(self, unverified_token: str) -> AccessToken:
        """Check a token that is presented here; raise ``InvalidToken``, also when it is for another server."""
        token = self.inspect(unverified_token)
        if token.audience != self._issuer:
            raise InvalidToken("another audience")
        return token

    def inspect(self, unverified_token: str) -> AccessToken:
        """Check signature, type, issuer, audience, expiry and revocation; raise ``InvalidToken``."""
        try:
            token = jwt.decode(unverified_token, self._key, algorithms=[_ALGORITHM])
            rules = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True},
                exp={"essential": True},
            )
            rules.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise InvalidToken(type(error).__name__) from error
        grant = self._grants.get(token.claims.get("grant", ""))
        if token.header.get("typ") != _ACCESS_TOKEN_TYPE or grant is None:
            raise InvalidToken("revoked")
        audience = grant.audience or self._issuer
        if token.claims["aud"] != audience:
            raise InvalidToken("audience")
        scopes = tuple(token.claims["scope"].split())
        return AccessToken(
            client_id=grant.client_id,
            scopes=scopes,
            resource_scopes=tuple(resource_scopes(scopes)),
            context=grant.context,
            expires_at=token.claims["exp"],
            grant_id=grant.id,
            subject=token.claims["sub"],
            audience=audience,
        )
