"""A request as the model and the floor read it: one unit per kind, the latest value of each, and what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service_contracts.triage import (
    AgeBand,
    Correction,
    MeasurementKind,
    MentalStatus,
    TriageInputUsed,
    TriageMeasurement,
    TriageRequest,
)

from triage.complaints import Complaints
from triage.conditions import known_conditions
from triage.units import NotPossible, load_kinds

__all__ = ["Intake", "NotPossible", "band_of", "read_intake"]

_KINDS = load_kinds()
_BEFORE = datetime.min.replace(tzinfo=UTC)
_BANDS: tuple[tuple[float, AgeBand], ...] = ((3, "0-2"), (18, "3-17"), (45, "18-44"), (65, "45-64"), (80, "65-79"))


@dataclass(frozen=True)
class Intake:
    """``values`` are in the units of ``data/plausible.toml``; ``conditions`` None means that none are known."""

    age_months: float | None
    sex: str | None
    ambulance: bool | None
    came_from: str | None
    values: Mapping[MeasurementKind, float]
    complaints: tuple[str, ...]
    mental_status: MentalStatus | None
    conditions: frozenset[str] | None
    signs: tuple[str, ...]
    used: tuple[TriageInputUsed, ...] = ()
    missing: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    band: AgeBand = field(default="unknown")

    @property
    def age_years(self) -> float | None:
        """Age in years, or None."""
        return None if self.age_months is None else self.age_months / 12


def read_intake(request: TriageRequest, complaints: Complaints) -> Intake:
    """Return what ``request`` says; raise ``NotPossible`` for a value that no patient has."""
    used: list[TriageInputUsed] = []
    missing: list[str] = []
    corrections: list[Correction] = []

    def take(name: str, value: str | None, unit: str | None = None) -> None:
        if value is None:
            missing.append(name)
        else:
            used.append(TriageInputUsed(name=name, value=value, unit=unit))

    age = None
    if request.age is not None:
        normalised = _KINDS["age"].normalise(request.age)
        age = normalised.value
        corrections += [normalised.correction] if normalised.correction else []
    take("age", _age_words(age))
    sex = request.sex if request.sex in ("female", "male") else None
    take("sex", sex)
    take("arrival", None if request.arrival == "unknown" else request.arrival)
    take("came-from", None if request.came_from == "unknown" else request.came_from)
    phrases = complaints.read(request.complaints)
    take("complaint", "; ".join(phrases) or None)
    latest = {kind: one for kind in MeasurementKind if (one := _latest(request.measurements, kind)) is not None}
    normal = {kind: _KINDS[kind].normalise(one.value) for kind, one in latest.items()}
    corrections += [one.correction for one in normal.values() if one.correction]
    values = {kind: one.value for kind, one in normal.items()}
    if left_out := _left_out(values, latest):
        corrections.append(left_out)
        del values[MeasurementKind.DIASTOLIC]
    for kind in MeasurementKind:
        if kind in values:
            shown, unit = f"{values[kind]:.4g}", _KINDS[kind].unit
            used.append(TriageInputUsed(name=kind.value, value=shown, unit=unit, source=latest[kind].source))
        else:
            missing.append(kind.value)
    take("mental-status", request.mental_status)
    conditions = known_conditions(request.conditions) if request.conditions else None
    take("conditions", None if conditions is None else ", ".join(sorted(conditions)) or "none of those the model knows")
    return Intake(
        age_months=age,
        sex=sex,
        ambulance=None if request.arrival == "unknown" else request.arrival == "ambulance",
        came_from=None if request.came_from == "unknown" else request.came_from,
        values=values,
        complaints=phrases,
        mental_status=request.mental_status,
        conditions=conditions,
        signs=request.signs,
        used=tuple(used),
        missing=tuple(missing),
        corrections=tuple(corrections),
        band=band_of(None if age is None else age / 12),
    )


def _latest(measurements: tuple[TriageMeasurement, ...], kind: MeasurementKind) -> TriageMeasurement | None:
    """The latest by its time; of several without one, or at the same time, the last that was given."""
    found = [one for one in enumerate(measurements) if one[1].kind is kind]
    return max(found, key=lambda one: (one[1].effective or _BEFORE, one[0]))[1] if found else None


def _left_out(
    values: Mapping[MeasurementKind, float], latest: Mapping[MeasurementKind, TriageMeasurement]
) -> Correction | None:
    """What is said of a diastolic pressure that is not below the systolic one; raise ``NotPossible`` in one reading.

    Of two readings each can be right: a pressure that fell since, of which only the systolic one was found. The
    diastolic one is left out, since the floor asks for the systolic one.
    """
    upper, lower = MeasurementKind.SYSTOLIC, MeasurementKind.DIASTOLIC
    if upper not in values or lower not in values or values[lower] < values[upper]:
        return None
    if latest[upper].effective == latest[lower].effective:
        raise NotPossible(lower.value, f"{_KINDS[lower].words} is not below the systolic one.")
    given = latest[lower].value
    return Correction(
        name=lower.value,
        given=f"{given.value:g} {given.unit}",
        taken="not known",
        why="of another reading than the systolic one, and not below it",
    )


def _age_words(months: float | None) -> str | None:
    if months is None:
        return None
    if months < 1:
        return f"{months * 30.4375:.0f} days"
    return f"{months:.0f} months" if months < 24 else f"{months // 12:.0f} years"


def band_of(years: float | None) -> AgeBand:
    """Return the age band of answers and reports."""
    if years is None:
        return "unknown"
    return next((band for upper, band in _BANDS if years < upper), "80+")
