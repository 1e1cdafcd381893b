"""The shipped patients: twelve stays moved to the present, and a demonstration whose orders really are wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sandbox_ehr.patients.demonstration import DEMONSTRATION_ENCOUNTER
from sandbox_ehr.patients.orders import DISCHARGE_ORDER_SYSTEM
from sandbox_ehr.patients.references import references
from sandbox_ehr.patients.stay import discharge, reopen
from sandbox_ehr.patients.store import STAYS, patients
from sekmet.fhir.validation import structural_issues

Resource = dict[str, Any]
NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded() -> list[Resource]:
    return patients(NOW)


def of_stay(loaded: list[Resource], encounter: str, kind: str) -> list[Resource]:
    reference = f"Encounter/{encounter}"
    return [r for r in loaded if r["resourceType"] == kind and r.get("encounter", {}).get("reference") == reference]


def dosage(request: Resource) -> tuple[float, float]:
    """Milligrams of a dose and doses a day."""
    instruction = request["dosageInstruction"][0]
    repeat = instruction["timing"]["repeat"]
    return instruction["doseAndRate"][0]["doseQuantity"]["value"], repeat["frequency"] / repeat["period"]


def test_there_are_twelve_stays_of_twelve_patients(loaded: list[Resource]) -> None:
    encounters = [r for r in loaded if r["resourceType"] == "Encounter"]
    assert len(encounters) == len(STAYS) == 12
    assert len({e["subject"]["reference"] for e in encounters}) == 12
    assert {e["class"]["code"] for e in encounters} == {"IMP"}
    assert sum(e["status"] == "in-progress" for e in encounters) == 9


def test_ids_are_unique_and_references_lead_somewhere(loaded: list[Resource]) -> None:
    names = [f"{r['resourceType']}/{r['id']}" for r in loaded]
    assert len(names) == len(set(names))
    assert {reference for r in loaded for reference in references(r)} <= set(names)


def test_every_resource_has_the_structure_of_r4(loaded: list[Resource]) -> None:
    wrong = {f"{r['resourceType']}/{r['id']}": structural_issues(r) for r in loaded if structural_issues(r)}
    assert wrong == {}


@pytest.mark.parametrize("stay", STAYS, ids=lambda s: s.encounter)
def test_a_stay_lies_in_the_present_and_has_what_a_discharge_needs(loaded: list[Resource], stay: Any) -> None:
    encounter = next(r for r in loaded if r["resourceType"] == "Encounter" and r["id"] == stay.encounter)
    start = datetime.fromisoformat(encounter["period"]["start"])
    assert NOW - timedelta(days=30) < start < NOW
    if stay.ended_days_ago is None:
        assert "end" not in encounter["period"] and "length" not in encounter
        assert "dischargeDisposition" not in encounter.get("hospitalization", {})
        assert encounter["location"][0]["status"] == "active"
    else:
        end = datetime.fromisoformat(encounter["period"]["end"])
        assert start < end <= NOW - timedelta(days=stay.ended_days_ago)
    kinds = {
        coding["code"]
        for request in of_stay(loaded, stay.encounter, "MedicationRequest")
        for category in request["category"]
        for coding in category["coding"]
    }
    assert "discharge" in kinds
    orders = of_stay(loaded, stay.encounter, "ServiceRequest")
    assert sorted(order["category"][0]["coding"][0]["code"] for order in orders) == ["activity", "diet", "follow-up"]
    assert {order["category"][0]["coding"][0]["system"] for order in orders} == {DISCHARGE_ORDER_SYSTEM}
    assert all(order["patientInstruction"] for order in orders)


def test_nothing_lies_in_the_future(loaded: list[Resource]) -> None:
    for resource in loaded:
        for name in ("effectiveDateTime", "performedDateTime", "recordedDate", "authoredOn"):
            if name in resource:
                assert resource[name][:10] <= NOW.date().isoformat(), f"{resource['resourceType']}/{resource['id']}"


def test_the_demonstration_has_a_true_problem_of_each_kind(loaded: list[Resource]) -> None:
    discharged = {
        r["medicationCodeableConcept"]["text"]: r
        for r in of_stay(loaded, DEMONSTRATION_ENCOUNTER, "MedicationRequest")
        if r["category"][0]["coding"][0]["code"] == "discharge"
    }
    dose, times = dosage(discharged["Metformin"])
    assert dose * times > 2550
    assert {"Simvastatin", "Clarithromycin"} <= discharged.keys()
    assert "Atorvastatin" not in discharged
    patient = discharged["Metformin"]["subject"]
    allergies = [r for r in loaded if r["resourceType"] == "AllergyIntolerance" and r["patient"] == patient]
    assert [r["code"]["text"] for r in allergies] == ["Penicillin"]
    assert "Amoxicillin" in discharged
    procedures = [r["code"]["text"] for r in of_stay(loaded, DEMONSTRATION_ENCOUNTER, "Procedure")]
    orders = {
        r["category"][0]["coding"][0]["code"]: r for r in of_stay(loaded, DEMONSTRATION_ENCOUNTER, "ServiceRequest")
    }
    assert "Permanent pacemaker implantation" in procedures
    assert "50 lb" in orders["activity"]["patientInstruction"]
    bounds = orders["follow-up"]["occurrenceTiming"]["repeat"]["boundsDuration"]
    assert (bounds["value"], bounds["code"]) == (6, "wk")


def test_only_the_demonstration_is_tagged(loaded: list[Resource]) -> None:
    tagged = [r["id"] for r in loaded if r.get("meta", {}).get("tag")]
    assert tagged == [DEMONSTRATION_ENCOUNTER]


def test_discharging_and_reopening_are_opposites(loaded: list[Resource]) -> None:
    encounter = next(r for r in loaded if r["id"] == DEMONSTRATION_ENCOUNTER)
    closed = discharge(encounter, NOW, "Practitioner/DR-CA-001")
    assert (closed["status"], closed["period"]["end"]) == ("finished", "2026-11-25T15:00:00Z")
    assert structural_issues(closed) == []
    assert encounter["status"] == "in-progress"
    assert reopen(closed) == encounter
