"""Chart items as short prompts: one row each, so that no item's words can reach another item's sentence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from service_contracts.chart import Chart, ChartMedication, ChartReference, OrderKind
from service_contracts.quantity import Quantity

__all__ = ["Item", "ItemKind", "chart_items", "rhythm_words"]


class ItemKind(StrEnum):
    """What a sentence is written from; the word that opens the prompt."""

    REASON = "reason"
    PROCEDURE = "procedure"
    MEDICATION = "medicine"
    ACTIVITY = "activity"
    DIET = "diet"
    FOLLOW_UP = "visit"
    WARNING = "warning"


@dataclass(frozen=True)
class Item:
    """One sentence to write: the item's words, further values by name, and the chart resource they come from."""

    kind: ItemKind
    text: str
    source: ChartReference
    values: dict[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The row's prompt: "medicine: Metformin | change: new | order: 1500mg PO TID | ..."."""
        parts = [f"{self.kind}: {_clean(self.text)}"]
        parts += [f"{name}: {_clean(value)}" for name, value in self.values.items()]
        return " | ".join(parts) + "\n"


_ORDER_KINDS = {
    OrderKind.ACTIVITY: ItemKind.ACTIVITY,
    OrderKind.DIET: ItemKind.DIET,
    OrderKind.FOLLOW_UP: ItemKind.FOLLOW_UP,
}
_UNITS = {
    "[iU]": "units",
    "ug": "mcg",
    "[drp]": "drop",
    "meq": "mEq",
    "h": "hour",
    "d": "day",
    "wk": "week",
    "mo": "month",
}
_COUNTED = frozenset({"drop", "hour", "day", "week", "month", "tablet", "capsule", "puff", "patch", "spray"})
_SENTENCE_END = re.compile(r"(?<!\bDr\.)(?<=[.!])\s+(?=[A-Z])|;\s*|\n+")


def chart_items(chart: Chart) -> Iterator[Item]:
    """Yield every item of ``chart`` that a template may ask a sentence for, in chart order."""
    reasons = [condition for condition in chart.conditions if condition.principal] or list(chart.conditions[:1])
    for condition in reasons[:1]:
        yield Item(ItemKind.REASON, condition.name, condition.source)
    if not reasons and chart.reason:
        yield Item(ItemKind.REASON, chart.reason, chart.encounter)
    for procedure in chart.procedures:
        yield Item(ItemKind.PROCEDURE, procedure.name, procedure.source)
    for medication in chart.medications:
        yield _medication(medication)
    for order in chart.orders:
        within = {"within": _quantity(order.within)} if order.within is not None else {}
        for sentence in _SENTENCE_END.split(order.text):
            if sentence.strip():
                yield Item(_ORDER_KINDS[order.kind], sentence, order.source, within)
    for condition in reasons[:1]:
        yield Item(ItemKind.WARNING, condition.name, condition.source)


def _medication(medication: ChartMedication) -> Item:
    values = {"change": str(medication.change)}
    if medication.text:
        values["order"] = medication.text
    if medication.dose is not None:
        values["dose"] = _quantity(medication.dose)
    if medication.route:
        values["route"] = medication.route
    if medication.times_per_day is not None:
        values["often"] = rhythm_words(medication.times_per_day)
    if medication.as_needed:
        values["needed"] = "yes"
    if medication.duration is not None:
        values["long"] = _quantity(medication.duration)
    if medication.reason:
        values["reason"] = medication.reason
    return Item(ItemKind.MEDICATION, medication.name, medication.source, values)


def _quantity(quantity: Quantity) -> str:
    unit = _UNITS.get(quantity.unit, quantity.unit.strip("{}"))
    if unit in _COUNTED and quantity.value != 1:
        unit += "es" if unit == "patch" else "s"
    return f"{quantity.value:.10g} {unit}"


def rhythm_words(times_per_day: float) -> str:
    """Return a number of times a day in words: "3 times a day", "every other day"."""
    if times_per_day >= 1:
        return "once a day" if times_per_day == 1 else f"{times_per_day:.4g} times a day"
    days = f"{1 / times_per_day:.4g}" if times_per_day > 0 else "0"
    return {"2": "every other day", "7": "once a week"}.get(days, f"every {days} days")


def _clean(text: str) -> str:
    # What separates fields, lines or the model's own marks never comes from a chart.
    plain = re.sub(r"[|\x00-\x1f\x7f]", " ", text).replace("<", " less than ")
    return re.sub(r"\s+", " ", plain).strip()
