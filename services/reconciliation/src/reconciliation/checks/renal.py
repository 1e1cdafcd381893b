"""Medicines against the patient's kidney function."""

from service_contracts.evidence import Fact, FactKind, RenalLimit, Severity
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case, DraftedDrug
from reconciliation.findings import Findings
from reconciliation.intake import Intake, intake, says
from reconciliation.kidney import KidneyFunction, kidney_function
from reconciliation.limits import stated_for
from reconciliation.order_words import ask_first
from reconciliation.units import compare
from reconciliation.wording import quantity

__all__ = ["check_kidneys"]


def check_kidneys(case: Case, findings: Findings) -> None:
    """Judge every medicine that is to be taken against its renal limits.

    A limit on creatinine clearance is never read with an eGFR in its place: without a weight it is not checked.
    """
    measures = {measure: kidney_function(case.chart, measure) for measure in ("egfr", "crcl")}
    for drug in case.judged:
        _check_one(case, findings, drug, measures)


def _check_one(case: Case, findings: Findings, drug: DraftedDrug, measures: dict[str, KidneyFunction | None]) -> None:
    assertion, span = f"{says(drug)} fits the patient's kidney function", case.span(drug)
    reason = case.knowledge.unsearched(FactKind.RENAL_LIMIT) or drug.resolved.reason
    if reason:
        findings.not_checked(ClaimKind.RENAL, assertion, span, reason)
        return
    limits = [
        (fact, limit, one)
        for one in intake(drug)
        for fact, limit in case.knowledge.renal_limits(one.ingredient)
        if stated_for(fact, limit, drug)
    ]
    if not limits:
        findings.no_evidence(ClaimKind.RENAL, assertion, span)
        return
    agreeing: list[str] = []
    unclear: list[str] = []
    broken: list[tuple[Fact, RenalLimit, Intake, KidneyFunction]] = []
    for fact, limit, one in limits:
        function = measures[limit.measure]
        order = compare(function.value, limit.below) if function is not None else None
        if function is None or order is None:
            unclear.append(fact.id)
        elif order >= 0:
            agreeing.append(fact.id)
        elif limit.action == "limit" and limit.max_daily is not None:
            amount = compare(one.daily, limit.max_daily) if one.daily is not None else None
            if amount is None:
                unclear.append(fact.id)
            elif amount > 0:
                broken.append((fact, limit, one, function))
            else:
                agreeing.append(fact.id)
        else:
            broken.append((fact, limit, one, function))
    chart = tuple(dict.fromkeys(ref for function in measures.values() if function for ref in function.chart))
    if broken:
        _flag(
            case, findings, drug, assertion, min(broken, key=lambda one: (one[1].action != "avoid", one[1].below.value))
        )
    elif unclear:
        findings.not_checked(
            ClaimKind.RENAL, assertion, span, NotCheckedReason.INCOMPLETE, facts=unclear + agreeing, chart=chart
        )
    else:
        findings.supported(ClaimKind.RENAL, assertion, span, facts=agreeing, chart=chart)


def _flag(
    case: Case,
    findings: Findings,
    drug: DraftedDrug,
    assertion: str,
    broken: tuple[Fact, RenalLimit, Intake, KidneyFunction],
) -> None:
    fact, limit, one, function = broken
    had = "" if function.method == "measured" else f" ({function.method})"
    state = f"Kidney function is {quantity(_rounded(function))}{had}, below {quantity(limit.below)}"
    if limit.action == "avoid":
        findings.contradicted(
            ClaimKind.RENAL, assertion, case.span(drug), severity=Severity.HIGH, fact=fact.id, chart=function.chart,
            finding=f"{state}: {one.ingredient} should be avoided.", says=says(drug),
            replaces=case.whole(drug), correction=ask_first(drug, "use"),
        )  # fmt: skip
        return
    if limit.max_daily is None or one.daily is None:
        need = f"{one.ingredient} needs a lower dose or closer watching."
    else:
        need = (
            f"{quantity(one.daily)} of {one.ingredient} in a day is more than the {quantity(limit.max_daily)} advised."
        )
    severity = Severity.MODERATE if limit.max_daily is None else Severity.HIGH
    findings.contradicted(
        ClaimKind.RENAL, assertion, case.span(drug), severity=severity, fact=fact.id, chart=function.chart,
        finding=f"{state}: {need}", says=says(drug),
        replaces=case.whole(drug), correction=ask_first(drug, "dose") if limit.max_daily is not None else None,
    )  # fmt: skip


def _rounded(function: KidneyFunction) -> Quantity:
    return Quantity(value=round(function.value.value), unit=function.value.unit)
