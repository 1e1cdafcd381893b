"""Processing notified events: an encounter is read again and drafted, a gap is closed or searched for what it hid."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_support.client import (
    FhirAnswerInvalid,
    FhirClientError,
    FhirNotFound,
    FhirRequestRefused,
    FhirServerUnavailable,
)
from fhir_support.errors import BadRequest
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import EhrRegistry, UnknownEhr
from facade.pipeline.drafting import Drafting, DraftingFailed
from facade.store.inbox import ClaimedEvent, EventKind, Inbox, NewEvent
from facade.store.subscriptions import Arrival, SubscriptionState
from facade.store.tables import InboxRow
from facade.subscriptions.notification import read_statuses
from facade.subscriptions.receiver import CLASSIC, event_of

__all__ = ["EventProcessor", "is_finished_inpatient"]

_INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})
"""v3-ActCode: inpatient encounter and its two children."""

_MOST_ASKED = 1_000
"""A wider gap is searched for, not asked for event by event."""


def is_finished_inpatient(encounter: dict[str, Any]) -> bool:
    """Whether the document of this encounter is due: an inpatient stay that has ended."""
    code = (encounter.get("class") or {}).get("code")
    return encounter.get("status") == "finished" and code in _INPATIENT


class EventProcessor:
    """Claims events of the inbox, those about one thing together, and deals with them once.

    A claim that is not finished is made again, here or by another process. A search for what was missed begins
    ``overlap_s`` earlier than necessary: clocks differ, and finding an encounter again changes nothing.
    """

    def __init__(
        self, *, ehrs: EhrRegistry, inbox: Inbox, connections: EhrConnections, drafting: Drafting, overlap_s: float
    ) -> None:
        self._overlap = timedelta(seconds=overlap_s)
        self._ehrs = ehrs
        self._inbox = inbox
        self._connections = connections
        self._drafting = drafting

    async def step(self) -> bool:
        """Process what is due of one thing; return whether there was any."""
        rows = await self._inbox.queue.claim_together("group_key")
        if not rows:
            return False
        accept_request_id(rows[0].request_id)
        try:
            event = await self._inbox.open(rows[0])
            outcome = await self._process(event, {EventKind(row.kind) for row in rows})
        except DraftingFailed as failure:
            await self._put_back(rows, failure.code, counts=not failure.temporary)
        except (FhirServerUnavailable, SecretError, SQLAlchemyError, OSError) as error:
            await self._put_back(rows, type(error).__name__, counts=False)
        except (FhirClientError, UnknownEhr) as error:
            await self._put_back(rows, type(error).__name__, counts=True)
        except Exception as error:  # noqa: BLE001  outermost frame: an event that breaks us must not stop the others
            await self._put_back(rows, type(error).__name__, counts=True)
        else:
            await self._inbox.queue.finish_all(rows)
            log(LogCode.EVENT_PROCESSED, ehr=rows[0].ehr_id, kind=rows[0].kind, status=outcome, count=len(rows))
        return True

    async def _process(self, event: ClaimedEvent, kinds: set[EventKind]) -> str:
        if kinds & {EventKind.CATCH_UP, EventKind.GAP}:
            return await self._catch_up(event, kinds)
        try:
            encounter = await self._connections.client(event.ehr_id).read(event.focus)
        except FhirNotFound:
            return "gone"
        if not is_finished_inpatient(encounter) and EventKind.DRAFT not in kinds:
            # It is announced again when it is finished; what the notification said about it does not count.
            return "not-due"
        version = (encounter.get("meta") or {}).get("versionId")
        return await self._drafting.draft_for_event(event.ehr_id, event.focus, event.row.request_id, version=version)

    async def _catch_up(self, event: ClaimedEvent, kinds: set[EventKind]) -> str:
        """Get the events whose numbers are missing by ``$events``; search for what that does not give, or if asked to.

        Numbers that nothing was found for are settled then: what changed is known, whatever was counted.
        """
        state = await self._inbox.subscriptions.get(event.ehr_id, event.row.subscription)
        search = EventKind.CATCH_UP in kinds
        outcome = "closed-by-itself"
        # Only the look at a gap has waited for what may be on its way.
        missing = await self._inbox.subscriptions.missing(state) if EventKind.GAP in kinds else []
        if missing:
            log(LogCode.SUBSCRIPTION_GAP, ehr=event.ehr_id, count=len(missing))
            outcome = "recovered"
            if not await self._recovered(event, state, missing):
                search = True
        if search:
            await self._search(event, state)
            outcome = "caught-up"
        arrival = Arrival(event.ehr_id, event.row.subscription, event.row.request_id)
        await self._inbox.settle(arrival, until=state.highest)
        return outcome

    async def _recovered(self, event: ClaimedEvent, state: SubscriptionState, missing: list[int]) -> bool:
        """Ask the EHR for events by their numbers; return whether it gave all of them. Many servers cannot."""
        if len(missing) > _MOST_ASKED or state.subscription == CLASSIC:
            return False
        query = f"eventsSinceNumber={missing[0]}&eventsUntilNumber={missing[-1]}&content=id-only"
        try:
            client = self._connections.client(event.ehr_id)
            answer = await client.read(f"Subscription/{state.subscription}/$events?{query}")
            (told,) = read_statuses(answer)
        except (FhirRequestRefused, FhirAnswerInvalid, FhirServerUnavailable, BadRequest, ValueError) as error:
            log(LogCode.SUBSCRIPTION_GAP, ehr=event.ehr_id, count=len(missing), error_type=type(error).__name__)
            return False
        ehr = self._ehrs.get(event.ehr_id)
        wanted = set(missing)
        events = [
            event_of(ehr, state.subscription, state.epoch, one, str(one.number), event.row.request_id)
            for one in told.events
            if one.number in wanted
        ]
        stored = await self._inbox.store(events)
        log(LogCode.EVENT_STORED, ehr=event.ehr_id, count=stored, reason="recovered")
        return wanted <= {one.number for one in told.events if one.focus is not None}

    async def _search(self, event: ClaimedEvent, state: SubscriptionState) -> None:
        """Search for encounters that finished since the last such search, and store each as an event."""
        begun = datetime.now(UTC)
        since = (state.since - self._overlap).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = await self._connections.client(event.ehr_id).search(
            "Encounter", [("status", "finished"), ("_lastUpdated", f"ge{since}"), ("_count", "100")]
        )
        events = [self._found(event, state, encounter) for encounter in found if is_finished_inpatient(encounter)]
        stored = await self._inbox.store(await self._inbox.not_waiting(events))
        await self._inbox.subscriptions.caught_up(event.ehr_id, event.row.subscription, begun)
        log(LogCode.EVENT_STORED, ehr=event.ehr_id, count=stored, reason="catch-up")

    @staticmethod
    def _found(event: ClaimedEvent, state: SubscriptionState, encounter: dict[str, Any]) -> NewEvent:
        reference = f"Encounter/{encounter['id']}"
        version = (encounter.get("meta") or {}).get("versionId")
        return NewEvent(
            ehr_id=event.ehr_id,
            subscription=event.row.subscription,
            epoch=state.epoch,
            dedupe_key=hashlib.sha256(f"{reference}|{version}".encode()).hexdigest(),
            kind=EventKind.ENCOUNTER,
            focus=reference,
            request_id=event.row.request_id,
        )

    async def _put_back(self, rows: Sequence[InboxRow], reason: str, *, counts: bool) -> None:
        quarantined = await self._inbox.queue.fail_all(rows, counts=counts, reason=reason)
        code = LogCode.EVENT_QUARANTINED if quarantined else LogCode.EVENT_RETRIED
        level = logging.ERROR if quarantined else logging.WARNING
        row = rows[0]
        log(code, level=level, ehr=row.ehr_id, kind=row.kind, attempts=row.attempts, reason=reason, count=len(rows))
