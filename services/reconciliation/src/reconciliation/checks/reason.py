"""The reason for the stay and the diet against the chart."""

import re

from service_contracts.chart import ChartReference, OrderKind
from service_contracts.drafts import SectionKey
from service_contracts.evidence import Severity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

from reconciliation.case import Case
from reconciliation.condition_words import concepts, content_words
from reconciliation.document import Sentence
from reconciliation.findings import Findings
from reconciliation.grammar import amounts

__all__ = ["check_diet", "check_reason"]


def check_reason(case: Case, findings: Findings) -> None:
    """Judge the sentences on why the patient was in the hospital.

    A sentence agrees when it names a condition, procedure or reason of the chart, in the chart's words or in plain
    ones; it is contradicted when it names a well-known condition that the chart does not hold at all.
    """
    stated = [sentence for sentence in case.document.sentences if sentence.section is SectionKey.REASON]
    items: list[tuple[str, ChartReference]] = [
        *((condition.name, condition.source) for condition in case.chart.conditions),
        *((procedure.name, procedure.source) for procedure in case.chart.procedures),
        *(((case.chart.reason, case.chart.encounter),) if case.chart.reason else ()),
    ]
    known = {concept for name, _ in items for concept in concepts(name)}
    for sentence in stated:
        words, named = content_words(sentence.text), concepts(sentence.text)
        if not words:
            continue
        span, assertion = case.document.whole(sentence), sentence.text.strip().rstrip(".")
        agreeing = [ref for name, ref in items if _names(name, words, named)]
        foreign = named - known
        if foreign and not _spoken_of(foreign, items):
            findings.contradicted(
                ClaimKind.CHART_FACT, assertion, span, severity=Severity.MODERATE, chart=(case.chart.encounter,),
                finding=f"The chart of this stay does not name {sorted(foreign)[0]}.",
                says=sentence.text.strip().rstrip("."),
            )  # fmt: skip
        elif agreeing:
            findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=agreeing)
        elif named or re.search(r"\b(?:because|for|with|had|have|treated)\b", sentence.text, re.I):
            findings.not_checked(ClaimKind.CHART_FACT, assertion, span, NotCheckedReason.UNRESOLVED)


def _names(name: str, words: set[str], named: set[str]) -> bool:
    own = content_words(name)
    if concepts(name) & named:
        return True
    return bool(own) and len(own & words) * 2 >= len(own)


def _spoken_of(foreign: set[str], items: list[tuple[str, ChartReference]]) -> bool:
    text = " ".join(name.lower() for name, _ in items)
    return all(concept in text for concept in foreign)


def check_diet(case: Case, findings: Findings) -> None:
    """Judge amounts in the diet section (2,000 mg of sodium) against the diet orders they were written from."""
    orders = [order for order in case.chart.orders if order.kind is OrderKind.DIET]
    for sentence in case.document.sentences:
        if sentence.section is SectionKey.DIET and orders:
            _check_diet(case, findings, sentence, [(order.text, order.source) for order in orders])


def _check_diet(case: Case, findings: Findings, sentence: Sentence, orders: list[tuple[str, ChartReference]]) -> None:
    span, assertion = case.document.whole(sentence), sentence.text.strip().rstrip(".")
    said = {(amount.high.value, amount.high.unit) for amount in amounts(sentence.text)}
    ordered = {(amount.high.value, amount.high.unit) for text, _ in orders for amount in amounts(text)}
    words = content_words(sentence.text)
    agreeing = [
        ref
        for text, ref in orders
        if content_words(text) and len(content_words(text) & words) * 2 >= len(content_words(text))
    ]
    if said and ordered and not _converted(said) <= _converted(ordered):
        findings.contradicted(
            ClaimKind.CHART_FACT, assertion, span, severity=Severity.MODERATE, chart=[ref for _, ref in orders],
            finding=f"The diet order says: {'; '.join(text.strip().rstrip('.') for text, _ in orders)}.",
            says=assertion,
        )  # fmt: skip
    elif agreeing:
        findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=agreeing)
    elif said:
        findings.no_evidence(ClaimKind.CHART_FACT, assertion, span)


def _converted(amounts_: set[tuple[float, str]]) -> set[tuple[float, str]]:
    scale = {"g": (1000.0, "mg"), "L": (1000.0, "mL")}
    return {(value * scale[unit][0], scale[unit][1]) if unit in scale else (value, unit) for value, unit in amounts_}
