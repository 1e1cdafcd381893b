"""Tokens that may be used once: the ``jti`` of each is kept until it can no longer be used, for all processes."""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

from advanced_alchemy.types import DateTimeUTC
from sqlalchemy import String, delete
from sqlalchemy.orm import Mapped, mapped_column

from facade.store.database import Database
from facade.store.tables import Base

__all__ = ["UsedAssertionRow", "UsedAssertions"]

_CLEAN_EVERY_S = 60.0


class UsedAssertionRow(Base):
    """A token that was used, by the SHA-256 of who issued it, for what, and its ``jti``."""

    __tablename__ = "used_assertion"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class UsedAssertions:
    """Remembers tokens in the database: another worker, and this process after a restart, know them too."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._clean_at = 0.0

    async def use(self, purpose: str, issuer: str, jti: str, expires_at: float) -> bool:
        """Return True the first time, and False ever after; the answer is on the disk before it is given.

        ``expires_at`` is when the token is refused for its age (seconds since 1970), so need not be known any longer.
        """
        values = {"digest": _digest(purpose, issuer, jti), "expires_at": datetime.fromtimestamp(expires_at, UTC)}
        now = self._clock()
        async with self._database.session() as session:
            if now >= self._clean_at:
                self._clean_at = now + _CLEAN_EVERY_S
                gone = UsedAssertionRow.expires_at < datetime.fromtimestamp(now, UTC)
                await session.execute(delete(UsedAssertionRow).where(gone))
            return await self._database.insert_new(session, UsedAssertionRow, values)


def _digest(*parts: str) -> str:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
