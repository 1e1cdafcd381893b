"""Reading a notification of the R5 Subscriptions Backport (R4): what it announces, never what it contains.

IG 1.1.0: a history Bundle whose first entry is the status, in R4 a Parameters resource with kebab-case names and
numbers as strings, in R4B a SubscriptionStatus. Only references and numbers are taken: the resource is read again
with our own token, so nothing else of the message can drive a decision.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_support.errors import BadRequest

__all__ = ["Notification", "NotificationType", "NotifiedEvent", "is_classic_rest_hook", "read_notification"]


class NotificationType(StrEnum):
    """The types of notification; the query types are answers and never sent to a receiver."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"


@dataclass(frozen=True)
class NotifiedEvent:
    """One event: its number, where the server counts, and the reference it is about, where the payload has one."""

    number: int | None
    focus: str | None


@dataclass(frozen=True)
class Notification:
    """What a notification announces. ``count`` is events-since-subscription-start."""

    type: NotificationType
    subscription: str
    count: int | None
    events: tuple[NotifiedEvent, ...]

    def dedupe_key(self, event: NotifiedEvent) -> str:
        """Return what is equal for repetitions of ``event``: its number, else a digest of what it is about."""
        if event.number is not None:
            return str(event.number)
        return hashlib.sha256(f"{event.focus}|{self.count}".encode()).hexdigest()


def is_classic_rest_hook(body: bytes) -> bool:
    """Whether this is what R4 sends without the backport: nothing, or the Encounter itself, which says as little."""
    if not body:
        return True
    try:
        resource = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(resource, dict) and resource.get("resourceType") == "Encounter"


def read_notification(body: bytes) -> Notification:
    """Read a notification; raise ``BadRequest`` when it is not one."""
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "history":
        raise BadRequest("A notification is a Bundle of type history.")
    try:
        status = bundle["entry"][0]["resource"]
        if status["resourceType"] == "Parameters":
            return _from_parameters(status)
        if status["resourceType"] == "SubscriptionStatus":
            return _from_subscription_status(status)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise BadRequest("The subscription status cannot be read.") from None
    raise BadRequest("The first entry is not a subscription status.")


def _from_parameters(status: dict[str, Any]) -> Notification:
    values = dict(_named(status["parameter"]))
    return Notification(
        type=NotificationType(values["type"]),
        subscription=str(values["subscription"]["reference"]),
        count=_number(values.get("events-since-subscription-start")),
        events=tuple(
            _event(dict(_named(parameter["part"])))
            for parameter in status["parameter"]
            if _kebab(parameter["name"]) == "notification-event"
        ),
    )


def _from_subscription_status(status: dict[str, Any]) -> Notification:
    events = tuple(
        NotifiedEvent(_number(event.get("eventNumber")), (event.get("focus") or {}).get("reference"))
        for event in status.get("notificationEvent", [])
    )
    return Notification(
        type=NotificationType(status["type"]),
        subscription=str(status["subscription"]["reference"]),
        count=_number(status.get("eventsSinceSubscriptionStart")),
        events=events,
    )


def _event(parts: dict[str, Any]) -> NotifiedEvent:
    focus = parts.get("focus")
    return NotifiedEvent(_number(parts.get("event-number")), str(focus["reference"]) if focus else None)


def _named(parameters: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for parameter in parameters:
        for key, value in parameter.items():
            if key.startswith("value"):
                yield _kebab(parameter["name"]), value


def _kebab(name: str) -> str:
    """Senders exist that write R5's camelCase names into R4's Parameters."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))
