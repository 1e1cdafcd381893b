"""Medicines against the patient's drug plan."""

from service_contracts.evidence import FactKind, FormularyStatus, Severity
from service_contracts.reconciliation import ClaimKind

from reconciliation.case import Case, DraftedDrug
from reconciliation.findings import Findings
from reconciliation.wording import joined

__all__ = ["check_formulary"]


def check_formulary(case: Case, findings: Findings) -> None:
    """Judge how the plan covers every medicine that is to be taken; without a plan there is nothing to claim."""
    if case.chart.formulary_plan is None:
        return
    for drug in case.judged:
        _check_one(case, findings, drug)


def _check_one(case: Case, findings: Findings, drug: DraftedDrug) -> None:
    assertion, span = f"{drug.name} is covered by the patient's plan", case.span(drug)
    reason = case.knowledge.unsearched(FactKind.FORMULARY_STATUS) or drug.resolved.reason
    if reason:
        findings.not_checked(ClaimKind.FORMULARY, assertion, span, reason)
        return
    statuses = case.knowledge.formulary(drug.resolved)
    if not statuses:
        findings.no_evidence(ClaimKind.FORMULARY, assertion, span)
        return
    # A drug has a row for each strength and form; the draft seldom says which: the best covered one counts.
    fact, best = min(statuses, key=lambda one: _burden(one[1]))
    hurdles = _hurdles(best)
    if not hurdles:
        findings.supported(ClaimKind.FORMULARY, assertion, span, facts=(fact.id,))
        return
    findings.contradicted(
        ClaimKind.FORMULARY, assertion, span, severity=Severity.LOW, fact=fact.id,
        finding=f"For {drug.name}, the patient's plan {joined(hurdles)}.",
        says=f"take {drug.name}", chart=(drug.order.source,) if drug.order else (),
    )  # fmt: skip


def _hurdles(status: FormularyStatus) -> list[str]:
    if not status.covered:
        return ["does not list it"]
    named = (
        (status.prior_authorization, "asks for prior authorization"),
        (status.step_therapy, "asks for another medicine to be tried first"),
        (status.quantity_limit, "limits the quantity"),
    )
    return [words for set_, words in named if set_]


def _burden(status: FormularyStatus) -> tuple[bool, int]:
    return not status.covered, len(_hurdles(status))
