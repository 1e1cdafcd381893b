"""What a service may ask of the secret store, and the in-memory twin used where no store is at hand."""

from __future__ import annotations

import os
import warnings
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = [
    "DataKey",
    "DecryptionRefused",
    "MemorySecretStore",
    "SecretError",
    "SecretNotFound",
    "SecretStore",
    "SecretStoreUnavailable",
]


class SecretError(Exception):
    """Base of what can go wrong with secrets.

    SecretError
    ├── SecretStoreUnavailable   sealed, unreachable, too slow, audit blocked: try again later
    ├── SecretNotFound           no such path, or the policy does not allow it
    └── DecryptionRefused        wrong key, wrong context, or the bytes were changed
    """


class SecretStoreUnavailable(SecretError):
    """The store did not answer in time, is sealed, or refuses to work unaudited."""


class SecretNotFound(SecretError):
    """There is nothing at that path for this identity."""


class DecryptionRefused(SecretError):
    """The ciphertext does not open with this key and context."""


class DataKey:
    """A 256-bit key for local encryption, with its wrapped form to keep beside the data."""

    __slots__ = ("plaintext", "wrapped")

    def __init__(self, plaintext: bytes, wrapped: str) -> None:
        self.plaintext = plaintext
        self.wrapped = wrapped

    def __repr__(self) -> str:
        return "DataKey(...)"


class SecretStore(Protocol):
    """KV v2 secrets and Transit keys of a Vault. ``context`` is bound to a derived Transit key."""

    async def read(self, path: str) -> dict[str, str]:
        """Return the fields at ``path``; raise ``SecretNotFound`` when there are none."""
        ...

    async def write(self, path: str, fields: dict[str, str]) -> None:
        """Replace the fields at ``path``."""
        ...

    async def keep_first(self, path: str, fields: dict[str, str]) -> dict[str, str]:
        """Write ``fields`` unless there are some at ``path``; return those that are there now."""
        ...

    async def destroy(self, path: str) -> None:
        """Destroy all versions of the fields at ``path``; nothing happens when there are none."""
        ...

    async def new_data_key(self, key: str, context: bytes) -> DataKey:
        """Make a data key wrapped by the Transit key ``key``."""
        ...

    async def unwrap_data_key(self, key: str, wrapped: str, context: bytes) -> bytes:
        """Return the plaintext of a wrapped data key; raise ``DecryptionRefused`` on a wrong context."""
        ...

    async def sign(self, key: str, message: bytes) -> bytes:
        """Sign with the Transit key ``key``, as its type says: ES384 (the signature in JWS form) or RS384."""
        ...

    async def public_key_pem(self, key: str) -> str:
        """Return the public half of the newest version of a Transit signing key."""
        ...

    async def check(self) -> None:
        """Do a real Transit round trip; raise ``SecretStoreUnavailable`` when it does not work.

        ``sys/health`` is not enough: it stays 200 while every call hangs or fails.
        """
        ...


class MemorySecretStore:
    """The null twin of a Vault: everything is lost with the process. It warns when made.

    In a Vault a signing key has the type it was made with; here one whose name ends in ``-rs384`` is RSA, every other
    is P-384.
    """

    def __init__(self) -> None:
        warnings.warn("secrets are kept in memory only; use a Vault", stacklevel=2)
        self._fields: dict[str, dict[str, str]] = {}
        self._keys: dict[str, bytes] = {}
        self._signers: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {}

    async def read(self, path: str) -> dict[str, str]:
        """See ``SecretStore.read``."""
        try:
            return dict(self._fields[path])
        except KeyError:
            raise SecretNotFound(path) from None

    async def write(self, path: str, fields: dict[str, str]) -> None:
        """See ``SecretStore.write``."""
        self._fields[path] = dict(fields)

    async def keep_first(self, path: str, fields: dict[str, str]) -> dict[str, str]:
        """See ``SecretStore.keep_first``."""
        return dict(self._fields.setdefault(path, dict(fields)))

    async def destroy(self, path: str) -> None:
        """See ``SecretStore.destroy``."""
        self._fields.pop(path, None)

    async def new_data_key(self, key: str, context: bytes) -> DataKey:
        """See ``SecretStore.new_data_key``."""
        plaintext = os.urandom(32)
        nonce = os.urandom(12)
        wrapped = nonce + AESGCM(self._key(key)).encrypt(nonce, plaintext, context)
        return DataKey(plaintext, wrapped.hex())

    async def unwrap_data_key(self, key: str, wrapped: str, context: bytes) -> bytes:
        """See ``SecretStore.unwrap_data_key``."""
        try:
            raw = bytes.fromhex(wrapped)
            return AESGCM(self._key(key)).decrypt(raw[:12], raw[12:], context)
        except (InvalidTag, ValueError):
            raise DecryptionRefused(key) from None

    async def sign(self, key: str, message: bytes) -> bytes:
        """See ``SecretStore.sign``."""
        signer = self._signer(key)
        if isinstance(signer, rsa.RSAPrivateKey):
            return signer.sign(message, PKCS1v15(), SHA384())
        r, s = decode_dss_signature(signer.sign(message, ec.ECDSA(SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    async def public_key_pem(self, key: str) -> str:
        """See ``SecretStore.public_key_pem``."""
        public = self._signer(key).public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def check(self) -> None:
        """See ``SecretStore.check``."""

    def _key(self, name: str) -> bytes:
        return self._keys.setdefault(name, os.urandom(32))

    def _signer(self, name: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        if name not in self._signers:
            if name.endswith("-rs384"):
                self._signers[name] = rsa.generate_private_key(public_exponent=65_537, key_size=3072)
            else:
                self._signers[name] = ec.generate_private_key(ec.SECP384R1())
        return self._signers[name]
