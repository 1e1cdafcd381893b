"""Our Subscription at an EHR as the R5 Subscriptions Backport (R4) writes it: id-only, rest-hook, with our secret."""

from collections.abc import Mapping
from typing import Any

from fhir_support.identifiers import deterministic_id, effect_tag
from fhir_support.r4 import validated

from facade.ehr.registry import Ehr

__all__ = ["endpoint", "is_as_wanted", "subscription_resource", "subscription_uid"]

_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_HEARTBEAT_S = 60


def endpoint(ehr_id: str, public_base_url: str) -> str:
    """Return where an EHR sends its notifications."""
    return f"{public_base_url}/subscriptions/{ehr_id}"


def subscription_uid(ehr: Ehr, public_base_url: str) -> str:
    """Return the UUID our Subscription is tagged with, to be found by: R4 gives it no identifier."""
    return deterministic_id("subscription", ehr.id, public_base_url)


def subscription_resource(ehr: Ehr, public_base_url: str, secret: str) -> dict[str, Any]:
    """Return the Subscription to ask for.

    ``secret`` goes into the channel's Authorization header, which the EHR sends with every notification.
    """
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "meta": {
            "profile": [f"{_BACKPORT}/backport-subscription"],
            "tag": [effect_tag(subscription_uid(ehr, public_base_url))],
        },
        "status": "requested",
        "reason": "Discharge instructions are drafted when an inpatient stay ends.",
        "criteria": ehr.encounter_topic,
        "channel": {
            "extension": [{"url": f"{_BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": _HEARTBEAT_S}],
            "type": "rest-hook",
            "endpoint": endpoint(ehr.id, public_base_url),
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{_BACKPORT}/backport-payload-content", "valueCode": "id-only"}]},
            "header": [f"Authorization: Bearer {secret}"],
        },
    }
    if ehr.encounter_filters:
        filters = [
            {"url": f"{_BACKPORT}/backport-filter-criteria", "valueString": one} for one in ehr.encounter_filters
        ]
        resource["_criteria"] = {"extension": filters}
    return validated(resource)


def is_as_wanted(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the EHR's Subscription asks for what we want; its status and its header are not compared.

    An EHR may keep the header to itself, and then it can never be seen to be equal.
    """
    channel, wanted_channel = found.get("channel") or {}, wanted["channel"]
    return (
        found.get("criteria") == wanted["criteria"]
        and _extensions(found.get("_criteria")) == _extensions(wanted.get("_criteria"))
        and all(channel.get(name) == wanted_channel[name] for name in ("type", "endpoint", "payload"))
        and _extensions(channel.get("_payload")) == _extensions(wanted_channel["_payload"])
    )


def _extensions(element: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    found = (element or {}).get("extension", [])
    return sorted((str(one.get("url")), str(one.get("valueString", one.get("valueCode")))) for one in found)
