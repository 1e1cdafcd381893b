"""order-sign: each check in a card, every card as the standard has it, and empty only when everything was checked."""

import asyncio
import re
import uuid
from urllib.parse import urlsplit

import pytest
from facade.cds_hooks import order_hooks

PENICILLIN = {
    "resourceType": "AllergyIntolerance", "id": "allergy-1", "code": {"text": "Penicillin"},
    "patient": {"reference": "Patient/patient-1"},
}  # fmt: skip


def creatinine(value):
    return {
        "resourceType": "Observation", "id": "creatinine-1", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": "Patient/patient-1"}, "effectiveDateTime": "2026-11-20T08:00:00Z",
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    }  # fmt: skip


def topics(cards):
    return [card["source"]["topic"]["code"] for card in cards]


def elements(value, path=""):
    yield path, value
    if isinstance(value, dict):
        for name, one in value.items():
            yield from elements(one, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from elements(one, f"{path}[]")


@pytest.fixture
def found(cds, ehr):
    """Cards for drafts."""

    async def ask(*drafts, **more):
        return await cds.cards("order-sign", ehr.request("order-sign", *drafts, **more))

    return ask


@pytest.fixture
def everything(ehr):
    """A request in which each check finds something."""
    drafts = [ehr.draft("Simvastatin", 80, 1), ehr.draft("Amoxicillin", 500, 3), ehr.draft("Ibuprofen", 800, 3),
              ehr.draft("Metformin", 1000, 2)]  # fmt: skip
    taken = [ehr.order("Warfarin", 5, 1), ehr.order("Atorvastatin", 40, 1)]
    return ehr.request("order-sign", *drafts, taken=taken, allergies=[PENICILLIN], observations=[creatinine(2.9)])


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@74",
    "For successful responses, CDS Services SHALL respond with a 200 HTTP response with an object containing a "
    "cards array",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@75",
    "For successful responses, CDS Services [MAY] optionally [respond with an object containing] a systemActions array",
)
@pytest.mark.requirement(
    "e6",
    "cds-hooks_2.0@77",
    "If … [the] CDS Service has no decision support for the user, … [the] service should return a 200 HTTP "
    "response with an empty array of cards",
)
async def test_an_order_that_is_right_gets_an_empty_answer(cds, ehr):
    answer = await cds.call("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"cards": [], "systemActions": []}


async def test_every_kind_of_finding_comes_with_its_card(cds, everything):
    cards = await cds.cards("order-sign", everything)
    assert {"dose", "allergy", "interaction", "renal", "duplicate"} <= set(topics(cards))
    ranks = [
        ("critical", "warning", "info").index(card["indicator"]) for card in cards if topics([card]) != ["not-checked"]
    ]
    assert ranks == sorted(ranks), "the gravest come first"


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@83",
    "[When sending a card object] the summary field Shall be a < 140 summary message for display to the user as a"
    " string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@88",
    "[When sending a card object] the indicator field's allowed values, in order of increasing urgency, are: "
    "info, warning, critical",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@80",
    "[When sending a card object] the uuid field SHALL [be a] unique identifier of the card [and be sent as] a "
    "string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@105",
    "[When sending a Source object,] the label field is required and [SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@115",
    "[When sending a Source object,] the topic field [SHALL be a] [Coding](https://cds-hooks.hl7.org/2.0/#coding)"
    " type object",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@107",
    "[When sending a Source object,] the url field [SHALL be a] URL data type [and use a] absolute URL",
)
async def test_every_card_is_as_the_standard_has_it(cds, everything):
    cards = await cds.cards("order-sign", everything)
    allowed = {"uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior",
               "overrideReasons", "links"}  # fmt: skip
    assert len({card["uuid"] for card in cards}) == len(cards)
    for card in cards:
        assert set(card) <= allowed
        uuid.UUID(card["uuid"])
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in {"info", "warning", "critical"}
        assert card["source"]["label"]
        assert {"system", "code", "display"} == set(card["source"]["topic"])
        if "url" in card["source"]:
            assert urlsplit(card["source"]["url"]).scheme == "https"


