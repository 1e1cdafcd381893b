"""The public keys of others, from the JWK Sets they publish: cached, bounded, and read again for a key that is new.

The address is one that an administrator registered; who calls says which. Nothing of a token chooses it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

__all__ = ["KeySetUnavailable", "RemoteKeySets", "UnknownKey", "VerificationKey", "verification_keys"]

VerificationKey = RSAKey | ECKey

_KEEP_S = 600.0
"""How long a set is used without being asked for again: so long a key that was withdrawn may still be taken."""
_KEEP_WITHOUT_ANSWER_S = 3_600.0
"""How long it is used when its server does not answer."""
_UNKNOWN_KID_S = 60.0
"""A kid that is not in the set makes it be read again, but not more often than this, whoever sends how many."""
_FAILED_S = 5.0
_TIMEOUT_S = 2.0
_MAX_BYTES = 131_072
_MAX_KEYS = 100
_MIN_RSA_BITS = 2_048
_BITS_PER_CHARACTER = 6
_KINDS: Mapping[object, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeySetUnavailable(Exception):
    """The key set cannot be had, or is none."""


class UnknownKey(LookupError):
    """The key set holds no signing key under that id, or more than one."""


@dataclass
class _Held:
    keys: dict[str, VerificationKey] | None = None
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    failed: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RemoteKeySets:
    """Finds keys by the address of their set and their ``kid``.

    ``http`` must be the client that refuses what is not registered; redirects are not followed.
    """

    def __init__(self, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._held: dict[str, _Held] = {}

    async def key(self, url: str, unverified_kid: str | None) -> VerificationKey:
        """Return the key called ``unverified_kid``, or the only one when that is None.

        Raises ``UnknownKey``, or ``KeySetUnavailable`` when there is no set to look in.
        """
        held = self._held.setdefault(url, _Held())
        async with held.lock:
            now = self._clock()
            is_new = _chosen(held.keys, unverified_kid) is None and now - held.asked_at >= _UNKNOWN_KID_S
            if is_new or now - held.read_at >= _KEEP_S:
                await self._read(url, held)
            keys = held.keys
        if keys is None:
            raise KeySetUnavailable
        key = _chosen(keys, unverified_kid)
        if key is None:
            raise UnknownKey
        return key

    async def _read(self, url: str, held: _Held) -> None:
        now = self._clock()
        if held.failed and now - held.asked_at < _FAILED_S:
            return
        held.asked_at = now
        try:
            held.keys = verification_keys(await self._fetch(url))
            held.read_at, held.failed = now, False
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, KeySetUnavailable, TimeoutError):
            held.failed = True
            if now - held.read_at >= _KEEP_WITHOUT_ANSWER_S:
                held.keys = None

    async def _fetch(self, url: str) -> object:
        body = bytearray()
        # httpx limits each wait; a server that sends a byte at a time needs a limit on the whole.
        async with (
            asyncio.timeout(_TIMEOUT_S),
            self._http.stream(
                "GET", url, headers={"Accept": "application/json"}, follow_redirects=False, timeout=_TIMEOUT_S
            ) as response,
        ):
            if response.status_code != 200:
                raise KeySetUnavailable
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise KeySetUnavailable
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise KeySetUnavailable from None


def verification_keys(unverified_set: object) -> dict[str, VerificationKey]:
    """Return the RSA and EC signing keys of a JWK Set by their ``kid``.

    A set in which two keys share a ``kid`` is refused (RFC 7517, 4.5 and CDS Hooks: it must be unique within the
    set): which of the two is meant would be the sender's choice. Keys of other kinds, for other uses, that are too
    short or that publish their private part are left out. Raises ``KeySetUnavailable`` when it is no JWK Set.
    """
    listed = unverified_set.get("keys") if isinstance(unverified_set, dict) else None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise KeySetUnavailable
    kids = [one["kid"] for one in listed if isinstance(one, dict) and isinstance(one.get("kid"), str)]
    if len(set(kids)) != len(kids):
        raise KeySetUnavailable
    found = {}
    for one in listed:
        key = _signing_key(one)
        if key is not None:
            found[one["kid"]] = key
    return found


def _signing_key(one: Any) -> VerificationKey | None:
    if not isinstance(one, dict) or not isinstance(one.get("kid"), str) or not one["kid"] or _PRIVATE & one.keys():
        return None
    kind, operations = _KINDS.get(one.get("kty")), one.get("key_ops")
    if kind is None or one.get("use", "sig") != "sig":
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    if kind is RSAKey and len(str(one.get("n")).rstrip("=")) * _BITS_PER_CHARACTER < _MIN_RSA_BITS:
        return None
    try:
        return kind.import_key(one)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _chosen(keys: dict[str, VerificationKey] | None, kid: str | None) -> VerificationKey | None:
    if not keys:
        return None
    if kid is None:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(kid)
