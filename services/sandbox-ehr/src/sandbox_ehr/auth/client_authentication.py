"""Client authentication at the token endpoint: public, client secret by Basic, or a signed assertion."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jws, jwt
from joserfc.errors import JoseError

from sandbox_ehr.auth.client_keys import ClientKeys
from sandbox_ehr.auth.clients import Client, Clients
from sandbox_ehr.auth.errors import OAuthError
from sandbox_ehr.auth.seen_assertions import SeenAssertions

__all__ = ["ASSERTION_ALGORITHMS", "ASSERTION_TYPE", "ClientAuthentication"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ("RS384", "ES384")
# SMART, asymmetric authentication: exp SHALL be no more than five minutes in the future.
_MAX_LIFETIME_S = 300
_MAX_JTI_CHARACTERS = 255
_CLOCK_SKEW_S = 60
_PUBLIC, _SECRET, _ASSERTION = "none", "client_secret_basic", "private_key_jwt"


class ClientAuthentication:
    """Says which client sends a request, by the one method it is registered for."""

    def __init__(
        self,
        clients: Clients,
        keys: ClientKeys,
        seen: SeenAssertions,
        token_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = clients
        self._keys = keys
        self._seen = seen
        self._token_url = token_url
        self._clock = clock

    async def authenticate(
        self, form: Mapping[str, str], authorization: str | None, endpoint: str | None = None
    ) -> Client:
        """Return the client; raise ``OAuthError`` invalid_client (401) when it does not prove itself.

        An assertion is for the token endpoint, or for ``endpoint`` where another one is called.
        """
        if "client_secret" in form:
            raise OAuthError("invalid_client", "send the secret by HTTP Basic, not in the body", 401)
        if "client_assertion" in form or "client_assertion_type" in form:
            if authorization is not None:
                raise OAuthError("invalid_request", "more than one method of client authentication")
            return await self._by_assertion(form, {self._token_url, endpoint or self._token_url})
        if authorization is not None:
            return self._by_secret(form, authorization)
        client = self._clients.get(form.get("client_id"))
        if client is None or client.token_endpoint_auth_method != _PUBLIC:
            raise OAuthError("invalid_client", "the client is unknown or must authenticate", 401)
        return client

    def _by_secret(self, form: Mapping[str, str], authorization: str) -> Client:
        scheme, _, credentials = authorization.partition(" ")
        try:
            decoded = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        # RFC 6749, 2.3.1: both parts are form-urlencoded before they are joined.
        client_id, _, secret = (unquote_plus(part) for part in decoded.partition(":"))
        client = self._clients.get(client_id)
        if (
            scheme.lower() != "basic"
            or client is None
            or client.token_endpoint_auth_method != _SECRET
            or not client.has_secret(secret)
        ):
            raise OAuthError("invalid_client", "unknown client or wrong secret", 401)
        if form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_client", "client_id is not the one that authenticated", 401)
        return client

    async def _by_assertion(self, form: Mapping[str, str], audiences: set[str]) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}", 401)
        unverified_assertion = form.get("client_assertion", "")
        try:
            unverified = jws.extract_compact(unverified_assertion.encode())
            unverified_header = unverified.headers()
            unverified_claims = json.loads(unverified.payload)
            unverified_issuer = unverified_claims.get("iss")
        except (JoseError, ValueError, AttributeError) as error:
            raise OAuthError("invalid_client", "client_assertion is not a signed JWT", 401) from error
        client = self._clients.get(unverified_issuer)
        if client is None or client.token_endpoint_auth_method != _ASSERTION:
            raise OAuthError("invalid_client", "iss is not a client registered for private_key_jwt", 401)
        self._check_header(client, unverified_header)
        key = await self._keys.find(client, unverified_header["kid"], unverified_header["alg"])
        try:
            claims = jwt.decode(unverified_assertion, key, algorithms=[unverified_header["alg"]]).claims
        except (JoseError, ValueError) as error:
            raise OAuthError("invalid_client", "the signature of client_assertion is wrong", 401) from error
        self._check_claims(client, claims, audiences)
        if form.get("client_id", client.client_id) != client.client_id:
            raise OAuthError("invalid_client", "client_id is not the one that authenticated", 401)
        return client

    def _check_header(self, client: Client, header: Mapping[str, Any]) -> None:
        if header.get("alg") not in ASSERTION_ALGORITHMS:
            raise OAuthError("invalid_client", "alg must be RS384 or ES384", 401)
        if header.get("typ") != "JWT":
            raise OAuthError("invalid_client", "typ must be JWT", 401)
        if not isinstance(header.get("kid"), str):
            raise OAuthError("invalid_client", "kid is missing", 401)
        if "jku" in header and header["jku"] != client.jwks_uri:
            raise OAuthError("invalid_client", "jku is not the registered jwks_uri", 401)

    def _check_claims(self, client: Client, claims: Mapping[str, Any], audiences: set[str]) -> None:
        now = self._clock()
        expires_at, jti = claims.get("exp"), claims.get("jti")
        if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
            raise OAuthError("invalid_client", "iss and sub must both be the client_id", 401)
        if not any(claims.get("aud") in (url, [url]) for url in audiences):
            raise OAuthError("invalid_client", f"aud must be {self._token_url}", 401)
        if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or not expires_at > now:
            raise OAuthError("invalid_client", "exp is missing or past", 401)
        if not expires_at <= now + _MAX_LIFETIME_S:
            raise OAuthError("invalid_client", "exp is more than five minutes away", 401)
        for name in ("iat", "nbf"):
            if name in claims and not (isinstance(claims[name], int | float) and claims[name] <= now + _CLOCK_SKEW_S):
                raise OAuthError("invalid_client", f"{name} lies in the future", 401)
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_CHARACTERS:
            raise OAuthError("invalid_client", "jti is missing or too long", 401)
        self._seen.remember(client.client_id, jti, expires_at)
