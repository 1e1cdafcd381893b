"""From the survey's files to a model folder: import, cross-fit, calibrate, fit, compare and report."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from triage.encoder import NumpyEncoder
from triage.features import NAMES
from triage.manifest import FILES, REPORT, Manifest, TrainingData, files_digest
from triage.model_card import model_card
from triage.training.baseline import fit_baseline
from triage.training.dataset import Dataset, Phrases, collect
from triage.training.evaluate import evaluate, group_warnings, subgroups
from triage.training.fit import calibrate, cross_fit, fit, score
from triage.training.measures import area, quadratic_kappa
from triage.training.nhamcs import NOTICE, SurveyError, Tally, open_survey, read_visits
from triage.training.reasons import GROUPS, ReasonLabels
from triage.transformers_engine import Recipe

__all__ = ["CARD", "TrainingPlan", "train"]

CARD = "MODEL_CARD.md"
VERSION = "1"
_LABELS = "rvc_labels.json"
_PHRASE_SIMILARITY = 0.42
"""Likeness (cosine) to a known reason below which a phrase is not understood; found on phrases written for it."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained on and how; the defaults make the model that is shipped."""

    report_year: int = 2020
    coverage: float = 0.9
    repeats: int = 1000
    programs: tuple[Path, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)


Progress = Callable[[str, int, int, str], None]


def train(data: Path, encoder_dir: Path, output: Path, plan: TrainingPlan, progress: Progress) -> Manifest:
    """Train on the years before ``report_year``, report on it, and write a model folder; raise ``SurveyError``."""
    started = time.monotonic()
    visits, phrases, trained_on, tally = _read(data, plan, progress)
    progress("Encoding reasons", 0, 1, "")
    encoder = NumpyEncoder(encoder_dir)
    vectors = np.vstack([encoder.encode(phrases.texts), np.zeros((1, encoder.width), np.float32)])
    progress("Encoding reasons", 1, 1, f"{len(phrases.texts)} phrases")
    train_set, report_set = visits.where(visits.year < plan.report_year), visits.where(visits.year == plan.report_year)

    def learning(name: str, done: int, total: int, loss: float) -> None:
        progress(f"Learning from {name}", done, total, f"loss {loss:.3f}")

    crossed = cross_fit(train_set, vectors, phrases, plan.recipe, learning)
    calibration = calibrate(train_set, crossed, coverage=plan.coverage, phrase_similarity=_PHRASE_SIMILARITY)
    fitted = fit(train_set, vectors, phrases, plan.recipe, learning, "all training years")
    progress("Gradient boosting", 0, 1, "")
    baseline = fit_baseline(train_set, report_set, seed=plan.recipe.seed, threads=plan.recipe.threads)
    progress("Gradient boosting", 1, 1, "")
    progress("Report", 0, 1, f"{plan.repeats} bootstrap samples of hospitals")
    scores = score(fitted, report_set, vectors, phrases)
    metrics = evaluate(report_set, scores, calibration, baseline, repeats=plan.repeats, seed=plan.recipe.seed)
    metrics["cross-fitted"] = _cross_fitted(train_set, crossed)
    groups = subgroups(report_set, scores, calibration, repeats=plan.repeats, seed=plan.recipe.seed)
    progress("Report", 1, 1, "")
    output.mkdir(parents=True, exist_ok=True)
    save_file(fitted.tensors, output / FILES[0])
    usable = phrases.groups < len(GROUPS) - 1
    save_file(
        {"vectors": vectors[:-1][usable].astype(np.float16), "groups": phrases.groups[usable].astype(np.uint8)},
        output / FILES[1],
    )
    for name in FILES:
        # The library that wrote them lets nobody else read them; a service runs as somebody else.
        (output / name).chmod(0o644)
    manifest = Manifest(
        name="esi",
        version=VERSION,
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        adapter_digest=files_digest(output),
        digest=f"sha256:{'0' * 64}",
        features=NAMES,
        edges=fitted.encoding.edges,
        calibration=calibration,
        warnings=group_warnings(groups),
        groups=tuple(name for _, _, name in GROUPS),
        trained_on=trained_on,
        recipe=asdict(plan.recipe),
        metrics={"report-year": plan.report_year, **_headline(metrics)},
    )
    manifest = manifest.model_copy(update={"digest": manifest.own_digest()})
    manifest.write(output)
    report = {
        "model": manifest.digest,
        "report-year": plan.report_year,
        "left-out-values": dict(sorted(tally.left_out.items())),
        **metrics,
        "subgroups": groups,
    }
    (output / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    (output / CARD).write_text(model_card(manifest, report))
    progress("Done", 1, 1, f"{time.monotonic() - started:.0f} s")
    return manifest


def _read(data: Path, plan: TrainingPlan, progress: Progress) -> tuple[Dataset, Phrases, TrainingData, Tally]:
    tally = Tally()
    progress("Reading visits", 0, 1, "")
    with open_survey(data) as files:
        labels = [file for file in files if file.name == _LABELS]
        if not labels:
            raise SurveyError(f"there is no {_LABELS} beside the data: the words of the reason-for-visit codes")
        tables = [file for file in files if file.suffix != ".json"]
        digest = hashlib.sha256()
        for file in [*labels, *tables, *plan.programs]:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        visits, phrases = collect(read_visits(tables, ReasonLabels.read(labels[0]), tally, plan.programs))
    known = visits.year < plan.report_year
    years = tuple(int(year) for year in sorted(set(visits.year[known].tolist())))
    if len(years) < 2 or known.all():
        raise SurveyError(f"visits of at least two years before {plan.report_year} and of that year are needed")
    progress("Reading visits", 1, 1, f"{tally.visits} visits")
    return (
        visits,
        phrases,
        TrainingData(
            name="National Hospital Ambulatory Medical Care Survey, emergency departments, public-use files",
            publisher="National Center for Health Statistics, Centers for Disease Control and Prevention",
            years=years,
            visits=int(known.sum()),
            levels_recorded=int((known & (visits.level >= 0)).sum()),
            digest=f"sha256:{digest.hexdigest()}",
            notice=NOTICE,
        ),
        tally,
    )


def _cross_fitted(data: Dataset, scores: Any) -> dict[str, Any]:
    """What the choices of this model were made by: every year, by a network that saw none of it."""
    found: dict[str, Any] = {}
    for year in sorted(set(data.year.tolist())):
        adult = (data.year == year) & (data.age >= 18)
        known = (data.year == year) & (data.level >= 0)
        found[str(year)] = {
            "critical": round(area(data.critical[adult], scores.critical[adult]), 4),
            "hospitalisation": round(area(data.hospitalised[adult], scores.hospitalisation[adult]), 4),
            "kappa-of-most-probable": round(
                quadratic_kappa(data.level[known] + 1, scores.level[known].argmax(1) + 1), 4
            ),
        }
    return found


def _headline(metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "area-critical": metrics["area"]["model"]["critical"],
        "area-hospitalisation": metrics["area"]["model"]["hospitalisation"],
        "kappa": metrics["kappa"]["model"],
        "calibration-error": metrics["calibration-error"],
        "coverage": metrics["sets"]["coverage"],
    }
