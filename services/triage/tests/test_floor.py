"""The safety floor: each rule on its own limits, and no worse sign that makes a patient less urgent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_contracts.quantity import Quantity
from service_contracts.triage import MeasurementKind, MentalStatus, TriageRequest
from triage.complaints import Complaints
from triage.floor import Floor, UnknownSign, load_floor
from triage.intake import Intake, read_intake
from triage.units import load_kinds

from .conftest import intake, measured

FLOOR = load_floor()
KINDS = load_kinds()
NEWBORN, INFANT, TODDLER, PRESCHOOL, SCHOOL, TEEN, ADULT = 0.05, 0.5, 2, 4, 8, 14, 50


@pytest.mark.parametrize(
    ("years", "vitals", "level"),
    [
        (ADULT, {"oxygen_saturation": 91}, 2),
        (ADULT, {"oxygen_saturation": 92}, None),
        (None, {"oxygen_saturation": 91}, 2),
        (NEWBORN, {"pulse": 191}, 3),
        (NEWBORN, {"pulse": 190}, None),
        (INFANT, {"pulse": 181}, 3),
        (INFANT, {"pulse": 180}, None),
        (TODDLER, {"pulse": 141}, 3),
        (PRESCHOOL, {"pulse": 121}, 3),
        (SCHOOL, {"pulse": 120}, None),
        (TEEN, {"pulse": 101}, 3),
        (ADULT, {"pulse": 100}, None),
        (ADULT, {"pulse": 101}, 3),
        (ADULT, {"pulse": 131}, 2),
        (TEEN, {"pulse": 131}, 3),
        (ADULT, {"pulse": 40}, 2),
        (ADULT, {"pulse": 41}, None),
        (NEWBORN, {"respirations": 61}, 3),
        (INFANT, {"respirations": 56}, 3),
        (TODDLER, {"respirations": 41}, 3),
        (PRESCHOOL, {"respirations": 36}, 3),
        (SCHOOL, {"respirations": 31}, 3),
        (ADULT, {"respirations": 21}, 3),
        (ADULT, {"respirations": 25}, 2),
        (ADULT, {"respirations": 8}, 2),
        (ADULT, {"systolic": 90}, 2),
        (ADULT, {"systolic": 91}, None),
        (ADULT, {"systolic": 220}, 2),
        (ADULT, {"temperature": 35.0}, 2),
        (ADULT, {"temperature": 40.5}, None),
        (NEWBORN, {"temperature": 38.1}, 2),
        (NEWBORN, {"temperature": 38.0}, None),
        (INFANT, {"temperature": 38.1}, None),
        (None, {"pulse": 150}, None),
    ],
)
def test_a_vital_sign_raises_at_its_limit(
    floor: Floor, years: float | None, vitals: dict[str, float], level: int
) -> None:
    assert floor.check(intake(years=years, vitals=vitals)).level == level


@pytest.mark.parametrize(("days", "level"), [(0, 2), (28, 2), (29, None)])
def test_fever_raises_in_the_first_28_days_of_life_and_not_on_the_29th(
    floor: Floor, days: int, level: int | None
) -> None:
    asked = TriageRequest(age=Quantity(value=days, unit="d"), measurements=measured(temperature=38.5))
    assert floor.check(read_intake(asked, Complaints())).level == level


@pytest.mark.parametrize(
    ("status", "level"),
    [("alert", None), ("confused", 2), ("voice", 2), ("pain", 1), ("unresponsive", 1)],
)
def test_a_mental_status_raises(floor: Floor, status: str, level: int | None) -> None:
    assert floor.check(intake(mental_status=MentalStatus(status))).level == level


def test_a_sign_that_the_nurse_sees_raises_and_an_unknown_one_is_refused(floor: Floor) -> None:
    assert floor.check(intake(signs=("not-breathing",))).level == 1
    assert floor.check(intake(signs=("severe-pain-or-distress",))).level == 2
    with pytest.raises(UnknownSign):
        floor.check(intake(signs=("looks-fine",)))


def test_every_rule_names_its_source_and_the_most_urgent_comes_first(floor: Floor) -> None:
    found = floor.check(intake(vitals={"pulse": 140, "oxygen_saturation": 85}, mental_status=MentalStatus.UNRESPONSIVE))
    assert [rule.level for rule in found.rules] == sorted(rule.level for rule in found.rules)
    assert found.level == 1
    for rule in found.rules:
        assert all((rule.words, rule.source.title, rule.source.publisher, rule.source.version, rule.source.section))


def test_danger_zone_rates_advise_to_consider_level_2(floor: Floor) -> None:
    assert floor.check(intake(vitals={"pulse": 110})).advice == (
        "Heart rate above 100 from 12 years: consider level 2",
    )
    assert floor.check(intake(vitals={"pulse": 110, "oxygen_saturation": 85})).advice == ()


_WORSE_UP = (MeasurementKind.PULSE, MeasurementKind.RESPIRATIONS)
_VALUES = st.fixed_dictionaries(
    {},
    optional={
        kind: st.floats(KINDS[kind].low, KINDS[kind].high)
        for kind in MeasurementKind
        if kind not in (MeasurementKind.PAIN, MeasurementKind.DIASTOLIC)
    },
)
_NORMAL = {
    MeasurementKind.TEMPERATURE: 37.0,
    MeasurementKind.PULSE: 80.0,
    MeasurementKind.RESPIRATIONS: 14.0,
    MeasurementKind.SYSTOLIC: 125.0,
    MeasurementKind.OXYGEN_SATURATION: 100.0,
}


def _patient(months: float | None, values: dict[MeasurementKind, float], status: MentalStatus | None) -> Intake:
    return Intake(
        age_months=months, sex=None, ambulance=None, came_from=None, values=values, complaints=(),
        mental_status=status, conditions=None, signs=(),
    )  # fmt: skip


_AGES = st.none() | st.floats(0, 1200)
_STATUS = st.none() | st.sampled_from(list(MentalStatus))


def _level(patient: Intake) -> int:
    return FLOOR.check(patient).level or 6


@given(_AGES, _VALUES, _STATUS, st.data())
def test_a_worse_vital_sign_never_lowers_urgency(
    months: float | None, values: dict[MeasurementKind, float], status: MentalStatus | None, data: st.DataObject
) -> None:
    """Worse is further from what is normal, on the same side of it."""
    before = _level(_patient(months, values, status))
    for kind in list(values):
        value, normal = values[kind], _NORMAL[kind]
        edge = KINDS[kind].high if value >= normal else KINDS[kind].low
        worse = value + data.draw(st.floats(0, 1)) * (edge - value)
        assert _level(_patient(months, {**values, kind: worse}, status)) <= before


@given(_AGES, _VALUES, _STATUS, st.sampled_from(sorted(FLOOR.signs)))
def test_knowing_more_of_a_patient_never_lowers_urgency(
    months: float | None, values: dict[MeasurementKind, float], status: MentalStatus | None, sign: str
) -> None:
    whole = _level(_patient(months, values, status))
    for kind in values:
        less = {other: value for other, value in values.items() if other is not kind}
        assert whole <= _level(_patient(months, less, status))
    assert whole <= _level(_patient(months, values, None))
    patient = _patient(months, values, status)
    assert FLOOR.check(Intake(**{**vars(patient), "signs": (sign,)})).level is not None


@given(_VALUES, st.sampled_from([0.5, 1, 6, 12, 30, 36, 60, 100, 144, 192, 300]))
def test_every_age_has_its_danger_zone(values: dict[MeasurementKind, float], months: float) -> None:
    fast = {**values, MeasurementKind.PULSE: 200.0, MeasurementKind.RESPIRATIONS: 70.0}
    assert _level(_patient(months, fast, None)) <= 3
