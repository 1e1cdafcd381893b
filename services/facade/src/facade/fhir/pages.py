"""The opaque ``next`` links: where a search goes on, sealed for the very access that began it.

What was searched for may name a patient, so the link shows nothing; opened by another token, for another type or
after an hour, it is not a page.
"""

import base64
import binascii
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fhir_support.errors import NotFound

from facade.fhir.access import Access
from facade.store.resources import Place, Resources

__all__ = ["PAGE_PARAMETER", "Page", "Pages"]

PAGE_PARAMETER = "_page"
_PURPOSE = "pages"
_LIFETIME_S = 3_600
_NONCE_BYTES = 12
_MAX_CHARACTERS = 8_192


@dataclass(frozen=True)
class Page:
    """The parameters of what was asked, and the last resource that was seen."""

    pairs: tuple[tuple[str, str], ...]
    after: Place
    strict: bool


class Pages:
    """Makes and opens page tokens."""

    def __init__(self, resources: Resources, clock: Callable[[], float] = time.time) -> None:
        self._resources = resources
        self._clock = clock

    async def seal(self, access: Access, place: str, page: Page) -> str:
        """Return the token of ``page`` of ``place`` (which list it is: a type, a history)."""
        content = [page.pairs, page.after, page.strict, int(self._clock()) + _LIFETIME_S]
        nonce = os.urandom(_NONCE_BYTES)
        sealed = (await self._cipher(access)).encrypt(nonce, json.dumps(content).encode(), _binding(access, place))
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    async def open(self, access: Access, place: str, unverified_token: str) -> Page:
        """Return the page; raise ``NotFound`` when it is no page of this access and place, or has expired."""
        try:
            if len(unverified_token) > _MAX_CHARACTERS:
                raise ValueError
            padded = unverified_token.encode("ascii") + b"=" * (-len(unverified_token) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            cipher = await self._cipher(access)
            opened = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _binding(access, place))
        except (InvalidTag, ValueError, binascii.Error):
            raise NotFound("There is no such page; search again.") from None
        pairs, after, strict, expires_at = json.loads(opened)
        if expires_at < self._clock():
            raise NotFound("The page has expired; search again.")
        return Page(tuple((name, value) for name, value in pairs), (after[0], after[1]), strict)

    async def _cipher(self, access: Access) -> AESGCM:
        return AESGCM(await self._resources.derived_key(access.ehr_id, _PURPOSE))


def _binding(access: Access, place: str) -> bytes:
    return f"{access.binding}\n{place}".encode()
