"""What the facade gathered from the EHR about one stay, as plain values without FHIR.

Every item keeps the reference (and version) of the resource it was read from, so that a claim can be
traced back to the chart. A chart never holds names, addresses or identifiers of the patient: the draft
does not need them, and what is not sent cannot leak.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from service_contracts.model import Contract
from service_contracts.quantity import Coding, Quantity

__all__ = [
    "Chart",
    "ChartAllergy",
    "ChartCondition",
    "ChartMedication",
    "ChartObservation",
    "ChartOrder",
    "ChartProcedure",
    "ChartReference",
    "MedicationChange",
    "OrderKind",
]


class ChartReference(Contract):
    """A relative FHIR reference such as ``MedicationRequest/mr-1`` and the version that was read."""

    reference: str
    version: str | None = None


class MedicationChange(StrEnum):
    """How a discharge medication differs from what the patient took before the stay."""

    NEW = "new"
    CHANGED = "changed"
    CONTINUED = "continued"
    STOPPED = "stopped"


class ChartMedication(Contract):
    """One medication the patient leaves with (or must stop).

    ``dose`` is one administration; ``times_per_day`` is None when the order does not say;
    ``duration`` is a time quantity. ``text`` is the order's own sig, kept for the reader.
    """

    source: ChartReference
    name: str
    codes: tuple[Coding, ...] = ()
    dose: Quantity | None = None
    route: str | None = None
    times_per_day: float | None = None
    as_needed: bool = False
    duration: Quantity | None = None
    text: str | None = None
    reason: str | None = None
    change: MedicationChange = MedicationChange.NEW


class ChartCondition(Contract):
    """A problem or diagnosis; ``principal`` marks the reason for the stay."""

    source: ChartReference
    name: str
    codes: tuple[Coding, ...] = ()
    principal: bool = False


class ChartProcedure(Contract):
    """A procedure done during the stay."""

    source: ChartReference
    name: str
    codes: tuple[Coding, ...] = ()
    performed: datetime | None = None


class ChartAllergy(Contract):
    """A recorded allergy or intolerance."""

    source: ChartReference
    name: str
    codes: tuple[Coding, ...] = ()
    reaction: str | None = None
    criticality: str | None = None


class ChartObservation(Contract):
    """The latest value of a measurement that checks depend on (creatinine, eGFR, weight, potassium, INR)."""

    source: ChartReference
    name: str
    codes: tuple[Coding, ...] = ()
    value: Quantity
    effective: datetime | None = None


class OrderKind(StrEnum):
    """What a discharge order that is not a medication is about."""

    ACTIVITY = "activity"
    DIET = "diet"
    FOLLOW_UP = "follow-up"


class ChartOrder(Contract):
    """A discharge order in the clinician's words, for example "No lifting above 20 lb for 2 weeks".

    ``within`` is the time to a follow-up visit when the order states it as a value.
    """

    source: ChartReference
    kind: OrderKind
    text: str
    within: Quantity | None = None


class Chart(Contract):
    """One stay, ready to be drafted from and checked against."""

    patient: ChartReference
    encounter: ChartReference
    age_years: int | None = None
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    admitted: datetime | None = None
    discharged: datetime | None = None
    reason: str | None = None
    conditions: tuple[ChartCondition, ...] = ()
    procedures: tuple[ChartProcedure, ...] = ()
    medications: tuple[ChartMedication, ...] = ()
    allergies: tuple[ChartAllergy, ...] = ()
    observations: tuple[ChartObservation, ...] = ()
    orders: tuple[ChartOrder, ...] = ()
    formulary_plan: str | None = Field(default=None, description="Plan id of the patient's coverage.")
    as_of: date = Field(description="The day on which evidence must be in force.")
