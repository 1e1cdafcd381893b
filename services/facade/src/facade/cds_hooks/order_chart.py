"""The draft orders of a hook and the chart they stand in; pure, so that it can be tested on recorded requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service_contracts.chart import Chart, ChartMedication, ChartReference, MedicationChange

from facade.cds_hooks.prefetch import Found
from facade.cds_hooks.request import HookRequest
from facade.gather.chart import StayResources, chart_of
from facade.gather.medications import active_medications, order_medication

__all__ = ["DraftOrder", "draft_orders", "order_chart"]

Resource = dict[str, Any]


@dataclass(frozen=True)
class DraftOrder:
    """A medication order that is not signed. ``selected`` ones are asked about; ``resource`` is as it was sent."""

    medication: ChartMedication
    resource: Resource
    selected: bool

    @property
    def reference(self) -> str:
        """The reference by which the EHR knows the draft."""
        return self.medication.source.reference


def draft_orders(request: HookRequest) -> tuple[DraftOrder, ...]:
    """Return the medication orders among ``context.draftOrders``; raise ``ValueError`` where that is no Bundle.

    With order-select only those in ``context.selections`` are asked about, beside the others; that field is optional
    (hook library, "order-select"), and without it all are. Orders of other kinds are not what these services check.
    """
    bundle = request.context.get("draftOrders")
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise ValueError("context.draftOrders is not a Bundle")
    resources = [entry["resource"] for entry in bundle.get("entry", []) if isinstance(entry.get("resource"), dict)]
    selections = request.context.get("selections") if request.hook == "order-select" else None
    if selections is not None and not isinstance(selections, list):
        raise ValueError("context.selections is not a list")
    medications = _by_reference(resources, "Medication")
    found = []
    for number, resource in enumerate(resources):
        if resource.get("resourceType") != "MedicationRequest" or resource.get("doNotPerform"):
            continue
        named = resource if resource.get("id") else {**resource, "id": f"unnamed-{number}"}
        medication = order_medication(named, medications, MedicationChange.NEW)
        reference = medication.source.reference
        chosen = selections is None or any(str(one).endswith(reference) for one in selections)
        found.append(DraftOrder(medication, resource, chosen))
    return tuple(found)


def order_chart(request: HookRequest, drafts: Iterable[DraftOrder], found: Found, as_of: date) -> Chart:
    """Return the chart beside the drafts that are asked about: what the patient takes, and the other drafts.

    An order that a draft replaces (the same id, or ``priorPrescription``) is not taken beside it. An order outside a
    stay has the patient for its encounter.
    """
    every = tuple(drafts)
    requests = found.resources.get("medications", ())
    medications = _by_reference([*requests], "Medication")
    replaced = {reference for draft in every for reference in _replaces(draft)}
    active = active_medications(
        (one for one in requests if one.get("resourceType") == "MedicationRequest"), medications
    )
    encounter_id = request.encounter_id or "none"
    stay = StayResources(
        encounter={"resourceType": "Encounter", "id": encounter_id},
        patient=found.resources["patient"][0],
        conditions=_of(found, "conditions", "Condition"),
        allergies=_of(found, "allergies", "AllergyIntolerance"),
        observations=_of(found, "observations", "Observation"),
        coverages=_of(found, "coverage", "Coverage"),
    )
    chart = chart_of(stay, as_of)
    patient = ChartReference(reference=f"Patient/{request.patient_id}")
    return chart.model_copy(
        update={
            "encounter": chart.encounter if request.encounter_id else patient,
            "medications": (
                *(one for one in active if one.source.reference not in replaced),
                *(draft.medication for draft in every if not draft.selected),
            ),
        }
    )


def _replaces(draft: DraftOrder) -> Iterable[str]:
    yield draft.reference
    prior = (draft.resource.get("priorPrescription") or {}).get("reference")
    if isinstance(prior, str):
        yield "/".join(prior.split("/")[-2:])


def _of(found: Found, key: str, resource_type: str) -> list[Resource]:
    return [one for one in found.resources.get(key, ()) if one.get("resourceType") == resource_type]


def _by_reference(resources: Iterable[Mapping[str, Any]], resource_type: str) -> dict[str, Mapping[str, Any]]:
    return {
        f"{resource_type}/{one['id']}": one
        for one in resources
        if one.get("resourceType") == resource_type and one.get("id")
    }
