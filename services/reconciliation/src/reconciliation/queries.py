"""The evidence queries: one from the chart before anything is drafted, one for what only the draft names."""

from collections.abc import Iterable

from service_contracts.chart import Chart
from service_contracts.evidence import EvidenceQuery, Subject, SubjectKind

from reconciliation.checks.allergy import is_medicine_allergy

__all__ = ["chart_query", "draft_query", "known_names"]


def chart_query(chart: Chart, budget_ms: int) -> EvidenceQuery:
    """Ask about every drug, condition, procedure and allergen of the chart."""
    subjects = [
        *_drugs_and_allergens(chart),
        *(Subject(kind=SubjectKind.CONDITION, text=one.name, codes=one.codes) for one in chart.conditions),
        *(Subject(kind=SubjectKind.PROCEDURE, text=one.name, codes=one.codes) for one in chart.procedures),
    ]
    return _query(chart, subjects, budget_ms)


def draft_query(chart: Chart, names: Iterable[str], budget_ms: int) -> EvidenceQuery:
    """Ask about drugs that only the draft names.

    The chart's drugs and allergens are asked about again with them: an interaction is a fact about two drugs.
    """
    drugs = [Subject(kind=SubjectKind.DRUG, text=name) for name in names]
    return _query(chart, [*drugs, *_drugs_and_allergens(chart)], budget_ms)


def known_names(chart: Chart) -> set[str]:
    """Return the drug names that ``chart_query`` asks about, in lower case."""
    return {one.name.strip().lower() for one in chart.medications}


def _drugs_and_allergens(chart: Chart) -> list[Subject]:
    return [
        *(Subject(kind=SubjectKind.DRUG, text=one.name, codes=one.codes) for one in chart.medications),
        *(
            Subject(kind=SubjectKind.ALLERGEN, text=one.name, codes=one.codes)
            for one in chart.allergies
            if is_medicine_allergy(one)
        ),
    ]


def _query(chart: Chart, subjects: Iterable[Subject], budget_ms: int) -> EvidenceQuery:
    return EvidenceQuery(
        subjects=tuple(dict.fromkeys(subjects)),
        as_of=chart.as_of,
        plan=chart.formulary_plan,
        budget_ms=max(1, budget_ms),
    )
