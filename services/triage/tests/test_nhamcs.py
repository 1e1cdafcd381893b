"""The importer reads what CDC publishes, refuses other files, and leaves out what cannot be, counting it."""

import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_contracts.triage import MeasurementKind
from triage.training.dataset import collect, hide_numbers, vary_phrases
from triage.training.measures import area, bootstrap, calibration_error, quadratic_kappa
from triage.training.nhamcs import SurveyError, Tally, open_survey, read_visits
from triage.training.reasons import ReasonLabels, group_of

from .conftest import SURVEY
from .survey import LABELS, PLAIN, visits_of


@pytest.mark.parametrize("name", ["ed2018-stata.dta", "ED2018-STATA.DTA"])
def test_a_stata_file_says_the_same_as_its_rows(tmp_path: Path, name: str) -> None:
    """The SAS, Stata and SPSS files are read by one library and one code; Stata's can be written here."""
    changes = [{}, {"AGE": 3, "IMMEDR": 4, "RFV2": -9}, {"PULSE": 998}]
    file = tmp_path / name
    file.write_bytes(_stata([{**PLAIN, **change} for change in changes]))
    assert list(read_visits([file], LABELS, Tally())) == visits_of(changes)
    zipped = tmp_path / f"ed2018-stata.{'zip' if name.islower() else 'ZIP'}"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(file, file.name)
    with open_survey(zipped) as files:
        assert list(read_visits(files, LABELS, Tally())) == visits_of(changes)


def _stata(rows: list[dict[str, Any]]) -> bytes:
    """A Stata file of format 114: every variable a double."""
    names = sorted(rows[0])
    head = struct.pack("<BBBBhi81s18s", 114, 2, 1, 0, len(names), len(rows), b"", b"")
    lists = b"\xff" * len(names) + b"".join(name.encode().ljust(33, b"\0") for name in names)
    lists += b"\0" * (2 * (len(names) + 1)) + b"%9.0g".ljust(49, b"\0") * len(names) + b"\0" * (33 + 81) * len(names)
    data = b"".join(struct.pack(f"<{len(names)}d", *(float(row[name]) for name in names)) for row in rows)
    return head + lists + b"\0" * 5 + data


def test_a_row_becomes_a_visit() -> None:
    [visit] = visits_of([{}])
    patient = visit.patient
    assert (patient.age_months, patient.sex, patient.ambulance, patient.came_from) == (
        720,
        "male",
        True,
        "nursing-home",
    )
    assert patient.values[MeasurementKind.TEMPERATURE] == pytest.approx(38.0, abs=0.001)
    assert patient.values[MeasurementKind.PAIN] == 7
    assert patient.complaints == ("chest pain, soreness", "shortness of breath")
    assert patient.conditions == {"heart-failure", "diabetes"}
    assert (visit.level, visit.critical, visit.hospitalised, visit.eligible) == (2, True, True, True)
    assert (visit.region, visit.year) == ("south", 2018)


@pytest.mark.parametrize(
    ("change", "attribute", "value"),
    [
        ({"IMMEDR": 0}, "level", None),
        ({"IMMEDR": 7}, "level", None),
        ({"IMMEDR": -9}, "level", None),
        ({"ADMIT": 6}, "critical", False),
        ({"ADMIT": 6, "DIEDED": 1}, "critical", True),
        ({"ADMIT": 6, "HDSTAT": 2}, "critical", True),
        ({"ADMITHOS": 0, "TRANOTH": 1}, "hospitalised", True),
        ({"ADMITHOS": 0}, "hospitalised", False),
        ({"DOA": 1}, "eligible", False),
        ({"LWBS": 1}, "eligible", False),
    ],
)
def test_codes_mean_what_the_documentation_says(change: dict[str, Any], attribute: str, value: object) -> None:
    [visit] = visits_of([change])
    assert getattr(visit, attribute) == value


def test_missing_is_missing_and_impossible_is_left_out_and_counted() -> None:
    tally = Tally()
    [visit] = visits_of([{"PULSE": 998, "TEMPF": -9, "BPDIAS": 160, "SEX": 9, "AGEDAYS": 10, "AGE": 0}], tally)
    assert MeasurementKind.PULSE not in visit.patient.values
    assert MeasurementKind.TEMPERATURE not in visit.patient.values
    assert MeasurementKind.DIASTOLIC not in visit.patient.values
    assert visit.patient.sex is None
    assert visit.patient.age_months == pytest.approx(10 / 30.4375)
    assert tally.left_out == {"PULSE": 1, "BPDIAS": 1, "SEX": 1}


