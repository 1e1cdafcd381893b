"""Envelope encryption: AES-256-GCM with data keys that only the secret store can unwrap.

A sealed blob is ``0x01 | length of wrapped key (2 bytes) | wrapped key | nonce (12) | ciphertext and tag``.
The data key is bound to its scope through the Transit context, the ciphertext to its place through the
additional authenticated data: a blob copied to another patient, table or row does not open.
"""

import asyncio
import os
import time
from collections import OrderedDict
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service_runtime.secrets import DataKey, DecryptionRefused, SecretStore

__all__ = ["EnvelopeCipher"]

_FORMAT = b"\x01"
_NONCE_BYTES = 12


class EnvelopeCipher:
    """Seals and opens blobs under one Transit key.

    Unwrapped data keys are kept in memory for at most ``key_ttl_s`` seconds and ``max_keys`` keys, so that a
    lost secret store stops decryption within that time and never leads to plaintext being written.
    """

    def __init__(self, store: SecretStore, transit_key: str, *, key_ttl_s: float = 300.0, max_keys: int = 512) -> None:
        self._store = store
        self._transit_key = transit_key
        self._key_ttl_s = key_ttl_s
        self._max_keys = max_keys
        self._opened: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._current: dict[str, tuple[float, DataKey]] = {}
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def seal(self, plaintext: bytes, *, scope: str, aad: str) -> bytes:
        """Encrypt ``plaintext`` for ``scope`` (whose data it is), bound to ``aad`` (where it is kept)."""
        key = await self._sealing_key(scope)
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = key.wrapped.encode()
        sealed = AESGCM(key.plaintext).encrypt(nonce, plaintext, aad.encode())
        return _FORMAT + len(wrapped).to_bytes(2, "big") + wrapped + nonce + sealed

    async def warm(self, scope: str) -> None:
        """Get the key that ``seal`` will need for ``scope``, beside other work; raise ``SecretError``."""
        await self._sealing_key(scope)

    async def open(self, blob: bytes, *, scope: str, aad: str) -> bytes:
        """Decrypt what ``seal`` made; raise ``DecryptionRefused`` on another scope, place or changed bytes."""
        if blob[:1] != _FORMAT or len(blob) < 3:
            raise DecryptionRefused(self._transit_key)
        end = 3 + int.from_bytes(blob[1:3], "big")
        wrapped = blob[3:end].decode("ascii", errors="replace")
        nonce, sealed = blob[end : end + _NONCE_BYTES], blob[end + _NONCE_BYTES :]
        key = await self._opening_key(scope, wrapped)
        try:
            return AESGCM(key).decrypt(nonce, sealed, aad.encode())
        except (InvalidTag, ValueError):
            raise DecryptionRefused(self._transit_key) from None

    async def _sealing_key(self, scope: str) -> DataKey:
        held = self._current.get(scope)
        if held and time.monotonic() < held[0]:
            return held[1]
        async with self._only_one(("", scope)):
            held = self._current.get(scope)
            if held and time.monotonic() < held[0]:
                return held[1]
            key = await self._store.new_data_key(self._transit_key, scope.encode())
            if len(self._current) >= self._max_keys:
                self._current.pop(next(iter(self._current)))
            self._current[scope] = (time.monotonic() + self._key_ttl_s, key)
            return key

    async def _opening_key(self, scope: str, wrapped: str) -> bytes:
        name = (wrapped, scope)
        async with self._only_one(name):
            held = self._opened.get(name)
            if held and time.monotonic() < held[0]:
                self._opened.move_to_end(name)
                return held[1]
            key = await self._store.unwrap_data_key(self._transit_key, wrapped, scope.encode())
            self._opened[name] = (time.monotonic() + self._key_ttl_s, key)
            while len(self._opened) > self._max_keys:
                self._opened.popitem(last=False)
            return key

    def _only_one(self, name: tuple[str, str]) -> asyncio.Lock:
        """Return the lock of one key: those who need it wait for one answer, those who need another do not."""
        return self._locks.setdefault(name, asyncio.Lock())
