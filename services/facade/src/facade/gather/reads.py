"""Reading a stay from the EHR: one read, then a few searches side by side."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirRequestRefused
from fhir_support.references import InvalidReference, resource_key
from service_contracts.chart import Chart

from facade.gather.chart import OBSERVATION_CODES, StayResources, chart_of

__all__ = ["gather_chart", "gather_stay"]


async def gather_chart(client: FhirClient, encounter: str, as_of: date | None = None) -> Chart:
    """Return the chart of ``encounter`` (``Encounter/ID``); raise ``FhirClientError`` when any part cannot be read.

    A part that cannot be read is never taken for an empty one.
    """
    return chart_of(await gather_stay(client, encounter), as_of or datetime.now(UTC).date())


async def gather_stay(
    client: FhirClient, encounter: str, read_encounter: dict[str, Any] | None = None
) -> StayResources:
    """Read everything the chart of ``encounter`` is made from; ``read_encounter`` saves reading it again."""
    stay = read_encounter or await client.read(encounter)
    try:
        patient = resource_key(str((stay.get("subject") or {}).get("reference")), client.base)
    except InvalidReference:
        raise FhirAnswerInvalid("the encounter names no patient of this server") from None
    if patient.resource_type != "Patient":
        raise FhirAnswerInvalid("the subject of the encounter is not a patient")
    of_patient = ("patient", patient.id)
    of_encounter = ("encounter", encounter)
    codes = ",".join(f"http://loinc.org|{code}" for code in OBSERVATION_CODES)
    person, found = await asyncio.gather(
        client.read(patient.reference),
        asyncio.gather(
            client.search("Condition", [of_patient, ("_count", "200")]),
            client.search("Procedure", [of_patient, of_encounter, ("_count", "200")]),
            client.search(
                "MedicationRequest", [of_patient, ("_include", "MedicationRequest:medication"), ("_count", "200")]
            ),
            client.search("AllergyIntolerance", [of_patient, ("_count", "200")]),
            client.search("Observation", [of_patient, ("code", codes), ("_sort", "-date"), ("_count", "200")]),
            client.search("ServiceRequest", [of_patient, of_encounter, ("_count", "200")]),
            _coverages(client, of_patient),
        ),
    )
    conditions, procedures, requests, allergies, observations, orders, coverages = found
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in requests:
        by_type.setdefault(str(resource.get("resourceType")), []).append(resource)
    return StayResources(
        encounter=stay,
        patient=person,
        conditions=conditions,
        procedures=procedures,
        medication_requests=by_type.get("MedicationRequest", []),
        medications={f"Medication/{item['id']}": item for item in by_type.get("Medication", [])},
        allergies=allergies,
        observations=observations,
        orders=orders,
        coverages=coverages,
    )


async def _coverages(client: FhirClient, of_patient: tuple[str, str]) -> list[dict[str, Any]]:
    """Coverage only adds the formulary plan; an EHR that does not serve it or does not let us is no failure.

    Without a plan no formulary claim is made or checked, so nothing unchecked looks checked.
    """
    try:
        return await client.search("Coverage", [of_patient, ("status", "active")])
    except FhirRequestRefused:
        return []
