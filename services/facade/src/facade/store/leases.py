"""Claiming rows of a queue table so that each is worked on by one worker at a time, and none is lost."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from facade.store.database import Database
from facade.store.tables import LeasedRow

__all__ = ["LeaseQueue", "RetryPolicy", "State"]

_Row = TypeVar("_Row", bound=LeasedRow)


class State:
    """The states of a leased row."""

    PENDING = "pending"
    DONE = "done"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter; ``quarantine_after`` failures take a row out of the queue."""

    base_s: float
    max_s: float
    quarantine_after: int

    def delay_s(self, attempts: int) -> float:
        """Seconds to wait after the given number of attempts: half of it fixed, half random."""
        ceiling = min(self.max_s, self.base_s * 2.0 ** min(max(0, attempts - 1), 16))
        return ceiling / 2 + random.uniform(0, ceiling / 2)  # noqa: S311  jitter, not a secret


class LeaseQueue(Generic[_Row]):
    """A queue in ``table``. ``owner`` names this process; a lease lasts ``lease_s`` seconds.

    ``in_order_by`` names a column whose rows must finish in the order they were added.
    """

    def __init__(
        self,
        database: Database,
        table: type[_Row],
        *,
        owner: str,
        lease_s: float,
        retry: RetryPolicy,
        in_order_by: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._table = table
        self._owner = owner
        self._lease = timedelta(seconds=lease_s)
        self._retry = retry
        self._in_order_by = in_order_by
        self._clock = clock

    async def claim(self) -> _Row | None:
        """Lease the oldest row that is due, or return None.

        On PostgreSQL a row that another worker is just claiming is passed over, so that nobody goes away empty; the
        conditions stand in the update as well as in the choice, so that no row is ever claimed twice. SQLite has one
        writer at a time.
        """
        async with self._database.session() as session:
            return await self._claim(session, self._clock())

    async def claim_together(self, group: str) -> list[_Row]:
        """Lease the oldest row that is due and those that have the same value in the column ``group``.

        What is added to the group later is not part of the claim, and with ``in_order_by`` nobody else works on it
        meanwhile.
        """
        now = self._clock()
        column = getattr(self._table, group)
        async with self._database.session() as session:
            first = await self._claim(session, now)
            if first is None or getattr(first, group) is None:
                return [first] if first is not None else []
            statement = (
                update(self._table)
                .where(column == getattr(first, group), self._table.sequence != first.sequence, *self._free(now))
                .values(lease_owner=self._owner, lease_until=now + self._lease, attempts=self._table.attempts + 1)
                .returning(self._table)
                .execution_options(synchronize_session=False)
            )
            return [first, *(await session.scalars(statement)).all()]

    async def _claim(self, session: AsyncSession, now: datetime) -> _Row | None:
        chosen = (
            select(self._table.sequence)
            .where(*self._due(now))
            .order_by(self._table.sequence)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).scalar_subquery()
        statement = (
            update(self._table)
            .where(self._table.sequence == chosen, *self._free(now))
            .values(lease_owner=self._owner, lease_until=now + self._lease, attempts=self._table.attempts + 1)
            .returning(self._table)
            .execution_options(synchronize_session=False)
        )
        return (await session.execute(statement)).scalar_one_or_none()

    async def finish(self, row: _Row, **values: Any) -> None:
        """Take a row that has been dealt with out of the queue."""
        await self.finish_all([row], **values)

    async def finish_all(self, rows: Sequence[_Row], **values: Any) -> None:
        """Take rows that have been dealt with out of the queue, in one transaction."""
        async with self._database.session() as session:
            for row in rows:
                await self._end(session, row, state=State.DONE, finished_at=self._clock(), reason=None, **values)

    async def fail(self, row: _Row, *, counts: bool, reason: str | None = None) -> bool:
        """Put a row back with a delay, or quarantine it after too many failures that count.

        Returns whether it was quarantined. What is only unavailable (``counts`` False) is tried for ever. ``reason``
        is a code, never words of a message.
        """
        return await self.fail_all([row], counts=counts, reason=reason) == 1

    async def fail_all(self, rows: Sequence[_Row], *, counts: bool, reason: str | None = None) -> int:
        """Put rows back as ``fail`` does, in one transaction; return how many were quarantined."""
        quarantined = 0
        async with self._database.session() as session:
            for row in rows:
                failures = row.failures + (1 if counts else 0)
                given_up = failures >= self._retry.quarantine_after
                await self._end(
                    session,
                    row,
                    state=State.QUARANTINED if given_up else State.PENDING,
                    failures=failures,
                    next_attempt_at=self._clock() + timedelta(seconds=self._retry.delay_s(row.attempts)),
                    reason=reason[:64] if reason else None,
                )
                quarantined += given_up
        return quarantined

    async def quarantined(self, limit: int = 100) -> list[_Row]:
        """Return what was taken out of the queue because it kept failing, the oldest first."""
        query = (
            select(self._table)
            .where(self._table.state == State.QUARANTINED)
            .order_by(self._table.sequence)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def release_own(self) -> int:
        """Free what an earlier process of this name had claimed when it died; return how many rows."""
        statement = (
            update(self._table)
            .where(self._table.lease_owner == self._owner)
            .values(lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        async with self._database.session() as session:
            result = await session.execute(statement)
        return int(getattr(result, "rowcount", 0))

    async def requeue(self) -> int:
        """Put every quarantined row back as if it had never failed; return how many."""
        statement = (
            update(self._table)
            .where(self._table.state == State.QUARANTINED)
            .values(state=State.PENDING, failures=0, next_attempt_at=self._clock())
            .execution_options(synchronize_session=False)
        )
        async with self._database.session() as session:
            result = await session.execute(statement)
        return int(getattr(result, "rowcount", 0))

    async def counts(self) -> dict[str, int]:
        """Return the number of rows in each state."""
        query = select(self._table.state, func.count()).group_by(self._table.state)
        async with self._database.reading() as session:
            return {str(state): int(count) for state, count in (await session.execute(query)).all()}

    def _free(self, now: datetime) -> list[ColumnElement[bool]]:
        return [
            self._table.state == State.PENDING,
            self._table.next_attempt_at <= now,
            or_(self._table.lease_until.is_(None), self._table.lease_until <= now),
        ]

    def _due(self, now: datetime) -> list[ColumnElement[bool]]:
        conditions = self._free(now)
        if self._in_order_by is not None:
            earlier = aliased(self._table)
            same = getattr(earlier, self._in_order_by) == getattr(self._table, self._in_order_by)
            blocked = (
                select(earlier.sequence)
                .where(same, earlier.state == State.PENDING, earlier.sequence < self._table.sequence)
                .exists()
            )
            conditions.append(~blocked)
        return conditions

    async def _end(self, session: AsyncSession, row: _Row, **values: Any) -> None:
        """Change a row only while this claim holds: after the lease ran out, whoever claimed it next decides.

        ``attempts`` grows with every claim and so tells our claim from a later one.
        """
        statement = (
            update(self._table)
            .where(
                self._table.sequence == row.sequence,
                self._table.lease_owner == self._owner,
                self._table.attempts == row.attempts,
            )
            .values(lease_owner=None, lease_until=None, **values)
            .execution_options(synchronize_session=False)
        )
        await session.execute(statement)
