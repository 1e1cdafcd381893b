"""An answer in any case: with a score, or with why there is none and what the floor found all the same."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from service_contracts.quantity import Quantity
from service_contracts.triage import MentalStatus, NotScored, Posture, TriageAnswer
from triage.assess import Assessor, Served
from triage.floor import Floor

from .conftest import request

SICK = {"pulse": 140, "oxygen_saturation": 85}


@pytest.fixture
def assessor(floor: Floor, served: Served) -> Callable[..., Assessor]:
    def make(model: Served | None = served, **more: Any) -> Assessor:
        return Assessor(
            floor,
            lambda: model,
            ThreadPoolExecutor(1),
            **{"posture": Posture.TIME_CRITICAL, "reserve_ms": 5, **more},
        )

    return make


class _Model:
    """The shipped model, slower or broken."""

    def __init__(self, served: Served, delay_s: float = 0.0, fails: bool = False) -> None:
        self.manifest = served.files.manifest
        self._served, self._delay_s, self._fails = served, delay_s, fails
        self.asked = 0

    def predict(self, patients: Any) -> Any:
        self.asked += 1
        time.sleep(self._delay_s)
        if self._fails:
            raise RuntimeError("broken")
        return self._served.files.predict(patients)


def _floor_alone(answer: TriageAnswer, why: NotScored) -> None:
    assert answer.not_scored is why
    assert (answer.model_level, answer.probabilities, answer.prediction_set, answer.risks, answer.reasons) == (
        None, (), (), (), (),
    )  # fmt: skip
    assert answer.level == 2
    assert {rule.id for rule in answer.floor_rules} >= {"oxygen-danger-zone", "pulse-very-fast"}
    assert answer.floor_checked


async def test_a_known_patient_has_a_whole_answer(assessor: Callable[..., Assessor]) -> None:
    answer = await assessor().assess(request(vitals=SICK, complaint="chest pain", sex="male", arrival="ambulance"))
    assert answer.not_scored is None
    assert answer.level is not None
    assert answer.model_level is not None
    assert answer.level == min(answer.model_level, 2)
    assert len(answer.probabilities) == 5
    assert answer.coverage == 0.9
    assert {one.outcome for one in answer.risks} == {"critical", "hospitalisation"}
    assert answer.reasons
    assert answer.model is not None
    assert answer.posture is Posture.TIME_CRITICAL
    assert "temperature" in answer.missing


async def test_the_floor_raises_and_never_lowers(assessor: Callable[..., Assessor]) -> None:
    calm = await assessor().assess(request(years=30, complaint="suture removal", vitals={"pulse": 70, "systolic": 120}))
    assert calm.model_level is not None
    assert calm.model_level >= 4
    raised = await assessor().assess(
        request(years=30, complaint="suture removal", vitals={"pulse": 70, "systolic": 120, "oxygen_saturation": 91})
    )
    assert raised.level == 2
    assert raised.model_level is not None
    assert raised.model_level >= 2
    seen = await assessor().assess(request(signs=("not-breathing",)))
    assert seen.level == 1


async def test_a_late_model_leaves_the_floors_answer_inside_the_budget(
    assessor: Callable[..., Assessor], served: Served
) -> None:
    slow = _Model(served, delay_s=1.0)
    started = time.monotonic()
    answer = await assessor(replace(served, files=slow)).assess(
        request(vitals=SICK).model_copy(update={"budget_ms": 150})
    )
    assert time.monotonic() - started < 0.5
    _floor_alone(answer, NotScored.LATE)


async def test_what_waited_past_its_time_is_not_worked_on(assessor: Callable[..., Assessor], served: Served) -> None:
    slow = _Model(served, delay_s=0.4)
    one = assessor(replace(served, files=slow))
    asked = request(vitals=SICK).model_copy(update={"budget_ms": 100})
    answers = await asyncio.gather(*(one.assess(asked) for _ in range(5)))
    for answer in answers:
        _floor_alone(answer, NotScored.LATE)
    await asyncio.sleep(0.8)
    assert slow.asked <= 2  # the reasons ask once more only if the first was in time


async def test_a_broken_model_leaves_the_floors_answer(assessor: Callable[..., Assessor], served: Served) -> None:
    broken = replace(served, files=_Model(served, fails=True))
    _floor_alone(await assessor(broken).assess(request(vitals=SICK)), NotScored.MODEL_UNAVAILABLE)
    _floor_alone(await assessor(None).assess(request(vitals=SICK)), NotScored.MODEL_UNAVAILABLE)


async def test_there_is_no_score_in_the_non_device_posture(assessor: Callable[..., Assessor]) -> None:
    answer = await assessor(posture=Posture.NON_DEVICE).assess(request(vitals=SICK))
    _floor_alone(answer, NotScored.POSTURE)
    assert answer.posture is Posture.NON_DEVICE


@pytest.mark.parametrize(
    "known",
    [
        {"years": None, "vitals": SICK},
        {"years": 50, "complaint": None},
        {"years": 50, "complaint": None, "vitals": {"pulse": 80, "pain": 4}},
        {"years": 50, "complaint": "asdfgh qwertz", "vitals": {"pulse": 80}},
    ],
)
async def test_too_little_is_no_basis_for_a_score(assessor: Callable[..., Assessor], known: dict[str, Any]) -> None:
    answer = await assessor().assess(request(**known))
    assert answer.not_scored is NotScored.TOO_LITTLE
    assert answer.probabilities == ()


@pytest.mark.parametrize("status", [None, MentalStatus.CONFUSED, MentalStatus.UNRESPONSIVE])
@pytest.mark.parametrize("words", ["asdfgh qwertz", "боль в груди", "胸痛", "ألم في الصدر"])
async def test_a_complaint_that_was_not_understood_is_said(
    assessor: Callable[..., Assessor], words: str, status: MentalStatus | None
) -> None:
    asked = request(complaint=words, vitals={"pulse": 80, "systolic": 120}, mental_status=status)
    answer = await assessor().assess(asked)
    assert answer.not_scored is None
    assert "complaint" in answer.missing
    assert "complaint" not in {one.name for one in answer.used}
    assert "The complaint was not understood and did not count." in answer.warnings


async def test_a_correction_is_in_the_answer(assessor: Callable[..., Assessor]) -> None:
    right = await assessor().assess(request(vitals={"temperature": (98.6, "[degF]"), "pulse": 80}))
    wrong = await assessor().assess(request(vitals={"temperature": (98.6, "Cel"), "pulse": 80}))
    assert right.corrections == ()
    assert [one.name for one in wrong.corrections] == ["temperature"]
    assert wrong.probabilities == right.probabilities


METRIC = {
    "temperature": 39.0, "pulse": 120, "respirations": 24, "systolic": 96, "diastolic": 60, "oxygen_saturation": 91,
}  # fmt: skip
OTHER = {
    "temperature": (102.2, "[degF]"), "pulse": (2.0, "/s"), "respirations": (0.4, "/s"), "systolic": (12.7990, "kPa"),
    "diastolic": (7.9993, "kPa"), "oxygen_saturation": (0.91, "1"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("vitals", "age"),
    [
        (dict(reversed(METRIC.items())), (50, "a")),
        (METRIC, (600, "mo")),
        (OTHER, (50, "a")),
        ({**METRIC, "temperature": (312.15, "K")}, (18262.5, "d")),
        ({**METRIC, "pulse": (120, "{beats}/min"), "respirations": (24, "{breaths}/min")}, (50, "a")),
    ],
)
async def test_neither_units_nor_order_change_an_answer(
    assessor: Callable[..., Assessor], vitals: dict[str, Any], age: tuple[float, str]
) -> None:
    one = await assessor().assess(request(vitals=METRIC))
    other = await assessor().assess(
        request(vitals=vitals).model_copy(update={"age": Quantity(value=age[0], unit=age[1])})
    )
    assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
    assert (other.level, other.floor_rules, other.missing) == (one.level, one.floor_rules, one.missing)
    assert {(used.name, used.value) for used in other.used} == {(used.name, used.value) for used in one.used}
    assert other.corrections == ()


async def test_a_patient_of_a_group_with_a_warning_is_told_apart_less_well_and_the_answer_says_so(
    assessor: Callable[..., Assessor], served: Served
) -> None:
    ages = {one.group for one in served.files.manifest.warnings if one.dimension == "age"}
    years = {"0-2": 1, "3-17": 10, "18-44": 30, "45-64": 50, "65-79": 70, "80+": 85}
    for band, age in years.items():
        answer = await assessor(region="south").assess(request(years=age, vitals={"pulse": 80, "systolic": 120}))
        assert any(f"age: {band}" in warning for warning in answer.warnings) == (band in ages)
