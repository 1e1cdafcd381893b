"""Doses against the most that may be taken, for each medicine and for each ingredient over all medicines."""

from service_contracts.evidence import FactKind, Severity
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case, DraftedDrug
from reconciliation.findings import Findings
from reconciliation.intake import Intake, intake, says
from reconciliation.limits import applicable, compared, stated_for
from reconciliation.order_words import ask_first, order_correction
from reconciliation.units import add
from reconciliation.wording import joined, quantity

__all__ = ["check_doses"]


def check_doses(case: Case, findings: Findings) -> None:
    """Judge every medicine that is to be taken, then the sums of ingredients that several medicines share."""
    for drug in case.judged:
        _check_one(case, findings, drug)
    _check_sums(case, findings, [drug for drug in case.drugs if drug.taken])


def _check_one(case: Case, findings: Findings, drug: DraftedDrug) -> None:
    assertion, span = says(drug), case.span(drug)
    order = (drug.order.source,) if drug.order else ()
    unsearched = case.knowledge.unsearched(FactKind.DOSE_LIMIT)
    if unsearched or drug.resolved.reason:
        reason = unsearched or drug.resolved.reason or NotCheckedReason.UNRESOLVED
        findings.not_checked(ClaimKind.DOSE, assertion, span, reason)
        return
    agreeing: list[str] = []
    unclear: list[str] = []
    for one in intake(drug):
        limits = applicable(case.knowledge.dose_limits(one.ingredient), drug, case.chart)
        if not limits:
            continue
        comparison = compared(limits, one.single, one.daily)
        if comparison.above and not comparison.within:
            fact, limit, bound = comparison.above[-1]
            replaces, correction = order_correction(case, drug, limits) or (case.whole(drug), ask_first(drug, "dose"))
            findings.contradicted(
                ClaimKind.DOSE, assertion, span, severity=Severity.HIGH, finding=_finding(one, bound, limit.max_daily),
                says=f"{assertion}{_a_day(one)}", fact=fact.id, chart=order, replaces=replaces, correction=correction,
            )  # fmt: skip
            return
        settled = comparison.within and not comparison.above and (one.daily is not None or _single_only(limits))
        (agreeing if settled else unclear).extend(
            fact.id for fact, *_ in (*comparison.above, *comparison.within) or limits
        )
    if unclear:
        findings.not_checked(ClaimKind.DOSE, assertion, span, NotCheckedReason.INCOMPLETE, facts=unclear + agreeing)
    elif agreeing:
        findings.supported(ClaimKind.DOSE, assertion, span, facts=agreeing)
    else:
        findings.no_evidence(ClaimKind.DOSE, assertion, span)


def _single_only(limits: object) -> bool:
    return isinstance(limits, list) and all(limit.max_daily is None for _, limit in limits)


def _a_day(one: Intake) -> str:
    return f", {quantity(one.daily)} of {one.ingredient} in a day" if one.daily is not None else ""


def _finding(one: Intake, bound: Quantity, max_daily: Quantity | None) -> str:
    if bound is max_daily and one.daily is not None:
        return f"{quantity(one.daily)} of {one.ingredient} in a day is more than the limit of {quantity(bound)} a day."
    period = "a day" if bound is max_daily else "at one time"
    amount = quantity(one.single) if one.single is not None else "The dose"
    return f"{amount} of {one.ingredient} at one time is more than the limit of {quantity(bound)} {period}."


def _check_sums(case: Case, findings: Findings, taken: list[DraftedDrug]) -> None:
    shared: dict[str, list[tuple[DraftedDrug, Intake]]] = {}
    for drug in taken:
        for one in intake(drug):
            shared.setdefault(one.ingredient, []).append((drug, one))
    for ingredient, parts in shared.items():
        if len(parts) < 2 or not any(drug.reviewed for drug, _ in parts):
            continue
        last = parts[-1][0]
        names = joined([drug.name for drug, _ in parts])
        assertion = f"{ingredient} in {names} taken together"
        span = case.span(last)
        unsearched = case.knowledge.unsearched(FactKind.DOSE_LIMIT)
        if unsearched:
            findings.not_checked(ClaimKind.DOSE, assertion, span, unsearched)
            continue
        total: Quantity | None = None
        complete = True
        for _, one in parts:
            together = one.daily if total is None else add(total, one.daily) if one.daily is not None else None
            complete = complete and one.daily is not None and together is not None
            total = together if together is not None else total
        # What was stated for one product says nothing of the sum of several.
        common = [
            one for one in case.knowledge.dose_limits(ingredient) if all(stated_for(*one, drug) for drug, _ in parts)
        ]
        limits = applicable(common, last, case.chart)
        comparison = compared([one for one in limits if one[1].max_daily], None, total)
        chart = tuple(drug.order.source for drug, _ in parts if drug.order is not None)
        if total is not None and comparison.above and not comparison.within:
            fact, _, bound = comparison.above[-1]
            findings.contradicted(
                ClaimKind.DOSE, assertion, span, severity=Severity.HIGH, fact=fact.id, chart=chart,
                finding=f"{names} add up to {quantity(total)} of {ingredient} in a day, more than the limit of "
                        f"{quantity(bound)} a day.",
                says=f"{assertion}: {quantity(total)} in a day",
            )  # fmt: skip
        elif not complete or comparison.above:
            findings.not_checked(ClaimKind.DOSE, assertion, span, NotCheckedReason.INCOMPLETE, chart=chart)
        elif comparison.within:
            findings.supported(ClaimKind.DOSE, assertion, span, facts=[fact.id for fact, *_ in comparison.within])
        else:
            findings.no_evidence(ClaimKind.DOSE, assertion, span, chart=chart)