@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@3",
    "JSON elements SHALL NOT be null … [or] empty, unless otherwise specified (e.g. to indicate no guidance with "
    "an empty array of cards in the CDS Hooks response).",
)
async def test_no_answer_has_a_null_or_an_empty_element(cds, everything):
    body = (await cds.call("order-sign", everything)).json()
    empty = [path for path, value in elements(body) if value in (None, "", [], {})]
    assert empty == [".systemActions"]


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@93",
    "[When sending a card object,] If suggestions are present, selectionBehavior MUST also be provided.",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@117",
    "[When sending a Suggestion object,] the label field is required and [SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@127",
    "[When sending an Action object,] the type field is required and [SHALL be a] string data type [with] values "
    "of create, update, delete.",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@128",
    "[When sending an Action object,] the description field is required and [SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@132",
    "[When sending an Action object,] when the type attribute [of the Action object] is update, this holds the "
    "updated resource in its entirety and not just the changed fields.",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@134",
    "[When sending an Action object and when the type attribute of the Action object is delete], the resourceID "
    "field SHOULD be provided",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@92",
    "[When sending a card object,] the suggestion field allows a service to suggest a set of changes in the "
    "context of the current activity [and is sent as a] array of "
    "[suggestion](https://cds-hooks.hl7.org/2.0/#suggestion) [objects]",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@124",
    "[When sending a Suggestion object,] the action field [SHALL be a] array of "
    "[actions](https://cds-hooks.hl7.org/2.0/#action)",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@130",
    "[When sending an Action object,] the resource field [SHALL be a] FHIR resource",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@133",
    "[When sending an Action object and when the type attribute of the Action object is delete], [the resource "
    "field SHALL NOT be used] to communicate a string of a FHIR id for delete suggestions",
)
async def test_a_smaller_dose_is_suggested_as_the_whole_order(found, ehr):
    more = {
        "note": [{"text": "As discussed."}], "authoredOn": "2026-11-25", "encounter": {"reference": "Encounter/stay-1"},
        "extension": [{"url": "https://ehr.example.org/ext", "valueString": "kept"}],
    }  # fmt: skip
    order = ehr.draft("Simvastatin", 80, 1, **more)
    order["dosageInstruction"][0] |= {"text": "80 mg once a day", "route": {"text": "oral"}}
    (card,) = await found(order)
    assert card["selectionBehavior"] == "at-most-one"
    change, withdraw = card["suggestions"]
    assert change["label"] == "Change to simvastatin 40 mg once a day"
    (action,) = change["actions"]
    assert (action["type"], action["description"]) == ("update", change["label"])
    changed = action["resource"]
    (dosage,) = changed["dosageInstruction"]
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 40
    assert (dosage["text"], dosage["route"]) == ("40 mg once a day", {"text": "oral"})
    assert {**changed, "dosageInstruction": 0} == {**order, "dosageInstruction": 0}, "nothing else was changed"
    assert withdraw["actions"] == [
        {
            "type": "delete",
            "description": "Do not order simvastatin",
            "resourceId": "MedicationRequest/draft-simvastatin",
        }
    ]
    assert len({one["uuid"] for one in card["suggestions"]}) == 2


async def test_a_suggested_order_is_right_when_it_is_sent_again(found, ehr):
    (card,) = await found(ehr.draft("Simvastatin", 80, 1))
    assert await found(card["suggestions"][0]["actions"][0]["resource"]) == []


async def test_an_order_without_an_id_gets_no_suggestion(found, ehr):
    order = {name: value for name, value in ehr.draft("Simvastatin", 80, 1).items() if name != "id"}
    (card,) = await found(order)
    assert not {"suggestions", "selectionBehavior"} & card.keys()


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@136",
    "[When sending card.overrideReason,] CDS Services MUST provide a human readable text in the display property",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@98",
    "[When sending a card object,] the overrideReason field [SHALL be sent as a] array of "
    "[coding](https://cds-hooks.hl7.org/2.0/#coding) [objects]",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@100",
    "[When sending a card object,] if override reasons are present, the CDS Service MUST populate a display value"
    " for each reason's [Coding](https://cds-hooks.hl7.org/2.0/#coding)",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@216",
    "[When sending a coding object,] the code field is required [and SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@219",
    "[When sending a coding object,] the display field is human-readable display required [when] [Override "
    "Reasons](https://cds-hooks.hl7.org/2.0/#overridereason) provided by CDS Service [are sent in "
    "card.overrideReason and SHALL be a] string data type",
)
async def test_reasons_to_override_are_coded_and_readable(found, ehr):
    (card,) = await found(ehr.draft("Simvastatin", 80, 1))
    assert card["overrideReasons"]
    for reason in card["overrideReasons"]:
        assert set(reason) == {"system", "code", "display"}
        assert all(reason.values())


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@85",
    "[When sending a card object] the detail field, if provided, MUST be represented in [(GitHub Flavored) "
    "Markdown](https://github.github.com/gfm/)",
)
async def test_a_card_quotes_its_source(found, ehr):
    (card,) = await found(ehr.draft("Simvastatin", 80, 1))
    finding, quoted, cited = card["detail"].split("\n\n")
    assert finding == card["summary"]
    assert quoted.startswith("> ")
    assert "simvastatin" in quoted.lower()
    assert re.match(r"— .*version.*", cited)
    assert card["source"]["label"].startswith("Simvastatin")


