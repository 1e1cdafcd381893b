"""What a chart reference stands for, in the words of the chart, for a reader who does not read FHIR."""

from service_contracts.chart import Chart
from service_contracts.quantity import Quantity

__all__ = ["chart_words"]


def chart_words(chart: Chart, reference: str) -> str | None:
    """Return one line about the chart item at ``reference``, or None where the chart does not hold it."""
    for medication in chart.medications:
        if medication.source.reference == reference:
            return _joined("Order", medication.name, medication.text)
    for order in chart.orders:
        if order.source.reference == reference:
            return _joined("Order", order.text)
    for allergy in chart.allergies:
        if allergy.source.reference == reference:
            return _joined("Allergy", allergy.name, allergy.reaction)
    for observation in chart.observations:
        if observation.source.reference == reference:
            on = observation.effective.date().isoformat() if observation.effective else None
            return _joined("Measured", observation.name, _amount(observation.value), on)
    for procedure in chart.procedures:
        if procedure.source.reference == reference:
            on = procedure.performed.date().isoformat() if procedure.performed else None
            return _joined("Procedure", procedure.name, on)
    for condition in chart.conditions:
        if condition.source.reference == reference:
            return _joined("Problem", condition.name)
    return None


def _amount(quantity: Quantity) -> str:
    return f"{quantity.value:g} {quantity.unit}"


def _joined(label: str, *parts: str | None) -> str:
    return f"{label}: {', '.join(part for part in parts if part)}"
