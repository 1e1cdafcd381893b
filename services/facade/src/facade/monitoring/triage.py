"""Measures of triage in use, by week, age band and sex: pure counting over records, no threshold decides anything here.

Urgent is level 1 or 2. Under-triage by the nurse is the share of visits she found urgent that were proposed as less;
over-triage the share she found less urgent that were proposed as urgent. By outcome, the same with a critical outcome
(or none, and no hospitalisation). Calibration compares the mean estimated risk with how often the outcome was reported.
Drift is the population stability index of the proposed levels against those of the weeks before.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from facade.store.triage import WatchedTriage

__all__ = ["GroupMeasures", "Share", "drift", "measure", "week_of"]

_URGENT = (1, 2)
_LEVELS = ("1", "2", "3", "4", "5", "none")
_Z = 1.959964


@dataclass(frozen=True)
class Share:
    """``count`` of ``of``, with its 95 % Wilson interval."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval, or None of nothing."""
        if not self.of:
            return None
        share, square = self.count / self.of, _Z * _Z / self.of
        middle = (share + square / 2) / (1 + square)
        half = _Z * math.sqrt(share * (1 - share) / self.of + square / (4 * self.of)) / (1 + square)
        return middle - half, middle + half


@dataclass(frozen=True)
class GroupMeasures:
    """What one group's records say."""

    dimension: str
    group: str
    proposals: int
    not_scored: int
    agreed: Share
    under_triage: Share
    over_triage: Share
    under_triage_by_outcome: Share
    over_triage_by_outcome: Share
    mean_risk: dict[str, float] = field(default_factory=dict)
    reported: dict[str, Share] = field(default_factory=dict)

    def calibration_gap(self, outcome: str) -> float | None:
        """How far the mean risk is from what was reported, or None where nothing was."""
        share = self.reported.get(outcome)
        if share is None or share.value is None or outcome not in self.mean_risk:
            return None
        return self.mean_risk[outcome] - share.value


def measure(records: Sequence[WatchedTriage]) -> list[GroupMeasures]:
    """Return the measures of all, by week, by age band and by sex."""
    dimensions: tuple[tuple[str, Callable[[WatchedTriage], str]], ...] = (
        ("all", lambda _: "all"),
        ("week", lambda one: week_of(one.at)),
        ("age", lambda one: str(one.content["age_band"])),
        ("sex", lambda one: str(one.content["sex"])),
    )
    found = []
    for dimension, key in dimensions:
        for group in sorted({key(one) for one in records}):
            found.append(_measured(dimension, group, [one for one in records if key(one) == group]))
    return found


def week_of(at: datetime) -> str:
    """Return the ISO week, as 2026-W48."""
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02d}"


def drift(before: Iterable[WatchedTriage], now: Iterable[WatchedTriage]) -> float | None:
    """Return the population stability index of the proposed levels, or None where one side has no records.

    Half a record is added to each level, so that a level that never occurred is no infinity.
    """
    first, second = (Counter(str(one.content["level"] or "none") for one in side) for side in (before, now))
    if not first.total() or not second.total():
        return None
    total = 0.0
    for level in _LEVELS:
        old = (first[level] + 0.5) / (first.total() + len(_LEVELS) / 2)
        new = (second[level] + 0.5) / (second.total() + len(_LEVELS) / 2)
        total += (new - old) * math.log(new / old)
    return total


def _measured(dimension: str, group: str, records: Sequence[WatchedTriage]) -> GroupMeasures:
    decided = [one for one in records if one.level is not None and one.content["level"] is not None]
    ended = [one for one in records if one.critical is not None and one.content["level"] is not None]
    bad = [one for one in ended if one.critical]
    good = [one for one in ended if not one.critical and one.hospitalised is False]
    risks: dict[str, float] = {}
    reported: dict[str, Share] = {}
    for outcome, told in (("critical", "critical"), ("hospitalisation", "hospitalised")):
        known = [one for one in records if getattr(one, told) is not None and outcome in one.content["risks"]]
        if known:
            risks[outcome] = sum(one.content["risks"][outcome] for one in known) / len(known)
            reported[outcome] = Share(sum(bool(getattr(one, told)) for one in known), len(known))
    urgent = [one for one in decided if one.level in _URGENT]
    calm = [one for one in decided if one.level not in _URGENT]
    return GroupMeasures(
        dimension=dimension,
        group=group,
        proposals=len(records),
        not_scored=sum(one.content["not_scored"] is not None for one in records),
        agreed=Share(sum(one.level == one.content["level"] for one in decided), len(decided)),
        under_triage=Share(sum(not _is_urgent(one) for one in urgent), len(urgent)),
        over_triage=Share(sum(_is_urgent(one) for one in calm), len(calm)),
        under_triage_by_outcome=Share(sum(not _is_urgent(one) for one in bad), len(bad)),
        over_triage_by_outcome=Share(sum(_is_urgent(one) for one in good), len(good)),
        mean_risk=risks,
        reported=reported,
    )


def _is_urgent(one: WatchedTriage) -> bool:
    return one.content["level"] in _URGENT
