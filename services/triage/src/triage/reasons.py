"""Why the model says so: what it would say of the same patient if one input were not known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from service_contracts.triage import TriageReason

from triage.intake import Intake
from triage.model import Prediction

__all__ = ["Predicts", "reasons_for", "without"]

_STRONGEST = 3
_SHOWN_FROM = 0.02
"""A change of the expected level smaller than this is no reason."""


class Predicts(Protocol):
    """What reasons are asked of."""

    def predict(self, patients: Sequence[Intake], /) -> list[Prediction]:
        """Return a prediction for each patient."""
        ...


def reasons_for(patient: Intake, model: Predicts) -> tuple[Prediction, tuple[TriageReason, ...]]:
    """Return the prediction and the three inputs that moved the expected level most, strongest first.

    The weight is in levels: positive where the input makes the patient more urgent. The safety floor is no input.
    """
    inputs = list(patient.used)
    whole, *others = model.predict([patient, *(without(patient, one.name) for one in inputs)])
    found = []
    for one, other in zip(inputs, others, strict=True):
        weight = _expected(other) - _expected(whole)
        if abs(weight) >= _SHOWN_FROM:
            unit = f" {one.unit}" if one.unit else ""
            found.append(
                TriageReason(
                    input=one.name,
                    words=f"{_WORDS.get(one.name, one.name)}: {one.value}{unit}",
                    direction="more-urgent" if weight > 0 else "less-urgent",
                    weight=round(weight, 3),
                )
            )
    found.sort(key=lambda reason: -abs(reason.weight))
    return whole, tuple(found[:_STRONGEST])


_WORDS = {
    "age": "Age",
    "sex": "Sex",
    "arrival": "Arrival",
    "came-from": "Came from",
    "complaint": "Complaint",
    "temperature": "Temperature",
    "pulse": "Heart rate",
    "respirations": "Breathing rate",
    "systolic": "Systolic blood pressure",
    "diastolic": "Diastolic blood pressure",
    "oxygen-saturation": "Oxygen saturation",
    "pain": "Pain",
    "mental-status": "Mental status",
    "conditions": "Known conditions",
}


def _expected(prediction: Prediction) -> float:
    return sum(level * probability for level, probability in enumerate(prediction.probabilities, start=1))


def without(patient: Intake, name: str) -> Intake:
    """Return ``patient`` as if one input were not known."""
    if name in {kind.value for kind in patient.values}:
        return replace(patient, values={kind: value for kind, value in patient.values.items() if kind.value != name})
    match name:
        case "complaint":
            return replace(patient, complaints=())
        case "age":
            return replace(patient, age_months=None)
        case "sex":
            return replace(patient, sex=None)
        case "arrival":
            return replace(patient, ambulance=None)
        case "came-from":
            return replace(patient, came_from=None)
        case "mental-status":
            return replace(patient, mental_status=None)
        case "conditions":
            return replace(patient, conditions=None)
        case _:
            raise KeyError(name)
