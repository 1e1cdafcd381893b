"""The secret that an EHR sends with its notifications: made here, given to it in its channel's header, and changed.

It is of limited use: it opens nothing but the address for notifications of that EHR. While it is being changed the
former one is accepted too, for as long as notifications that carry it may be on their way.
"""

import asyncio
import hmac
import secrets as random_secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from service_runtime.secrets import SecretError, SecretNotFound, SecretStore, SecretStoreUnavailable

__all__ = ["ChannelSecret", "ChannelSecrets", "secret_path"]

_KEEP_S = 60.0
_LOOK_AGAIN_S = 1.0
_FORMER_S = 900.0
"""How long the former secret is accepted after the EHR has been given the new one."""

_LIFETIME_S = 90 * 86_400.0


def secret_path(ehr_id: str) -> str:
    """Return where the secret of our Subscription at an EHR is kept (field ``token``)."""
    return f"facade/subscriptions/{ehr_id}"


@dataclass(frozen=True)
class ChannelSecret:
    """The secret of one EHR. ``delivered`` says that the EHR's Subscription is known to hold it.

    ``former`` is accepted until ``former_until`` (seconds since 1970), without an end while it is not delivered.
    """

    token: str
    made_at: float = 0.0
    delivered: bool = True
    former: str = ""
    former_until: float = 0.0

    def accepts(self, unverified_authorization: str, now: float) -> bool:
        """Whether the header holds the secret; takes as long for a wrong one as for a right one."""
        sent = unverified_authorization.encode()
        right = hmac.compare_digest(f"Bearer {self.token}".encode(), sent)
        former = hmac.compare_digest(f"Bearer {self.former}".encode(), sent)
        is_valid = bool(self.former) and (not self.delivered or now < self.former_until)
        return right or (former and is_valid)

    def is_old(self, now: float) -> bool:
        """Whether it is time for another; one that somebody else has put there is not ours to change."""
        return bool(self.made_at) and now - self.made_at > _LIFETIME_S

    def fields(self) -> dict[str, str]:
        """Return the fields that the secret store keeps."""
        return {
            "token": self.token,
            "made_at": str(self.made_at),
            "delivered": "yes" if self.delivered else "no",
            "former": self.former,
            "former_until": str(self.former_until),
        }


class ChannelSecrets:
    """The secrets by EHR, held in memory for a minute; a wrong one makes the store be asked at most once a second."""

    def __init__(self, secrets: SecretStore, clock: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._clock = clock
        self._held: dict[str, tuple[float, ChannelSecret]] = {}
        self._looked: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def recognises(self, ehr_id: str, unverified_authorization: str) -> bool | None:
        """Whether the header holds the secret; None when the store must be asked first. Does not wait."""
        held, now = self._held.get(ehr_id), time.monotonic()
        is_fresh = held is not None and now < held[0] + _KEEP_S
        if held is not None and is_fresh and held[1].accepts(unverified_authorization, self._clock()):
            return True
        # Another process may have changed the secret a moment ago.
        if now < self._looked.get(ehr_id, -_KEEP_S) + _LOOK_AGAIN_S:
            return False
        return None

    async def accepts(self, ehr_id: str, unverified_authorization: str) -> bool:
        """Whether the header holds the secret of that EHR; raise ``SecretError`` when that cannot be told."""
        known = self.recognises(ehr_id, unverified_authorization)
        if known is not None:
            return known
        async with self._locks.setdefault(ehr_id, asyncio.Lock()):
            known = self.recognises(ehr_id, unverified_authorization)
            if known is None:
                known = await self._looked_up(ehr_id, unverified_authorization)
        return known

    async def _looked_up(self, ehr_id: str, unverified_authorization: str) -> bool:
        if time.monotonic() < self._failed.get(ehr_id, -_KEEP_S) + _LOOK_AGAIN_S:
            raise SecretStoreUnavailable("the secret could not be read a moment ago")
        try:
            await self.get(ehr_id)
        except SecretNotFound:
            self._looked[ehr_id] = time.monotonic()
            return False
        except SecretError:
            self._failed[ehr_id] = time.monotonic()
            raise
        self._looked[ehr_id] = time.monotonic()
        return bool(self.recognises(ehr_id, unverified_authorization))

    async def get(self, ehr_id: str) -> ChannelSecret:
        """Read the secret from the store; raise ``SecretError``."""
        fields = await self._secrets.read(secret_path(ehr_id))
        secret = ChannelSecret(
            token=fields["token"],
            made_at=float(fields.get("made_at") or 0),
            delivered=fields.get("delivered", "yes") == "yes",
            former=fields.get("former", ""),
            former_until=float(fields.get("former_until") or 0),
        )
        self._hold(ehr_id, secret)
        return secret

    async def get_or_make(self, ehr_id: str) -> ChannelSecret:
        """Return the secret, a new one when there is none or it has become old; raise ``SecretError``."""
        try:
            secret = await self.get(ehr_id)
        except SecretNotFound:
            secret = ChannelSecret(_new_token(), self._clock(), delivered=False)
            await self._write(ehr_id, secret)
            return secret
        return await self.change(ehr_id) if secret.is_old(self._clock()) and secret.delivered else secret

    async def change(self, ehr_id: str) -> ChannelSecret:
        """Make another secret and keep the present one as the former; the EHR does not have it yet."""
        present = await self.get(ehr_id)
        if not present.delivered:
            return present
        changed = ChannelSecret(_new_token(), self._clock(), delivered=False, former=present.token)
        await self._write(ehr_id, changed)
        return changed

    async def delivered(self, ehr_id: str, secret: ChannelSecret) -> None:
        """Remember that the EHR's Subscription holds ``secret`` now; the former one ends soon."""
        if not secret.delivered:
            until = self._clock() + _FORMER_S if secret.former else 0.0
            await self._write(ehr_id, replace(secret, delivered=True, former_until=until))

    async def _write(self, ehr_id: str, secret: ChannelSecret) -> None:
        await self._secrets.write(secret_path(ehr_id), secret.fields())
        self._hold(ehr_id, secret)

    def _hold(self, ehr_id: str, secret: ChannelSecret) -> None:
        self._held[ehr_id] = (time.monotonic(), secret)


def _new_token() -> str:
    return random_secrets.token_urlsafe(32)
