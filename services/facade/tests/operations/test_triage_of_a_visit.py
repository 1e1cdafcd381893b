"""``$triage`` for a visit of a real EHR: what is charted is read, and what the nurse enters takes its place."""

from typing import Any

import pytest

SCOPE = "system/RiskAssessment.cru"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


async def observe(ward: Any, encounter: str, code: str, **value: Any) -> None:
    visit = await ward.client.read(encounter)
    await ward.client.create(
        {
            "resourceType": "Observation", "status": "final", "subject": visit["subject"],
            "encounter": {"reference": encounter}, "effectiveDateTime": visit["period"]["start"],
            "code": {"coding": [{"system": LOINC, "code": code}]}, **value,
        }
    )  # fmt: skip


def amount(value: float, unit: str) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


@pytest.mark.usefixtures("sandbox")
async def test_the_chart_of_the_visit_is_read_and_traced(client, ward, served_triage, p) -> None:
    if served_triage is None:
        pytest.skip("the shared encoder is not there: preceptor prepare makes it")
    encounter = await ward.admit(medications=(), code="EMER")
    other = await ward.admit(medications=(), code="EMER")
    await observe(ward, encounter, "8867-4", **amount(134, "/min"))
    await observe(ward, encounter, "8310-5", **amount(101.3, "[degF]"))
    await observe(ward, encounter, "2708-6", **amount(93, "%"))
    await observe(ward, encounter, "11459-5", valueCodeableConcept={"text": "Ambulance"})
    await observe(ward, other, "2708-6", **amount(60, "%"))
    asked = {"name": "encounter", "valueReference": {"reference": encounter}}
    answer = await client.invoke("triage", asked, scope=SCOPE)
    assert answer.status_code == 200, answer.text
    given = answer.json()
    p.follows("triage", given)
    used = {one["name"][0]: one["value"][0] for one in p.of(given, "used")}
    assert (used["pulse"], used["temperature"], used["oxygen-saturation"]) == ("134", "38.5", "93")
    assert (used["sex"], used["arrival"], used["complaint"]) == ("female", "ambulance", "chest pain")
    assert used["age"].endswith("years")
    assert {one["id"][0] for one in p.of(given, "floorRule")} == {"pulse-danger-zone", "pulse-very-fast"}
    [assessment] = p.of(given, "assessment")
    assert assessment["encounter"]["reference"].endswith(encounter)
    assert len(assessment["basis"]) == 3
    entered = {
        "name": "measurement",
        "part": [{"name": "kind", "valueCode": "pulse"}, {"name": "value", **amount(80, "/min")}],
    }
    again = (await client.invoke("triage", asked, entered, scope=SCOPE)).json()
    assert {one["name"][0]: one["value"][0] for one in p.of(again, "used")}["pulse"] == "80"
    assert p.of(again, "floorRule") == []
    visit = await ward.client.read(other)
    held = {"patient": visit["subject"]["reference"].removeprefix("Patient/")}
    refused = await client.invoke("triage", asked, scope="patient/RiskAssessment.c", claims=held)
    assert refused.status_code == 404
