"""Our Subscription at a real EHR: made once, made again, and what was missed is looked for."""

import httpx
import pytest
from facade.background import SubscriptionKeeper

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
