"""A request is read as it is: the latest value of each kind, nothing imputed, and what is missing listed."""

from datetime import UTC, datetime

import pytest
from service_contracts.quantity import Coding, Quantity
from service_contracts.triage import MeasurementKind, TriageCondition, TriageMeasurement, TriageRequest
from triage.complaints import Complaints
from triage.conditions import known_conditions
from triage.floor import Floor
from triage.intake import band_of, read_intake
from triage.units import NotPossible

from .conftest import intake, request


def test_the_latest_value_counts_and_without_times_the_last() -> None:
    def pulse(value: float, hour: int | None) -> TriageMeasurement:
        at = None if hour is None else datetime(2026, 1, 1, hour, tzinfo=UTC)
        return TriageMeasurement(kind=MeasurementKind.PULSE, value=Quantity(value=value, unit="/min"), effective=at)

    def read(*given: TriageMeasurement) -> float:
        return read_intake(TriageRequest(measurements=given), Complaints()).values[MeasurementKind.PULSE]

    assert read(pulse(80, 9), pulse(130, 11), pulse(90, 10)) == 130
    assert read(pulse(80, None), pulse(90, None)) == 90
    assert read(pulse(80, 9), pulse(90, None)) == 80


def test_what_is_not_given_is_missing_and_not_filled_in() -> None:
    empty = read_intake(TriageRequest(), Complaints())
    assert empty.missing == (
        "age", "sex", "arrival", "came-from", "complaint", "temperature", "pulse", "respirations", "systolic",
        "diastolic", "oxygen-saturation", "pain", "mental-status", "conditions",
    )  # fmt: skip
    assert (empty.values, empty.conditions, empty.band) == ({}, None, "unknown")


def test_used_and_missing_are_everything() -> None:
    found = intake(vitals={"pulse": 90, "temperature": (99.5, "[degF]")}, sex="female", arrival="ambulance")
    names = [one.name for one in found.used]
    assert sorted([*names, *found.missing]) == sorted(read_intake(TriageRequest(), Complaints()).missing)
    assert next(one.value for one in found.used if one.name == "temperature") == "37.5"


@pytest.mark.parametrize("diastolic", [120, 130])
def test_a_diastolic_pressure_that_is_not_below_the_systolic_is_refused(diastolic: float) -> None:
    with pytest.raises(NotPossible, match="not below the systolic"):
        intake(vitals={"systolic": 120, "diastolic": diastolic})


def _pressure(kind: MeasurementKind, value: float, hour: int | None) -> TriageMeasurement:
    at = None if hour is None else datetime(2026, 1, 1, hour, tzinfo=UTC)
    return TriageMeasurement(kind=kind, value=Quantity(value=value, unit="mm[Hg]"), effective=at)


@pytest.mark.parametrize("hour", [11, None])
def test_a_systolic_pressure_below_the_diastolic_one_of_an_earlier_reading_is_no_contradiction(
    hour: int | None, floor: Floor
) -> None:
    """A patient whose pressure fell, with the systolic one felt at the pulse, must not be refused."""
    fell = (
        _pressure(MeasurementKind.SYSTOLIC, 140, 10 if hour else None),
        _pressure(MeasurementKind.DIASTOLIC, 85, 10),
        _pressure(MeasurementKind.SYSTOLIC, 80, hour),
    )
    found = read_intake(TriageRequest(age=Quantity(value=50, unit="a"), measurements=fell), Complaints())
    assert found.values == {MeasurementKind.SYSTOLIC: 80}
    assert "diastolic" in found.missing
    assert "diastolic" not in {one.name for one in found.used}
    [said] = found.corrections
    assert (said.name, said.given, said.taken) == ("diastolic", "85 mm[Hg]", "not known")
    assert floor.check(found).level == 2


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["CP and SOB"], ("chest pain", "shortness of breath")),
        (["S.O.B."], ("shortness of breath",)),
        (["abd pain, n/v; fever"], ("abdominal pain", "nausea", "vomiting", "fever")),
        (["n/v"], ("nausea", "vomiting")),
        (["fall with head injury"], ("fall", "head injury")),
        (["CP/SOB"], ("chest pain", "shortness of breath")),
        (["SI/HI, h/a"], ("suicidal thoughts", "homicidal thoughts", "headache")),
        (["c/o CP s/p fall"], ("chest pain after fall",)),
        (["abd. pain"], ("abdominal pain",)),
        (["SOB? CP!"], ("shortness of breath chest pain",)),
        (["neck/back pain"], ("neck/back pain",)),
        (["cp/xyz"], ("cp/xyz",)),
        (["c/o"], ()),
        (["Chest pain", "chest pain"], ("chest pain",)),
        (["...", "12345", "!"], ()),
        (["a,b,c"], ()),
        (["боль в груди"], ("боль в груди",)),
        (["胸痛"], ("胸痛",)),
        (["chest\u0000pain"], ("chest pain",)),
        (["one;two;three;four;five;six;seven"], ("one", "two", "three", "four", "five")),
    ],
)
def test_a_complaint_is_parted_and_written_out(given: list[str], read: tuple[str, ...]) -> None:
    assert Complaints().read(given) == read


