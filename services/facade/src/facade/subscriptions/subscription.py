"""Our Subscription at an EHR as the R5 Subscriptions Backport (R4) writes it: id-only, rest-hook, with our secret."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fhir_support.identifiers import deterministic_id, effect_tag
from fhir_support.r4 import validated

from facade.ehr.registry import Ehr
from facade.gather.elements import instant

__all__ = [
    "HEARTBEAT_S",
    "PAYLOADS",
    "endpoint",
    "ends_soon",
    "is_as_wanted",
    "is_classic",
    "is_ours",
    "subscription_resource",
    "subscription_uid",
]

_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
HEARTBEAT_S = 60
PAYLOADS = ("empty", "id-only", "full-resource")
"""The codes of backport-payload-content."""

_RENEW_BEFORE = timedelta(days=2)


def endpoint(ehr_id: str, public_base_url: str) -> str:
    """Return where an EHR sends its notifications."""
    return f"{public_base_url}/subscriptions/{ehr_id}"


def subscription_uid(ehr: Ehr, public_base_url: str) -> str:
    """Return the UUID our Subscription is tagged with, to be found by: R4 gives it no identifier."""
    return deterministic_id("subscription", ehr.id, public_base_url)


def is_classic(ehr: Ehr) -> bool:
    """Whether the EHR knows no topics: its criteria is a search, as R4 had it before the backport."""
    return "?" in ehr.encounter_topic


def subscription_resource(
    ehr: Ehr, public_base_url: str, secret: str, *, payload: str | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """Return the Subscription to ask for.

    ``secret`` goes into the channel's Authorization header, which the EHR sends with every notification. ``payload``
    is one of ``PAYLOADS``, None for id-only: it says what is needed, and nothing about a patient. ``end`` is only
    asked for where the EHR sets one itself.
    """
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": endpoint(ehr.id, public_base_url),
        "header": [f"Authorization: Bearer {secret}"],
    }
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "meta": {"tag": [effect_tag(subscription_uid(ehr, public_base_url))]},
        "status": "requested",
        "reason": "Discharge instructions are drafted when an inpatient stay ends.",
        "criteria": ehr.encounter_topic,
        "channel": channel,
    }
    if end is not None:
        resource["end"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    if is_classic(ehr):
        if payload == "full-resource":
            channel["payload"] = "application/fhir+json"
        return validated(resource)
    resource["meta"]["profile"] = [f"{_BACKPORT}/backport-subscription"]
    channel["extension"] = [{"url": f"{_BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": HEARTBEAT_S}]
    channel["payload"] = "application/fhir+json"
    content = {"url": f"{_BACKPORT}/backport-payload-content", "valueCode": payload or PAYLOADS[1]}
    channel["_payload"] = {"extension": [content]}
    if ehr.encounter_filters:
        filters = [
            {"url": f"{_BACKPORT}/backport-filter-criteria", "valueString": one} for one in ehr.encounter_filters
        ]
        resource["_criteria"] = {"extension": filters}
    return validated(resource)


def is_as_wanted(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the EHR's Subscription asks for what we want; its status, end and header are not compared.

    An EHR may keep the header to itself, and then it can never be seen to be equal.
    """
    channel, wanted_channel = found.get("channel") or {}, wanted["channel"]
    return (
        found.get("criteria") == wanted["criteria"]
        and _extensions(found.get("_criteria")) == _extensions(wanted.get("_criteria"))
        and all(channel.get(name) == wanted_channel.get(name) for name in ("type", "endpoint", "payload"))
        and _extensions(channel.get("_payload")) == _extensions(wanted_channel.get("_payload"))
    )


def is_ours(found: Mapping[str, Any], ehr: Ehr, public_base_url: str) -> bool:
    """Whether a Subscription is the one we asked for: a server may answer a search it does not know with all."""
    tags = (found.get("meta") or {}).get("tag", [])
    sent_here = (found.get("channel") or {}).get("endpoint") == endpoint(ehr.id, public_base_url)
    return sent_here or any(tag.get("code") == subscription_uid(ehr, public_base_url) for tag in tags)


def ends_soon(found: Mapping[str, Any], now: datetime) -> bool:
    """Whether the EHR will end the Subscription before long; without an ``end`` it does not."""
    end = instant(found.get("end"))
    return end is not None and end - now < _RENEW_BEFORE


def _extensions(element: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    found = (element or {}).get("extension", [])
    return sorted((str(one.get("url")), str(one.get("valueString", one.get("valueCode")))) for one in found)
