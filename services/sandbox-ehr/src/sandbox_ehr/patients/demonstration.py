"""The demonstration stay: discharge orders that are wrong on purpose, one true problem of each kind.

| kind | what is ordered | why it is wrong |
| --- | --- | --- |
| dose | metformin 1500 mg three times a day | 4500 mg a day; the label's maximum is 2550 mg a day |
| interaction | simvastatin 40 mg with clarithromycin 500 mg twice a day | the simvastatin label contraindicates it |
| activity | lifting up to 50 lb two days after a pacemaker was implanted | lifting is limited for weeks |
| follow-up | cardiology in 6 weeks after heart failure | a visit within 7 to 14 days is the standard of care |
| allergy | amoxicillin, with a recorded penicillin allergy | amoxicillin is a penicillin |

Everything else of the stay is as the simulator made it. Never use it to teach care.
"""

from typing import Any

from sandbox_ehr.patients.orders import discharge_order

__all__ = ["DEMONSTRATION_ENCOUNTER", "DEMONSTRATION_TAG", "demonstrate"]

Resource = dict[str, Any]

DEMONSTRATION_ENCOUNTER = "enc-ac4dcc33953d"
DEMONSTRATION_TAG = {"system": "https://preceptor.health/fhir/CodeSystem/sandbox", "code": "demonstration"}
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_SNOMED = "http://snomed.info/sct"
_REPLACED = frozenset({"atorvastatin", "metformin"})
_ORAL = {"coding": [{"system": _SNOMED, "code": "26643006", "display": "Oral"}], "text": "PO"}


def demonstrate(resources: list[Resource]) -> list[Resource]:
    """Return the stay's resources with the wrong orders in place of the generated ones."""
    encounter = next(r for r in resources if r["resourceType"] == "Encounter")
    pattern = next(r for r in resources if _is_discharge_medication(r))
    kept = [r for r in resources if not _is_replaced(r)]
    kept[kept.index(encounter)] = encounter | {"meta": encounter.get("meta", {}) | {"tag": [DEMONSTRATION_TAG]}}
    return [
        *kept,
        _medication(pattern, "metformin", "Metformin", "6809", 1500, 3, "1500mg PO TID"),
        _medication(pattern, "simvastatin", "Simvastatin", "36567", 40, 1, "40mg PO daily"),
        _medication(pattern, "clarithromycin", "Clarithromycin", "21212", 500, 2, "500mg PO BID", days=10),
        _medication(pattern, "amoxicillin", "Amoxicillin", "723", 1000, 2, "1000mg PO BID", days=10),
        _penicillin_allergy(encounter),
        _pacemaker(encounter),
        discharge_order(encounter, "activity", "You may lift up to 50 lb starting 2 days after discharge."),
        discharge_order(encounter, "follow-up", "Follow up with cardiology in 6 weeks.", (6, "wk")),
    ]


def _is_discharge_medication(resource: Resource) -> bool:
    return resource["resourceType"] == "MedicationRequest" and any(
        coding.get("code") == "discharge" for category in resource["category"] for coding in category["coding"]
    )


def _is_replaced(resource: Resource) -> bool:
    if resource["resourceType"] == "AllergyIntolerance":
        return True  # the simulator recorded that there is none
    if resource["resourceType"] == "ServiceRequest":
        return bool(resource["category"][0]["text"] != "diet")
    return _is_discharge_medication(resource) and _drug(resource) in _REPLACED


def _drug(resource: Resource) -> str:
    return str(resource["medicationCodeableConcept"]["text"]).lower()


def _medication(
    pattern: Resource, slug: str, name: str, rxcui: str, mg: int, times: int, text: str, days: int | None = None
) -> Resource:
    repeat: Resource = {"frequency": times, "period": 1, "periodUnit": "d"}
    if days is not None:
        repeat["boundsDuration"] = {"value": days, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    copied = {name: pattern[name] for name in ("status", "intent", "category", "subject", "encounter", "authoredOn")}
    return copied | {
        "resourceType": "MedicationRequest",
        "id": f"demonstration-{slug}",
        "medicationCodeableConcept": {
            "text": name,
            "coding": [{"system": _RXNORM, "code": rxcui, "display": name}],
        },
        "requester": pattern["requester"],
        "dosageInstruction": [
            {
                "text": text,
                "route": _ORAL,
                "timing": {"repeat": repeat},
                "doseAndRate": [
                    {
                        "doseQuantity": {
                            "value": mg,
                            "unit": "mg",
                            "system": "http://unitsofmeasure.org",
                            "code": "mg",
                        }
                    }
                ],
            }
        ],
    }


def _penicillin_allergy(encounter: Resource) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "AllergyIntolerance",
        "id": "demonstration-penicillin",
        "clinicalStatus": {"coding": [{"system": f"{system}/allergyintolerance-clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": f"{system}/allergyintolerance-verification", "code": "confirmed"}]
        },
        "type": "allergy",
        "category": ["medication"],
        "criticality": "high",
        "code": {"text": "Penicillin", "coding": [{"system": _SNOMED, "code": "764146007", "display": "Penicillin"}]},
        "patient": encounter["subject"],
        "recordedDate": encounter["period"]["start"],
        "reaction": [{"manifestation": [{"text": "Anaphylaxis", "coding": [{"system": _SNOMED, "code": "39579001"}]}]}],
    }


def _pacemaker(encounter: Resource) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": "demonstration-pacemaker",
        "status": "completed",
        "code": {
            "text": "Permanent pacemaker implantation",
            "coding": [{"system": _SNOMED, "code": "307280005", "display": "Implantation of cardiac pacemaker"}],
        },
        "subject": encounter["subject"],
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "performedDateTime": encounter["period"]["start"],
    }
