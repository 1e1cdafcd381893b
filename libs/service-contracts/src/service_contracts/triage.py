"""What the triage service is asked about one arriving patient, and what it answers.

Measurements come in whatever UCUM unit the EHR keeps; the service normalises them. A request never holds a name,
an address or an identifier. An answer that holds no score says why, and carries what the safety floor found all
the same.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from service_contracts.chart import ChartReference
from service_contracts.model import Contract
from service_contracts.quantity import Coding, Quantity

__all__ = [
    "AgeBand",
    "Correction",
    "FiredRule",
    "MeasurementKind",
    "MentalStatus",
    "NotScored",
    "OutcomeRisk",
    "Posture",
    "RuleSource",
    "SourceAttribute",
    "SourceAttributes",
    "TriageAnswer",
    "TriageCondition",
    "TriageInputUsed",
    "TriageMeasurement",
    "TriageModel",
    "TriageReason",
    "TriageRequest",
]

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
AgeBand = Literal["0-2", "3-17", "18-44", "45-64", "65-79", "80+", "unknown"]


class MeasurementKind(StrEnum):
    """What can be measured at triage; the values are the names used in answers and cards."""

    TEMPERATURE = "temperature"
    PULSE = "pulse"
    RESPIRATIONS = "respirations"
    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    OXYGEN_SATURATION = "oxygen-saturation"
    PAIN = "pain"


class MentalStatus(StrEnum):
    """The AVPU scale, with ``confused`` for new confusion in a patient who is awake."""

    ALERT = "alert"
    CONFUSED = "confused"
    VOICE = "voice"
    PAIN = "pain"
    UNRESPONSIVE = "unresponsive"


class TriageMeasurement(Contract):
    """One value with its UCUM unit code, and where it was read from."""

    kind: MeasurementKind
    value: Quantity
    source: ChartReference | None = None
    effective: AwareDatetime | None = None


class TriageCondition(Contract):
    """A known long-term condition, by its codes and its name."""

    codes: tuple[Coding, ...] = ()
    name: str | None = Field(default=None, max_length=400)


class TriageRequest(Contract):
    """One patient who has just arrived.

    ``conditions`` None or empty means that none are known, not that there are none. ``signs`` are codes of
    immediate-intervention criteria that the nurse sees (``floor.toml`` of the service lists them).
    ``budget_ms`` is what is left of the deadline when the request is sent.
    """

    age: Quantity | None = None
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    arrival: Literal["ambulance", "other", "unknown"] = "unknown"
    came_from: Literal["home", "nursing-home", "hospital", "other", "unknown"] = "unknown"
    complaints: tuple[Phrase, ...] = Field(default=(), max_length=5)
    measurements: tuple[TriageMeasurement, ...] = Field(default=(), max_length=40)
    mental_status: MentalStatus | None = None
    conditions: tuple[TriageCondition, ...] = Field(default=(), max_length=200)
    signs: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}$")], ...] = Field(
        default=(), max_length=30
    )
    budget_ms: int = Field(default=400, gt=0)


class Posture(StrEnum):
    """Under which reading of the device rules the suite runs at a site.

    Advice that must be acted on at once is not the kind of support that a reader can check before acting, so it is
    off where the site runs the suite as software that is no medical device.
    """

    NON_DEVICE = "non-device"
    TIME_CRITICAL = "time-critical"


class NotScored(StrEnum):
    """Why there is no score."""

    POSTURE = "posture"
    LATE = "late"
    MODEL_UNAVAILABLE = "model-unavailable"
    TOO_LITTLE = "too-little-known"


class RuleSource(Contract):
    """Where a rule of the floor is published."""

    title: str
    publisher: str
    version: str
    section: str
    url: str | None = None


class FiredRule(Contract):
    """A rule of the safety floor that applies; it raises urgency to ``level`` at least."""

    id: str
    level: int = Field(ge=1, le=5)
    words: str
    source: RuleSource


class OutcomeRisk(Contract):
    """The estimated probability of an outcome of the visit."""

    outcome: Literal["critical", "hospitalisation"]
    probability: float = Field(ge=0, le=1)


class TriageReason(Contract):
    """How much one input moved the estimated urgency, compared with the same patient without it."""

    input: str
    words: str
    direction: Literal["more-urgent", "less-urgent"]
    weight: float


class TriageInputUsed(Contract):
    """An input as the model saw it, after normalisation."""

    name: str
    value: str
    unit: str | None = None
    source: ChartReference | None = None


class Correction(Contract):
    """A value that was not taken as it came, what was taken instead, and why."""

    name: str
    given: str
    taken: str
    why: str


class TriageModel(Contract):
    """Which weights answered; digests are ``sha256:`` and 64 hex digits."""

    name: str
    version: str
    digest: str
    adapter_digest: str
    encoder: str
    encoder_digest: str
    floor_digest: str


class TriageAnswer(Contract):
    """The proposal, or what there is without one.

    ``level`` is the more urgent of the model's level and the floor's; None where neither says anything.
    ``prediction_set`` holds the levels that together cover ``coverage`` of visits like those it was measured on.
    """

    level: int | None = Field(default=None, ge=1, le=5)
    model_level: int | None = Field(default=None, ge=1, le=5)
    not_scored: NotScored | None = None
    probabilities: tuple[float, ...] = ()
    prediction_set: tuple[int, ...] = ()
    coverage: float | None = None
    risks: tuple[OutcomeRisk, ...] = ()
    reasons: tuple[TriageReason, ...] = ()
    floor_checked: bool = True
    floor_rules: tuple[FiredRule, ...] = ()
    used: tuple[TriageInputUsed, ...] = ()
    missing: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    warnings: tuple[str, ...] = ()
    posture: Posture
    model: TriageModel | None = None
    age_band: AgeBand = "unknown"
    elapsed_ms: float = 0.0


class SourceAttribute(Contract):
    """One of the 31 source attributes of a predictive decision support intervention (45 CFR 170.315(b)(11)(iv)(B)).

    ``available`` False means that there is nothing to tell, and ``text`` says so; it is never left out.
    """

    number: str
    category: str
    name: str
    text: str
    available: bool = True


class SourceAttributes(Contract):
    """What a site's users may see of an intervention, and of exactly which model."""

    intervention: str
    title: str
    model: TriageModel
    attributes: tuple[SourceAttribute, ...]
    data_notice: str
    card: str
