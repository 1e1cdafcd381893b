"""Checks medication orders: pure, and the same for the same chart, orders and evidence."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from service_contracts.chart import Chart, ChartMedication, ChartReference
from service_contracts.evidence import Fact, Severity
from service_contracts.order_checks import OrderProposal
from service_contracts.reconciliation import Claim, Flag, NotCheckedReason, Span

from reconciliation.case import Case, DraftedDrug
from reconciliation.checks.allergy import check_allergies
from reconciliation.checks.dose import check_doses
from reconciliation.checks.duplicate import check_duplicates
from reconciliation.checks.formulary import check_formulary
from reconciliation.checks.interaction import check_interactions
from reconciliation.checks.renal import check_kidneys
from reconciliation.findings import Findings
from reconciliation.knowledge import Knowledge
from reconciliation.order_case import order_case
from reconciliation.proposals import proposals

__all__ = ["CheckedOrders", "check_draft_orders"]

_CHECKS = (check_doses, check_kidneys, check_allergies, check_duplicates, check_interactions, check_formulary)
_SEVERITY = {Severity.HIGH: 0, Severity.MODERATE: 1, Severity.LOW: 2}


@dataclass(frozen=True)
class CheckedOrders:
    """The outcome: claims, flags gravest first, the facts they rest on, and what may be done."""

    claims: tuple[Claim, ...]
    flags: tuple[Flag, ...]
    facts: tuple[Fact, ...]
    proposals: tuple[OrderProposal, ...]


def check_draft_orders(chart: Chart, orders: Sequence[ChartMedication], knowledge: Knowledge) -> CheckedOrders:
    """Judge ``orders`` against the chart, each other and the evidence."""
    case = order_case(chart, orders, knowledge)
    withheld = None if knowledge.answered else knowledge.absent or NotCheckedReason.SERVICE_DOWN
    findings = Findings(withheld)
    for check in _CHECKS:
        check(case, findings)
    lines = _Lines(case)
    concerned = {flag.id: lines.concerned(flag) for flag in findings.flags}
    flags = sorted(findings.flags, key=lambda flag: _SEVERITY[flag.severity])
    named = {fact_id for claim in findings.claims for fact_id in claim.fact_ids}
    named |= {flag.fact_id for flag in flags if flag.fact_id}
    return CheckedOrders(
        claims=tuple(_of_order(lines.at(claim.span), claim) for claim in findings.claims),
        flags=tuple(_of_orders(flag, concerned[flag.id]) for flag in flags),
        facts=tuple(fact for fact_id, fact in knowledge.facts.items() if fact_id in named),
        proposals=tuple(one for flag in flags for one in proposals(case, flag, concerned[flag.id])),
    )


class _Lines:
    """Finds the order that a span is about: each order is one line of the case's document."""

    def __init__(self, case: Case) -> None:
        self._drugs = case.drugs
        self._starts = [case.document.whole(drug.sentence).start for drug in case.drugs]

    def at(self, span: Span | None) -> DraftedDrug | None:
        """Return the medicine whose line ``span`` begins in."""
        return None if span is None else self._drugs[bisect_right(self._starts, span.start) - 1]

    def concerned(self, flag: Flag) -> list[DraftedDrug]:
        """Return the medicines a flag is about: that of its span and those it names, judged ones first."""
        named = {one.reference for one in flag.chart}
        at = self.at(flag.span)
        found = [
            drug
            for drug in self._drugs
            if drug is at or (drug.order is not None and drug.order.source.reference in named)
        ]
        return sorted(found, key=lambda drug: not drug.reviewed)


def _of_order(drug: DraftedDrug | None, claim: Claim) -> Claim:
    return claim.model_copy(update={"span": None, "chart": _references([drug] if drug else [], claim.chart)})


def _of_orders(flag: Flag, concerned: list[DraftedDrug]) -> Flag:
    # A correction is a sentence for a patient; what may be done about an order is a proposal.
    chart = _references(concerned, flag.chart)
    return flag.model_copy(update={"span": None, "correction": None, "chart": chart})


def _references(drugs: list[DraftedDrug], others: tuple[ChartReference, ...]) -> tuple[ChartReference, ...]:
    own = [drug.order.source for drug in drugs if drug.order is not None]
    return tuple(dict.fromkeys((*own, *others)))
