"""Checks one document: pure, and the same for the same chart, sentences and evidence."""

from collections.abc import Iterable
from dataclasses import dataclass

from service_contracts.chart import Chart
from service_contracts.evidence import Fact
from service_contracts.reconciliation import Claim, Flag, NotCheckedReason, Section

from reconciliation.case import build_case
from reconciliation.checks.activity import check_activities
from reconciliation.checks.allergy import check_allergies
from reconciliation.checks.dose import check_doses
from reconciliation.checks.follow_up import check_follow_ups
from reconciliation.checks.formulary import check_formulary
from reconciliation.checks.interaction import check_interactions
from reconciliation.checks.orders import check_orders
from reconciliation.checks.reason import check_diet, check_reason
from reconciliation.checks.renal import check_kidneys
from reconciliation.document import Sentence
from reconciliation.findings import Findings
from reconciliation.knowledge import Knowledge

__all__ = ["Checked", "check_document"]

_CHECKS = (
    check_reason,
    check_orders,
    check_doses,
    check_kidneys,
    check_allergies,
    check_interactions,
    check_formulary,
    check_activities,
    check_diet,
    check_follow_ups,
)
_SEVERITY = {"high": 0, "moderate": 1, "low": 2}


@dataclass(frozen=True)
class Checked:
    """The outcome: sections, every claim with its verdict, flags gravest first, and the facts they rest on."""

    sections: tuple[Section, ...]
    claims: tuple[Claim, ...]
    flags: tuple[Flag, ...]
    facts: tuple[Fact, ...]


def check_document(
    chart: Chart, sentences: Iterable[Sentence], knowledge: Knowledge, draft_missing: tuple[str, ...] = ()
) -> Checked:
    """Judge every claim of a document, or of the part of it that is written (``draft_missing`` is not empty)."""
    case = build_case(chart, sentences, knowledge, draft_missing)
    withheld = None if knowledge.answered else knowledge.absent or NotCheckedReason.SERVICE_DOWN
    findings = Findings(withheld)
    for check in _CHECKS:
        check(case, findings)
    named = {fact_id for claim in findings.claims for fact_id in claim.fact_ids}
    named |= {flag.fact_id for flag in findings.flags if flag.fact_id}
    return Checked(
        sections=case.document.sections,
        claims=tuple(findings.claims),
        flags=tuple(sorted(findings.flags, key=lambda flag: _SEVERITY[flag.severity])),
        facts=tuple(fact for fact_id, fact in knowledge.facts.items() if fact_id in named),
    )
