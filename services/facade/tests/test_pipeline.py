"""From a discharge in the EHR to the document in the EHR, over real sockets on both sides."""

import asyncio

import httpx
import pytest
from facade.resources.signing import Signer
from service_contracts.reconciliation import Verdict

ONE_OF_EACH = {
    "Composition": 1, "DocumentReference": 1, "DetectedIssue": 1, "Task": 1, "Provenance": 1, "AuditEvent": 1,
}  # fmt: skip


def counts(written):
    return {kind: len(found) for kind, found in written.items()}


def drafted_for(suite, encounter):
    return len([one for one in suite.drafting.requests if one.chart.encounter.reference == encounter])


@pytest.mark.requirement("b2", "", "Writes use conditional create, If-Match, or a transaction.")
async def test_a_discharge_becomes_one_document_with_its_flag(facade, ward, eventually):
    encounter = await ward.admit()
    await ward.discharge(encounter)
    written = await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])
    assert counts(written) == ONE_OF_EACH
    assert written["Composition"][0]["status"] == "preliminary"
    assert written["Task"][0]["status"] == "completed"
    assert "40 mg" in str(written["DetectedIssue"][0]["evidence"])


@pytest.mark.requirement("f3", "", "Deterministic ids and conditional create: a replay is a no-op.")
@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@17",
    "Some notifications might not be delivered. Some notifications might be delivered multiple times",
)  # fmt: skip
async def test_a_repeated_notification_changes_nothing(facade, ward, eventually, suite):
    encounter = await ward.admit()
    await ward.discharge(encounter)
    await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])
    token = (await facade.secrets.read("facade/subscriptions/sandbox"))["token"]
    async with httpx.AsyncClient(base_url=facade.settings.public_base_url) as ehr:
        for number in ("900", "900", "901"):
            body = notification(encounter, number)
            answer = await ehr.post("/subscriptions/sandbox", json=body, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
    await eventually(facade.inbox.queue.counts, lambda found: found.get("pending", 0) == 0)
    assert counts(await ward.written(encounter)) == ONE_OF_EACH
    assert drafted_for(suite, encounter) == 1


@pytest.mark.parametrize(("code", "discharged"), [("AMB", True), ("IMP", False)])
async def test_only_inpatient_stays_that_have_ended_are_drafted(facade, ward, eventually, code, discharged):
    encounter = await ward.admit(code=code)
    if discharged:
        await ward.discharge(encounter)
    token = (await facade.secrets.read("facade/subscriptions/sandbox"))["token"]
    async with httpx.AsyncClient(base_url=facade.settings.public_base_url) as ehr:
        body = notification(encounter, "950" if discharged else "951")
        await ehr.post("/subscriptions/sandbox", json=body, headers={"Authorization": f"Bearer {token}"})
    await eventually(facade.inbox.queue.counts, lambda found: found.get("done") and not found.get("pending"))
    assert await facade.documents.get("sandbox", encounter) is None
    assert not (await ward.written(encounter))["Composition"]


async def test_without_drafting_there_is_a_failed_task_and_the_document_comes_later(facade, ward, eventually, suite):
    suite.drafting.failure = "drafting-unavailable"
    encounter = await ward.admit()
    await ward.discharge(encounter)
    written = await eventually(lambda: ward.written(encounter), lambda found: found["Task"])
    (task,) = written["Task"]
    assert (task["status"], task["statusReason"]["text"]) == ("failed", "the drafting service does not answer")
    assert not written["Composition"]
    suite.drafting.failure = None
    written = await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])
    assert [task["status"] for task in written["Task"]] == ["completed"]
    assert "statusReason" not in written["Task"][0]


async def test_without_reconciliation_there_is_a_failed_task_and_the_document_comes_later(
    facade, ward, eventually, suite
):
    suite.reconciliation.stop()
    encounter = await ward.admit()
    await ward.discharge(encounter)
    written = await eventually(lambda: ward.written(encounter), lambda found: found["Task"])
    suite.reconciliation.start()
    assert [task["status"] for task in written["Task"]] == ["failed"]
    await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])


async def test_without_retrieval_the_document_comes_and_says_what_was_not_checked(facade, ward, eventually, suite):
    suite.evidence.down = True
    encounter = await ward.admit()
    await ward.discharge(encounter)
    written = await eventually(lambda: ward.written(encounter), lambda found: found["Composition"])
    stored = await facade.documents.get("sandbox", encounter)
    judged = [claim for claim in stored.document.claims if claim.kind != "chart-fact"]
    assert judged
    assert {claim.verdict for claim in judged} == {Verdict.NOT_CHECKED}
    checks = written["Composition"][0]["section"][-1]["text"]["div"]
    assert "Not checked" in checks
    assert not written["DetectedIssue"]


async def test_a_page_and_an_event_that_come_together_watch_one_drafting(
    facade, ward, suite, eventually, new_request_id
):
    suite.drafting.delay_s = 0.3
    encounter = await ward.admit()

    async def watch():
        return [event async for event in facade.drafting.stream("sandbox", encounter, new_request_id)]

    await ward.discharge(encounter)
    first, second = await asyncio.gather(watch(), watch())
    assert [event.event for event in first] == ["sentence", "sentence", "finished"]
    assert second == first
    await eventually(facade.inbox.queue.counts, lambda found: found.get("done") and not found.get("pending"))
    assert drafted_for(suite, encounter) == 1


async def test_a_signature_makes_everything_final_and_a_second_one_changes_nothing(
    facade, ward, eventually, new_request_id, decide
):
    encounter = await ward.admit()
    await ward.discharge(encounter)
    await eventually(lambda: facade.documents.get("sandbox", encounter), lambda stored: stored and stored.written)
    await decide(facade, encounter)
    signer = Signer("Practitioner/dr-1", "Dr. Example")
    for _ in range(2):
        stored = await facade.signing.sign(
            "sandbox", encounter, signer=signer, sections=None, request_id=new_request_id
        )
    assert (stored.status, stored.signature.signer) == ("final", "Practitioner/dr-1")
    written = await ward.written(encounter)
    assert counts(written) == {**ONE_OF_EACH, "Provenance": 2, "AuditEvent": 2}
    assert written["Composition"][0]["status"] == "final"
    assert written["DocumentReference"][0]["docStatus"] == "final"
    assert written["DetectedIssue"][0]["mitigation"][0]["author"]["reference"] == "Practitioner/dr-1"


def notification(encounter, number):
    return {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [
            {
                "resource": {
                    "resourceType": "Parameters",
                    "parameter": [
                        {"name": "subscription", "valueReference": {"reference": "Subscription/other"}},
                        {"name": "type", "valueCode": "event-notification"},
                        {"name": "events-since-subscription-start", "valueString": number},
                        {
                            "name": "notification-event",
                            "part": [
                                {"name": "event-number", "valueString": number},
                                {"name": "focus", "valueReference": {"reference": encounter}},
                            ],
                        },
                    ],
                }
            }
        ],
    }
