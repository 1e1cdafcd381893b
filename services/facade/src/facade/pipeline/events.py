"""Processing notified events: an encounter is read again and drafted, a gap is searched for what it hid."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_support.client import FhirClientError, FhirNotFound, FhirServerUnavailable
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import UnknownEhr
from facade.pipeline.drafting import Drafting, DraftingFailed
from facade.store.inbox import ClaimedEvent, EventKind, Inbox, NewEvent
from facade.store.tables import InboxRow

__all__ = ["EventProcessor", "is_finished_inpatient"]

_INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})
"""v3-ActCode: inpatient encounter and its two children."""


def is_finished_inpatient(encounter: dict[str, Any]) -> bool:
    """Whether the document of this encounter is due: an inpatient stay that has ended."""
    code = (encounter.get("class") or {}).get("code")
    return encounter.get("status") == "finished" and code in _INPATIENT


class EventProcessor:
    """Claims events of the inbox one by one. A claim that is not finished is made again, here or by another process.

    A search for what was missed begins ``overlap_s`` earlier than necessary: clocks differ, and finding an encounter
    again changes nothing.
    """

    def __init__(self, *, inbox: Inbox, connections: EhrConnections, drafting: Drafting, overlap_s: float) -> None:
        self._overlap = timedelta(seconds=overlap_s)
        self._inbox = inbox
        self._connections = connections
        self._drafting = drafting

    async def step(self) -> bool:
        """Process one event that is due; return whether there was one."""
        row = await self._inbox.queue.claim()
        if row is None:
            return False
        accept_request_id(row.request_id)
        try:
            event = await self._inbox.open(row)
            outcome = await self._process(event)
        except DraftingFailed as failure:
            await self._put_back(row, failure.code, counts=not failure.temporary)
        except (FhirServerUnavailable, SecretError, SQLAlchemyError, OSError) as error:
            await self._put_back(row, type(error).__name__, counts=False)
        except (FhirClientError, UnknownEhr) as error:
            await self._put_back(row, type(error).__name__, counts=True)
        except Exception as error:  # noqa: BLE001  outermost frame: an event that breaks us must not stop the others
            await self._put_back(row, type(error).__name__, counts=True)
        else:
            await self._inbox.queue.finish(row)
            log(LogCode.EVENT_PROCESSED, ehr=row.ehr_id, kind=row.kind, status=outcome)
        return True

    async def _process(self, event: ClaimedEvent) -> str:
        if event.kind is EventKind.CATCH_UP:
            return await self._catch_up(event)
        try:
            encounter = await self._connections.client(event.ehr_id).read(event.focus)
        except FhirNotFound:
            return "gone"
        if not is_finished_inpatient(encounter):
            # It is announced again when it is finished; what the notification said about it does not count.
            return "not-due"
        await self._drafting.draft(event.ehr_id, event.focus, event.row.request_id)
        return "drafted"

    async def _catch_up(self, event: ClaimedEvent) -> str:
        """Search for encounters that finished since the last such search, and store each as an event."""
        state = await self._inbox.subscription(event.ehr_id, event.row.subscription)
        begun = datetime.now(UTC)
        since = (state.since - self._overlap).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = await self._connections.client(event.ehr_id).search(
            "Encounter", [("status", "finished"), ("_lastUpdated", f"ge{since}"), ("_count", "100")]
        )
        events = [self._found(event, encounter) for encounter in found if is_finished_inpatient(encounter)]
        stored = await self._inbox.store(events)
        await self._inbox.caught_up(event.ehr_id, event.row.subscription, begun)
        log(LogCode.EVENT_STORED, ehr=event.ehr_id, count=stored, reason="catch-up")
        return "caught-up"

    @staticmethod
    def _found(event: ClaimedEvent, encounter: dict[str, Any]) -> NewEvent:
        reference = f"Encounter/{encounter['id']}"
        version = (encounter.get("meta") or {}).get("versionId")
        return NewEvent(
            ehr_id=event.ehr_id,
            subscription=event.row.subscription,
            epoch=event.row.epoch,
            dedupe_key=hashlib.sha256(f"{reference}|{version}".encode()).hexdigest(),
            kind=EventKind.ENCOUNTER,
            focus=reference,
            request_id=event.row.request_id,
        )

    async def _put_back(self, row: InboxRow, reason: str, *, counts: bool) -> None:
        quarantined = await self._inbox.queue.fail(row, counts=counts)
        code = LogCode.EVENT_QUARANTINED if quarantined else LogCode.EVENT_RETRIED
        level = logging.ERROR if quarantined else logging.WARNING
        log(code, level=level, ehr=row.ehr_id, kind=row.kind, attempts=row.attempts, reason=reason)
