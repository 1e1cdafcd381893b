"""What the pages ask of the records: the stays, one stay's chart and documents, and discharging it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox_ehr.auth.grants import LaunchContext
from sandbox_ehr.fhir.server import FhirServer
from sandbox_ehr.pages.views import Document, Person, StayView, document, person, stay_view
from sandbox_ehr.patients.orders import DISCHARGE_ORDER_SYSTEM
from sandbox_ehr.patients.stay import discharge

__all__ = ["ChartLine", "StayPage", "Ward"]

Resource = dict[str, Any]


@dataclass(frozen=True)
class ChartLine:
    """One line of the chart, with a quieter second part."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class StayPage:
    """Everything of the page of one stay; ``failures`` are the reasons of Tasks that failed."""

    stay: StayView
    problems: tuple[ChartLine, ...]
    procedures: tuple[ChartLine, ...]
    allergies: tuple[ChartLine, ...]
    medications: tuple[ChartLine, ...]
    orders: tuple[ChartLine, ...]
    documents: tuple[Document, ...]
    failures: tuple[str, ...]


class Ward:
    """Reads and discharges stays."""

    def __init__(self, fhir: FhirServer) -> None:
        self._fhir = fhir

    async def stays(self) -> list[StayView]:
        """Return the inpatient stays, those still open first."""
        encounters = await self._fhir.search("Encounter", **{"class": "IMP"})
        patients = await self._by_reference("Patient")
        found = [(stay_view(encounter, patients), encounter) for encounter in encounters]
        found.sort(key=lambda pair: (not pair[0].is_open, not pair[0].demonstration, pair[0].patient.name))
        return [view for view, _ in found]

    async def practitioners(self) -> list[Person]:
        """Return the practitioners a visitor may act as, by name; physicians come first."""
        known = await self._fhir.search("Practitioner")
        return [person(r) for r in sorted(known, key=lambda r: (not _is_physician(r), person(r).name))]

    async def practitioner(self, practitioner_id: str | None) -> Person | None:
        """Return one practitioner."""
        found = await self._fhir.read("Practitioner", practitioner_id) if practitioner_id else None
        return person(found) if found else None

    async def attending(self, encounter_id: str) -> Person | None:
        """Return the practitioner in charge of a stay."""
        encounter = await self._fhir.read("Encounter", encounter_id)
        for participant in (encounter or {}).get("participant", []):
            reference = participant.get("individual", {}).get("reference", "")
            if reference.startswith("Practitioner/"):
                return await self.practitioner(reference.partition("/")[2])
        return None

    async def knows(self, context: LaunchContext) -> bool:
        """Whether practitioner, patient and stay exist and the stay is the patient's."""
        if await self._fhir.read("Practitioner", context.practitioner) is None:
            return False
        if context.encounter is not None:
            encounter = await self._fhir.read("Encounter", context.encounter)
            return encounter is not None and encounter["subject"]["reference"] == f"Patient/{context.patient}"
        return context.patient is None or await self._fhir.read("Patient", context.patient) is not None

    async def stay(self, encounter_id: str) -> StayPage | None:
        """Return the page of one stay, or None when there is no such stay."""
        encounter = await self._fhir.read("Encounter", encounter_id)
        if encounter is None:
            return None
        patient = encounter["subject"]["reference"]
        patients = {f"Patient/{r['id']}": r for r in [await self._fhir.read("Patient", patient.partition("/")[2])] if r}
        of_stay = f"Encounter/{encounter_id}"
        allergies = await self._fhir.search("AllergyIntolerance", patient=patient)
        orders = await self._fhir.search("ServiceRequest", encounter=of_stay)
        tasks = await self._fhir.search("Task", patient=patient, status="failed")
        return StayPage(
            stay=stay_view(encounter, patients),
            problems=_lines(await self._fhir.search("Condition", patient=patient)),
            procedures=_lines(await self._fhir.search("Procedure", encounter=of_stay)),
            allergies=_lines(allergies, note=lambda r: str(r.get("criticality", ""))),
            medications=_lines(
                [r for r in await self._fhir.search("MedicationRequest", encounter=of_stay) if _at_discharge(r)],
                note=lambda r: str((r.get("dosageInstruction") or [{}])[0].get("text", "")),
            ),
            orders=tuple(ChartLine(r.get("patientInstruction", ""), _kind(r)) for r in orders if _kind(r)),
            documents=await self._documents(encounter_id, patient),
            failures=tuple(
                _text(t.get("statusReason", {})) or "no reason given"
                for t in tasks
                if t.get("encounter", {}).get("reference") == of_stay
            ),
        )

    async def discharge(self, encounter_id: str, practitioner: Person | None) -> bool:
        """Finish the stay now; return False when there was nothing to finish. Only one of two at once does it."""
        encounter = await self._fhir.read("Encounter", encounter_id)
        if encounter is None or encounter["status"] != "in-progress":
            return False
        discharger = f"Practitioner/{practitioner.id}" if practitioner else None
        closed = discharge(encounter, datetime.now(UTC), discharger)
        version = f'W/"{encounter["meta"]["versionId"]}"'
        status = await self._fhir.replace(closed, version)
        if status not in (200, 412):
            raise RuntimeError(f"discharging answered {status}")
        return status == 200

    async def _documents(self, encounter_id: str, patient: str) -> tuple[Document, ...]:
        of_stay = f"Encounter/{encounter_id}"
        compositions = await self._fhir.search("Composition", encounter=of_stay)
        if not compositions:
            return ()
        issues = await self._fhir.search("DetectedIssue", patient=patient)
        references = await self._fhir.search("DocumentReference", encounter=of_stay)
        by_name = {f"DetectedIssue/{r['id']}": r for r in issues}
        practitioners = await self._by_reference("Practitioner")
        return tuple(document(one, by_name, references, practitioners) for one in compositions)

    async def _by_reference(self, resource_type: str) -> dict[str, Resource]:
        return {f"{resource_type}/{r['id']}": r for r in await self._fhir.search(resource_type)}


def _lines(resources: list[Resource], note: Any = lambda _: "") -> tuple[ChartLine, ...]:
    """Return one line for each thing; what is recorded twice is shown once."""
    lines = [ChartLine(_text(r.get("medicationCodeableConcept") or r.get("code") or {}), note(r)) for r in resources]
    return tuple(dict.fromkeys(line for line in lines if line.text))


def _text(concept: Resource) -> str:
    displays = [coding.get("display") for coding in concept.get("coding", [])]
    return str(concept.get("text") or next((display for display in displays if display), ""))


def _codings(resource: Resource, system: str | None = None) -> list[str]:
    codings = [c for category in resource.get("category", []) for c in category.get("coding", [])]
    return [c.get("code", "") for c in codings if system in (None, c.get("system"))]


def _at_discharge(resource: Resource) -> bool:
    return "discharge" in _codings(resource)


def _kind(resource: Resource) -> str:
    return next(iter(_codings(resource, DISCHARGE_ORDER_SYSTEM)), "")


def _is_physician(resource: Resource) -> bool:
    codes = [c.get("code") for q in resource.get("qualification", []) for c in q.get("code", {}).get("coding", [])]
    return "MD" in codes
