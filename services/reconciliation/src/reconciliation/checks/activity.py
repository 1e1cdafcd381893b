"""Restrictions and permissions against the protocols of the procedures that were done, and against the orders."""

import math
import re
from dataclasses import dataclass

from service_contracts.chart import ChartOrder, ChartProcedure, OrderKind
from service_contracts.drafts import SectionKey
from service_contracts.evidence import ActivityProtocol, ActivityRestriction, Fact, FactKind, Severity, SubjectKind
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.activity_sentences import activity_statements
from reconciliation.activity_words import restriction_sentence, statement_words
from reconciliation.case import Case
from reconciliation.document import Sentence
from reconciliation.findings import Findings
from reconciliation.statements import ActivityStatement, Mode
from reconciliation.units import compare, days

__all__ = ["Outcome", "check_activities", "judge"]


@dataclass(frozen=True)
class _Rule:
    fact: Fact
    protocol: ActivityProtocol
    restriction: ActivityRestriction
    procedure: ChartProcedure
    days_since: int


class Outcome:
    """How a statement stands to a restriction."""

    AGREES = "agrees"
    LOOSER = "looser"
    UNCLEAR = "unclear"
    NOT_SAID = "not said"


def judge(statement: ActivityStatement, limit: Quantity | None, lasts_days: float, *, days_since: int = 0) -> str:
    """Compare a statement with a restriction that allows ``limit`` at most for ``lasts_days`` days.

    The days since the procedure that have already passed are credited to a restriction that counts from
    discharge. Exactly as long, and exactly as heavy, agrees. A permission within the limit agrees too.
    """
    left = max(0.0, lasts_days - days_since)
    heavier = _heavier(statement.limit, limit)
    if statement.mode is Mode.FORBID:
        if statement.limit is not None and heavier:
            return Outcome.LOOSER
        if statement.open_ended:
            return Outcome.UNCLEAR if statement.vague and limit is not None else Outcome.AGREES
        if statement.for_days is None:
            return Outcome.NOT_SAID
        if statement.for_days < left:
            return Outcome.LOOSER
        return Outcome.UNCLEAR if statement.vague and limit is not None else Outcome.AGREES
    if statement.limit is not None and limit is not None and not heavier:
        return Outcome.AGREES
    if statement.from_days is None:
        return Outcome.AGREES if statement.open_ended else Outcome.UNCLEAR
    return Outcome.LOOSER if statement.from_days < left else Outcome.AGREES


def _heavier(said: Quantity | None, limit: Quantity | None) -> bool:
    if said is None:
        return False
    return limit is None or compare(said, limit) == 1


def check_activities(case: Case, findings: Findings) -> None:
    """Judge every activity statement, then flag what a protocol forbids and the document does not speak of."""
    unsearched = case.knowledge.unsearched(FactKind.ACTIVITY_PROTOCOL)
    rules = [] if unsearched else _rules(case)
    unresolved = _unresolved(case)
    for sentence, statement in case.activities:
        _check_statement(case, findings, sentence, statement, rules, unsearched, unresolved)
    if not unsearched:
        _check_omissions(case, findings, rules)


def _rules(case: Case) -> list[_Rule]:
    rules: list[_Rule] = []
    for procedure in case.chart.procedures:
        since = 0
        if procedure.performed is not None and case.chart.discharged is not None:
            since = max(0, (case.chart.discharged.date() - procedure.performed.date()).days)
        resolved = case.knowledge.resolve_item(SubjectKind.PROCEDURE, procedure)
        for fact, protocol in case.knowledge.protocols(resolved):
            rules.extend(_Rule(fact, protocol, one, procedure, since) for one in protocol.restrictions)
    # A procedure coded twice, or two procedures of one protocol, make one rule each: the one that leaves most time.
    strictest: dict[tuple[str, int], _Rule] = {}
    for rule in rules:
        key = (rule.fact.id, rule.protocol.restrictions.index(rule.restriction))
        if key not in strictest or rule.days_since < strictest[key].days_since:
            strictest[key] = rule
    return list(strictest.values())


def _unresolved(case: Case) -> bool:
    return any(
        case.knowledge.resolve_item(SubjectKind.PROCEDURE, procedure).reason is NotCheckedReason.DEADLINE
        for procedure in case.chart.procedures
    )


