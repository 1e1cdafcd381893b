"""Keeping our Subscription alive at each EHR.

A server never brings back a Subscription it has given up: the client sets it to ``requested`` again, and then looks for
what it missed.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirClientError, FhirRequestRefused
from fhir_support.errors import BadRequest
from fhir_support.identifiers import EFFECT_TAG, tag_query
from fhir_support.r4 import ResourceInvalid
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import Ehr, EhrRegistry
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.store.subscriptions import Arrival, SubscriptionState
from facade.subscriptions.channel_secrets import ChannelSecrets
from facade.subscriptions.notification import Notification, read_statuses
from facade.subscriptions.receiver import subscription_id
from facade.subscriptions.subscription import (
    HEARTBEAT_S,
    endpoint,
    ends_soon,
    is_as_wanted,
    is_classic,
    is_ours,
    subscription_resource,
    subscription_uid,
)

__all__ = ["Kept", "SubscriptionKeeper"]

_RETRY_S = 2.0
_SILENCE = timedelta(seconds=2.5 * HEARTBEAT_S)
_LOOK_BACK_S = 600.0
"""How often what changed is searched for where an EHR cannot say how many events it has sent."""
_HANDSHAKE_S = 300.0
_LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class Kept:
    """What was found and done: ``did`` is ``created``, ``renewed`` or ``present``, ``why`` the reason to renew."""

    subscription: str
    status: str
    did: str
    why: str = ""


class SubscriptionKeeper:
    """Creates, renews and watches one Subscription per EHR.

    ``wake`` is set when it has stored an event; ``stop``, when set, ends the wait before it tries again.
    """

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        connections: EhrConnections,
        secrets: ChannelSecrets,
        inbox: Inbox,
        public_base_url: str,
        wake: asyncio.Event,
        stop: asyncio.Event | None = None,
        silence: timedelta = _SILENCE,
    ) -> None:
        self._ehrs = ehrs
        self._connections = connections
        self._secrets = secrets
        self._inbox = inbox
        self._public_base_url = public_base_url
        self._wake = wake
        self._stop = stop or asyncio.Event()
        self._silence = silence
        self._looked_back: dict[str, float] = {}
        self._requested: dict[str, float] = {}
        self._asked_again: set[str] = set()

    async def step(self) -> bool:
        """Check every EHR once; return whether that should be done again at once, because it failed for one.

        An EHR that is starting beside us is not left waiting until the next regular check.
        """
        results = await asyncio.gather(*(self.check(ehr) for ehr in self._ehrs))
        if None in results:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _RETRY_S)
        return None in results

    async def check(self, ehr: Ehr) -> str | None:
        """Bring the Subscription at ``ehr`` into order; return its id, or None when that failed now."""
        accept_request_id(None)
        try:
            kept = await self.keep(ehr)
        except (FhirClientError, SecretError, SQLAlchemyError, ResourceInvalid, OSError) as error:
            reason = f"HTTP {error.status}" if isinstance(error, FhirRequestRefused) else None
            error_type = type(error).__name__
            log(LogCode.SUBSCRIPTION_FAILED, level=logging.WARNING, ehr=ehr.id, error_type=error_type, reason=reason)
            return None
        except Exception as error:  # noqa: BLE001  outermost frame: one EHR that breaks us must not stop the others
            log(LogCode.SUBSCRIPTION_FAILED, level=logging.ERROR, ehr=ehr.id, error_type=type(error).__name__)
            return None
        return kept.subscription

    async def keep(self, ehr: Ehr, *, payload: str | None = None, new_secret: bool = False) -> Kept:
        """Bring the Subscription at ``ehr`` into order and say what was done.

        ``payload`` is remembered and asked for from now on; None changes nothing. ``new_secret`` replaces the secret
        although it is not old. Raises ``FhirClientError``, ``SecretError``, ``ResourceInvalid`` and what the database
        raises.
        """
        client = self._connections.client(ehr.id)
        secret = await self._secrets.get_or_make(ehr.id)
        if new_secret:
            secret = await self._secrets.change(ehr.id)
        current = await self.find(ehr)
        if current is None:
            wanted = subscription_resource(ehr, self._public_base_url, secret.token, payload=payload)
            query = tag_query(subscription_uid(ehr, self._public_base_url))
            current = await client.create(wanted, if_none_exist=query)
            await self._secrets.delivered(ehr.id, secret)
            # Remembered here and now: what ends from now on is ours.
            await self._inbox.subscriptions.ask_for(ehr.id, str(current["id"]), payload)
            self._looked_back[ehr.id] = time.monotonic()
            log(LogCode.SUBSCRIPTION_CREATED, ehr=ehr.id)
            return Kept(str(current["id"]), str(current.get("status")), "created")
        if payload is not None:
            await self._inbox.subscriptions.ask_for(ehr.id, str(current["id"]), payload)
        state = await self._inbox.subscriptions.get(ehr.id, str(current["id"]))
        told = await self._told(ehr, client, state)
        end = datetime.now(UTC) + _LIFETIME if current.get("end") else None
        wanted = subscription_resource(ehr, self._public_base_url, secret.token, payload=state.payload, end=end)
        why = "the secret is new" if not secret.delivered else self._out_of_order(ehr, current, wanted, state, told)
        if why:
            await client.update({**wanted, "id": current["id"]})
            await self._secrets.delivered(ehr.id, secret)
            await self._look_back(ehr, state)
            log(LogCode.SUBSCRIPTION_RENEWED, ehr=ehr.id, status=str(current.get("status")), reason=why)
            return Kept(state.subscription, str(current.get("status")), "renewed", why)
        if ehr.id not in self._looked_back:
            # While we were away the EHR may have tried to tell us something, given up and forgotten it.
            await self._look_back(ehr, state)
            log(LogCode.SUBSCRIPTION_PRESENT, ehr=ehr.id, status=str(current.get("status")))
        elif (told is None or told.count is None) and time.monotonic() - self._looked_back[ehr.id] > _LOOK_BACK_S:
            await self._look_back(ehr, state)
        return Kept(state.subscription, str(current.get("status")), "present")

    async def find(self, ehr: Ehr, *, change: bool = True) -> dict[str, Any] | None:
        """Return our Subscription at ``ehr``, or None; of several the first is kept and the others are turned off.

        With ``change`` False nothing is turned off.
        """
        client = self._connections.client(ehr.id)
        uid = subscription_uid(ehr, self._public_base_url)
        found: list[dict[str, Any]] = []
        # A server need not know tags, but is to know the address of the channel (search parameter ``url``).
        for query in (("_tag", f"{EFFECT_TAG}|{uid}"), ("url", endpoint(ehr.id, self._public_base_url))):
            try:
                answer = await client.search("Subscription", [query])
            except FhirRequestRefused as refused:
                if refused.status not in (400, 404, 405, 422, 501):
                    raise
                continue
            found = [one for one in answer if is_ours(one, ehr, self._public_base_url)]
            if found:
                break
        found.sort(key=lambda one: str(one["id"]))
        for other in found[1:] if change else []:
            if other.get("status") != "off":
                await client.update({**other, "status": "off"})
        return found[0] if found else None

    def _out_of_order(
        self,
        ehr: Ehr,
        current: dict[str, Any],
        wanted: dict[str, Any],
        state: SubscriptionState,
        told: Notification | None,
    ) -> str:
        """Return why the Subscription must be asked for again, in words; an empty string when it need not."""
        now = time.monotonic()
        status = str(current.get("status"))
        if told is not None and told.status in ("error", "off"):
            status = told.status
        requested_at = self._requested.setdefault(ehr.id, now)
        if status != "requested":
            self._requested.pop(ehr.id)
        if status in ("error", "off"):
            return f"the EHR had set it to {status}"
        if not is_as_wanted(current, wanted):
            return "it was not as we want it"
        if ends_soon(current, datetime.now(UTC)):
            return "it would have ended soon"
        if status == "requested" and now - requested_at > _HANDSHAKE_S:
            self._requested.pop(ehr.id)
            return "the EHR sent no handshake"
        if state.heard_at is None or not state.heartbeats or datetime.now(UTC) - state.heard_at < self._silence:
            self._asked_again.discard(ehr.id)
            return ""
        if ehr.id in self._asked_again:
            return ""
        # The EHR believes that all is well, and does not reach us: a handshake shows whether it can.
        self._asked_again.add(ehr.id)
        log(LogCode.SUBSCRIPTION_SILENT, level=logging.WARNING, ehr=ehr.id, status=status)
        return "the EHR has sent no heartbeat"

    async def _told(self, ehr: Ehr, client: FhirClient, state: SubscriptionState) -> Notification | None:
        """Ask ``$status`` and keep what it says of the count; not every server can answer."""
        if is_classic(ehr):
            return None
        asked_at = datetime.now(UTC)
        try:
            answer = await client.read(f"Subscription/{state.subscription}/$status")
            told = next(
                one for one in read_statuses(answer) if subscription_id(one.subscription, ehr) == state.subscription
            )
        except (FhirRequestRefused, FhirAnswerInvalid, BadRequest, StopIteration):
            return None
        arrival = Arrival(
            ehr.id,
            state.subscription,
            str(uuid.uuid4()),
            count=told.count,
            counts_anew=True,
            known=state.highest,
            is_heard=False,
        )
        if told.count == state.highest == state.through:
            await self._inbox.all_arrived(ehr.id, state.subscription, asked_at)
        elif told.count is not None and told.count != state.highest:
            received = await self._inbox.receive(arrival, [])
            if received.restarted:
                log(LogCode.SUBSCRIPTION_RESTARTED, ehr=ehr.id, count=told.count)
                self._wake.set()
        return told

    async def _look_back(self, ehr: Ehr, state: SubscriptionState) -> None:
        """Store an event that makes the worker search for what changed since the last search."""
        self._looked_back[ehr.id] = time.monotonic()
        event = NewEvent(
            ehr_id=ehr.id,
            subscription=state.subscription,
            epoch=state.epoch,
            dedupe_key=f"look-back-{uuid.uuid4()}",
            kind=EventKind.CATCH_UP,
            focus=state.subscription,
            request_id=str(uuid.uuid4()),
        )
        if await self._inbox.store([event]):
            self._wake.set()
