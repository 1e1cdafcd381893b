"""Medication orders that are about to be signed: asked about with the chart they stand in, and what was found."""

from enum import StrEnum

from pydantic import Field

from service_contracts.chart import Chart, ChartMedication
from service_contracts.evidence import Fact
from service_contracts.model import Contract
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import Claim, Flag, StageTiming

__all__ = ["OrderCheckAnswer", "OrderCheckRequest", "OrderProposal", "ProposedAction"]


class OrderCheckRequest(Contract):
    """Check ``orders`` against ``chart`` within ``budget_ms``.

    ``chart.medications`` is what the patient takes beside these orders; each order's ``source`` names the draft.
    """

    chart: Chart
    orders: tuple[ChartMedication, ...]
    budget_ms: int = Field(gt=0)


class ProposedAction(StrEnum):
    """What may be done about a flag."""

    CHANGE = "change"
    WITHDRAW = "withdraw"


class OrderProposal(Contract):
    """One way to resolve ``flag_id``, for a clinician to take or leave: change the draft ``order`` (a reference) to
    ``dose`` and ``times_per_day``, or withdraw it. ``words`` says it in one line."""

    flag_id: str
    order: str
    action: ProposedAction
    words: str
    dose: Quantity | None = None
    times_per_day: float | None = None


class OrderCheckAnswer(Contract):
    """Every claim about the orders with its verdict, the flags gravest first, and what may be done about them.

    Claims and flags have no span: the order itself is what they are about. The ``chart`` of each names the draft
    orders it concerns first.
    """

    claims: tuple[Claim, ...]
    flags: tuple[Flag, ...]
    facts: tuple[Fact, ...]
    proposals: tuple[OrderProposal, ...] = ()
    evidence_version: str | None = None
    timings: tuple[StageTiming, ...] = ()
