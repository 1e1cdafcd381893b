"""The safety floor: published criteria that raise urgency and never lower it. Pure, and a few microseconds."""

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from service_contracts.triage import FiredRule, MeasurementKind, RuleSource

from triage.intake import Intake

__all__ = ["Floor", "FloorResult", "UnknownSign", "load_floor"]


class UnknownSign(ValueError):
    """A sign that the floor does not know; taking it for none would hide what the nurse saw."""


@dataclass(frozen=True)
class FloorResult:
    """The rules that apply, most urgent first; ``advice`` are sentences about levels that are to be considered."""

    rules: tuple[FiredRule, ...]
    advice: tuple[str, ...]

    @property
    def level(self) -> int | None:
        """The level the patient is raised to, or None."""
        return min((rule.level for rule in self.rules), default=None)


_LIMITS: dict[str, Callable[[float, float], bool]] = {
    "above": lambda value, limit: value > limit,
    "below": lambda value, limit: value < limit,
    "at_least": lambda value, limit: value >= limit,
    "at_most": lambda value, limit: value <= limit,
}


@dataclass(frozen=True)
class _VitalRule:
    fired: FiredRule
    kind: MeasurementKind
    beyond: Callable[[float, float], bool]
    limit: float
    from_months: float
    to_months: float
    any_age: bool
    consider: int | None

    def applies(self, patient: Intake) -> bool:
        value = patient.values.get(self.kind)
        if value is None or not self.beyond(value, self.limit):
            return False
        return self.any_age or (
            patient.age_months is not None and self.from_months <= patient.age_months < self.to_months
        )


class Floor:
    """The rules of ``data/floor.toml``."""

    def __init__(
        self, vitals: Sequence[_VitalRule], mental: dict[str, FiredRule], signs: dict[str, FiredRule], digest: str
    ) -> None:
        self._vitals = tuple(vitals)
        self._mental = mental
        self._signs = signs
        self.digest = digest

    @property
    def signs(self) -> frozenset[str]:
        """The codes a request may use."""
        return frozenset(self._signs)

    def check(self, patient: Intake) -> FloorResult:
        """Return the rules that apply to ``patient``; raise ``UnknownSign``."""
        if unknown := set(patient.signs) - self.signs:
            raise UnknownSign(f"{len(unknown)} of the signs are not known")
        rules = [self._signs[sign] for sign in dict.fromkeys(patient.signs)]
        if patient.mental_status in self._mental:
            rules.append(self._mental[patient.mental_status])
        beyond = [rule for rule in self._vitals if rule.applies(patient)]
        rules += [rule.fired for rule in beyond]
        level = min((rule.level for rule in rules), default=5)
        advice = tuple(
            f"{rule.fired.words}: consider level {rule.consider}"
            for rule in beyond
            if rule.consider is not None and rule.consider < level
        )
        return FloorResult(tuple(sorted(rules, key=lambda rule: rule.level)), advice)


def load_floor() -> Floor:
    """Read the shipped rules."""
    text = files("triage").joinpath("data", "floor.toml").read_bytes()
    raw = tomllib.loads(text.decode())
    sources: dict[str, dict[str, Any]] = raw["sources"]

    def fired(rule: dict[str, Any]) -> FiredRule:
        source = RuleSource(**sources[rule["source"]], section=rule["section"])
        return FiredRule(id=rule["id"], level=rule["level"], words=rule["words"], source=source)

    vitals = []
    for rule in raw["vital"]:
        [limit] = [name for name in _LIMITS if name in rule]
        vitals.append(
            _VitalRule(
                fired=fired(rule),
                kind=MeasurementKind(rule["kind"]),
                beyond=_LIMITS[limit],
                limit=float(rule[limit]),
                from_months=float(rule.get("from_months", 0)),
                to_months=float(rule.get("to_months", float("inf"))),
                any_age=bool(rule.get("any_age", False)),
                consider=rule.get("consider"),
            )
        )
    return Floor(
        vitals,
        {status: fired(rule) for rule in raw["mental"] for status in rule["status"]},
        {rule["id"]: fired(rule) for rule in raw["sign"]},
        f"sha256:{hashlib.sha256(text).hexdigest()}",
    )
