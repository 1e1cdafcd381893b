"""``$draft``: the document of a stay of the real EHR, for those whose scopes reach its patient."""

import pytest
from fhir_support.r4 import validated

WHOLE = "{0}/Composition.crs {0}/Task.crs {0}/DocumentReference.rs {0}/DetectedIssue.rs {0}/Provenance.r {0}/Device.r"
SIMVASTATIN_80 = ("Simvastatin", 80, 1)


@pytest.fixture
def draft(client, p):
    async def run(encounter, **more):
        given = [p.given("encounter", "Reference", {"reference": encounter})]
        given += [p.given("task", "code", more.pop("task"))] if "task" in more else []
        return await client.invoke("draft", *given, **more)

    return run


def by_type(bundle):
    found = {}
    for entry in bundle["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry)
    return found


async def patient_of(ward, encounter):
    return (await ward.client.read(encounter))["subject"]["reference"].removeprefix("Patient/")


async def test_the_document_is_drafted_checked_written_and_returned(draft, client, ward, sandbox, eventually):
    encounter = await ward.admit(medications=(SIMVASTATIN_80, ("Zzunknownium", 5, 1)))
    answer = await draft(encounter)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    validated(bundle)
    found = by_type(bundle)
    assert {kind: len(entries) for kind, entries in found.items()} == {
        "Composition": 1, "DocumentReference": 1, "DetectedIssue": 1, "Provenance": 1, "Device": 1, "Task": 1,
        "OperationOutcome": 1,
    }  # fmt: skip
    for kind in ("Composition", "DocumentReference", "DetectedIssue"):
        (entry,) = found[kind]
        assert entry["resource"]["meta"]["security"][0]["code"] == "AIAST"
        again = await client.get(entry["fullUrl"])
        assert (again.status_code, again.json()) == (200, entry["resource"]), "what is returned is what /fhir has"
    composition = found["Composition"][0]["resource"]
    assert composition["encounter"]["reference"] == f"{sandbox.fhir_base}/{encounter}"
    assert composition["section"][-1]["entry"][0]["reference"] in found["DetectedIssue"][0]["fullUrl"]
    unchecked = [issue["details"]["text"] for issue in found["OperationOutcome"][0]["resource"]["issue"]]
    assert unchecked and all("zzunknownium" in text.lower() for text in unchecked), "what was not checked is named"
    patient = await patient_of(ward, encounter)
    assert ("$draft", "0", f"{sandbox.fhir_base}/Patient/{patient}") in await client.events()

    again = await draft(f"{sandbox.fhir_base}/{encounter}")
    assert by_type(again.json())["Composition"] == found["Composition"], "a stay has one document"
    written = await eventually(lambda: ward.written(encounter), lambda one: len(one["Composition"]) == 1)
    assert len(written["DetectedIssue"]) == 1


@pytest.mark.requirement(
    "c5", "", "patient/ scopes are held to the patient compartment, granular scopes filter read and search alike"
)
async def test_a_caller_gets_what_its_scopes_reach_and_no_other_patient(draft, ward):
    own, other = await ward.admit(), await ward.admit()
    patient = await patient_of(ward, own)
    scope = WHOLE.format("patient")
    beyond = await draft(other, scope=scope, claims={"patient": patient})
    missing = await draft("Encounter/does-not-exist", scope=scope, claims={"patient": patient})
    assert (beyond.status_code, missing.status_code) == (404, 404)
    assert beyond.json() == missing.json(), "a stay of another patient cannot be told from none"
    assert (await draft(own, scope=scope)).status_code == 403, "a patient/ scope without a patient gives nothing"
    answer = await draft(own, scope="patient/Composition.cr patient/Task.c", claims={"patient": patient})
    assert answer.status_code == 200, answer.text
    assert by_type(answer.json()).keys() == {"Composition"}
    narrow = "system/Composition.cr?type=http://loinc.org|18842-5 system/Task.c"
    assert (await draft(own, scope=narrow)).status_code == 403, "a granular scope for another kind of document"
    fitting = "system/Composition.cr?type=http://loinc.org|8653-8 system/Task.c"
    assert (await draft(own, scope=fitting)).status_code == 200
    assert not (await ward.written(other))["Composition"], "nothing was drafted for the other patient"


@pytest.mark.parametrize(
    ("reference", "more", "status", "code"),
    [
        ("Patient/1", {}, 400, "value"),
        ("https://evil.example.org/fhir/Encounter/1", {}, 400, "value"),
        ("Encounter/1/_history/../../Patient", {}, 400, "value"),
        ("Encounter/" + "x" * 65, {}, 400, "value"),
        ("Encounter/does-not-exist", {}, 404, "not-found"),
        ("Encounter/1", {"task": "triage"}, 400, "not-supported"),
    ],
)
async def test_what_is_no_stay_of_this_ehr_is_refused(draft, reference, more, status, code):
    answer = await draft(reference, **more)
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"]) == (status, code)
    assert status != 400 or issue["expression"][0].startswith("Parameters.parameter[")
    assert "evil" not in answer.text


async def test_without_drafting_there_is_no_document_and_no_empty_one(draft, ward, suite, client):
    encounter = await ward.admit()
    suite.drafting.failure = "drafting-unavailable"
    answer = await draft(encounter)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
    suite.drafting.failure = "draft-incomplete"
    answer = await draft(encounter)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (504, "timeout")
    suite.drafting.failure = None
    assert (await draft(encounter)).status_code == 200
    assert [outcome for _, outcome, _ in await client.events()] == ["8", "8", "0"]


async def test_without_evidence_the_document_says_of_every_claim_that_it_was_not_checked(draft, ward, knowledge):
    knowledge.down = True
    bundle = (await draft(await ward.admit())).json()
    (entry,) = by_type(bundle)["OperationOutcome"]
    assert all("could not be reached" in issue["details"]["text"] for issue in entry["resource"]["issue"])
    assert "DetectedIssue" not in by_type(bundle)
    assert (
        "No statement could be checked" in by_type(bundle)["Composition"][0]["resource"]["section"][-1]["text"]["div"]
    )
