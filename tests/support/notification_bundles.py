"""Notifications as real senders write them: R4 Parameters, R4B and R5 SubscriptionStatus, at each payload level.

The R4 form is built by the code of the server that the sandbox EHR runs; the others are made from the same events.
"""

import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sekmet.subscriptions.backport import notification_bundle

DIALECTS = ("kebab-case", "camelCase", "R4B", "R5")
PAYLOADS = ("empty", "id-only", "full-resource")


@dataclass(frozen=True)
class Event:
    """One event of a subscription: its number and the Encounter it is about."""

    number: int
    encounter: dict[str, Any]
    timestamp: str = ""

    @property
    def focus(self) -> str:
        return f"Encounter/{self.encounter['id']}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bundle(
    base: str,
    subscription: dict[str, Any],
    events: list[Event],
    *,
    count: int | None = None,
    kind: str = "event-notification",
    payload: str = "id-only",
    dialect: str = "kebab-case",
    status: str = "active",
) -> dict[str, Any]:
    """Return a notification; ``count`` is events-since-subscription-start, by default the highest number."""
    told = max((event.number for event in events), default=0) if count is None else count
    listed = []
    for event in events:
        one: dict[str, Any] = {"number": event.number, "timestamp": event.timestamp or now()}
        if payload != "empty":
            one["focus"] = event.focus
        listed.append(one)
    resources = [event.encounter for event in events] if payload == "full-resource" else []
    sent = notification_bundle(subscription, base, kind, told, listed, resources, status)
    if dialect == "camelCase":
        _rename(sent["entry"][0]["resource"])
    elif dialect != "kebab-case":
        sent["entry"][0]["resource"] = _subscription_status(sent["entry"][0]["resource"], dialect)
    return sent


def _rename(parameters: dict[str, Any]) -> None:
    for parameter in parameters["parameter"]:
        for named in (parameter, *parameter.get("part", [])):
            first, *rest = named["name"].split("-")
            named["name"] = first + "".join(word.title() for word in rest)


def _subscription_status(parameters: dict[str, Any], dialect: str) -> dict[str, Any]:
    """R5 writes its integer64 numbers as JSON strings; senders of R4B write JSON numbers as well."""
    values: dict[str, Any] = {}
    events = []
    for parameter in parameters["parameter"]:
        if parameter["name"] == "notification-event":
            parts = {part["name"]: _value(part) for part in parameter["part"]}
            event = {"eventNumber": parts["event-number"], "timestamp": parts["timestamp"]}
            if "focus" in parts:
                event["focus"] = copy.deepcopy(parts["focus"])
            events.append(event)
        else:
            values[parameter["name"]] = _value(parameter)
    status = {
        "resourceType": "SubscriptionStatus",
        "id": parameters["id"],
        "status": values["status"],
        "type": values["type"],
        "eventsSinceSubscriptionStart": values["events-since-subscription-start"],
        "subscription": values["subscription"],
        "topic": values["topic"],
    }
    if events:
        status["notificationEvent"] = events
    if dialect == "R4B":
        status["eventsSinceSubscriptionStart"] = int(status["eventsSinceSubscriptionStart"])
        for event in events:
            event["eventNumber"] = int(event["eventNumber"])
    return status


def _value(parameter: dict[str, Any]) -> Any:
    return next(value for name, value in parameter.items() if name.startswith("value"))
