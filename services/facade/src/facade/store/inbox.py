"""The durable inbox: events are on the disk before they are acknowledged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import ColumnElement, and_, or_, select, update

from facade.resources.ids import event_id
from facade.store.database import Database
from facade.store.leases import LeaseQueue, RetryPolicy
from facade.store.tables import InboxRow, SubscriptionRow

__all__ = ["ClaimedEvent", "EventKind", "Inbox", "NewEvent", "SubscriptionState"]


class EventKind(StrEnum):
    """What an event asks for: look at one encounter, or search for what may have been missed."""

    ENCOUNTER = "encounter"
    CATCH_UP = "catch-up"


@dataclass(frozen=True)
class NewEvent:
    """An event as notified. ``dedupe_key`` is equal for, and only for, repetitions of the same event."""

    ehr_id: str
    subscription: str
    epoch: int
    dedupe_key: str
    kind: EventKind
    focus: str
    request_id: str
    number: int | None = None


@dataclass(frozen=True)
class ClaimedEvent:
    """An event this process works on."""

    row: InboxRow
    kind: EventKind
    focus: str

    @property
    def ehr_id(self) -> str:
        """Where it came from."""
        return self.row.ehr_id


@dataclass(frozen=True)
class SubscriptionState:
    """What is known of a subscription at its EHR."""

    epoch: int
    highest: int
    since: datetime


class Inbox:
    """Stores events once, and hands them out until they are dealt with.

    The focus is sealed under the EHR's own scope: at this point nobody knows yet whose it is.
    """

    def __init__(
        self, database: Database, cipher: EnvelopeCipher, *, owner: str, lease_s: float, retry: RetryPolicy
    ) -> None:
        self._database = database
        self._cipher = cipher
        self.queue: LeaseQueue[InboxRow] = LeaseQueue(database, InboxRow, owner=owner, lease_s=lease_s, retry=retry)

    async def store(self, events: Sequence[NewEvent]) -> int:
        """Write ``events`` in one transaction; return how many were not there yet.

        When this returns they are on the disk: only then may they be acknowledged.
        """
        now = datetime.now(UTC)
        rows = [await self._row(event, now) for event in events]
        stored = 0
        async with self._database.session() as session:
            for row in rows:
                stored += await self._database.insert_new(session, InboxRow, row)
        return stored

    async def open(self, row: InboxRow) -> ClaimedEvent:
        """Unseal a row that ``queue.claim`` returned; raise ``SecretError`` when that cannot be done now."""
        focus = await self._cipher.open(row.sealed, scope=row.ehr_id, aad=f"inbox.sealed/{row.id}")
        return ClaimedEvent(row, EventKind(row.kind), focus.decode())

    async def subscription(self, ehr_id: str, subscription: str) -> SubscriptionState:
        """Return what is known of a subscription, starting a record of it when nothing is."""
        now = datetime.now(UTC)
        values = {"ehr_id": ehr_id, "subscription": subscription, "epoch": 0, "highest": 0, "since": now}
        async with self._database.session() as session:
            await self._database.insert_new(session, SubscriptionRow, values)
            query = select(SubscriptionRow).where(
                SubscriptionRow.ehr_id == ehr_id, SubscriptionRow.subscription == subscription
            )
            row = (await session.scalars(query)).one()
            return SubscriptionState(row.epoch, row.highest, row.since)

    async def advance(self, ehr_id: str, subscription: str, *, epoch: int, highest: int) -> None:
        """Remember the epoch and the highest event number of a subscription; neither ever goes back."""
        later = or_(
            SubscriptionRow.epoch < epoch, and_(SubscriptionRow.epoch == epoch, SubscriptionRow.highest < highest)
        )
        await self._change(ehr_id, subscription, later, epoch=epoch, highest=highest)

    async def caught_up(self, ehr_id: str, subscription: str, until: datetime) -> None:
        """Remember that everything up to ``until`` has been searched for and stored."""
        await self._change(ehr_id, subscription, SubscriptionRow.since < until, since=until)

    async def _change(
        self, ehr_id: str, subscription: str, condition: ColumnElement[bool], **values: int | datetime
    ) -> None:
        statement = (
            update(SubscriptionRow)
            .where(SubscriptionRow.ehr_id == ehr_id, SubscriptionRow.subscription == subscription, condition)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        async with self._database.session() as session:
            await session.execute(statement)

    async def _row(self, event: NewEvent, now: datetime) -> dict[str, object]:
        row_id = event_id(event.ehr_id, f"{event.subscription}|{event.epoch}|{event.dedupe_key}")
        return {
            "id": row_id,
            "ehr_id": event.ehr_id,
            "state": "pending",
            "attempts": 0,
            "failures": 0,
            "next_attempt_at": now,
            "request_id": event.request_id,
            "created_at": now,
            "subscription": event.subscription,
            "epoch": event.epoch,
            "number": event.number,
            "dedupe_key": event.dedupe_key,
            "kind": str(event.kind),
            "sealed": await self._cipher.seal(event.focus.encode(), scope=event.ehr_id, aad=f"inbox.sealed/{row_id}"),
        }
