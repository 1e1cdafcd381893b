"""What triage is asked of a visit: vitals by LOINC, complaint, age, arrival and conditions, as the EHR has them."""

from typing import Any

import pytest
from facade.gather.triage import VisitResources, triage_request_of
from service_contracts.triage import MeasurementKind, MentalStatus

LOINC = "http://loinc.org"


def observation(code: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"o-{code}", "status": value.pop("status", "final"),
        "code": {"coding": [{"system": LOINC, "code": code}]}, **value,
    }  # fmt: skip


def vital(code: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return observation(
        code, valueQuantity={"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}, **more
    )


def asked(*observations: dict[str, Any], encounter: dict[str, Any] | None = None, **more: Any) -> Any:
    visit = VisitResources(
        {"resourceType": "Encounter", "id": "e-1", "period": {"start": "2026-11-25T10:00:00Z"}, **(encounter or {})},
        {
            "resourceType": "Patient",
            "id": "p-1",
            "gender": "female",
            "birthDate": "1960-11-26",
            **more.pop("patient", {}),
        },
        list(observations),
        more.pop("conditions", []),
    )
    return triage_request_of(visit, 300)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("8310-5", "temperature"), ("8867-4", "pulse"), ("9279-1", "respirations"), ("2708-6", "oxygen-saturation"),
     ("59408-5", "oxygen-saturation"), ("72514-3", "pain"), ("8480-6", "systolic")],
)  # fmt: skip
def test_a_vital_sign_is_read_by_its_code_in_its_own_unit(code: str, kind: str) -> None:
    [one] = asked(vital(code, 98.6, "[degF]")).measurements
    assert (one.kind, one.value.value, one.value.unit) == (MeasurementKind(kind), 98.6, "[degF]")
    assert one.source.reference == f"Observation/o-{code}"


def test_a_blood_pressure_is_read_from_its_components() -> None:
    parts = [
        {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": {"value": value, "code": "mm[Hg]"}}
        for code, value in (("8480-6", 130), ("8462-4", 80))
    ]
    found = asked(observation("85354-9", component=parts)).measurements
    assert [(one.kind.value, one.value.value) for one in found] == [("systolic", 130), ("diastolic", 80)]


def test_what_is_in_error_or_no_number_is_not_read() -> None:
    found = asked(
        vital("8867-4", 80, "/min", status="entered-in-error"),
        observation("8867-4", dataAbsentReason={"text": "refused"}),
        observation("8867-4", valueQuantity={"value": 200, "comparator": ">", "code": "/min"}),
    )
    assert found.measurements == ()


@pytest.mark.parametrize(
    ("birth", "value", "unit"),
    [("1960-11-26", 65, "a"), ("1960-11-25", 66, "a"), ("2026-11-20", 5, "d"), ("2025-06-01", 542, "d"),
     ("1960", None, None), ("2027-01-01", None, None)],
)  # fmt: skip
def test_the_age_is_that_at_arrival(birth: str, value: float | None, unit: str | None) -> None:
    age = asked(patient={"birthDate": birth}).age
    assert (age.value, age.unit) == (value, unit) if value is not None else age is None


def test_complaint_arrival_origin_and_mental_status_are_read() -> None:
    found = asked(
        observation("8661-1", valueString="crushing chest pain"),
        observation("11459-5", valueCodeableConcept={"text": "Ambulance"}),
        observation("67775-7", valueCodeableConcept={"text": "Responds to verbal stimuli"}),
        encounter={
            "reasonCode": [{"text": "Chest pain"}],
            "hospitalization": {"admitSource": {"coding": [{"code": "nursing"}]}},
        },
    )
    assert found.complaints == ("crushing chest pain", "Chest pain")
    assert (found.arrival, found.came_from, found.mental_status) == ("ambulance", "nursing-home", MentalStatus.VOICE)


def test_active_conditions_go_on_and_others_do_not() -> None:
    def condition(text: str, status: str, **more: Any) -> dict[str, Any]:
        return {"clinicalStatus": {"coding": [{"code": status}]}, "code": {"text": text}, **more}

    refuted = {"verificationStatus": {"coding": [{"code": "refuted"}]}}
    found = asked(
        conditions=[
            condition("Asthma", "active"),
            condition("Cough", "resolved"),
            condition("COPD", "active", **refuted),
        ]
    )
    assert [one.name for one in found.conditions] == ["Asthma"]


def test_an_empty_chart_leaves_everything_open() -> None:
    found = asked(patient={"birthDate": None, "gender": None})
    assert (found.age, found.sex, found.arrival, found.complaints, found.measurements, found.conditions) == (
        None, "unknown", "unknown", (), (), (),
    )  # fmt: skip