def _check_statement(
    case: Case,
    findings: Findings,
    sentence: Sentence,
    statement: ActivityStatement,
    rules: list[_Rule],
    unsearched: NotCheckedReason | None,
    unresolved: bool,
) -> None:
    span = case.document.span(sentence, statement.place)
    assertion = statement_words(statement)
    concerned = [rule for rule in rules if statement.activity in (rule.restriction.activity, "any")]
    outcomes = [
        (
            judge(statement, rule.restriction.limit, days(rule.restriction.lasts) or 0.0, days_since=rule.days_since),
            rule,
        )
        for rule in concerned
    ]
    looser = [rule for outcome, rule in outcomes if outcome == Outcome.LOOSER]
    if looser:
        rule = max(looser, key=lambda one: days(one.restriction.lasts) or 0.0)
        needed = restriction_sentence(rule.restriction)
        findings.contradicted(
            ClaimKind.ACTIVITY, assertion, span, severity=Severity.HIGH, fact=rule.fact.id,
            chart=(rule.procedure.source,),
            facts=[one.fact.id for one in concerned], says=statement.place.of(sentence.text).strip(" ."),
            finding=f"After {rule.protocol.procedure} the protocol says: {needed}",
            correction=_matching_end(statement.place.of(sentence.text), needed),
        )  # fmt: skip
        return
    order = _order_for(case, statement)
    if order is not None and order[1] == Outcome.LOOSER:
        findings.contradicted(
            ClaimKind.CHART_FACT, assertion, span, severity=Severity.MODERATE, chart=(order[0].source,),
            finding=f"The discharge order says: {order[0].text.strip().rstrip('.')}.",
            says=statement.place.of(sentence.text).strip(" ."),
            correction=_matching_end(statement.place.of(sentence.text), order[0].text.strip().rstrip(".") + "."),
        )  # fmt: skip
        return
    if (
        outcomes
        and any(outcome == Outcome.AGREES for outcome, _ in outcomes)
        and all(outcome == Outcome.AGREES for outcome, _ in outcomes)
    ):
        facts = [rule.fact.id for rule in concerned]
        findings.supported(
            ClaimKind.ACTIVITY, assertion, span, facts=facts, chart=[rule.procedure.source for rule in concerned]
        )
    elif order is not None and order[1] == Outcome.AGREES and not outcomes:
        findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=(order[0].source,))
    elif unsearched or unresolved:
        findings.not_checked(ClaimKind.ACTIVITY, assertion, span, unsearched or NotCheckedReason.DEADLINE)
    elif outcomes:
        facts = [rule.fact.id for rule in concerned]
        findings.not_checked(ClaimKind.ACTIVITY, assertion, span, NotCheckedReason.INCOMPLETE, facts=facts)
    else:
        findings.no_evidence(ClaimKind.ACTIVITY, assertion, span)


def _order_for(case: Case, statement: ActivityStatement) -> tuple[ChartOrder, str] | None:
    judged = []
    for order in case.chart.orders:
        if order.kind is not OrderKind.ACTIVITY:
            continue
        for ordered in activity_statements(order.text):
            if ordered.activity != statement.activity or ordered.mode is not Mode.FORBID:
                continue
            lasts = ordered.for_days if ordered.for_days is not None else math.inf if not ordered.open_ended else 0.0
            if lasts == math.inf:
                lasts = 0.0
            judged.append((order, judge(statement, ordered.limit, lasts)))
    for outcome in (Outcome.LOOSER, Outcome.AGREES):
        for order, found in judged:
            if found == outcome:
                return order, found
    return judged[0] if judged else None


def _check_omissions(case: Case, findings: Findings, rules: list[_Rule]) -> None:
    spoken = {statement.activity for _, statement in case.activities}
    longest: dict[str, _Rule] = {}
    for rule in rules:
        left = (days(rule.restriction.lasts) or 0.0) - rule.days_since
        activity = rule.restriction.activity
        if activity in spoken or left <= 0:
            continue
        if activity not in longest or (days(rule.restriction.lasts) or 0.0) > (
            days(longest[activity].restriction.lasts) or 0.0
        ):
            longest[activity] = rule
    for activity, rule in longest.items():
        assertion = f"nothing is said about {activity} after {rule.protocol.procedure}"
        if case.incomplete or not _drafted(case):
            findings.not_checked(
                ClaimKind.ACTIVITY,
                assertion,
                None,
                NotCheckedReason.DEADLINE,
                facts=(rule.fact.id,),
                chart=(rule.procedure.source,),
            )
            continue
        findings.contradicted(
            ClaimKind.ACTIVITY, assertion, None, severity=Severity.MODERATE, fact=rule.fact.id,
            chart=(rule.procedure.source,),
            finding=f"The document leaves out what the protocol after {rule.protocol.procedure} says: "
                    f"{restriction_sentence(rule.restriction)}",
            says=f"nothing about {activity}", correction=restriction_sentence(rule.restriction),
        )  # fmt: skip


def _drafted(case: Case) -> bool:
    return any(section.key is SectionKey.ACTIVITY for section in case.document.sections) or not case.incomplete


def _matching_end(quote: str, sentence: str) -> str:
    return sentence if re.search(r"[.!]\s*$", quote) else sentence.rstrip(".")
