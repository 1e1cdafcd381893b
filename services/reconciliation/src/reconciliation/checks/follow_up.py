"""Follow-up visits against how soon a visit must follow, and against the orders."""

from service_contracts.chart import ChartCondition, ChartOrder, ChartProcedure, OrderKind
from service_contracts.evidence import Fact, FactKind, FollowUpInterval, Severity, SubjectKind
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case
from reconciliation.document import Sentence
from reconciliation.findings import Findings
from reconciliation.follow_up_sentences import follow_up_statements, visit_kind
from reconciliation.statements import FollowUpStatement
from reconciliation.units import compare, days
from reconciliation.wording import duration, quantity

__all__ = ["check_follow_ups"]

_Visit = tuple[Sentence, FollowUpStatement]
_Need = tuple[Fact, FollowUpInterval, ChartCondition | ChartProcedure]


def check_follow_ups(case: Case, findings: Findings) -> None:
    """Judge every visit, and flag a needed visit that the document does not speak of.

    A need is met by any visit of its kind that is soon enough; when none is, the soonest is the one that is late.
    """
    unsearched = case.knowledge.unsearched(FactKind.FOLLOW_UP_INTERVAL)
    needs = [] if unsearched else _needs(case)
    meets: dict[int, list[_Need]] = {}
    late: dict[int, list[_Need]] = {}
    undated: dict[int, list[_Need]] = {}
    for need in needs:
        visits = _visits_for(case, need)
        dated = [(position, when) for position, when in visits if when is not None]
        soon = [position for position, when in dated if _soon_enough(when, need[1].within)]
        if soon:
            for position in soon:
                meets.setdefault(position, []).append(need)
        elif dated and len(dated) == len(visits):
            first = min(dated, key=lambda one: days(one[1]) or 0.0)
            late.setdefault(first[0], []).append(need)
        elif visits:
            for position, when in visits:
                if when is None:
                    undated.setdefault(position, []).append(need)
        else:
            _omission(case, findings, need)
    for position, visit in enumerate(case.follow_ups):
        if position in late:
            _flag_late(case, findings, visit, late[position])
        else:
            _judge(case, findings, visit, meets.get(position, []), undated.get(position, []), unsearched)


def _needs(case: Case) -> list[_Need]:
    needs: dict[str, _Need] = {}
    items: list[tuple[SubjectKind, ChartCondition | ChartProcedure]] = [
        *((SubjectKind.CONDITION, condition) for condition in case.chart.conditions),
        *((SubjectKind.PROCEDURE, procedure) for procedure in case.chart.procedures),
    ]
    for kind, item in items:
        for fact, interval in case.knowledge.follow_ups(case.knowledge.resolve_item(kind, item)):
            needs.setdefault(fact.id, (fact, interval, item))
    return list(needs.values())


def _visits_for(case: Case, need: _Need) -> list[tuple[int, Quantity | None]]:
    wanted = visit_kind(f"{need[1].visit}")
    found = []
    for position, (_, visit) in enumerate(case.follow_ups):
        other_lab = (visit.visit == "laboratory") != (wanted == "laboratory")
        if not other_lab:
            found.append((position, visit))
    named = [(position, visit.latest) for position, visit in found if wanted and visit.visit == wanted]
    # A visit whose specialty is not said may be the one; a visit with another specialty is only when nothing better is.
    open_ = [(position, visit.latest) for position, visit in found if not visit.visit]
    return named + open_ or [(position, visit.latest) for position, visit in found]


def _soon_enough(when: Quantity, within: Quantity) -> bool:
    order = compare(when, within)
    return order is not None and order <= 0


def _words(visit: FollowUpStatement) -> str:
    who = f"{visit.visit} visit" if visit.visit else "a visit"
    return f"{who} within {duration(visit.latest)}" if visit.latest is not None else who


