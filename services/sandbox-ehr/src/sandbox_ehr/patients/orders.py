"""Discharge orders for activity, diet and follow-up, chosen by rule from the principal diagnosis.

One shape, which a reader of the chart can rely on: a ServiceRequest with status active, intent order and an
encounter; ``category.coding`` holds a code of ``DISCHARGE_ORDER_SYSTEM`` (activity, diet or follow-up); the order
in words is ``patientInstruction``; a follow-up also says the latest time after discharge in
``occurrenceTiming.repeat.boundsDuration`` (UCUM d or wk).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["DISCHARGE_ORDER_SYSTEM", "discharge_order", "discharge_orders"]

Resource = dict[str, Any]

DISCHARGE_ORDER_SYSTEM = "https://preceptor.health/fhir/CodeSystem/discharge-order"
_TITLES = {"activity": "Activity after discharge", "diet": "Diet after discharge", "follow-up": "Follow-up visit"}


@dataclass(frozen=True)
class _Plan:
    """Orders for one group of diagnoses; ``icd10`` are prefixes of ICD-10-CM codes."""

    icd10: tuple[str, ...]
    activity: str
    diet: str
    follow_up: str
    within: tuple[int, str]


# Ordinary discharge orders, written for these synthetic patients; they are examples and not clinical advice.
_PLANS = (
    _Plan(
        ("I50",),
        "Walk every day and rest when you are short of breath. Weigh yourself every morning.",
        "Eat less than 2 grams of sodium a day.",
        "Follow up with cardiology in 7 days.",
        (7, "d"),
    ),
    _Plan(
        ("I21", "I22"),
        "Do not lift more than 10 lb for 1 week. Do not drive for 1 week.",
        "Eat a heart-healthy diet low in saturated fat and sodium.",
        "Follow up with cardiology in 7 days.",
        (7, "d"),
    ),
    _Plan(
        ("S72",),
        "Use a walker. You may put weight on the operated leg as tolerated. Do not drive for 6 weeks.",
        "Eat a regular diet with enough protein, calcium and vitamin D.",
        "Follow up with orthopedics in 2 weeks.",
        (2, "wk"),
    ),
    _Plan(
        ("K80", "K81"),
        "Do not lift more than 10 lb for 4 weeks. Do not drive while you take opioid pain medicine.",
        "Eat small low-fat meals.",
        "Follow up with surgery in 2 weeks.",
        (2, "wk"),
    ),
    _Plan(
        ("J44", "J45"),
        "Increase activity as your breathing allows. Do not smoke.",
        "Eat a regular diet.",
        "Follow up with primary care in 2 weeks.",
        (2, "wk"),
    ),
    _Plan(
        ("J10", "J11", "J18"),
        "Rest, and increase activity slowly as you feel stronger.",
        "Eat a regular diet and drink plenty of fluids.",
        "Follow up with primary care in 7 days.",
        (7, "d"),
    ),
    _Plan(
        ("I63",),
        "Do not drive until your doctor says it is safe. Walk with help.",
        "Eat a heart-healthy diet low in sodium.",
        "Follow up with neurology in 7 days.",
        (7, "d"),
    ),
    _Plan(
        ("K25", "K92"),
        "Rest for a few days, then return to your usual activities.",
        "Eat a regular diet. Do not drink alcohol.",
        "Follow up with gastroenterology in 2 weeks.",
        (2, "wk"),
    ),
)
_OTHERWISE = _Plan(
    (),
    "Return slowly to your usual activities.",
    "Eat a regular diet and drink plenty of fluids.",
    "Follow up with primary care in 7 days.",
    (7, "d"),
)


def discharge_orders(resources: Iterable[Resource]) -> list[Resource]:
    """Return three orders for the one encounter among ``resources``."""
    known = list(resources)
    encounter = next(r for r in known if r["resourceType"] == "Encounter")
    plan = _plan_for(encounter, known)
    return [
        discharge_order(encounter, "activity", plan.activity),
        discharge_order(encounter, "diet", plan.diet),
        discharge_order(encounter, "follow-up", plan.follow_up, plan.within),
    ]


def discharge_order(encounter: Resource, kind: str, text: str, within: tuple[int, str] | None = None) -> Resource:
    """Build one order; ``within`` is a number and a UCUM unit."""
    attending = encounter["participant"][0]["individual"]
    order: Resource = {
        "resourceType": "ServiceRequest",
        "id": f"{kind}-{encounter['id']}",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": DISCHARGE_ORDER_SYSTEM, "code": kind}], "text": kind}],
        "code": {"text": _TITLES[kind]},
        "subject": encounter["subject"],
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "authoredOn": encounter["period"].get("end", encounter["period"]["start"]),
        "requester": attending,
        "patientInstruction": text,
    }
    if within is not None:
        value, unit = within
        bounds = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        order["occurrenceTiming"] = {"repeat": {"boundsDuration": bounds}}
    return order


def _plan_for(encounter: Resource, resources: list[Resource]) -> _Plan:
    conditions = {f"Condition/{r['id']}": r for r in resources if r["resourceType"] == "Condition"}
    diagnoses = sorted(encounter.get("diagnosis", []), key=lambda d: d.get("rank", 99))
    principal = conditions[diagnoses[0]["condition"]["reference"]]
    code = principal["code"]["coding"][0]["code"]
    return next((plan for plan in _PLANS if code.startswith(plan.icd10)), _OTHERWISE)
