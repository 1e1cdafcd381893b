"""Fitting: one network for a set of visits, and cross-fitting by year, from which calibration is learnt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage.features import Encoding
from triage.manifest import Calibration
from triage.model import probabilities_of, set_of
from triage.network import Network
from triage.training.dataset import Dataset, Phrases, hide_numbers, vary_phrases
from triage.training.measures import quadratic_kappa
from triage.transformers_engine import Batch, Recipe, fit_network

__all__ = ["Fitted", "Scores", "calibrate", "cross_fit", "fit", "score"]

Array = NDArray[Any]
Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Fitted:
    """An encoding and the tensors of a network."""

    encoding: Encoding
    tensors: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Scores:
    """Logits of visits: five columns for the level, one value for each outcome."""

    level: NDArray[np.float32]
    critical: NDArray[np.float32]
    hospitalisation: NDArray[np.float32]

    def where(self, mask: Array) -> "Scores":
        """Return the scores of ``mask``."""
        return Scores(self.level[mask], self.critical[mask], self.hospitalisation[mask])


def fit(
    data: Dataset, vectors: NDArray[np.float32], phrases: Phrases, recipe: Recipe, report: Report, name: str
) -> Fitted:
    """Return what was learnt from ``data``; ``vectors`` are those of ``phrases`` with a zero row at the end."""
    encoding = Encoding.fit(data.rows)
    batch = Batch(data.phrases, data.level, data.critical, data.hospitalised)
    tensors = fit_network(
        batch,
        vectors,
        lambda epoch: encoding(hide_numbers(data.rows, np.random.default_rng([recipe.seed, 1, epoch]))),
        lambda epoch: vary_phrases(data.phrases, phrases, np.random.default_rng([recipe.seed, 2, epoch])),
        recipe,
        lambda done, total, loss: report(name, done, total, loss),
    )
    return Fitted(encoding, tensors)


def score(fitted: Fitted, data: Dataset, vectors: NDArray[np.float32], phrases: Phrases) -> Scores:
    """Return the logits of ``data``, by the code that serves."""
    network = Network(fitted.tensors)
    numbers = fitted.encoding(data.rows)
    seen: dict[tuple[int, ...], NDArray[np.float32]] = {}
    complaints = []
    for row in data.phrases:
        given = tuple(int(one) for one in row if one != phrases.none)
        if given not in seen:
            seen[given] = network.complaint(vectors[list(given)])
        complaints.append(seen[given])
    parts = [
        network(numbers[start : start + 4096], complaints[start : start + 4096]) for start in range(0, len(data), 4096)
    ]
    return Scores(
        np.concatenate([part.level for part in parts]),
        np.concatenate([part.critical for part in parts]),
        np.concatenate([part.hospitalisation for part in parts]),
    )


def cross_fit(data: Dataset, vectors: NDArray[np.float32], phrases: Phrases, recipe: Recipe, report: Report) -> Scores:
    """Return for every visit the logits of a network that saw no visit of its year."""
    found = Scores(
        np.zeros((len(data), 5), np.float32), np.zeros(len(data), np.float32), np.zeros(len(data), np.float32)
    )
    for year in sorted(set(data.year.tolist())):
        held = data.year == year
        fitted = fit(data.where(~held), vectors, phrases, recipe, report, f"all but {year}")
        part = score(fitted, data.where(held), vectors, phrases)
        found.level[held], found.critical[held], found.hospitalisation[held] = (
            part.level,
            part.critical,
            part.hospitalisation,
        )
    return found


def calibrate(data: Dataset, scores: Scores, *, coverage: float, phrase_similarity: float) -> Calibration:
    """Return the calibration that fits cross-fitted ``scores``."""
    known = data.level >= 0
    logits, truth = scores.level[known], data.level[known]
    scales = np.linspace(0.6, 1.4, 81)
    losses = [-np.log(probabilities_of(logits, s)[np.arange(len(truth)), truth]).mean() for s in scales]
    scale = round(float(scales[int(np.argmin(losses))]), 4)
    probabilities = probabilities_of(logits, scale)
    return Calibration(
        level_scale=scale,
        level_cuts=_cuts(probabilities, truth),
        critical=_line(scores.critical, data.critical),
        hospitalisation=_line(scores.hospitalisation, data.hospitalised),
        set_threshold=_threshold(probabilities, truth, coverage),
        coverage=coverage,
        phrase_similarity=phrase_similarity,
    )


def _line(logits: Array, truth: Array) -> tuple[float, float]:
    """Platt's line by Newton's method."""
    x = np.column_stack([logits.astype(np.float64), np.ones(len(logits))])
    line = np.array([1.0, 0.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-(x @ line)))
        line = line + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (truth - p))
    return round(float(line[0]), 5), round(float(line[1]), 5)


def _cuts(probabilities: Array, truth: Array) -> tuple[float, float, float, float]:
    """Cuts of the expected level that agree best with the recorded ones, found one after the other."""
    expected = probabilities @ np.arange(1, 6)
    cuts = [1.5, 2.5, 3.5, 4.5]
    for _ in range(4):
        for place in range(4):
            low = cuts[place - 1] + 0.02 if place else 1.01
            high = cuts[place + 1] - 0.02 if place < 3 else 4.99
            tried = np.arange(low, high, 0.02)
            kappas = [
                quadratic_kappa(
                    truth + 1, 1 + (expected[:, None] >= np.sort([*cuts[:place], one, *cuts[place + 1 :]])).sum(1)
                )
                for one in tried
            ]
            cuts[place] = round(float(tried[int(np.argmax(kappas))]), 3)
    return cuts[0], cuts[1], cuts[2], cuts[3]


def _threshold(probabilities: Array, truth: Array, coverage: float) -> float:
    """The largest threshold whose sets (as they are shown) cover at least ``coverage`` of the visits."""
    low, high = 0.001, 0.6
    for _ in range(24):
        middle = (low + high) / 2
        covered = np.mean([level + 1 in set_of(row, middle) for row, level in zip(probabilities, truth, strict=True)])
        low, high = (middle, high) if covered >= coverage else (low, middle)
    return round(low, 5)
