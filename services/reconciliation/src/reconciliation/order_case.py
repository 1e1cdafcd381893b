"""Medication orders as a case for the checks: each order is read as the instruction that it gives."""

from collections.abc import Sequence

from service_contracts.chart import Chart, ChartMedication, MedicationChange
from service_contracts.drafts import SectionKey
from service_contracts.evidence import SubjectKind

from reconciliation.case import Case, DraftedDrug
from reconciliation.document import Document, Sentence
from reconciliation.grammar import route_of
from reconciliation.knowledge import Knowledge
from reconciliation.order_words import ordered
from reconciliation.rhythm import Frequency, as_needed
from reconciliation.statements import Action, Dose, MedicationStatement, Place

__all__ = ["order_case"]


def order_case(chart: Chart, orders: Sequence[ChartMedication], knowledge: Knowledge) -> Case:
    """Return the case of ``orders`` beside the medicines of ``chart``; only the orders are judged.

    Sentence ``n`` is order ``n``, so that a span found by a check leads back to the order it is about.
    """
    beside = [one for one in chart.medications if one.change is not MedicationChange.STOPPED]
    both = [*orders, *beside]
    sentences = tuple(
        Sentence(SectionKey.MEDICATIONS, index, _line(order), (order.source,)) for index, order in enumerate(both)
    )
    drugs = tuple(
        DraftedDrug(
            sentence,
            _statement(order, sentence.text),
            order,
            knowledge.resolve_item(SubjectKind.DRUG, order),
            reviewed=sentence.index < len(orders),
        )
        for sentence, order in zip(sentences, both, strict=True)
    )
    return Case(chart, Document(sentences), knowledge, drugs, (), (), of_orders=True)


def _line(order: ChartMedication) -> str:
    return " ".join(f"{order.name} {order.text or ''}".split())


def _statement(order: ChartMedication, line: str) -> MedicationStatement:
    whole = Place(0, len(line))
    values = ordered(order)
    dose = Dose(whole, values.low, values.high) if values.high else None
    rhythm = None
    if values.times_high is not None:
        rhythm = Frequency(whole.start, whole.end, values.times_low, values.times_high)
    return MedicationStatement(
        name=order.name,
        name_place=whole,
        place=whole,
        action=Action.TAKE,
        dose=dose,
        frequency=rhythm,
        as_needed=order.as_needed or as_needed(order.text or ""),
        route=route_of(order.route) or route_of(order.text),
        duration=order.duration,
    )
