"""``$formulary`` by the Coverage of a patient in the real EHR."""

import pytest


@pytest.fixture
def look_up(client, p):
    async def run(coverage, **more):
        return await client.invoke(
            "formulary",
            p.given("coverage", "Reference", {"reference": coverage}),
            p.given("medication", "CodeableConcept", {"text": "metformin"}),
            p.given("asOf", "date", "2026-06-01"),
            **more,
        )

    return run


async def test_the_plan_is_that_of_the_patients_own_coverage(look_up, p, ward, client, sandbox):
    def coverage(patient, *, status="active", kind="plan"):
        system = "http://terminology.hl7.org/CodeSystem/coverage-class"
        return {
            "resourceType": "Coverage",
            "status": status,
            "beneficiary": {"reference": patient},
            "payor": [{"display": "North"}],
            "class": [{"type": {"coding": [{"system": system, "code": kind}]}, "value": "plan-north"}],
        }

    patient, other = [(await ward.client.read(await ward.admit()))["subject"]["reference"] for _ in range(2)]
    made = [await ward.client.create(one) for one in (
        coverage(patient), coverage(other), coverage(patient, status="cancelled"), coverage(patient, kind="group"),
    )]  # fmt: skip
    own, foreign, cancelled, group = (f"Coverage/{one['id']}" for one in made)
    held = {"scope": "patient/DocumentReference.s", "claims": {"patient": patient}}
    answer = await look_up(own, **held)
    assert answer.status_code == 200, answer.text
    assert p.of(answer.json(), "coverage") == ["covered"]
    assert await client.events() == [("$formulary", "0", f"{sandbox.fhir_base}/{patient}")]
    assert (await look_up(foreign, **held)).status_code == 404
    assert (await look_up(foreign)).status_code == 200
    for without in (cancelled, group):
        refused = await look_up(without)
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-found")
