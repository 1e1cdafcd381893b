"""What happens to a notification: authenticated, stored durably, then acknowledged."""

import hmac
import time

from fhir_support.errors import NotFound, ServiceUnavailable, Unauthorized
from fhir_support.references import InvalidReference, resource_key
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError, SecretNotFound, SecretStore
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.registry import Ehr, EhrRegistry, UnknownEhr
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.subscriptions.notification import (
    Notification,
    NotificationType,
    is_classic_rest_hook,
    read_notification,
)

__all__ = ["SubscriptionReceiver", "SubscriptionSecrets", "secret_path"]

_KEEP_S = 60.0


def secret_path(ehr_id: str) -> str:
    """Return where the secret of our Subscription at an EHR is kept (field ``token``)."""
    return f"facade/subscriptions/{ehr_id}"


class SubscriptionSecrets:
    """The secrets EHRs send with their notifications, kept in memory for a minute."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._held: dict[str, tuple[float, str]] = {}

    async def get(self, ehr_id: str) -> str:
        """Return the secret; raise ``SecretError``."""
        held = self._held.get(ehr_id)
        if held is None or time.monotonic() > held[0]:
            fields = await self._secrets.read(secret_path(ehr_id))
            held = (time.monotonic() + _KEEP_S, fields["token"])
            self._held[ehr_id] = held
        return held[1]


class SubscriptionReceiver:
    """Turns notifications into inbox events."""

    def __init__(self, ehrs: EhrRegistry, secrets: SubscriptionSecrets, inbox: Inbox) -> None:
        self._ehrs = ehrs
        self._secrets = secrets
        self._inbox = inbox

    async def authenticate(self, ehr_id: str, unverified_authorization: str | None) -> Ehr:
        """Return the EHR when the header holds its secret; nothing of the body has been looked at before.

        Raises ``NotFound``, ``Unauthorized`` or ``ServiceUnavailable``.
        """
        try:
            ehr = self._ehrs.get(ehr_id)
        except UnknownEhr:
            raise NotFound from None
        try:
            expected = f"Bearer {await self._secrets.get(ehr.id)}"
        except SecretNotFound:
            raise Unauthorized from None
        except SecretError:
            raise ServiceUnavailable from None
        if not hmac.compare_digest(expected.encode(), (unverified_authorization or "").encode()):
            raise Unauthorized
        return ehr

    async def receive(self, ehr: Ehr, body: bytes, request_id: str) -> None:
        """Store what the notification announces; when this returns it may be acknowledged.

        Raises ``BadRequest`` on a message that is none and ``ServiceUnavailable`` when it cannot be stored.
        """
        try:
            if is_classic_rest_hook(body):
                # It has no number and cannot be told from a repetition: it only says that something changed.
                await self._store(ehr, [self._catch_up(ehr, "rest-hook", 0, request_id, request_id)])
                return
            await self._receive(ehr, read_notification(body), request_id)
        except (SQLAlchemyError, OSError, SecretError) as error:
            log(LogCode.REQUEST_FAILED, ehr=ehr.id, error_type=type(error).__name__, stage="inbox")
            raise ServiceUnavailable from None

    async def _receive(self, ehr: Ehr, notification: Notification, request_id: str) -> None:
        subscription = _subscription_id(notification.subscription, ehr)
        state = await self._inbox.subscription(ehr.id, subscription)
        epoch, highest = state.epoch, state.highest
        if notification.type is not NotificationType.EVENT:
            # Handshakes and heartbeats do not raise the counter. One below what was seen: it was set back.
            if notification.type is NotificationType.HANDSHAKE and (notification.count or 0) < highest:
                await self._inbox.advance(ehr.id, subscription, epoch=epoch + 1, highest=notification.count or 0)
            elif (notification.count or 0) > highest:
                await self._store(ehr, [self._missed(ehr, subscription, epoch, notification, request_id)])
            return
        events = []
        for event in notification.events:
            if event.focus is None:
                events.append(self._catch_up(ehr, subscription, epoch, notification.dedupe_key(event), request_id))
                continue
            try:
                focus = resource_key(event.focus, ehr.fhir_base)
            except InvalidReference:
                continue
            if focus.resource_type == "Encounter":
                key = notification.dedupe_key(event)
                events.append(
                    NewEvent(
                        ehr.id, subscription, epoch, key, EventKind.ENCOUNTER, focus.reference, request_id, event.number
                    )
                )
        numbers = [event.number for event in notification.events if event.number is not None]
        if numbers and min(numbers) > highest + 1:
            events.append(self._missed(ehr, subscription, epoch, notification, request_id))
        await self._store(ehr, events)
        if numbers and max(numbers) > highest:
            await self._inbox.advance(ehr.id, subscription, epoch=epoch, highest=max(numbers))

    def _missed(self, ehr: Ehr, subscription: str, epoch: int, notification: Notification, request_id: str) -> NewEvent:
        """An event that makes the worker search for what a gap in the numbers may have hidden."""
        return self._catch_up(ehr, subscription, epoch, f"gap-before-{notification.count}", request_id)

    def _catch_up(self, ehr: Ehr, subscription: str, epoch: int, key: str, request_id: str) -> NewEvent:
        return NewEvent(ehr.id, subscription, epoch, key, EventKind.CATCH_UP, subscription, request_id)

    async def _store(self, ehr: Ehr, events: list[NewEvent]) -> None:
        stored = await self._inbox.store(events)
        if stored:
            log(LogCode.EVENT_STORED, ehr=ehr.id, count=stored)
        if stored < len(events):
            log(LogCode.EVENT_DUPLICATE, ehr=ehr.id, count=len(events) - stored)


def _subscription_id(reference: str, ehr: Ehr) -> str:
    """Return the subscription's own id, however its reference is written."""
    try:
        return resource_key(reference, ehr.fhir_base).id
    except InvalidReference:
        return reference.rsplit("/", 1)[-1][:128]
