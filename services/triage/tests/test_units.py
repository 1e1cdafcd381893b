"""Values in any accepted unit mean the same; impossible ones are refused, or corrected where all can see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_contracts.quantity import Quantity
from triage.units import NotPossible, load_kinds

KINDS = load_kinds()


@pytest.mark.parametrize(
    ("kind", "value", "unit", "wanted"),
    [
        ("temperature", 37.0, "Cel", 37.0),
        ("temperature", 98.6, "[degF]", 37.0),
        ("temperature", 310.15, "K", 37.0),
        ("pulse", 80, "/min", 80),
        ("pulse", 80, "{beats}/min", 80),
        ("systolic", 120, "mm[Hg]", 120),
        ("systolic", 16, "kPa", 120.0099),
        ("oxygen-saturation", 97, "%", 97),
        ("oxygen-saturation", 0.97, "1", 97),
        ("age", 2, "a", 24),
        ("age", 7, "d", 0.23),
    ],
)
def test_a_value_is_brought_to_the_unit_of_its_kind(kind: str, value: float, unit: str, wanted: float) -> None:
    found = KINDS[kind].normalise(Quantity(value=value, unit=unit))
    assert found.value == pytest.approx(wanted, abs=0.01)
    assert found.correction is None


@pytest.mark.parametrize(
    ("kind", "value", "unit", "taken"),
    [
        ("temperature", 98.6, "Cel", 37.0),
        ("temperature", 37.0, "[degF]", 37.0),
        ("temperature", 310, "Cel", 36.85),
        ("oxygen-saturation", 0.97, "%", 97),
        ("oxygen-saturation", 97, "1", 97),
    ],
)
def test_the_wrong_scale_is_corrected_and_said(kind: str, value: float, unit: str, taken: float) -> None:
    found = KINDS[kind].normalise(Quantity(value=value, unit=unit))
    assert found.value == pytest.approx(taken, abs=0.01)
    assert found.correction is not None
    assert found.correction.given == f"{value:g} {unit}"
    assert f"not possible in {unit}" in found.correction.why


@pytest.mark.parametrize(
    ("kind", "value", "unit"),
    [
        ("pulse", 900, "/min"),
        ("pulse", -80, "/min"),
        ("pulse", 0, "/min"),
        ("temperature", 60, "Cel"),
        ("temperature", 200, "[degF]"),
        ("systolic", 700, "mm[Hg]"),
        ("oxygen-saturation", 140, "%"),
        ("pain", 11, "{score}"),
        ("respirations", 1_000, "/min"),
        ("age", 140, "a"),
        ("age", -1, "a"),
        ("pulse", 80, "mm[Hg]"),
        ("pulse", 80, "bpm"),
        ("pulse", float("nan"), "/min"),
        ("pulse", float("inf"), "/min"),
    ],
)
def test_what_no_patient_has_is_refused_without_its_value(kind: str, value: float, unit: str) -> None:
    with pytest.raises(NotPossible) as refused:
        KINDS[kind].normalise(Quantity(value=value, unit=unit))
    assert refused.value.name == kind
    assert f"{value:g}" not in refused.value.text.split()


@given(st.sampled_from(sorted(KINDS)), st.floats(0, 1), st.data())
def test_a_unit_that_is_changed_with_its_value_changes_nothing(kind: str, share: float, data: st.DataObject) -> None:
    of = KINDS[kind]
    value = of.low + share * (of.high - of.low)
    unit = data.draw(st.sampled_from(sorted(of.units)))
    factor, offset = of.units[unit]
    same = KINDS[kind].normalise(Quantity(value=value, unit=of.unit)).value
    other = Quantity(value=(value - offset) / factor, unit=unit)
    try:
        found = KINDS[kind].normalise(other)
    except NotPossible:
        assert min(value - of.low, of.high - value) < 0.001  # the very edge, after rounding
        return
    assert found.value == pytest.approx(same, abs=0.0002)
    assert found.correction is None
