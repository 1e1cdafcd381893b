"""Draft orders of a made-up patient, as a CDS client sends them: one dose is above what its label allows."""

import uuid
from typing import Any

__all__ = ["CONTEXT", "PREFETCH", "TOO_MUCH", "draft_orders"]

Resource = dict[str, Any]

_PATIENT = "pat-cds"


def _order(number: int, text: str, milligrams: int, times: int) -> Resource:
    dose = {"value": milligrams, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "resourceType": "MedicationRequest",
        "id": f"draft-{number}",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "medicationCodeableConcept": {"text": text},
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": dose}],
            }
        ],
    }


def _bundle(*resources: Resource, kind: str = "searchset") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": one} for one in resources]}


PREFETCH = {
    "patient": {"resourceType": "Patient", "id": _PATIENT, "gender": "female", "birthDate": "1961-02-03"},
    **{
        name: {**_bundle(), "total": 0}
        for name in ("medications", "allergies", "conditions", "observations", "coverage")
    },
}
CONTEXT = {"userId": "Practitioner/dr-1", "patientId": _PATIENT, "encounterId": "enc-cds"}
_ORDERS = _bundle(_order(1, "Simvastatin", 80, 1), kind="collection")
TOO_MUCH = {**CONTEXT, "draftOrders": _ORDERS}


def draft_orders() -> Resource:
    """Return a call of order-sign."""
    return {"hook": "order-sign", "hookInstance": str(uuid.uuid4()), "context": TOO_MUCH, "prefetch": PREFETCH}
