"""What a launch asks to be seen first, and what the EHR is told of what was seen."""

import json
import re

import pytest
from facade.smart.token_response import AppContext

STAY = "Encounter/enc-ac4dcc33953d"
"""The demonstration stay, which the EHR shows with its launch button."""


@pytest.fixture
async def stay(ward):
    """The demonstration stay with two more orders, both above the limit, so with two flags."""
    subject = (await ward.client.read(STAY))["subject"]
    orders = [await ward.client.create(order(mg, subject)) for mg in (80, 60)]
    yield STAY
    for one in orders:
        await ward.client.update({**one, "status": "entered-in-error"})


def order(mg, subject):
    category = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"
    dose = {"value": mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    return {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "category": [{"coding": [{"system": category, "code": "discharge"}]}],
        "medicationCodeableConcept": {"text": "Simvastatin"}, "subject": subject, "encounter": {"reference": STAY},
        "authoredOn": "2026-11-20T10:00:00Z",
        "dosageInstruction": [{"timing": timing, "doseAndRate": [{"doseQuantity": dose}]}],
    }  # fmt: skip


@pytest.fixture
async def stored(clinician, stay, new_request_id):
    return await clinician.container.drafting.draft("sandbox", stay, new_request_id)


def opened(page):
    """The numbers of the flags that the page points to."""
    return re.findall(r'data-flag="(\d+)" data-opened', page.text)


async def launched(clinician, stay, app_context=""):
    address = await clinician.launch_address(stay.partition("/")[2], app_context=app_context)
    started = await clinician.ask(address)
    answer = await clinician.ask(await clinician.authorized(started.headers["location"]))
    assert answer.status_code == 303, answer.text
    return await clinician.ask(answer.headers["location"])


async def test_a_link_of_a_card_opens_exactly_its_finding(clinician, stay, stored):
    numbers = {}
    for flag in stored.document.flags:
        page = await launched(clinician, stay, json.dumps({"document": stored.id, "flag": flag.id}))
        (numbers[flag.id],) = opened(page)
        assert f'name="flag" value="{flag.id}"' in page.text
    assert len(set(numbers.values())) == len(stored.document.flags) >= 2


@pytest.mark.parametrize(
    "app_context",
    [None, "", "not JSON", "[]", "null", 1, ["x"], '{"document": 1}', '{"flag": "x"}', '{"document": ""}', "[" * 2000,
     '{"document": "' + "x" * 3000 + '"}', {"document": "x" * 200}],
)  # fmt: skip
def test_what_is_no_context_of_ours_is_none(app_context):
    assert AppContext.read(app_context) is None


def test_a_context_may_come_as_text_or_as_an_object_and_with_more_in_it():
    ours = AppContext(document="d", flag="f")
    assert AppContext.read('{"document": "d", "flag": "f"}') == ours
    assert AppContext.read({"document": "d", "flag": "f", "more": 1}) == ours


async def test_a_flag_of_another_document_is_said_not_to_be_here(clinician, stay, stored):
    for named in ({"document": stored.id, "flag": "of another"}, {"document": "another"}):
        page = await launched(clinician, stay, json.dumps(named))

        assert opened(page) == []
        assert "What the link asked for is not in this document" in page.text
    assert "What the link asked for" not in (await launched(clinician, stay)).text


async def test_the_ehr_learns_that_a_clinician_saw_the_document(clinician, stay, stored, eventually):
    client = clinician.container.connections.client("sandbox")

    async def reads():
        found = await client.search("AuditEvent", [("patient", stored.patient.partition("/")[2])])
        return [one for one in found if one["subtype"][0]["code"] == "read"]

    before = len(await reads())
    page = await launched(clinician, stay)
    assert page.status_code == 200

    events = await eventually(reads, lambda found: len(found) == before + 1)
    event = max(events, key=lambda one: one["recorded"])
    assert event["action"] == "R"
    user = next(one for one in event["agent"] if one["requestor"])
    assert user["who"]["reference"].startswith("Practitioner/")
    patients = [one["what"]["reference"] for one in event["entity"] if one.get("role", {}).get("code") == "1"]
    assert [one.rpartition("/")[2] for one in patients] == [stored.patient.rpartition("/")[2]]
    request_ids = [one["what"]["identifier"]["value"] for one in event["entity"] if "identifier" in one["what"]]
    assert request_ids == [page.headers["x-request-id"]]


async def test_what_cannot_be_recorded_is_not_shown(clinician, stay, stored, monkeypatch):
    path = await clinician.open(stay)

    async def fails(_):
        raise OSError

    monkeypatch.setattr(clinician.container.outbox, "add", fails)
    page = await clinician.ask(path)

    assert page.status_code == 503
    assert all(flag.finding not in page.text for flag in stored.document.flags)
