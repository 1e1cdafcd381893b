"""Draft medication orders, and those that wait while their prescriber reads what was found."""

import secrets
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["InvalidOrder", "PendingOrder", "PendingOrders", "draft_order", "signed"]

Resource = dict[str, Any]

_MAX_PENDING = 200


class InvalidOrder(ValueError):
    """The form does not say enough for an order."""


@dataclass(frozen=True)
class PendingOrder:
    """A draft with the cards that were shown about it."""

    encounter: str
    draft: Resource
    cards: tuple[dict[str, Any], ...]


class PendingOrders:
    """Drafts by a name that only the page knows; the oldest are forgotten."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, PendingOrder] = OrderedDict()

    def keep(self, order: PendingOrder) -> str:
        """Keep an order; return its name."""
        name = secrets.token_urlsafe(16)
        self._held[name] = order
        while len(self._held) > _MAX_PENDING:
            self._held.popitem(last=False)
        return name

    def take(self, name: str) -> PendingOrder | None:
        """Return the order of that name, once."""
        return self._held.pop(name, None)


def draft_order(form: dict[str, str], *, patient: str, encounter: str, user: str) -> Resource:
    """Return the draft MedicationRequest of a form (drug, dose in mg, times a day); raise ``InvalidOrder``."""
    drug = " ".join(form.get("drug", "").split())
    try:
        dose, often = float(form.get("dose", "")), int(form.get("times", ""))
    except ValueError:
        raise InvalidOrder("dose and times are numbers") from None
    if not 0 < len(drug) <= 200 or not 0 < dose < 1e6 or not 0 < often <= 24:
        raise InvalidOrder("drug, dose and times are needed")
    quantity = {"value": dose, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "resourceType": "MedicationRequest",
        "id": str(uuid.uuid4()),
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "requester": {"reference": f"Practitioner/{user}"},
        "authoredOn": datetime.now(UTC).isoformat(timespec="seconds"),
        "dosageInstruction": [
            {
                "text": f"{dose:g} mg, {often} times a day" if often > 1 else f"{dose:g} mg once a day",
                "timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": quantity}],
            }
        ],
    }


def signed(draft: Resource) -> Resource:
    """Return the order as it is stored: active, and on the list the patient leaves with."""
    system = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"
    return {**draft, "status": "active", "category": [{"coding": [{"system": system, "code": "discharge"}]}]}
