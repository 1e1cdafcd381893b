"""Visits as arrays, and the hiding of inputs that teaches the network what a missing one means."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triage.complaints import MOST_PHRASES
from triage.features import CONDITION_COLUMNS, MEASURED, NAMES, raw_row
from triage.floor import Floor, load_floor
from triage.intake import band_of
from triage.training.nhamcs import Visit
from triage.training.reasons import GROUPS, group_of

__all__ = ["HIDDEN_SHARE", "Dataset", "Phrases", "collect", "hide_numbers", "vary_phrases"]

Array = NDArray[Any]

HIDDEN_SHARE = {"measured": 0.08, "conditions": 0.25, "other": 0.08, "complaint": 0.03}
"""How often an input is hidden in training, beside what the survey itself lacks."""


@dataclass(frozen=True)
class Phrases:
    """Every phrase of the visits; ``shorter`` is the number of a phrase's first part, or its own."""

    texts: tuple[str, ...]
    shorter: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def none(self) -> int:
        """The number that stands for no phrase."""
        return len(self.texts)


@dataclass(frozen=True)
class Dataset:
    """One visit a row; ``phrases`` are numbers of ``Phrases``, filled up with ``Phrases.none``.

    ``floor`` is the level that the safety floor raises to, 6 where it says nothing.
    """

    rows: NDArray[np.float32]
    phrases: NDArray[np.int64]
    codes: NDArray[np.int64]
    level: NDArray[np.int64]
    critical: NDArray[np.float32]
    hospitalised: NDArray[np.float32]
    year: Array
    hospital: Array
    weight: Array
    region: Array
    band: Array
    sex: Array
    arrival: Array
    group: Array
    age: Array
    floor: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.level)

    def where(self, mask: Array) -> "Dataset":
        """Return the visits of ``mask``."""
        return Dataset(**{name: value[mask] for name, value in vars(self).items()})


def collect(visits: Iterable[Visit], floor: Floor | None = None) -> tuple[Dataset, Phrases]:
    """Return the eligible visits and their phrases."""
    numbers: dict[str, int] = {}
    shorter: list[int] = []
    groups: list[int] = []
    names = [name for _, _, name in GROUPS]

    def number(text: str, group: int) -> int:
        if text not in numbers:
            numbers[text] = len(numbers)
            shorter.append(numbers[text])
            groups.append(group)
            part = text.split(",")[0].strip()
            if part and part != text:
                shorter[numbers[text]] = number(part, group)
        return numbers[text]

    rules = floor or load_floor()
    columns: dict[str, list[Any]] = {name: [] for name in Dataset.__dataclass_fields__}
    for visit in visits:
        if not visit.eligible:
            continue
        patient = visit.patient
        first = names.index(group_of(visit.reasons[0])) if visit.reasons else len(names) - 1
        found = [
            number(text, names.index(group_of(code)))
            for text, code in zip(patient.complaints, visit.reasons, strict=True)
        ]
        columns["rows"].append(raw_row(patient))
        columns["phrases"].append((found + [-1] * MOST_PHRASES)[:MOST_PHRASES])
        columns["codes"].append((list(visit.reasons) + [0] * MOST_PHRASES)[:MOST_PHRASES])
        columns["level"].append(-1 if visit.level is None else visit.level - 1)
        columns["critical"].append(visit.critical)
        columns["hospitalised"].append(visit.hospitalised)
        columns["year"].append(visit.year)
        columns["hospital"].append(visit.year * 10_000 + visit.hospital)
        columns["weight"].append(visit.weight)
        columns["region"].append(visit.region)
        columns["band"].append(band_of(patient.age_years))
        columns["sex"].append(patient.sex or "unknown")
        columns["arrival"].append({True: "ambulance", False: "other", None: "unknown"}[patient.ambulance])
        columns["group"].append(names[first])
        columns["floor"].append(rules.check(patient).level or 6)
        columns["age"].append(-1.0 if patient.age_years is None else patient.age_years)
    kinds: dict[str, Any] = {
        "rows": np.float32, "phrases": np.int64, "codes": np.int64, "level": np.int64, "critical": np.float32,
        "hospitalised": np.float32, "floor": np.int64,
    }  # fmt: skip
    arrays = {name: np.asarray(values, dtype=kinds.get(name)) for name, values in columns.items()}
    arrays["phrases"][arrays["phrases"] < 0] = len(numbers)
    table = Phrases(tuple(numbers), np.asarray([*shorter, len(numbers)], np.int64), np.asarray(groups, np.int64))
    return Dataset(**arrays), table


def hide_numbers(rows: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    """Return a copy with some inputs missing; what is computed from a hidden one is hidden with it."""
    hidden = rows.copy()
    column = {name: index for index, name in enumerate(NAMES)}
    chosen: dict[str, Array] = {name: draws.random(len(rows)) < HIDDEN_SHARE["measured"] for name in MEASURED}
    chosen["age-years"] = np.zeros(len(rows), bool)
    for derived, parts in {
        "shock-index": ("pulse", "systolic"),
        "mean-pressure": ("systolic", "diastolic"),
        "pulse-pressure": ("systolic", "diastolic"),
    }.items():
        chosen[derived] = chosen[parts[0]] | chosen[parts[1]]
    chosen["conditions-count"] = draws.random(len(rows)) < HIDDEN_SHARE["conditions"]
    for name in MEASURED:
        hidden[chosen[name], column[name]] = np.nan
    hidden[np.ix_(chosen["conditions-count"], np.array([column[name] for name in CONDITION_COLUMNS]))] = np.nan
    for together in (("male",), ("ambulance",), ("from-hospital", "from-nursing-home")):
        gone = draws.random(len(rows)) < HIDDEN_SHARE["other"]
        hidden[np.ix_(gone, np.array([column[name] for name in together]))] = np.nan
    return hidden


def vary_phrases(phrases: NDArray[np.int64], table: Phrases, draws: np.random.Generator) -> NDArray[np.int64]:
    """Return the phrases, some as their first part alone (nurses write less than the classification), some hidden."""
    short = np.where(draws.random(phrases.shape) < 0.5, table.shorter[phrases], phrases)
    gone = draws.random(len(phrases)) < HIDDEN_SHARE["complaint"]
    return np.where(gone[:, None], table.none, short)
