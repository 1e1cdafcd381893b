"""Orders for what the patient already takes: the same ingredient, or another medicine of the same class."""

from collections.abc import Mapping

from service_contracts.chart import ChartReference
from service_contracts.evidence import Severity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case, DraftedDrug
from reconciliation.drug_names import same_drug_name
from reconciliation.findings import Findings
from reconciliation.wording import joined

__all__ = ["ONE_AT_A_TIME", "check_duplicates"]

ONE_AT_A_TIME: Mapping[str, Severity] = {
    "ace-inhibitor": Severity.MODERATE,
    "angiotensin-receptor-blocker": Severity.MODERATE,
    "benzodiazepine": Severity.MODERATE,
    "beta-blocker": Severity.MODERATE,
    "fibrate": Severity.MODERATE,
    "fluoroquinolone": Severity.MODERATE,
    "loop-diuretic": Severity.MODERATE,
    "macrolide": Severity.MODERATE,
    "nsaid": Severity.MODERATE,
    "pde5-inhibitor": Severity.MODERATE,
    "snri": Severity.MODERATE,
    "ssri": Severity.MODERATE,
    "statin": Severity.MODERATE,
    "sulfonylurea": Severity.MODERATE,
    "tetracycline": Severity.MODERATE,
    "triptan": Severity.MODERATE,
}
"""Classes of which one medicine at a time is usual, and how grave a second one is taken to be.

The names are those of the class table of retrieval (``drug_names.yaml``). Left out on purpose, because two of them
together are ordinary treatment: opioids and nitrates (one steady, one as needed), aminoglycosides, tricyclics beside
others at low dose, thiazide with potassium-sparing diuretics. Compiled 2026-11-25 by pharmacology from the classes that
US labels warn not to double (sections 5 and 7); it is a prompt to look, never an order, and holds no dose.
"""

_LOW_DOSE_ASPIRIN = frozenset({"aspirin"})
"""Aspirin is of the class nsaid by pharmacology; beside one it is an interaction, which has facts of its own."""


def check_duplicates(case: Case, findings: Findings) -> None:
    """Judge every reviewed medicine against all others; a pair of reviewed ones is judged once."""
    taken = [drug for drug in case.drugs if drug.taken]
    for position, drug in enumerate(taken):
        if drug.reviewed:
            _check_one(case, findings, drug, taken[position + 1 :], len(taken) > 1)


def _check_one(case: Case, findings: Findings, drug: DraftedDrug, others: list[DraftedDrug], beside: bool) -> None:
    assertion, span = f"{drug.name} does not repeat another medicine", case.span(drug)
    own = _sources(drug)
    unclear: NotCheckedReason | None = None
    repeated = False
    for other in others:
        same = _shared(drug, other)
        if same:
            repeated = True
            _flag_same(case, findings, drug, other, same)
            continue
        unclear = unclear or drug.resolved.reason or other.resolved.reason
        group = _class_of_both(drug, other)
        if group is not None:
            repeated = True
            findings.contradicted(
                ClaimKind.DUPLICATE, f"{drug.name} does not repeat {other.name}", span,
                severity=ONE_AT_A_TIME[group], chart=(*own, *_sources(other)),
                finding=f"{drug.name.capitalize()} and {other.name} are both of the class {_words(group)}.",
                says=f"{drug.name} beside {other.name}",
            )  # fmt: skip
    if repeated:
        return
    if unclear is not None:
        findings.not_checked(ClaimKind.DUPLICATE, assertion, span, unclear, chart=own)
    elif beside:
        findings.supported(
            ClaimKind.DUPLICATE, assertion, span, chart=own + tuple(one for other in others for one in _sources(other))
        )


def _flag_same(case: Case, findings: Findings, drug: DraftedDrug, other: DraftedDrug, same: tuple[str, ...]) -> None:
    name = drug.name.capitalize()
    if drug.name == other.name:
        finding = f"{name} is already ordered for this patient."
    else:
        finding = f"{name} and {other.name} both hold {joined(same)}."
    findings.contradicted(
        ClaimKind.DUPLICATE, f"{drug.name} does not repeat {other.name}", case.span(drug), severity=Severity.MODERATE,
        chart=(*_sources(drug), *_sources(other)), finding=finding, says=f"{drug.name} beside {other.name}",
    )  # fmt: skip


def _shared(a: DraftedDrug, b: DraftedDrug) -> tuple[str, ...]:
    """Return what both hold; a medicine given by another route (eye drops, an inhaler) is not the same one."""
    if a.statement.route and b.statement.route and a.statement.route != b.statement.route:
        return ()
    if a.resolved.ingredients and b.resolved.ingredients:
        return tuple(one for one in a.resolved.ingredients if one in b.resolved.ingredients)
    return (a.name,) if same_drug_name(a.statement.name, b.statement.name) else ()


def _class_of_both(a: DraftedDrug, b: DraftedDrug) -> str | None:
    if (set(a.resolved.ingredients) | set(b.resolved.ingredients)) & _LOW_DOSE_ASPIRIN:
        return None
    both = a.resolved.pharmacological & b.resolved.pharmacological & ONE_AT_A_TIME.keys()
    return min(both, default=None)


def _words(group: str) -> str:
    return group.replace("-", " ")


def _sources(drug: DraftedDrug) -> tuple[ChartReference, ...]:
    return (drug.order.source,) if drug.order is not None else ()
