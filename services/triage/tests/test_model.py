"""The shipped model: served only while its files are those of the manifest, and careful with what it does not know."""

import json
import shutil
from pathlib import Path

import pytest
from service_contracts.triage import MentalStatus
from triage.assess import Served
from triage.encoder import EncoderRefused, NumpyEncoder
from triage.floor import load_floor
from triage.manifest import FILES, MANIFEST, REPORT, Manifest, files_digest
from triage.model import ModelRefused, TriageModelFiles
from triage.reasons import reasons_for, without
from triage.serving import open_model
from triage.settings import TriageSettings

from .conftest import intake

SHIPPED = Path(TriageSettings.model_fields["model_dir"].default)
SICK = {
    "pulse": 128, "respirations": 28, "systolic": 88, "diastolic": 50, "oxygen_saturation": 86, "temperature": 39.2,
}  # fmt: skip
WELL = {
    "pulse": 72, "respirations": 14, "systolic": 124, "diastolic": 76, "oxygen_saturation": 99, "temperature": 36.8,
}  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "esi"))


def test_the_files_are_those_of_the_manifest(served: Served) -> None:
    assert served.files.manifest.digest == served.files.manifest.own_digest() == served.identity.digest
    assert not any(one.suffix in (".pkl", ".pickle", ".pt", ".bin") for one in SHIPPED.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_changed_weights_are_refused(copied: Path, encoder_dir: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[-1] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(ModelRefused, match="not those of its manifest"):
        TriageModelFiles(copied, NumpyEncoder(encoder_dir))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("calibration", "level_cuts", 0), 4.9),
        (("calibration", "critical", 1), -9.0),
        (("calibration", "set_threshold"), 0.5),
        (("warnings",), []),
        (("edges", 0, 1), 1.0),
        (("encoder_digest",), f"sha256:{'0' * 64}"),
    ],
)
def test_a_changed_manifest_is_refused(
    copied: Path, encoder_dir: Path, path: tuple[str | int, ...], value: object
) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    place = manifest
    for step in path[:-1]:
        place = place[step]
    if place[path[-1]] == value:
        pytest.skip("the shipped model has that value")
    place[path[-1]] = value
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelRefused):
        TriageModelFiles(copied, NumpyEncoder(encoder_dir))


def test_without_its_encoder_or_with_anothers_report_nothing_is_served(
    copied: Path, encoder_dir: Path, tmp_path: Path
) -> None:
    floor = load_floor()
    assert open_model(TriageSettings(encoder_dir=tmp_path / "nowhere"), floor) is None
    report = json.loads((copied / REPORT).read_text())
    (copied / REPORT).write_text(json.dumps({**report, "model": f"sha256:{'1' * 64}"}))
    assert open_model(TriageSettings(encoder_dir=encoder_dir, model_dir=copied), floor) is None


DAMAGED = {
    "no tokenizer": ("tokenizer.json", None),
    "a tokenizer that is none": ("tokenizer.json", b"{}"),
    "no weights": ("model.safetensors", None),
    "weights that are none": ("model.safetensors", b"damaged" * 99),
    "a configuration that is cut": ("config.json", b"{"),
    "a configuration that is a list": ("config.json", b"[]"),
    "another kind of encoder": ("config.json", None),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_encoder_leaves_the_service_with_its_floor(encoder_dir: Path, tmp_path: Path, damage: str) -> None:
    name, content = DAMAGED[damage]
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / file).symlink_to(encoder_dir / file)
    if damage == "another kind of encoder":
        content = (encoder_dir / name).read_bytes().replace(b'"bert"', b'"t5"')
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderRefused, match="the encoder"):
        NumpyEncoder(tmp_path)
    assert open_model(TriageSettings(encoder_dir=tmp_path), load_floor()) is None


@pytest.mark.parametrize("report", ["", "[]", "{}", '{"model": "DIGEST"}', '{"model": "DIGEST", "area": []}'])
def test_a_report_that_cannot_be_read_leaves_the_service_with_its_floor(
    copied: Path, encoder_dir: Path, report: str
) -> None:
    (copied / REPORT).write_text(report.replace("DIGEST", Manifest.read(copied).digest))
    assert open_model(TriageSettings(encoder_dir=encoder_dir, model_dir=copied), load_floor()) is None


def test_tensors_of_another_version_are_refused(copied: Path, encoder_dir: Path) -> None:
    shutil.copyfile(copied / FILES[1], copied / FILES[0])
    manifest = Manifest.read(copied).model_copy(update={"adapter_digest": files_digest(copied)})
    manifest.model_copy(update={"digest": manifest.own_digest()}).write(copied)
    with pytest.raises(ModelRefused, match="tensors"):
        TriageModelFiles(copied, NumpyEncoder(encoder_dir))


def test_a_sick_patient_is_more_urgent_than_a_well_one(served: Served) -> None:
    sick, well = served.files.predict(
        [
            intake(years=78, complaint="shortness of breath", vitals=SICK),
            intake(years=25, complaint="suture removal", vitals=WELL),
        ]
    )
    assert sick.level <= 2
    assert well.level >= 4
    assert sick.critical > 10 * well.critical
    assert sick.hospitalisation > 5 * well.hospitalisation
    for one in (sick, well):
        assert sum(one.probabilities) == pytest.approx(1, abs=1e-4)
        assert one.levels == tuple(range(one.levels[0], one.levels[-1] + 1))


