"""Every pair of medicines the patient is to take against what is known of their interactions."""

from itertools import combinations

from service_contracts.chart import ChartMedication, MedicationChange
from service_contracts.evidence import Fact, FactKind, Interaction, Severity, SubjectKind
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case, DraftedDrug
from reconciliation.drug_names import plain_name
from reconciliation.findings import Findings
from reconciliation.knowledge import Resolved

__all__ = ["check_interactions"]

# Every source is named by its fact; in the sentence, as many as can be read.
_NAMED = 3
_RANK = {Severity.HIGH: 0, Severity.MODERATE: 1, Severity.LOW: 2}


def check_interactions(case: Case, findings: Findings) -> None:
    """Judge every pair of drafted medicines, and every drafted one with those the chart adds in silence.

    Two medicines with nothing known between them have no evidence: that is not the same as safe together.
    """
    taken = _once_each([drug for drug in case.drugs if drug.taken])
    for first, second in combinations(taken, 2):
        if not (first.reviewed or second.reviewed):
            continue
        _judge(case, findings, second, first.name, first.resolved, first)
    for order in case.not_drafted():
        if order.change is MedicationChange.STOPPED or case.incomplete:
            continue
        resolved = case.knowledge.resolve_item(SubjectKind.DRUG, order)
        for drug in taken:
            # Their pairs are judged only to be flagged: the medicine itself is already flagged as left out.
            if case.knowledge.interactions(drug.resolved, resolved):
                _judge(case, findings, drug, plain_name(order.name), resolved, order)


def _once_each(drugs: list[DraftedDrug]) -> list[DraftedDrug]:
    kept: list[DraftedDrug] = []
    for drug in drugs:
        same = any(
            drug.resolved.ingredients == other.resolved.ingredients
            if drug.resolved.ingredients and other.resolved.ingredients
            else drug.name == other.name
            for other in kept
        )
        if not same:
            kept.append(drug)
    return kept


def _judge(
    case: Case,
    findings: Findings,
    drug: DraftedDrug,
    other: str,
    other_resolved: Resolved,
    other_item: DraftedDrug | ChartMedication,
) -> None:
    assertion, span = f"{drug.name} can be taken with {other}", case.span(drug)
    unsearched = case.knowledge.unsearched(FactKind.INTERACTION)
    reason = unsearched or drug.resolved.reason or other_resolved.reason
    if reason:
        findings.not_checked(
            ClaimKind.INTERACTION, assertion, span, _gravest(drug.resolved.reason, other_resolved.reason, unsearched)
        )
        return
    found = case.knowledge.interactions(drug.resolved, other_resolved)
    if not found:
        findings.no_evidence(ClaimKind.INTERACTION, assertion, span)
        return
    found.sort(key=lambda one: _RANK[one[1].severity])
    fact, body = found[0]
    orders = [item.order if isinstance(item, DraftedDrug) else item for item in (drug, other_item)]
    target = drug
    if isinstance(other_item, DraftedDrug) and _newer(other_item, drug):
        # The medicine that joined last is the one to reconsider: the flag stands on its line.
        target = other_item
    partner = other if target is drug else drug.name
    correction = None
    if body.severity is Severity.HIGH and _open_to_change(target):
        correction = f"Do not take {target.name} while you take {partner}. Ask your care team what to take instead."
    findings.contradicted(
        ClaimKind.INTERACTION, assertion, span, severity=body.severity,
        finding=_finding(body, target.name, partner) + _differing(found),
        says=f"{target.name} together with {partner}", fact=fact.id, facts=[one.id for one, _ in found],
        chart=[order.source for order in orders if order is not None],
        replaces=case.whole(target), correction=correction,
    )  # fmt: skip


def _gravest(*reasons: NotCheckedReason | None) -> NotCheckedReason:
    present = [reason for reason in reasons if reason is not None]
    for reason in (NotCheckedReason.SERVICE_DOWN, NotCheckedReason.DEADLINE, NotCheckedReason.UNRESOLVED):
        if reason in present:
            return reason
    return present[0]


def _open_to_change(drug: DraftedDrug) -> bool:
    # A long-standing medicine is not taken away by a click; one that is new, as needed or not ordered may be.
    order = drug.order
    return order is None or order.as_needed or order.change is MedicationChange.NEW


def _newer(first: DraftedDrug, second: DraftedDrug) -> bool:
    return (_open_to_change(first) and not _open_to_change(second)) or (
        first.order is None and second.order is not None
    )


def _differing(found: list[tuple[Fact, Interaction]]) -> str:
    """Say which sources call it less grave than the one that decided, nothing where all agree."""
    gravest = found[0][1].severity
    milder: dict[Severity, list[str]] = {}
    for fact, body in found:
        if body.severity is not gravest:
            names = milder.setdefault(body.severity, [])
            if fact.source.title not in names:
                names.append(fact.source.title)
    if not milder:
        return ""
    said = [
        f"{severity} by {', '.join(names[:_NAMED])}{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}"
        for severity, names in milder.items()
    ]
    return f" Sources differ: {gravest} by {found[0][0].source.title}, {'; '.join(said)}."


def _finding(body: Interaction, a: str, b: str) -> str:
    effect = body.effect.strip().rstrip(".")
    advice = f" {body.management.strip().rstrip('.')}." if body.management else ""
    return f"{a.capitalize()} and {b} interact: {effect}.{advice}"
