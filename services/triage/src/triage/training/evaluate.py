"""The report on visits of a year that no training saw: the model, the baseline and the recorded level side by side."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage.manifest import Calibration, GroupWarning
from triage.model import level_of, probabilities_of, set_of
from triage.training.baseline import BaselineScores
from triage.training.dataset import Dataset
from triage.training.fit import Scores
from triage.training.measures import area, bootstrap, calibration_error, quadratic_kappa, top_label_error

__all__ = ["ADULT", "MOST_BELOW", "evaluate", "group_warnings", "subgroups"]

Array = NDArray[Any]
ADULT = 18
MOST_BELOW = 0.05
"""A group whose AUC is further below the whole than this carries a warning."""
_FEWEST_CASES = 20
"""Below so many visits with (or without) the outcome, the AUC of a group says nothing and is not given."""


def evaluate(
    data: Dataset, scores: Scores, calibration: Calibration, baseline: BaselineScores, *, repeats: int, seed: int
) -> dict[str, Any]:
    """Return the report as plain values. Outcomes are measured in adults, levels in all who have a recorded one."""
    critical, stay = _outcomes(scores, calibration)
    adult = data.age >= ADULT
    levelled = data.level >= 0
    both = adult & levelled

    def interval(mask: Array, statistic: Callable[[Array], float]) -> dict[str, float]:
        rows = np.flatnonzero(mask)
        return bootstrap(
            data.hospital[rows], lambda picked: statistic(rows[picked]), repeats=repeats, seed=seed
        ).as_json()

    def areas(mask: Array, on_critical: Array, on_stay: Array) -> dict[str, Any]:
        return {
            "critical": interval(mask, lambda rows: area(data.critical[rows], on_critical[rows])),
            "hospitalisation": interval(mask, lambda rows: area(data.hospitalised[rows], on_stay[rows])),
        }

    probabilities = probabilities_of(scores.level, calibration.level_scale)
    levels = np.array([level_of(row, calibration.level_cuts) for row in probabilities])
    recorded = data.level + 1
    sets = [set_of(row, calibration.set_threshold) for row in probabilities]
    covered = np.array([one in of for one, of in zip(recorded, sets, strict=True)])
    boosted = 1 + baseline.level.argmax(1)
    children = ~adult
    return {
        "visits": len(data),
        "adults": int(adult.sum()),
        "adults-with-critical-outcome": int(data.critical[adult].sum()),
        "adults-hospitalised": int(data.hospitalised[adult].sum()),
        "with-recorded-level": int(levelled.sum()),
        "area": {
            "model": areas(adult, critical, stay),
            "gradient-boosting": areas(adult, baseline.critical, baseline.hospitalisation),
            "model-where-level-recorded": areas(both, critical, stay),
            "recorded-level": areas(both, -recorded, -recorded),
            "model-children": areas(children, critical, stay),
            "model-weighted": {
                "critical": round(area(data.critical[adult], critical[adult], data.weight[adult]), 4),
                "hospitalisation": round(area(data.hospitalised[adult], stay[adult], data.weight[adult]), 4),
            },
        },
        "kappa": {
            "model": interval(levelled, lambda rows: quadratic_kappa(recorded[rows], levels[rows])),
            "gradient-boosting": interval(levelled, lambda rows: quadratic_kappa(recorded[rows], boosted[rows])),
        },
        "calibration-error": {
            "critical": round(calibration_error(data.critical[adult], critical[adult]), 4),
            "hospitalisation": round(calibration_error(data.hospitalised[adult], stay[adult]), 4),
            "level": round(_by_level(recorded[levelled], probabilities[levelled]), 4),
            "most-probable-level": round(top_label_error(recorded[levelled], probabilities[levelled]), 4),
            "critical-all-ages": round(calibration_error(data.critical, critical), 4),
            "hospitalisation-all-ages": round(calibration_error(data.hospitalised, stay), 4),
        },
        "sets": {
            "coverage": interval(levelled, lambda rows: float(covered[rows].mean())),
            "mean-size": round(float(np.mean([len(of) for of, k in zip(sets, levelled, strict=True) if k])), 3),
            "single": round(float(np.mean([len(of) == 1 for of, k in zip(sets, levelled, strict=True) if k])), 3),
        },
        "under-triage": _under_triage(data, both, critical, stay, interval),
        "levels": _levels(recorded[levelled], levels[levelled]),
        "urgent": {
            "recorded-level": _urgent(data, both, recorded),
            "model": _urgent(data, both, levels),
            "model-above-floor": _urgent(data, both, np.minimum(levels, data.floor)),
            "floor-raised": round(float((data.floor[both] < levels[both]).mean()), 4),
        },
    }


def _by_level(recorded: Array, probabilities: Array) -> float:
    """The mean calibration error of the five probabilities, each weighted by how often its level was recorded."""
    return float(
        sum(
            (recorded == level).mean()
            * calibration_error((recorded == level).astype(float), probabilities[:, level - 1])
            for level in range(1, 6)
        )
    )


def _area_of(truth: Array, risk: Array, picked: Array) -> float:
    return area(truth[picked], risk[picked])


def _outcomes(scores: Scores, calibration: Calibration) -> tuple[Array, Array]:
    def line(logits: Array, of: tuple[float, float]) -> Array:
        return np.asarray(1 / (1 + np.exp(-(of[0] * logits.astype(np.float64) + of[1]))))

    return line(scores.critical, calibration.critical), line(scores.hospitalisation, calibration.hospitalisation)


def _under_triage(
    data: Dataset, mask: Array, critical: Array, stay: Array, interval: Callable[..., dict[str, float]]
) -> dict[str, Any]:
    """Missed outcomes at the over-triage of the recorded level: urgent is level 1 or 2.

    Under-triage is the share of visits with the outcome that were not urgent, over-triage the share of those without
    it that were. The score is cut where its over-triage is that of the recorded level.
    """
    found: dict[str, Any] = {}
    urgent = data.level <= 1
    for name, outcome, risk in (
        ("critical", data.critical.astype(bool), critical),
        ("hospitalisation", data.hospitalised.astype(bool), stay),
    ):

        def missed(rows: Array, outcome: Array = outcome, risk: Array | None = None) -> float:
            bad = outcome[rows]
            over = float(urgent[rows][~bad].mean())
            if risk is None:
                return float((~urgent[rows][bad]).mean())
            cut = np.quantile(risk[rows][~bad], 1 - over)
            return float((risk[rows][bad] <= cut).mean())

        rows = np.flatnonzero(mask)
        found[name] = {
            "over-triage": round(float(urgent[rows][~outcome[rows]].mean()), 4),
            "recorded": interval(mask, missed),
            "model": interval(mask, lambda picked, risk=risk: missed(picked, risk=risk)),
            "difference": interval(mask, lambda picked, risk=risk: missed(picked, risk=risk) - missed(picked)),
        }
    return found


def _urgent(data: Dataset, mask: Array, levels: Array) -> dict[str, float]:
    """How many adults with a recorded level are urgent (1 or 2) by ``levels``, and who is missed."""
    urgent = levels[mask] <= 2
    critical, stay = data.critical[mask].astype(bool), data.hospitalised[mask].astype(bool)
    return {
        "urgent": round(float(urgent.mean()), 4),
        "critical-not-urgent": round(float((~urgent[critical]).mean()), 4),
        "hospitalised-not-urgent": round(float((~urgent[stay]).mean()), 4),
        "urgent-without-outcome": round(float(urgent[~critical & ~stay].mean()), 4),
    }


def _levels(recorded: Array, proposed: Array) -> dict[str, Any]:
    table = np.zeros((5, 5), int)
    np.add.at(table, (recorded - 1, proposed - 1), 1)
    return {
        "recorded-by-proposed": table.tolist(),
        "same": round(float((recorded == proposed).mean()), 4),
        "within-one": round(float((abs(recorded - proposed) <= 1).mean()), 4),
        "proposed-less-urgent": round(float((proposed > recorded).mean()), 4),
        "proposed-more-urgent": round(float((proposed < recorded).mean()), 4),
    }


def subgroups(
    data: Dataset, scores: Scores, calibration: Calibration, *, repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Return a row for each group and outcome: visits, cases, AUC with its interval, and how far below the whole.

    Age bands are of all ages; the other groups are of adults, as the whole is.
    """
    critical, stay = _outcomes(scores, calibration)
    adult = data.age >= ADULT
    whole = {
        "critical": area(data.critical[adult], critical[adult]),
        "hospitalisation": area(data.hospitalised[adult], stay[adult]),
    }
    rows: list[dict[str, Any]] = []
    for dimension, group, mask in _groups(data, adult):
        for outcome, truth, risk in (
            ("critical", data.critical, critical),
            ("hospitalisation", data.hospitalised, stay),
        ):
            cases = int(truth[mask].sum())
            row: dict[str, Any] = {
                "dimension": dimension, "group": group, "outcome": outcome, "visits": int(mask.sum()), "cases": cases,
                "whole": round(whole[outcome], 4),
            }  # fmt: skip
            if min(cases, int(mask.sum()) - cases) >= _FEWEST_CASES:
                index = np.flatnonzero(mask)
                row["area"] = bootstrap(
                    data.hospital[index],
                    partial(_area_of, truth[index], risk[index]),
                    repeats=repeats,
                    seed=seed,
                ).as_json()
                row["calibration-error"] = round(calibration_error(truth[mask], risk[mask]), 4)
                row["mean-risk"], row["rate"] = round(float(risk[mask].mean()), 4), round(float(truth[mask].mean()), 4)
                row["warning"] = row["area"]["value"] < whole[outcome] - MOST_BELOW
            rows.append(row)
    return rows


def _groups(data: Dataset, adult: Array) -> Iterator[tuple[str, str, Array]]:
    for band in ("0-2", "3-17", "18-44", "45-64", "65-79", "80+"):
        yield "age", band, data.band == band
    for name, values in (
        ("sex", data.sex),
        ("arrival", data.arrival),
        ("region", data.region),
        ("complaint", data.group),
    ):
        for group in sorted(set(values.tolist()) - {"unknown"}):
            yield name, group, adult & (values == group)


def group_warnings(rows: list[dict[str, Any]]) -> tuple[GroupWarning, ...]:
    """Return the warnings that answers carry."""
    return tuple(
        GroupWarning(
            dimension=row["dimension"],
            group=row["group"],
            outcome=row["outcome"],
            auc=row["area"]["value"],
            whole=row["whole"],
            visits=row["visits"],
        )
        for row in rows
        if row.get("warning")
    )
