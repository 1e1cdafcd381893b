"""What happens to a notification: authenticated, stored durably, then acknowledged."""

import asyncio
import hashlib
from collections import OrderedDict
from weakref import WeakValueDictionary

from fhir_support.errors import NotFound, ServiceUnavailable, Unauthorized
from fhir_support.references import InvalidReference, resource_key
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.registry import Ehr, EhrRegistry, UnknownEhr
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.store.subscriptions import Arrival
from facade.subscriptions.channel_secrets import ChannelSecrets
from facade.subscriptions.notification import (
    Notification,
    NotificationType,
    NotifiedEvent,
    classic_focus,
    is_classic_rest_hook,
    read_notification,
)

__all__ = ["CLASSIC", "SubscriptionReceiver", "event_of", "subscription_id"]

CLASSIC = "rest-hook"
"""The name of the subscription of messages that name none."""

_REMEMBERED = 10_000


class SubscriptionReceiver:
    """Turns notifications into inbox events."""

    def __init__(self, ehrs: EhrRegistry, secrets: ChannelSecrets, inbox: Inbox) -> None:
        self._ehrs = ehrs
        self.secrets = secrets
        self._inbox = inbox
        self._stored: OrderedDict[bytes, None] = OrderedDict()
        self._arriving: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def authenticate(self, ehr_id: str, unverified_authorization: str | None) -> Ehr:
        """Return the EHR when the header holds its secret; nothing of the body has been looked at before.

        Raises ``NotFound``, ``Unauthorized`` or ``ServiceUnavailable``.
        """
        try:
            ehr = self._ehrs.get(ehr_id)
        except UnknownEhr:
            raise NotFound from None
        try:
            accepted = await self.secrets.accepts(ehr.id, unverified_authorization or "")
        except SecretError:
            raise ServiceUnavailable from None
        if not accepted:
            raise Unauthorized
        return ehr

    async def receive(self, ehr: Ehr, body: bytes, request_id: str, unverified_focus: str | None = None) -> bool:
        """Store what the notification announces; when this returns it may be acknowledged.

        ``unverified_focus`` is what the address of a classic rest-hook names. Returns whether there is something new
        to do. Raises ``BadRequest`` on a message that is none and ``ServiceUnavailable`` when it cannot be stored.
        """
        digest = hashlib.sha256(ehr.id.encode() + b"|" + body).digest()
        async with self._arriving.setdefault(digest, asyncio.Lock()):
            if digest in self._stored:
                # The same message to the last byte: what it announced is on the disk.
                self._stored.move_to_end(digest)
                log(LogCode.EVENT_DUPLICATE, ehr=ehr.id, count=1)
                return False
            return await self._read(ehr, body, digest, request_id, unverified_focus)

    async def _read(self, ehr: Ehr, body: bytes, digest: bytes, request_id: str, unverified_focus: str | None) -> bool:
        try:
            if unverified_focus is not None or is_classic_rest_hook(body):
                return await self._receive_classic(ehr, unverified_focus or classic_focus(body), request_id)
            notification = read_notification(body)
            new = await self._receive(ehr, notification, request_id)
        except (SQLAlchemyError, OSError, SecretError) as error:
            log(LogCode.REQUEST_FAILED, ehr=ehr.id, error_type=type(error).__name__, stage="inbox")
            raise ServiceUnavailable from None
        if notification.events and all(event.number is not None for event in notification.events):
            self._remember(digest)
        return new

    async def _receive_classic(self, ehr: Ehr, unverified_focus: str | None, request_id: str) -> bool:
        """It has no number and cannot be told from a repetition: whatever it is about is looked at again."""
        event = event_of(ehr, CLASSIC, 0, NotifiedEvent(None, unverified_focus), request_id, request_id)
        if event.kind is EventKind.OTHER:
            return False
        received = await self._inbox.receive(Arrival(ehr.id, CLASSIC, request_id), [event])
        log(LogCode.EVENT_STORED, ehr=ehr.id, count=received.stored)
        return True

    async def _receive(self, ehr: Ehr, notification: Notification, request_id: str) -> bool:
        subscription = subscription_id(notification.subscription, ehr)
        told = notification.events if notification.type.has_events else ()
        arrival = Arrival(
            ehr.id,
            subscription,
            request_id,
            count=notification.count,
            numbers=tuple(event.number for event in told if event.number is not None),
            is_handshake=notification.type is NotificationType.HANDSHAKE,
            counts_anew=notification.type is NotificationType.HANDSHAKE,
            is_heartbeat=notification.type is NotificationType.HEARTBEAT,
        )
        events = [
            event_of(ehr, subscription, 0, event, notification.dedupe_key(event, request_id), request_id)
            for event in told
        ]
        received = await self._inbox.receive(arrival, events)
        if received.restarted:
            self._stored.clear()
            log(LogCode.SUBSCRIPTION_RESTARTED, ehr=ehr.id, count=notification.count)
        if received.stored:
            log(LogCode.EVENT_STORED, ehr=ehr.id, count=received.stored)
        if received.stored < len(events):
            log(LogCode.EVENT_DUPLICATE, ehr=ehr.id, count=len(events) - received.stored)
        return bool(received.stored) or received.restarted

    def _remember(self, digest: bytes) -> None:
        self._stored[digest] = None
        while len(self._stored) > _REMEMBERED:
            self._stored.popitem(last=False)


def event_of(
    ehr: Ehr, subscription: str, epoch: int, event: NotifiedEvent, dedupe_key: str, request_id: str
) -> NewEvent:
    """Return what is stored of an event: what it is about, or that this has to be searched for.

    What is at another server, or is no encounter, is nothing we follow; only its number is kept.
    """
    kind, focus = EventKind.CATCH_UP, subscription
    if event.focus is not None:
        try:
            key = resource_key(event.focus, ehr.fhir_base)
        except InvalidReference:
            kind, focus = EventKind.OTHER, "unknown"
        else:
            kind = EventKind.ENCOUNTER if key.resource_type == "Encounter" else EventKind.OTHER
            focus = key.reference
    return NewEvent(ehr.id, subscription, epoch, dedupe_key, kind, focus, request_id, event.number, event.fingerprint)


def subscription_id(reference: str, ehr: Ehr) -> str:
    """Return the subscription's own id, however its reference is written."""
    try:
        return resource_key(reference, ehr.fhir_base).id
    except InvalidReference:
        return reference.rsplit("/", 1)[-1][:128]
