"""A guess at an item's sentence, so that the model verifies many words in one pass instead of writing one at a time."""

from service_contracts.chart import MedicationChange, OrderKind

from adapter_serving.items import Item, ItemKind
from adapter_serving.phrasing.conditions import plain_condition, procedure_sentence, reason_sentence, warning_sentence
from adapter_serving.phrasing.medications import medication_sentence
from adapter_serving.phrasing.order_text import read_order
from adapter_serving.phrasing.orders import order_sentence, visit_sentence

__all__ = ["guess"]

_ROUTE_WORDS: tuple[tuple[str, str], ...] = (
    ("oral", "oral"), ("by mouth", "oral"), ("inhal", "inhaled"), ("subcut", "subcutaneous"),
    ("intraven", "intravenous"),
    ("intramusc", "intramuscular"), ("sublingual", "sublingual"), ("transderm", "transdermal"), ("topical", "topical"),
    ("ophthalm", "ophthalmic"), ("otic", "otic"), ("nasal", "nasal"), ("rectal", "rectal"), ("vaginal", "vaginal"),
)  # fmt: skip


def guess(item: Item) -> str:
    """Return the likely sentence for ``item``. It is never sent: only what the model itself chooses is."""
    if item.kind is ItemKind.MEDICATION:
        return _medication(item)
    if item.kind is ItemKind.REASON:
        return reason_sentence(item.text)
    if item.kind is ItemKind.PROCEDURE:
        return procedure_sentence(item.text)
    if item.kind is ItemKind.WARNING:
        return warning_sentence(item.text)
    if item.kind is ItemKind.FOLLOW_UP:
        return visit_sentence(item.text, item.values.get("within"))
    return order_sentence(OrderKind.ACTIVITY if item.kind is ItemKind.ACTIVITY else OrderKind.DIET, item.text)


def _medication(item: Item) -> str:
    values, known = item.values, {}
    if "dose" in values:
        known["dose"] = values["dose"]
    if "often" in values:
        known["rhythm"] = values["often"]
    if "needed" in values:
        known["as_needed"] = "yes"
    if "long" in values:
        known["duration"] = values["long"]
    route = next((word for part, word in _ROUTE_WORDS if part in values.get("route", "").lower()), None)
    if route:
        known["route"] = route
    reason = plain_condition(values["reason"]) if "reason" in values else None
    sig = read_order(values.get("order"), known)
    return medication_sentence(item.text, MedicationChange(values["change"]), sig, reason)
