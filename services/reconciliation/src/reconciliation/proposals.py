"""What may be done about a flag on an order, for a clinician to take or leave."""

from collections.abc import Iterator, Sequence

from service_contracts.evidence import DoseLimit, RenalLimit, Severity
from service_contracts.order_checks import OrderProposal, ProposedAction
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, Flag

from reconciliation.case import Case, DraftedDrug
from reconciliation.limits import applicable, compared
from reconciliation.order_words import ordered
from reconciliation.units import compare, multiply
from reconciliation.wording import quantity, times

__all__ = ["proposals"]

_FRACTIONS = (1.0, 1 / 2, 1 / 4)
"""Parts of the ordered dose that can be had as tablets of it or of its usual strengths."""
_RHYTHMS = (4.0, 3.0, 2.0, 1.0)


def proposals(case: Case, flag: Flag, concerned: Sequence[DraftedDrug]) -> list[OrderProposal]:
    """Return the proposals for a flag on the ``concerned`` medicines: a dose within the limits, or no order at all.

    A dose is proposed only where one order by itself is over a limit. Only orders that are judged are touched.
    """
    found: list[OrderProposal] = []
    if len(concerned) == 1:
        found += _smaller_dose(case, flag, concerned[0])
    if flag.severity is Severity.HIGH or flag.kind is ClaimKind.DUPLICATE:
        found += [
            OrderProposal(
                flag_id=flag.id,
                order=drug.order.source.reference,
                action=ProposedAction.WITHDRAW,
                words=f"Do not order {drug.name}",
            )
            for drug in concerned
            if drug.reviewed and drug.order is not None
        ]
    return found


def _smaller_dose(case: Case, flag: Flag, drug: DraftedDrug) -> Iterator[OrderProposal]:
    fact = case.knowledge.facts.get(flag.fact_id or "")
    if fact is None or drug.order is None or len(drug.resolved.ingredients) != 1:
        return
    if isinstance(fact.body, RenalLimit):
        ceiling = fact.body.max_daily if fact.body.action == "limit" else None
        if ceiling is None:
            return
    elif isinstance(fact.body, DoseLimit):
        ceiling = None
    else:
        return
    values = ordered(drug.order)
    if len(values.high) != 1 or values.times_high is None or values.times_high < 1:
        return
    limits = applicable(case.knowledge.dose_limits(drug.resolved.ingredients[0]), drug, case.chart)
    for dose, often in _smaller(values.high[0], values.times_high):
        daily = multiply(dose, often)
        comparison = compared(limits, dose, daily)
        if comparison.above or (ceiling is None and not comparison.within):
            continue
        if ceiling is not None and (order := compare(daily, ceiling)) is not None and order > 0:
            continue
        yield OrderProposal(
            flag_id=flag.id,
            order=drug.order.source.reference,
            action=ProposedAction.CHANGE,
            words=f"Change to {drug.name} {quantity(dose)} {times(often)}",
            dose=dose,
            times_per_day=often,
        )
        return


def _smaller(dose: Quantity, often: float) -> Iterator[tuple[Quantity, float]]:
    """Yield smaller intakes, those that keep the rhythm first, then those that keep the dose."""
    for fraction in _FRACTIONS[1:]:
        yield multiply(dose, fraction), often
    for rhythm in _RHYTHMS:
        for fraction in _FRACTIONS:
            if rhythm < often:
                yield multiply(dose, fraction), rhythm
