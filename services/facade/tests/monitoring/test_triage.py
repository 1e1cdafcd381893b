"""Triage in use is measured by week, age band and sex, and small numbers are not exported."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from facade.monitoring.commands import report
from facade.monitoring.export import exposition
from facade.monitoring.triage import Share, drift, measure, week_of
from facade.store.triage import WatchedTriage
from rich.console import Console

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def one(
    level: int | None, /, *, at: datetime = MONDAY, band: str = "45-64", sex: str = "female", **said: Any
) -> WatchedTriage:
    risks = said.pop("risks", {"critical": 0.1, "hospitalisation": 0.3})
    content = {"age_band": band, "sex": sex, "level": level, "not_scored": None if level else "late", "risks": risks}
    return WatchedTriage(at, content, **said)


def test_under_and_over_triage_are_shares_of_what_nurses_decided() -> None:
    records = [
        one(2, level=2), one(3, level=2), one(3, level=3), one(2, level=4), one(4, level=4), one(3), one(None, level=1),
    ]  # fmt: skip
    [whole] = [row for row in measure(records) if row.dimension == "all"]
    assert (whole.proposals, whole.not_scored) == (7, 1)
    assert whole.agreed == Share(3, 5)
    assert whole.under_triage == Share(1, 2)
    assert whole.over_triage == Share(1, 3)


def test_outcomes_and_risks_are_compared() -> None:
    records = [
        one(2, critical=True, hospitalised=True),
        one(4, critical=True, hospitalised=True),
        one(2, critical=False, hospitalised=False),
        one(4, critical=False, hospitalised=False),
        one(4, critical=False, hospitalised=True),
    ]
    [whole] = [row for row in measure(records) if row.dimension == "all"]
    assert whole.under_triage_by_outcome == Share(1, 2)
    assert whole.over_triage_by_outcome == Share(1, 2)
    assert whole.calibration_gap("critical") == pytest.approx(0.1 - 0.4)
    assert whole.calibration_gap("hospitalisation") == pytest.approx(0.3 - 0.6)


def test_groups_are_weeks_age_bands_and_sexes() -> None:
    records = [one(3), one(3, at=MONDAY - timedelta(days=1), band="80+"), one(3, sex="male")]
    rows = {(row.dimension, row.group): row.proposals for row in measure(records)}
    assert rows == {
        ("all", "all"): 3, ("week", "2026-W47"): 1, ("week", "2026-W48"): 2, ("age", "45-64"): 2, ("age", "80+"): 1,
        ("sex", "female"): 2, ("sex", "male"): 1,
    }  # fmt: skip
    assert week_of(datetime(2027, 1, 1, tzinfo=UTC)) == "2026-W53"


def test_drift_is_nothing_between_equal_weeks_and_grows_with_the_difference() -> None:
    usual = [one(level) for level in (2, 3, 3, 3, 4, 4, 5)] * 20
    assert drift(usual, usual) == pytest.approx(0)
    slight, great = [one(level) for level in (2, 2, 3, 3, 4, 4, 5)] * 20, [one(1)] * 100
    assert 0 < (drift(usual, slight) or 0) < (drift(usual, great) or 0)
    assert drift([], usual) is None


def test_shares_have_wilson_intervals() -> None:
    low, high = Share(5, 10).interval or (0, 0)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)
    assert Share(0, 0).value is None
    assert Share(0, 0).interval is None


def test_shares_of_few_records_are_not_exported() -> None:
    few = exposition([("main", measure([one(2, level=3)] * 9), None)]).decode()
    many = exposition([("main", measure([one(2, level=3)] * 10), 0.2)]).decode()
    assert "preceptor_triage_over_triage_share{" not in few
    assert 'preceptor_triage_over_triage_share{dimension="all",ehr="main",group="all"} 1.0' in many
    assert 'preceptor_triage_level_drift{ehr="main"} 0.2' in many


def test_the_report_says_what_is_not_known() -> None:
    console = Console(width=240, record=True, file=io.StringIO())
    console.print(report("main", measure([one(3)]), None))
    text = console.export_text()
    assert "drift of the last week's levels not known" in text
    assert "is not known: nobody has said" in text
    row = next(line for line in text.splitlines() if line.startswith("│ all"))
    assert row.count("–") == 7
