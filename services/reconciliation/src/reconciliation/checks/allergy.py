"""Medicines against the patient's recorded allergies, their classes and classes that cross-react."""

import re

from service_contracts.chart import ChartAllergy
from service_contracts.evidence import FactKind, Severity, SubjectKind
from service_contracts.reconciliation import ClaimKind

from reconciliation.case import Case, DraftedDrug
from reconciliation.drug_names import plain_name, same_drug_name
from reconciliation.findings import Findings

__all__ = ["check_allergies", "is_medicine_allergy"]

# Recorded "allergies" that are none, and those that no medicine belongs to.
_NO_ALLERGY = re.compile(r"\b(?:no\s+known|nkda|nka|not\s+known|none)\b", re.I)
_NOT_A_MEDICINE = re.compile(
    r"\b(?:dust|mites?|pollen|grass|ragweed|mou?ld|dander|cats?|dogs?|wheat|gluten|shellfish|fish|peanuts?"
    r"|tree\s+nuts?|nuts?|bees?|wasps?|venom|dairy"
    r"|strawberr\w+|tomato\w*|animal)\b",
    re.I,
)  # fmt: skip


def is_medicine_allergy(allergy: ChartAllergy) -> bool:
    """Whether a recorded allergy can concern a medicine at all."""
    return not _NO_ALLERGY.search(allergy.name) and not _NOT_A_MEDICINE.search(allergy.name)


def check_allergies(case: Case, findings: Findings) -> None:
    """Judge every medicine that is to be taken against every recorded allergy that a medicine may touch."""
    allergies = [allergy for allergy in case.chart.allergies if is_medicine_allergy(allergy)]
    for drug in case.judged:
        for allergy in allergies:
            _check_pair(case, findings, drug, allergy)


def _check_pair(case: Case, findings: Findings, drug: DraftedDrug, allergy: ChartAllergy) -> None:
    assertion, span = f"{drug.name} can be taken despite the recorded allergy to {allergy.name}", case.span(drug)
    allergen = case.knowledge.resolve_item(SubjectKind.ALLERGEN, allergy)
    shared = set(drug.resolved.ingredients) & set(allergen.ingredients)
    if shared or same_drug_name(drug.statement.name, allergy.name):
        what = drug.name if plain_name(allergy.name) == drug.name else f"{drug.name}, which belongs to it"
        _flag(
            case,
            findings,
            drug,
            allergy,
            assertion,
            Severity.HIGH,
            f"The chart records an allergy to {allergy.name}; {_tells(case)} {what}.",
            _class_fact(case, shared, allergen.classes),
        )
        return
    reason = case.knowledge.unsearched(FactKind.ALLERGY_CLASS) or drug.resolved.reason or allergen.reason
    if reason:
        findings.not_checked(ClaimKind.ALLERGY, assertion, span, reason, chart=(allergy.source,))
        return
    member = {
        name for ingredient in drug.resolved.ingredients for name in case.knowledge.classes_of(ingredient)
    } | drug.resolved.classes
    allergic = set(allergen.classes) | {name for one in allergen.ingredients for name in case.knowledge.classes_of(one)}
    if member & allergic:
        group = sorted(member & allergic)[0]
        _flag(
            case,
            findings,
            drug,
            allergy,
            assertion,
            Severity.HIGH,
            f"The chart records an allergy to {allergy.name}; {drug.name} is of the same class ({group}).",
            _class_fact(case, set(drug.resolved.ingredients), {group}),
        )
        return
    for fact, body in case.knowledge.allergy_classes():
        name = body.name.lower().removeprefix("class:")
        reacting = {other.lower().removeprefix("class:") for other in body.cross_reactive}
        if (name in allergic and reacting & (member | set(drug.resolved.ingredients))) or (
            name in member and reacting & (allergic | set(allergen.ingredients))
        ):
            _flag(
                case,
                findings,
                drug,
                allergy,
                assertion,
                Severity.MODERATE,
                f"The chart records an allergy to {allergy.name}; {drug.name} may cause a reaction too.",
                fact.id,
            )
            return
    findings.no_evidence(ClaimKind.ALLERGY, assertion, span, chart=(allergy.source,))


def _tells(case: Case) -> str:
    return "the order is for" if case.of_orders else "the draft tells the patient to take"


def _class_fact(case: Case, ingredients: set[str], classes: frozenset[str] | set[str]) -> str | None:
    for fact, body in case.knowledge.allergy_classes():
        listed = {one.lower() for one in body.ingredients}
        if body.name.lower().removeprefix("class:") in classes and listed & ingredients:
            return fact.id
    return None


def _flag(
    case: Case,
    findings: Findings,
    drug: DraftedDrug,
    allergy: ChartAllergy,
    assertion: str,
    severity: Severity,
    finding: str,
    fact: str | None,
) -> None:
    correction = None
    if severity is Severity.HIGH:
        correction = (
            f"Do not take {drug.name}. You have an allergy to {allergy.name} on record. "
            "Ask your care team what to take instead."
        )
    orders = (drug.order.source,) if drug.order else ()
    findings.contradicted(
        ClaimKind.ALLERGY, assertion, case.span(drug), severity=severity, finding=finding, says=f"take {drug.name}",
        fact=fact, chart=(allergy.source, *orders), replaces=case.whole(drug), correction=correction,
    )  # fmt: skip