def test_a_file_without_a_needed_variable_is_refused(tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "ed.parquet"
    duckdb.execute(f"COPY (SELECT 1 AS AGE, 2018 AS YEAR) TO '{file}' (FORMAT parquet)")
    with pytest.raises(SurveyError, match="lacks the variables"):
        list(read_visits([file], LABELS, Tally()))


@pytest.mark.parametrize("weight", [None, float("nan"), float("inf"), -9, "x"])
def test_a_visit_without_a_weight_is_refused(weight: object) -> None:
    """It would turn every weighted figure of the report into none, or into a wrong one."""
    with pytest.raises(SurveyError, match="no weight"):
        visits_of([{"PATWT": weight}])


@pytest.mark.parametrize("name", ["ed2018.dta", "ed2018.sav", "ed2018.sas7bdat", "ed2018.parquet", "ed2018.zip"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"damaged" * 20)
    with pytest.raises(SurveyError, match=f"{name} is damaged, or not what its name says"):
        list(read_visits([tmp_path / name], LABELS, Tally()))


@pytest.mark.parametrize("kind", ["xz", "gz"])
def test_an_archive_that_ends_too_early_is_told(tmp_path: Path, kind: str) -> None:
    whole, cut = tmp_path / f"whole.tar.{kind}", tmp_path / f"cut.tar.{kind}"
    (tmp_path / "ed2018.dta").write_bytes(np.random.default_rng(1).bytes(50_000))
    with tarfile.open(whole, f"w:{kind}") as archive:
        archive.add(tmp_path / "ed2018.dta", "ed2018.dta")
    cut.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(SurveyError, match=f"cut.tar.{kind} is damaged"), open_survey(cut):
        pass


@pytest.mark.parametrize("text", ["", "[1]", '{"chest": "pain"}', "{"])
def test_labels_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rvc_labels.json").write_text(text)
    with pytest.raises(SurveyError, match=r"rvc_labels\.json is not a JSON object"):
        ReasonLabels.read(tmp_path / "rvc_labels.json")


def test_reasons_have_words_and_groups() -> None:
    assert LABELS.phrase(14150) == "shortness of breath"
    assert LABELS.phrase(10509) == "other reason"
    assert [group_of(code) for code in (10501, 12050, 14150, 58154, 89970)] == [
        "general symptoms", "nervous system", "breathing", "injuries", "no usable reason",
    ]  # fmt: skip


def test_the_shared_files_are_read_whole() -> None:
    if not SURVEY.is_file():
        pytest.skip("the survey's files are not beside the repository")
    tally = Tally()
    with open_survey(SURVEY) as files:
        labels = ReasonLabels.read(next(file for file in files if file.name == "rvc_labels.json"))
        report = [file for file in files if "2020" in file.name]
        visits = list(read_visits(report, labels, tally))
    assert len(visits) == tally.visits == 14_860
    assert sum(visit.level is not None for visit in visits) == 9_624
    data, phrases = collect(visits)
    assert len(data) == sum(visit.eligible for visit in visits)
    assert data.rows.shape[0] == len(data)
    assert phrases.none == len(phrases.texts)
    hidden = hide_numbers(data.rows, np.random.default_rng(1))
    assert np.isnan(hidden).sum() > np.isnan(data.rows).sum()
    known = ~np.isnan(hidden)
    assert (hidden[known] == data.rows[known]).all()
    varied = vary_phrases(data.phrases, phrases, np.random.default_rng(1))
    assert ((varied == phrases.none) >= (data.phrases == phrases.none)).all()


def test_measures_are_those_of_their_definitions() -> None:
    truth = np.array([0, 0, 1, 1])
    assert area(truth, np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert area(truth, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert area(truth, np.array([0.1, 0.4, 0.35, 0.8]), np.array([1.0, 3.0, 1.0, 1.0])) == pytest.approx(5 / 8)
    levels = np.array([1, 2, 3, 4, 5])
    assert quadratic_kappa(levels, levels) == 1
    assert quadratic_kappa(levels, levels[::-1]) == pytest.approx(-1)
    assert calibration_error(np.array([0, 1, 0, 1]), np.full(4, 0.5), bins=1) == 0
    assert calibration_error(np.array([1, 1, 1, 1]), np.full(4, 0.5), bins=2) == 0.5
    found = bootstrap(np.array([1, 1, 2, 2]), lambda rows: float(truth[rows].mean()), repeats=200, seed=1)
    assert (found.low, found.value, found.high) == (0, 0.5, 1)
    again = bootstrap(np.array([1, 1, 2, 2]), lambda rows: float(truth[rows].mean()), repeats=200, seed=1)
    assert found == again


def test_labels_are_read_from_json(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps({"10100": "Fever"}))
    assert ReasonLabels.read(tmp_path / "labels.json").phrase(10100) == "fever"
