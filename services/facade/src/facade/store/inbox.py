"""The durable inbox: events are on the disk before they are acknowledged."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from facade.resources.ids import event_group, event_id
from facade.store.database import Database
from facade.store.leases import LeaseQueue, RetryPolicy, State
from facade.store.subscriptions import Arrival, Subscriptions, SubscriptionState
from facade.store.tables import InboxRow

__all__ = ["ClaimedEvent", "EventKind", "Inbox", "NewEvent", "Received"]

_SETTLING_S = 2.0
"""How long a hole in the numbers may be that an event on its way will fill."""


class EventKind(StrEnum):
    """What an event asks for.

    ``encounter``: look at one encounter. ``catch-up``: search for what may have been missed. ``gap``: numbers are
    missing; get those events. ``draft``: draft one encounter, ended or not, because a clinician has asked for it.
    ``other``: nothing; it is about something that is not followed, and kept because its number counts.
    """

    ENCOUNTER = "encounter"
    CATCH_UP = "catch-up"
    GAP = "gap"
    DRAFT = "draft"
    OTHER = "other"


_OF_SUBSCRIPTION = frozenset({EventKind.CATCH_UP, EventKind.GAP})


@dataclass(frozen=True)
class NewEvent:
    """An event as notified. ``dedupe_key`` is equal for, and only for, repetitions of the same event.

    ``fingerprint`` differs for another event that has the same number because the EHR has started to count again.
    """

    ehr_id: str
    subscription: str
    epoch: int
    dedupe_key: str
    kind: EventKind
    focus: str
    request_id: str
    number: int | None = None
    fingerprint: str | None = None

    @property
    def group(self) -> str:
        """What the event is about: events of one group are dealt with together."""
        about = f"Subscription/{self.subscription}" if self.kind in _OF_SUBSCRIPTION else self.focus
        return event_group(self.ehr_id, about)


@dataclass(frozen=True)
class ClaimedEvent:
    """Events about one thing that this process works on; ``row`` is the oldest of them."""

    row: InboxRow
    kind: EventKind
    focus: str

    @property
    def ehr_id(self) -> str:
        """Where it came from."""
        return self.row.ehr_id


@dataclass(frozen=True)
class Received:
    """What became of a notification: how many of its events were new, and the state that it led to."""

    stored: int
    state: SubscriptionState
    restarted: bool = False


class Inbox:
    """Stores events once, and hands them out until they are dealt with.

    The focus is sealed under the EHR's own scope: at this point nobody knows yet whose it is.
    """

    def __init__(
        self, database: Database, cipher: EnvelopeCipher, *, owner: str, lease_s: float, retry: RetryPolicy
    ) -> None:
        self._database = database
        self._cipher = cipher
        self.subscriptions = Subscriptions(database)
        self.queue: LeaseQueue[InboxRow] = LeaseQueue(
            database, InboxRow, owner=owner, lease_s=lease_s, retry=retry, in_order_by="group_key"
        )

    async def store(self, events: Sequence[NewEvent]) -> int:
        """Write ``events`` in one transaction; return how many were not there yet.

        When this returns they are on the disk: only then may they be acknowledged.
        """
        rows = [await self._row(event) for event in events]
        async with self._database.session() as session:
            return await self._insert(session, rows)

    async def receive(self, arrival: Arrival, events: Sequence[NewEvent]) -> Received:
        """Write what a notification announces, and what it says of its subscription, in one transaction.

        The epoch of ``events`` is set here. A number that is known with another fingerprint, or a handshake with a
        count below what was heard of, means that the EHR counts anew: a new epoch begins, and what may have been
        missed between the two is searched for. A hole in the numbers is looked at again when an event that is only
        late has had time to come. After a handshake, what changed before the EHR began to notify is searched for.
        """
        while True:
            before = await self.subscriptions.get(arrival.ehr_id, arrival.subscription)
            restarts = arrival.restarts(before) or await self._contradicts(before, events)
            epoch = before.epoch + (1 if restarts else 0)
            # Sealing may call the secret store, which must not happen while the database is locked.
            rows = [await self._row(replace(event, epoch=epoch)) for event in events]
            if restarts:
                rows.append(await self._row(self._whole_search(arrival, epoch)))
            gap = await self._row(self._gap(arrival, epoch), delay_s=_SETTLING_S)
            begins = await self._row(self._begins(arrival, epoch), delay_s=_SETTLING_S)
            async with self._database.session() as session:
                current = await self.subscriptions.current(session, arrival.ehr_id, arrival.subscription)
                if current.epoch != before.epoch:
                    continue
                stored = await self._insert(session, rows)
                if arrival.is_handshake and not await self._is_waiting(session, begins):
                    await self._insert(session, [begins])
                state = await self.subscriptions.arrived(session, current, arrival, restarts=restarts)
                if state.through < state.highest and not await self._is_waiting(session, gap):
                    await self._insert(session, [gap])
            return Received(stored - (1 if restarts else 0), state, restarts)

    async def settle(self, arrival: Arrival, *, until: int) -> bool:
        """Count every number up to ``until`` as accounted for; return whether there is no hole after it.

        A hole that is left, because it was noticed in the meantime, is looked at again.
        """
        before = await self.subscriptions.get(arrival.ehr_id, arrival.subscription)
        gap = await self._row(self._gap(arrival, before.epoch), delay_s=_SETTLING_S)
        async with self._database.session() as session:
            current = await self.subscriptions.current(session, arrival.ehr_id, arrival.subscription)
            if current.epoch != before.epoch:
                return False
            state = await self.subscriptions.settled(session, current, until=until)
            if state.through >= state.highest:
                return True
            await self._insert(session, [gap])
            return False

    async def all_arrived(self, ehr_id: str, subscription: str, until: datetime) -> None:
        """Remember that no event from before ``until`` is on its way, so that no search need go back behind it.

        An event that has arrived may have said only that something changed. While a search for that is due, or has
        been given up and may be asked for again, nothing is moved: it has to begin where it would have begun.
        """
        searches = select(InboxRow.sequence).where(
            InboxRow.ehr_id == ehr_id,
            InboxRow.subscription == subscription,
            InboxRow.kind == EventKind.CATCH_UP,
            InboxRow.state != State.DONE,
        )
        await self.subscriptions.caught_up(ehr_id, subscription, until, unless=searches.exists())

    async def not_waiting(self, events: Sequence[NewEvent]) -> list[NewEvent]:
        """Return those of ``events`` that are about nothing that an event which nobody has begun is about already."""
        groups = {event.group for event in events}
        waiting: set[str | None] = set()
        for some in _slices(sorted(groups)):
            query = select(InboxRow.group_key).where(
                InboxRow.group_key.in_(some), InboxRow.state == State.PENDING, InboxRow.lease_owner.is_(None)
            )
            async with self._database.reading() as session:
                waiting.update((await session.scalars(query)).all())
        return [event for event in events if event.group not in waiting]

    async def open(self, row: InboxRow) -> ClaimedEvent:
        """Unseal a row that ``queue.claim`` returned; raise ``SecretError`` when that cannot be done now."""
        focus = await self._cipher.open(row.sealed, scope=row.ehr_id, aad=f"inbox.sealed/{row.id}")
        return ClaimedEvent(row, EventKind(row.kind), focus.decode())

    async def _contradicts(self, state: SubscriptionState, events: Sequence[NewEvent]) -> bool:
        """Whether one of the numbers is known of another event."""
        numbered = {event.dedupe_key: event.fingerprint for event in events if event.number is not None}
        if not numbered or min(event.number for event in events if event.number is not None) > state.highest:
            return False
        query = select(InboxRow.dedupe_key, InboxRow.fingerprint).where(
            InboxRow.ehr_id == state.ehr_id,
            InboxRow.subscription == state.subscription,
            InboxRow.epoch == state.epoch,
            InboxRow.dedupe_key.in_(numbered),
        )
        async with self._database.reading() as session:
            known = (await session.execute(query)).all()
        return any(_differ(kept, numbered[key]) for key, kept in known)

    async def _insert(self, session: AsyncSession, rows: Sequence[dict[str, object]]) -> int:
        stored = 0
        for row in rows:
            stored += await self._database.insert_new(session, InboxRow, row)
        return stored

    async def _is_waiting(self, session: AsyncSession, row: dict[str, object]) -> bool:
        """Whether a row of this kind and group is due that nobody has begun to deal with."""
        query = select(InboxRow.sequence).where(
            InboxRow.group_key == row["group_key"],
            InboxRow.state == State.PENDING,
            InboxRow.kind == row["kind"],
            InboxRow.lease_owner.is_(None),
        )
        return (await session.scalars(query.limit(1))).first() is not None

    @staticmethod
    def _gap(arrival: Arrival, epoch: int) -> NewEvent:
        return _of_subscription(arrival, epoch, EventKind.GAP, f"gap-{uuid.uuid4()}")

    @staticmethod
    def _begins(arrival: Arrival, epoch: int) -> NewEvent:
        return _of_subscription(arrival, epoch, EventKind.CATCH_UP, f"begins-{uuid.uuid4()}")

    @staticmethod
    def _whole_search(arrival: Arrival, epoch: int) -> NewEvent:
        return _of_subscription(arrival, epoch, EventKind.CATCH_UP, f"restarted-{epoch}")

    async def _row(self, event: NewEvent, delay_s: float = 0.0) -> dict[str, object]:
        now = datetime.now(UTC)
        row_id = event_id(event.ehr_id, f"{event.subscription}|{event.epoch}|{event.dedupe_key}")
        ignored = event.kind is EventKind.OTHER
        return {
            "id": row_id,
            "ehr_id": event.ehr_id,
            "state": State.DONE if ignored else State.PENDING,
            "attempts": 0,
            "failures": 0,
            "next_attempt_at": now + timedelta(seconds=delay_s),
            "request_id": event.request_id,
            "created_at": now,
            "finished_at": now if ignored else None,
            "subscription": event.subscription,
            "epoch": event.epoch,
            "number": event.number,
            "dedupe_key": event.dedupe_key,
            "kind": str(event.kind),
            "group_key": event.group,
            "fingerprint": event.fingerprint,
            "sealed": await self._cipher.seal(event.focus.encode(), scope=event.ehr_id, aad=f"inbox.sealed/{row_id}"),
        }


def _of_subscription(arrival: Arrival, epoch: int, kind: EventKind, key: str) -> NewEvent:
    return NewEvent(arrival.ehr_id, arrival.subscription, epoch, key, kind, arrival.subscription, arrival.request_id)


def _slices(values: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """A statement has room for a limited number of values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _differ(kept: str | None, new: str | None) -> bool:
    """Fingerprints are compared only where both were made from the same part of an event."""
    return kept is not None and new is not None and kept[:2] == new[:2] and kept != new
