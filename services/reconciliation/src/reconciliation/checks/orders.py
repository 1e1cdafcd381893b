"""What the draft says of each medicine against the chart's order, and orders the draft leaves out."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from service_contracts.chart import ChartMedication, MedicationChange
from service_contracts.evidence import Severity
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Span

from reconciliation.case import Case, DraftedDrug
from reconciliation.drug_names import plain_name
from reconciliation.findings import Findings
from reconciliation.grammar import route_of
from reconciliation.intake import says
from reconciliation.order_words import Ordered, ordered
from reconciliation.rhythm import as_needed
from reconciliation.statements import Place
from reconciliation.units import compare
from reconciliation.wording import dose_words, duration, times

__all__ = ["check_orders"]


class _Difference(NamedTuple):
    severity: Severity
    finding: str
    place: Place | None
    correction: str | None


def check_orders(case: Case, findings: Findings) -> None:
    """Judge every medicine against its order, then every order the document does not speak of."""
    for drug in case.drugs:
        if drug.order is None:
            if drug.taken:
                _not_ordered(case, findings, drug)
            continue
        _check_one(case, findings, drug, drug.order)
    for order in case.not_drafted():
        _left_out(case, findings, order)


def _check_one(case: Case, findings: Findings, drug: DraftedDrug, order: ChartMedication) -> None:
    assertion, span, chart = says(drug), case.span(drug), (order.source,)
    stopped = order.change is MedicationChange.STOPPED
    if drug.taken and stopped:
        findings.contradicted(
            ClaimKind.CHART_FACT, assertion, span, severity=Severity.HIGH, chart=chart,
            finding=f"The chart stops {drug.name}; the draft tells the patient to take it.",
            replaces=case.whole(drug), correction=f"Stop taking {drug.name}.",
        )  # fmt: skip
        return
    if not drug.taken:
        if stopped:
            findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=chart)
        else:
            findings.contradicted(
                ClaimKind.CHART_FACT, assertion, span, severity=Severity.HIGH, chart=chart,
                finding=f"The chart orders {drug.name}; the draft tells the patient to stop it.",
            )  # fmt: skip
        return
    differences = list(_differences(drug, order, ordered(order)))
    if differences:
        first = differences[0]
        claim = findings.contradicted(
            ClaimKind.CHART_FACT, assertion, span, severity=first.severity, finding=first.finding, chart=chart,
            replaces=_replaces(case, drug, first), correction=first.correction,
        )  # fmt: skip
        for other in differences[1:]:
            findings.flag(
                claim, ClaimKind.CHART_FACT, _replaces(case, drug, other) or span, severity=other.severity,
                finding=other.finding, says=assertion, chart=chart, correction=other.correction,
            )  # fmt: skip
    elif _leaves_open(drug, order, ordered(order)):
        findings.not_checked(ClaimKind.CHART_FACT, assertion, span, NotCheckedReason.INCOMPLETE, chart=chart)
    else:
        findings.supported(ClaimKind.CHART_FACT, assertion, span, chart=chart)


def _replaces(case: Case, drug: DraftedDrug, difference: _Difference) -> Span | None:
    return case.document.span(drug.sentence, difference.place) if difference.place else None


def _differences(drug: DraftedDrug, order: ChartMedication, chart: Ordered) -> Iterator[_Difference]:
    statement, name = drug.statement, plain_name(order.name)
    if statement.dose is not None and _extra(drug):
        yield _Difference(Severity.MODERATE, f"The order for {name} does not speak of an extra dose.", None, None)
    elif statement.dose is not None and not _same_dose(drug, chart):
        if chart.high and _comparable(statement.dose.high, chart.high):
            words = dose_words(chart.low, chart.high)
            yield _Difference(
                Severity.HIGH,
                f"The order for {name} is {words}; the draft says {statement.dose.place.of(drug.sentence.text)}.",
                statement.dose.place,
                None if statement.dose.varies else _keeping_name(drug, statement.dose.place, words),
            )
        elif not chart.high and not order.text:
            yield _Difference(Severity.MODERATE, f"The order for {name} gives no dose; the draft does.", None, None)
    rhythm = statement.frequency
    if rhythm is not None and rhythm.high is not None:
        place = Place(rhythm.start, rhythm.end)
        if chart.times_high is None or chart.times_low is None:
            if not (order.as_needed and statement.as_needed and order.text and chart.times_high is not None):
                yield _Difference(
                    Severity.MODERATE,
                    f"The order for {name} does not say how often; the draft says {place.of(drug.sentence.text)}.",
                    place,
                    None,
                )
        elif not _same_times(rhythm.low or rhythm.high, rhythm.high, chart):
            words = times(chart.times_high)
            yield _Difference(
                Severity.HIGH,
                f"The order for {name} is {words}; the draft says {place.of(drug.sentence.text)}.",
                place,
                words,
            )
    needed = order.as_needed or as_needed(order.text or "")
    if statement.as_needed != needed and (statement.as_needed or statement.frequency is not None):
        said = "only as needed" if needed else "on a fixed schedule"
        yield _Difference(
            Severity.MODERATE, f"The order for {name} is to be taken {said}; the draft says otherwise.", None, None
        )
    given, route = statement.route, route_of(order.route) or route_of(order.text)
    if given and route and given != route and not {given, route} <= _SAME_WAY:
        yield _Difference(Severity.MODERATE, f"The order for {name} is {route}; the draft says {given}.", None, None)
    if (
        statement.duration is not None
        and order.duration is not None
        and compare(statement.duration, order.duration) != 0
    ):
        yield _Difference(
            Severity.MODERATE,
            f"The order for {name} is for {duration(order.duration)}; the draft says {duration(statement.duration)}.",
            statement.duration_place,
            f"for {duration(order.duration)}",
        )
    if statement.change is not None and not _same_change(statement.change, order.change):
        yield _Difference(
            Severity.LOW,
            f"The chart lists {name} as {order.change.value}; the draft calls it {statement.change.value}.",
            None,
            None,
        )


_SAME_WAY = frozenset({"injection", "subcutaneous", "intramuscular", "intravenous"})


def _same_change(said: MedicationChange, ordered_: MedicationChange) -> bool:
    # "Keep taking" is right for a medicine whose dose was changed too; "start" is not.
    return said is ordered_ or {said, ordered_} == {MedicationChange.CONTINUED, MedicationChange.CHANGED}


def _same_dose(drug: DraftedDrug, chart: Ordered) -> bool:
    dose = drug.statement.dose
    if dose is None or dose.varies or not chart.high:
        return False
    for high in (dose.high, *((dose.other,) if dose.other else ())):
        low = dose.low if high is dose.high else high
        if _equal(high, chart.high) and (_equal(low, chart.low) or _equal(low, chart.high)):
            return True
    return False


def _extra(drug: DraftedDrug) -> bool:
    assert drug.statement.dose is not None
    before = drug.sentence.text[drug.statement.place.start : drug.statement.dose.place.start]
    return re.search(r"\b(?:extra|additional)\s*$", before, re.I) is not None


def _equal(a: tuple[Quantity, ...], b: tuple[Quantity, ...]) -> bool:
    return len(a) == len(b) and all(compare(one, other) == 0 for one, other in zip(a, b, strict=True))


def _comparable(a: tuple[Quantity, ...], b: tuple[Quantity, ...]) -> bool:
    return compare(a[0], b[0]) is not None


def _same_times(low: float, high: float, chart: Ordered) -> bool:
    assert chart.times_low is not None and chart.times_high is not None
    same_high = abs(high - chart.times_high) < 1e-3
    return same_high and (abs(low - chart.times_low) < 1e-3 or abs(low - high) < 1e-3)


def _leaves_open(drug: DraftedDrug, order: ChartMedication, chart: Ordered) -> bool:
    statement = drug.statement
    dose_open = bool(chart.high) and (statement.dose is None or not _comparable(statement.dose.high, chart.high))
    added = statement.dose is not None and not chart.high
    times_open = chart.times_high is not None and statement.frequency is None
    return dose_open or added or times_open or (order.duration is not None and statement.duration is None)


def _keeping_name(drug: DraftedDrug, place: Place, words: str) -> str:
    inside = place.start <= drug.statement.name_place.start and drug.statement.name_place.end <= place.end
    return f"{words} of {drug.statement.name}" if inside else words


def _not_ordered(case: Case, findings: Findings, drug: DraftedDrug) -> None:
    if (
        drug.resolved.reason not in (None, NotCheckedReason.UNRESOLVED)
        and case.chart.medications
        and not drug.statement.certain
    ):
        findings.not_checked(ClaimKind.CHART_FACT, says(drug), case.span(drug), drug.resolved.reason)
        return
    findings.contradicted(
        ClaimKind.CHART_FACT, says(drug), case.span(drug), severity=Severity.HIGH, chart=(case.chart.encounter,),
        finding=f"{drug.name.capitalize()} is not among the discharge medications in the chart.",
        replaces=case.whole(drug), correction=f"Ask your care team before you take {drug.name}.",
    )  # fmt: skip


def _left_out(case: Case, findings: Findings, order: ChartMedication) -> None:
    name = plain_name(order.name)
    assertion = f"nothing is said about {name}"
    if case.incomplete:
        findings.not_checked(ClaimKind.CHART_FACT, assertion, None, NotCheckedReason.DEADLINE, chart=(order.source,))
        return
    stopped = order.change is MedicationChange.STOPPED
    act = "stops" if stopped else "orders"
    severity = Severity.MODERATE if order.change is MedicationChange.CONTINUED else Severity.HIGH
    findings.contradicted(
        ClaimKind.CHART_FACT, assertion, None, severity=severity,
        finding=f"The chart {act} {name}; the document does not say so.", says=f"nothing about {name}",
        chart=(order.source,),
    )  # fmt: skip
