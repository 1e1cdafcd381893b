"""``$check``: every claim of a given text against the chart of a real stay and the evidence, drafting nothing."""

import pytest
from fhir_support.r4 import validated

TEXT = "Take simvastatin 80 mg once a day. Take metformin 500 mg twice a day.\nKeep smiling."
ORDERS = (("Simvastatin", 80, 1), ("Metformin", 500, 2))


@pytest.fixture
def check(client, p):
    async def run(encounter, text=TEXT, *, section="medications", composition=None, **more):
        given = [p.given("encounter", "Reference", {"reference": encounter})]
        if composition is None:
            parts = [p.given("code", "code", section), p.given("text", "string", text)]
            given.append(p.given("section", "part", parts))
        else:
            given.append(p.given("composition", "resource", composition))
        given += [p.given("whole", "boolean", more.pop("whole"))] if "whole" in more else []
        return await client.invoke("check", *given, **more)

    return run


def composition(encounter, patient, *sections):
    return {
        "resourceType": "Composition",
        "status": "preliminary",
        "type": {"text": "Discharge instructions"},
        "subject": {"reference": patient},
        "date": "2026-11-25",
        "author": [{"display": "Dr. Example"}],
        "title": "Discharge instructions",
        "section": [
            {
                "title": title,
                "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'},
            }
            for title, div in sections
        ],
    }


async def test_every_claim_has_a_verdict_and_what_disagrees_is_an_issue_with_its_source(
    check, p, ward, sandbox, client
):
    encounter = await ward.admit(medications=ORDERS)
    answer = await check(encounter)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    validated(body)
    p.follows("check", body)
    claims = p.of(body, "claim")
    verdicts = {(one["kind"][0], one["verdict"][0]) for one in claims if "simvastatin" in one["assertion"][0]}
    assert {("chart-fact", "supported"), ("dose", "contradicted")} <= verdicts
    for one in claims:
        if "quote" in one:
            start = one["start"][0]
            assert TEXT[start : start + len(one["quote"][0])] == one["quote"][0]
        assert one["verdict"] != ["not-checked"] or one["reason"]
    sources = {one["id"][0]: one for one in p.of(body, "source")}
    (issue,) = p.of(body, "issue")
    assert issue["meta"]["security"][0]["code"] == body["meta"]["security"][0]["code"] == "AIAST"
    assert issue["patient"]["reference"].startswith(f"{sandbox.fhir_base}/Patient/")
    assert issue["implicated"][0]["reference"].startswith(f"{sandbox.fhir_base}/MedicationRequest/")
    (dose,) = [one for one in claims if one["kind"] == ["dose"] and one["verdict"] == ["contradicted"]]
    cited = sources[dose["source"][0]]
    assert cited["statement"][0] in issue["evidence"][0]["code"][0]["text"] and cited["version"]
    assert [one["quote"] for one in p.of(body, "unread")] == [["Keep smiling."]]
    assert not (await ward.written(encounter))["Composition"], "nothing was drafted or written"
    assert ("$check", "0", issue["patient"]["reference"]) in await client.events()


async def test_an_omission_is_one_in_the_whole_document_only(check, p, ward):
    encounter = await ward.admit(medications=ORDERS)
    for whole, verdicts in ((True, ["contradicted"]), (False, [])):
        body = (await check(encounter, "Take metformin 500 mg twice a day.", whole=whole)).json()
        omitted = [one["verdict"][0] for one in p.of(body, "claim") if "quote" not in one]
        assert [one for one in omitted if one != "not-checked"] == verdicts


async def test_a_composition_is_checked_and_its_unknown_sections_are_named(check, p, ward):
    encounter = await ward.admit(medications=ORDERS)
    patient = (await ward.client.read(encounter))["subject"]["reference"]
    sections = (("Your medicines", "<p>Take simvastatin 80 mg once a day.</p>"), ("Hospital course", "<p>Better.</p>"))
    body = (await check(encounter, composition=composition(encounter, patient, *sections))).json()
    assert {one["code"]["coding"][0]["code"] for one in p.of(body, "issue")} == {"DOSE", "chart-fact"}
    assert ["Hospital course"] in [one["quote"] for one in p.of(body, "unread")]
    assert any("Hospital course" in one["details"]["text"] for one in p.of(body, "outcome")[0]["issue"])
    other = composition(encounter, "Patient/somebody-else", *sections)
    refused = await check(encounter, composition=other)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "invariant")


async def test_without_evidence_nothing_passes_and_without_reconciliation_there_is_no_answer(
    check, p, ward, knowledge, client, monkeypatch
):
    encounter = await ward.admit(medications=ORDERS)
    knowledge.down = True
    body = (await check(encounter)).json()
    p.follows("check", body)
    assert {(one["verdict"][0], one["reason"][0]) for one in p.of(body, "claim")} == {("not-checked", "service-down")}
    assert (p.of(body, "issue"), p.of(body, "evidenceVersion")) == ([], [])
    assert len(p.of(body, "outcome")[0]["issue"]) == len(p.of(body, "claim"))
    knowledge.down, knowledge.delay_s = False, 30.0
    services = client.container.operations.by_name["check"]._checking
    monkeypatch.setattr("facade.operations.check._SPEC", _shorter(1_500))
    late = (await check(encounter)).json()
    assert {(one["verdict"][0], one["reason"][0]) for one in p.of(late, "claim")} == {("not-checked", "deadline")}
    monkeypatch.setattr(services, "_reconciliation", "http://127.0.0.1:1/reconciliation")
    answer = await check(encounter)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")


def _shorter(budget_ms):
    from dataclasses import replace

    from facade.operations.table import OPERATIONS

    return replace(OPERATIONS["check"], budget_ms=budget_ms)


async def test_a_stay_of_another_patient_is_not_found(check, ward):
    own, other = await ward.admit(medications=ORDERS), await ward.admit(medications=ORDERS)
    patient = (await ward.client.read(own))["subject"]["reference"]
    answers = [(await check(one, scope="patient/DetectedIssue.r", claims={"patient": patient})) for one in (own, other)]
    assert [one.status_code for one in answers] == [200, 404]
    assert "simvastatin" not in answers[1].text.lower()


@pytest.mark.parametrize(
    ("given", "code"),
    [({"section": "lunch"}, "code-invalid"), ({"composition": "both"}, "invariant")],
)
async def test_sections_are_those_we_check_and_given_in_one_way(client, p, given, code):
    parts = [p.given("code", "code", given.get("section", "diet")), p.given("text", "string", "Eat less salt.")]
    listed = [p.given("encounter", "Reference", {"reference": "Encounter/1"}), p.given("section", "part", parts)]
    if "composition" in given:
        listed.append(
            p.given("composition", "resource", composition("Encounter/1", "Patient/1", ("Diet", "<p>A.</p>")))
        )
    answer = await client.invoke("check", *listed)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, code)
