"""Reading a notification of the R5 Subscriptions Backport: what it announces, never what it contains.

IG 1.1.0: a history Bundle whose first entry is the status, in R4 a Parameters resource with kebab-case names and
numbers as strings, in R4B and R5 a SubscriptionStatus. Only references and numbers are taken: the resource is read
again with our own token, so nothing else of the message can drive a decision.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_support.errors import BadRequest
from fhir_support.identifiers import deterministic_id

__all__ = [
    "Notification",
    "NotificationType",
    "NotifiedEvent",
    "classic_focus",
    "is_classic_rest_hook",
    "read_notification",
    "read_statuses",
]


class NotificationType(StrEnum):
    """The types of notification. The query types are answers to ``$status`` and ``$events``.

    A sender that pushes one of them is understood: what it names is only a hint, like everything else it could say.
    """

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    QUERY_STATUS = "query-status"
    QUERY_EVENT = "query-event"

    @property
    def has_events(self) -> bool:
        """Whether a message of this type names events."""
        return self in (NotificationType.EVENT, NotificationType.QUERY_EVENT)


@dataclass(frozen=True)
class NotifiedEvent:
    """One event: its number, where the server counts, and the reference it is about, where the payload has one."""

    number: int | None
    focus: str | None
    timestamp: str | None = None

    @property
    def fingerprint(self) -> str | None:
        """What differs for another event of the same number; the letter says what it was made from."""
        if self.focus is not None:
            return f"f:{deterministic_id('focus', _relative(self.focus))[:34]}"
        return f"t:{deterministic_id('time', self.timestamp)[:34]}" if self.timestamp else None


@dataclass(frozen=True)
class Notification:
    """What a notification announces. ``count`` is events-since-subscription-start, ``status`` the Subscription's."""

    type: NotificationType
    subscription: str
    count: int | None
    events: tuple[NotifiedEvent, ...]
    status: str | None = None

    def dedupe_key(self, event: NotifiedEvent, request_id: str) -> str:
        """Return what is equal for repetitions of ``event``: its number, else a digest of what is said about it.

        Where nothing at all is said, every message is an event.
        """
        if event.number is not None:
            return str(event.number)
        said = (event.focus, self.count, event.timestamp)
        if self.count is None and event.timestamp is None:
            said = (event.focus, None, request_id)
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def is_classic_rest_hook(body: bytes) -> bool:
    """Whether this is what R4 sends without the backport: nothing, or a resource that is no Bundle."""
    if not body.strip():
        return True
    resource = _json(body)
    return isinstance(resource, dict) and resource.get("resourceType") == "Encounter"


def classic_focus(body: bytes) -> str | None:
    """Return the reference of the resource that a classic rest-hook sends, where it says one."""
    resource = _json(body) if body.strip() else None
    if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
        return None
    return f"{resource.get('resourceType')}/{resource['id']}"


def read_notification(body: bytes) -> Notification:
    """Read a notification; raise ``BadRequest`` when it is not one."""
    bundle = _json(body)
    if bundle is _NOT_JSON:
        raise BadRequest("The body is not JSON.")
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "history":
        raise BadRequest("A notification is a Bundle of type history.")
    return _first_status(bundle)


def read_statuses(answer: dict[str, Any]) -> tuple[Notification, ...]:
    """Return what an answer to ``$status`` or ``$events`` says: a status, or a Bundle of some; raise ``BadRequest``.

    Only the first entry of a history Bundle is a status; in the searchset of ``$status`` each is.
    """
    if answer.get("resourceType") == "Bundle":
        if answer.get("type") == "history":
            return (_first_status(answer),)
        entries = answer.get("entry", [])
        resources = [entry.get("resource") for entry in entries if isinstance(entry, dict)]
    else:
        resources = [answer]
    read = []
    for resource in resources:
        if isinstance(resource, dict) and resource.get("resourceType") in ("Parameters", "SubscriptionStatus"):
            read.append(_status(resource, ()))
    return tuple(read)


_NOT_JSON = object()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _first_status(bundle: dict[str, Any]) -> Notification:
    try:
        first, *rest = bundle["entry"]
        status = first["resource"]
        if status["resourceType"] in ("Parameters", "SubscriptionStatus"):
            return _status(status, rest)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise BadRequest("The subscription status cannot be read.") from None
    raise BadRequest("The first entry is not a subscription status.")


def _status(resource: dict[str, Any], rest: "tuple[Any, ...] | list[Any]") -> Notification:
    try:
        is_parameters = resource["resourceType"] == "Parameters"
        read = _from_parameters(resource) if is_parameters else _from_subscription_status(resource)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise BadRequest("The subscription status cannot be read.") from None
    if read.type is not NotificationType.EVENT or read.events:
        return read
    # Not every sender names its events one by one; what the other entries are about says as much.
    found = [focus for focus in map(_entry_focus, rest) if focus is not None]
    number = read.count if len(found) <= 1 else None
    events = tuple(NotifiedEvent(number, focus) for focus in found) or (NotifiedEvent(number, None),)
    return Notification(read.type, read.subscription, read.count, events, read.status)


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
        status=_text(values.get("status")),
    )


def _from_subscription_status(status: dict[str, Any]) -> Notification:
    events = tuple(
        NotifiedEvent(
            _number(event.get("eventNumber")),
            _text((event.get("focus") or {}).get("reference")),
            _text(event.get("timestamp")),
        )
        for event in status.get("notificationEvent", [])
    )
    return Notification(
        type=NotificationType(status["type"]),
        subscription=str(status["subscription"]["reference"]),
        count=_number(status.get("eventsSinceSubscriptionStart")),
        events=events,
        status=_text(status.get("status")),
    )


def _event(parts: dict[str, Any]) -> NotifiedEvent:
    focus = parts.get("focus")
    return NotifiedEvent(
        _number(parts.get("event-number")), str(focus["reference"]) if focus else None, _text(parts.get("timestamp"))
    )


def _entry_focus(entry: Any) -> str | None:
    """Return what an entry after the status is about: its address, or its resource's type and id."""
    if not isinstance(entry, dict):
        return None
    resource = entry.get("resource")
    if isinstance(resource, dict) and isinstance(resource.get("id"), str):
        return f"{resource.get('resourceType')}/{resource['id']}"
    for address in (entry.get("fullUrl"), (entry.get("request") or {}).get("url")):
        if isinstance(address, str) and _REFERENCE.search(address):
            return address
    return None


_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?$")


def _relative(reference: str) -> str:
    """Return ``Type/id`` of a reference: a sender may write it absolute once and relative another time."""
    match = _REFERENCE.search(reference)
    return match[1] if match else reference


def _named(parameters: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for parameter in parameters:
        for key, value in parameter.items():
            if key.startswith("value"):
                yield _kebab(parameter["name"]), value


def _kebab(name: str) -> str:
    """Senders exist that write R5's camelCase names into R4's Parameters."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_LARGEST = 2**31 - 1


def _number(value: object) -> int | None:
    """Return a count or number; a negative one, or one that no counter of events reaches, is none."""
    if value is None:
        return None
    number = int(str(value))
    if not 0 <= number <= _LARGEST:
        raise ValueError("not a number of events")
    return number
