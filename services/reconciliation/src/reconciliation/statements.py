"""What a sentence states, as typed values with their place in the sentence; nothing here is judged yet."""

from dataclasses import dataclass
from enum import StrEnum

from service_contracts.chart import MedicationChange
from service_contracts.quantity import Quantity

from reconciliation.rhythm import Frequency

__all__ = [
    "Action",
    "ActivityStatement",
    "Ceiling",
    "Dose",
    "FollowUpStatement",
    "MedicationStatement",
    "Mode",
    "Place",
    "Statements",
]


@dataclass(frozen=True, order=True)
class Place:
    """Characters ``start`` to ``end`` of one sentence."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the words at this place."""
        return text[self.start : self.end]


class Action(StrEnum):
    """What the patient is told to do with a medicine."""

    TAKE = "take"
    STOP = "stop"


@dataclass(frozen=True)
class Dose:
    """One administration. ``low`` and ``high`` are one quantity, or one per ingredient of a combination.

    ``other`` is a second reading of the same words ("metformin 500 mg, 2 tablets" is 500 mg or 1,000 mg).
    ``varies`` is set when doses differ from time to time (500 mg in the morning and 1,000 mg at night).
    """

    place: Place
    low: tuple[Quantity, ...]
    high: tuple[Quantity, ...]
    other: tuple[Quantity, ...] | None = None
    varies: bool = False


@dataclass(frozen=True)
class Ceiling:
    """The most the sentence allows in a day ("no more than 3,000 mg in 24 hours")."""

    place: Place
    amount: Quantity


@dataclass(frozen=True)
class MedicationStatement:
    """An instruction about one medicine. ``name`` is as written; ``aliases`` are names in brackets beside it.

    ``certain`` is False while only the grammar says that ``name`` is a medicine at all.
    """

    name: str
    name_place: Place
    place: Place
    action: Action
    aliases: tuple[str, ...] = ()
    dose: Dose | None = None
    frequency: Frequency | None = None
    as_needed: bool = False
    route: str | None = None
    duration: Quantity | None = None
    duration_place: Place | None = None
    ceiling: Ceiling | None = None
    change: MedicationChange | None = None
    certain: bool = True


class Mode(StrEnum):
    """Whether an activity is forbidden or allowed."""

    FORBID = "forbid"
    PERMIT = "permit"


@dataclass(frozen=True)
class ActivityStatement:
    """A restriction or a permission.

    ``limit`` is the weight that is still allowed. A restriction holds ``for_days`` days, or until someone
    clears it (``open_ended``); a permission holds from ``from_days`` days on. None means not said.
    ``vague`` is set when a weight is meant and not said ("nothing heavy").
    """

    activity: str
    mode: Mode
    place: Place
    limit: Quantity | None = None
    for_days: float | None = None
    from_days: float | None = None
    open_ended: bool = False
    vague: bool = False


@dataclass(frozen=True)
class FollowUpStatement:
    """A visit and when: ``latest`` is the last moment the words allow, None when they do not say."""

    place: Place
    interval: Place | None
    visit: str
    earliest: Quantity | None
    latest: Quantity | None


@dataclass(frozen=True)
class Statements:
    """Everything one sentence states."""

    medications: tuple[MedicationStatement, ...] = ()
    activities: tuple[ActivityStatement, ...] = ()
    follow_ups: tuple[FollowUpStatement, ...] = ()
