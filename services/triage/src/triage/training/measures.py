"""Measures of a model on visits, in numpy: ranks, agreement, calibration, coverage, and bootstrap over hospitals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "area", "bootstrap", "calibration_error", "quadratic_kappa", "top_label_error"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """Return the rounded numbers."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def area(truth: Array, score: Array, weight: Array | None = None) -> float:
    """Return the area under the ROC curve (ties count half), weighted by visits where ``weight`` is given."""
    weights = np.ones(len(truth)) if weight is None else weight
    order = np.argsort(score, kind="stable")
    truth, score, weights = truth[order].astype(bool), score[order], weights[order]
    _, start = np.unique(score, return_index=True)
    positive = np.add.reduceat(np.where(truth, weights, 0.0), start)
    negative = np.add.reduceat(np.where(truth, 0.0, weights), start)
    below = np.cumsum(negative) - negative
    total = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / total) if total else float("nan")


def quadratic_kappa(recorded: Array, proposed: Array) -> float:
    """Return Cohen's kappa of levels 1 to 5 with quadratic weights."""
    table = np.zeros((5, 5))
    np.add.at(table, (recorded.astype(int) - 1, proposed.astype(int) - 1), 1)
    weights = np.subtract.outer(np.arange(5), np.arange(5)) ** 2 / 16
    chance = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return float(1 - (weights * table).sum() / (weights * chance).sum())


def calibration_error(truth: Array, probability: Array, bins: int = 10) -> float:
    """Return the expected calibration error over ``bins`` of equal numbers of visits."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [abs(truth[part].mean() - probability[part].mean()) * len(part) for part in parts if len(part)]
    return float(sum(gaps) / len(truth))


def top_label_error(recorded: Array, probabilities: Array, bins: int = 10) -> float:
    """Return the expected calibration error of the probability given to the most probable level."""
    top = probabilities.argmax(1)
    return calibration_error((top + 1 == recorded).astype(float), probabilities[np.arange(len(top)), top], bins)


def bootstrap(hospitals: Array, statistic: Callable[[Array], float], *, repeats: int, seed: int) -> Interval:
    """Return ``statistic`` (of row numbers) with a percentile interval; hospitals are drawn, not visits.

    Visits of one hospital are alike, so drawing visits would give intervals that are too narrow.
    """
    rows = np.arange(len(hospitals))
    _, group = np.unique(hospitals, return_inverse=True)
    order = np.argsort(group, kind="stable")
    members = np.split(rows[order], np.cumsum(np.bincount(group))[:-1])
    draws = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        picked = draws.integers(0, len(members), len(members))
        found.append(statistic(np.concatenate([members[one] for one in picked])))
    values = np.asarray([one for one in found if np.isfinite(one)])
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return Interval(float(statistic(rows)), float(low), float(high))
