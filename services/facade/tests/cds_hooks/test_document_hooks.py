"""patient-view and encounter-discharge: what is open in drafted instructions, each finding with a link to itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from facade.decisions import Decision, DecisionAction
from facade.resources.ids import document_id
from facade.smart.token_response import AppContext


@pytest.fixture
def stored(examples):
    """A document of the patient with three flags, drafted just now."""
    document = examples.stored_document()
    return replace(
        document,
        id=document_id("sandbox", "Encounter/stay-1"),
        ehr_id="sandbox",
        encounter="Encounter/stay-1",
        patient="Patient/patient-1",
        created_at=datetime.now(UTC),
    )


def decision(flag):
    return Decision(flag.id, DecisionAction.OVERRIDE, "Practitioner/dr-1", datetime.now(UTC), reason="Known.")


def links(card):
    return [json.loads(link["appContext"]) for link in card["links"]]


@pytest.mark.parametrize("hook", ["patient-view"])
async def test_a_patient_without_documents_needs_no_card(cds, ehr, hook):
    answer = await cds.call(hook, ehr.request(hook))
    assert answer.json() == {"cards": [], "systemActions": []}


@pytest.mark.requirement(
    "e2",
    "",
    "Hooks served: patient-view, order-select, order-sign, encounter-discharge. Contexts as the hook library "
    "defines them.",
)
async def test_open_findings_are_told_when_the_patient_is_viewed(cds, ehr, stored):
    await cds.container.documents.save(stored)
    (card,) = await cds.cards("patient-view", ehr.request("patient-view"))
    assert card["summary"] == "3 findings are not decided in the drafted discharge instructions."
    assert card["indicator"] == "warning"
    assert all(flag.finding.split()[0] in card["detail"] for flag in stored.document.flags)


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@142",
    "[When sending a Link object,] the type field [SHALL have values] absolute … or smart. absolute indicates "
    "that the URL is absolute and should be treated as-is. smart indicates that the URL is absolute or smart "
    "indicates that the URL is a SMART app launch URL",
)
@pytest.mark.requirement(
    "e3", "cds-hooks_2.0@144", "[When sending a Link object,] the appContext field [SHALL be a] string data type"
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@147",
    "[When sending a Link object,] the appContext field is not valid for absolute links [in other words, when "
    "link.type is absolute appContext SHALL NOT be populated]",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@138",
    "[When sending a Link object,] the label field is required [and SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@139",
    "[When sending a Link object,] the url field is required [and SHALL be a] URL data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@141",
    "[When sending a Link object,] the type field is required [and SHALL be a] string data type",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@146",
    "[When sending a Link object,] the appContext field should only be valued if the link type is smart",
)
async def test_every_finding_has_a_smart_link_that_opens_exactly_it(cds, ehr, stored):
    await cds.container.documents.save(stored)
    for hook in ("patient-view", "encounter-discharge"):
        cards = await cds.cards(hook, ehr.request(hook))
        opened = [one for card in cards for one in links(card)]
        assert {one.get("flag") for one in opened} >= {flag.id for flag in stored.document.flags}
        for card in cards:
            for link in card["links"]:
                assert (link["type"], link["url"]) == ("smart", f"{ehr.base}/smart/launch")
                # The launch reads it as the EHR hands it on in the token response.
                asked = AppContext.read(link["appContext"])
                assert asked is not None
                assert asked.document == stored.id


async def test_what_was_decided_is_not_told_any_more(cds, ehr, stored):
    await cds.container.documents.save(stored)
    first, *rest = stored.document.flags
    await cds.container.documents.record_decision("sandbox", stored.encounter, decision(first))
    (card,) = await cds.cards("patient-view", ehr.request("patient-view"))
    assert card["summary"].startswith("2 findings")
    for flag in rest:
        await cds.container.documents.record_decision("sandbox", stored.encounter, decision(flag))
    assert await cds.cards("patient-view", ehr.request("patient-view")) == []


async def test_a_review_that_is_overdue_is_told_also_without_findings(cds, ehr, stored):
    await cds.container.documents.save(replace(stored, created_at=datetime.now(UTC) - timedelta(days=3)))
    for flag in stored.document.flags:
        await cds.container.documents.record_decision("sandbox", stored.encounter, decision(flag))
    (card,) = await cds.cards("patient-view", ehr.request("patient-view"))
    assert card["summary"] == "Discharge instructions have waited 3 days for review."
    assert card["indicator"] == "warning"


async def test_another_patients_documents_are_not_told(cds, ehr, stored):
    await cds.container.documents.save(stored)
    other = {"patientId": "patient-2"}
    assert await cds.cards("patient-view", ehr.request("patient-view", context=other)) == []
    (card,) = await cds.cards("encounter-discharge", ehr.request("encounter-discharge", context=other))
    assert "not drafted yet" in card["summary"]
    assert "appContext" not in card["links"][0]


async def test_at_discharge_each_finding_is_a_card_and_what_was_not_checked_is_said(cds, ehr, stored):
    await cds.container.documents.save(stored)
    cards = await cds.cards("encounter-discharge", ehr.request("encounter-discharge"))
    assert [card["indicator"] for card in cards] == ["critical", "warning", "info", "warning"]
    assert [card["source"]["topic"]["code"] for card in cards][-1] == "not-checked"
    assert "the time ran out" in cards[-1]["detail"]
    assert "> The recommended range is" in cards[0]["detail"]


async def test_signed_instructions_need_no_card(cds, ehr, stored):
    await cds.container.documents.save(stored)
    await cds.container.documents.mark_final("sandbox", stored.encounter, stored.document.sections)
    for hook in ("patient-view", "encounter-discharge"):
        assert await cds.cards(hook, ehr.request(hook)) == []


async def test_instructions_that_are_not_drafted_are_no_silence(cds, ehr):
    (card,) = await cds.cards("encounter-discharge", ehr.request("encounter-discharge"))
    assert (
        card["summary"] == "The discharge instructions of this stay are not drafted yet: nothing in them was checked."
    )


@pytest.mark.requirement("e2", "", "encounter-discharge has an encounterId in its context.")
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@53",
    "[When invoking the encounter-discharge hook the context field] `encounterId`[is] REQUIRED",
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@55",
    "[When invoking the encounter-discharge hook if context field] `encounterId`[is populated it SHALL be t]he "
    "FHIR `Encounter.id` of the Encounter being ended",
)
async def test_a_discharge_without_an_encounter_is_refused(cds, ehr):
    body = ehr.request("encounter-discharge", context={"encounterId": None})
    assert (await cds.call("encounter-discharge", body)).status_code == 400


async def test_feedback_on_a_finding_of_a_document_is_kept(cds, ehr, stored):
    await cds.container.documents.save(stored)
    card, *_ = await cds.cards("encounter-discharge", ehr.request("encounter-discharge"))
    item = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"}
    assert (await cds.feedback("encounter-discharge", item)).status_code == 200
    ((outcome, _),) = await cds.container.cds_hooks.cards.feedback(card["uuid"])
    assert outcome == "overridden"
