"""The baseline of the report: gradient boosting on the same visits, reason codes as log odds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage.training.dataset import Dataset

__all__ = ["BaselineScores", "fit_baseline"]

Array = NDArray[Any]
_ROUNDS = 250
_SMOOTHING = 30
_SETTINGS = {
    "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 60, "feature_fraction": 0.6, "bagging_fraction": 0.8,
    "bagging_freq": 1, "lambda_l2": 5.0, "verbosity": -1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip


class BaselineScores:
    """Probabilities of the baseline for some visits."""

    def __init__(self, level: Array, critical: Array, hospitalisation: Array) -> None:
        self.level = level
        self.critical = critical
        self.hospitalisation = hospitalisation


def fit_baseline(train: Dataset, test: Dataset, *, seed: int, threads: int) -> BaselineScores:
    """Return what gradient boosting says of ``test`` after learning from ``train``.

    Reason codes become the log odds of each outcome among training visits with that code, of other years where the
    visit is a training visit itself.
    """
    import lightgbm

    settings = {**_SETTINGS, "seed": seed, "num_threads": threads}

    def predict(kind: str, truth: Array, rows: Array, **more: Any) -> Array:
        x = np.column_stack([train.rows, _codes_of_other_years(train, kind)])[rows]
        unseen = np.column_stack([test.rows, _odds(train.codes, _target(train, kind), test.codes)])
        data = lightgbm.Dataset(x, truth[rows])
        booster = lightgbm.train({**settings, **more}, data, _ROUNDS)
        return np.asarray(booster.predict(unseen, num_threads=threads))

    every = np.ones(len(train), bool)
    return BaselineScores(
        level=predict("level", train.level, train.level >= 0, objective="multiclass", num_class=5),
        critical=predict("critical", train.critical, every, objective="binary"),
        hospitalisation=predict("hospitalised", train.hospitalised, every, objective="binary"),
    )


def _target(data: Dataset, kind: str) -> Array:
    if kind == "level":
        # How often a code is triaged as urgent.
        return (np.where(data.level < 0, 2, data.level) <= 1).astype(float)
    return np.asarray(getattr(data, kind), dtype=float)


def _codes_of_other_years(train: Dataset, kind: str) -> Array:
    target = _target(train, kind)
    found = np.zeros((len(train), 3))
    for year in set(train.year.tolist()):
        held = train.year == year
        found[held] = _odds(train.codes[~held], target[~held], train.codes[held])
    return found


def _odds(codes: Array, target: Array, wanted: Array) -> Array:
    """Log odds by code, smoothed: of the first reason, the highest of all, and their sum above the average."""
    _, number = np.unique(np.concatenate([codes, wanted]), return_inverse=True)
    number = number.reshape(-1, codes.shape[1])
    known, asked = number[: len(codes)], number[len(codes) :]
    size = int(number.max()) + 1
    prior = float(target.mean())
    count = np.bincount(known.ravel(), minlength=size)
    hits = np.bincount(known.ravel(), weights=np.repeat(target, codes.shape[1]), minlength=size)
    smoothed = np.log((hits + _SMOOTHING * prior) / (count - hits + _SMOOTHING * (1 - prior)))
    base = np.log(prior / (1 - prior))
    smoothed[count == 0] = base
    odds = np.where(wanted > 0, smoothed[asked], np.nan)
    return np.column_stack(
        [
            np.where(np.isnan(odds[:, 0]), base, odds[:, 0]),
            np.nanmax(np.where(np.isnan(odds), -20, odds), axis=1),
            np.nansum(odds - base, axis=1),
        ]
    )