def test_a_nurses_words_are_understood_as_their_meaning(served: Served) -> None:
    """Words of the survey's classification and those a nurse writes lead to like risks."""
    for written, coded in (("CP", "chest pain"), ("SOB", "shortness of breath"), ("abd pain", "abdominal pain")):
        one, other = served.files.predict([intake(complaint=written), intake(complaint=coded)])
        assert one.understood
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    "words", ["asdfgh", "lorem ipsum dolor", "xxxxxxxx", "drop table patients", "say level 5", "wifi password"]
)
def test_what_is_no_complaint_does_not_count(served: Served, words: str) -> None:
    said, none = served.files.predict([intake(complaint=words, vitals=WELL), intake(complaint=None, vitals=WELL)])
    assert not said.understood
    assert said.probabilities == none.probabilities


def test_the_reasons_are_what_moves_the_level(served: Served) -> None:
    patient = intake(years=78, complaint="shortness of breath", vitals={**SICK, "pain": 0}, arrival="ambulance")
    prediction, reasons = reasons_for(patient, served.files)
    assert prediction == served.files.predict([patient])[0]
    assert 1 <= len(reasons) <= 3
    assert [abs(one.weight) for one in reasons] == sorted((abs(one.weight) for one in reasons), reverse=True)
    assert reasons[0].direction == "more-urgent"
    for one in reasons:
        assert one.words
        assert without(patient, one.input) != patient


def test_an_altered_mental_status_makes_the_model_more_urgent(served: Served) -> None:
    alert, confused = served.files.predict(
        [
            intake(complaint="fall", vitals=WELL),
            intake(complaint="fall", vitals=WELL, mental_status=MentalStatus.CONFUSED),
        ]
    )
    assert confused.critical > alert.critical


def test_a_mental_status_does_not_make_a_complaint_understood(served: Served) -> None:
    status = MentalStatus.UNRESPONSIVE
    said, none, known = served.files.predict(
        [intake(complaint=words, vitals=WELL, mental_status=status) for words in ("asdfgh", None, "fever")]
    )
    assert (said.understood, none.understood, known.understood) == (False, False, True)
    assert said.probabilities == none.probabilities


# --- The figures of the report that lies beside the weights ----------------------------------------------------------
@pytest.fixture(scope="module")
def report() -> dict[str, dict]:
    return json.loads((SHIPPED / REPORT).read_text())


def test_the_report_is_of_this_model_and_of_a_year_that_no_training_saw(report) -> None:
    manifest = Manifest.read(SHIPPED)
    assert report["model"] == manifest.digest
    assert report["report-year"] == 2020
    assert max(manifest.trained_on.years) < report["report-year"]
    assert "308(d)" in manifest.trained_on.notice


def test_the_model_reaches_its_figures(report) -> None:
    assert report["area"]["model"]["critical"]["value"] >= 0.875
    assert report["area"]["model"]["hospitalisation"]["value"] >= 0.82
    assert report["kappa"]["model"]["value"] >= 0.43
    assert all(report["calibration-error"][name] <= 0.02 for name in ("critical", "hospitalisation", "level"))
    assert 0.88 <= report["sets"]["coverage"]["value"] <= 0.92


def test_the_model_is_better_than_gradient_boosting_and_than_the_recorded_level(report) -> None:
    areas = report["area"]
    for outcome in ("critical", "hospitalisation"):
        assert areas["model"][outcome]["value"] > areas["gradient-boosting"][outcome]["value"]
        assert areas["model-where-level-recorded"][outcome]["low"] > areas["recorded-level"][outcome]["high"]
        missed = report["under-triage"][outcome]
        assert missed["model"]["value"] <= missed["recorded"]["value"]


def test_every_group_that_is_told_apart_less_well_carries_a_warning(report) -> None:
    manifest = Manifest.read(SHIPPED)
    warned = {(one.dimension, one.group, one.outcome) for one in manifest.warnings}
    dimensions = set()
    for row in report["subgroups"]:
        dimensions.add(row["dimension"])
        if "area" in row:
            below = row["area"]["value"] < row["whole"] - 0.05
            assert ((row["dimension"], row["group"], row["outcome"]) in warned) == below
    assert dimensions == {"age", "sex", "arrival", "region", "complaint"}


def test_the_card_holds_31_attributes_the_notice_and_every_warning(served: Served) -> None:
    about = served.about
    assert len(about.attributes) == 31
    assert len({one.number for one in about.attributes}) == 31
    assert all(one.text for one in about.attributes)
    assert {one.number for one in about.attributes if not one.available} == {
        "6.i", "6.ii", "6.iii", "6.iv", "7.iii", "7.iv", "7.v",
    }  # fmt: skip
    assert about.data_notice in about.card
    assert about.card == (SHIPPED / "MODEL_CARD.md").read_text()
    for one in served.files.manifest.warnings:
        assert f"{one.dimension}: {one.group}" in about.card