def _flag_late(case: Case, findings: Findings, visit: _Visit, needs: list[_Need]) -> None:
    sentence, statement = visit
    fact, interval, item = min(needs, key=lambda need: days(need[1].within) or 0.0)
    assert statement.latest is not None
    replaces = case.document.span(sentence, statement.interval) if statement.interval else None
    findings.contradicted(
        ClaimKind.FOLLOW_UP, _words(statement), case.document.span(sentence, statement.place),
        severity=Severity.MODERATE,
        fact=fact.id, facts=[one.id for one, *_ in needs], chart=(item.source,),
        finding=f"A visit up to {duration(statement.latest)} after {interval.subject} is later than "
                f"{quantity(interval.within)}.",
        says=statement.place.of(sentence.text).strip(" ."), replaces=replaces,
        correction=f"within {quantity(interval.within)}",
    )  # fmt: skip


def _omission(case: Case, findings: Findings, need: _Need) -> None:
    fact, interval, item = need
    assertion = f"no visit is named after {interval.subject}"
    if case.incomplete:
        findings.not_checked(
            ClaimKind.FOLLOW_UP, assertion, None, NotCheckedReason.DEADLINE, facts=(fact.id,), chart=(item.source,)
        )
        return
    findings.contradicted(
        ClaimKind.FOLLOW_UP, assertion, None, severity=Severity.MODERATE, fact=fact.id, chart=(item.source,),
        finding=f"After {interval.subject} {_a(interval.visit)} is needed within {quantity(interval.within)}; the "
                f"document names no visit.",
        says="no follow-up visit", correction=f"Go to {_a(interval.visit)} within {quantity(interval.within)}.",
    )  # fmt: skip


def _a(visit: str) -> str:
    visit = visit.strip() or "visit"
    return (
        visit if visit.startswith(("a ", "an ", "the ")) else f"{'an' if visit[0].lower() in 'aeiou' else 'a'} {visit}"
    )


def _judge(
    case: Case,
    findings: Findings,
    visit: _Visit,
    meets: list[_Need],
    undated: list[_Need],
    unsearched: NotCheckedReason | None,
) -> None:
    sentence, statement = visit
    span, assertion = case.document.span(sentence, statement.place), _words(statement)
    order = _order_for(case, sentence, statement)
    if order is not None and statement.latest is not None:
        within = _within(order)
        if within is not None and compare(statement.latest, within) == 1:
            findings.contradicted(
                ClaimKind.CHART_FACT, assertion, span, severity=Severity.MODERATE, chart=(order.source,),
                finding=f"The order asks for a visit within {quantity(within)}; the draft allows "
                        f"{duration(statement.latest)}.",
                says=statement.place.of(sentence.text).strip(" ."),
                replaces=case.document.span(sentence, statement.interval) if statement.interval else None,
                correction=f"within {quantity(within)}",
            )  # fmt: skip
            return
    if meets:
        findings.supported(
            ClaimKind.FOLLOW_UP,
            assertion,
            span,
            facts=[fact.id for fact, *_ in meets],
            chart=[item.source for *_, item in meets],
        )
    elif undated:
        findings.not_checked(
            ClaimKind.FOLLOW_UP, assertion, span, NotCheckedReason.INCOMPLETE, facts=[fact.id for fact, *_ in undated]
        )
    elif order is not None and statement.latest is not None and _within(order) is not None:
        findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=(order.source,))
    elif unsearched:
        findings.not_checked(ClaimKind.FOLLOW_UP, assertion, span, unsearched)
    elif statement.latest is None:
        findings.not_checked(ClaimKind.FOLLOW_UP, assertion, span, NotCheckedReason.INCOMPLETE)
    else:
        findings.no_evidence(ClaimKind.FOLLOW_UP, assertion, span)


def _order_for(case: Case, sentence: Sentence, statement: FollowUpStatement) -> ChartOrder | None:
    orders = [order for order in case.chart.orders if order.kind is OrderKind.FOLLOW_UP]
    sources = {source.reference for source in sentence.sources}
    for order in orders:
        if order.source.reference in sources and len(orders) > 1 and _kind_fits(order, statement):
            return order
    fitting = [order for order in orders if _kind_fits(order, statement)]
    return fitting[0] if len(fitting) == 1 else None


def _kind_fits(order: ChartOrder, statement: FollowUpStatement) -> bool:
    kind = visit_kind(order.text)
    return kind is None or not statement.visit or kind == statement.visit


def _within(order: ChartOrder) -> Quantity | None:
    if order.within is not None:
        return order.within
    return next((one.latest for one in follow_up_statements(order.text, follow_up_section=True) if one.latest), None)
