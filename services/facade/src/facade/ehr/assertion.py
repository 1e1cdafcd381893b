"""The JWT with which the facade proves to an EHR who it is, and the key set that proves the JWT.

SMART App Launch 2.2, "Client Authentication: Asymmetric": header ``typ``, ``alg`` and ``kid``; ``iss`` and ``sub`` the
client id, ``aud`` the token URL exactly, ``exp`` at most five minutes away, a ``jti`` that is never used again.
"""

import base64
import json
import time
import uuid
from typing import Any

from joserfc.jwk import ECKey
from service_runtime.secrets import SecretStore

__all__ = ["ASSERTION_TYPE", "CLIENT_ASSERTION_KEY", "ClientAssertions"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ASSERTION_KEY = "facade-client-assertion"
_LIFETIME_S = 240


class ClientAssertions:
    """Makes ES384 assertions with a key that never leaves the secret store."""

    def __init__(self, secrets: SecretStore, key_name: str = CLIENT_ASSERTION_KEY) -> None:
        self._secrets = secrets
        self._key_name = key_name

    async def make(self, *, client_id: str, token_url: str) -> str:
        """Return a new assertion for one token request."""
        key = await self.public_key()
        now = int(time.time())
        header = {"alg": "ES384", "typ": "JWT", "kid": key["kid"]}
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": token_url,
            "iat": now,
            "exp": now + _LIFETIME_S,
            "jti": str(uuid.uuid4()),
        }
        signing_input = f"{_encode(header)}.{_encode(claims)}"
        signature = await self._secrets.sign(self._key_name, signing_input.encode())
        return f"{signing_input}.{_base64url(signature)}"

    async def public_key(self) -> dict[str, Any]:
        """Return the public JWK; its ``kid`` is the RFC 7638 thumbprint."""
        key = ECKey.import_key(await self._secrets.public_key_pem(self._key_name))
        return {
            **key.as_dict(private=False),
            "kid": key.thumbprint(),
            "alg": "ES384",
            "use": "sig",
            "key_ops": ["verify"],
        }

    async def key_set(self) -> dict[str, Any]:
        """Return the JWK Set to publish."""
        return {"keys": [await self.public_key()]}


def _encode(part: dict[str, Any]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
