"""The public keys of private_key_jwt clients, inline or fetched from their registered JWKS URL."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from sandbox_ehr.auth.clients import Client
from sandbox_ehr.auth.errors import OAuthError

__all__ = ["ClientKeys"]

# A key set is read again after this time, or sooner for an unknown kid: at most once in the second interval.
_KEEP_S = 300.0
_UNKNOWN_KID_S = 1.0
_FAMILY = {"RS384": "RSA", "ES384": "EC"}


class ClientKeys:
    """Finds the one key of a client that a ``kid`` names."""

    def __init__(self, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._fetched: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    async def find(self, client: Client, kid: str, algorithm: str) -> RSAKey | ECKey:
        """Return the key; raise ``OAuthError`` invalid_client when there is none of that kid and kind."""
        keys = await self._keys(client, _KEEP_S)
        if client.jwks_uri and not any(key.get("kid") == kid for key in keys):
            keys = await self._keys(client, _UNKNOWN_KID_S)
        matching = [key for key in keys if key.get("kid") == kid and key.get("kty") == _FAMILY[algorithm]]
        if len(matching) != 1:
            raise OAuthError("invalid_client", "no single registered key has this kid and key type", 401)
        try:
            key = JWKRegistry.import_key(matching[0])
        except (JoseError, ValueError) as error:
            raise OAuthError("invalid_client", "the registered key cannot be read", 401) from error
        assert isinstance(key, RSAKey | ECKey)
        return key

    async def _keys(self, client: Client, max_age_s: float) -> list[dict[str, Any]]:
        if client.jwks is not None:
            return list(client.jwks.get("keys", []))
        assert client.jwks_uri is not None
        held = self._fetched.get(client.client_id)
        if held and self._clock() - held[0] < max_age_s:
            return held[1]
        try:
            response = await self._http.get(client.jwks_uri, headers={"Accept": "application/json"})
            keys = response.raise_for_status().json()["keys"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise OAuthError("invalid_client", "the registered jwks_uri could not be read", 401) from error
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise OAuthError("invalid_client", "the registered jwks_uri is not a key set", 401)
        self._fetched[client.client_id] = (self._clock(), keys)
        return keys
