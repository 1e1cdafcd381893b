"""Numbers of a patient for the network: pieces between quantiles for what is measured, and a mark for what is not.

A missing value is a state of its own, never a guess at the value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from service_contracts.triage import MeasurementKind

from triage.conditions import CONDITIONS
from triage.intake import Intake

__all__ = ["CONDITION_COLUMNS", "MEASURED", "NAMES", "Encoding", "raw_row"]

Matrix = NDArray[np.float32]

MEASURED = (
    "age-years",
    "temperature",
    "pulse",
    "respirations",
    "systolic",
    "diastolic",
    "oxygen-saturation",
    "pain",
    "shock-index",
    "mean-pressure",
    "pulse-pressure",
    "conditions-count",
)
"""Columns that are cut into pieces; the others are 0, 1 or missing."""

CONDITION_COLUMNS = tuple(f"condition:{name}" for name in CONDITIONS)
NAMES: tuple[str, ...] = (*MEASURED, "male", "ambulance", "from-hospital", "from-nursing-home", *CONDITION_COLUMNS)
_NAN = float("nan")


def raw_row(patient: Intake) -> list[float]:
    """Return the columns of ``NAMES``; NaN is a missing value."""
    values = {kind: patient.values.get(kind, _NAN) for kind in MeasurementKind}
    systolic, diastolic = values[MeasurementKind.SYSTOLIC], values[MeasurementKind.DIASTOLIC]
    conditions = patient.conditions
    came_from = patient.came_from
    return [
        _NAN if patient.age_years is None else patient.age_years,
        values[MeasurementKind.TEMPERATURE],
        values[MeasurementKind.PULSE],
        values[MeasurementKind.RESPIRATIONS],
        systolic,
        diastolic,
        values[MeasurementKind.OXYGEN_SATURATION],
        values[MeasurementKind.PAIN],
        values[MeasurementKind.PULSE] / systolic,
        (systolic + 2 * diastolic) / 3,
        systolic - diastolic,
        _NAN if conditions is None else float(len(conditions)),
        _NAN if patient.sex is None else float(patient.sex == "male"),
        _NAN if patient.ambulance is None else float(patient.ambulance),
        _NAN if came_from is None else float(came_from == "hospital"),
        _NAN if came_from is None else float(came_from == "nursing-home"),
        *(_NAN if conditions is None else float(name in conditions) for name in CONDITIONS),
    ]


@dataclass(frozen=True)
class Encoding:
    """The quantiles that measured columns are cut at; learnt from training visits, kept beside the weights."""

    edges: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, rows: Matrix, pieces: int = 16) -> "Encoding":
        """Return the encoding of ``rows`` (one visit a row, columns as ``NAMES``)."""
        quantiles = np.linspace(0, 1, pieces + 1)
        edges = []
        for column in range(len(MEASURED)):
            known = rows[:, column][~np.isnan(rows[:, column])]
            # Nothing was ever measured: one piece, in which everything is the same.
            cut = np.unique(np.quantile(known, quantiles)) if len(known) else (0.0, 1.0)
            edges.append(tuple(round(float(edge), 4) for edge in cut))
        return cls(tuple(edges))

    def __call__(self, rows: Matrix | Sequence[Sequence[float]]) -> Matrix:
        """Return what the network reads, one row each."""
        given = np.asarray(rows, dtype=np.float32)
        parts: list[Any] = []
        for column, edges in enumerate(self.edges):
            value = given[:, column, None]
            low, high = np.asarray(edges[:-1], np.float32), np.asarray(edges[1:], np.float32)
            parts.append(np.nan_to_num(np.clip((value - low) / (high - low), 0, 1), nan=0.0))
        parts.append(np.nan_to_num(given[:, len(self.edges) :], nan=0.0))
        # One mark for a column that stands for itself; all conditions are known or missing together.
        parts.append(np.isnan(given[:, : -len(CONDITION_COLUMNS)]).astype(np.float32))
        return np.concatenate(parts, axis=1, dtype=np.float32)
