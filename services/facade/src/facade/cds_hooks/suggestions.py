"""Suggestions: a proposal of reconciliation as an action on the draft order that the EHR sent."""

import copy
from typing import Any

from service_contracts.order_checks import OrderProposal, ProposedAction

from facade.cds_hooks.order_chart import DraftOrder

__all__ = ["suggestion"]

Json = dict[str, Any]

_UCUM = "http://unitsofmeasure.org"


def suggestion(proposal: OrderProposal, draft: DraftOrder, uuid: str) -> Json | None:
    """Return the suggestion, or None where the EHR gave the draft no id by which it could be meant."""
    if not draft.resource.get("id"):
        return None
    if proposal.action is ProposedAction.WITHDRAW:
        action: Json = {"type": "delete", "description": proposal.words, "resourceId": draft.reference}
    else:
        action = {"type": "update", "description": proposal.words, "resource": _changed(draft, proposal)}
    return {"label": proposal.words, "uuid": uuid, "actions": [action]}


def _changed(draft: DraftOrder, proposal: OrderProposal) -> Json:
    """Return the whole order with the proposed dose and rhythm in place of its own.

    The sig in words would contradict them, so it is written anew; everything else stays as it was sent.
    """
    assert proposal.dose is not None and proposal.times_per_day is not None
    order = copy.deepcopy(draft.resource)
    dosage = (order.get("dosageInstruction") or [{}])[0]
    old = ((dosage.get("doseAndRate") or [{}])[0]).get("doseQuantity") or {}
    often = proposal.times_per_day
    repeat = {
        key: value
        for key, value in ((dosage.get("timing") or {}).get("repeat") or {}).items()
        if key.startswith("bounds") or key in ("duration", "durationUnit")
    }
    rhythm = {"frequency": round(often), "period": 1, "periodUnit": "d"}
    unit = old.get("unit") or proposal.dose.unit
    quantity = {"value": _number(proposal.dose.value), "unit": unit, "system": _UCUM, "code": proposal.dose.unit}
    kept = {
        key: value for key, value in dosage.items() if key not in ("text", "patientInstruction", "maxDosePerPeriod")
    }
    words = f"{_number(proposal.dose.value)} {unit} {_times(round(often))}"
    order["dosageInstruction"] = [
        {
            **kept,
            "text": words + (" as needed" if draft.medication.as_needed else ""),
            "timing": {"repeat": {**repeat, **rhythm}},
            "doseAndRate": [{"doseQuantity": quantity}],
        }
    ]
    return order


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 6)


def _times(often: int) -> str:
    return {1: "once a day", 2: "twice a day"}.get(often, f"{often} times a day")
