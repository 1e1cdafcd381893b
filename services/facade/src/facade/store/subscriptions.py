"""What is known of each subscription: which numbers were heard of, which are missing, and when the EHR last spoke."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from facade.store.database import Database
from facade.store.tables import InboxRow, SubscriptionRow

__all__ = ["Arrival", "SubscriptionState", "Subscriptions"]

_MOST_NUMBERS = 20_000
"""How far above what is accounted for numbers are looked at one by one."""


@dataclass(frozen=True)
class SubscriptionState:
    """See ``SubscriptionRow``; ``payload`` is None for the usual content."""

    ehr_id: str
    subscription: str
    epoch: int
    highest: int
    through: int
    since: datetime
    heard_at: datetime | None = None
    heartbeats: bool = False
    payload: str | None = None


@dataclass(frozen=True)
class Arrival:
    """What a notification, or an answer to ``$status``, says of its subscription.

    ``count`` is events-since-subscription-start. ``counts_anew`` says that a lower count than before means that the
    EHR counts anew: only a handshake and an answer can say so, an event may have been overtaken. For an answer
    ``known`` is what was the highest number when it was asked for, and ``is_heard`` is false.
    """

    ehr_id: str
    subscription: str
    request_id: str
    count: int | None = None
    numbers: tuple[int, ...] = ()
    counts_anew: bool = False
    known: int | None = None
    is_handshake: bool = False
    is_heartbeat: bool = False
    is_heard: bool = True

    def restarts(self, state: SubscriptionState) -> bool:
        """Whether the EHR says that it counts anew."""
        if not self.counts_anew or self.count is None:
            return False
        return self.count < (state.highest if self.known is None else min(self.known, state.highest))


class Subscriptions:
    """One row per subscription; what is written here together with events is written in their transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, ehr_id: str, subscription: str) -> SubscriptionState:
        """Return what is known, starting a record when nothing is."""
        query = select(SubscriptionRow).where(
            SubscriptionRow.ehr_id == ehr_id, SubscriptionRow.subscription == subscription
        )
        async with self._database.reading() as session:
            row = (await session.scalars(query)).one_or_none()
        if row is not None:
            return _state(row)
        async with self._database.session() as session:
            return await self.current(session, ehr_id, subscription)

    async def current(self, session: AsyncSession, ehr_id: str, subscription: str) -> SubscriptionState:
        """Return what is known and hold it against others until the transaction ends."""
        query = (
            select(SubscriptionRow)
            .where(SubscriptionRow.ehr_id == ehr_id, SubscriptionRow.subscription == subscription)
            .with_for_update()
        )
        row = (await session.scalars(query)).one_or_none()
        if row is None:
            values = {
                "ehr_id": ehr_id, "subscription": subscription, "epoch": 0, "highest": 0, "through": 0,
                "heartbeats": False, "since": datetime.now(UTC),
            }  # fmt: skip
            await self._database.insert_new(session, SubscriptionRow, values)
            row = (await session.scalars(query)).one()
        return _state(row)

    async def arrived(
        self, session: AsyncSession, before: SubscriptionState, arrival: Arrival, *, restarts: bool
    ) -> SubscriptionState:
        """Keep what a notification says; its events have been written in the same transaction."""
        state = before
        if restarts:
            # What the EHR counted before it said that it counts anew is searched for as a whole.
            through = (arrival.count or 0) if arrival.counts_anew else 0
            state = replace(before, epoch=before.epoch + 1, highest=through, through=through)
        state = replace(
            state,
            highest=max(state.highest, arrival.count or 0, *arrival.numbers),
            heard_at=datetime.now(UTC) if arrival.is_heard else before.heard_at,
            heartbeats=before.heartbeats or arrival.is_heartbeat,
        )
        return await self._keep(session, await self._closed(session, state))

    async def settled(self, session: AsyncSession, before: SubscriptionState, *, until: int) -> SubscriptionState:
        """Keep that every number up to ``until`` is accounted for."""
        state = replace(before, through=max(before.through, min(until, before.highest)))
        return await self._keep(session, await self._closed(session, state))

    async def missing(self, state: SubscriptionState) -> list[int]:
        """Return the numbers that were counted and have not arrived, at most ``_MOST_NUMBERS`` of them."""
        async with self._database.reading() as session:
            known = set(await self._numbers(session, state))
        top = min(state.highest, state.through + _MOST_NUMBERS)
        return [number for number in range(state.through + 1, top + 1) if number not in known]

    async def caught_up(
        self, ehr_id: str, subscription: str, until: datetime, *, unless: ColumnElement[bool] | None = None
    ) -> None:
        """Remember that everything up to ``until`` has been searched for and stored; ``unless`` is looked at then."""
        statement = _update(ehr_id, subscription).where(SubscriptionRow.since < until)
        if unless is not None:
            statement = statement.where(~unless)
        async with self._database.session() as session:
            await session.execute(statement.values(since=until))

    async def ask_for(self, ehr_id: str, subscription: str, payload: str | None) -> None:
        """Remember which content the EHR is asked to send; None for the usual."""
        await self.get(ehr_id, subscription)
        async with self._database.session() as session:
            await session.execute(_update(ehr_id, subscription).values(payload=payload))

    async def _closed(self, session: AsyncSession, state: SubscriptionState) -> SubscriptionState:
        """Return the state with ``through`` moved up over the numbers that have arrived without a hole."""
        if state.through >= state.highest:
            return state
        through = state.through
        for number in await self._numbers(session, state):
            if number > through + 1:
                break
            through = max(through, number)
        return replace(state, through=through)

    async def _numbers(self, session: AsyncSession, state: SubscriptionState) -> list[int]:
        query = (
            select(InboxRow.number)
            .where(
                InboxRow.ehr_id == state.ehr_id,
                InboxRow.subscription == state.subscription,
                InboxRow.epoch == state.epoch,
                InboxRow.number > state.through,
                InboxRow.number <= state.through + _MOST_NUMBERS,
            )
            .order_by(InboxRow.number)
        )
        return [number for number in (await session.scalars(query)).all() if number is not None]

    async def _keep(self, session: AsyncSession, state: SubscriptionState) -> SubscriptionState:
        statement = _update(state.ehr_id, state.subscription).values(
            epoch=state.epoch,
            highest=state.highest,
            through=state.through,
            heard_at=state.heard_at,
            heartbeats=state.heartbeats,
        )
        await session.execute(statement)
        return state


def _update(ehr_id: str, subscription: str) -> Update:
    return (
        update(SubscriptionRow)
        .where(SubscriptionRow.ehr_id == ehr_id, SubscriptionRow.subscription == subscription)
        .execution_options(synchronize_session=False)
    )


def _state(row: SubscriptionRow) -> SubscriptionState:
    return SubscriptionState(
        row.ehr_id, row.subscription, row.epoch, row.highest, row.through, row.since, row.heard_at, row.heartbeats,
        row.payload,
    )  # fmt: skip
