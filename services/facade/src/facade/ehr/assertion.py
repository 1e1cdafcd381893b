"""The JWT with which the facade proves to an EHR who it is, and the key set that proves the JWT.

SMART App Launch 2.2, "Client Authentication: Asymmetric": header ``typ``, ``alg`` and ``kid``; ``iss`` and ``sub`` the
client id, ``aud`` the token URL exactly, ``exp`` at most five minutes away, a ``jti`` that is never used again.
"""

import asyncio
import base64
import json
import time
import uuid
from typing import Any

from joserfc.jwk import ECKey, RSAKey
from service_runtime.secrets import SecretStore

from facade.ehr.registration import SigningAlgorithm

__all__ = ["ASSERTION_TYPE", "CLIENT_ASSERTION_KEY", "ClientAssertions"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ASSERTION_KEY = "facade-client-assertion"
_LIFETIME_S = 240
_KEEP_S = 10.0
_KINDS: dict[SigningAlgorithm, tuple[str, type[ECKey] | type[RSAKey]]] = {
    SigningAlgorithm.ES384: ("", ECKey),
    SigningAlgorithm.RS384: ("-rs384", RSAKey),
}


class ClientAssertions:
    """Makes assertions with keys that never leave the secret store: ``key_name`` (P-384) and ``key_name``-rs384."""

    def __init__(self, secrets: SecretStore, key_name: str = CLIENT_ASSERTION_KEY) -> None:
        self._secrets = secrets
        self._key_name = key_name
        self._lock = asyncio.Lock()
        self._kept: tuple[float, dict[str, Any]] | None = None

    async def make(
        self,
        *,
        client_id: str,
        token_url: str,
        algorithm: SigningAlgorithm = SigningAlgorithm.ES384,
        jku: str | None = None,
    ) -> str:
        """Return a new assertion for one token request; ``jku`` is the registered address of our key set."""
        key = await self.public_key(algorithm)
        now = int(time.time())
        header = {"alg": str(algorithm), "typ": "JWT", "kid": key["kid"], **({"jku": jku} if jku else {})}
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": token_url,
            "iat": now,
            "exp": now + _LIFETIME_S,
            "jti": str(uuid.uuid4()),
        }
        signing_input = f"{_encode(header)}.{_encode(claims)}"
        signature = await self._secrets.sign(self._name(algorithm), signing_input.encode())
        return f"{signing_input}.{_base64url(signature)}"

    async def public_key(self, algorithm: SigningAlgorithm = SigningAlgorithm.ES384) -> dict[str, Any]:
        """Return the public JWK; its ``kid`` is the RFC 7638 thumbprint."""
        key = _KINDS[algorithm][1].import_key(await self._secrets.public_key_pem(self._name(algorithm)))
        return {
            **key.as_dict(private=False),
            "kid": key.thumbprint(),
            "alg": str(algorithm),
            "use": "sig",
            "key_ops": ["verify"],
        }

    async def key_set(self) -> dict[str, Any]:
        """Return the JWK Set to publish: one key for each algorithm, so that a registration may choose.

        It is kept for some seconds: anybody may ask for it, and nobody should be able to keep the secret store busy.
        """
        async with self._lock:
            if self._kept is None or time.monotonic() >= self._kept[0]:
                keys = await asyncio.gather(*(self.public_key(algorithm) for algorithm in _KINDS))
                self._kept = time.monotonic() + _KEEP_S, {"keys": list(keys)}
            return self._kept[1]

    def _name(self, algorithm: SigningAlgorithm) -> str:
        return f"{self._key_name}{_KINDS[algorithm][0]}"


def _encode(part: dict[str, Any]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
