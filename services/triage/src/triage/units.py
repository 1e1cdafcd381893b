"""Values in any accepted UCUM unit, brought to the one unit of their kind; impossible ones are refused or corrected."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from service_contracts.quantity import Quantity
from service_contracts.triage import Correction

__all__ = ["Kind", "Normalised", "NotPossible", "load_kinds"]


class NotPossible(ValueError):
    """A value that no patient has, or a unit that is not one of its kind; the text names the kind, never the value."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


@dataclass(frozen=True)
class Normalised:
    """A value in the unit of its kind; ``correction`` says what was changed to make it possible."""

    value: float
    correction: Correction | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of measurement, as ``data/plausible.toml`` describes it."""

    name: str
    words: str
    unit: str
    low: float
    high: float
    units: Mapping[str, tuple[float, float]]
    scales: tuple[str, ...] = ()

    def normalise(self, given: Quantity) -> Normalised:
        """Return the value in ``unit``; raise ``NotPossible``.

        A value that is impossible on the scale it names, and possible on exactly one of ``scales``, is taken on
        that one: a temperature of 98.6 Cel is one of 98.6 [degF].
        """
        if given.unit not in self.units:
            raise NotPossible(self.name, f"{self.words} is not given in a unit that is known for it.")
        if not math.isfinite(given.value):
            raise NotPossible(self.name, f"{self.words} is not a number.")
        value = self._converted(given.value, given.unit)
        if self._possible(value):
            return Normalised(value)
        others = [unit for unit in self.scales if unit != given.unit]
        possible = [unit for unit in others if self._possible(self._converted(given.value, unit))]
        if len(possible) != 1:
            raise NotPossible(
                self.name, f"{self.words} is outside of what is possible, {self.low:g} to {self.high:g} {self.unit}."
            )
        taken = self._converted(given.value, possible[0])
        correction = Correction(
            name=self.name,
            given=f"{given.value:g} {given.unit}",
            taken=f"{taken:.4g} {self.unit}",
            why=f"not possible in {given.unit}; read as {possible[0]}",
        )
        return Normalised(taken, correction)

    def _converted(self, value: float, unit: str) -> float:
        factor, offset = self.units[unit]
        # A value that went through another unit must fall on the same side of a limit as it did before.
        return round(value * factor + offset, 4)

    def _possible(self, value: float) -> bool:
        return self.low <= value <= self.high


def load_kinds() -> dict[str, Kind]:
    """Return every kind by its name."""
    raw: dict[str, dict[str, Any]] = tomllib.loads(
        files("triage").joinpath("data", "plausible.toml").read_text("utf-8")
    )
    return {
        name: Kind(
            name=name,
            words=one["words"],
            unit=one["unit"],
            low=one["low"],
            high=one["high"],
            units={unit: (pair[0], pair[1]) for unit, pair in one["units"].items()},
            scales=tuple(one.get("scales", ())),
        )
        for name, one in raw.items()
    }
