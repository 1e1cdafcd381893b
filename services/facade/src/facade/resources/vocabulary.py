"""Codes and systems the facade writes, and small constructors for them."""

from datetime import UTC, datetime
from typing import Any

from service_contracts.drafts import SectionKey
from service_contracts.reconciliation import ClaimKind, NotCheckedReason

__all__ = [
    "AIAST",
    "DOCUMENT_TYPE",
    "NOT_CHECKED_WORDS",
    "OUR_SYSTEM",
    "SECTION_CODES",
    "ai_meta",
    "coding",
    "concept",
    "instant_text",
    "issue_code",
    "reference",
]

OUR_SYSTEM = "https://preceptor.health/fhir/CodeSystem"
_LOINC = "http://loinc.org"
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    """Return a Coding."""
    return {"system": system, "code": code, **({"display": display} if display else {})}


def concept(*codings: dict[str, str], text: str | None = None) -> dict[str, Any]:
    """Return a CodeableConcept."""
    return {**({"coding": list(codings)} if codings else {}), **({"text": text} if text else {})}


def reference(target: str, display: str | None = None) -> dict[str, str]:
    """Return a Reference to a relative or ``urn:uuid`` target."""
    return {"reference": target, **({"display": display} if display else {})}


def instant_text(moment: datetime) -> str:
    """Return a FHIR instant in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


AIAST = coding("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST", "Artificial Intelligence asserted")
"""The security label of content that software wrote; it stays after a clinician has signed."""

DOCUMENT_TYPE = concept(coding(_LOINC, "8653-8", "Hospital Discharge instructions"), text="Discharge instructions")

SECTION_CODES: dict[SectionKey, dict[str, str]] = {
    SectionKey.REASON: coding(_LOINC, "29299-5"),
    SectionKey.MEDICATIONS: coding(_LOINC, "10183-2"),
    SectionKey.ACTIVITY: coding(_LOINC, "69730-0"),
    SectionKey.DIET: coding(_LOINC, "42344-2"),
    SectionKey.FOLLOW_UP: coding(_LOINC, "18776-5"),
    SectionKey.WARNING_SIGNS: coding(_LOINC, "69730-0"),
}

_ISSUE_CODES: dict[ClaimKind, dict[str, str]] = {
    ClaimKind.DOSE: coding(_ACT_CODE, "DOSE", "Dosage problem"),
    ClaimKind.RENAL: coding(_ACT_CODE, "DOSE", "Dosage problem"),
    ClaimKind.INTERACTION: coding(_ACT_CODE, "DRG", "Drug Interaction Alert"),
    ClaimKind.ALLERGY: coding(_ACT_CODE, "ALGY", "Allergy Alert"),
    ClaimKind.DUPLICATE: coding(_ACT_CODE, "DUPTHPY", "Duplicate Therapy Alert"),
}

NOT_CHECKED_WORDS: dict[NotCheckedReason, str] = {
    NotCheckedReason.DEADLINE: "the time ran out",
    NotCheckedReason.SERVICE_DOWN: "the evidence could not be reached",
    NotCheckedReason.UNRESOLVED: "its subject is not known to the evidence",
    NotCheckedReason.INCOMPLETE: "the chart or the draft does not say enough",
}


def issue_code(kind: ClaimKind) -> dict[str, Any]:
    """Return the code of a DetectedIssue: HL7's where there is one, and always ours."""
    ours = coding(f"{OUR_SYSTEM}/claim-kind", str(kind))
    standard = _ISSUE_CODES.get(kind)
    return concept(*([standard, ours] if standard else [ours]), text=f"{kind} differs from the evidence")


def ai_meta() -> dict[str, Any]:
    """Return the ``meta`` of a resource whose content software wrote."""
    return {"security": [AIAST]}
