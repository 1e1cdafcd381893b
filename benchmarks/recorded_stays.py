"""The recorded inpatient stays of the open data beside the project: synthetic, made by the simulator clinosim."""

import json
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ARCHIVE", "RecordedStay", "recorded_stays"]

Resource = dict[str, Any]

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "fhir.tar.xz"
_FOLDER = "clinosim_us_inpatient"
_KINDS = ("Encounter", "Patient", "Condition", "Procedure", "MedicationRequest", "AllergyIntolerance", "Observation")
_CODES = frozenset({"2160-0", "33914-3", "62238-1", "98979-8", "29463-7", "2823-3", "6301-6"})


@dataclass(frozen=True)
class RecordedStay:
    """One finished inpatient stay with everything about its patient, and the names of its discharge medications."""

    encounter: Resource
    about: tuple[Resource, ...]
    discharge_medications: tuple[str, ...]


def recorded_stays(archive: Path = ARCHIVE) -> list[RecordedStay]:
    """Return the finished inpatient stays; raise ``FileNotFoundError`` when the data is not there."""
    tables = _tables(archive)
    stays = []
    for encounter in tables["Encounter"]:
        if encounter["class"]["code"] != "IMP" or encounter["status"] != "finished":
            continue
        patient = encounter["subject"]["reference"]
        about = [one for kind in _KINDS[2:] for one in tables[kind] if _patient(one) == patient and _wanted(one)]
        person = next(one for one in tables["Patient"] if f"Patient/{one['id']}" == patient)
        discharge = [one for one in about if _is_discharge(one, encounter["id"])]
        stays.append(
            RecordedStay(
                encounter=_pruned(encounter),
                about=(_pruned(person), *map(_pruned, about)),
                discharge_medications=tuple(one["medicationCodeableConcept"]["text"] for one in discharge),
            )
        )
    return stays


def _tables(archive: Path) -> dict[str, list[Resource]]:
    tables: dict[str, list[Resource]] = {}
    with tarfile.open(archive) as tar:
        for kind in _KINDS:
            member = tar.extractfile(tar.getmember(f"fhir/{_FOLDER}/{kind}.ndjson.xz"))
            assert member is not None
            with lzma.open(member, "rt", encoding="utf-8") as lines:
                tables[kind] = [json.loads(line) for line in lines]
    return tables


def _patient(resource: Resource) -> str | None:
    reference = (resource.get("subject") or resource.get("patient") or {}).get("reference")
    return reference if isinstance(reference, str) else None


def _wanted(resource: Resource) -> bool:
    """Of the thousands of observations only those a chart is made of are loaded."""
    if resource["resourceType"] != "Observation":
        return True
    return any(coding.get("code") in _CODES for coding in resource["code"].get("coding", []))


def _is_discharge(resource: Resource, encounter_id: str) -> bool:
    return (
        resource["resourceType"] == "MedicationRequest"
        and resource.get("encounter", {}).get("reference") == f"Encounter/{encounter_id}"
        and any(coding.get("code") == "discharge" for category in resource["category"] for coding in category["coding"])
    )


_LOADED = frozenset(_KINDS)


def _pruned(resource: Resource) -> Resource:
    """Return the resource without references to what is not loaded (staff, places, reports)."""
    return dict(_walk(resource))


def _walk(resource: Resource) -> Iterator[tuple[str, Any]]:
    for name, value in resource.items():
        kept = _keep(value)
        if kept not in ({}, [], None):
            yield name, kept


def _keep(value: Any) -> Any:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference.partition("/")[0] not in _LOADED:
            return {"display": value["display"]} if "display" in value else None
        return dict(_walk(value))
    if isinstance(value, list):
        return [kept for kept in map(_keep, value) if kept not in ({}, [], None)]
    return value
