"""The shipped patients: which stays there are, and how they are put into an empty FHIR server."""

import json
import lzma
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox_ehr.patients.dates import days_until, known_by, shift
from sandbox_ehr.patients.demonstration import DEMONSTRATION_ENCOUNTER, demonstrate
from sandbox_ehr.patients.orders import discharge_orders
from sandbox_ehr.patients.stay import reopen

__all__ = ["DATA_FILE", "STAYS", "Stay", "patients"]

Resource = dict[str, Any]

DATA_FILE = Path(__file__).parent / "data" / "patients.ndjson.xz"
_SHARED = frozenset({"Practitioner", "Organization", "Location"})


@dataclass(frozen=True)
class Stay:
    """One stay of the simulated hospital; ``ended_days_ago`` is None while the patient is still in."""

    encounter: str
    ended_days_ago: int | None = None


STAYS = (
    Stay(DEMONSTRATION_ENCOUNTER),  # heart failure
    Stay("enc-cc756340b096"),  # heart failure, chronic kidney disease
    Stay("enc-ec997eba53d6"),  # myocardial infarction, coronary intervention
    Stay("enc-081ca84e8e7c"),  # hip fracture, hemiarthroplasty
    Stay("enc-745ac6fa8c1a"),  # cholecystitis
    Stay("enc-340458a71934"),  # COPD exacerbation
    Stay("enc-b2f4dd4b286c"),  # pyelonephritis
    Stay("enc-0b923c3ee1b9"),  # stroke
    Stay("enc-008ce84588ac"),  # bleeding gastric ulcer
    Stay("enc-58a28bd54798", ended_days_ago=1),  # pneumonia
    Stay("enc-3f17c3a49d6d", ended_days_ago=2),  # influenza
    Stay("enc-028a26f78e22", ended_days_ago=4),  # COPD exacerbation
)


def patients(now: datetime) -> list[Resource]:
    """Return every resource to load: stays moved to the present, reopened where planned, with discharge orders."""
    with lzma.open(DATA_FILE, "rt", encoding="utf-8") as file:
        resources = [json.loads(line) for line in file]
    by_encounter = {r["id"]: r for r in resources if r["resourceType"] == "Encounter"}
    patient_of = {stay.encounter: by_encounter[stay.encounter]["subject"]["reference"] for stay in STAYS}
    loaded = [r for r in resources if r["resourceType"] in _SHARED]
    for stay in STAYS:
        ended = now - timedelta(days=stay.ended_days_ago or 0)
        days = days_until(by_encounter[stay.encounter]["period"]["end"], ended)
        own = [shift(r, days) for r in resources if _patient(r) == patient_of[stay.encounter]]
        admitted = shift(by_encounter[stay.encounter]["period"]["start"], days)
        own = known_by(own, now, admitted)
        own += discharge_orders(own)
        if stay.ended_days_ago is None:
            own = [reopen(resource) for resource in own]
        if stay.encounter == DEMONSTRATION_ENCOUNTER:
            own = demonstrate(own)
        loaded += own
    return loaded


def _patient(resource: Resource) -> str | None:
    if resource["resourceType"] == "Patient":
        return f"Patient/{resource['id']}"
    holder = resource.get("subject") or resource.get("patient") or resource.get("beneficiary") or {}
    reference = holder.get("reference")
    return reference if isinstance(reference, str) else None