async def test_what_is_written_in_an_order_stays_characters_in_the_cards(found, ehr):
    (card,) = await found(ehr.draft("<img src=x> **Wonder** [drug](https://evil.example.org)", 5, 1))
    assert "<img" not in card["detail"]
    assert "](https://evil" not in card["detail"]
    assert "\\*\\*Wonder\\*\\*" in card["detail"] or "\\*\\*wonder\\*\\*" in card["detail"]


@pytest.mark.requirement(
    "e6",
    "",
    'A request with no guidance answers {"cards": []}; one whose check failed or ran late says so in a card: '
    "silence would read as safety.",
)
@pytest.mark.parametrize(
    ("fault", "why"), [("down", "the evidence could not be reached"), ("slow", "the time ran out")]
)
async def test_a_check_that_failed_or_ran_late_is_said_in_a_card(real_budget, found, ehr, starter, fault, why):
    starter.down, starter.delay_s = fault == "down", 5.0 if fault == "slow" else 0.0
    (card,) = await found(ehr.draft("Simvastatin", 20, 1), taken=[ehr.order("Warfarin", 5, 1)])
    assert card["summary"].startswith("Not checked: ")
    assert why in card["summary"]
    assert (card["indicator"], topics([card])) == ("warning", ["not-checked"])


async def test_a_medicine_nobody_knows_is_said_not_to_be_checked(found, ehr):
    (card,) = await found(ehr.draft("Wonderdrug", 5, 1), taken=[ehr.order("Warfarin", 5, 1)])
    assert topics([card]) == ["not-checked"]
    assert "wonderdrug" in card["detail"]


@pytest.mark.requirement("e8", "cds-hooks_2.0@27", "CDS Services SHOULD respond quickly (on the order of 500 ms.)")
@pytest.mark.requirement(
    "e8",
    "",
    "Budget 500 ms for order-sign and patient-view (SHOULD): a deterministic card in time beats a better one late.",
)
async def test_an_answer_comes_in_time_when_checking_hangs(real_budget, cds, ehr, starter):
    await cds.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1)))  # keys and caches
    starter.delay_s = 10.0
    answer = await cds.call("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1)))
    assert answer.elapsed.total_seconds() < 2.0  # far from ten, and the machine that runs the tests is shared
    (card,) = answer.json()["cards"]
    assert "the time ran out" in card["summary"]


async def test_an_answer_comes_when_reconciliation_is_gone(facade_with, ehr):
    async with facade_with(reconciliation_url="http://127.0.0.1:9/reconciliation") as facade:
        (card,) = await facade.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 80, 1)))
    assert card["summary"] == "These orders were not checked: the checks could not be reached."
    assert card["indicator"] == "warning"
    assert "Simvastatin" in card["detail"]


async def test_when_too_many_are_checked_at_once_the_others_are_told_at_once(cds, ehr, starter, monkeypatch):
    monkeypatch.setattr(order_hooks, "_MAX_AT_ONCE", 2)
    starter.delay_s = 1.0
    body = ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1))
    answers = await asyncio.gather(*(cds.cards("order-sign", body) for _ in range(6)))
    told = [cards[0]["summary"] for cards in answers if cards]
    assert told == ["These orders were not checked: too many orders are being checked now."] * 4
    starter.delay_s = 0.0
    assert await cds.cards("order-sign", body) == []


async def test_an_order_that_replaces_another_is_not_its_duplicate(found, ehr):
    taken = [ehr.order("Simvastatin", 20, 1, id="old")]
    assert "duplicate" in topics(await found(ehr.draft("Simvastatin", 40, 1), taken=taken))
    replacing = ehr.draft("Simvastatin", 40, 1, priorPrescription={"reference": "MedicationRequest/old"})
    assert await found(replacing, taken=taken) == []
    assert await found(ehr.draft("Simvastatin", 40, 1, id="old"), taken=taken) == []


