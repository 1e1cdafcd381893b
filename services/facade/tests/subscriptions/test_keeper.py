"""Our Subscription at a real EHR: made once, made again, and what was missed is looked for."""

import httpx
import pytest
from facade.background import SubscriptionKeeper
from facade.subscriptions.subscription import PAYLOADS, subscription_resource

TOKEN_PATH = "facade/subscriptions/sandbox"


def keeper(facade):
    return SubscriptionKeeper(
        ehrs=facade.ehrs,
        connections=facade.connections,
        secrets=facade.receiver.secrets,
        inbox=facade.inbox,
        public_base_url=facade.settings.public_base_url,
        wake=facade.wake,
    )


async def subscriptions(ward):
    return await ward.client.search("Subscription", [])


@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@23",
    "To receive notifications via HTTP/S POST, a client should request a subscription with the channel "
    "type of rest-hook "
    "and set the endpoint to the appropriate client URL.",
)  # fmt: skip
@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@64",
    "Clients supporting this guide SHALL be able to write values in this [backport-filter-criteria - "
    "https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-filter-"
    "criteria.html] extension.",
)  # fmt: skip
@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@68",
    "Clients supporting this guide SHALL be able to write values in this [backport-payload-content - "
    "https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-payload"
    "-content.html] extension.",
)  # fmt: skip
@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@76",
    "Clients supporting this guide SHALL be able to write subscription topic URLs into this [Subscription.criteria] "
    "element.",
)  # fmt: skip
@pytest.mark.requirement(
    "d1", "hl7.fhir.uv.subscriptions_1.1.0@86",
    "In order to promote widespread compatibility, cross version extensions SHOULD NOT be used [clients should not put "
    "into Subscriptions they create] on R4 subscriptions to describe any elements also described by this guide",
)  # fmt: skip
async def test_there_is_one_subscription_as_the_backport_wants_it(facade, ward):
    await keeper(facade).check(facade.ehrs.get("sandbox"))
    (one,) = await subscriptions(ward)
    channel = one["channel"]
    assert one["meta"]["profile"] == [
        "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
    ]
    assert one["criteria"] == facade.ehrs.get("sandbox").encounter_topic
    assert one["_criteria"]["extension"][0]["valueString"] == "Encounter?class=IMP"
    assert (channel["type"], channel["payload"]) == ("rest-hook", "application/fhir+json")
    assert channel["_payload"]["extension"][0]["valueCode"] == "id-only"
    assert channel["endpoint"] == f"{facade.settings.public_base_url}/subscriptions/sandbox"
    secret = (await facade.secrets.read(TOKEN_PATH))["token"]
    assert channel["header"] == [f"Authorization: Bearer {secret}"]
    assert len(secret) >= 40
    assert "http://hl7.org/fhir/5.0/StructureDefinition" not in str(one)


def test_an_ehr_without_topics_is_asked_by_a_search_as_r4_had_it(facade):
    ehr = facade.ehrs.get("sandbox").model_copy(update={"encounter_topic": "Encounter?status=finished"})
    asked = subscription_resource(ehr, "https://preceptor.example.org", "s")
    assert asked["criteria"] == "Encounter?status=finished"
    assert "profile" not in asked["meta"]
    assert "payload" not in asked["channel"], "an empty POST says enough"
    assert "_payload" not in asked["channel"]
    full = subscription_resource(ehr, "https://preceptor.example.org", "s", payload="full-resource")
    assert full["channel"]["payload"] == "application/fhir+json"


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.requirement(
    "d3", "hl7.fhir.uv.subscriptions_1.1.0@67",
    "Servers SHALL include information in notifications as described in this guide based on this value "
    "[in the extension "
    "backport-payload-content",
)  # fmt: skip
async def test_whatever_payload_the_sandbox_is_asked_for_a_discharge_becomes_a_document(
    facade, ward, eventually, payload
):
    kept = await keeper(facade).keep(facade.ehrs.get("sandbox"), payload=payload)
    (one,) = await eventually(lambda: subscriptions(ward), lambda found: found[0]["status"] == "active")
    assert one["channel"]["_payload"]["extension"][0]["valueCode"] == payload
    assert (await facade.inbox.subscriptions.get("sandbox", kept.subscription)).payload == payload
    encounter = await ward.admit()
    await ward.discharge(encounter)
    await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])


@pytest.mark.requirement(
    "d5", "hl7.fhir.uv.subscriptions_1.1.0@82",
    "Once an application has returned to a functional state, it should request the subscription is reactivated by "
    "updating the status to either requested or active as appropriate.",
)  # fmt: skip
@pytest.mark.parametrize("status", ["error", "off"])
async def test_a_subscription_the_ehr_gave_up_is_asked_for_again(facade, ward, eventually, status):
    (one,) = await subscriptions(ward)
    await ward.client.update({**one, "status": status})
    (again,) = await eventually(lambda: subscriptions(ward), lambda found: found[0]["status"] == "active")
    assert again["id"] == one["id"]


async def test_a_stay_that_ended_while_the_subscription_was_off_is_found(facade, ward, eventually):
    encounter = await ward.admit()
    (one,) = await subscriptions(ward)
    await ward.client.update({**one, "status": "off"})
    await ward.discharge(encounter)
    await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])


async def test_a_subscription_somebody_changed_is_set_right(facade, ward, eventually):
    (one,) = await subscriptions(ward)
    await ward.client.update({**one, "channel": {**one["channel"], "endpoint": "http://localhost:1/elsewhere"}})
    wanted = f"{facade.settings.public_base_url}/subscriptions/sandbox"
    await eventually(lambda: subscriptions(ward), lambda found: found[0]["channel"]["endpoint"] == wanted)


async def test_an_ehr_that_is_away_is_no_crash(facade, monkeypatch):
    async def away(*_, **__):
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(facade.http, "request", away)
    assert await keeper(facade).check(facade.ehrs.get("sandbox")) is None