@pytest.mark.parametrize("parting", ["; ", ", ", " & ", " + ", "\n", "\r\n", " and "])
@pytest.mark.parametrize("parts", [["CP", "SOB"], ["n/v", "CP/SOB", "fever"], ["fall with head injury", "h/a"]])
def test_the_sign_that_parts_complaints_changes_nothing(parting: str, parts: list[str]) -> None:
    assert Complaints().read([parting.join(parts)]) == Complaints().read(parts)


ICD, SNOMED = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("system", "code", "name", "found"),
    [
        (ICD, "I50.9", None, {"heart-failure"}),
        (ICD, "N18.6", None, {"end-stage-renal-disease"}),
        (ICD, "N18.30", None, {"chronic-kidney-disease"}),
        (ICD, "I11.0", None, {"heart-failure", "hypertension"}),
        (ICD, "I13.2", None, {"heart-failure", "hypertension", "chronic-kidney-disease"}),
        (ICD, "I11.9", "Hypertensive heart disease without heart failure", {"hypertension"}),
        (ICD, "E23.2", "Diabetes insipidus", set()),
        (ICD, "I27.20", "Pulmonary hypertension, unspecified", set()),
        (SNOMED, "13645005", None, {"copd"}),
        (SNOMED, "999", "Diabetes mellitus type 2", {"diabetes"}),
        (SNOMED, "999", "Diabetes mellitus without complication", {"diabetes"}),
        (SNOMED, "999", "Portal hypertension, essential hypertension", {"hypertension"}),
        (SNOMED, "999", "Pulmonary hypertension", set()),
        (SNOMED, "999", "Benign intracranial hypertension", set()),
        (SNOMED, "999", "Ocular hypertension", set()),
        (SNOMED, "999", "Heat stroke", set()),
        (SNOMED, "999", "Respiratory depression", set()),
        (SNOMED, "999", "Recurrent depressive disorder", {"depression"}),
        (SNOMED, "999", "Ischaemic heart disease", {"coronary-artery-disease"}),
        (SNOMED, "999", "High blood pressure", {"hypertension"}),
        (SNOMED, "999", "No evidence of cancer", set()),
        (SNOMED, "999", "Fear of cancer", set()),
        (SNOMED, "999", "Exposure to HIV infection", set()),
        (SNOMED, "999", "No diabetes", set()),
        (SNOMED, "999", "Nocturnal asthma", {"asthma"}),
        (SNOMED, "999", "Prediabetes", set()),
        (SNOMED, "999", "Family history of stroke", set()),
        (SNOMED, "999", "Ingrown nail", set()),
        ("https://other.example.org", "I50.9", None, set()),
    ],
)
def test_a_problem_list_is_read_for_the_conditions_that_the_model_knows(
    system: str, code: str, name: str | None, found: set[str]
) -> None:
    assert known_conditions([TriageCondition(codes=(Coding(system=system, code=code),), name=name)]) == found


def test_no_conditions_given_are_none_known_and_others_are_none_of_those() -> None:
    assert intake().conditions is None
    nail = TriageCondition(name="Ingrown nail")
    assert read_intake(request(conditions=(nail,)), Complaints()).conditions == frozenset()


@pytest.mark.parametrize(
    ("years", "band"),
    [(0, "0-2"), (2.9, "0-2"), (3, "3-17"), (18, "18-44"), (65, "65-79"), (80, "80+"), (None, "unknown")],
)
def test_an_age_has_its_band(years: float | None, band: str) -> None:
    assert band_of(years) == band
