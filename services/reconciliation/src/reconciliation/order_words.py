"""Corrections a clinician may accept with one click: the order's own values, or a sentence that is safe to read."""

from collections.abc import Sequence
from dataclasses import dataclass

from service_contracts.chart import ChartMedication
from service_contracts.evidence import DoseLimit, Fact
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import Span

from reconciliation.case import Case, DraftedDrug
from reconciliation.grammar import amounts
from reconciliation.limits import compared
from reconciliation.rhythm import frequency
from reconciliation.statements import Place
from reconciliation.units import compare, multiply, unit_of
from reconciliation.wording import dose_words, times

__all__ = ["Ordered", "ask_first", "order_correction", "ordered"]


@dataclass(frozen=True)
class Ordered:
    """What the chart orders: a dose range (one quantity each, or one per ingredient) and times a day."""

    low: tuple[Quantity, ...]
    high: tuple[Quantity, ...]
    times_low: float | None
    times_high: float | None


def ordered(order: ChartMedication) -> Ordered:
    """Read an order: its values, and from its sig what values cannot hold (5/325 mg, 40-50 mg, every 4 to 6 hours)."""
    low: tuple[Quantity, ...] = (order.dose,) if order.dose is not None else ()
    high = low
    written = [amount for amount in amounts(order.text or "") if not amount.is_count]
    if written:
        parts, top = written[0].parts, written[0].high
        agrees = order.dose is None or any(compare(order.dose, part) == 0 for part in (*parts, top))
        if agrees and (len(parts) > 1 or order.dose is None or compare(parts[0], top) != 0):
            low, high = parts, parts if len(parts) > 1 else (top,)
    rhythm = frequency(order.text or "")
    first = second = order.times_per_day
    if rhythm is not None and rhythm.low is not None and rhythm.high is not None:
        inside = first is None or rhythm.low - 1e-3 <= first <= rhythm.high + 1e-3
        if inside:
            first, second = rhythm.low, rhythm.high
    return Ordered(low, high, first, second)


def ask_first(drug: DraftedDrug, about: str) -> str:
    """Write the sentence that takes the place of an instruction nobody may follow as it stands."""
    return f"Ask your care team to confirm your {about} of {drug.name} before you take it."


def order_correction(
    case: Case, drug: DraftedDrug, limits: Sequence[tuple[Fact, DoseLimit]]
) -> tuple[Span, str] | None:
    """Return the order's dose and rhythm for the words of the draft, when the order itself keeps to ``limits``."""
    statement, order = drug.statement, drug.order
    if order is None:
        return None
    chart = ordered(order)
    if len(chart.high) != 1 or chart.times_high is None or unit_of(chart.high[0].unit) is None:
        return None
    comparison = compared(limits, chart.high[0], multiply(chart.high[0], max(1.0, chart.times_high)))
    if comparison.above or not comparison.within or statement.frequency is None:
        return None
    if statement.dose is None or statement.dose.varies:
        return None
    same_dose = len(statement.dose.high) == 1 and compare(statement.dose.high[0], chart.high[0]) == 0
    same_times = statement.frequency.high == chart.times_high
    if same_dose and same_times:
        return None
    rhythm = Place(statement.frequency.start, statement.frequency.end)
    if same_times:
        return _dose_place(case, drug, statement.dose.place, dose_words(chart.low, chart.high))
    if same_dose:
        return case.document.span(drug.sentence, rhythm), times(chart.times_high)
    start, end = min(statement.dose.place.start, rhythm.start), max(statement.dose.place.end, rhythm.end)
    between = drug.sentence.text[statement.dose.place.end : rhythm.start]
    words = f"{_named(drug, statement.dose.place, dose_words(chart.low, chart.high))}{between}{times(chart.times_high)}"
    return case.document.span(drug.sentence, Place(start, end)), words


def _dose_place(case: Case, drug: DraftedDrug, place: Place, words: str) -> tuple[Span, str]:
    return case.document.span(drug.sentence, place), _named(drug, place, words)


def _named(drug: DraftedDrug, place: Place, words: str) -> str:
    # "2 tablets of metformin 500 mg" holds the name inside the dose: the name must stay.
    inside = place.start <= drug.statement.name_place.start and drug.statement.name_place.end <= place.end
    return f"{words} of {drug.statement.name}" if inside else words
