"""What waits for the browser to come back: kept sealed, bound to that browser, and taken out by the first who asks."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import delete

from facade.smart.cookies import FrameCookie, cookie_name
from facade.smart.errors import LaunchExpired
from facade.smart.secret_values import hashed, random_value
from facade.store.database import Database
from facade.store.tables import LaunchRow

__all__ = ["Kept", "PendingLaunches"]

_LIFETIME_S = 600

_Content = TypeVar("_Content", bound=BaseModel)


@dataclass(frozen=True)
class Kept:
    """The name under which something is kept (256 random bits), and the cookie that binds it to a browser."""

    handle: str
    cookie: FrameCookie


class PendingLaunches:
    """Keeps the steps of launches for ten minutes. ``kind`` says which step: one cannot be taken for another."""

    def __init__(
        self,
        database: Database,
        cipher: EnvelopeCipher,
        public_base_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._public_base_url = public_base_url
        self._clock = clock

    async def keep(self, kind: str, ehr_id: str, content: BaseModel) -> Kept:
        """Keep ``content``, and drop what is too old."""
        now = self._clock()
        handle, browser = random_value(), random_value()
        handle_hash = hashed(handle)
        sealed = await self._cipher.seal(
            content.model_dump_json().encode(), scope=_scope(ehr_id), aad=_place(kind, handle_hash)
        )
        async with self._database.session() as session:
            await session.execute(delete(LaunchRow).where(LaunchRow.expires_at <= now))
            session.add(
                LaunchRow(
                    state_hash=handle_hash,
                    browser_hash=hashed(browser),
                    ehr_id=ehr_id,
                    sealed=sealed,
                    expires_at=now + timedelta(seconds=_LIFETIME_S),
                )
            )
        return Kept(handle, FrameCookie(self.cookie_name(handle), value=browser, max_age=_LIFETIME_S))

    async def redeem(
        self, kind: str, unverified_handle: str, unverified_browser: str | None, model: type[_Content]
    ) -> tuple[str, _Content]:
        """Return the EHR's id and the content, once, whoever asks: a handle that was tried is used up."""
        handle_hash = hashed(unverified_handle)
        statement = delete(LaunchRow).where(LaunchRow.state_hash == handle_hash).returning(LaunchRow)
        async with self._database.session() as session:
            row = (await session.execute(statement)).scalar_one_or_none()
        if row is None:
            raise LaunchExpired("state-unknown")
        if not hmac.compare_digest(row.browser_hash, hashed(unverified_browser or "")):
            raise LaunchExpired("state-of-another-browser")
        if row.expires_at <= self._clock():
            raise LaunchExpired("state-expired")
        raw = await self._cipher.open(row.sealed, scope=_scope(row.ehr_id), aad=_place(kind, handle_hash))
        return row.ehr_id, model.model_validate_json(raw)

    def cookie_name(self, handle: str) -> str:
        """Return the name of the cookie that belongs to ``handle``."""
        return cookie_name("launch", hashed(handle)[:16], self._public_base_url)


def _scope(ehr_id: str) -> str:
    return f"launch/{ehr_id}"


def _place(kind: str, handle_hash: str) -> str:
    return f"launch.sealed/{kind}/{handle_hash}"