async def test_orders_that_are_no_medication_orders_need_no_card(found):
    service = {"resourceType": "ServiceRequest", "id": "s-1", "status": "draft", "intent": "order",
               "subject": {"reference": "Patient/patient-1"}}  # fmt: skip
    assert await found(service) == []


async def test_the_plan_of_the_patient_is_looked_at(found, ehr):
    group = {"type": {"coding": [{"code": "plan"}]}, "value": "a-plan-nobody-knows"}
    plan = {"resourceType": "Coverage", "id": "c-1", "status": "active", "class": [group],
            "beneficiary": {"reference": "Patient/patient-1"}}  # fmt: skip
    (card,) = await found(ehr.draft("Simvastatin", 20, 1), coverage=[plan])
    assert "coverage" in card["summary"]


@pytest.mark.parametrize(
    "change",
    [
        {"hook": "order-select"},
        {"hookInstance": None},
        {"hookInstance": ""},
        {"context": None},
        {"context": {"userId": "Practitioner/1", "patientId": "patient-1"}},
        {"context": {"userId": "Practitioner/1", "patientId": "../admin", "draftOrders": {"resourceType": "Bundle"}}},
        {"context": {"patientId": "patient-1", "draftOrders": {"resourceType": "Bundle"}}},
        {"prefetch": []},
    ],
)
@pytest.mark.requirement(
    "e2", "cds-hooks-library_1.0.1@1", "[When invoking the order-sign hook the context field] `userId`[is] REQUIRED"
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@13",
    "[When invoking the order-sign hook the context field] `draftOrders`[is] REQUIRED",
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@15",
    "[When invoking the order-sign hook if context field] `draftOrders`[is populated it SHALL be a] Bundle of "
    "FHIR request resources with a draft status, representing orders that aren't yet signed from the current "
    "ordering session.",
)
async def test_a_request_that_is_none_is_refused_without_its_values(cds, ehr, change):
    body = {**ehr.request("order-sign", ehr.draft("Simvastatin", 80, 1)), **change, "surname": "Marked"}
    answer = await cds.call("order-sign", body)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
    assert "Marked" not in answer.text
    assert "admin" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"hook": "order-sign"}', "{}".encode("utf-16")]
)
async def test_a_body_that_is_no_request_is_refused(cds, body):
    assert (await cds.call("order-sign", body)).status_code == 400


async def test_a_draft_that_is_no_fhir_is_refused(cds, ehr):
    for wrong in (
        {"medicationCodeableConcept": "text"},
        {"dosageInstruction": [{"timing": {"repeat": {"period": "x"}}}]},
    ):
        body = ehr.request("order-sign", {**ehr.draft("Simvastatin", 80, 1), **wrong})
        assert (await cds.call("order-sign", body)).status_code in (400, 200)


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@1",
    "All data exchanged through production RESTful APIs MUST be sent and received as JSON (JavaScript Object "
    "Notation) structures.",
)
async def test_only_json_is_read(cds, ehr):
    body = ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1))
    assert (await cds.call("order-sign", body, Content_Type="text/plain")).status_code == 400
    assert (await cds.call("order-sign", body, Content_Type="application/json; charset=utf-8")).status_code == 200


async def test_a_body_that_is_too_large_is_refused(cds):
    assert (await cds.call("order-sign", b" " * 8_400_000)).status_code == 413


async def test_the_request_id_comes_back_and_is_passed_on(cds, ehr, checking):
    body = ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1))
    answer = await cds.call("order-sign", body, X_Request_Id="a-request-of-the-ehr")
    assert answer.headers["x-request-id"] == "a-request-of-the-ehr"
    assert checking.seen[-1] == "a-request-of-the-ehr"


async def test_extensions_and_later_fields_of_a_request_are_let_be(cds, ehr):
    body = ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1), extension={"org.example": {"a": 1}}, later=True)
    assert (await cds.call("order-sign", body)).status_code == 200


async def test_an_alert_is_given_also_when_nothing_can_be_kept(cds, ehr, monkeypatch):
    async def locked(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(cds.container.cds_hooks.cards, "keep", locked)
    (card,) = await cds.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 80, 1)))
    assert card["indicator"] == "critical"
    assert "uuid" not in card
    assert not any("uuid" in one for one in card["suggestions"])
