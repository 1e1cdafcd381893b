"""What happens in a hospital: a patient is admitted, gets a discharge list and leaves. All of it is made up."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_support.client import FhirClient

from .hospital import CLINICIAN, STAYS

__all__ = ["admit", "discharge", "ended_stay", "enter_launched_stays", "patient", "written"]

Resource = dict[str, Any]


def patient(family: str) -> Resource:
    """Return a patient who is not stored yet."""
    return {"resourceType": "Patient", "name": [{"family": family}], "gender": "female", "birthDate": "1961-02-03"}


async def admit(client: FhirClient, family: str = "Discharged") -> str:
    """Admit a patient and write the discharge list; return the encounter's reference."""
    one = await client.create(patient(family))
    encounter = await client.create(_encounter(f"Patient/{one['id']}"))
    reference = f"Encounter/{encounter['id']}"
    await client.create(_order(f"Patient/{one['id']}", reference))
    return reference


async def enter_launched_stays(client: FhirClient) -> None:
    """Enter the clinician and the stays that the OAuth server launches, under the ids it knows, once or again."""
    kind, _, clinician_id = CLINICIAN.partition("/")
    await client.update({"resourceType": kind, "id": clinician_id, "name": [{"family": "House", "given": ["A"]}]})
    for stay in STAYS.values():
        await client.update({**patient(f"Of {stay['encounter']}"), "id": stay["patient"]})
        subject = f"Patient/{stay['patient']}"
        await client.update({**_encounter(subject), "id": stay["encounter"]})
        order = _order(subject, f"Encounter/{stay['encounter']}")
        await client.update({**order, "id": f"order-{stay['encounter']}"})


async def discharge(client: FhirClient, encounter: str) -> None:
    """End the stay."""
    resource = await client.read(encounter)
    resource["period"]["end"] = datetime.now(UTC).isoformat()
    await client.update({**resource, "status": "finished"})


async def ended_stay(client: FhirClient, family: str, limit_s: float = 90.0) -> str:
    """Admit and discharge a patient and wait for the document; return the encounter's reference."""
    async with asyncio.timeout(limit_s):
        while not await client.search("Subscription", [("status", "active")]):  # noqa: ASYNC110  another process acts
            await asyncio.sleep(0.1)
        encounter = await admit(client, family)
        await discharge(client, encounter)
        while not await written(client, encounter):  # noqa: ASYNC110  another process acts
            await asyncio.sleep(0.1)
    return encounter


async def written(client: FhirClient, encounter: str) -> dict[str, list[Resource]] | None:
    """Return what was written about a stay, by type. The server searches some of the types by nothing of theirs."""
    subject = (await client.read(encounter))["subject"]["reference"]
    types = ("Composition", "DocumentReference", "DetectedIssue", "Provenance", "AuditEvent", "Task")
    found = {name: await client.search(name, [("_count", "100")]) for name in types}
    kept = {name: [one for one in resources if subject in json.dumps(one)] for name, resources in found.items()}
    targets = {f"Composition/{one['id']}" for one in kept["Composition"]}
    kept["Provenance"] = [one for one in found["Provenance"] if _targets(one) & targets]
    return kept if targets else None


def _targets(provenance: Resource) -> set[str]:
    return {f"Composition/{target['reference'].rpartition('/')[2]}" for target in provenance["target"]}


def _encounter(subject: str) -> Resource:
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "subject": {"reference": subject},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "period": {"start": (datetime.now(UTC) - timedelta(days=4)).isoformat()},
        "reasonCode": [{"text": "Heart failure"}],
    }


def _order(subject: str, encounter: str) -> Resource:
    category = {"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}
    milligrams = {"value": 80, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [category]}],
        "medicationCodeableConcept": {"text": "Simvastatin"},
        "subject": {"reference": subject},
        "encounter": {"reference": encounter},
        "authoredOn": datetime.now(UTC).isoformat(),
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": milligrams}],
            }
        ],
    }
